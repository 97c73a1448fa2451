"""Cycles with few looks at the divergence against cycles with one each; counts in blocks that are not copied."""

import jax.numpy as jnp
import numpy as np
import pytest

from bayesspec.image.counts import aligned, cut, frozen
from bayesspec.inference.blocks import row_divergences
from bayesspec.inference.nmf import em as nmf_descent
from bayesspec.inference.nmf.em import descend, total
from bayesspec.inference.status import Status

FREE = jnp.ones(3, bool)


def problem(pixels=200, channels=40):
    rng = np.random.default_rng(2)
    spectra = rng.dirichlet(np.full(channels, 0.3), 3)
    blocks = cut(rng.poisson(200 * rng.dirichlet(np.ones(3), pixels) @ spectra).astype(np.uint8))
    start = np.asarray(blocks.split(np.full((pixels, 3), 60.0))), rng.dirichlet(np.ones(channels), 3)
    return blocks, (start[0], start[1].astype(np.float32))


def depth(blocks, point):
    return total(row_divergences(blocks.counts, *point))


@pytest.mark.parametrize("every", [2, 3, 7])
def test_as_deep_with_few_looks(every):
    blocks, start = problem()
    best = descend(blocks, start, FREE, 1e-7, 300)
    found = descend(blocks, start, FREE, 1e-7, 300, every=every)
    assert found.status is Status.CONVERGED
    assert found.divergence <= best.divergence * (1 + 3e-4)  # single precision ends either up to 1e-4 above the optimum
    assert found.divergence == pytest.approx(depth(blocks, found.point), rel=1e-6)


def test_the_most_cycles_are_not_exceeded_and_the_last_point_is_looked_at():
    blocks, start = problem()
    found = descend(blocks, start, FREE, 1e-9, 4, every=3)
    assert (found.cycles, found.status) == (4, Status.ITERATION_LIMIT)
    assert found.divergence == pytest.approx(depth(blocks, found.point), rel=1e-6)
    assert found.divergence < found.begun


@pytest.mark.parametrize("bad", [1, 2, 3])
def test_a_cycle_that_leads_astray_is_undone(bad, monkeypatch):
    blocks, start = problem()
    calls = []

    def astray(*args):
        point, length = nmf_descent.__dict__["true"](*args)
        calls.append(1)
        return ((point[0] * 30.0, point[1]), length) if len(calls) == bad else (point, length)

    monkeypatch.setitem(nmf_descent.__dict__, "true", nmf_descent.extrapolated)
    monkeypatch.setattr(nmf_descent, "extrapolated", astray)
    found = descend(blocks, start, FREE, 1e-9, 3, every=3)
    assert found.divergence < found.begun
    assert found.divergence == pytest.approx(depth(blocks, found.point), rel=1e-6)


def test_counts_that_nobody_may_change_are_not_copied():
    counts = np.random.default_rng(0).poisson(1.0, (64, 32)).astype(np.uint16)
    held = frozen(counts)
    assert cut(held).counts.unsafe_buffer_pointer() == held.ctypes.data
    np.testing.assert_array_equal(np.asarray(cut(held).counts).reshape(64, 32), counts)


@pytest.mark.parametrize(
    "take", [lambda x: x, lambda x: x[:61], lambda x: frozen(x)[:, ::2], lambda x: frozen(np.asfortranarray(x))]
)
def test_all_other_counts_are_copied_whole(take):
    counts = aligned((64, 32), np.dtype(np.uint16))
    counts[:] = np.random.default_rng(0).poisson(1.0, (64, 32))
    given = take(counts)
    blocks, before = cut(given), given.copy()
    counts[:] = 0
    whole = blocks.join(blocks.counts)
    np.testing.assert_array_equal(whole, before)
    assert not np.asarray(blocks.counts).reshape(-1, given.shape[1])[len(given) :].any()
