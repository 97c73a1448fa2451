"""A component as knowledge for another fit."""

import numpy as np
import pytest
import xarray as xr

import bayesspec as bs
from bayesspec.workflows.unmixing.known_spectra import known_spectra


def component(counts: float = 5000.0, channels: int = 40) -> tuple[bs.Component, np.ndarray]:
    rng = np.random.default_rng(0)
    mean = rng.dirichlet(np.full(channels, 2.0))
    draws = rng.dirichlet(counts * mean, 400)
    energy = 1.0 + 0.1 * np.arange(channels)
    return bs.Component(xr.DataArray(draws, dims=("draw", "energy"), coords={"energy": energy}), "test"), mean


def test_knows_how_many_counts_it_is_worth() -> None:
    assert component(5000.0)[0].counts == pytest.approx(5000.0, rel=0.1)
    assert component(100.0)[0].counts == pytest.approx(100.0, rel=0.15)


def test_goes_onto_another_axis() -> None:
    found, mean = component()
    np.testing.assert_allclose(found.on(1.0 + 0.1 * np.arange(40)), found.mean, rtol=1e-6)
    np.testing.assert_allclose(found.on(1.05 + 0.2 * np.arange(20)), mean.reshape(20, 2).sum(axis=1), atol=0.003)
    with pytest.raises(bs.InputError, match="prior component"):
        found.on(0.2 + 0.1 * np.arange(40))


def test_known_spectra_are_shared_over_the_channels_in_use() -> None:
    found, mean = component()
    image = bs.SpectrumImage(np.ones((3, 3, 40), int), energy=1.0 + 0.1 * np.arange(40), energy_unit="eV")
    image = image.with_mask(image.energy > 4.0)
    known = known_spectra(image, 3.0 * mean, "power_law", found)
    np.testing.assert_allclose(known.all.sum(axis=1), 1)
    assert not known.all[:, ~image.valid_channels].any()
    seen = np.array(known.seen(image.valid_channels))
    assert seen.shape == (1, int(image.valid_channels.sum()))
    assert seen.sum() == pytest.approx(found.counts)


def test_bremsstrahlung_needs_a_beam_energy() -> None:
    image = bs.SpectrumImage(np.ones((3, 3, 40), int), energy=1.0 + 0.1 * np.arange(40))
    with pytest.raises(bs.InputError, match="beam energy None"):
        known_spectra(image, None, "bremsstrahlung")
    with pytest.raises(bs.InputError, match="positive energies"):
        known_spectra(bs.SpectrumImage(image.counts, energy=np.arange(40) - 3.0), None, "power_law")
