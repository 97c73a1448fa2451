"""A power law with an edge: mode, covariance against replicates, priors."""

import numpy as np
import pytest

from bayesspec.inference.linear_poisson.log_background import fit_log_background

ENERGY = np.arange(300.0, 700.0, 2.0)
LOG = np.log(ENERGY / 450)
TERMS = np.stack([np.ones_like(LOG), LOG, LOG**2], axis=1)
EDGE = (ENERGY > 450) * (ENERGY / 450) ** -3.0
TRUE = np.array([np.log(400.0), -3.2, 0.0])
FLAT = np.zeros(4)


def rate(height: float) -> np.ndarray:
    return np.exp(TERMS @ TRUE) + height * EDGE


def test_expected_counts_give_back_the_truth() -> None:
    fit = fit_log_background(TERMS, EDGE[:, None], rate(150.0), FLAT)
    assert fit.converged
    np.testing.assert_allclose(fit.background, TRUE, atol=1e-4)
    assert fit.intensities[0] == pytest.approx(150, rel=1e-4)
    assert fit.deviance == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("height", [150.0, 0.0])
def test_the_covariance_is_that_of_replicates(height: float) -> None:
    rng, z = np.random.default_rng(0), []
    for _ in range(200):
        fit = fit_log_background(TERMS, EDGE[:, None], rng.poisson(rate(height)), FLAT)
        z.append((fit.intensities[0] - height) / np.sqrt(fit.covariance[3, 3]))
    assert np.mean(z) == pytest.approx(0, abs=0.25)
    assert np.std(z) == pytest.approx(1, abs=0.17)


def test_a_prior_holds_what_the_counts_do_not_tell() -> None:
    strong = np.array([0.0, 0.0, 0.0, 1e8])
    counts = np.random.default_rng(1).poisson(rate(150.0))
    assert abs(fit_log_background(TERMS, EDGE[:, None], counts, strong).intensities[0]) < 1
    # a column that is nowhere seen keeps its prior
    unseen = np.column_stack([EDGE, np.zeros_like(EDGE)])
    fit = fit_log_background(TERMS, unseen, counts, np.array([0, 0, 0, 0, 0.25]))
    assert fit.covariance[4, 4] == pytest.approx(4, rel=1e-3)
    assert fit.intensities[1] == 0


def test_a_given_start_ends_at_the_same_mode() -> None:
    counts = np.random.default_rng(2).poisson(rate(80.0))
    one = fit_log_background(TERMS, EDGE[:, None], counts, FLAT)
    other = fit_log_background(TERMS, EDGE[:, None], counts, FLAT, np.array([6.0, -3.0, 0.0, 20.0]))
    np.testing.assert_allclose(one.intensities, other.intensities, rtol=1e-4)
