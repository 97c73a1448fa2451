"""Do two samples differ? Ratios of two results, each with the uncertainty of its own counts.

Two measurements of the same pixels are paired by these: a phase of the shorter may be several of the longer together.
"""

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
from bayesspec.results.segmentation import Segmentation

SAME_PIXELS = 0.75
"""Share of the pixels that two phases, or a phase and several together, must have in common to be the same: phases
paired and their ratios, ``python benchmarks/segmentation.py --case doses`` and ``--case dacite``."""
_DO = "bs.compare_samples(seg_a, seg_b, 'Fe_Ka', 'O_Ka'), or bs.compare_samples(a.sel(phase=0), b.sel(phase=0))"
Sides = tuple[Estimate, Estimate, tuple[str, ...]]
Notes = tuple[str, ...]


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
    notes : tuple of str
        What else is to be said: phases that are several of the other result together, and phases without a partner.
    """

    pairs: tuple[str, ...]
    first: Estimate
    second: Estimate
    difference: Estimate
    larger: xr.DataArray
    probability: xr.DataArray
    margin: float = 0.0
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        values = (self.first, self.second, self.difference) if self.pairs else ()
        columns = [[text for _, text in one.rows()] for one in values]
        more = f" by more than {100 * self.margin:g} %" if self.margin else ""
        lines = []
        for i, (one, other, apart) in enumerate(zip(*columns, strict=True)):
            known = float(self.probability.values[i])
            words = f"differ{more} with probability {shown(known)}" if np.isfinite(known) else "cannot be compared"
            lines.append(f"{self.pairs[i]}{': ' if self.pairs[i] else ''}{one} and {other}, {apart} apart: {words}")
        return "\n".join([*lines, *self.notes])

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
    same_pixels: bool = False,
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
    same_pixels : bool
        Whether two segmentations are measurements of the same pixels, such as a short and a long one: then phases are
        paired that lie in the same pixels, and where one is several of the other result together, it is compared with
        these and ``notes`` says so.

    Returns
    -------
    SampleComparison
        Differences and probabilities; NaN where a quantity is not resolved.

    Raises
    ------
    InputError
        When a result comes without lines of the ratio, one is compared with a quantity, labels differ, there are no
        draws, or `same_pixels` are asked for of what is no pair of segmentations of one shape.

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
    if same_pixels:
        one, other, pairs, notes = _by_pixels(*_same_shape(first, second), *_lines(numerator, denominator))
    else:
        one, other, pairs = _sides(first, second, numerator, denominator)
        notes = ()
    difference = one - other
    apart = difference.draws
    known = apart.notnull().all("draw")
    larger = (apart > 0).mean("draw").where(known)
    probability = abs(2 * larger - 1)
    if margin:
        probability = (abs((one / other).draws - 1) > margin).mean("draw").where(known)
    return SampleComparison(pairs, one, other, difference, larger, probability, float(margin), notes)


def _sides(first: object, second: object, numerator: str | None, denominator: str | None) -> Sides:
    """Both quantities with the same dims, and what each entry compares."""
    if isinstance(first, Estimate) and isinstance(second, Estimate):
        labels = [label for label, _ in first.rows()]
        names = tuple(f"{label} of both" if label else "" for label in labels)
        return _in_line(first), _in_line(second), names
    if not (isinstance(first, LineResult) and isinstance(second, LineResult)):
        found = f"a {type(first).__name__} and a {type(second).__name__}"
        raise InputError(found, "two quantities, or two results with lines", _DO)
    lines = _lines(numerator, denominator)
    one, other = first.ratio(*lines), second.ratio(*lines)
    return _paired(_in_line(one), _in_line(other), first.part or "spectrum", second.part or "spectrum")


def _lines(numerator: str | None, denominator: str | None) -> tuple[str, str]:
    """Refuse results without the lines of a ratio."""
    if numerator is None or denominator is None:
        raise InputError("two results without the lines of a ratio", "numerator and denominator", _DO)
    return numerator, denominator


def _same_shape(first: object, second: object) -> tuple[Segmentation, Segmentation]:
    """Refuse what cannot be two segmentations of the same pixels."""
    if isinstance(first, Segmentation) and isinstance(second, Segmentation):
        if first.labels.shape == second.labels.shape:
            return first, second
        found = f"maps of {first.labels.shape} and {second.labels.shape} pixels"
    else:
        found = f"a {type(first).__name__} and a {type(second).__name__}"
    raise InputError(found, "two segmentations of the same pixels", "bs.compare_samples(..., same_pixels=False)")


def _by_pixels(first: Segmentation, second: Segmentation, numerator: str, denominator: str) -> tuple[*Sides, Notes]:
    """Phases, one or several together, that lie in the same pixels."""
    both = np.zeros((first.n_phases, second.n_phases))
    known = (first.labels.values >= 0) & (second.labels.values >= 0)
    np.add.at(both, (first.labels.values[known], second.labels.values[known]), 1)
    groups = same_phases(both)
    sides = []
    for seg, place in ((first, 0), (second, 1)):
        draws = [_together(seg, group[place], numerator, denominator) for group in groups]
        values = np.stack(draws, axis=1) if draws else np.zeros((seg.draws, 0))
        sides.append(
            Estimate(xr.DataArray(values, dims=("draw", "pair")), f"{numerator}/{denominator}", source=seg.source)
        )
    names = tuple(f"{_named(a)} and {_named(b)}" for a, b in groups)
    notes = [
        f"{_named(one)} of the {which} is {_named(several)} of the {whose}, which it does not tell apart"
        for a, b in groups
        for one, several, which, whose in ((a, b, "first", "second"), (b, a, "second", "first"))
        if len(several) > 1
    ]
    for place, (which, number) in enumerate((("first", first.n_phases), ("second", second.n_phases))):
        left = sorted(set(range(number)) - {k for group in groups for k in group[place]})
        if left:
            notes.append(f"{_named(left)} of the {which}: no phase of the other result lies in the same pixels")
    return sides[0], sides[1], names, tuple(notes)


def same_phases(both: npt.NDArray[np.float64]) -> list[tuple[list[int], list[int]]]:
    """Phases of two results that lie in the same pixels, one of either result or several of one.

    Parameters
    ----------
    both : array of float64, (phase of the first, phase of the second)
        Numbers of pixels.

    Returns
    -------
    list of tuple of list of int
        Phases of the first and of the second, one at least of these lists with one phase.
    """
    rows, columns = (np.maximum(both.sum(axis=axis, keepdims=True), 1e-12) for axis in (1, 0))
    found = [([i], [int(j) for j in np.flatnonzero(both[i] / columns[0] >= SAME_PIXELS)]) for i in range(len(both))]
    found += [
        ([int(i) for i in np.flatnonzero(both[:, j] / rows[:, 0] >= SAME_PIXELS)], [j]) for j in range(both.shape[1])
    ]
    found = [group for group in found if group[0] and group[1]]
    kept: list[tuple[list[int], list[int]]] = []
    for a, b in sorted(found, key=lambda group: -both[np.ix_(*group)].sum()):
        held = both[np.ix_(a, b)].sum()
        whole = max(both[a].sum(), both[:, b].sum())
        taken = any(set(a) & set(c) or set(b) & set(d) for c, d in kept)
        if held >= SAME_PIXELS * whole and not taken:
            kept.append((a, b))
    return sorted(kept)


def _named(phases: list[int]) -> str:
    """Phases as one."""
    if len(phases) == 1:
        return f"phase {phases[0]}"
    return f"phases {', '.join(map(str, phases[:-1]))} and {phases[-1]} together"


def _together(seg: Segmentation, phases: list[int], numerator: str, denominator: str) -> npt.NDArray[np.float64]:
    """Draws of the ratio of phases as one, in the shares of the counts that they hold: (draw,)."""
    if len(phases) == 1:
        return np.asarray(seg.ratio(numerator, denominator).draws.isel(phase=phases[0]).values)
    counts = seg.data["counts"].values.sum(axis=2, dtype=np.float64)
    held = np.einsum("yxk,yx->k", np.nan_to_num(seg.probabilities.values), counts)
    areas = seg.fractions.draws.transpose("draw", "phase").values
    weight = held * areas / areas.mean(axis=0)
    lines = seg.intensities_of([numerator, denominator]).draws.transpose("draw", "phase", "line").values
    summed = np.einsum("dk,dkl->dl", weight[:, phases], lines[:, phases])
    return np.asarray(summed[:, 0] / summed[:, 1])


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
