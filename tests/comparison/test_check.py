"""Checks of results against their counts: silent where the model holds, and pointing where it fails."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import bayesspec as bs
from bayesspec.simulate import iron_oxide_lines

CHANNELS = 40


def phantom(seed=0, dose=300.0, side=16):
    """Two components; one square holds a line that no component has."""
    rng = np.random.default_rng(seed)
    lines = [np.exp(-0.5 * ((np.arange(CHANNELS) - p) / 2.0) ** 2) + 0.05 for p in (8, 22)]
    spectra = np.stack([line / line.sum() for line in lines])
    fields = np.stack([gaussian_filter(rng.normal(size=(side, side)), 2.0, mode="wrap") for _ in lines], axis=2)
    maps = np.maximum(fields / fields.std(axis=(0, 1)) + 0.5, 0) + 0.1
    rates = dose * maps / maps.sum(axis=2).mean() @ spectra
    extra = np.zeros_like(rates)
    extra[1:6, 9:14, 33:36] = 0.06 * dose
    energy = np.arange(1.0, CHANNELS + 1)
    return bs.SpectrumImage(rng.poisson(rates), energy=energy), bs.SpectrumImage(
        rng.poisson(rates + extra), energy=energy
    )


def quick_unmixing(image):
    return bs.classical.nmf(image, 2, max_iterations=400, tolerance=1e-6)


@pytest.mark.parametrize("fit", [lambda image: bs.pca(image, rank=2, link="linear", draws=5), quick_unmixing])
def test_right_models_pass_and_a_missing_line_is_pointed_at(fit):
    clean, spoiled = phantom()
    good, bad = bs.check(fit(clean), clean), bs.check(fit(spoiled), spoiled)
    assert good.attrs["ok"]
    assert good.attrs["excess"] == pytest.approx(1.0, abs=0.03)
    assert np.abs(good["channel_sigmas"]).max() < 5
    assert not bad.attrs["ok"]
    assert int(bad["energy"].values[bad["channel_sigmas"].values.argmax()]) in (34, 35, 36)
    y, x = np.unravel_index(np.nanargmax(bad["pixel_sigmas"].values), (16, 16))
    assert 1 <= y < 6
    assert 9 <= x < 14
    assert "channels deviate, most of all 3" in bad.attrs["verdict"]
    assert "parts of the image deviate" in bad.attrs["verdict"]


def test_deviances_are_as_large_as_they_should_be_over_replicates():
    sigmas = []
    for seed in range(12):
        image = phantom(seed, dose=100.0, side=12)[0]
        sigmas.append(bs.check(bs.pca(image, rank=2, link="linear", draws=2), image).attrs["sigmas"])
    assert abs(np.mean(sigmas)) < 1.0
    assert np.std(sigmas) < 2.0


def test_a_segmentation_is_checked_on_its_own_lines():
    maps = iron_oxide_lines(600, (24, 24), seed=0)
    one = bs.check(bs.classical.kmeans(maps, 1))
    assert not one.attrs["ok"]
    assert set(one["channel_sigmas"].dims) == {"line"}
    assert one["component_sigmas"].dims == ("phase",)
    truth = bs.classical.kmeans(maps, 2)
    labels = maps.truth["labels"]
    shares = np.eye(2, dtype=np.float32)[labels]
    right = type(truth)(truth.data.assign(probabilities=(("y", "x", "phase"), shares)))
    assert bs.check(right).attrs["ok"]


def test_excluded_pixels_and_channels_say_nothing():
    image = phantom()[0]
    mask = np.zeros((16, 16), bool)
    mask[:4] = True
    masked = image.with_mask(mask).with_mask(image.energy > 38)
    found = bs.check(bs.pca(masked, rank=2, link="linear", draws=2), masked)
    assert np.isnan(found["pixel_excess"].values[:4]).all()
    assert np.isnan(found["channel_excess"].values[38:]).all()
    assert found.attrs["ok"]


def test_the_image_is_asked_for():
    image = phantom()[0]
    with pytest.raises(bs.InputError, match="no image"):
        bs.check(quick_unmixing(image))


def test_figure_marks_what_fails():
    spoiled = phantom()[1]
    found = bs.check(quick_unmixing(spoiled), spoiled)
    along, image, *_ = bs.plot.checks(found).axes
    assert len(along.lines[1].get_xdata()) >= 3
    assert image.images[0].get_array().shape == (16, 16)
    with pytest.raises(bs.InputError, match="no check|Dataset of"):
        bs.plot.checks(found[["channel_sigmas"]])
