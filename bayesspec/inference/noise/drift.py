"""Does the energy axis drift from pixel to pixel? How far, and what the counts are without it.

A shift of the axis shows first as the slope of the spectra. It is found pixel by pixel from the part of the residuals
of a factorisation along that slope, smoothed over the image as far as its power spectrum allows, and taken back by
moving counts at random to neighbouring channels: moved counts are Poisson counts, and their mean is the spectrum moved
back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from bayesspec.image.counts import Counts
from bayesspec.inference.nmf.rank_path import rank_path
from bayesspec.inference.noise.settings import SETTINGS
from bayesspec.inference.noise.singular_values import tracy_widom_rank
from bayesspec.inference.pca.score_maps import map_of, smooth_scores

Array = npt.NDArray[np.float64]
SPREAD = 0.25
"""Variance in channels squared that moving counts adds to every spectrum, drift or none."""
FARTHEST = 0.5
"""Largest shift that is taken back, in channels: counts move to the next channel only."""
FLOOR = 1e-4
"""Least rate, as a part of the mean count."""
MOST = 8
"""Components up to which a drift is looked for: cost."""
WIDTHS = (1.0, 2.0, 4.0)
"""Widths of the Gaussians over which neighbours are compared, pixels."""
TOLERANCE = 1e-4
"""Tolerance of the factorisations whose residuals are looked at."""


@dataclass(frozen=True)
class Drift:
    """Shifts of the energy axis, and the rank that is left when they are taken back.

    Parameters
    ----------
    shifts : numpy.ndarray (pixel,), float64
        Shift of the spectrum towards higher channels, in channels, over the image without a mean.
    errors : numpy.ndarray (pixel,), float64
        Standard deviation of each.
    rank : int
        Components left.
    raw_rank : int
        Components of the counts as they are.
    """

    shifts: Array
    errors: Array
    rank: int
    raw_rank: int

    @property
    def size(self) -> float:
        """Root-mean-square shift in channels, float."""
        return float(np.sqrt(np.square(self.shifts).mean()))


class Shifts(NamedTuple):
    """Shifts of all pixels, in channels.

    Parameters
    ----------
    mean, error : numpy.ndarray (pixel,), float64
        Posterior mean, over the image without a mean, and standard deviation.
    coherence : float
        How many standard deviations neighbouring pixels agree more than by chance.
    """

    mean: Array
    error: Array
    coherence: float


def shifts_of(counts: Counts, abundances: npt.NDArray[Any], spectra: npt.NDArray[Any]) -> Shifts:
    """Estimate the shift of every pixel's axis.

    Parameters
    ----------
    counts : Counts
        Counts.
    abundances : numpy.ndarray (pixel, component)
        Abundances of a factorisation of the counts, in counts.
    spectra : numpy.ndarray (component, channel)
        Its spectra.

    Returns
    -------
    Shifts
        Shifts with their errors and their coherence.
    """
    h, x = spectra.astype(np.float64), counts.matrix
    slope = -np.gradient(h, axis=1)
    rate = np.maximum(abundances @ h, FLOOR * x.mean())
    along = abundances @ slope
    pull = (along * (x / rate - 1.0)).sum(axis=1)
    own = (np.square(along) / rate).sum(axis=1)
    cross = (along / rate) @ h.T
    within = np.einsum("pc,ic,jc->pij", 1.0 / rate, h, h, optimize=True)
    within += 1e-9 * np.trace(within, axis1=1, axis2=2)[:, None, None] * np.eye(len(h))
    # what a change of the abundances would explain as well is not information on the shift
    information = np.maximum(own - (cross * np.linalg.solve(within, cross[..., None])[..., 0]).sum(axis=1), 1e-9)
    mean, variance = smooth_scores(information[:, None, None], pull[:, None], counts.valid)
    together = coherence(map_of(pull / np.sqrt(information), counts.valid))
    return Shifts(mean[:, 0] - mean[:, 0].mean(), np.sqrt(variance[:, 0, 0]), together)


def coherence(scores: Array) -> float:
    """Agreement of neighbouring pixels, in standard deviations of what independent noise gives.

    Parameters
    ----------
    scores : numpy.ndarray (y, x), float64
        Standardised scores, zero where a pixel is excluded.

    Returns
    -------
    float
        The largest over Gaussian neighbourhoods of 1, 2 and 4 pixels, the pixel itself left out.
    """
    found = []
    scores = np.where(scores != 0, scores - scores.mean(), 0.0)
    for width in WIDTHS:
        point = np.zeros(scores.shape)
        point[scores.shape[0] // 2, scores.shape[1] // 2] = 1.0
        kernel = gaussian_filter(point, width, mode="constant")
        around = gaussian_filter(scores, width, mode="constant") - kernel.max() * scores
        spread = 2.0 * np.square(scores).mean() ** 2 * scores.size * (np.square(kernel).sum() - kernel.max() ** 2)
        found.append(float((scores * around).sum() / np.sqrt(max(spread, 1e-12))))
    return max(found)


def taken_back(counts: npt.NDArray[Any], shifts: Array, *, seed: int, spread: float = SPREAD) -> npt.NDArray[np.int64]:
    """Move counts at random so that every pixel has the same energy axis.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel), integer
        Counts.
    shifts : numpy.ndarray (pixel,), float64
        Shifts to take back, in channels; half a channel at most is taken.
    seed : int
        Seed of the moves.
    spread : float
        Variance in channels squared by which all spectra are widened alike; below a quarter, spectra that are
        moved far are widened more.

    Returns
    -------
    numpy.ndarray (pixel, channel - 2), int64
        Independent Poisson counts, if they were; the outer channels, where counts are lost, are left out. Every
        spectrum is wider by `spread`.
    """
    rng = np.random.default_rng(seed)
    back = -np.clip(shifts, -FARTHEST, FARTHEST)[:, None]
    leave = np.clip(np.maximum(spread + np.square(back), np.abs(back)), 0.0, 1.0)
    leaving = rng.binomial(counts, leave * np.ones_like(counts, np.float64))
    up = rng.binomial(leaving, np.clip(0.5 * (1.0 + back / np.maximum(leave, 1e-12)), 0.0, 1.0))
    result = counts.astype(np.int64) - leaving
    result[:, 1:] += up[:, :-1]
    result[:, :-1] += (leaving - up)[:, 1:]
    return result[:, 1:-1]


def find_drift(counts: Counts, *, dispersion: float = 1.0, scatter: float = 0.0) -> Drift | None:
    """Explain the components by fewer and a drift, if that is possible, or find a drift beside them.

    Parameters
    ----------
    counts : Counts
        Counts.
    dispersion, scatter : float
        Noise of the counts, as `tracy_widom_rank` takes it.

    Returns
    -------
    Drift or None
        The drift with the fewest components that leaves nothing else to explain, or one too weak to show as a
        component; ``None`` where there is none.
    """
    noise = {"dispersion": dispersion, "scatter": scatter}
    raw = tracy_widom_rank(counts, level=SETTINGS.drift_level, **noise).rank
    # moving counts widens the spectra and may hide a weak component: that is no drift
    unmoved = tracy_widom_rank(
        taken_back(counts.matrix, np.zeros(counts.shape[0]), seed=0), level=SETTINGS.drift_level, **noise
    ).rank
    largest = min(max(raw, 1), MOST)
    for rank, mode in enumerate(rank_path(counts, largest, tolerance=TOLERANCE), start=1):
        shifts = shifts_of(counts, mode.abundances, mode.spectra)
        if shifts.coherence < SETTINGS.drift_coherent:
            continue
        if rank == raw:
            return Drift(shifts.mean, shifts.error, rank, raw)
        for spread in (SPREAD, 0.0) if unmoved > rank else (0.0,):
            moved = taken_back(counts.matrix, shifts.mean, seed=rank, spread=spread)
            if tracy_widom_rank(moved, level=SETTINGS.drift_level, **noise).rank <= rank:
                return Drift(shifts.mean, shifts.error, rank, raw)
    return None
