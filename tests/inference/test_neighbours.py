"""Neighbours: a pixel's own counts stay out, and blocks widen intervals but never narrow them."""

import numpy as np
import pytest

from bayesspec.inference.mixture import with_covariates
from bayesspec.inference.mixture_fit import MixtureFit
from bayesspec.inference.mixture_path import fit_path
from bayesspec.inference.neighbours import neighbour_covariates, widened

pytestmark = pytest.mark.usefixtures("strict")
SHARES = np.array([[0.5, 0.5], [0.4, 0.6]])


def patches(side: int = 48, period: int = 12, counts: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Stripes of two phases, `period` pixels wide; a period of 0 draws every label by itself."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = rng.integers(0, 2, (side, side)) if period == 0 else (x // period + y // period) % 2
    return rng.poisson(counts * SHARES[labels]), labels


@pytest.fixture(scope="module")
def stripes() -> tuple[np.ndarray, np.ndarray, MixtureFit]:
    counts, labels = patches()
    return counts, labels, fit_path(counts, 2)[1]


def test_a_pixels_own_counts_do_not_enter_its_own_covariates(
    stripes: tuple[np.ndarray, np.ndarray, MixtureFit],
) -> None:
    counts, _, fit = stripes
    changed = counts.copy()
    changed[20, 20] = changed[20, 20, ::-1] + [60, 0]
    before, after = (neighbour_covariates(c, fit) for c in (counts, changed))
    moved = np.abs(after - before)
    assert (moved[20, 20] < 0.02).all()
    assert moved[20, 21, 0] > 10 * moved[20, 20].max()


def test_covariates_are_standardised_and_blind_to_excluded_pixels(
    stripes: tuple[np.ndarray, np.ndarray, MixtureFit],
) -> None:
    counts, _, fit = stripes
    mask = np.zeros(counts.shape[:2], bool)
    mask[:10] = True
    poisoned = counts.copy()
    poisoned[:10] = 10_000
    first, second = (neighbour_covariates(c, fit, mask=mask) for c in (counts, poisoned))
    np.testing.assert_array_equal(first, second)
    assert (first[:10] == 0).all()
    np.testing.assert_allclose(first[10:].reshape(-1, first.shape[2]).mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(first[10:].reshape(-1, first.shape[2]).std(axis=0), 1, rtol=1e-6)


def test_neighbours_sharpen_labels_and_ratios(stripes: tuple[np.ndarray, np.ndarray, MixtureFit]) -> None:
    counts, labels, fit = stripes
    near = with_covariates(fit, counts, neighbour_covariates(counts, fit))
    wrong = [min(np.mean(f.responsibilities.argmax(axis=1) != flip) for flip in (labels.ravel(), 1 - labels.ravel()))
             for f in (fit, near)]  # fmt: skip
    assert wrong[1] < 0.3 * wrong[0]
    assert np.trace(near.covariance[:4, :4]) < np.trace(fit.covariance[:4, :4])


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
