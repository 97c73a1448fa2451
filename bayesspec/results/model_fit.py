"""Posterior draws of a model of a user's own."""

from __future__ import annotations

from bayesspec.errors import InputError
from bayesspec.results.estimate import Estimate
from bayesspec.results.result import Result


class ModelFit(Result):
    """Posterior draws of the sites of a model, by name."""

    kind = "model fit"
    heading = "Model"

    def __getitem__(self, site: str) -> Estimate:
        """Estimate of a site, with the dims that the model gives it."""
        if site not in self.data.data_vars:
            raise InputError(f"the site {site!r}", f"one of {sorted(map(str, self.data.data_vars))}", "fit['site']")
        return self.own(Estimate(self.data[site], site))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{dim}: {n}" for dim, n in self.data.sizes.items())
        return f"<ModelFit {self.name!r}: {', '.join(map(str, self.data.data_vars))} ({sizes})>"
