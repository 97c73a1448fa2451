from pathlib import Path

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile

AXIS = 0.1 + 0.01 * np.arange(800)
TRUTH = {"O_Ka": 120.0, "Mn_Ka": 30.0, "Fe_Ka": 150.0}


@pytest.fixture(scope="module")
def image() -> bs.SpectrumImage:
    rate = sum(n * line_profile(name, AXIS) for name, n in TRUTH.items()) + 60 * bremsstrahlung(AXIS, 200.0)
    counts = np.random.default_rng(0).poisson(rate, size=(30, 40, 800))
    return bs.SpectrumImage(
        counts, energy=AXIS, elements=("O", "Mn", "Fe"), acquisition=bs.Acquisition("EDS", 200.0, 130.0)
    )


@pytest.fixture(scope="module")
def maps(image: bs.SpectrumImage) -> bs.IntensityMaps:
    return bs.model_maps(image)


def test_overlapping_lines_are_told_apart(maps: bs.IntensityMaps) -> None:
    for line, truth in TRUTH.items():
        assert float(maps.map(line).mean()) == pytest.approx(truth, rel=0.03)
    assert maps.converged


def test_standard_deviations_are_those_of_the_scatter(maps: bs.IntensityMaps) -> None:
    for line in TRUTH:
        claimed = float(np.sqrt((maps.sd.sel(line=line) ** 2).mean()))
        assert float(maps.map(line).std()) == pytest.approx(claimed, rel=0.08)


def test_nothing_is_negative_and_excluded_pixels_are_nan(image: bs.SpectrumImage) -> None:
    mask = np.zeros(image.shape[:2], bool)
    mask[3, 4] = True
    maps = bs.model_maps(image.with_mask(mask))
    assert np.isnan(maps.intensities.mean.values[3, 4]).all()
    assert np.isfinite(maps.intensities.mean.values[~mask]).all()
    assert (maps.intensities.mean.values[~mask] >= 0).all()
    assert (maps.sd.values[~mask] > 0).all()


def test_saved_maps_open_again(maps: bs.IntensityMaps, tmp_path: Path) -> None:
    again = bs.open(maps.save(tmp_path / "maps.nc"))
    assert np.array_equal(again.map("Fe_Ka"), maps.map("Fe_Ka"))


def test_bad_input(maps: bs.IntensityMaps, image: bs.SpectrumImage) -> None:
    with pytest.raises(bs.InputError, match="Ti_Ka"):
        maps.map("Ti_Ka")
    with pytest.raises(bs.InputError, match="no counts"):
        bs.model_maps(image.with_mask(np.ones(image.shape[:2], bool)))
