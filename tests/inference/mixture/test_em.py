"""Accelerated EM for the composition mixture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesspec.inference.mixture.em import Mixture, em_step, squarem


def test_em_never_falls_and_squared_extrapolation_reaches_the_same_mode():
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


@pytest.mark.parametrize("seed", [14, 25])
def test_an_extrapolation_that_falls_is_refused(seed):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.dirichlet([1, 1, 1], 3)[rng.integers(0, 3, 200)] * rng.choice([5, 50, 500]))
    with jax.enable_x64(True):
        y, active = jnp.asarray(counts, dtype=jnp.float64), jnp.asarray([True, True, True])
        start = Mixture(jnp.log(jnp.asarray(rng.dirichlet([1, 1, 1], 3))), jnp.log(jnp.full(3, 1 / 3)))
        before = -np.inf
        for cycles in (1, 2, 3, 5, 8, 12):
            mixture, value, _ = squarem(start, y, active, tolerance=-1.0, max_cycles=cycles)
            reached = float(em_step(mixture, y, active)[1])
            assert reached >= float(value) - 1e-8
            assert reached >= before - 1e-8
            before = reached
