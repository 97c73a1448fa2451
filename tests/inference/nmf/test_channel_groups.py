"""Groups of channels: what they keep, and fits that begin with them."""

import jax
import numpy as np
import pytest

from bayesspec.inference.nmf import mode as nmf
from bayesspec.inference.nmf.channel_groups import ChannelGroups, group_channels
from bayesspec.inference.nmf.mode import fit_mode
from bayesspec.inference.status import Status


def fresh():
    """A key that has not been used."""
    return jax.random.key(0)


def simulated(seed=0, channels=120, counts=800.0):
    """Counts of spectra that have six kinds of channels, those kinds, and the spectra."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 6, channels)
    spectra = rng.dirichlet(np.full(6, 0.5), 3)[:, kinds] * rng.uniform(0.5, 2.0, channels)
    spectra /= spectra.sum(axis=1, keepdims=True)
    abundances = rng.gamma(0.7, 1.0, (700, 3)) * counts / 3
    return rng.poisson(abundances @ spectra).astype(np.uint16), kinds, spectra


def even(counts, rank):
    """Start from even abundances and random spectra."""
    spectra = np.random.default_rng(1).uniform(0.5, 1.5, (rank, counts.shape[1]))
    return np.repeat(counts.sum(axis=1, keepdims=True) / rank, rank, axis=1) + 0.01, spectra


def exact_divergence(counts, mode):
    mean = mode.abundances.astype(float) @ mode.spectra.astype(float)
    return (np.where(counts > 0, counts * np.log(np.maximum(counts, 1) / mean), 0.0) - counts + mean).sum()


def test_channels_of_one_kind_come_together_and_spectra_are_restored():
    counts, kinds, spectra = simulated(counts=1e5)
    groups = group_channels(counts, 3, 15)
    assert groups.labels.max() == 14
    assert len(np.unique(np.stack([kinds, groups.labels]), axis=1).T) == 15
    restored = groups.spread(groups.gather(spectra))
    np.testing.assert_allclose(restored.sum(axis=1), 1)
    np.testing.assert_allclose(restored, spectra, atol=0.02 * spectra.max())


def test_sums_hold_every_count_in_a_dtype_that_is_wide_enough():
    counts = np.full((50, 8), 200, np.uint8)
    added = ChannelGroups(np.array([0, 0, 0, 1, 1, 1, 1, 1]), np.full(8, 0.2)).add(counts)
    np.testing.assert_array_equal(added, np.repeat([[600, 1000]], 50, axis=0))
    assert added.dtype == np.uint16


def test_sparse_counts_are_added_alike():
    rng = np.random.default_rng(0)
    counts = (rng.random((400, 90)) < 0.03).astype(np.uint8) * rng.integers(1, 9, (400, 90), np.uint8)
    labels = rng.integers(0, 7, 90)
    added = ChannelGroups(labels, np.ones(90)).add(counts)
    for group in range(7):
        np.testing.assert_array_equal(added[:, group], counts[:, labels == group].sum(axis=1))


def test_empty_channels_get_nothing():
    counts = simulated()[0]
    counts[:, [3, 50]] = 0
    groups = group_channels(counts, 3, 30)
    spread = groups.spread(np.ones((1, groups.labels.max() + 1)))
    assert np.isfinite(spread).all()
    beside = np.isin(groups.labels, groups.labels[[3, 50]]).sum()
    assert beside == 2 or spread[0, [3, 50]].max() == 0


@pytest.fixture
def small_is_large(monkeypatch):
    monkeypatch.setattr(nmf, "LARGE", 0)
    monkeypatch.setattr(nmf, "GROUPS", 8)


@pytest.mark.parametrize("start", [None, "even"])
def test_as_deep_as_without_groups(start, monkeypatch, small_is_large):
    counts = simulated()[0]
    counts[[0, 9]] = 0
    init = None if start is None else even(counts, 3)
    found = fit_mode(counts, 3, key=fresh(), init=init, tolerance=1e-6)
    monkeypatch.setattr(nmf, "LARGE", 2**40)
    plain = fit_mode(counts, 3, key=fresh(), init=init, tolerance=1e-7, max_iterations=3000)
    assert found.status is Status.CONVERGED
    assert found.divergence <= plain.divergence * (1 + 1e-5)
    assert found.abundances[[0, 9]].max() < 1e-3
    cosines = found.spectra @ plain.spectra.T / np.linalg.norm(found.spectra, axis=1)[:, None]
    assert (cosines / np.linalg.norm(plain.spectra, axis=1)).max(axis=1).min() > 0.999


def test_a_start_that_is_near_is_not_made_coarse(small_is_large, monkeypatch):
    counts = simulated()[0]
    mode = fit_mode(counts, 3, key=fresh(), tolerance=1e-7)
    again = fit_mode(counts, 3, key=fresh(), init=(mode.abundances, mode.spectra))
    values = [exact_divergence(counts, found) for found in (mode, again)]
    assert values[1] <= values[0] * (1 + 1e-7)
    assert again.iterations <= 6  # as many as it takes to see that the divergence does not fall


def test_fixed_spectra_stay_in_a_fit_that_begins_with_groups(small_is_large):
    counts, _, spectra = simulated()
    w, h = even(counts, 3)
    mode = fit_mode(counts, 2, key=fresh(), init=(w, np.concatenate([h[:2], spectra[2:]])), fixed_spectra=spectra[2:])
    np.testing.assert_allclose(mode.spectra[2], spectra[2], rtol=1e-6)


def test_one_component_that_begins_with_groups_is_the_outer_product_of_the_sums(small_is_large):
    counts = simulated()[0]
    counts[:, 7] = 0
    mode = fit_mode(counts, 1, key=fresh(), init=even(counts, 1))
    np.testing.assert_allclose(mode.spectra[0], counts.sum(axis=0) / counts.sum(), rtol=2e-4, atol=1e-9)
    np.testing.assert_allclose(mode.abundances[:, 0], counts.sum(axis=1), rtol=2e-4, atol=1e-3)


def test_one_pixel_that_outshines_all_others_takes_no_component_among_groups(small_is_large):
    counts, _, spectra = simulated()
    bright = np.random.default_rng(1).poisson(1e6 * spectra.mean(axis=0))
    counts = np.concatenate([counts, bright[None]])
    mode = fit_mode(counts, 3, key=fresh(), init=even(counts, 3))
    assert mode.status is Status.CONVERGED
    cosines = mode.spectra @ spectra.T / np.linalg.norm(mode.spectra, axis=1)[:, None] / np.linalg.norm(spectra, axis=1)
    assert cosines.max(axis=1).min() > 0.97
    np.testing.assert_allclose(mode.abundances.sum(axis=1), counts.sum(axis=1), rtol=0.1, atol=5)
