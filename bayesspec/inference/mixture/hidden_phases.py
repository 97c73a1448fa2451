"""Phases that hide behind another one: pixels of one phase that deviate from it as their neighbours do.

Two phases that the counts of single pixels cannot tell apart look like one. Where the pixels of that one are hardly
ever taken for another phase, its residuals are independent between pixels if it is one phase, and alike in
neighbouring pixels if it is two. The direction of the likeness says how the two differ, and the residuals of the
*other* pixels around say which of the two a pixel is: with these as covariates of the weights the search for the two
starts where it cannot lose its way.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.special import log_softmax

from bayesspec.inference.mixture.coherence import coherence, gaussian, of_others, scales_of
from bayesspec.inference.mixture.fit import Floats, MixtureFit
from bayesspec.inference.mixture.fit_number import with_covariates
from bayesspec.inference.mixture.settings import SETTINGS

UNEVEN_WIDTHS = (0.7, 1.5, 5.0)
"""Widths of the Gaussians there, pixels, of those of `coherence.SCALES` that fit the map."""
WIDTHS = (1.0, 2.0, 4.0, 8.0)
"""Widths of the Gaussians over the residuals that tell the two apart, pixels."""
FEW_COUNTS = 0.2
"""Counts added to those around a pixel, as a part of a pixel's mean: where there are hardly any the mean residual is
small, not wild."""
LARGEST_COVARIATE = 4.0
"""Bound of a covariate, in its standard deviations."""
FIRST_SLOPE = 0.7
"""Slope of the weights that the search starts from, of either sign in the two phases: log odds for each standard
deviation of the covariate of 4 pixels."""


class Hidden(NamedTuple):
    """A phase that looks like two.

    Attributes
    ----------
    phase : int
        Its number.
    score : float
        Likeness of neighbouring residuals, about N(0, 1) for one phase.
    shift : ndarray of float64, (channel,)
        Change of the log composition from the mean of the two to one of them.
    """

    phase: int
    score: float
    shift: Floats


def hidden_phases(fit: MixtureFit, counts: NDArray[np.integer], *, mask: NDArray[np.bool_]) -> list[Hidden]:
    """Find the phases of a fit that look like two.

    Parameters
    ----------
    fit : MixtureFit
        A fit without covariates or scatter.
    counts : ndarray of int, (y, x, channel)
        Counts that were fitted.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    list of Hidden
        The most likely first. Phases that overlap with others are left out: what is one phase more of those, and
        what a pixel taken for another phase, this score does not tell apart.
    """
    kept = np.where(mask[:, :, None], 0, counts).astype(np.float64)
    measured = kept.sum(axis=2) > 0
    own = np.where(measured[:, :, None], fit.responsibilities.reshape(*measured.shape, -1), 0.0)
    unsure = (own * (1.0 - own)).sum(axis=(0, 1)) / np.maximum(own.sum(axis=(0, 1)), 1.0)
    looked = [_looked(k, own[:, :, k], kept) for k in range(fit.n_phases) if unsure[k] < SETTINGS.overlap]
    return sorted((found for found in looked if found.score > SETTINGS.hidden_score), key=lambda found: -found.score)


def uneven_phases(responsibilities: Floats, counts: NDArray[np.integer], *, mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """Find the phases whose pixels deviate from the phase as their neighbours do, once neighbours label the pixels.

    Parameters
    ----------
    responsibilities : ndarray of float64, (pixel, phase)
        Probability of each phase in each pixel, by its counts and its neighbours; phases may overlap.
    counts : ndarray of int, (y, x, channel)
        Counts in the channels that tell compositions apart; others make the score blunt.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    tuple of int
        Phases that are more than one composition, though what the others are these counts do not tell.
    """
    kept = np.where(mask[:, :, None], 0, counts).astype(np.float64)
    own = np.where((kept.sum(axis=2) > 0)[:, :, None], responsibilities.reshape(*mask.shape, -1), 0.0)
    widths = [width for width in scales_of(mask.shape) if width in UNEVEN_WIDTHS]
    scores = [max(_scores(own[:, :, k], kept, widths).values()) for k in range(own.shape[2])]
    return tuple(k for k, score in enumerate(scores) if score > SETTINGS.uneven_score)


def split_hidden(
    fit: MixtureFit, hidden: list[Hidden], counts: NDArray[np.integer], dose: Floats, *, mask: NDArray[np.bool_]
) -> MixtureFit:
    """Fit again with each of these phases split in two; the new phases come last, in the order given.

    Parameters
    ----------
    fit : MixtureFit
        A fit without covariates or scatter.
    hidden : list of Hidden
        Phases to split.
    counts : ndarray of int, (y, x, channel)
        Counts that were fitted.
    dose : ndarray of float64, (y, x, covariate)
        Covariates of the weights by dose.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    MixtureFit
        With weights that follow the residuals of the other pixels around along each split, and the dose.
    """
    kept = np.where(mask[:, :, None], 0, counts).astype(np.float64)
    own = fit.responsibilities.reshape(*mask.shape, -1)
    around = [_around(kept, own[:, :, found.phase], found.shift) for found in hidden]
    covariates = np.concatenate([*around, dose], axis=2)
    old = [found.phase for found in hidden]
    new = fit.n_phases + np.arange(len(old))
    shifts = np.array([found.shift for found in hidden])
    log_shares = np.concatenate([fit.log_composition, fit.log_composition[old] - shifts])
    log_shares[old] += shifts
    weights = np.zeros((len(log_shares), 1 + covariates.shape[2]))
    weights[:, 0] = np.concatenate([fit.weights[:, 0], fit.weights[old, 0] - np.log(2.0)])
    weights[old, 0] -= np.log(2.0)
    slopes = 1 + len(WIDTHS) * np.arange(len(old)) + WIDTHS.index(4.0)
    weights[old, slopes], weights[new, slopes] = FIRST_SLOPE, -FIRST_SLOPE
    start = replace(fit, log_composition=log_softmax(log_shares, axis=1))
    return with_covariates(start, counts, covariates, mask=mask, weights=weights - weights.mean(axis=0))


def _looked(phase: int, own: Floats, kept: Floats) -> Hidden:
    """Score of one phase and the direction of the likeness, at the width where it is clearest."""
    residuals, root = _residuals(own, kept)
    totals = own * kept.sum(axis=2)
    scores = _scores(own, kept, scales_of(own.shape))
    kernel = gaussian(max(scores, key=lambda scale: scores[scale]))
    weight = (totals * of_others(totals, kernel)).sum()
    product = np.einsum("yxc,yxd->cd", residuals, of_others(residuals, kernel)) / max(weight, 1e-12)
    values, vectors = eigh(0.5 * (product + product.T))
    size = np.sqrt(max(values[-1], 0.0))
    return Hidden(phase, max(scores.values()), np.clip(size * vectors[:, -1] / root, -1.0, 1.0))


def _residuals(own: Floats, kept: Floats) -> tuple[Floats, Floats]:
    """Standardised residuals of one phase (y, x, channel), and the roots of its composition (channel,)."""
    share = _pooled(own, kept)
    root = np.sqrt(share)
    return own[:, :, None] * (kept - kept.sum(axis=2, keepdims=True) * share) / root, root


def _scores(own: Floats, kept: Floats, widths: list[float]) -> dict[float, float]:
    """Likeness of neighbouring residuals at each width."""
    residuals, variance = _residuals(own, kept)[0], own**2 * kept.sum(axis=2)
    return {width: coherence(residuals, variance, width) for width in widths}


def _around(kept: Floats, own: Floats, shift: Floats) -> Floats:
    """Residuals of the other pixels of a phase along a direction, smoothed: (y, x, width)."""
    share = _pooled(own, kept)
    totals = own * kept.sum(axis=2)
    along = own * ((kept - kept.sum(axis=2, keepdims=True) * share) @ (shift - shift @ share))
    few = FEW_COUNTS * totals.sum() / max(own.sum(), 1.0)
    return np.stack([_smoothed(along, totals, own, few, width) for width in WIDTHS], axis=2)


def _smoothed(along: Floats, totals: Floats, own: Floats, few: float, width: float) -> Floats:
    kernel = gaussian(width)
    mean = of_others(along, kernel) / (of_others(totals, kernel) + few)
    mean = mean - np.average(mean, weights=own)
    spread = np.sqrt(np.average(mean**2, weights=own))
    return np.clip(mean / max(spread, 1e-12), -LARGEST_COVARIATE, LARGEST_COVARIATE)


def _pooled(own: Floats, kept: Floats) -> Floats:
    summed = np.maximum(np.einsum("yx,yxc->c", own, kept), 1e-12)
    return summed / summed.sum()
