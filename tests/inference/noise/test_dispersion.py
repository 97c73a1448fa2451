"""Variance over mean of Poisson counts, scaled counts and overdispersed counts."""

import numpy as np
import pytest

from bayesspec.inference.noise.dispersion import bulk_quantiles, dispersion, noise_level


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


def test_few_pixels_and_narrow_lines_raise_no_alarm() -> None:
    rng = np.random.default_rng(0)
    narrow = np.full(220, 0.02)
    narrow[[13, 40, 43, 160]] = [1.0, 3.0, 0.7, 5.0]
    share = rng.uniform(0.2, 1.0, (64, 1))
    found = [dispersion(rng.poisson(100 * share * narrow / narrow.sum())) for _ in range(100)]
    assert np.mean(np.array(found) > 1.0) <= 0.05


def test_scatter_and_gain_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    rates = spectra(20.0) * np.geomspace(0.1, 10.0, 300)[:, None]
    scattered = noise_level(rng.poisson(rates * rng.gamma(0.14**-2, 0.14**2, rates.shape)))
    assert 0.1 <= scattered.scatter <= 0.2
    assert noise_level(rng.poisson(rng.gamma(rates / 0.3, 0.3))).gain == pytest.approx(1.3, abs=0.05)


def test_bulk_quantiles_are_those_of_noise() -> None:
    noise = np.random.default_rng(0).normal(size=(1000, 300))
    squares = np.linalg.svd(noise, compute_uv=False)[::-1] ** 2 / 1000
    probs = (np.arange(300) + 0.5) / 300
    np.testing.assert_allclose(bulk_quantiles(300, 1000, probs)[3:-3], squares[3:-3], rtol=0.03)
