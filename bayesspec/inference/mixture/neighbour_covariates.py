"""What neighbouring pixels say about a pixel's phase.

The weights of the mixture may depend on anything but the pixel's own division of counts over channels. Smoothed
residuals of the *other* pixels qualify: each pixel's counts are then used once for its own composition, and the fit
stays a maximum of conditional likelihoods. So do, in a second round, the probabilities of the pixels around, each
computed from all counts but those of the pixel that it is told to: sharper than sums where patches have edges.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bayesspec.inference.mixture.coherence import gaussian, of_others
from bayesspec.inference.mixture.fit import MixtureFit

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SCALES = (1.0, 2.0, 4.0, 8.0)
"""Widths of the Gaussians over residuals for two phases, pixels. Coverage and labels with them:
``python benchmarks/segmentation.py --grains 2.5 6``."""
FEWER_SCALES = (1.5, 5.0)
"""The same for more phases, where each width costs more coefficients:
``python benchmarks/segmentation.py --case four``."""
MESSAGE_SCALES = (0.7, 1.2, 2.0)
"""Widths of the Gaussians over probabilities in the second round, pixels, for two phases."""
REACH = 4
"""Pixels as far as which a pixel hears of the probabilities of others."""
LEAST_SHARE = 0.02
"""What is added to the share of either phase around a pixel, so that its log odds are bounded."""


class Residuals(NamedTuple):
    """Residuals (y, x, direction) along the contrasts of the phases, totals and used pixels (y, x)."""

    values: Floats
    totals: Floats
    here: Mask


def neighbour_covariates(counts: NDArray[np.integer], fit: MixtureFit, *, mask: Mask | None = None) -> Floats:
    """Smooth the residuals of the other pixels along the directions in which the phases differ.

    Parameters
    ----------
    counts : ndarray of int, (y, x, channel)
        Counts.
    fit : MixtureFit
        Two phases or more, whose compositions span the directions.
    mask : ndarray of bool, (y, x), optional
        True = excluded.

    Returns
    -------
    ndarray of float64, (y, x, direction * scale)
        For each direction, of which there are (phases - 1) or (channels - 1), whichever is fewer, and each width of
        the Gaussian: the mean residual per count of the pixels around, the pixel itself left out, shifted and scaled
        to mean 0 and variance 1 over the pixels that are kept.
    """
    residuals = _residuals(counts, fit, mask)
    around = [_around(residuals, scale)[0] for scale in _scales(residuals, fit)]
    return np.concatenate([_standardised(mean, residuals.here) for mean in around], axis=2)


def cavity_covariates(
    counts: NDArray[np.integer], start: MixtureFit, labelled: MixtureFit, *, mask: Mask | None = None
) -> Floats:
    """Log odds of two phases around each pixel, from probabilities to which the pixel itself has said nothing.

    With the slopes b of the weights, the probability of pixel m without what pixel n has told it has the log odds
    that the fit gives, less e[n] sum_i b[i] k_i(m - n) / (W_i[m] s[i]): e is the residual of n, k_i the Gaussian, W_i
    the counts around m that it weighs, and s[i] the standard deviation that the covariate was divided by.

    Parameters
    ----------
    counts : ndarray of int, (y, x, channel)
        Counts.
    start : MixtureFit
        The two phases that ``neighbour_covariates`` were computed with.
    labelled : MixtureFit
        The same two, fitted with these covariates, the first of its covariates.
    mask : ndarray of bool, (y, x), optional
        True = excluded.

    Returns
    -------
    ndarray of float64, (y, x, scale)
        Standardised log odds of the mean probability within `REACH` pixels, weighed by a Gaussian of each width.
    """
    residuals = _residuals(counts, start, mask)
    slopes = labelled.weights[0, 1:] - labelled.weights[1, 1:]
    messages = [
        (gaussian(scale), slope / (weighed * np.maximum(mean[residuals.here].std(), 1e-12)))
        for scale, slope in zip(_scales(residuals, start), slopes, strict=False)
        for mean, weighed in [_around(residuals, scale)]
    ]
    own = np.log(np.maximum(labelled.responsibilities, 1e-13))
    odds = (own[:, 0] - own[:, 1]).reshape(residuals.here.shape)
    sums = np.zeros((2, len(MESSAGE_SCALES), *odds.shape))
    for offset in _offsets(odds.shape):
        of, to = _shifts(odds.shape, offset)
        by_pixel = sum(_weight(kernel, offset) * per_residual[of] for kernel, per_residual in messages)
        probability = expit(odds[of] - by_pixel * residuals.values[:, :, 0][to]) * residuals.here[of]
        for place, scale in enumerate(MESSAGE_SCALES):
            near = np.exp(-0.5 * (offset[0] ** 2 + offset[1] ** 2) / scale**2)
            sums[0, place][to] += near * probability
            sums[1, place][to] += near * residuals.here[of]
    first, both = sums[0] + LEAST_SHARE * sums[1] + 1e-12, (1.0 + 2.0 * LEAST_SHARE) * sums[1] + 2e-12
    return _standardised(np.moveaxis(np.log(first / (both - first)), 0, 2), residuals.here)


def _residuals(counts: NDArray[np.integer], fit: MixtureFit, mask: Mask | None) -> Residuals:
    here = np.ones(np.shape(counts)[:2], bool) if mask is None else ~np.asarray(mask)
    kept = np.where(here[:, :, None], counts, 0).astype(np.float64)
    pooled = np.maximum(kept.sum(axis=(0, 1)) / kept.sum(), 1e-12)
    totals = kept.sum(axis=2)
    contrasts = (np.exp(fit.log_composition) - pooled) / np.sqrt(pooled)
    directions = np.linalg.svd(contrasts, full_matrices=False)[2]
    directions = directions[: min(fit.n_phases, len(pooled)) - 1]
    return Residuals((kept - totals[:, :, None] * pooled) / np.sqrt(pooled) @ directions.T, totals, here)


def _scales(residuals: Residuals, fit: MixtureFit) -> list[float]:
    wanted = SCALES if fit.n_phases == 2 else FEWER_SCALES  # every width costs (phases - 1) x phases coefficients
    return [scale for scale in wanted if scale <= min(residuals.here.shape) / 8] or [wanted[0]]


def _around(residuals: Residuals, scale: float) -> tuple[Floats, Floats]:
    """Mean residual per count of the pixels around (y, x, direction), and their counts as the Gaussian weighs them."""
    kernel = gaussian(scale)
    counted = np.maximum(of_others(residuals.totals, kernel), 1e-9 * residuals.totals.mean())
    return of_others(residuals.values, kernel) / counted[:, :, None], counted


def _standardised(values: Floats, here: Mask) -> Floats:
    centred = values - values[here].mean(axis=0)
    return np.where(here[:, :, None], centred / np.maximum(centred[here].std(axis=0), 1e-12), 0.0)


def _offsets(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Steps along y and x to the other pixels within reach, in a map that may be a few pixels wide."""
    along_y, along_x = (range(1 - min(size, REACH + 1), min(size, REACH + 1)) for size in shape)
    return [(y, x) for y in along_y for x in along_x if 0 < y**2 + x**2 <= REACH**2]


def _shifts(shape: tuple[int, ...], offset: tuple[int, int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the pixels lie that are an offset away from others, and where these lie."""
    of = tuple(slice(max(0, step), size + min(0, step)) for step, size in zip(offset, shape, strict=True))
    to = tuple(slice(max(0, -step), size + min(0, -step)) for step, size in zip(offset, shape, strict=True))
    return of, to


def _weight(kernel: Floats, offset: tuple[int, int]) -> float:
    middle = len(kernel) // 2
    return float(kernel[middle + offset[0]] * kernel[middle + offset[1]])
