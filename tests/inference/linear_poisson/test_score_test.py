import numpy as np
import pytest

from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.inference.linear_poisson.score_test import poisson_gain, score_gains

X = np.linspace(-1.0, 1.0, 200)
FLAT = np.column_stack([np.ones(200), 1.0 + X])
PEAK = np.exp(-0.5 * (X / 0.05) ** 2)


def test_the_gain_is_that_of_fitting_the_column() -> None:
    counts = np.random.default_rng(0).poisson(100 + 20 * X + 25 * PEAK).astype(float)
    without = fit_intensities(FLAT, counts)
    with_peak = fit_intensities(np.column_stack([FLAT, PEAK]), counts)
    found = score_gains(FLAT, PEAK[:, None], counts, without.rate, np.zeros((200, 0)))
    assert found.gain[0] == pytest.approx((without.deviance - with_peak.deviance) / 2, rel=0.1)
    assert found.intensity[0] == pytest.approx(with_peak.intensities[2], rel=0.1)


def test_errors_of_the_shapes_explain_what_they_can() -> None:
    counts = np.random.default_rng(1).poisson(100 + 20 * X + 25 * PEAK).astype(float)
    rate = fit_intensities(FLAT, counts).rate
    plain = score_gains(FLAT, PEAK[:, None], counts, rate, np.zeros((200, 0))).gain[0]
    allowed = score_gains(FLAT, PEAK[:, None], counts, rate, 25 * PEAK[:, None]).gain[0]
    assert allowed < 1.0 < plain


def test_a_column_of_the_fit_gains_nothing_more() -> None:
    counts = np.random.default_rng(2).poisson(100 + 20 * X).astype(float)
    rate = fit_intensities(FLAT, counts).rate
    found = score_gains(FLAT, FLAT @ np.array([[1.0], [2.0]]), counts, rate, np.zeros((200, 0)))
    assert found.gain[0] == 0
    assert np.isinf(found.sd[0])


def test_few_counts_on_nothing_gain_as_poisson_counts_do() -> None:
    assert poisson_gain(np.array([3.0]), np.array([2.0]))[0] == pytest.approx(3.5 * np.log(7.0) - 3.0)
    assert poisson_gain(np.array([-3.0]), np.array([2.0]))[0] == 0
