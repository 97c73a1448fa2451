"""Noise that is not Poisson: what is found, what is said, and the rank that is left."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import bayesspec as bs
from bayesspec.workflows import poisson_check as poisson_check_file

SIDE, CHANNELS = 20, 40


def image_of(drift=0.0, seed=0, dose=800.0, scatter=0.0):
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2.0, mode="wrap") for _ in range(2)]
    maps = np.maximum(np.stack([f / f.std() for f in fields], axis=2) + 0.4, 0) + 0.05
    rates = np.empty((SIDE, SIDE, CHANNELS))
    for row, shift in enumerate(drift * np.sin(2 * np.pi * np.arange(SIDE) / SIDE)):
        place = np.arange(CHANNELS) - shift
        lines = [np.exp(-0.5 * ((place - p) / 1.6) ** 2) + 0.03 for p in (12, 28)]
        rates[row] = dose / 6 * maps[row] @ np.stack(lines)
    if scatter:
        rates = rates * rng.gamma(scatter**-2, scatter**2, rates.shape)
    return bs.SpectrumImage(rng.poisson(rates), energy=1.0 + 0.02 * np.arange(CHANNELS)), maps


def test_clean_counts_give_no_warning():
    found = [bs.poisson_check(image_of(seed=seed)[0]) for seed in range(6)]
    assert all(one["ok"].all() for one in found)
    assert {one.attrs["rank"] for one in found} == {2}
    assert "Poisson counts" in found[0].attrs["verdict"]


def test_drift_is_found_with_its_map_and_its_components_are_taken_away():
    with pytest.warns(UserWarning, match="energy axis drifts"):
        found = bs.poisson_check(image_of(drift=0.3)[0])
    assert found.attrs["rank_as_poisson"] > 2
    assert found.attrs["rank"] == 2
    truth = 0.3 * np.sin(2 * np.pi * np.arange(SIDE) / SIDE)
    assert np.corrcoef(found["drift_map"].mean("x"), truth)[0, 1] > 0.9
    assert float(found["value"].sel(test="drift")) == pytest.approx(0.21, abs=0.08)


def test_a_drift_that_makes_no_component_is_found_by_its_pattern():
    with pytest.warns(UserWarning, match="too little to show as a component"):
        found = bs.poisson_check(image_of(drift=0.08)[0])
    assert found.attrs["rank_as_poisson"] == found.attrs["rank"] == 2


def test_drift_is_sought_in_blocks_of_pixels_where_the_image_is_large(monkeypatch):
    image, _ = image_of(drift=0.3)
    monkeypatch.setattr(poisson_check_file, "LARGEST", image.counts.size // 3)
    with pytest.warns(UserWarning, match="energy axis drifts"):
        found = bs.poisson_check(image)
    assert found.attrs["rank"] == 2
    shifts = found["drift_map"].values
    np.testing.assert_array_equal(shifts[::2, ::2], shifts[1::2, 1::2])
    truth = 0.3 * np.sin(2 * np.pi * np.arange(SIDE) / SIDE)
    assert np.corrcoef(shifts.mean(axis=1), truth)[0, 1] > 0.9


def test_scatter_is_found_and_its_components_are_taken_away():
    with pytest.warns(UserWarning, match="times the variance"):
        found = bs.poisson_check(image_of(scatter=0.15)[0])
    assert found.attrs["rank_as_poisson"] > 4
    assert found.attrs["rank"] == 2
    assert float(found["value"].sel(test="dispersion")) > 1.1


def test_dead_and_hot_channels_and_pixels_are_named():
    image, _ = image_of()
    counts = image.counts.astype(int)
    counts[..., 20] += np.random.default_rng(1).poisson(300, (SIDE, SIDE))
    counts[..., 5] = 0
    counts[7, 9] = 0
    counts[3, 4] *= 30
    with pytest.warns(UserWarning, match="hot channel: 20"):
        found = bs.poisson_check(bs.SpectrumImage(counts, energy=image.energy))
    words = found.attrs["verdict"]
    assert "1 hot pixel: (3, 4)" in words
    assert "1 dead pixel: (7, 9)" in words
    assert "dead channel" in words
    assert found.attrs["rank"] == 2


def test_small_images_with_coarse_channels_are_not_suspected():
    """Eight by eight pixels and lines two channels wide."""
    alarms = []
    for seed in range(40):
        image, _ = image_of(seed=seed, dose=60.0)
        alarms.append(not bs.poisson_check(image.crop(y=(0, 8), x=(0, 8)))["ok"].all())
    assert np.mean(alarms) <= 0.05


def test_lines_in_one_wide_channel_and_the_end_of_the_axis_are_no_faults():
    image = bs.simulate.iron_oxides(3000, (16, 16), seed=0)
    for wide in (1, 8):
        assert bs.poisson_check(image.rebin(energy=wide))["ok"].sel(test="channels"), wide


def test_noise_below_that_of_counts_is_said_in_all_workflows():
    image, _ = image_of(dose=8000.0)
    averaged = bs.SpectrumImage(np.rint(image.counts / 4).astype(int), energy=image.energy)
    with pytest.warns(UserWarning, match="averaged or interpolated frames"):
        found = bs.poisson_check(averaged)
    assert not found["ok"].sel(test="dispersion")
    assert float(found["value"].sel(test="dispersion")) == pytest.approx(0.27, abs=0.05)
    with pytest.warns(UserWarning, match="intervals are too wide by up to"):
        assert "not Poisson: the noise has 0.2" in bs.pca(averaged, rank=2, draws=2).verdict
