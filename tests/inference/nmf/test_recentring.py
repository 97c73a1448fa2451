"""Draws moved along what the counts leave open."""

from dataclasses import replace

import numpy as np

from bayesspec.inference.nmf.posterior import NmfPosterior
from bayesspec.inference.nmf.recentring import recentred
from bayesspec.inference.status import Status


def posterior() -> NmfPosterior:
    """Draws of three spectra, the last of them fixed."""
    rng = np.random.default_rng(0)
    spectra = rng.dirichlet(np.full(30, 0.7), 3) * rng.gamma(400.0, 1 / 400.0, (20, 3, 30))
    spectra[:, 2] = spectra[0, 2]
    spectra = (spectra / spectra.sum(axis=2, keepdims=True)).astype(np.float32)
    totals, moments = rng.gamma(1e4, 1.0, (20, 3)), np.ones((60, 4), np.float32)
    quantiles, prior, none = np.ones((2, 60, 4), np.float32), np.ones((20, 3)), np.zeros(20)
    effective = {"totals": np.ones(3), "fractions": np.ones(3), "mixing": np.ones((2, 3))}
    status = Status.LOW_EFFECTIVE_SAMPLE_SIZE
    shares = totals / totals.sum(axis=1, keepdims=True)
    fractions = (moments, moments, quantiles, (0.025, 0.975), totals, shares)
    return NmfPosterior(spectra, *fractions, prior, prior, none, {}, effective, status, 1)


def test_the_draws_move_together_and_the_fit_stays() -> None:
    before = posterior()
    mixed = np.array([[0.9, 0.05, 0.05], [0.1, 0.9, 0.0], [0.0, 0.0, 1.0]])
    wanted = mixed @ before.spectra.mean(axis=0)
    after = recentred(before, wanted)
    np.testing.assert_allclose(after.spectra.mean(axis=0), wanted, atol=1e-5)
    np.testing.assert_allclose(after.spectra[:, 2], before.spectra[:, 2], rtol=1e-4)
    np.testing.assert_allclose(after.spectra.sum(axis=2), 1.0, rtol=1e-5)
    sums = [np.einsum("dk,dkc->dc", fit.totals, fit.spectra.astype(float)) for fit in (before, after)]
    np.testing.assert_allclose(sums[1], sums[0], rtol=0.02)
    assert after.spectra.std(axis=0).mean() > 0.7 * before.spectra.std(axis=0).mean()


def test_nothing_moves_where_it_would_be_singular() -> None:
    before = posterior()
    same = np.repeat(before.spectra.mean(axis=0)[:1], 3, axis=0)
    assert recentred(before, same) is before
    fixed = recentred(replace(before, n_fixed=3), same)
    np.testing.assert_allclose(fixed.spectra, before.spectra, rtol=1e-5)
