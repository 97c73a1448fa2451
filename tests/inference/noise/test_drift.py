"""Counts that are moved: sums, means, variances."""

import numpy as np

from bayesspec.inference.noise.drift import coherence, taken_back


def test_moved_counts_are_poisson_counts_of_the_shifted_spectrum():
    place = np.arange(30)
    rate = 40 * np.exp(-0.5 * ((place - 14.0) / 3.0) ** 2) + 5
    counts = np.random.default_rng(0).poisson(rate, (20_000, 30))
    moved = taken_back(counts, np.full(20_000, 0.3), seed=0)
    assert moved.shape == (20_000, 28)
    spread = 0.25 + 0.3**2
    up, down = 0.5 * (spread - 0.3), 0.5 * (spread + 0.3)
    expected = (1 - spread) * rate[1:-1] + up * rate[:-2] + down * rate[2:]
    np.testing.assert_allclose(moved.mean(axis=0), expected, atol=5 * np.sqrt(45 / 20_000))
    np.testing.assert_allclose(moved.var(axis=0) / moved.mean(axis=0), 1, atol=0.06)
    covariance = np.cov(moved[:, 12], moved[:, 13])
    assert abs(covariance[0, 1]) < 4 * np.sqrt(covariance[0, 0] * covariance[1, 1] / 20_000)


def test_widths_do_not_depend_on_the_shift():
    counts = np.zeros((40_000, 9), int)
    counts[:, 4] = 100
    for shift in (0.0, 0.2, 0.5):
        moved = taken_back(counts, np.full(40_000, shift), seed=1).mean(axis=0) / 100
        mean = moved @ np.arange(7)
        assert abs(mean - (3 - shift)) < 0.01
        assert abs(moved @ (np.arange(7) - mean) ** 2 - 0.25) < 0.01


def test_independent_scores_are_not_coherent_and_smooth_ones_are():
    rng = np.random.default_rng(0)
    alone = [coherence(rng.normal(size=(24, 24))) for _ in range(200)]
    assert np.mean(np.array(alone) > 4.0) < 0.02
    assert abs(np.mean(alone)) < 1.2
    slow = 0.5 * np.sin(np.arange(24) / 4)[:, None]
    assert coherence(rng.normal(size=(24, 24)) + slow) > 4.0
