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


def test_intervals_of_single_pixels_hold_the_truth(image: bs.SpectrumImage, maps: bs.IntensityMaps) -> None:
    few = np.random.default_rng(1).binomial(image.counts.astype(np.int64), 1 / 15)
    weak = bs.model_maps(bs.SpectrumImage(few, energy=AXIS, elements=image.elements, acquisition=image.acquisition))
    for of, part in ((maps, 1.0), (weak, 1 / 15)):
        low, high = of.intensities_of(list(TRUTH)).interval(0.9)
        true = part * np.array(list(TRUTH.values()))
        held = ((low <= true) & (true <= high)).mean(("y", "x"))
        assert (held > 0.86).all()
        assert (held < 0.96).all()
        assert (low >= 0).all()


def test_ratios_of_single_pixels_carry_the_covariance(maps: bs.IntensityMaps) -> None:
    ratio = maps.ratio("Mn_Ka", "Fe_Ka")
    low, high = ratio.interval(0.9)
    assert 0.86 < float(((low <= 0.2) & (high >= 0.2)).mean()) < 0.94
    assert float(ratio.mean.std()) == pytest.approx(float((ratio.sd**2).mean() ** 0.5), rel=0.1)
    np.testing.assert_allclose(ratio.scaled(2.0, "twice").interval(0.9)[1], 2 * high)
    np.testing.assert_allclose(ratio.sel(y=3).interval(0.9)[0], low.sel(y=3))
    assert float(maps.data["covariance"].sel(line="Mn_Ka", other_line="Fe_Ka").mean()) < -1.0
    with pytest.raises(bs.InputError, match="two different lines"):
        maps.ratio("Mn_Ka", "Mn_Ka")
    bare = bs.IntensityMaps(maps.data.drop_vars("covariance"))
    with pytest.raises(bs.InputError, match="without covariance"):
        bare.ratio("Mn_Ka", "Fe_Ka")


def test_the_ratio_to_what_a_pixel_may_not_hold_has_no_upper_end(image: bs.SpectrumImage) -> None:
    few = np.random.default_rng(2).binomial(image.counts[:8, :8].astype(np.int64), 1 / 60)
    weak = bs.model_maps(bs.SpectrumImage(few, energy=AXIS, elements=image.elements, acquisition=image.acquisition))
    low, high = weak.ratio("Fe_Ka", "Mn_Ka").interval(0.9)
    assert np.isinf(high).any()
    assert np.isfinite(low).all()
    assert float((low <= 5.0).mean()) > 0.85


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
