"""Newton steps against expectation maximisation run to the end, and against the closed form of one component."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesspec.image.counts import cut
from bayesspec.inference.blocks import em_step
from bayesspec.inference.nmf import newton as nmf_newton
from bayesspec.inference.nmf.mode import fit_mode
from bayesspec.inference.nmf.newton import measured, moved_abundances, moved_spectra, newton_descent, with_new_slopes
from bayesspec.inference.status import Status


def problem(seed=0, pixels=300, channels=60, rank=3, counts=400.0):
    """Counts, and factors that a few steps have brought near the optimum."""
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.full(channels, 0.3), rank)
    abundances = rng.gamma(0.7, 1.0, (pixels, rank)) * counts / rank
    blocks = cut(rng.poisson(abundances @ spectra).astype(np.uint16))
    w, h, free = blocks.split(abundances + 0.01), jnp.asarray(spectra + 1e-4, jnp.float32), jnp.ones(rank, bool)
    for _ in range(3):
        w, h = em_step(blocks.counts, w, h, free)
    return blocks, (np.asarray(w), np.asarray(h))


@pytest.mark.parametrize(("counts", "tolerance"), [(300.0, 1e-6), (3000.0, 1e-5)])
def test_few_steps_are_as_deep_as_many_of_expectation_maximisation(counts, tolerance):
    blocks, start = problem(counts=counts)
    mode = fit_mode(
        blocks.join(blocks.counts), 3, key=jax.random.key(0), init=(blocks.join(start[0]), start[1]), tolerance=1e-7
    )
    found = newton_descent(blocks, start, jnp.ones(3, bool), tolerance, 20)
    assert found.status is Status.CONVERGED
    assert found.divergence <= mode.divergence * (1 + 1e-5)
    assert found.cycles < mode.iterations
    np.testing.assert_allclose(found.point[1].sum(axis=1), 1, rtol=1e-5)


def test_one_component_ends_at_the_sums():
    blocks, (w, h) = problem(rank=1)
    counts = blocks.join(blocks.counts).astype(float)
    found = newton_descent(blocks, (1.3 * w, h), jnp.ones(1, bool), 1e-9, 10)
    np.testing.assert_allclose(blocks.join(found.point[0])[:, 0], counts.sum(axis=1), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.point[1][0], counts.sum(axis=0) / counts.sum(), rtol=1e-4, atol=1e-7)


def test_what_is_zero_or_fixed_or_unused_stays():
    blocks, (w, h) = problem()
    w, h = w.copy(), h.copy()
    w[..., 2] = 0.0
    w[0, 5, 0] = h[0, 7] = 0.0
    h[0] /= h[0].sum()
    local, _ = measured(blocks.counts, (w, h))
    new_h = moved_spectra((w, h), local, np.array([True, False, True]))[1]
    new_w = moved_abundances((w, h), local)[0]
    assert new_w[0, 5, 0] == new_h[0, 7] == new_w[..., 2].max() == 0.0
    np.testing.assert_array_equal(new_h[1:], h[1:])
    assert np.abs(new_h[0] - h[0]).max() > 1e-4


def test_spectra_alone_keep_the_expected_counts_of_each_component():
    blocks, (w, h) = problem()
    local, value = measured(blocks.counts, (w, h))
    new_w, new_h = moved_spectra((w, h), local, np.ones(3, bool))
    _, after = measured(blocks.counts, (new_w, new_h))
    assert after < value
    ratio = new_w[w > 1] / w[w > 1]
    assert len(np.unique(ratio.round(4))) <= 3


def test_slopes_alone_are_those_that_come_with_the_curvatures():
    blocks, point = problem()
    local, _ = measured(blocks.counts, point)
    blank = local._replace(pixel_slopes=0 * local.pixel_slopes, channel_slopes=0 * local.channel_slopes)
    again = with_new_slopes(blocks.counts, point, jnp.ones(3, bool), blank)
    for name in ("pixel_slopes", "channel_slopes"):
        scale = np.abs(getattr(local, name)).max()
        np.testing.assert_allclose(getattr(again, name), getattr(local, name), atol=1e-4 * scale)


def test_steps_that_do_not_help_are_left_out(monkeypatch):
    blocks, start = problem(counts=2000.0)
    whole = nmf_newton.with_new_slopes

    def astray(counts, point, free, local):
        return whole(counts, point, free, local)._replace(pixel_slopes=3 * local.pixel_slopes)

    monkeypatch.setattr(nmf_newton, "with_new_slopes", astray)
    found = newton_descent(blocks, start, jnp.ones(3, bool), 1e-5, 30)
    assert found.status is Status.CONVERGED  # without the steps that lead astray
    assert found.divergence < found.begun
    monkeypatch.setattr(nmf_newton, "moved_abundances", lambda point, _: (1.5 * point[0], point[1]))
    found = newton_descent(blocks, start, jnp.ones(3, bool), 1e-5, 30)
    assert found.status is Status.DIVERGED
    assert found.point is start


def test_an_interruption_ends_the_descent():
    blocks, start = problem()

    def stop(done, _):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        newton_descent(blocks, start, jnp.ones(3, bool), 1e-12, 30, stop)
