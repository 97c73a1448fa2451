"""Components whose spectra are combinations of line families and continuum, with likelihood ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, line_names
from bayesspec.results.estimate import PROB, Estimate, check_prob
from bayesspec.results.schema import Variable
from bayesspec.results.table import Table
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.thin_film import Film

FACTOR_DRAWS = 400
"""Draws of the k-factors, by whose standard deviation a range is widened: it is known to 4 %."""


@dataclass(frozen=True, eq=False)
class RangedEstimate(Estimate):
    """A most likely value with its likelihood range; prints as ``21.3 [20.1, 22.0]``.

    The range holds the values of all components that the counts allow, those that differ in how much of one another
    they hold included. Ranges of all quantities of a fit hold at once with the probability `prob`, so that one of them
    holds more often. There is no standard deviation.

    Parameters
    ----------
    draws : xarray.DataArray, dims (draw, ...)
        The most likely value, the only draw.
    name : str
        What the quantity is.
    lower, upper : xarray.DataArray, dims (...), float64
        Ends of the range.
    prob : float
        Its probability, which was set in the fit.
    """

    lower: xr.DataArray
    upper: xr.DataArray
    prob: float

    @property
    def known_error(self) -> bool:
        """Whether there is an uncertainty at all."""
        return True

    @property
    def sd(self) -> xr.DataArray:
        """NaN, dims (...): a range of what is not identified is no multiple of a standard deviation."""
        return self.mean * np.nan

    def interval(self, prob: float = PROB) -> tuple[xr.DataArray, xr.DataArray]:
        """Likelihood range, at the probability that was set in the fit.

        Parameters
        ----------
        prob : float
            Asked for; the range does not depend on it, and ``attrs["prob"]`` tells the one that it has.

        Returns
        -------
        lower, upper : xarray.DataArray, dims (...), float64
            Its ends.

        Raises
        ------
        InputError
            When `prob` is not between 0 and 1.
        """
        check_prob(prob)
        attrs = {"prob": self.prob, "interval": "joint likelihood range"}
        return self.lower.assign_attrs(attrs), self.upper.assign_attrs(attrs)

    def joint_draws(self) -> xr.DataArray:
        """No draws: a range tells nothing of what lies in it.

        Returns
        -------
        xarray.DataArray
            Never.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"{self.name}, a likelihood range without draws", "a quantity with draws", "its .interval(), end by end"
        )

    def rows(self) -> Iterator[tuple[str, str]]:
        """Label and printed value of every entry.

        Yields
        ------
        tuple of str
            Such as ``("component 0, element Fe", "3.2 [2.9, 3.8]")``; ``"< 0.4"`` where the range begins at zero,
            ``"> 0.4"`` where it has no end.
        """
        ends = zip(self.lower.values.ravel(), self.upper.values.ravel(), strict=True)
        for (label, value), (low, high) in zip(super().rows(), ends, strict=True):
            if np.isnan([low, high]).any():
                yield label, value
            elif np.isinf(high):
                yield label, f"> {low:.3g}" if low > 0 else "not resolved"
            else:
                yield label, f"< {high:.3g}" if low <= 0 else f"{value} [{low:.3g}, {high:.3g}]"


