"""Accelerated EM for the composition mixture."""

import jax
import jax.numpy as jnp
import numpy as np

from bayesspec.inference.mixture_em import Mixture, em_step, squarem


def test_em_never_falls_and_squared_extrapolation_reaches_the_same_mode(strict):
    rng = np.random.default_rng(2)
    counts = np.stack([rng.multinomial(300, [p, 1 - p]) for p in np.where(rng.random(4000) < 0.6, 0.52, 0.40)])
    with jax.enable_x64(True):
        y, active = jnp.asarray(counts, dtype=jnp.float64), jnp.asarray([True, True])
        state = Mixture(jnp.log(jnp.asarray([[0.5, 0.5], [0.4, 0.6]])), jnp.log(jnp.asarray([0.5, 0.5])))
        ahead, value, cycles = squarem(state, y, active, tolerance=1e-9, max_cycles=500)
        values = []
        for _ in range(400):
            state, reached = em_step(state, y, active)
            values.append(float(reached))
    assert (np.diff(values) > -1e-8).all()
    assert float(value) >= values[-1] - 1e-6
    assert int(cycles) < 100
    np.testing.assert_allclose(ahead.log_composition, state.log_composition, atol=1e-3)


def test_an_extrapolation_that_falls_is_refused(strict):
    counts = np.random.default_rng(4).poisson([[3.0, 2.0, 1.0]] * 200 + [[1.0, 2.0, 2.0]] * 20)
    with jax.enable_x64(True):
        y, active = jnp.asarray(counts, dtype=jnp.float64), jnp.asarray([True, True, True])
        shares = jnp.log(jnp.asarray([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.3, 0.4, 0.3]]))
        start = Mixture(shares, jnp.log(jnp.full(3, 1 / 3)))
        before = -np.inf
        for cycles in range(1, 16):
            mixture, value, _ = squarem(start, y, active, tolerance=0.0, max_cycles=cycles)
            assert float(value) >= before - 1e-9
            assert float(em_step(mixture, y, active)[1]) >= float(value) - 1e-9
            before = float(value)
