import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import Acquisition, SpectrumImage

SHAPE = (6, 5, 8)
ENERGY = 0.2 + 0.01 * np.arange(8)


def image(shape=SHAPE, seed=0, **fields):
    counts = np.random.default_rng(seed).poisson(3.0, shape)
    return SpectrumImage(counts, energy=0.2 + 0.01 * np.arange(shape[2]), **fields)


@st.composite
def images_with_steps(draw):
    steps = draw(st.tuples(*[st.integers(1, 3)] * 3))
    blocks = draw(st.tuples(*[st.integers(1, 4)] * 3))
    shape = tuple(s * n for s, n in zip(steps, blocks, strict=True))
    return image(shape, draw(st.integers(0, 99))), dict(zip(("y", "x", "energy"), steps, strict=True))


@given(images_with_steps())
def test_rebinning_conserves_counts(case):
    si, steps = case
    binned = si.rebin(**steps)
    assert binned.shape == tuple(n // s for n, s in zip(si.shape, steps.values(), strict=True))
    assert binned.counts.sum(dtype=np.int64) == si.counts.sum(dtype=np.int64)
    y, x, energy = steps.values()
    assert binned.counts[-1, -1, -1] == si.counts[-y:, -x:, -energy:].sum()
    assert binned.energy[0] == pytest.approx(si.energy[:energy].mean())


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 3))
def test_rebinning_in_two_steps_is_rebinning_in_one(y, x, energy):
    si = image((12, 12, 12))
    once = si.rebin(y=2 * y, x=2 * x, energy=2 * energy)
    twice = si.rebin(y=2, x=2, energy=2).rebin(y=y, x=x, energy=energy)
    np.testing.assert_array_equal(once.counts, twice.counts)
    np.testing.assert_allclose(once.energy, twice.energy)


@given(st.integers(0, 2), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2))
def test_cropping_whole_blocks_and_rebinning_commute(y0, ny, x0, nx):
    si = image((12, 6, 4), pixel_size=(2.0, 1.0), pixel_unit="nm")
    first = si.crop(y=(2 * y0, 2 * (y0 + ny)), x=(2 * x0, 2 * (x0 + nx))).rebin(y=2, x=2)
    last = si.rebin(y=2, x=2).crop(y=(y0, y0 + ny), x=(x0, x0 + nx))
    np.testing.assert_array_equal(first.counts, last.counts)
    assert first.pixel_size == last.pixel_size == (4.0, 2.0)


def test_what_does_not_fill_a_block_is_left_out():
    si = image((5, 3, 7))
    binned = si.rebin(y=2, x=2, energy=3)
    assert binned.shape == (2, 1, 2)
    assert binned.counts.sum() == si.counts[:4, :2, :6].sum()


def test_sums_widen_the_dtype():
    si = SpectrumImage(np.full((2, 2, 2), 200), energy=[1, 2])
    assert si.counts.dtype == np.uint8
    assert si.rebin(y=2, x=2).counts.dtype == np.uint16
    assert si.rebin(y=2, x=2).counts[0, 0, 0] == 800


def test_a_block_with_something_excluded_is_excluded():
    si = image((4, 4, 4)).with_mask(np.eye(4, dtype=bool)).with_mask(np.array([1, 0, 0, 0], bool))
    binned = si.rebin(y=2, x=2, energy=2)
    np.testing.assert_array_equal(binned.mask, np.eye(2, dtype=bool))
    np.testing.assert_array_equal(binned.energy_mask, [True, False])


def test_cropping_keeps_both_ends_of_the_energies_and_the_masks():
    mask = np.zeros(SHAPE[:2], bool)
    mask[2, 1] = True
    channels = np.arange(8) == 3
    part = image(mask=mask, energy_mask=channels).crop(energy=(ENERGY[2], ENERGY[5]), y=(2, 4), x=(1, 3))
    np.testing.assert_array_equal(part.energy, ENERGY[2:6])
    assert part.shape == (2, 2, 4)
    np.testing.assert_array_equal(part.counts, image().counts[2:4, 1:3, 2:6])
    np.testing.assert_array_equal(part.mask, [[True, False], [False, False]])
    np.testing.assert_array_equal(part.energy_mask, [False, True, False, False])


def test_excluded_pixels_and_channels_are_not_summed():
    si = image()
    mask = np.zeros(SHAPE[:2], bool)
    mask[1, 2] = True
    masked = si.with_mask(mask).with_mask(np.arange(8) == 4)
    expected = si.counts.sum(axis=(0, 1)) - si.counts[1, 2]
    expected[4] = 0
    np.testing.assert_array_equal(masked.sum_spectrum(), expected)
    np.testing.assert_array_equal(masked.intensity(), si.counts.sum(axis=2) - si.counts[:, :, 4])
    assert masked.counts_per_pixel == pytest.approx(expected.sum() / 29)
    assert masked.valid.sum() == 29
    assert masked.valid_channels.sum() == 7


