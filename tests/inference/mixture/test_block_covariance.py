"""Blocks widen intervals but never narrow them."""

import numpy as np

from bayesspec.inference.mixture.block_covariance import widened
from bayesspec.inference.mixture.path import fit_path

SHARES = np.array([[0.5, 0.5], [0.4, 0.6]])


def test_blocks_never_narrow_and_agree_with_the_model_where_it_holds() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(2000 * SHARES[rng.integers(0, 2, (48, 48))])
    fit = fit_path(counts, 2)[1]
    none = np.zeros((*counts.shape[:2], 0))
    wide = widened(fit, counts, none)
    gain = np.linalg.eigvals(np.linalg.solve(fit.covariance, wide.covariance)).real
    assert gain.min() > 1 - 1e-6
    contrast = np.array([1.0, -1, 0, 0, 0, 0])
    ratio = np.sqrt(contrast @ wide.covariance @ contrast / (contrast @ fit.covariance @ contrast))
    assert ratio < 1.35


def test_patches_widen_the_intervals_of_a_fit_that_ignores_them() -> None:
    labels = np.kron(np.indices((3, 3)).sum(axis=0) % 2, np.ones((16, 16), int))
    counts = np.random.default_rng(3).poisson(60 * SHARES[labels] * np.where(labels == 1, 1.5, 0.7)[:, :, None])
    fit = fit_path(counts, 2)[1]
    wide = widened(fit, counts, np.zeros((*counts.shape[:2], 0)))
    odds = np.array([0.0, 0, 0, 0, 1, -1])
    assert np.sqrt(odds @ wide.covariance @ odds / (odds @ fit.covariance @ odds)) > 1.3
