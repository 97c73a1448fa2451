"""Scores of smoothed counts: false alarms, power, local dose."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesspec.errors import InputError
from bayesspec.inference.mixture.coherence import coherence_score, dose_covariates, gaussian, of_others
from bayesspec.inference.mixture.settings import SETTINGS

IRON = np.array([0.783 / 1.783, 0.698 / 1.698])
SHARES = np.stack([IRON, 1 - IRON], axis=1)


def blobs(rng, shape, width):
    field = gaussian_filter(rng.normal(size=shape), width, mode="wrap")
    return (field > np.quantile(field, 0.6)).astype(int)


def test_false_alarms_at_most_five_percent():
    rng = np.random.default_rng(0)
    alarms = [
        coherence_score(rng.poisson(dose * share, (48, 48, len(share)))).significant
        for dose, share in ((5.0, SHARES[0]), (60.0, np.array([0.5, 0.3, 0.15, 0.05])))
        for _ in range(150)
    ]
    assert np.mean(alarms) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_score_of_one_phase_has_variance_one():
    rng = np.random.default_rng(1)
    z = np.array([coherence_score(rng.poisson(20 * SHARES[0], (48, 48, 2))).z for _ in range(200)])
    assert z.shape[1] == 4
    np.testing.assert_allclose(z[:, :2].std(axis=0), 1.0, atol=0.15)
    np.testing.assert_allclose(z[:, :2].mean(axis=0), 0.0, atol=0.25)


def test_two_oxides_are_noticed_at_ten_counts_a_pixel():
    rng = np.random.default_rng(2)
    maps = [rng.poisson(10 * SHARES[blobs(rng, (128, 128), 6)]) for _ in range(12)]
    assert sum(coherence_score(counts).significant for counts in maps) >= 11


def test_broad_grains_are_noticed_at_three_counts_a_pixel_by_the_widest_score():
    rng = np.random.default_rng(5)
    scores = np.array([coherence_score(rng.poisson(3 * SHARES[blobs(rng, (128, 128), 12)])).z for _ in range(20)])
    assert (scores.max(axis=1) > SETTINGS.uneven_map).sum() >= 13
    assert (scores.argmax(axis=1) == 4).sum() >= 10


def test_the_sum_over_the_others_leaves_each_pixel_out():
    image = np.random.default_rng(6).normal(size=(7, 9))
    y, x = np.mgrid[:7, :9].reshape(2, -1)
    kernel = gaussian(2.0)
    middle = len(kernel) // 2
    one = np.array([[kernel[middle + a - b] for b in range(9)] for a in range(9)])
    weight = one[y[:, None], y[None]] * one[x[:, None], x[None]] * (1 - np.eye(63))
    np.testing.assert_allclose(of_others(image, kernel).ravel(), weight @ image.ravel(), atol=1e-12)


def test_masked_pixels_and_scattered_noise_do_not_count():
    rng = np.random.default_rng(3)
    counts = rng.poisson(50 * SHARES[0], (64, 64, 2))
    spoiled = counts.copy()
    spoiled[10:20, 10:20] = [400, 10]
    mask = np.zeros((64, 64), bool)
    mask[10:20, 10:20] = True
    assert coherence_score(spoiled).significant
    np.testing.assert_allclose(coherence_score(spoiled, mask=mask).z, coherence_score(counts, mask=mask).z)
    scattered = rng.permutation(rng.poisson(500 * SHARES[blobs(rng, (64, 64), 6)]).reshape(-1, 2)).reshape(64, 64, 2)
    assert abs(coherence_score(scattered).z).max() < 4


def test_empty_channels_change_nothing_and_one_channel_is_refused():
    counts = np.random.default_rng(4).poisson(20 * SHARES[0], (32, 32, 2))
    padded = np.concatenate([counts, np.zeros((32, 32, 1), int)], axis=2)
    np.testing.assert_allclose(coherence_score(padded).z, coherence_score(counts).z)
    with pytest.raises(InputError, match=r"1 channel\(s\) with counts"):
        coherence_score(counts * np.array([1, 0]))


def test_dose_covariates_are_standardised_and_depend_on_the_dose_alone():
    rng = np.random.default_rng(5)
    dose = 1 + 0.4 * np.sin(np.linspace(0, 6, 64))[:, None] * np.ones((1, 64))
    totals = rng.poisson(500 * dose)
    mask = rng.random((64, 64)) < 0.2
    x = dose_covariates(totals, mask=mask)
    assert x.shape[:2] == (64, 64)
    np.testing.assert_allclose(x[~mask].mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(x[~mask].std(axis=0), 1.0, atol=1e-12)
    assert (x[mask] == 0).all()
    changed = np.where(mask, 10**6, totals)
    np.testing.assert_allclose(dose_covariates(changed, mask=mask), x)
    log_dose = np.log(dose)[~mask]
    design = np.column_stack([np.ones(len(log_dose)), x[~mask]])
    left = log_dose - design @ np.linalg.lstsq(design, log_dose, rcond=None)[0]
    assert left.var() < 0.05 * log_dose.var()
    np.testing.assert_allclose(dose_covariates(10 * totals, mask=mask), x)


def test_even_dose_gives_covariates_of_zero():
    assert (dose_covariates(np.full((20, 20), 100)) == 0).all()


def test_a_mask_that_leaves_nothing_is_refused():
    with pytest.raises(InputError, match="excludes every pixel"):
        dose_covariates(np.full((4, 4), 9), mask=np.ones((4, 4), bool))
