"""Line maps stay counts, and their net intensities are unbiased."""

import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayesspec import LineMaps, SpectrumImage, element_maps, simulate
from bayesspec.errors import InputError
from bayesspec.spectroscopy.line_maps import counting_maps


def test_net_ratio_of_each_phase_is_the_truth() -> None:
    image = simulate.iron_oxides(2000, shape=(96, 96), seed=3)
    maps = element_maps(image, ["Fe_Ka", "O_Ka"])
    assert image.truth is not None
    for phase, ratio in enumerate(image.truth["ratio"]):
        iron, oxygen = maps.net()[image.truth["labels"] == phase].sum(axis=0)
        error = np.sqrt(1 / iron + 1 / oxygen)
        assert iron / oxygen == pytest.approx(ratio, rel=5 * error)


def test_counts_are_integers_of_the_image() -> None:
    image = simulate.iron_oxides(200, shape=(8, 8), seed=0)
    maps = element_maps(image, ["Fe_Ka", "O_Ka"])
    assert maps.counts.dtype.kind == "u"
    near = np.abs(image.energy - 6.399) < 0.05
    assert (maps.counts[..., 0] >= image.counts[:, :, near].sum(axis=2)).all()
    assert maps.windows[:3] == ("Fe_Ka", "O_Ka", "Fe_La")


def test_lines_default_to_those_of_the_elements() -> None:
    image = simulate.iron_oxides(50, shape=(4, 4), seed=0)
    assert element_maps(image).lines == ("Fe_Ka", "O_Ka")
    assert element_maps(image, elements=["O", "Fe"]).lines == ("O_Ka", "Fe_Ka")


def test_missing_elements_and_lines_are_asked_for() -> None:
    image = SpectrumImage(np.ones((2, 2, 100), int), energy=np.linspace(0.2, 10, 100))
    with pytest.raises(InputError, match="neither lines nor elements"):
        element_maps(image)