class LineUnmixing(Unmixing):
    """Components with the counts in each line, overlap and continuum told apart by the model.

    Values are the most likely ones; intervals are likelihood ranges that count what components may hold of one another.
    """

    kind = "line unmixing"
    in_counts = True
    schema = Unmixing.schema.extended(
        {
            "line_draws": Variable(("draw", "component", "line"), "most likely counts in every line", "counts", low=0),
            "continuum_draws": Variable(("draw", "component"), "most likely counts in the continuum", "counts", low=0),
            "feasible_lines": Variable(
                ("transform", "component", "line"),
                "counts in the lines at the ends of the ranges; NaN for lines that have none",
                "counts",
                low=0,
            ),
        },
        coords=("line",),
    )

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines, tuple of str."""
        return tuple(str(line) for line in self.data["line"].values)

    @property
    def uncertain(self) -> bool:
        """Whether the numbers come with an uncertainty, bool: ranges."""
        return True

    def note(self) -> str:
        """Say what a reader of the table must know of its ranges.

        Returns
        -------
        str
            A sentence.
        """
        doubt = "" if self.converged else "The fit did not end as it should: do not rely on these ranges. "
        held = f"hold all at once with a probability of {100 * float(self.data.attrs['prob']):.0f} %"
        return f"{doubt}Most likely values; ranges are joint likelihood ranges, which {held}."

    def table(self, reference: str | None = None) -> Table:
        """Share of the counts of every component, and what it is made of: ratios of the lines that have ranges.

        Parameters
        ----------
        reference : str or None
            Line below the ratios, one of `detections`; ``None`` for the strongest of these.

        Returns
        -------
        Table
            One row for the shares and one for each ratio, a column a component.
        """
        known = self.detections["counts"].sum("component")
        lines = [str(line) for line in known["line"].values]
        if len(lines) < 2:
            return super().table(reference)
        below = reference if reference in lines else lines[int(known.values.argmax())]
        shown = {"share of counts (%)": self.fractions.scaled(100.0, "share of counts")}
        shown |= {f"{line}/{below}": self.ratio(line, below) for line in lines if line != below}
        rows = tuple((name, *(text for _, text in estimate.rows())) for name, estimate in shown.items())
        columns = ("", *(f"component {k}" for k in range(self.rank)))
        return Table("Components and line ratios", columns, rows, self.note())

    @property
    def line_counts(self) -> Estimate:
        """Counts of every line in the image, dims (component, line): `intensities` under another name."""
        return self.intensities

    @property
    def detections(self) -> xr.Dataset:
        """Which elements each component holds, by the line each is quantified with, dims (component, line).

        ``counts``, ``lower``, ``upper``: counts in the line and their range; ``detected``: whether the range is above
        zero. Where it is not, ``upper`` is the limit. Ranges hold all at once, so that none of all absent elements is
        called detected, with the probability of the fit.
        """
        found = self.line_counts
        low, high = found.interval()
        table = {"counts": found.mean, "lower": low, "upper": high, "detected": low > 0}
        known = low.notnull().all("component").values
        return xr.Dataset(table, attrs=low.attrs).isel(line=np.flatnonzero(known))

    @checked_arguments(lines=line_names)
    def intensities_of(self, lines: Sequence[str]) -> Estimate:
        """Counts in some lines of every component.

        Parameters
        ----------
        lines : sequence of str
            Names of fitted lines, such as ``["Fe_Ka", "O_Ka"]``.

        Returns
        -------
        RangedEstimate, dims (component, line)
            In counts of the whole image: the most likely ones, the only draw, with ranges.

        Raises
        ------
        InputError
            When a line was not fitted.
        """
        return self._banded(self._line_draws(lines), "counts", self._feasible_intensities(lines))

    def _line_draws(self, lines: Sequence[str]) -> xr.DataArray:
        return self.data["line_draws"].sel(line=self.checked_lines(lines))

    @checked_arguments()
    def composition(
        self, k_factors: Mapping[str, KFactor], *, film: Film | None = None, seed: int = 0
    ) -> dict[str, Estimate]:
        """Composition of every component by Cliff and Lorimer's method.

        Parameters
        ----------
        k_factors : mapping of str to float or (float, float)
            Weight-based k-factor of each line, or k-factor and its standard deviation.
        film : Film or None
            What corrects absorption or finds the thickness: ``bs.Film(mass_thickness=5e-4)``, or a dose, and then the
            factors are zeta-factors.
        seed : int
            Seed of the draws of uncertain k-factors.

        Returns
        -------
        dict of str to RangedEstimate, dims (component, element)
            ``"weight_percent"`` and ``"atomic_percent"``; uncertain k-factors widen the ranges.

        Raises
        ------
        InputError
            When a line was not fitted or its k-factor is not positive.
        """
        exact = {line: k[0] if isinstance(k, tuple) else k for line, k in k_factors.items()}
        exact_film = film and film.exact()
        found = super().composition(exact, film=exact_film, seed=seed)
        if exact == dict(k_factors) and exact_film == film:
            return found
        many = self._line_draws(list(k_factors)).isel(draw=np.zeros(FACTOR_DRAWS, int))
        spread = self._composition(many, k_factors, seed, film)
        return {name: self._widened(estimate, spread[name].sd) for name, estimate in found.items()}

    def _widened(self, estimate: Estimate, sd: xr.DataArray) -> Estimate:
        """Add an independent uncertainty to the range of a percentage, in squares."""
        reach = NormalDist().inv_cdf((1 + self.data.attrs["prob"]) / 2) * sd
        low, high = estimate.interval()
        low = (estimate.mean - np.hypot(estimate.mean - low, reach)).clip(min=0.0)
        high = estimate.mean + np.hypot(high - estimate.mean, reach)
        high = high.clip(max=100.0) if estimate.name.endswith("percent") else high
        return self.own(RangedEstimate(estimate.draws, estimate.name, low, high, float(self.data.attrs["prob"])))

    def _feasible_intensities(self, lines: Sequence[str]) -> xr.DataArray | None:
        return self.data["feasible_lines"].sel(line=list(lines))

    def _banded(
        self,
        draws: xr.DataArray,
        name: str,
        feasible: xr.DataArray | None,
        held: xr.DataArray | None = None,
        error: float = 0.0,
    ) -> Estimate:
        if feasible is None:
            return self.own(Estimate(draws, name, positive=True))
        low, high = feasible.min("transform"), feasible.max("transform")
        return self.own(RangedEstimate(draws, name, low, high, float(self.data.attrs["prob"])))
