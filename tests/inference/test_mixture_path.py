"""Fits over the number of phases: those that decide nothing are left early, other counts start from them."""

import numpy as np
import pytest

from bayesspec.inference.mixture_path import HOPELESS_BIC, fit_again, fit_path

pytestmark = pytest.mark.usefixtures("strict")
SHARES = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3]])


def stripes(seed: int) -> np.ndarray:
    labels = (np.arange(32)[:, None] % 12 >= 7).astype(int) * np.ones((1, 32), int)
    return np.random.default_rng(seed).poisson(150 * SHARES[labels])


def test_only_fits_that_cannot_be_chosen_are_left_where_em_ended() -> None:
    counts = stripes(0)
    whole, short = fit_path(counts, 4), fit_path(counts, 4, candidates=range(1, 5))
    assert [fit.status.converged for fit in whole] == [True] * 4
    assert [fit.status.converged for fit in short] == [True, True, False, False]
    np.testing.assert_array_equal(short[1].log_composition, whole[1].log_composition)
    for k in (2, 3):
        assert short[k].bic > short[1].bic + HOPELESS_BIC
        assert abs(short[k].log_likelihood - whole[k].log_likelihood) < 3
    asked = fit_path(counts, 4, candidates=[4])
    assert asked[3].status.converged


def test_thinned_counts_are_fitted_from_the_whole_as_from_scratch() -> None:
    counts = stripes(1)
    train = np.random.default_rng(2).binomial(counts, 0.8)
    mask = np.zeros(counts.shape[:2], bool)
    mask[:4] = True
    again = fit_again(fit_path(counts, 3, mask=mask), train, mask)
    scratch = fit_path(train, 3, mask=mask)
    assert [fit.n_phases for fit in again] == [1, 2, 3]
    np.testing.assert_allclose(again[0].log_composition, scratch[0].log_composition, rtol=1e-9)
    apart = again[1].log_composition[:, None] - scratch[1].log_composition[None]
    assert np.abs(apart).max(axis=2).min(axis=1).max() < 5e-3
    assert abs(again[1].log_likelihood - scratch[1].log_likelihood) < 0.1
    assert abs(again[2].log_likelihood - scratch[2].log_likelihood) < 4
