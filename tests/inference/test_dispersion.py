"""Variance over mean of Poisson counts, scaled counts and overdispersed counts."""

import numpy as np
import pytest

from bayesspec.inference.dispersion import dispersion


def spectra(scale: float) -> np.ndarray:
    channel = np.arange(200)
    line = 3.0 * np.exp(-0.5 * ((channel - 80) / 3) ** 2)
    return scale * (1.0 + line) * np.linspace(0.5, 2.0, 300)[:, None]


@pytest.mark.parametrize("scale", [0.05, 2.0, 200.0])
def test_poisson_counts_have_dispersion_one(scale: float) -> None:
    counts = np.random.default_rng(0).poisson(spectra(scale))
    assert dispersion(counts) == pytest.approx(1.0, abs=0.05)


def test_gain_is_found() -> None:
    counts = 10 * np.random.default_rng(1).poisson(spectra(20.0))
    assert dispersion(counts) == pytest.approx(10.0, rel=0.05)


def test_too_few_counts_say_nothing() -> None:
    assert dispersion(np.eye(5, dtype=int)) == 1.0
