import numpy as np
import pytest
from scipy.optimize import approx_fprime

from bayesspec.inference.linear_poisson.mixing_distribution import (
    MixingDistribution,
    MixingLikelihood,
    climb,
    fit_mixing_distribution,
    posterior_shares,
    simplex_grid,
    support_points,
)
from bayesspec.inference.linear_poisson.profile_likelihood import allowed_drop, profile_ends

DESIGN = np.kron(np.eye(4), np.ones((3, 1))) + 0.02
TRUTH = np.array([[0.7, 0.3, 0.0, 0.0], [0.1, 0.0, 0.5, 0.4]])
START = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])


def sample(seed: int, share: np.ndarray) -> np.ndarray:
    rate = 200 * np.column_stack([share, 1 - share]) @ TRUTH @ (DESIGN / DESIGN.sum(axis=0)).T
    return np.random.default_rng(seed).poisson(rate)


def first_line(weights: np.ndarray) -> tuple[float, np.ndarray]:
    return float(weights[0, 0]), np.eye(1, weights.size).reshape(weights.shape)


def test_the_grid_divides_the_simplex() -> None:
    grid = simplex_grid(3, 4)
    assert grid.shape == (15, 3)
    assert np.allclose(grid.sum(axis=1), 1.0)
    assert {tuple(row) for row in np.eye(3)} <= {tuple(row) for row in grid}


def test_derivatives_are_those_of_the_likelihood() -> None:
    problem = MixingLikelihood(sample(0, np.linspace(0, 1, 30)), DESIGN)
    fit = support_points(problem, START, 1)
    w, f, p = fit.weights, fit.shares[::8], fit.probabilities[::8] / fit.probabilities[::8].sum()
    _, by_weight, by_share, by_log = problem.gradient(w, f, p)

    def of_weights(x: np.ndarray) -> float:
        x = x.reshape(w.shape)
        return problem.responsibilities(x / x.sum(axis=1, keepdims=True), f, p)[0]

    def of_shares(x: np.ndarray) -> float:
        x = x.reshape(f.shape)
        return problem.responsibilities(w, x / x.sum(axis=1, keepdims=True), p)[0]

    def of_logs(x: np.ndarray) -> float:
        return problem.responsibilities(w, f, np.exp(x) / np.exp(x).sum())[0]

    for at, function, slope in ((w, of_weights, by_weight), (f, of_shares, by_share), (np.log(p), of_logs, by_log)):
        numeric = approx_fprime(at.ravel(), function, 1e-7)
        assert np.allclose(numeric, slope.ravel(), rtol=1e-3, atol=1e-3 * np.abs(slope).max())


def test_mixtures_of_known_columns_are_found() -> None:
    share = np.random.default_rng(1).beta(0.5, 0.5, 400)
    counts = sample(1, share)
    problem = MixingLikelihood(counts, DESIGN)
    fit = fit_mixing_distribution(problem, START)
    assert fit.converged
    assert np.allclose(fit.weights, TRUTH, atol=0.03)
    at_truth = climb(problem, support_points(problem, TRUTH, 20), steps=1)
    assert fit.log_likelihood > at_truth.log_likelihood
    mean = posterior_shares(counts, DESIGN, fit)
    assert np.allclose(mean.sum(axis=1), 1.0)
    assert np.corrcoef(mean[:, 0], share)[0, 1] > 0.97


def test_a_range_is_the_likelihood_ratio_s_where_all_is_identified() -> None:
    counts = np.random.default_rng(2).multinomial(100, [0.3, 0.3, 0.4], 50)
    problem = MixingLikelihood(counts, np.eye(3))
    best, [(low, high)] = profile_ends(problem, fit_mixing_distribution(problem, np.ones((1, 3))), [first_line], 0.9)
    p, n = counts[:, 0].sum() / counts.sum(), counts.sum()
    assert best.weights[0, 0] == pytest.approx(p, abs=1e-4)
    for end in (low, high):
        q = end.value
        assert end.drop == pytest.approx(n * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))), rel=0.02)
        assert end.drop == pytest.approx(allowed_drop(best.weights, 0.9), rel=0.25)
    assert low.value < p < high.value


def test_a_range_spans_what_pixels_without_pure_ones_leave_open() -> None:
    widths = []
    for lowest in (0.0, 0.3):
        share = lowest + (1 - lowest) * np.random.default_rng(3).uniform(size=400)
        problem = MixingLikelihood(sample(3, share), DESIGN)

        def other(weights: np.ndarray) -> tuple[float, np.ndarray]:
            return float(weights[1, 0]), np.eye(1, weights.size, 4).reshape(weights.shape)

        _, [(low, high)] = profile_ends(problem, fit_mixing_distribution(problem, TRUTH + 0.01), [other], 0.9)
        assert low.value <= TRUTH[1, 0] <= high.value
        widths.append(high.value - low.value)
    assert widths[1] > 2 * widths[0]


def test_points_that_hold_no_pixel_are_dropped() -> None:
    problem = MixingLikelihood(sample(4, np.full(200, 1.0)), DESIGN)
    fit = support_points(problem, TRUTH, 50)
    assert len(fit.shares) < 20
    assert fit.shares[fit.probabilities.argmax(), 0] > 0.9
    assert isinstance(fit, MixingDistribution)
