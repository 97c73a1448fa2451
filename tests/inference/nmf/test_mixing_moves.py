"""Shifts of positive numbers that stay positive."""

import jax
import jax.numpy as jnp
import numpy as np

from bayesspec.inference.nmf.mixing_moves import softplus_shift


def test_soft_shift_is_undone_and_has_its_jacobian():
    with jax.enable_x64(True):
        log_v = jnp.linspace(-12.0, 8.0, 201)
        noise = jnp.full_like(log_v, 3.0)
        for change in (-2.0, 0.5, 40.0):
            moved, jacobian = softplus_shift(log_v, noise, jnp.full_like(log_v, change))
            back, _ = softplus_shift(moved, noise, jnp.full_like(log_v, -change))
            np.testing.assert_allclose(back, log_v, atol=2e-3)
            level, step = jnp.float64(3.0), jnp.float64(change)
            slope = jax.vmap(jax.grad(lambda v, s=level, c=step: softplus_shift(v, s, c)[0]))(log_v)
            np.testing.assert_allclose(jnp.exp(jacobian), slope, rtol=2e-3)
