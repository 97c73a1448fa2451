"""Variance of counts from pixel to pixel: gains are found, what is no gain is not taken for one."""

import numpy as np
import pytest

from bayesspec.inference.pixel_pairs import pair_noise

SHARES = np.array([[0.56, 0.44], [0.59, 0.41]])
SHAPE = (64, 64)


def rates(counts: float) -> np.ndarray:
    """Two phases in squares of 8 pixels, thickness rising from 0.7 to 1.3."""
    y, x = np.indices(SHAPE)
    return counts * np.linspace(0.7, 1.3, SHAPE[1])[None, :, None] * SHARES[(x // 8 + y // 8) % 2]


@pytest.mark.parametrize("counts", [100, 3000])
@pytest.mark.parametrize("gain", [1.0, 1.5, 2.0])
def test_gain_is_found_beside_two_phases_and_uneven_thickness(gain: float, counts: int) -> None:
    drawn = np.random.default_rng(counts).poisson(rates(counts) / gain)
    found = pair_noise(np.rint(gain * drawn).astype(int), np.ones(SHAPE, bool))
    assert found.gain == pytest.approx(gain, rel=0.1)


def test_composition_that_scatters_from_pixel_to_pixel_is_no_gain() -> None:
    rng = np.random.default_rng(1)
    total = rng.poisson(3000, SHAPE)
    iron = rng.binomial(total, 1 / (1 + np.exp(-0.06 * rng.normal(size=SHAPE))))
    found = pair_noise(np.stack([total - iron, iron], axis=2), np.ones(SHAPE, bool))
    assert found.division > 2
    assert found.gain < 1.1


def test_mean_of_frames_is_below_poisson() -> None:
    drawn = np.random.default_rng(2).poisson(4 * rates(500))
    found = pair_noise(np.rint(drawn / 4).astype(int), np.ones(SHAPE, bool))
    assert found.gain == pytest.approx(0.25, rel=0.15)


def test_excluded_pixels_and_too_few_counts_say_nothing() -> None:
    counts = np.random.default_rng(3).poisson(rates(500))
    valid = np.ones(SHAPE, bool)
    valid[:20] = False
    poisoned = counts.copy()
    poisoned[:20] = np.random.default_rng(4).integers(0, 100_000, (20, 64, 2))
    assert pair_noise(poisoned, valid) == pair_noise(counts, valid)
    assert pair_noise(np.random.default_rng(5).poisson(rates(3)), np.ones(SHAPE, bool)).gain == 1.0
    assert pair_noise(counts[:3, :3], np.ones((3, 3), bool)).gain == 1.0


@pytest.mark.parametrize("side", [16, 20, 32])
def test_small_images_and_rough_thickness_show_no_noise_that_is_not_there(side: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        dose = 400 * rng.uniform(0.5, 1.5, (side, side, 1))
        assert pair_noise(rng.poisson(dose * np.array([0.4, 0.6])), np.ones((side, side), bool)).gain == 1.0


def test_channels_of_few_counts_are_no_quiet_ones() -> None:
    rng = np.random.default_rng(0)
    for weak in ([0.2], [0.2, 0.1], [2.0, 2.0, 2.0]):
        counts = rng.poisson(np.broadcast_to([400.0, *weak], (*SHAPE, 1 + len(weak))))
        assert pair_noise(counts, np.ones(SHAPE, bool)).gain == 1.0
