"""How well a sample's phases would be measured at other doses: the information of its pixels, averaged.

Images of the sample are simulated at a dose, and the scatter of the pixels' scores is taken at the true
compositions: nothing is fitted, so a few images stand for hundreds of fits. The mixing weights see what a fit's would
see: the local dose, and where there are two phases the other pixels around.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesspec.inference.mixture.block_covariance import (
    at_least,
    block_scatter,
    blocks,
    pixel_scores,
)
from bayesspec.inference.mixture.coherence import dose_covariates
from bayesspec.inference.mixture.fit import MixtureFit
from bayesspec.inference.mixture.fit_number import at_point, with_covariates
from bayesspec.inference.mixture.log_joint import WEIGHT_SCALE
from bayesspec.inference.mixture.neighbour_covariates import neighbour_covariates
from bayesspec.inference.mixture.settings import SETTINGS

Floats = NDArray[np.float64]
CERTAIN = 60
"""Counts that stand for a label that is certain, where the weights are fitted to the true labels."""


class Forecast(NamedTuple):
    """What is expected at one dose.

    ``covariance`` is that of the log shares, (phase * channel, phase * channel), float64; ``resolved`` is the share of
    images, 0 to 1, in which a fit would claim the phases.
    """

    covariance: Floats
    resolved: float


def forecast(
    composition: Floats,
    labels: NDArray[np.integer],
    thickness: Floats,
    dose: float,
    *,
    rng: np.random.Generator,
    images: int = 6,
) -> Forecast:
    """Forecast the errors of the compositions at a dose.

    Parameters
    ----------
    composition : ndarray of float64, (phase, channel)
        Share of each channel in the counts of each phase.
    labels : ndarray of int, (y, x)
        Phase of each pixel; negative = excluded.
    thickness : ndarray of float64, (y, x)
        Dose of each pixel relative to the mean.
    dose : float
        Mean counts of a pixel.
    rng : numpy.random.Generator
        Source of the simulated noise.
    images : int
        Number of images to average the information over.

    Returns
    -------
    Forecast
        Covariance of the log shares, and whether the phases would be resolved.
    """
    mask = labels < 0
    alone, near, one = [], [], []
    for _ in range(images):
        rate = dose * thickness[:, :, None] * composition[np.maximum(labels, 0)]
        counts = rng.poisson(np.where(mask[:, :, None], 0.0, rate))
        one.append(_fewer(counts, composition, labels, mask))
        plain = _plain(counts, composition, labels, mask)
        steps = dose_covariates(counts.sum(axis=2), mask=mask)
        alone.append(_expected(counts, plain, steps, labels, mask)._replace(bic=plain.bic))
        if len(composition) == 2:
            both = np.concatenate([neighbour_covariates(counts, plain, mask=mask), steps], axis=2)
            near.append(_expected(counts, plain, both, labels, mask))
    clear = (
        float(np.mean([few - found.bic > SETTINGS.clear_bic for few, found in zip(one, near, strict=True)]))
        if near
        else 0.0
    )
    seen = float(np.mean([few - found.bic > SETTINGS.resolved_bic for few, found in zip(one, alone, strict=True)]))
    return Forecast(_covariance(near if clear >= 0.5 else alone, composition.size), max(clear, seen))


class _Expected(NamedTuple):
    """Information of the scores, their scatter in blocks, and BIC, of one image."""

    information: Floats
    scatter: Floats
    bic: float


def _covariance(images: list[_Expected], size: int) -> Floats:
    """Covariance of the first `size` parameters, from averages over the images."""
    model = np.linalg.inv(np.mean([found.information for found in images], axis=0))
    robust = model @ np.mean([found.scatter for found in images], axis=0) @ model
    return at_least(model[:size, :size], robust[:size, :size])


def _fewer(
    counts: NDArray[np.integer], composition: Floats, labels: NDArray[np.integer], mask: NDArray[np.bool_]
) -> float:
    """Smallest BIC with any two phases taken as one."""
    found = []
    for first, second in combinations(range(len(composition)), 2):
        area = np.bincount(labels[~mask], minlength=len(composition))[[first, second]]
        joined = np.delete(composition, second, axis=0)
        joined[first] = area @ composition[[first, second]] / max(int(area.sum()), 1)
        others = np.where(labels == second, first, labels)
        found.append(_plain(counts, joined, others - (others > second), mask).bic)
    return min(found)


def _plain(
    counts: NDArray[np.integer], composition: Floats, labels: NDArray[np.integer], mask: NDArray[np.bool_]
) -> MixtureFit:
    """The true compositions with weights that are the same in all pixels."""
    area = np.log(np.maximum(np.bincount(labels[~mask], minlength=len(composition)), 1.0))[:, None]
    return at_point(counts, np.log(composition), area - area.mean(), mask=mask)


def _expected(
    counts: NDArray[np.integer],
    fit: MixtureFit,
    covariates: Floats,
    labels: NDArray[np.integer],
    mask: NDArray[np.bool_],
) -> _Expected:
    """Information at the same compositions, with weights that predict the true labels from the covariates."""
    certain = CERTAIN * np.eye(fit.n_phases, dtype=np.int64)[np.maximum(labels, 0)]
    pure = np.log(np.where(np.eye(fit.n_phases, dtype=bool), 1.0 - 1e-6, 1e-6))
    known = at_point(certain, pure, fit.weights[:, :1], mask=mask)
    weights = with_covariates(known, certain, covariates, mask=mask).weights
    found = at_point(counts, fit.log_composition, weights, covariates=covariates, mask=mask)
    scores = pixel_scores(found, counts, covariates, mask)
    size, channels = fit.log_composition.size, fit.log_composition.shape[1]
    prior = np.eye(scores.shape[1]) / WEIGHT_SCALE**2
    prior[:size, :size] = np.kron(np.eye(fit.n_phases), np.ones((channels, channels)))  # fixes what data cannot
    return _Expected(scores.T @ scores + prior, block_scatter(scores, blocks(*labels.shape).ravel()), found.bic)
