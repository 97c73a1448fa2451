"""Abundances given the spectra, against the closed form of one component."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from bayesspec.image.counts import Counts
from bayesspec.inference.nmf import pixel_abundances as nmf_conditional
from bayesspec.inference.nmf.mode import fit_mode
from bayesspec.inference.nmf.pixel_abundances import sample_abundances
from bayesspec.inference.nmf.posterior import NmfPosterior
from bayesspec.inference.nmf.prior import NmfPrior
from bayesspec.inference.nmf.sampler import Chain, Start, sample


def sampled(counts: np.ndarray, **options: int) -> NmfPosterior:
    mode = fit_mode(counts, 2, key=jax.random.key(0))
    return sample(counts, mode, key=jax.random.key(0), thin=1, **options)


def test_one_component_agrees_with_the_gamma_posterior() -> None:
    rng = np.random.default_rng(0)
    spectrum = rng.dirichlet(np.ones(12))
    truth = rng.gamma(3.0, 10.0, 200)
    counts = rng.poisson(truth[:, None] * spectrum)
    blocks = counts.reshape(100, 2, 12).sum(axis=1)
    keys = [jax.random.key(1) for _ in range(3)]
    first = sample(blocks, fit_mode(blocks, 1, key=keys[0]), key=keys[1], draws=400, warmup=50, thin=1)
    found = sample_abundances(counts, first, key=keys[2], prior=NmfPrior())
    shape, rate, total = found.shape[:, 0], found.rate[:, 0], counts.sum(axis=1)[:, None]
    mean = ((shape + total) / (rate + 1)).mean(axis=1)
    spread = ((shape + total) / (rate + 1) ** 2).mean(axis=1) + ((shape + total) / (rate + 1)).var(axis=1)
    np.testing.assert_allclose(found.abundance_mean[:, 0], mean, atol=5 * np.sqrt(spread.max() / 150))
    np.testing.assert_allclose((found.abundance_sd[:, 0] / np.sqrt(spread)).mean(), 1, atol=0.06)
    np.testing.assert_allclose(found.totals.mean(), counts.sum(), rtol=0.03)
    assert 1.5 < shape.mean() < 6


def test_draws_of_the_spectra_are_kept_and_the_pixels_follow_them() -> None:
    rng = np.random.default_rng(2)
    spectra = rng.dirichlet(np.full(20, 0.3), 2)
    weights = rng.gamma(2.0, 40.0, (64, 2))
    counts = rng.poisson(weights @ spectra)
    first = sampled(counts, draws=60, warmup=30)
    known = replace(first, spectra=np.repeat(spectra[None], 60, axis=0).astype(np.float32))
    found = sample_abundances(counts, known, key=jax.random.key(0))
    np.testing.assert_array_equal(found.spectra, known.spectra)
    error = (found.abundance_mean - weights) / found.abundance_sd
    assert np.abs(error.mean()) < 0.4
    assert 0.7 < error.std() < 1.4


def test_without_coupling_moves_no_counts_are_merged_for_them() -> None:
    counts = np.random.default_rng(3).poisson(1.0, (8, 512)).astype(np.uint8)
    even = Start(np.ones((8, 1)), np.full((1, 512), 1 / 512), np.ones(1), np.ones(1))
    with jax.enable_x64(True):
        coupled, alone = (Chain(Counts.of(counts), even, 1, NmfPrior(), coupled=value) for value in (True, False))
    assert coupled.data.merged.shape[2] == 256
    assert alone.data.merged is alone.data.counts
    assert alone.plan.runs.coupling == 1


def test_channels_in_groups_say_what_all_channels_say() -> None:
    rng = np.random.default_rng(4)
    spectra = rng.dirichlet(np.full(300, 0.3), 2)
    counts = rng.poisson(rng.gamma(2.0, 60.0, (150, 2)) @ spectra)
    first = sampled(counts, draws=150, warmup=40)
    prior = NmfPrior(seen=(tuple(10.0 * spectra[0]),))
    found = sample_abundances(counts, first, key=jax.random.key(0), prior=prior)
    whole = _without_groups(counts, first, jax.random.key(0), prior)
    apart = (found.abundance_mean - whole.abundance_mean) / whole.abundance_sd
    assert apart.std() < 0.3  # two samplings of the same differ by 0.2
    assert np.abs(apart.mean()) < 0.1
    np.testing.assert_allclose(np.median(found.abundance_sd / whole.abundance_sd), 1, atol=0.05)
    np.testing.assert_allclose(found.totals.mean(axis=0), whole.totals.mean(axis=0), rtol=0.01)


def _without_groups(counts, first, key, prior):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nmf_conditional, "group_by_spectra", _refused)
        patch.setattr(nmf_conditional, "GROUPS", counts.shape[1])
        return sample_abundances(counts, first, key=key, prior=prior)


def _refused(*_):
    raise AssertionError("channels are grouped")
