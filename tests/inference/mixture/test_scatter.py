"""Scatter within phases: derivatives of its marginal likelihood."""

import jax
import jax.numpy as jnp
import numpy as np

from bayesspec.inference.mixture import scatter as scattered
from bayesspec.inference.mixture.log_joint import Pixels


def test_scores_are_the_gradient_and_sum_to_that_of_the_posterior() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 60, (25, 3))
    with jax.enable_x64(True):
        design = np.concatenate([np.ones((25, 1)), rng.normal(size=(25, 1))], axis=1)
        pixels = Pixels(*(jnp.asarray(part, jnp.float64) for part in (counts, counts.sum(axis=1), design)))
        at = scattered.Scattered(*(jnp.asarray(rng.normal(size=(2, n))) for n in (3, 3, 2)))

        def value(step):
            return scattered.log_posterior(scattered.moved(at, step), pixels, 33)

        gradient = scattered.scores(at, pixels, 33).sum(axis=0) + scattered.prior_gradient(at)
        np.testing.assert_allclose(gradient, jax.jit(jax.grad(value))(jnp.zeros(16)), atol=1e-8)
