"""Frames of a stack: drift is found where it is clear, and counts stay counts."""

import numpy as np
import pytest

from bayesspec.files.frames import summed_frames


def stack(rng, dose, shifts, shape=(40, 36)):
    """A grain in a matrix, larger than the frames, that is displaced from one to the next."""
    y, x = np.mgrid[-8 : shape[0] + 8, -8 : shape[1] + 8]
    rate = dose * (0.3 + np.exp(-((y - 18) ** 2 + (x - 15) ** 2) / 30) + 0.5 * (x > 25))
    spectrum = np.array([0.5, 0.3, 0.2])
    frames = [
        rng.poisson(rate[8 - dy : 8 - dy + shape[0], 8 - dx : 8 - dx + shape[1], None] * spectrum) for dy, dx in shifts
    ]
    return np.array(frames)


@pytest.mark.parametrize("dose", [300, 3000])
def test_frames_are_aligned_by_whole_pixels(dose):
    shifts = [(0, 0), (1, 0), (2, -1), (3, -3)]
    counts = stack(np.random.default_rng(0), dose, shifts)
    total, note = summed_frames(counts, "all")
    assert "3 along y, 3 along x" in note
    assert total.shape == (37, 33, 3)
    by_hand = sum(frame[dy : 37 + dy, 3 + dx : 36 + dx] for frame, (dy, dx) in zip(counts, shifts, strict=True))
    np.testing.assert_array_equal(total, by_hand)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dose", [0.01, 1.0])
def test_noise_is_no_drift(seed, dose):
    counts = stack(np.random.default_rng(seed), dose, [(0, 0)] * 6)
    total, note = summed_frames(counts, "all")
    assert "no drift" in note
    np.testing.assert_array_equal(total, counts.sum(axis=0))
