"""Derivatives of the composition mixture against automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from bayesspec.inference.mixture import log_joint as mode
from bayesspec.inference.mixture.newton import newton, shifted


@pytest.mark.parametrize(("coefficients", "strip"), [(1, 2**16), (2, 2**16), (2, 8)])
def test_derivatives_are_those_of_the_log_posterior(monkeypatch, coefficients, strip):
    monkeypatch.setattr(mode, "STRIP", strip)
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 50, (30, 3))
    counts[4] = 0
    with jax.enable_x64(True):
        pixels = mode.Pixels(
            *map(jnp.asarray, (counts * 1.0, counts.sum(1) * 1.0, rng.normal(size=(30, coefficients))))
        )
        active = jnp.asarray([True, True, False, True])
        at = mode.Parameters(jnp.asarray(rng.normal(size=(4, 3))), jnp.asarray(rng.normal(size=(4, coefficients))))
        number = 12 + 4 * coefficients
        zero = jnp.zeros(number)

        def value(step):
            return mode.log_posterior(shifted(at, step), pixels, active)

        gradient, information = jax.jit(lambda *given: mode.derivatives(*given))(at, pixels, active)
        np.testing.assert_allclose(gradient, jax.jit(jax.grad(value))(zero), atol=1e-9)
        own = jax.jit(mode.scores)(at, pixels, active).sum(axis=0) + mode.prior_gradient(at)
        np.testing.assert_allclose(own, gradient, atol=1e-9)
        hessian = -np.asarray(jax.jit(jax.hessian(value))(zero))
        gauge = np.zeros((number, number))
        gauge[:12, :12] = np.kron(np.eye(4), np.ones((3, 3)))
        np.testing.assert_allclose(information, hessian + gauge, atol=1e-8)


def test_newton_ends_where_the_gradient_is_zero():
    rng = np.random.default_rng(1)
    shares = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
    x = rng.normal(size=(400, 1))
    counts = np.stack([rng.multinomial(40, shares[k]) for k in rng.binomial(1, 1 / (1 + np.exp(1 - 2 * x[:, 0])))])
    with jax.enable_x64(True):
        design = np.concatenate([np.ones((400, 1)), x], axis=1)
        pixels = mode.Pixels(*map(jnp.asarray, (counts * 1.0, counts.sum(axis=1) * 1.0, design)))
        start = mode.Parameters(jnp.log(jnp.asarray([[0.4, 0.3, 0.3], [0.3, 0.3, 0.4]])), jnp.zeros((2, 2)))
        active = jnp.ones(2, dtype=bool)
        found = newton(start, pixels, active, tolerance=1e-9, max_iterations=50)
        gradient, _ = jax.jit(mode.derivatives)(found.parameters, pixels, active)
        assert float(found.here.log_posterior) > float(mode.log_posterior(start, pixels, active))
    assert int(found.iterations) < 20
    assert np.abs(np.asarray(gradient)).max() < 1e-3
    np.testing.assert_allclose(softmax(np.asarray(found.parameters.log_shares), axis=1), shares, atol=0.05)
    odds = np.asarray(found.parameters.weights[1] - found.parameters.weights[0])
    np.testing.assert_allclose(odds, [-1.0, 2.0], atol=0.6)
