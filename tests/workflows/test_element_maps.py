"""Lines are counted where the spectrum shows them; what it leaves open of axis and resolution is in the intervals."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung
from bayesspec.spectroscopy.detector import gaussian_shares

AXIS = 0.005 + 0.01 * np.arange(1024)
CONTENT = {"O": 0.55, "Fe": 0.43}
PEAKS = {
    "O": [(0.525, 1.0)],
    "Fe": [(6.404, 0.585), (6.391, 0.295), (7.058, 0.12), (0.705, 0.35)],
    "Mn": [(5.899, 0.585), (5.888, 0.295), (6.490, 0.12), (0.637, 0.35)],
}
TRUE = 0.88 * 0.43 / 0.55
MEASURED: dict[str, Callable[..., bs.LineMaps]] = {"windows": bs.element_maps, "spectra": bs.spectral_maps}


def oxide(
    seed: int, resolution: float = 130.0, offset: float = 0.0, manganese: float = 0.0, counts: float = 2e6
) -> bs.SpectrumImage:
    rate = np.zeros(len(AXIS))
    for element, amount in (CONTENT | {"Mn": manganese}).items():
        energies, weights = np.array(PEAKS[element]).T
        rate += amount * gaussian_shares(energies, weights, AXIS - offset, resolution)
    continuum = bremsstrahlung(AXIS, 20.0)
    rate = counts * (rate + 0.25 * continuum / continuum.sum())
    return bs.SpectrumImage(
        np.random.default_rng(seed).poisson(rate / 4, (2, 2, len(AXIS))),
        energy=AXIS,
        elements=("O", "Fe"),
        acquisition=bs.Acquisition("EDS", 20.0, 130.0),
    )


def deviation(maps: bs.LineMaps) -> tuple[float, float]:
    """Fe/O of the whole image less the truth, relative to it: value, and its standard deviation by the response."""
    counts = maps.window_counts().sum(axis=(0, 1)).astype(float)
    iron, oxygen = (maps.line_index(line) for line in ("Fe_Ka", "O_Ka"))

    def ratio(response: np.ndarray) -> float:
        net = response @ counts
        return net[iron] / net[oxygen] / TRUE - 1

    response = np.asarray(maps.response)
    here = ratio(response)
    shot = [(ratio(response * (1 + 0.01 * (np.arange(len(counts)) == i))) - here) * 100 for i in range(len(counts))]
    changes = [ratio(response + change) - here for change in np.asarray(maps.response_errors)]
    return here, float(np.sqrt(np.square(changes).sum() + (np.square(shot) / np.maximum(counts, 1)).sum()))


@pytest.mark.parametrize("measured", MEASURED.values(), ids=MEASURED)
@pytest.mark.parametrize("detector", [{"offset": 0.005}, {"resolution": 137.0}], ids=["5 eV off", "137 for 130"])
def test_a_detector_that_is_not_as_its_file_says_bends_no_ratio(
    measured: Callable[..., bs.LineMaps], detector: dict[str, float]
) -> None:
    image = oxide(1, **detector)
    as_filed, _ = deviation(measured(image, calibrate=False))
    off, sd = deviation(measured(image))
    assert abs(as_filed) > 0.004
    assert abs(off) < 3 * sd
    assert 0.0005 < sd < 0.006


def test_the_maps_say_what_was_found() -> None:
    maps = bs.element_maps(oxide(2, offset=0.005, resolution=137.0))
    assert "energy axis corrected by -" in maps.remarks
    assert "where the file states 130 eV" in maps.remarks
    assert "offset_ev -" in maps.calibration
    assert bs.element_maps(oxide(2), calibrate=False).calibration == "as in the file"
    assert bs.element_maps(oxide(2)).remarks == ""


def test_an_element_that_nobody_named_is_taken_off() -> None:
    maps = bs.element_maps(oxide(3, manganese=0.05))
    assert "nobody named" in maps.remarks
    assert "Mn_Ka" in maps.windows
    assert "Mn_Ka" not in maps.lines
    off, sd = deviation(maps)
    assert abs(off) < 3 * sd


def test_weak_spectra_leave_the_files_axis_and_its_uncertainty() -> None:
    image = oxide(4, counts=40.0)
    maps = bs.element_maps(image)
    assert maps.remarks == ""
    same = bs.element_maps(image, calibrate=False)
    found = [np.abs(one.response_errors[-4:]).max() for one in (maps, bs.element_maps(oxide(4)))]
    assert found[0] > 3 * found[1]
    np.testing.assert_allclose(maps.response[:, :2], same.response[:, :2], rtol=0.05, atol=0.02)


def test_a_resolution_that_is_neither_stated_nor_shown_is_said() -> None:
    image = oxide(5, counts=40.0)
    unknown = replace(image, acquisition=replace(image.acquisition, resolution_mn_ka_ev=None))
    with pytest.warns(UserWarning, match="130 eV at Mn Ka is assumed, to 10 eV"):
        bs.element_maps(unknown)
    strong = replace(oxide(5, resolution=140.0), acquisition=unknown.acquisition)
    maps = bs.element_maps(strong)
    assert "which the file does not state" in maps.remarks
    off, sd = deviation(maps)
    assert abs(off) < 3 * sd


def test_a_segmentation_carries_what_was_found() -> None:
    seg = bs.segment(oxide(6, offset=0.005), 1, draws=400)
    assert "energy axis corrected by -" in seg.verdict
    assert "offset_ev" in seg.provenance["calibration"]
    ratio = seg.ratio("Fe_Ka", "O_Ka")
    low, high = ratio.interval(0.999)
    assert float(low[0]) < TRUE < float(high[0])
    assert bs.segment(oxide(6), 1, draws=40, calibrate=False).provenance["calibration"] == "as in the file"


def test_maps_and_components_report_the_calibration() -> None:
    image = oxide(7, resolution=137.0)
    maps = bs.model_maps(image)
    assert "resolution 13" in maps.verdict
    assert "offset_ev" in maps.provenance["calibration"]
    known = bs.model_maps(image, calibrate=False)
    assert float(maps.sd.sel(line="O_Ka").mean()) > float(known.sd.sel(line="O_Ka").mean())
    fit = bs.unmix(image, rank=1, elements=["O", "Fe"])
    assert "resolution 13" in fit.verdict
    low, high = fit.ratio("Fe_Ka", "O_Ka").interval()
    assert float(low[0]) < TRUE < float(high[0])


def soft_part(image: bs.SpectrumImage) -> bs.SpectrumImage:
    return image.crop(energy=(0.2, 1.9))


@pytest.mark.parametrize(
    "measured",
    [
        lambda si: bs.element_maps(si).remarks,
        lambda si: bs.element_maps(si, calibrate=False).remarks,
        lambda si: bs.spectral_maps(si).remarks,
        lambda si: bs.fit_lines(si, draws=10).verdict,
        lambda si: bs.model_maps(si).verdict,
    ],
    ids=["element_maps", "as in the file", "spectral_maps", "fit_lines", "model_maps"],
)
def test_an_element_whose_lines_are_cropped_away_is_named_and_the_others_go_on(
    measured: Callable[[bs.SpectrumImage], str],
) -> None:
    image = replace(soft_part(oxide(8)), elements=("O", "P", "Fe"))
    with pytest.warns(UserWarning, match=r"no line of P between .* that 20 keV excite"):
        said = measured(image)
    assert "no line of P" in said


def test_elements_of_which_nothing_is_recorded_are_refused() -> None:
    image = soft_part(oxide(8))
    for measured in (bs.element_maps, bs.fit_lines, bs.model_maps):
        with pytest.raises(bs.InputError, match="P has no line between"):
            measured(image, elements=["P"])


def test_a_beam_that_is_not_known_is_said() -> None:
    image = oxide(9)
    image = replace(image, acquisition=replace(image.acquisition, beam_energy_kev=None))
    assert "no beam energy" in bs.element_maps(image).remarks
    fit = bs.fit_lines(image, draws=200)
    assert "no beam energy" in fit.verdict
    low, high = fit.ratio("Fe_Ka", "O_Ka").interval(0.999)
    assert float(low) < TRUE < float(high)
    with pytest.raises(bs.InputError, match="beam energy of None keV"):
        fit.composition()


def test_a_dead_time_that_is_not_known_is_asked_for() -> None:
    image = oxide(10)
    fit = bs.fit_lines(image, draws=10)
    timed = replace(image, acquisition=replace(image.acquisition, real_time_s=60.0))
    with pytest.raises(bs.InputError, match=r"live times \[None, None\] s"):
        fit.k_ratio("Fe_Ka", bs.fit_lines(timed, draws=10))
