"""Learned spatial priors: the solver against dense algebra, the spectrum in its limits."""

import numpy as np
from scipy.fft import idctn
from scipy.ndimage import gaussian_filter

from bayesspec.inference.pca.score_maps import power_spectrum, smooth_scores


def test_noise_has_no_power_beyond_itself_and_structure_has():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(40, 40))
    assert power_spectrum(noise, 1.0).mean() < 0.1
    structure = gaussian_filter(rng.normal(size=(40, 40)), 2.0)
    structure = 3 * structure / structure.std()
    assert abs(power_spectrum(structure + noise, 1.0).mean() / 9.0 - 1) < 0.15


def test_posterior_mean_is_that_of_dense_algebra():
    rng = np.random.default_rng(1)
    shape, valid = (7, 6), np.ones((7, 6), bool)
    valid[2, 3] = False
    root = rng.normal(size=(41, 2, 2))
    information = root @ root.transpose(0, 2, 1) + 0.5 * np.eye(2)
    information *= 3.0 / information.mean()
    signal = np.stack([gaussian_filter(rng.normal(size=shape), 1.0)[valid] * 5 for _ in range(2)], axis=1)
    pull = np.einsum("pij,pj->pi", information, signal) + np.einsum(
        "pij,pj->pi", np.linalg.cholesky(information), rng.normal(size=(41, 2))
    )
    seen = {}
    from bayesspec.inference.pca import score_maps

    original = score_maps._solve

    def keep(own, target, spectra, place, start):
        seen.update(own=own, target=target, spectra=spectra)
        return original(own, target, spectra, place, start)

    score_maps._solve = keep
    try:
        smooth_scores(information, pull, valid)
        found = original(seen["own"], seen["target"], seen["spectra"], valid, pull)
    finally:
        score_maps._solve = original
    basis = idctn(np.eye(42).reshape(42, *shape), axes=(1, 2), norm="ortho").reshape(42, 42).T
    prior = [(basis * s.ravel()) @ basis.T for s in seen["spectra"]]
    keep_rows = np.flatnonzero(valid.ravel())
    system = np.zeros((82, 82))
    for k in range(2):
        system[k * 41 : (k + 1) * 41, k * 41 : (k + 1) * 41] = np.linalg.inv(prior[k][np.ix_(keep_rows, keep_rows)])
    for i in range(2):
        for j in range(2):
            system[i * 41 : (i + 1) * 41, j * 41 : (j + 1) * 41] += np.diag(seen["own"][:, i, j])
    dense = np.linalg.solve(system, seen["target"].T.ravel()).reshape(2, 41).T
    np.testing.assert_allclose(found, dense, atol=2e-3 * np.abs(dense).max())


def test_without_a_layout_every_pixel_is_pulled_alike():
    rng = np.random.default_rng(2)
    truth = 2.0 * rng.normal(size=(4000, 1))
    information = np.full((4000, 1, 1), 1.0)
    mean, covariance = smooth_scores(information, truth + rng.normal(size=(4000, 1)), None)
    assert abs(np.square(mean - truth).mean() - 0.8) < 0.05
    assert abs(covariance.mean() - 0.8) < 0.03
