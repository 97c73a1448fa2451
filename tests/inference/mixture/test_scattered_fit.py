"""Fits with scatter: recovery, and none where there is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesspec.inference.mixture import scatter as scattered
from bayesspec.inference.mixture.log_joint import Pixels
from bayesspec.inference.mixture.path import fit_path
from bayesspec.inference.mixture.scattered_fit import excess_scatter, fit_scatter


def two_phases(sd: float, seed: int, side: int = 48, counts: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Checkerboard of two phases whose log ratio scatters by `sd`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = (x // 8 + y // 8) % 2
    ratio = np.log([0.783, 0.698])[labels] + sd * rng.normal(size=labels.shape)
    first = rng.binomial(counts, 1 / (1 + np.exp(-ratio)))
    return np.stack([first, counts - first], axis=2), labels


def test_scatter_and_ratios_are_recovered() -> None:
    counts, labels = two_phases(0.05, 1)
    none = np.zeros(labels.shape, bool)
    start = fit_path(counts, 2)[1]
    excess = excess_scatter(start, counts, none)
    assert excess.score.min() > 5
    np.testing.assert_allclose(excess.sd, 0.05, atol=0.03)
    fit = fit_scatter(start, counts, mask=none)
    assert fit.convergence.converged
    assert fit.bic < start.bic - 50
    np.testing.assert_allclose(fit.scatter_sd, 0.05, atol=0.01)
    ratio = np.sort(fit.log_composition[:, 0] - fit.log_composition[:, 1])
    apart = np.zeros((2, len(fit.information)))
    apart[[0, 0, 1, 1], [0, 1, 2, 3]] = [1, -1, 1, -1]
    sd = np.sqrt(np.diag(apart @ fit.covariance @ apart.T)).max()
    assert (np.abs(ratio - np.log([0.698, 0.783])) < 4 * sd).all()
    assert sd < 0.03


def test_without_scatter_none_is_found_and_the_likelihood_is_that_of_the_plain_mixture() -> None:
    counts, labels = two_phases(0.0, 2)
    none = np.zeros(labels.shape, bool)
    start = fit_path(counts, 2)[1]
    assert excess_scatter(start, counts, none).score.max() < 3
    fit = fit_scatter(start, counts, mask=none)
    assert fit.bic > start.bic + 5
    assert fit.log_likelihood == pytest.approx(start.log_likelihood, abs=2)


def test_more_nodes_change_nothing() -> None:
    counts, labels = two_phases(0.05, 3, side=16, counts=20000)
    fit = fit_scatter(fit_path(counts, 2)[1], counts, mask=np.zeros(labels.shape, bool))
    with jax.enable_x64(True):
        flat = counts.reshape(-1, 2)
        design = np.ones((len(flat), 1))
        pixels = Pixels(*(jnp.asarray(part, jnp.float64) for part in (flat, flat.sum(axis=1), design)))
        at = scattered.Scattered(*(jnp.asarray(p) for p in (fit.log_composition, fit.scatter, fit.weights)))
        finer = float(scattered.log_likelihood(at, pixels, 257).sum())
    assert fit.log_likelihood == pytest.approx(finer, abs=1e-2)
