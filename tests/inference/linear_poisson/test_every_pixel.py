import numpy as np
import pytest

from bayesspec import InputError
from bayesspec.inference.linear_poisson.every_pixel import fit_pixels
from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities

AXIS = np.arange(40.0)
MATRIX = np.column_stack([np.exp(-0.5 * ((AXIS - c) / 3) ** 2) for c in (10, 15, 30)] + [np.ones(40)])
MATRIX = MATRIX / MATRIX.sum(axis=0)


def test_every_pixel_is_at_its_own_mode() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(2.0, 60.0, (50, 4)) @ MATRIX.T)
    found, covariances, converged = fit_pixels(counts, MATRIX)
    assert converged
    for y, w in zip(counts, found, strict=True):
        best = fit_intensities(MATRIX, y)
        rate = MATRIX @ w + 1e-10
        loss = (rate - y * np.log(rate)).sum() - (best.rate - y * np.log(best.rate)).sum()
        assert -1e-3 < loss < 0.02
    assert (np.diagonal(covariances, axis1=1, axis2=2) > 0).all()


def test_covariances_are_those_of_the_inverse_information() -> None:
    truth = np.array([4e4, 3e4, 2e4, 5e4])
    y = np.round(MATRIX @ truth)
    _, covariances, _ = fit_pixels(y[None], MATRIX, kept=3)
    expected = np.linalg.inv(MATRIX.T @ (MATRIX / (MATRIX @ truth)[:, None]))[:3, :3]
    assert np.allclose(covariances[0], expected, rtol=0.02)
    assert expected[0, 1] < -0.1 * expected[0, 0]


def test_a_pixel_without_counts_is_zero_and_uncertain() -> None:
    counts = np.zeros((2, 40), int)
    counts[1] = 5
    found, covariances, _ = fit_pixels(counts, MATRIX)
    assert found[0].max() < 1e-2
    assert (np.diag(covariances[0]) > 0.1).all()


def test_an_empty_column_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        fit_pixels(np.ones((3, 40), int), np.column_stack([MATRIX, np.zeros(40)]))
