"""Pixels of more than one phase: found where they are, not where they are not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesspec.inference.mixture import mixed_pixels as mixed_pixels_file
from bayesspec.inference.mixture.mixed_pixels import mixed_pixels
from bayesspec.inference.mixture.path import fit_path
from bayesspec.inference.mixture.settings import SETTINGS

PHASES = np.array([[0.40, 0.05, 0.25, 0.30], [0.10, 0.45, 0.15, 0.30], [0.05, 0.15, 0.40, 0.40]])


def sample(*, sharp: bool, seed: int, side: int = 48, counts: int = 300) -> np.ndarray:
    """Three phases: one a pixel, or smooth thicknesses of all three in projection."""
    rng = np.random.default_rng(seed)
    fields = np.stack([gaussian_filter(rng.normal(size=(side, side)), 5, mode="wrap") for _ in PHASES], axis=2)
    amounts = np.eye(3)[fields.argmax(axis=2)] if sharp else np.clip(fields / fields.std() + 0.5, 0.02, None)
    return rng.poisson(counts * (amounts / amounts.sum(axis=2, keepdims=True)) @ PHASES)


def test_projected_phases_are_found() -> None:
    counts = sample(sharp=False, seed=0)
    found = mixed_pixels(fit_path(counts, 3)[2], counts, np.ones((48, 48), bool), seed=0)
    assert found.found
    assert 0.2 < found.share < 0.9
    assert found.bic < 0


def test_one_phase_a_pixel_raises_no_alarm() -> None:
    alarms = 0
    for seed in range(12):
        counts = sample(sharp=True, seed=seed)
        found = mixed_pixels(fit_path(counts, 3)[2], counts, np.ones((48, 48), bool), seed=seed)
        alarms += found.found
        assert found.share < 0.1
    assert alarms <= 2


def test_a_few_mixed_pixels_are_weighed_against_drawn_images(monkeypatch: pytest.MonkeyPatch) -> None:
    pure = sample(sharp=True, seed=3)
    blurred = pure.copy()
    blurred[::4] = np.random.default_rng(1).poisson(300 * 0.5 * (PHASES[0] + PHASES[1]), (12, 48, 4))
    measured = np.ones((48, 48), bool)
    monkeypatch.setattr(mixed_pixels_file, "SETTINGS", replace(SETTINGS, mixed_certain=np.inf))
    fit = fit_path(pure, 3)[2]
    assert not mixed_pixels(fit, pure, measured, seed=0).found
    found = mixed_pixels(fit, blurred, measured, seed=0)
    assert found.found
    assert found.share == pytest.approx(0.25, abs=0.08)


def test_two_channels_or_one_phase_say_nothing() -> None:
    counts = np.random.default_rng(0).poisson([40, 60], (16, 16, 2))
    measured = np.ones((16, 16), bool)
    for fit in fit_path(counts, 2):
        assert not mixed_pixels(fit, counts, measured, seed=0).found
    three = np.random.default_rng(0).poisson([40, 60, 50], (16, 16, 3))
    assert mixed_pixels(fit_path(three, 1)[0], three, measured, seed=0).gain == 0
