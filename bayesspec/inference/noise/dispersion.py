"""Are counts as noisy as Poisson counts? The bulk of their singular values tells, whatever the spectra look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesspec.image.counts import Counts
from bayesspec.inference.noise.settings import SETTINGS
from bayesspec.inference.noise.singular_values import merge_sparse, noise_values

SCATTERS = (0.0, 0.05, 0.075, 0.1, 0.12, 0.14, 0.16, 0.2, 0.3)
"""Relative standard deviations of the rate that are tried. What becomes of the rank:
``python benchmarks/selection.py --case noise``."""
FEWEST_VALUES = 8
"""Singular values below which their bulk tells nothing."""
_BULK = (0.1, 0.97)
"""Quantiles of the singular values between which they are compared with those of noise."""
_POINTS = 2001
"""Points at which the density of the bulk is integrated."""
_ROUNDS = 4
"""Rounds in which components above the bulk are left out."""


@dataclass(frozen=True)
class NoiseLevel:
    """How noisy counts are.

    Parameters
    ----------
    dispersion : float
        Variance of the noise over that of Poisson counts, in the mean.
    error : float
        Standard error of that if the counts are Poisson; infinite where there are too few to tell.
    scatter : float
        Relative standard deviation of the rate of every entry that explains the noise best, beside `gain`.
    gain : float
        Variance over mean that remains beside that scatter.
    """

    dispersion: float
    error: float
    scatter: float
    gain: float

    @property
    def significance(self) -> float:
        """How many standard errors the dispersion is above one."""
        return (self.dispersion - 1.0) / self.error


def bulk_quantiles(small: int, long: int, probs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Quantiles of the squared singular values of unit noise.

    Parameters
    ----------
    small, long : int
        Sides of the matrix.
    probs : numpy.ndarray (quantile,), float64
        Probabilities.

    Returns
    -------
    numpy.ndarray (quantile,), float64
        Squares of singular values over the longer side.

    Notes
    -----
    Source: Marchenko & Pastur (1967), doi:10.1070/SM1967v001n04ABEH001994.
    """
    ratio = small / long
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    angle = np.linspace(0, np.pi, _POINTS)
    grid = 0.5 * (low + high) - 0.5 * (high - low) * np.cos(angle)
    density = np.square(np.sin(angle)) / np.maximum(grid, 1e-12)
    share = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.interp(probs, share / share[-1], grid)


def noise_level(counts: npt.ArrayLike | Counts, scatters: Sequence[float] = SCATTERS) -> NoiseLevel:
    """Compare the bulk of the singular values with that of Poisson noise.

    Components stand above the bulk, so lines, edges and their shapes do not matter.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        Counts.
    scatters : sequence of float
        Relative scatters to try, 0 first.

    Returns
    -------
    NoiseLevel
        Dispersion with its error, and the scatter and gain that describe it.

    Raises
    ------
    InputError
        When the counts cannot be used.
    """
    merged = merge_sparse(Counts.of(counts).matrix)
    small, long = sorted(merged.shape)
    if small < FEWEST_VALUES:
        return NoiseLevel(1.0, np.inf, 0.0, 1.0)
    expected = merged.sum(axis=1, keepdims=True) * merged.sum(axis=0) / merged.sum()
    # the variance of a squared standardised count is 2 + 1 / mean; half the values are used, with their order
    error = float(np.sqrt(2.0 * (2.0 + (1.0 / expected).mean()) / merged.size))
    fits = [_against_noise(noise_values(merged, scatter), small, long) for scatter in scatters]
    best = int(np.argmin([distance for _, distance in fits]))
    if fits[0][1] < fits[best][1] * SETTINGS.scatter_helps:
        best = 0  # a scatter that hardly helps is none
    return NoiseLevel(fits[0][0], error, scatters[best], fits[best][0])


def _against_noise(values: npt.NDArray[np.float64], small: int, long: int) -> tuple[float, float]:
    """Level of the noise, and how far the bulk is from that of unit noise at this level; components are left out."""
    squares, level, above = np.square(values)[::-1], 1.0, 0
    distance = np.inf
    for _ in range(_ROUNDS):
        count = small - above
        places = (np.arange(count) + 0.5) / count
        use = (places > _BULK[0]) & (places < _BULK[1])
        unit = bulk_quantiles(count, long - above, places) * (1.0 - above / long)
        level = float(np.median(squares[:count][use] / unit[use]))
        distance = float(np.abs(squares[:count][use] / level / unit[use] - 1.0).mean())
        edge = (1.0 + np.sqrt(small / long)) ** 2 * (1.0 + small ** (-2.0 / 3.0))
        above = min(int((squares > edge * level).sum()), small // 2)
    return level, distance


def dispersion(counts: npt.ArrayLike | Counts) -> float:
    """Estimate the variance of the noise over its mean: 1 for Poisson counts, the gain for scaled ones.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        Counts.

    Returns
    -------
    float
        Variance over mean; 1 where there are too few counts to tell.

    Raises
    ------
    InputError
        When the counts cannot be used.
    """
    level = noise_level(counts, (0.0,))
    return level.dispersion if abs(level.significance) > 3.0 else 1.0
