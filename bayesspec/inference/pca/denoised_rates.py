"""Denoised rates of principal components, with the uncertainty of scores and components both.

To leading order the errors of a pixel's scores and of a channel's loadings are independent, and the variance of their
product is the sum of both parts: Bai (2003), doi:10.1111/1468-0262.00392, theorem 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

Array = npt.NDArray[np.float64]
_FARTHEST = 30.0
"""Standard deviations from zero at which a mean is cut: the normal tail beyond has no digits left."""


def products_with_errors(
    scores: npt.NDArray[Any],
    score_covariance: npt.NDArray[Any],
    loadings: npt.NDArray[Any],
    covariance: npt.NDArray[Any],
) -> tuple[Array, Array]:
    """Means and variances of scores times loadings.

    Parameters
    ----------
    scores : numpy.ndarray (pixel, component)
        Posterior means of the scores.
    score_covariance : numpy.ndarray (pixel, component, component)
        Their covariances.
    loadings : numpy.ndarray (component, channel)
        Posterior means of the loadings.
    covariance : numpy.ndarray (channel, component, component)
        Their covariances.

    Returns
    -------
    mean, variance : numpy.ndarray (pixel, channel), float64
        Of the products, in their units and their squares.
    """
    a, h = scores.astype(np.float64), loadings.astype(np.float64)
    size, pixels, channels = len(h), len(a), h.shape[1]
    outer_h = (h[:, None] * h[None]).reshape(size * size, channels)
    outer_a = (a[:, :, None] * a[:, None, :]).reshape(pixels, size * size)
    variance = score_covariance.reshape(pixels, -1).astype(np.float64) @ outer_h
    variance += outer_a @ covariance.reshape(channels, -1).astype(np.float64).T
    return a @ h, np.maximum(variance, 0.0)


def log_normal_rates(mean: Array, variance: Array, prob: float) -> dict[str, npt.NDArray[np.float32]]:
    """Statistics of rates whose logarithm is normal.

    Parameters
    ----------
    mean, variance : numpy.ndarray (pixel, channel)
        Of the log rates.
    prob : float
        Probability of the interval.

    Returns
    -------
    dict of numpy.ndarray (pixel, channel), float32
        ``mean``, ``sd``, ``lower`` and ``upper`` of the rates, in counts.
    """
    rate, sd = np.exp(mean + 0.5 * variance), np.sqrt(variance)
    reach = ndtri((1 + prob) / 2) * sd
    statistics = {
        "mean": rate,
        "sd": rate * np.sqrt(np.expm1(np.minimum(variance, 50.0))),
        "lower": np.exp(mean - reach),
        "upper": np.exp(mean + reach),
    }
    return {name: values.astype(np.float32) for name, values in statistics.items()}


def positive_rates(mean: Array, variance: Array, prob: float) -> dict[str, npt.NDArray[np.float32]]:
    """Statistics of rates that are normal and known to be positive.

    Parameters
    ----------
    mean, variance : numpy.ndarray (pixel, channel)
        Of the normal, in counts.
    prob : float
        Probability of the interval.

    Returns
    -------
    dict of numpy.ndarray (pixel, channel), float32
        ``mean``, ``sd``, ``lower`` and ``upper`` of the normal above zero, in counts.
    """
    sd = np.sqrt(np.maximum(variance, 1e-24))
    cut = np.clip(-mean / sd, -_FARTHEST, _FARTHEST)
    above = ndtr(-cut)
    hazard = np.where(cut > 6.0, cut + 1.0 / np.maximum(cut, 1.0), np.exp(-0.5 * cut**2) / np.sqrt(2 * np.pi) / above)
    rate = np.maximum(mean + sd * hazard, 0.0)
    ends = [np.maximum(mean - sd * ndtri(above * (1 - q)), 0.0) for q in ((1 - prob) / 2, (1 + prob) / 2)]
    spread = sd * np.sqrt(np.clip(1.0 + cut * hazard - hazard**2, 1e-6, 1.0))
    statistics = {"mean": rate, "sd": spread, "lower": ends[0], "upper": np.maximum(ends[1], ends[0])}
    return {name: values.astype(np.float32) for name, values in statistics.items()}
