"""Fits over the number of phases: those that decide nothing are left early, other counts start from them."""

import numpy as np
import pytest
from scipy.stats import multinomial

from bayesspec.errors import InputError
from bayesspec.inference.mixture.path import HOPELESS_BIC, fit_path, held_out_scores

SHARES = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3]])


def stripes(seed: int) -> np.ndarray:
    labels = (np.arange(32)[:, None] % 12 >= 7).astype(int) * np.ones((1, 32), int)
    return np.random.default_rng(seed).poisson(150 * SHARES[labels])


def test_only_fits_that_cannot_be_chosen_are_left_where_em_ended() -> None:
    counts = stripes(0)
    whole, short = fit_path(counts, 4), fit_path(counts, 4, candidates=range(1, 5))
    assert [fit.convergence.converged for fit in whole] == [True] * 4
    assert [fit.convergence.converged for fit in short] == [True, True, False, False]
    np.testing.assert_array_equal(short[1].log_composition, whole[1].log_composition)
    for k in (2, 3):
        assert short[k].bic > short[1].bic + HOPELESS_BIC
        assert abs(short[k].log_likelihood - whole[k].log_likelihood) < 3
    asked = fit_path(counts, 4, candidates=[4])
    assert asked[3].convergence.converged


def test_fits_left_early_have_no_draws() -> None:
    left = fit_path(stripes(0), 4, candidates=range(1, 5))[3]
    assert not left.convergence.definite
    with pytest.raises(InputError, match="do not tell the phases apart"):
        left.draws(np.random.default_rng(0), 10)


def test_counts_held_out_are_scored_by_the_mixture_given_the_others() -> None:
    counts = stripes(1)
    train = np.random.default_rng(2).binomial(counts, 0.8)
    mask = np.zeros(counts.shape[:2], bool)
    mask[:4] = True
    scores = held_out_scores(fit_path(counts, 3, mask=mask), train, counts - train, mask)
    assert scores.shape == (3, 1024)
    assert (scores[:, : 4 * 32] == 0).all()
    scratch = fit_path(train, 3, mask=mask)
    y = (counts - train).reshape(-1, 3)
    for fit, score, places in ((scratch[0], scores[0], 1e-9), (scratch[1], scores[1], 5e-3)):
        given = [multinomial.pmf(y, y.sum(axis=1), np.exp(shares)) for shares in fit.log_composition]
        by_hand = np.log((fit.responsibilities * np.transpose(given)).sum(axis=1))
        np.testing.assert_allclose(score[4 * 32 :], by_hand[4 * 32 :], atol=places)
    assert scores[1].sum() > scores[0].sum() + 10
    assert abs(scores[2].sum() - scores[1].sum()) < 4
