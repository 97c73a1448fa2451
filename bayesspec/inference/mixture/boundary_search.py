"""From a mixture whose pixels hold one phase each to phases whose boundaries run through pixels.

A mixture takes the pixels on a boundary for phases of their own. These lie between two others in composition, and the
pixels around them say something else. Such phases are left out, the others are fitted with pixels that hold two, and
then every phase goes without which the counts are explained as well, and phases are split whose pixels deviate from
what they are said to hold as their neighbours do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.special import log_softmax

from bayesspec.inference.mixture.boundary_fit import NeighbourFit, fit_neighbours
from bayesspec.inference.mixture.coherence import coherence, gaussian, of_others, scales_of
from bayesspec.inference.mixture.fit import MixtureFit
from bayesspec.inference.mixture.hidden_phases import Hidden
from bayesspec.inference.mixture.settings import SETTINGS

Floats = NDArray[np.float64]
Counts = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]

AROUND = 1.2
"""Width of the Gaussian over the pixels around, pixels."""
TRIED = 2
"""Phases, the least needed ones, without which a fit is tried."""


def boundary_phases(start: MixtureFit, numbers: Sequence[int], counts: Counts, mask: Mask) -> NeighbourFit | None:
    """Look for pixels that hold two phases.

    Parameters
    ----------
    start : MixtureFit
        Fit of pixels that hold one phase each.
    numbers : sequence of int
        The numbers of phases to choose from.
    counts : ndarray of int, (y, x, channel)
        Counts that were fitted.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    NeighbourFit or None
        None where `start` has one phase, or the pixels around say little of a pixel's phase. Whether pixels hold two is
        not decided: both answers are in the fit, weighed by their evidence.
    """
    if start.n_phases == 1:
        return None
    fewest = max(2, min(numbers))
    fit = _without_boundaries(start, fewest, counts, mask)
    everywhere = (
        fit.boundary_share > SETTINGS.most_boundary
    )  # no ratios of phases are given, and their number says nothing
    fit = fit if everywhere else _needed(fit, fewest, counts, mask)
    while fit.n_phases < max(numbers) and not everywhere:
        split = _split(fit, counts, mask)
        if split is None:
            break
        fit = split
    known = fit.convergence.definite and fit.n_phases in numbers
    return fit if known and _told_by_neighbours(fit) > SETTINGS.coherent else None


def _told_by_neighbours(fit: NeighbourFit) -> float:
    """How much the pixels around say of a phase: 0 where its area says as much, 1 where they say all."""
    by_area = float(np.square(fit.likelier.areas).sum())
    by_neighbours = float((fit.shares * fit.weights)[fit.here].sum() / fit.here.sum())
    return (by_neighbours - by_area) / max(1.0 - by_area, 1e-12)


def _without_boundaries(start: MixtureFit, fewest: int, counts: Counts, mask: Mask) -> NeighbourFit:
    """Fit without the phases that look like boundaries of others."""
    kept = list(range(start.n_phases))
    foretold = _foretold(start, mask)
    while len(kept) > fewest:
        between = distance_between(start.log_composition[kept])
        found = [
            k
            for k, near in zip(kept, between, strict=True)
            if near < SETTINGS.between and foretold[k] < SETTINGS.foretold
        ]
        if not found:
            break
        kept.remove(min(found, key=lambda k: foretold[k]))
    areas = start.responsibilities[:, kept].mean(axis=0)
    return fit_neighbours(counts, start.log_composition[kept], areas / areas.sum(), mask)


def _foretold(start: MixtureFit, mask: Mask) -> Floats:
    """Mean probability of each phase around its own pixels, (phase,)."""
    own = np.where(mask[:, :, None], 0.0, start.responsibilities.reshape(*mask.shape, -1))
    around = of_others(own, gaussian(AROUND))
    around /= np.maximum(around.sum(axis=2, keepdims=True), 1e-12)
    return np.asarray((own * around).sum(axis=(0, 1)) / np.maximum(own.sum(axis=(0, 1)), 1e-12))


def distance_between(log_composition: Floats) -> Floats:
    """Distance of each phase from the nearest mixture of two others, in units of the distance of these.

    Parameters
    ----------
    log_composition : ndarray of float64, (phase, channel)
        Logarithm of the share of each channel.

    Returns
    -------
    ndarray of float64, (phase,)
        Infinite where every mixture is nearly one of the two.
    """
    shares = np.exp(log_composition)
    found = np.full(len(shares), np.inf)
    for j, own in enumerate(shares):
        others = [k for k in range(len(shares)) if k != j]
        for place, k in enumerate(others):
            for other in others[:place]:
                change, rest = shares[k] - shares[other], own - shares[other]
                length = max(float((change**2 / own).sum()), 1e-30)
                share = float((change * rest / own).sum()) / length
                if 0.02 < share < 0.98:
                    off = float((np.square(rest - share * change) / own).sum())
                    found[j] = min(found[j], np.sqrt(off / length))
    return found


def _needed(fit: NeighbourFit, fewest: int, counts: Counts, mask: Mask) -> NeighbourFit:
    """Leave out, one after the other, the phases without which the counts are explained as well."""
    while fit.n_phases > fewest:
        trials = (_without(fit, k, counts, mask) for k in np.argsort(_losses(fit, counts))[:TRIED])
        better = next((trial for trial in trials if trial.bic < fit.bic), None)
        if better is None:
            return fit
        fit = better
    return fit


def _losses(fit: NeighbourFit, counts: Counts) -> Floats:
    """Log likelihood that is lost without each phase where all others stay as they are, nats, (phase,)."""
    weights = np.maximum(fit.weights, 1e-300)
    terms = np.log(weights) + counts.reshape(len(weights), -1) @ fit.log_composition.T
    whole = np.logaddexp.reduce(terms, axis=1)
    rest = [np.logaddexp.reduce(np.delete(terms, k, 1), axis=1) for k in range(fit.n_phases)]
    gained = np.log(np.maximum(1.0 - weights, 1e-12))
    return np.array([(whole - left + gained[:, k]).sum() for k, left in enumerate(rest)])


def _without(fit: NeighbourFit, phase: int, counts: Counts, mask: Mask) -> NeighbourFit:
    areas = np.delete(fit.likelier.areas, phase)
    return fit_neighbours(counts, np.delete(fit.log_composition, phase, 0), areas / areas.sum(), mask)


def deviating(fit: NeighbourFit, counts: Counts, mask: Mask) -> list[Hidden]:
    """Find the phases whose pixels deviate from what they are said to hold as their neighbours do.

    Parameters
    ----------
    fit : NeighbourFit
        Phases and shares.
    counts : ndarray of int, (y, x, channel)
        Counts that were fitted.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    list of Hidden
        The most certain first; none where too many shares are in doubt.
    """
    likelier = fit.likelier
    if likelier.doubt > SETTINGS.labels_in_doubt:
        return []
    kept = np.where(mask[:, :, None], 0, counts).astype(np.float64)
    totals = kept.sum(axis=2)
    residuals = kept - totals[:, :, None] * (likelier.shares @ np.exp(likelier.log_composition)).reshape(kept.shape)
    own = np.square(likelier.shares).reshape(*mask.shape, -1)
    looked = [_looked(k, own[:, :, k], residuals, totals, likelier.log_composition[k]) for k in range(fit.n_phases)]
    return sorted((found for found in looked if found.score > SETTINGS.hidden_score), key=lambda found: -found.score)


def _looked(phase: int, own: Floats, residuals: Floats, totals: Floats, log_composition: Floats) -> Hidden:
    """Score of one phase and the direction of the likeness, at the width where it is clearest."""
    root = np.exp(0.5 * log_composition)
    standard = own[:, :, None] * residuals / root
    scores = {scale: coherence(standard, np.square(own) * totals, scale) for scale in scales_of(own.shape)}
    kernel = gaussian(max(scores, key=lambda scale: scores[scale]))
    weight = (own * totals * of_others(own * totals, kernel)).sum()
    product = np.einsum("yxc,yxd->cd", standard, of_others(standard, kernel)) / max(weight, 1e-12)
    values, vectors = eigh(0.5 * (product + product.T))
    shift = np.sqrt(max(values[-1], 0.0)) * vectors[:, -1] / root
    return Hidden(phase, max(scores.values()), np.clip(shift, -1.0, 1.0))


def _split(fit: NeighbourFit, counts: Counts, mask: Mask) -> NeighbourFit | None:
    """Divide the phase that deviates most, where that explains the counts better."""
    for found in deviating(fit, counts, mask)[:TRIED]:
        k, log_composition, areas = found.phase, fit.log_composition.copy(), fit.likelier.areas.copy()
        new = log_composition[k] - found.shift
        log_composition[k] += found.shift
        areas[k] /= 2.0
        log_composition = log_softmax(np.concatenate([log_composition, new[None]]), axis=1)
        trial = fit_neighbours(counts, log_composition, np.append(areas, areas[k]), mask)
        if trial.bic < fit.bic:
            return trial
    return None