def test_masks_add_up():
    one, other = np.zeros((2, *SHAPE[:2]), bool)
    one[0, 0] = other[1, 1] = True
    np.testing.assert_array_equal(image(mask=one).with_mask(other).mask, one | other)


def test_the_image_is_frozen():
    si = image(mask=np.zeros(SHAPE[:2], bool))
    with pytest.raises(FrozenInstanceError):
        si.counts = np.zeros(SHAPE)
    for array in (si.counts, si.energy, si.mask, si.crop(y=(0, 2)).counts, si.rebin(y=2).counts):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_the_callers_arrays_stay_writeable_and_apart(dtype):
    counts, energy, mask = np.ones(SHAPE, dtype), ENERGY.copy(), np.zeros(SHAPE[:2], bool)
    si = SpectrumImage(counts, energy=energy, mask=mask)
    counts[:] = 7
    energy[:] = 0
    mask[:] = True
    assert si.counts.max() == 1
    assert si.energy[0] == 0.2
    assert not si.mask.any()


def test_a_read_only_view_of_the_callers_array_is_copied():
    buffers = np.ones(SHAPE, np.uint8), ENERGY.copy(), np.zeros(SHAPE[:2], bool)
    views = [buffer.view() for buffer in buffers]
    for view in views:
        view.flags.writeable = False
    si = SpectrumImage(views[0], energy=views[1], mask=views[2])
    for buffer in buffers:
        buffer[:] = 7
    assert (si.counts == 1).all()
    assert si.energy[0] == 0.2
    assert not si.mask.any()


def test_counts_of_an_image_are_shared_with_its_parts():
    si = image()
    for part in (si.crop(y=(1, 3)), si.with_mask(np.zeros(SHAPE[:2], bool)), replace(si, name="other")):
        assert np.shares_memory(part.counts, si.counts)
    rebinned = si.rebin(y=2)
    assert np.shares_memory(rebinned.crop(x=(1, 3)).counts, rebinned.counts)


def test_dimensions_with_names_are_put_in_order():
    counts = xr.DataArray(np.arange(240).reshape(SHAPE), dims=("y", "x", "energy"))
    for dims in (("energy", "y", "x"), ("x", "energy", "y")):
        si = SpectrumImage(counts.transpose(*dims), energy=ENERGY)
        np.testing.assert_array_equal(si.counts, counts.values)
    column = SpectrumImage(counts.isel(x=2).transpose("energy", "y"), energy=ENERGY)
    assert column.shape == (6, 1, 8)
    np.testing.assert_array_equal(column.counts[:, 0], counts.values[:, 2])
    assert SpectrumImage(counts.rename(y="a", x="b", energy="c"), energy=ENERGY).shape == SHAPE


@pytest.mark.parametrize("name", ["beam_energy_kev", "resolution_mn_ka_ev", "live_time_s", "elevation_deg"])
@pytest.mark.parametrize("value", [-100.0, np.nan, np.inf, "130", 1j, True, [130.0]])
def test_numbers_that_no_instrument_has_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        Acquisition(**{name: value})


def test_elements_are_named_once_and_a_misspelling_is_corrected():
    assert image(elements=["Fe", "O", "Fe"]).elements == ("Fe", "O")
    for wrong, do in ((["fe", "o"], "elements=['Fe', 'O']"), ("FeO", "elements=['Fe', 'O']")):
        with pytest.raises(InputError) as raised:
            image(elements=wrong)
        assert raised.value.do == do


def test_copies_are_as_frozen_as_the_image():
    si = image(mask=np.zeros(SHAPE[:2], bool))
    for other in (pickle.loads(pickle.dumps(si)), copy.deepcopy(si)):
        for array in (other.counts, other.energy, other.mask):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1


@pytest.mark.parametrize(("shape", "image_shape"), [((8,), (1, 1, 8)), ((5, 8), (1, 5, 8)), (SHAPE, SHAPE)])
def test_spectra_and_lines_become_images(shape, image_shape):
    assert SpectrumImage(np.ones(shape), energy=ENERGY).shape == image_shape


def test_repr_pickle_and_copies():
    si = image(name="grain", acquisition=Acquisition(beam_energy_kev=200))
    assert repr(si) == "<SpectrumImage 'grain': 6 x 5 pixels, 8 channels 0.2..0.27 keV, uint8>"
    for other in (pickle.loads(pickle.dumps(si)), copy.deepcopy(si)):
        np.testing.assert_array_equal(other.counts, si.counts)
        assert other.acquisition == si.acquisition


