"""Neighbours tell about a pixel's phase, and its own counts stay out."""

from dataclasses import replace

import numpy as np
import pytest

from bayesspec.inference.mixture.fit import MixtureFit
from bayesspec.inference.mixture.fit_number import with_covariates
from bayesspec.inference.mixture.neighbour_covariates import cavity_covariates, neighbour_covariates
from bayesspec.inference.mixture.path import fit_path

SHARES = np.array([[0.5, 0.5], [0.4, 0.6]])


def patches(side: int = 48, counts: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two phases in squares of 12 pixels in turn."""
    y, x = np.mgrid[:side, :side]
    labels = (x // 12 + y // 12) % 2
    return np.random.default_rng(seed).poisson(counts * SHARES[labels]), labels


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


def second_round(counts: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, MixtureFit, MixtureFit]:
    """Covariates of the second round, the fit of the first one, and that with both."""
    start = fit_path(counts, 2, mask=mask)[1]
    first = neighbour_covariates(counts, start, mask=mask)
    near = with_covariates(start, counts, first, mask=mask)
    around = cavity_covariates(counts, start, near, mask=mask)
    return around, near, with_covariates(near, counts, np.concatenate([first, around], axis=2), mask=mask)


def test_a_pixel_hears_nothing_of_itself_in_the_second_round() -> None:
    counts, _ = patches(counts=100, seed=4)
    start = fit_path(counts, 2)[1]
    near = with_covariates(start, counts, neighbour_covariates(counts, start))
    changed = counts.copy()
    changed[20, 20] = changed[20, 20] + [25, -25]
    own = neighbour_covariates(changed, start)  # the labels that follow, with the first fit as it is
    logits = np.log(near.responsibilities[:, 0] / near.responsibilities[:, 1]).reshape(counts.shape[:2])
    slopes = near.weights[0, 1:] - near.weights[1, 1:]
    ratio = near.log_composition[0] - near.log_composition[1]
    moved = (own - neighbour_covariates(counts, start)) @ slopes + (changed - counts) @ ratio
    first = 1.0 / (1.0 + np.exp(-np.clip(logits + moved, -29, 29)))
    told = replace(near, responsibilities=np.stack([first, 1.0 - first], axis=2).reshape(-1, 2))
    before, after = cavity_covariates(counts, start, near), cavity_covariates(changed, start, told)
    change = np.abs(after - before)
    assert np.abs(moved[20, 21]) > 0.3

    assert (change[20, 20] < 0.05 * change[20, 21].max()).all()


def test_a_second_round_sharpens_the_labels() -> None:
    counts, labels = patches(side=96, counts=120, seed=5)
    _, first, second = second_round(counts)
    wrong = [min(np.mean(f.responsibilities.argmax(axis=1) != flip) for flip in (labels.ravel(), 1 - labels.ravel()))
             for f in (first, second)]  # fmt: skip
    assert wrong[1] < 0.85 * wrong[0]
    assert second.pixel_log_likelihood.sum() > first.pixel_log_likelihood.sum() + 20


def test_the_second_round_is_blind_to_excluded_pixels() -> None:
    counts, _ = patches(seed=6)
    mask = np.zeros(counts.shape[:2], bool)
    mask[:10] = True
    poisoned = counts.copy()
    poisoned[:10] = 10_000
    first, second = (second_round(c, mask)[0] for c in (counts, poisoned))
    np.testing.assert_array_equal(first, second)
    assert (first[:10] == 0).all()


def test_a_line_scan_has_a_second_round() -> None:
    labels = np.arange(2048)[None] // 16 % 2
    around, first, second = second_round(np.random.default_rng(7).poisson(300 * SHARES[labels]))
    assert around.shape[:2] == (1, 2048)
    assert second.pixel_log_likelihood.sum() > first.pixel_log_likelihood.sum() + 10
