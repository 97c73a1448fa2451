"""Dark pixels: holes are found; thin places, even images of few counts and dark phases are none."""

import numpy as np
import pytest

from bayesspec.inference.mixture.dark_pixels import dark_pixels

SHAPE = (32, 32)
EVERYWHERE = np.ones(SHAPE, bool)


def totals(rate: float, dark: float, *, seed: int = 0) -> np.ndarray:
    """Counts of an image whose first six columns are dark."""
    expected = np.full(SHAPE, rate)
    expected[:, :6] = dark
    return np.random.default_rng(seed).poisson(expected)


@pytest.mark.parametrize(("rate", "dark"), [(300.0, 1.0), (1000.0, 3.0), (10_000.0, 30.0)])
def test_holes_are_found(rate: float, dark: float) -> None:
    counts = totals(rate, dark)
    found = dark_pixels(counts, EVERYWHERE)
    assert found[:, 6:].sum() == 0
    assert found[:, :6][counts[:, :6] > 0].all()


def test_excluded_pixels_are_not_looked_at() -> None:
    counts, valid = totals(1000.0, 3.0), EVERYWHERE.copy()
    valid[:, :3] = False
    counts[:, :3] = 10**6
    assert not dark_pixels(counts, valid)[:, :3].any()
    assert dark_pixels(counts, valid)[:, 3:6].mean() > 0.9


def test_few_counts_thin_places_and_dark_phases_are_no_holes() -> None:
    rng = np.random.default_rng(1)
    assert not dark_pixels(rng.poisson(3.0, SHAPE), EVERYWHERE).any()
    assert not dark_pixels(rng.poisson(1000 * np.linspace(0.0, 1.0, 32)[None] * np.ones(SHAPE)), EVERYWHERE).any()
    assert not dark_pixels(totals(10_000.0, 200.0), EVERYWHERE).any()
    assert not dark_pixels(np.zeros(SHAPE, int), EVERYWHERE).any()
