"""The mode of the Poisson factorisation against scikit-learn, closed forms and invariances."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import NMF

from bayesspec.errors import InputError
from bayesspec.image.counts import Counts, cut
from bayesspec.inference.blocks import em_step, row_divergences
from bayesspec.inference.nmf.mode import fit_mode
from bayesspec.inference.nmf.starts import coarsen, refine, starts
from bayesspec.inference.status import Status


def fresh():
    """A key that has not been used."""
    return jax.random.key(0)


def simulated(seed=0, pixels=300, channels=60, rank=3, counts=400.0):
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.full(channels, 0.3), rank)
    abundances = rng.gamma(0.7, 1.0, (pixels, rank)) * counts / rank
    return rng.poisson(abundances @ spectra).astype(np.uint16), spectra, abundances


def divergence(counts, abundances, spectra):
    mean = abundances.astype(np.float64) @ spectra.astype(np.float64)
    logs = np.where(counts > 0, counts * np.log(np.maximum(counts, 1) / np.maximum(mean, 1e-300)), 0.0)
    return float((logs - counts + mean).sum())


def test_divergence_is_that_of_the_formula():
    counts, spectra, abundances = simulated()
    blocks = cut(counts)
    rows = row_divergences(blocks.counts, blocks.split(abundances), jnp.asarray(spectra, jnp.float32))
    assert blocks.join(rows).astype(np.float64).sum() == pytest.approx(
        divergence(counts, abundances, spectra), rel=1e-5
    )


def test_each_step_lowers_the_divergence():
    counts, _, _ = simulated()
    blocks, free = cut(counts), jnp.ones(3, bool)
    rng = np.random.default_rng(1)
    w = blocks.split(rng.uniform(50, 150, (300, 3)))
    h = jnp.asarray(rng.dirichlet(np.ones(60), 3), jnp.float32)
    values = []
    for _ in range(15):
        values.append(divergence(counts, blocks.join(w), np.asarray(h)))
        w, h = em_step(blocks.counts, w, h, free)
    assert np.all(np.diff(values) < 0)
    np.testing.assert_allclose(np.asarray(h).sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(blocks.join(w).sum(), counts.sum(), rtol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_as_deep_as_scikit_learn_converged(seed):
    counts, _, _ = simulated(seed)
    mode = fit_mode(counts, 3, key=fresh(), tolerance=1e-7, max_iterations=2000)
    peer = NMF(3, solver="mu", beta_loss="kullback-leibler", init="nndsvda", max_iter=3000, tol=1e-7, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        w = peer.fit_transform(counts.astype(float))
    assert mode.status is Status.CONVERGED
    assert mode.divergence <= divergence(counts, w, peer.components_) * (1 + 1e-5)
    assert mode.divergence == pytest.approx(divergence(counts, mode.abundances, mode.spectra), rel=1e-5)


def test_rank_one_is_the_outer_product_of_the_sums():
    counts, _, _ = simulated()
    mode = fit_mode(counts, 1, key=fresh())
    np.testing.assert_allclose(mode.spectra[0], counts.sum(axis=0) / counts.sum(), rtol=2e-4, atol=1e-9)
    np.testing.assert_allclose(mode.abundances[:, 0], counts.sum(axis=1), rtol=2e-4)


def test_recovers_separated_spectra():
    counts, spectra, _ = simulated(counts=4000.0)
    mode = fit_mode(counts, 3, key=fresh())
    cosines = mode.spectra @ spectra.T / np.linalg.norm(mode.spectra, axis=1)[:, None]
    cosines = cosines / np.linalg.norm(spectra, axis=1)
    assert np.all(cosines.max(axis=0) > 0.99)


def test_empty_pixels_and_channels():
    counts, _, _ = simulated()
    counts[[0, 17]] = 0
    counts[:, [3, 59]] = 0
    mode = fit_mode(counts, 3, key=fresh())
    assert np.isfinite(mode.spectra).all()
    assert np.isfinite(mode.abundances).all()
    assert mode.abundances[[0, 17]].max() < 1e-3
    assert mode.spectra[:, [3, 59]].max() < 1e-6


def test_one_pixel_that_outshines_all_others_does_not_take_a_component():
    counts, spectra, _ = simulated(rank=2)
    bright = np.random.default_rng(1).poisson(1e6 * spectra.mean(axis=0))
    counts = np.concatenate([counts, bright[None]])
    mode = fit_mode(counts, 2, key=fresh())
    assert mode.status is Status.CONVERGED
    assert bright.sum() > 5 * counts[:-1].sum()
    cosines = mode.spectra @ spectra.T / np.linalg.norm(mode.spectra, axis=1)[:, None] / np.linalg.norm(spectra, axis=1)
    assert cosines.max(axis=1).min() > 0.99
    np.testing.assert_allclose(mode.abundances.sum(axis=1), counts.sum(axis=1), rtol=0.1, atol=5)


def test_counts_beyond_the_integers_of_single_precision_are_refused():
    counts = simulated()[0].astype(np.uint32)
    counts[3, 5] = 2**24
    assert Counts.of(counts).largest == 2**24
    counts[3, 5] += 1
    with pytest.raises(InputError, match="pixel 3, channel 5"):
        fit_mode(counts, 2, key=fresh())


def test_order_of_the_pixels_does_not_matter_from_the_same_start():
    counts, spectra, abundances = simulated()
    order = np.random.default_rng(5).permutation(len(counts))
    few = {"tolerance": 0.0, "max_iterations": 8}  # a stopping rule would end the two at different steps
    one = fit_mode(counts, 3, init=(abundances, spectra), **few)
    two = fit_mode(counts[order], 3, init=(abundances[order], spectra), **few)
    assert two.divergence == pytest.approx(one.divergence, rel=1e-6)
    np.testing.assert_allclose(two.abundances, one.abundances[order], atol=0.02 * one.abundances.max())


def test_fixed_spectrum_stays_and_takes_its_counts():
    rng = np.random.default_rng(2)
    counts, _, _ = simulated()
    background = np.linspace(3.0, 1.0, 60)
    given = rng.gamma(4.0, 100.0, 300)
    counts = (counts + rng.poisson(np.outer(given, background / background.sum()))).astype(np.uint16)
    mode = fit_mode(counts, 3, key=fresh(), fixed_spectra=background[None])
    np.testing.assert_allclose(mode.spectra[3], background / background.sum(), rtol=1e-6)
    assert mode.n_fixed == 1
    assert np.corrcoef(mode.abundances[:, 3], given)[0, 1] > 0.9


def test_iteration_limit_is_said():
    counts, _, _ = simulated()
    assert fit_mode(counts, 3, key=fresh(), tolerance=1e-12, max_iterations=3).status is Status.ITERATION_LIMIT


def test_an_interruption_ends_the_fit():
    counts, _, _ = simulated()

    def stop(done, _):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_mode(counts, 3, key=fresh(), tolerance=1e-12, progress=stop)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda c: (c, 61), "rank=61"),
        (lambda c: (c, 0), "rank=0"),
        (lambda c: (c.astype(float) + 0.5, 2), "fractional"),
        (lambda c: (c * 0, 2), "add to 0"),
        (lambda c: (c[0], 2), "shape"),
    ],
)
def test_refuses_what_it_cannot_fit(change, word):
    counts, rank = change(simulated()[0])
    with pytest.raises(InputError, match=word):
        fit_mode(counts, rank, key=fresh())


def test_coarse_counts_hold_every_count_and_are_undone_by_refine():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.2, (9000, 600)).astype(np.uint8)
    coarse = coarsen(Counts.of(counts))
    added = coarse.counts.matrix
    assert added.sum(dtype=np.int64) == counts.sum(dtype=np.int64)
    totals = added.sum(axis=1, dtype=np.float64)[:, None]
    spectrum = added.sum(axis=0, dtype=np.float64)[None] / added.sum(dtype=np.float64)
    w, h = refine(coarse, Counts.of(counts), totals, spectrum)
    np.testing.assert_allclose(w[:, 0], 1.01 * counts.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(h[0], counts.sum(axis=0) / counts.sum(), rtol=1e-4)


def test_starts_are_probabilities():
    for spectra in starts(simulated()[0], 3, seed=1):
        assert spectra.shape == (3, 60)
        assert spectra.min() > 0
        np.testing.assert_allclose(spectra.sum(axis=1), 1.0)
