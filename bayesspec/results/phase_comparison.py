"""Do two phases differ? Probabilities from the joint posterior draws of their line intensities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.special import chdtr

from bayesspec.errors import InputError
from bayesspec.files.saved import Saved
from bayesspec.results.estimate import Estimate


@dataclass(frozen=True, eq=False)
class PhaseComparison(Saved):
    """How much two phases differ, ratio by ratio and all in all; prints as a sentence a ratio.

    Parameters
    ----------
    first, second : int
        The phases.
    difference : Estimate, dims (ratio,)
        Relative difference of each line's ratio to the reference line: ratio of `first` / ratio of `second` - 1.
    larger : xarray.DataArray, dims (ratio,), float64
        Probability that the ratio is larger in `first` than in `second`.
    probability : xarray.DataArray, dims (ratio,), float64
        Probability that the ratios differ by more than `margin`. With a margin of 0, where a continuous quantity
        differs for certain, the mass of the widest equal-tailed interval of the difference that leaves out 0: of two
        phases that are the same, one comparison in twenty exceeds 0.95.
    overall : float
        The same for all ratios at once. With a margin: the probability that at least one differs by more. With none:
        the mass of the largest ellipsoid around the mean difference of the line shares that leaves out 0.
    margin : float
        Smallest relative difference that counts.

    Notes
    -----
    The ellipsoid takes the posterior as normal: its mass is that of chi-squared, with one degree of freedom for
    each line but one, up to the squared Mahalanobis distance of the mean difference.
    """

    first: int
    second: int
    difference: Estimate
    larger: xr.DataArray
    probability: xr.DataArray
    overall: float
    margin: float = 0.0

    def __str__(self) -> str:
        if not np.isfinite(self.overall):
            return f"phase {self.first} and phase {self.second}: not resolved, they cannot be compared"
        more = f" by more than {100 * self.margin:g} %" if self.margin else ""
        words = [f"phase {self.first} and phase {self.second} differ{more} with probability {shown(self.overall)}"]
        for name in self.difference.draws["ratio"].values:
            change = Estimate(100 * self.difference.draws.sel(ratio=name, drop=True), "percent")
            words.append(f"{name}: {change} % apart, probability {shown(float(self.probability.sel(ratio=name)))}")
        return "; ".join(words)

    def __repr__(self) -> str:
        return f"<PhaseComparison: {self}>"


def shown(probability: float) -> str:
    """Print a probability from draws: three decimals, and never a certainty.

    Parameters
    ----------
    probability : float
        From 0 to 1.

    Returns
    -------
    str
        Such as ``0.953``, ``> 0.999`` or ``< 0.001``.
    """
    if probability > 0.999:
        return "> 0.999"
    return "< 0.001" if probability < 0.001 else f"{probability:.3f}"


def compare(
    intensities: xr.DataArray, first: int, second: int, *, reference: str | None = None, margin: float = 0.0
) -> PhaseComparison:
    """Compare two phases by their joint draws.

    Parameters
    ----------
    intensities : xarray.DataArray, dims (draw, phase, line), float64
        Joint draws of line intensities, in any unit: only their ratios count.
    first, second : int
        The phases.
    reference : str or None
        Line below the ratios; ``None`` for the strongest.
    margin : float
        Smallest relative difference that counts, 0 or more.

    Returns
    -------
    PhaseComparison
        Differences and probabilities; NaN where the phases are not resolved.

    Raises
    ------
    InputError
        When a phase or the reference does not exist, the phases are the same, the margin is negative, or there are
        no draws.
    """
    _check(intensities, first, second, margin)
    pair = intensities.sel(phase=[first, second])
    lines = [str(line) for line in intensities["line"].values]
    below = reference if reference is not None else lines[int(np.argmax(pair.mean(["draw", "phase"]).fillna(0).values))]
    if below not in lines:
        raise InputError(f"the reference {below!r}", f"one of {lines}", f"reference={lines[0]!r}")
    above = [line for line in lines if line != below]
    ratios = pair.sel(line=above) / pair.sel(line=below, drop=True)
    ratios = ratios.assign_coords(line=[f"{line}/{below}" for line in above]).rename(line="ratio")
    relative = (ratios.isel(phase=0, drop=True) / ratios.isel(phase=1, drop=True) - 1).transpose("draw", "ratio")
    known = relative.notnull().all("draw")
    larger = (relative > 0).mean("draw").where(known)
    apart = (abs(relative) > margin).mean("draw").where(known) if margin else abs(2 * larger - 1)
    overall = _any_apart(relative, margin) if margin else _ellipsoid(pair)
    about = f"relative difference of phase {first} to phase {second}"
    return PhaseComparison(first, second, Estimate(relative, about), larger, apart, overall, margin)


def _check(intensities: xr.DataArray, first: int, second: int, margin: float) -> None:
    phases = [int(phase) for phase in intensities["phase"].values]
    if first not in phases or second not in phases or first == second:
        raise InputError(f"phases {first} and {second}", f"two different ones of {phases}", "seg.compare_phases(0, 1)")
    if not 0 <= margin < np.inf:
        raise InputError(f"margin={margin}", "a relative difference of 0 or more", "margin=0.01")
    if intensities.sizes["draw"] < 2:
        raise InputError("a result without uncertainties", "posterior draws", "bs.segment(maps, phases=2, seed=0)")


def _any_apart(relative: xr.DataArray, margin: float) -> float:
    if not bool(relative.notnull().all()):
        return float("nan")
    return float((np.abs(relative.values) > margin).any(axis=1).mean())


def _ellipsoid(pair: xr.DataArray) -> float:
    """Mass of the ellipsoid of line-share differences up to no difference."""
    shares = (pair / pair.sum("line")).transpose("draw", "phase", "line").values
    difference = (shares[:, 0] - shares[:, 1])[:, :-1]
    if not np.isfinite(difference).all():
        return float("nan")
    mean, freedom = difference.mean(axis=0), difference.shape[1]
    scatter = np.atleast_2d(np.cov(difference, rowvar=False))
    return float(chdtr(freedom, mean @ np.linalg.pinv(scatter, hermitian=True) @ mean))
