"""The composition of a thick sample, with what its uncertainty comes from."""

from __future__ import annotations

import xarray as xr

from bayesspec.results.estimate import PROB, Estimate
from bayesspec.results.result import Result
from bayesspec.results.schema import Schema, Variable
from bayesspec.results.table import Table, cells


class Quantification(Result):
    """Composition by k-ratios and a matrix correction: joint draws, total, uncertainty budget."""

    kind = "quantification"
    heading = "Composition"
    schema = Schema(
        {
            "weight_percent_draws": Variable(("draw", "element"), "joint draws of the mass per cent", "%", low=0.0),
            "atomic_percent_draws": Variable(("draw", "element"), "joint draws of the atomic per cent", "%", low=0.0),
            "variance_parts": Variable(("part", "element"), "variance of the mass per cent by source", "%^2", low=0.0),
        },
        coords=("element", "part"),
        attributes={"acquisition": "beam and detector, as JSON"},
    )

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols, tuple of str."""
        return tuple(str(element) for element in self.data["element"].values)

    @property
    def weight_percent(self) -> Estimate:
        """Mass per cent as measured, dims (element,): their sum is `total`."""
        return self.own(Estimate(self.data["weight_percent_draws"], "weight_percent", positive=True))

    @property
    def normalised(self) -> Estimate:
        """Mass per cent brought to a sum of 100, dims (element,)."""
        draws = self.data["weight_percent_draws"]
        return self.own(Estimate(100 * draws / draws.sum("element"), "normalised weight_percent", positive=True))

    @property
    def atomic_percent(self) -> Estimate:
        """Atomic per cent, dims (element,); they sum to 100."""
        return self.own(Estimate(self.data["atomic_percent_draws"], "atomic_percent", positive=True))

    @property
    def total(self) -> Estimate:
        """Sum of the mass per cent, dims (): far from 100 an element, a dose or a standard is wrong."""
        return self.own(Estimate(self.data["weight_percent_draws"].sum("element"), "total"))

    @property
    def budget(self) -> xr.Dataset:
        """Share of the variance of each mass per cent by source, dims (element,); they sum to 1.

        ``counts``, ``background`` and ``overlap`` of the spectrum, ``standards`` (their counts and compositions),
        ``dose``, ``peak shapes``, ``absorption`` (mass absorption coefficients), ``depth model`` and ``fluorescence``.
        """
        shares = self.data["variance_parts"]
        shares = shares / shares.sum("part").clip(min=1e-300)
        return xr.Dataset({str(part): shares.sel(part=part, drop=True) for part in shares["part"].values})

    def summary(self, prob: float = PROB) -> xr.Dataset:
        """Mass and atomic per cent with intervals.

        Parameters
        ----------
        prob : float
            Probability of the intervals.

        Returns
        -------
        xarray.Dataset, dims (element,)
            ``weight_percent``, ``atomic_percent`` and ``_sd``, ``_lower``, ``_upper`` of both.

        Raises
        ------
        InputError
            When `prob` is not between 0 and 1.
        """
        columns: dict[str, xr.DataArray] = {}
        for name in ("weight_percent", "atomic_percent"):
            summary = getattr(self, name).summary(prob)
            columns |= {name: summary["mean"]} | {f"{name}_{s}": summary[s] for s in ("sd", "lower", "upper")}
        return xr.Dataset(columns, attrs={"prob": prob, "interval": "equal-tailed"})

    def table(self, reference: str | None = None) -> Table:
        """Mass and atomic per cent of every element.

        Parameters
        ----------
        reference : str or None
            Not used: there are no ratios.

        Returns
        -------
        Table
            One row an element.
        """
        interval = f"{100 * PROB:.0f} % interval"
        columns = ("element", "mass %", interval, "atomic %", interval)
        pairs = zip(self.elements, cells(self.weight_percent), cells(self.atomic_percent), strict=True)
        rows = tuple((element, *mass, *atoms) for element, mass, atoms in pairs)
        return Table(self.heading, columns, rows, self.note())

    def __repr__(self) -> str:
        return f"<Quantification {self.name!r}: {self.verdict}; weight %: {self.weight_percent}; total {self.total}>"