def test_assumed_resolution_is_said() -> None:
    image = SpectrumImage(np.ones((2, 2, 1000), int), energy=0.1 + 0.01 * np.arange(1000))
    with pytest.warns(UserWarning, match="130 eV at Mn Ka is assumed"):
        element_maps(image, ["Fe_Ka", "O_Ka"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lines": ["Fe_Ka"]}, r"\(3, 3, 2\) for lines \['Fe_Ka'\]"),
        ({"lines": ["Fe_Ka", "Fe_Ka"]}, "one different name a line"),
        ({"lines": ["Fe_Ka", "O_Ka"], "mask": np.zeros((2, 2), bool)}, r"boolean array of shape \(3, 3\)"),
        ({"lines": ["Fe_Ka", "O_Ka"], "mask": np.zeros((3, 3))}, "dtype float64"),
        ({"lines": ["Fe_Ka", "O_Ka"], "sides": ("left",)}, "which makes all of it"),
        ({"lines": ["Fe_Ka", "O_Ka"], "response_errors": np.ones((1, 2, 3))}, r"its errors \(1, 2, 3\)"),
        ({"lines": ["Fe_Ka", "O_Ka"], "response": np.diag([1.0, np.nan])}, "not finite"),
        ({"lines": ["Fe_Ka", "O_Ka"], "response": 1j * np.eye(2)}, "complex128 values"),
        ({"lines": "Fe_Ka,O_Ka"}, r"lines=\['Fe_Ka', 'O_Ka'\]"),
        ({"lines": [1, 2]}, r"lines=\[1, 2\]"),
        ({"lines": ["Fe_Ka", "O_Ka"], "pixel_size": (0, 1)}, "pixel_size"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        LineMaps(np.ones((3, 3, 2), int), **given)  # type: ignore[arg-type]


def test_the_background_under_a_line_has_an_uncertainty_of_its_own() -> None:
    maps = element_maps(simulate.iron_oxides(200, shape=(16, 16), seed=0), ["Fe_Ka", "O_Ka"])
    changed = maps.response_errors @ maps.window_counts().sum(axis=(0, 1))
    assert (np.linalg.norm(changed, axis=0) > 0).all()
    assert np.linalg.norm(changed, axis=0)[1] > 0.5 * np.linalg.norm(changed, axis=0)[0]


def test_line_index_names_the_lines_there_are() -> None:
    maps = LineMaps(np.ones((3, 3, 2), int), lines=("Fe_Ka", "O_Ka"))
    assert maps.line_index("O_Ka") == 1
    with pytest.raises(InputError, match=r"one of \['Fe_Ka', 'O_Ka'\]"):
        maps.line_index("Mg_Ka")


def test_maps_stay_as_they_are_when_the_callers_buffer_is_filled_again() -> None:
    buffers = np.ones((3, 3, 2), np.uint8), np.zeros((3, 3), bool), np.eye(2)
    views = [buffer.view() for buffer in buffers]
    for view in views:
        view.flags.writeable = False
    maps = LineMaps(views[0], lines=["Fe_Ka", "O_Ka"], mask=views[1], response=views[2])
    for buffer in buffers:
        buffer[:] = 7
    assert (maps.counts == 1).all()
    assert not maps.mask.any()
    np.testing.assert_array_equal(maps.response, np.eye(2))
    for other in (maps, pickle.loads(pickle.dumps(maps))):
        for array in (other.counts, other.mask, other.response):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1


def test_dimensions_with_names_are_put_in_order() -> None:
    counts = xr.DataArray(np.arange(18).reshape(3, 3, 2), dims=("y", "x", "line"))
    np.testing.assert_array_equal(LineMaps(counts.transpose("line", "x", "y"), ["a", "b"]).counts, counts.values)


def test_hot_channels_and_pixels_are_left_out_and_a_gain_is_divided_out() -> None:
    clean = simulate.iron_oxides(3000, shape=(24, 24), seed=1)
    place = int(np.argmin(np.abs(clean.energy - 6.4)))
    counts = 2 * clean.counts.astype(np.int64)
    counts[:, :, place] += 400
    counts[5, 7] *= 40
    with pytest.warns(UserWarning, match="left out|gain"):
        maps = element_maps(replace(clean, counts=counts), ["Fe_Ka", "O_Ka"])
    assert f"left out: 1 hot channel: {place}; left out: 1 hot pixel: (5, 7)" in maps.noise
    assert "divided by the gain of 2" in maps.noise
    assert maps.noise in repr(maps)
    assert np.argwhere(maps.mask).tolist() == [[5, 7]]
    undisturbed = element_maps(clean, ["Fe_Ka", "O_Ka"])
    assert undisturbed.noise == ""
    oxygen = maps.line_index("O_Ka")
    here = maps.valid
    assert maps.counts[here][:, oxygen].sum() == pytest.approx(undisturbed.counts[here][:, oxygen].sum(), rel=0.1)


def test_the_mean_of_frames_becomes_their_sum() -> None:
    rng = np.random.default_rng(3)
    for frames in (4, 16):
        quiet = np.rint(rng.poisson(frames * np.array([400, 600]), (48, 48, 2)) / frames).astype(int)
        with pytest.warns(UserWarning, match="averaged frames"):
            maps = counting_maps(LineMaps(quiet, lines=("Fe_Ka", "O_Ka")))
        found = int(re.search(r"multiplied by (\d+),", maps.noise)[1])
        assert abs(found - frames) <= 0.1 * frames
        np.testing.assert_array_equal(maps.counts, found * quiet)
        assert counting_maps(maps) is maps


def test_frames_that_are_interpolated_or_rounded_to_little_stay_as_they_are() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson([400, 600], (48, 48, 2))
    for axis in (0, 1):
        between = np.rint(0.5 * (counts + np.roll(counts, 1, axis=axis))).astype(int)
        with pytest.warns(UserWarning, match="averaged or interpolated frames: intervals are too wide by up to"):
            maps = counting_maps(LineMaps(between, lines=("Fe_Ka", "O_Ka")))
        np.testing.assert_array_equal(maps.counts, between)
        assert counting_maps(maps) is maps
    few = np.rint(rng.poisson([720, 960], (48, 48, 2)) / 120).astype(int)
    with pytest.warns(UserWarning, match="averaged or interpolated frames"):
        np.testing.assert_array_equal(counting_maps(LineMaps(few, lines=("Fe_Ka", "O_Ka"))).counts, few)


def test_maps_of_other_counts_hold_them_window_by_window() -> None:
    maps = element_maps(simulate.iron_oxides(300, shape=(6, 6), seed=0), ["Fe_Ka", "O_Ka"], calibrate=False)
    counts = maps.window_counts()[::-1] + 3
    other = maps.with_window_counts(counts)
    np.testing.assert_array_equal(other.window_counts(), counts)
    assert (other.lines, other.sides, other.truth, other.image_checksum) == (maps.lines, maps.sides, None, "")
