"""Deviance of Poisson counts: what it is, and what it would be on average if the rates were right."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, xlogy

Array = npt.NDArray[np.float64]
_LOWEST, _HIGHEST, _POINTS = 1e-8, 400.0, 400
"""Smallest and largest rate of the table of moments, in counts, and its number of rates; above the largest a series in
1 / rate takes over, below the smallest the moments are those at it."""


def deviance(counts: npt.ArrayLike, rates: Array) -> Array:
    """Deviance of every count.

    Parameters
    ----------
    counts : array, integer
        Counts, any shape.
    rates : numpy.ndarray, the same shape, float64
        Rates above zero, in counts.

    Returns
    -------
    numpy.ndarray, the same shape, float64
        2 (x log(x / r) - x + r).
    """
    x = np.asarray(counts, np.float64)
    return np.asarray(2.0 * (xlogy(x, np.maximum(x, 1.0) / rates) - x + rates), np.float64)


@cache
def _moments() -> tuple[Array, Array, Array]:
    """Logarithms of rates, and mean and variance of the deviance there."""
    rates = np.geomspace(_LOWEST, _HIGHEST, _POINTS)
    x = np.arange(int(_HIGHEST + 12 * np.sqrt(_HIGHEST)) + 10, dtype=np.float64)
    weights = np.exp(xlogy(x, rates[:, None]) - rates[:, None] - gammaln(x + 1.0))
    values = deviance(np.broadcast_to(x, weights.shape), rates[:, None] * np.ones_like(weights))
    mean = (weights * values).sum(axis=1)
    return np.log(rates), mean, (weights * np.square(values)).sum(axis=1) - mean**2


def expected_deviance(rates: Array) -> tuple[Array, Array]:
    """Mean and variance of the deviance of Poisson counts of known rates.

    Parameters
    ----------
    rates : numpy.ndarray, float64
        Rates in counts, any shape.

    Returns
    -------
    mean, variance : numpy.ndarray, the same shape, float64
        Near 1 and 2 for large rates; 0 for no rate.
    """
    logs, mean, variance = _moments()
    place = np.log(np.clip(rates, _LOWEST, _HIGHEST))
    large = np.maximum(rates, _HIGHEST)
    return (
        np.where(rates > _HIGHEST, 1.0 + 1.0 / (6.0 * large), np.interp(place, logs, mean)),
        np.where(rates > _HIGHEST, 2.0 + 2.0 / (3.0 * large), np.interp(place, logs, variance)),
    )


# How far off a model is beyond the noise of the counts


def model_error(counts: npt.NDArray[Any], rate: npt.NDArray[np.float64]) -> float:
    """Estimate the relative error of a rate per channel, beyond Poisson noise.

    Parameters
    ----------
    counts : array, shape (channel,)
        Counts.
    rate : array, shape (channel,), float64
        Fitted counts.

    Returns
    -------
    float
        The f at which the squared deviations equal rate + (f rate)^2 on average; 0 where the rate alone is enough.
    """
    excess = np.square(counts - rate) / np.maximum(rate, 1.0)
    if excess.mean() < 1.0 + 4.0 / np.sqrt(len(rate)):
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if (excess / (1 + middle**2 * np.maximum(rate, 1))).mean() > 1 else (low, middle)
    return high
