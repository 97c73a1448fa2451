"""Do two samples differ? Ratios of two results, each with the uncertainty of its own counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.optimize import linear_sum_assignment

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.files.saved import Saved
from bayesspec.results.estimate import Estimate
from bayesspec.results.line_result import LineResult
from bayesspec.results.phase_comparison import shown

_DO = "bs.compare_samples(seg_a, seg_b, 'Fe_Ka', 'O_Ka'), or bs.compare_samples(a.sel(phase=0), b.sel(phase=0))"
Sides = tuple[Estimate, Estimate, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class SampleComparison(Saved):
    """How much a quantity differs between two results; prints as a sentence a pair.

    Parameters
    ----------
    pairs : tuple of str
        What is compared with what, such as ``"phase 0 and phase 1"``; one empty text for single values.
    first, second : Estimate, dims (pair,)
        The quantity in either result.
    difference : Estimate, dims (pair,)
        First less second.
    larger : xarray.DataArray, dims (pair,), float64
        Probability that it is larger in the first.
    probability : xarray.DataArray, dims (pair,), float64
        Probability that they differ by more than `margin`. With a margin of 0, where a continuous quantity differs for
        certain, the mass of the widest equal-tailed interval of the difference that leaves out 0: of two samples that
        are the same, one comparison in twenty exceeds 0.95.
    margin : float
        Smallest difference that counts, as a share of the second.
    """

    pairs: tuple[str, ...]
    first: Estimate
    second: Estimate
    difference: Estimate
    larger: xr.DataArray
    probability: xr.DataArray
    margin: float = 0.0

    def __str__(self) -> str:
        columns = [[text for _, text in one.rows()] for one in (self.first, self.second, self.difference)]
        more = f" by more than {100 * self.margin:g} %" if self.margin else ""
        lines = []
        for i, (one, other, apart) in enumerate(zip(*columns, strict=True)):
            known = float(self.probability.values[i])
            words = f"differ{more} with probability {shown(known)}" if np.isfinite(known) else "cannot be compared"
            lines.append(f"{self.pairs[i]}{': ' if self.pairs[i] else ''}{one} and {other}, {apart} apart: {words}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<SampleComparison of {self.first.name}: {self}>"


@checked_arguments(first=None, second=None)
def compare_samples(
    first: Estimate | LineResult,
    second: Estimate | LineResult,
    numerator: str | None = None,
    denominator: str | None = None,
    *,
    margin: float = 0.0,
) -> SampleComparison:
    """Compare a quantity, such as a ratio, between two results, of two samples or two measurements.

    Draws of different results are independent of each other, those of one result are compared draw by draw.

    Parameters
    ----------
    first, second : Estimate or result
        Two quantities of the same dims; or two results with lines, whose phases or components are paired: those whose
        ratios lie closest, all in all.
    numerator, denominator : str or None
        Lines of the ratio; needed with results.
    margin : float
        Smallest difference that counts, as a share of the second, 0 or more.

    Returns
    -------
    SampleComparison
        Differences and probabilities; NaN where a quantity is not resolved.

    Raises
    ------
    InputError
        When a result comes without lines of the ratio, one is compared with a quantity, labels differ, or there are no
        draws.

    Examples
    --------
    >>> import bayesspec as bs
    >>> segs = [bs.segment(bs.simulate.iron_oxide_lines(2000, (24, 24), seed=seed), 2) for seed in (0, 1)]
    >>> found = bs.compare_samples(*segs, "Fe_Ka", "O_Ka")
    >>> found.difference.sd.dims
    ('pair',)
    >>> bool((abs(found.difference.mean) < 4 * found.difference.sd).all())
    True
    """
    one, other, pairs = _sides(first, second, numerator, denominator)
    difference = one - other
    apart = difference.draws
    known = apart.notnull().all("draw")
    larger = (apart > 0).mean("draw").where(known)
    probability = abs(2 * larger - 1)
    if margin:
        probability = (abs((one / other).draws - 1) > margin).mean("draw").where(known)
    return SampleComparison(pairs, one, other, difference, larger, probability, float(margin))


def _sides(first: object, second: object, numerator: str | None, denominator: str | None) -> Sides:
    """Both quantities with the same dims, and what each entry compares."""
    if isinstance(first, Estimate) and isinstance(second, Estimate):
        labels = [label for label, _ in first.rows()]
        names = tuple(f"{label} of both" if label else "" for label in labels)
        return _in_line(first), _in_line(second), names
    if not (isinstance(first, LineResult) and isinstance(second, LineResult)):
        found = f"a {type(first).__name__} and a {type(second).__name__}"
        raise InputError(found, "two quantities, or two results with lines", _DO)
    if numerator is None or denominator is None:
        raise InputError("two results without the lines of a ratio", "numerator and denominator", _DO)
    one, other = first.ratio(numerator, denominator), second.ratio(numerator, denominator)
    return _paired(_in_line(one), _in_line(other), first.part or "spectrum", second.part or "spectrum")


def _in_line(estimate: Estimate) -> Estimate:
    """The quantity with the one dim pair."""
    draws = estimate.joint_draws().transpose("draw", ...)
    values = draws.values.reshape(draws.sizes["draw"], -1)
    return Estimate(xr.DataArray(values, dims=("draw", "pair")), estimate.name, source=estimate.source)


def _paired(one: Estimate, other: Estimate, part: str, other_part: str) -> Sides:
    """Entries whose means lie closest, in units of their combined standard deviation."""
    means, sds = (np.asarray(v) for v in (one.mean, one.sd)), (np.asarray(v) for v in (other.mean, other.sd))
    (a, da), (b, db) = means, sds
    with np.errstate(invalid="ignore", divide="ignore"):
        cost = np.abs(a[:, None] - b) / np.hypot(da[:, None], db)
    rows, columns = linear_sum_assignment(np.nan_to_num(cost, nan=1e9, posinf=1e9))
    names = tuple(f"{part} {i} and {other_part} {j}" for i, j in zip(rows, columns, strict=True))
    return _picked(one, rows), _picked(other, columns), names


def _picked(estimate: Estimate, places: npt.NDArray[np.intp]) -> Estimate:
    return Estimate(estimate.draws.isel(pair=places), estimate.name, source=estimate.source)
