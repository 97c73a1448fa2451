"""Binomial thinning and the held-out score of a factorisation."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from bayesspec.errors import InputError
from bayesspec.inference.nmf.held_out import PSEUDO_COUNTS, held_out_score, rank_scores, thin
from bayesspec.inference.nmf.mode import fit_mode


def fresh():
    """A key that has not been used."""
    return jax.random.key(7)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint16, array_shapes(max_dims=3)), some.floats(0.01, 0.99))
def test_the_parts_add_to_the_counts(counts, fraction):
    train, test = thin(counts, fraction, key=fresh())
    np.testing.assert_array_equal(train.astype(int) + test, counts)
    assert train.dtype == test.dtype == counts.dtype


def test_the_parts_have_binomial_moments():
    counts = np.full((200, 300), 12, np.uint8)
    train, test = thin(counts, 0.3, key=fresh())
    assert train.mean() == pytest.approx(3.6, rel=0.01)
    assert train.var() == pytest.approx(12 * 0.3 * 0.7, rel=0.02)
    poisson = np.random.default_rng(0).poisson(5.0, (200, 300))
    train, test = thin(poisson, 0.5, key=fresh())
    assert abs(np.corrcoef(train.ravel(), test.ravel())[0, 1]) < 0.015


def test_the_key_decides():
    counts = np.full((20, 30), 12, np.uint8)
    one, same, other = (thin(counts, 0.5, key=jax.random.key(k))[0] for k in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_refuses_a_fraction_outside(fraction):
    with pytest.raises(InputError, match="fraction"):
        thin(np.ones((3, 3), int), fraction, key=fresh())


def simulated(counts=300.0):
    rng = np.random.default_rng(0)
    spectra = rng.dirichlet(np.full(50, 0.4), 3)
    return rng.poisson(rng.gamma(0.7, counts / 3, (500, 3)) @ spectra)


def test_score_is_the_poisson_log_likelihood():
    counts = simulated()
    mode = fit_mode(counts, 2, key=fresh())
    h = mode.spectra.astype(float) * mode.abundances.sum(axis=0)[:, None] + PSEUDO_COUNTS
    h /= h.sum(axis=1, keepdims=True)
    exact = stats.poisson.logpmf(counts, 0.25 * mode.abundances @ h).sum(axis=1)
    np.testing.assert_allclose(held_out_score(counts, mode, ratio=0.25), exact, rtol=1e-4, atol=1e-3)


def test_the_true_rank_scores_best():
    scores = rank_scores(simulated(), [1, 2, 3, 4], key=fresh())
    assert scores.shape == (4, 500)
    assert int(scores.sum(axis=1).argmax()) == 2


def test_a_channel_seen_only_in_the_held_out_part_is_not_impossible():
    train, test = simulated().astype(np.uint16), simulated().astype(np.uint16)
    train[:, 4], test[3, 4] = 0, 2
    assert np.isfinite(held_out_score(test, fit_mode(train, 3, key=fresh()), ratio=1.0)).all()
