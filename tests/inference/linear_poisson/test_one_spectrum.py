import numpy as np
import pytest
from scipy.optimize import minimize

from bayesspec import InputError
from bayesspec.inference.linear_poisson.one_spectrum import draw_intensities, fit_intensities

AXIS = np.arange(60.0)


def peaks(*centres: float) -> np.ndarray:
    shapes = [np.exp(-0.5 * ((AXIS - c) / 3.0) ** 2) / (3.0 * np.sqrt(2 * np.pi)) for c in centres]
    return np.column_stack([*shapes, np.full(60, 1 / 60)])


def test_mode_is_that_of_a_general_optimiser() -> None:
    design, rng = peaks(15, 22, 45), np.random.default_rng(0)
    y = rng.poisson(design @ np.array([300.0, 80.0, 0.0, 400.0]))
    found = fit_intensities(design, y)

    def loss(w: np.ndarray) -> float:
        return float((design @ w - y * np.log(design @ w + 1e-12)).sum())

    best = minimize(loss, np.full(4, 100.0), bounds=[(0, None)] * 4, options={"ftol": 1e-14, "gtol": 1e-10})
    assert found.converged
    assert np.allclose(found.intensities, best.x, atol=0.05)
    assert loss(found.intensities) <= best.fun + 1e-6


def test_an_absent_line_is_zero_and_its_gradient_not_positive() -> None:
    design = peaks(15, 45)
    y = np.round(design @ np.array([500.0, 0.0, 600.0]))
    y[40:50] = np.maximum(y[40:50] - 5, 0)
    found = fit_intensities(design, y)
    assert found.intensities[1] == 0
    assert found.gradient[1] < 0
    draws = draw_intensities(found, np.random.default_rng(0), 500)
    assert (draws >= 0).all()
    assert 0 < draws[:, 1].mean() < 20


def test_draws_of_an_interior_mode_have_the_inverse_information_as_covariance() -> None:
    design = peaks(15, 22, 45)
    found = fit_intensities(design, np.round(design @ np.array([3e4, 8e3, 1e4, 4e4])))
    draws = draw_intensities(found, np.random.default_rng(1), 4000)
    covariance = np.linalg.inv(found.information)
    assert np.allclose(
        np.cov(draws.T) / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance))), np.corrcoef(draws.T), atol=0.06
    )
    assert np.allclose(draws.std(axis=0), np.sqrt(np.diag(covariance)), rtol=0.05)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_intervals_cover(scale: float) -> None:
    design, truth, rng = peaks(15, 22, 45), scale * np.array([300.0, 80.0, 30.0, 400.0]), np.random.default_rng(2)
    inside = np.zeros(4)
    for _ in range(120):
        found = fit_intensities(design, rng.poisson(design @ truth))
        low, high = np.quantile(draw_intensities(found, rng, 200), [0.05, 0.95], axis=0)
        inside += (low <= truth) & (truth <= high)
    assert (np.abs(inside / 120 - 0.9) < 0.085).all(), inside / 120


def test_a_negative_design_is_refused() -> None:
    with pytest.raises(InputError, match="non-negative"):
        fit_intensities(-peaks(10), np.ones(60))
