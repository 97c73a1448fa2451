"""From a mixture whose pixels hold one phase each to phases whose boundaries run through pixels.

A mixture takes the pixels on a boundary for phases of their own. These lie between two others in composition, and the
pixels around them say something else. Such phases are left out, the others are fitted with pixels that hold two, and
then every phase without which the counts are explained as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesspec.inference.mixture.boundary_fit import NeighbourFit, fit_neighbours
from bayesspec.inference.mixture.coherence import gaussian, of_others
from bayesspec.inference.mixture.fit import MixtureFit

Floats = NDArray[np.float64]
Counts = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]

BETWEEN = 0.25
"""Distance from the line between two phases, in units of their distance, within which a phase lies between them:
``python benchmarks/realistic.py --case lines``."""
FORETOLD = 0.45
"""Probability by the pixels around below which a phase can be a boundary: a stripe one pixel wide is foretold by a
third of its neighbours, a grain by most. The same benchmark."""
AROUND = 1.2
"""Width of the Gaussian over the pixels around, pixels."""
TWO_SEEN = 0.9
"""Probability of pixels of two phases from which they are part of the answer: ``python benchmarks/segmentation.py``,
whose pixels hold one phase each, and ``python benchmarks/realistic.py``."""
TRIED = 2
"""Phases, the least needed ones, without which a fit is tried."""


def boundary_phases(start: MixtureFit, counts: Counts, mask: Mask) -> NeighbourFit | None:
    """Look for pixels that hold two phases.

    Parameters
    ----------
    start : MixtureFit
        Fit of pixels that hold one phase each.
    counts : ndarray of int, (y, x, channel)
        Counts that were fitted.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    NeighbourFit or None
        As many phases as `start` or fewer; None where it has one phase, or no pixels of two are seen.
    """
    if start.n_phases == 1:
        return None
    fit = _needed(_without_boundaries(start, counts, mask), counts, mask)
    return fit if fit.probability > TWO_SEEN and fit.convergence.definite else None


def _without_boundaries(start: MixtureFit, counts: Counts, mask: Mask) -> NeighbourFit:
    """Fit without the phases that look like boundaries of others."""
    kept = list(range(start.n_phases))
    foretold = _foretold(start, mask)
    while len(kept) > 2:
        between = distance_between(start.log_composition[kept])
        found = [k for k, near in zip(kept, between, strict=True) if near < BETWEEN and foretold[k] < FORETOLD]
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


def _needed(fit: NeighbourFit, counts: Counts, mask: Mask) -> NeighbourFit:
    """Leave out, one after the other, the phases without which the counts are explained as well."""
    while fit.n_phases > 2:
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
