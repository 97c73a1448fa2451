"""What the other pixels say about a pixel's phase.

The utilities of the phases may depend on anything but the pixel's own division of counts over channels. So each pixel's
counts are used once for its own composition, and the fit stays a maximum of conditional likelihoods. All covariates
are one number a phase, and have slopes that the phases share: they do not become more with the phases.

First, the log probabilities of the other pixels, each by its own counts, added up over Gaussians; log(0.1 + r) is
the log likelihood where phases are alike, and says no more than "another" where they are not. Then, in a second round,
the logarithm of the mean probability of the pixels around, each computed from all counts but those of the pixel that
it is told to (leave-one-out messages): sharper than sums where patches have edges.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesspec.inference.mixture.coherence import gaussian, of_others

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SCALES = (1.0, 2.0, 4.0, 8.0)
"""Widths of the Gaussians over log probabilities, pixels."""
MESSAGE_SCALES = (0.7, 1.2, 2.0)
"""Widths of the Gaussians over probabilities in the second round, pixels."""
IMPURITY_SCALE = 1
"""Place among the scales of messages of the one that says how pure the pixels around are."""
REACH = 4
"""Pixels as far as which a pixel hears of the probabilities of others."""
LEAST_PROBABILITY = 0.1
"""What is added to the probability of a phase before its logarithm: a pixel of another phase says no more than that."""
LEAST_SHARE = 0.02
"""What is added to a mean probability around a pixel, so that its logarithm is bounded."""
COVARIATES = len(SCALES) + len(MESSAGE_SCALES)


class Votes(NamedTuple):
    """The first covariates, and what they are made of.

    Attributes
    ----------
    covariates : ndarray of float64, (y, x, scale, phase)
        Sums over the other pixels around, each scale divided by the standard deviation of its contrasts of phases.
    log_probability : ndarray of float64, (y, x, phase)
        What each pixel adds, 0 where it is excluded.
    kernels : list of ndarray of float64, (weight,)
        Weights along either axis.
    sizes : list of float
        What the sums are divided by; infinite for a scale that the map is too small for.
    """

    covariates: Floats
    log_probability: Floats
    kernels: list[Floats]
    sizes: list[float]


def votes(probability: Floats, here: Mask) -> Votes:
    """Add up the log probabilities of the phases over the other pixels.

    Parameters
    ----------
    probability : ndarray of float64, (y, x, phase)
        Probability of each phase by the counts of the pixel alone.
    here : ndarray of bool, (y, x)
        Pixels that count.

    Returns
    -------
    Votes
        For Gaussians of 1, 2, 4 and 8 pixels, as far as the map is eight times as wide; 0 for the others.
    """
    log_probability = np.where(here[:, :, None], np.log(LEAST_PROBABILITY + probability), 0.0)
    kernels = [gaussian(scale) for scale in SCALES]
    fits = [scale <= max(min(here.shape) / 8, SCALES[0]) for scale in SCALES]
    sums = [of_others(log_probability, kernel) for kernel in kernels]
    sizes = [_contrast(each, here) if fit else np.inf for each, fit in zip(sums, fits, strict=True)]
    covariates = np.stack([each / size for each, size in zip(sums, sizes, strict=True)], axis=2)
    return Votes(covariates, log_probability, kernels, sizes)


class Messages(NamedTuple):
    """The second covariates (y, x, scale, phase), and the probability of another phase around, (y, x)."""

    covariates: Floats
    impurity: Floats


def messages(first: Votes, log_likelihood: Floats, utilities: Floats, slopes: Floats, here: Mask) -> Messages:
    """Mean probabilities of the phases around each pixel, to which the pixel itself has said nothing.

    Pixel m takes away from its utilities what pixel n added to them, sum_j b[j] k_j(m - n) L[n] / size[j], before it
    tells n the probabilities that its own counts then give.

    Parameters
    ----------
    first : Votes
        First covariates.
    log_likelihood : ndarray of float64, (y, x, phase)
        Log likelihood of each pixel under each phase.
    utilities : ndarray of float64, (y, x, phase)
        Utilities of a fit with the first covariates.
    slopes : ndarray of float64, (scale,)
        Its slopes on them.
    here : ndarray of bool, (y, x)
        Pixels that count.

    Returns
    -------
    Messages
        Logarithms of the mean probabilities over pixels at most `REACH` away, weighed by Gaussians, each scale divided
        by the standard deviation of its contrasts of phases; and the probability that is not the largest phase's.
    """
    terms = log_likelihood + utilities
    sums = np.zeros((len(MESSAGE_SCALES), *terms.shape))
    for offset in _offsets(here.shape):
        of, to = _shifts(here.shape, offset)
        message = sum(
            slope * _weight(kernel, offset) / size
            for slope, kernel, size in zip(slopes, first.kernels, first.sizes, strict=True)
        )
        left = terms[of] - message * first.log_probability[to]
        left = np.exp(left - left.max(axis=2, keepdims=True))
        left *= (here[of] / left.sum(axis=2))[:, :, None]
        square = offset[0] ** 2 + offset[1] ** 2
        for place, scale in enumerate(MESSAGE_SCALES):
            sums[place][to] += np.exp(-0.5 * square / scale**2) * left
    means = [each / np.maximum(each.sum(axis=2, keepdims=True), 1e-12) for each in sums]
    logs = [np.log(LEAST_SHARE + mean) for mean in means]
    covariates = np.stack([each / _contrast(each, here) for each in logs], axis=2)
    impurity = np.maximum(means[IMPURITY_SCALE].sum(axis=2) - means[IMPURITY_SCALE].max(axis=2), 0.0)
    return Messages(covariates, impurity)


def _contrast(values: Floats, here: Mask) -> float:
    """Standard deviation of the contrasts of the phases, over the pixels that count."""
    centred = (values - values.mean(axis=2, keepdims=True))[here]
    return max(float(np.sqrt(np.square(centred).mean())), 1e-9)


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
    inside = max(abs(step) for step in offset) <= middle
    return float(kernel[middle + offset[0]] * kernel[middle + offset[1]]) if inside else 0.0
