import numpy as np
import pytest

from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.inference.linear_poisson.uncertain_shapes import fit_uncertain, whitening

X = np.linspace(-1.0, 1.0, 120)
PEAKS = np.column_stack([np.exp(-0.5 * ((X - at) / 0.08) ** 2) for at in (-0.2, 0.15)])
DESIGN = np.column_stack([PEAKS, np.ones(120)])
TRUTH = np.array([400.0, 150.0, 40.0])
SIDE = np.exp(-0.5 * (X / 0.08) ** 2)


def test_without_errors_it_is_the_likelihood() -> None:
    counts = np.random.default_rng(0).poisson(DESIGN @ TRUTH).astype(float)
    plain = fit_intensities(DESIGN, counts)
    found = fit_uncertain(DESIGN, counts, np.zeros((120, 0)), plain.intensities).fit
    assert np.allclose(found.intensities, plain.intensities, rtol=1e-3)
    assert np.allclose(found.information, plain.information, rtol=1e-3)


def test_an_error_of_a_shape_is_found_and_widens_the_intensities() -> None:
    errors, inside, n = 30.0 * SIDE[:, None], 0, 60
    for seed in range(n):
        rng = np.random.default_rng(seed)
        counts = rng.poisson(np.maximum(DESIGN @ TRUTH + errors[:, 0] * rng.normal(), 0)).astype(float)
        found = fit_uncertain(DESIGN, counts, errors, fit_intensities(DESIGN, counts).intensities)
        sd = np.sqrt(np.linalg.inv(found.fit.information)[1, 1])
        inside += abs(found.fit.intensities[1] - TRUTH[1]) < 1.645 * sd
    exact = np.sqrt(np.linalg.inv(fit_intensities(DESIGN, counts).information)[1, 1])
    assert sd > 1.1 * exact
    assert 0.8 <= inside / n <= 0.98, inside / n
    assert float(found.deviate_covariance[0, 0]) < 1.0


def test_whitening_is_the_inverse_root_of_the_covariance() -> None:
    rate, errors = 5.0 + X**2, np.column_stack([SIDE, X])
    white = whitening(errors, rate)(DESIGN)
    covariance = np.diag(rate) + errors @ errors.T
    assert white.T @ white == pytest.approx(DESIGN.T @ np.linalg.solve(covariance, DESIGN), rel=1e-9)
