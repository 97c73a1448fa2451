"""Blocks widen intervals but never narrow them."""

import numpy as np
import pytest

from bayesspec.inference.block_covariance import widened
from bayesspec.inference.mixture_path import fit_path

pytestmark = pytest.mark.usefixtures("strict")
SHARES = np.array([[0.5, 0.5], [0.4, 0.6]])


def patches(side: int = 48, period: int = 12, counts: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Stripes of two phases, `period` pixels wide; a period of 0 draws every label by itself."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = rng.integers(0, 2, (side, side)) if period == 0 else (x // period + y // period) % 2
    return rng.poisson(counts * SHARES[labels]), labels


def test_blocks_never_narrow_and_agree_with_the_model_where_it_holds() -> None:
    counts, _ = patches(period=0, counts=2000, seed=1)
    fit = fit_path(counts, 2)[1]
    none = np.zeros((*counts.shape[:2], 0))
    wide = widened(fit, counts, none)
    gain = np.linalg.eigvals(np.linalg.solve(fit.covariance, wide.covariance)).real
    assert gain.min() > 1 - 1e-6
    contrast = np.array([1.0, -1, 0, 0, 0, 0])
    ratio = np.sqrt(contrast @ wide.covariance @ contrast / (contrast @ fit.covariance @ contrast))
    assert ratio < 1.35


def test_patches_widen_the_intervals_of_a_fit_that_ignores_them() -> None:
    counts, labels = patches(period=16, counts=60, seed=2)
    dose = np.where(labels[..., None] == 1, 1.5, 0.7)
    uneven = np.random.default_rng(3).poisson(counts * dose)
    fit = fit_path(uneven, 2)[1]
    wide = widened(fit, uneven, np.zeros((*counts.shape[:2], 0)))
    odds = np.array([0.0, 0, 0, 0, 1, -1])
    assert np.sqrt(odds @ wide.covariance @ odds / (odds @ fit.covariance @ odds)) > 1.3