def test_labelled_counts_carry_coordinates_and_units():
    array = image(pixel_size=(2.0, 0.5), pixel_unit="nm").to_xarray()
    assert array.dims == ("y", "x", "energy")
    assert array.sizes == dict(zip(("y", "x", "energy"), SHAPE, strict=True))
    np.testing.assert_allclose(array.y, 2.0 * np.arange(6))
    assert (array.x.units, array.energy.units) == ("nm", "keV")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"counts": np.full(SHAPE, -2)}, "first -2 at index"),
        ({"counts": np.full(SHAPE, 0.5)}, "first 0.5 at index"),
        ({"counts": np.full(SHAPE, np.nan)}, "first nan at index"),
        ({"counts": np.full(SHAPE, np.inf)}, "first inf at index"),
        ({"counts": np.full(SHAPE, 2**31)}, "first 2147483648 at index"),
        ({"counts": np.zeros((0, 5, 8))}, r"empty array of shape \(0, 5, 8\)"),
        ({"counts": np.ones((2, *SHAPE))}, r"shape \(2, 6, 5, 8\), 4 dimensions"),
        ({"counts": np.array(3)}, r"shape \(\), 0 dimensions"),
        ({"energy": ENERGY[:-1]}, r"energy axis of shape \(7,\) for counts of 8"),
        ({"energy": ENERGY[::-1]}, "0.26 after 0.27 at channel 1"),
        ({"energy": np.where(np.arange(8) == 3, np.nan, ENERGY)}, "nan after 0.22 at channel 3"),
        ({"energy": np.full(8, 1.0)}, "1.0 after 1.0 at channel 1"),
        ({"energy": list("abcdefgh")}, "<U1 values"),
        ({"energy_unit": "J"}, "energy_unit='J'"),
        ({"mask": np.zeros((5, 6), bool)}, r"mask of shape \(5, 6\)"),
        ({"mask": np.zeros((6, 5))}, "dtype float64"),
        ({"energy_mask": np.zeros(7, bool)}, r"energy_mask of shape \(7,\)"),
        ({"pixel_size": (1.0,)}, r"pixel_size=\(1.0,\)"),
        ({"pixel_size": (1.0, -1.0)}, "-1.0"),
        ({"elements": "Fe"}, "elements='Fe'"),
        ({"elements": [26]}, r"elements=\[26\]"),
        ({"elements": ["Fe", "Xx"]}, "the element 'Xx'"),
        ({"elements": ["fe"]}, "the element 'fe'"),
        ({"elements": 26}, "elements=26"),
        ({"energy": ENERGY + 0j}, "complex128 values"),
        ({"energy": np.ma.masked_less(ENERGY, 0.22)}, "masked values"),
        ({"energy": [[1, 2], [3]]}, "energy="),
        ({"pixel_size": [[1, 2], [3]]}, "pixel_size="),
        ({"counts": xr.DataArray(np.ones(SHAPE), dims=("y", "x", "line"))}, r"dimensions \('y', 'x', 'line'\)"),
    ],
)
def test_what_does_not_fit_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        SpectrumImage(**({"counts": np.ones(SHAPE), "energy": ENERGY} | fields))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda si: si.crop(energy=(5, 6)), r"energy=\(5, 6\)"),
        (lambda si: si.crop(y=(6, 9)), r"y=\(6, 9\)"),
        (lambda si: si.crop(x=(0.5, 2)), r"x=\(0.5, 2\)"),
        (lambda si: si.crop(x=3), r"x=3"),
        (lambda si: si.rebin(y=7), "rebin.y=7"),
        (lambda si: si.rebin(x=0), "x=0"),
        (lambda si: si.rebin(energy=1.5), "energy=1.5"),
        (lambda si: si.with_mask(np.zeros((2, 2), bool)), r"\(2, 2\)"),
        (lambda si: si.with_mask(np.zeros(5, bool)), r"\(5,\)"),
        (lambda si: replace(si, counts=si.counts * -1.0), "negative"),
        (lambda si: Acquisition(technique="XRF"), "XRF"),
    ],
)
def test_what_cannot_be_done_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(image())


def test_truth_follows_the_channels_and_is_dropped_with_the_pixels() -> None:
    spectra = np.arange(12.0).reshape(2, 6)
    image = SpectrumImage(np.ones((4, 4, 6), int), np.arange(1.0, 7), truth={"spectra": spectra, "ratio": 2})
    part = image.crop(energy=(2.0, 5.0)).rebin(energy=2)
    assert part.truth is not None
    np.testing.assert_array_equal(part.truth["spectra"], [[1 + 2, 3 + 4], [7 + 8, 9 + 10]])
    assert part.truth["ratio"] == 2
    assert image.rebin(y=2).truth is None
    assert image.crop(y=(0, 2)).truth is None
