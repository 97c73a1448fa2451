"""Posterior draws of a model of a user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.results.estimate import PROB, Estimate
from bayesspec.results.result import Result
from bayesspec.results.table import Table, cells

WIDEST_PARETO_K = 0.7
"""Pareto-k of the weights between posterior and guide above which the guide's intervals are not relied on.
Source: Yao, Vehtari, Simpson & Gelman (2018), arXiv:1802.02538."""
MOST_ROWS = 60
"""Entries of a site up to which each has a row of its own in a table."""


class ModelFit(Result):
    """Posterior draws of the sites of a model, by name."""

    kind = "model fit"
    heading = "Model"

    def __getitem__(self, site: str) -> Estimate:
        """Estimate of a site, with the dims that the model gives it."""
        if site not in self.data.data_vars:
            raise InputError(f"the site {site!r}", f"one of {sorted(map(str, self.data.data_vars))}", "fit['site']")
        return self.own(Estimate(self.data[site], site))

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, tuple of str."""
        return tuple(map(str, self.data.data_vars))

    @property
    def pareto_k(self) -> float:
        """How far the family of a variational fit is from the posterior, float; above 0.7 too far. NaN without one."""
        return float(self.provenance.get("Pareto-k", np.nan))

    def quantities(self) -> Mapping[str, Estimate | xr.Dataset]:
        """All sites.

        Returns
        -------
        dict of str to Estimate
            With the dims that the model gives them.
        """
        return {site: self[site] for site in self.sites}

    def table(self, reference: str | None = None) -> Table:
        """Values and intervals of all sites; of large ones their range.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        Table
            One row an entry.
        """
        rows: list[tuple[str, ...]] = []
        for site in self.sites:
            estimate = self[site]
            if estimate.mean.size > MOST_ROWS:
                low, high = float(estimate.mean.min()), float(estimate.mean.max())
                shape = " × ".join(f"{n} {dim}" for dim, n in estimate.mean.sizes.items())
                rows.append((f"{site}, {shape}", f"means from {low:.4g} to {high:.4g}", ""))
                continue
            labels = [f"{site}, {label}".removesuffix(", ") for label, _ in estimate.rows()]
            rows += [(label, *entry) for label, entry in zip(labels, cells(estimate), strict=True)]
        columns = ("site", "value", f"{100 * PROB:.0f} % interval")
        return Table(self.name, columns, tuple(rows), self.note())

    def __repr__(self) -> str:
        sizes = ", ".join(f"{dim}: {n}" for dim, n in self.data.sizes.items())
        return f"<ModelFit {self.name!r}: {', '.join(self.sites)} ({sizes})>"


def pareto_k(log_weights: npt.NDArray[np.float64]) -> float:
    """Shape of the tail of importance weights.

    Parameters
    ----------
    log_weights : array, shape (draw,), float64
        Log density of the posterior, up to a constant, less that of the draws' distribution, nats.

    Returns
    -------
    float
        Pareto-k; infinite where a weight is not finite.

    Notes
    -----
    Source: Vehtari, Simpson, Gelman, Yao & Gabry (2024), arXiv:1507.02646.
    """
    if not np.isfinite(log_weights).all():
        return float("inf")
    if np.ptp(log_weights) == 0:
        return 0.0
    import arviz as az

    if az.__version__.startswith("0."):
        return float(az.psislw(log_weights.copy())[1])
    from arviz_stats.base import array_stats

    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # of weights that all but vanish
        found: Any = array_stats.psislw(log_weights.copy())
    return float(found[1])
