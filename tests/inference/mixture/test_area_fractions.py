"""Shares of an image: the labels that are not known count, and only they where the parameters are."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from bayesspec.inference.mixture.area_fractions import area_fraction_draws
from bayesspec.inference.mixture.coherence import dose_covariates
from bayesspec.inference.mixture.fit import MixtureFit
from bayesspec.inference.mixture.fit_number import with_covariates
from bayesspec.inference.mixture.path import fit_path

SHARES = np.array([[0.56, 0.44], [0.40, 0.60]])


def stripes(counts: int, seed: int, side: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Three rows in five are of the first phase."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(side)[:, None] % 10 >= 6).astype(int) * np.ones((1, side), int)
    return rng.poisson(counts * SHARES[labels]), labels


def drawn(fit: MixtureFit, counts: np.ndarray, covariates: np.ndarray, n: int = 400) -> np.ndarray:
    measured = counts.sum(axis=2) > 0
    compositions, weights = fit.draws(np.random.default_rng(1), n)
    return area_fraction_draws(
        fit, compositions, weights, counts, covariates, measured=measured, rng=np.random.default_rng(2)
    )


def test_shares_cover_those_of_the_image() -> None:
    inside = []
    for seed in range(24):
        counts, labels = stripes(200, seed)
        fit = fit_path(counts, 2)[1]
        dose = dose_covariates(counts.sum(axis=2))
        shares = drawn(with_covariates(fit, counts, dose), counts, dose, 200)
        first = int(np.argmax(fit.log_composition[:, 0]))
        low, high = np.quantile(shares[:, first], [0.05, 0.95])
        inside.append(low < (labels == 0).mean() < high)
    assert binom.cdf(sum(inside), 24, 0.9) > 0.01


def test_where_labels_are_certain_nothing_is_left_of_the_sampling_of_a_population() -> None:
    counts, labels = stripes(20000, 0)
    fit = fit_path(counts, 2)[1]
    shares = drawn(fit, counts, np.zeros((*labels.shape, 0)))
    first = int(np.argmax(fit.log_composition[:, 0]))
    np.testing.assert_allclose(shares[:, first], (labels == 0).mean(), atol=1e-6)
    weights = fit.draws(np.random.default_rng(1), 400)[1][:, :, 0]
    population = 1 / (1 + np.exp(weights[:, 1 - first] - weights[:, first]))
    assert population.std() > 0.01


def test_labels_scatter_by_themselves_where_parameters_are_known() -> None:
    counts, _ = stripes(60, 3)
    fit = fit_path(counts, 2)[1]
    known = replace(fit, information=fit.information * 1e12)
    shares = drawn(known, counts, np.zeros((*counts.shape[:2], 0)), 4000)
    own = fit.responsibilities[:, 0]
    expected = np.sqrt((own * (1 - own)).sum()) / len(own)
    assert shares[:, 0].mean() == pytest.approx(own.mean(), abs=4 * expected / np.sqrt(4000))
    assert shares[:, 0].std() == pytest.approx(expected, rel=0.06)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
