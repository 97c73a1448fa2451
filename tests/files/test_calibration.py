import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.files.calibration import spectrum_image
from bayesspec.files.hyperspy_signal import from_reader
from bayesspec.files.signal_choice import choose
from bayesspec.files.stated import Stated

ENERGY = {"name": "Energy", "units": "keV", "scale": 0.01, "offset": 0.2, "navigate": False}


def found(shape=(4, 3, 6), axes=None, *, signal_type="EDS_TEM", metadata=None, **others):
    """Build what a reader returns: the last axis is energy unless axes say otherwise."""
    given = [{}] * (len(shape) - 1) + [ENERGY] if axes is None else axes
    filled = [
        {"name": "", "units": "", "scale": 1.0, "offset": 0.0, "navigate": True} | axis | {"size": n}
        for axis, n in zip(given, shape, strict=True)
    ]
    tree = {"General": {"title": "map"}, "Signal": {"signal_type": signal_type}} | (metadata or {})
    return {
        "data": np.random.default_rng(0).poisson(2.0, shape).astype(np.uint8),
        "axes": filled,
        "metadata": tree,
    } | others


def image(energy_unit=None, **fields):
    return spectrum_image(from_reader(found(**fields)), name="file", stated=Stated(energy_unit=energy_unit))


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("energy_navigates", [True, False])
def test_the_energy_axis_is_found_wherever_it_is(place, energy_navigates):
    shape, axes = [4, 3], [{"name": "y", "navigate": False}, {"name": "x", "navigate": False}]
    shape.insert(place, 6)
    axes.insert(place, ENERGY | {"navigate": energy_navigates})
    raw = found(tuple(shape), axes)
    si, guesses = spectrum_image(from_reader(raw), name="file")
    assert (si.shape, guesses) == ((4, 3, 6), [])
    np.testing.assert_array_equal(si.counts, np.moveaxis(raw["data"], place, -1))
    assert si.counts.flags.c_contiguous


def test_axes_listed_in_another_order_than_the_data():
    raw = found((6, 4, 3), [ENERGY, {"name": "y"}, {"name": "x"}])
    for place, axis in enumerate(raw["axes"]):
        axis["index_in_array"] = place
    raw["axes"].reverse()
    si, _ = spectrum_image(from_reader(raw), name="file")
    np.testing.assert_array_equal(si.counts, np.moveaxis(raw["data"], 0, -1))


def test_counts_of_a_reader_are_not_copied():
    raw = found()
    si, _ = spectrum_image(from_reader(raw), name="file")
    assert np.shares_memory(si.counts, raw["data"])


@pytest.mark.parametrize(
    ("signal_type", "units", "scale", "stated", "end", "unit", "technique", "n_guesses"),
    [
        ("EDS_TEM", "keV", 0.01, None, 0.05, "keV", "EDS", 0),
        ("EDS_SEM", "eV", 10.0, None, 0.05, "keV", "EDS", 0),
        ("EELS", "eV", 0.5, None, 2.5, "eV", "EELS", 0),
        ("EELS", "keV", 0.5, None, 2500.0, "eV", "EELS", 0),
        ("EELS", "", 0.5, None, 2.5, "eV", "EELS", 1),
        ("EDS_TEM", "", 0.01, None, 0.05, "keV", "EDS", 1),
        ("EDS_TEM", "", 40.0, None, 0.2, "keV", "EDS", 1),
        ("EDS_TEM", "channel", 2.0, None, 10.0, "keV", "EDS", 1),
        ("", "KEV", 0.01, None, 0.05, "keV", "EDS", 0),
        ("", "eV", 0.5, None, 2.5, "eV", "EELS", 1),
        ("", "eV", 2000.0, None, 10.0, "keV", "EDS", 1),
        ("", "<undefined>", 2.0, None, 10.0, "keV", "EDS", 2),
        ("EDS_TEM", "", 1.0, "keV", 5.0, "keV", "EDS", 0),
        ("", "", 100.0, None, 500.0, "eV", "EELS", 2),
        ("EDS_TEM", "", 10.0, "eV", 0.05, "keV", "EDS", 0),
        ("EDS_TEM", "keV", 10.0, "eV", 0.05, "keV", "EDS", 0),
    ],
)
def test_units_of_energy(signal_type, units, scale, stated, end, unit, technique, n_guesses):
    axes = [{}, {}, ENERGY | {"units": units, "scale": scale, "offset": 0.0}]
    si, guesses = image(stated, axes=axes, signal_type=signal_type)
    assert si.energy[-1] == pytest.approx(end)
    assert (si.energy_unit, si.acquisition.technique, len(guesses)) == (unit, technique, n_guesses)


@pytest.mark.parametrize(
    ("y", "x", "size", "unit"),
    [
        ((2.0, "nm"), (0.5, "nm"), (2.0, 0.5), "nm"),
        ((0.002, "um"), (2.0, "nm"), (2.0, 2.0), "nm"),
        ((3.0, "μm"), (3.0, "µm"), (3.0, 3.0), "µm"),
        ((1.0, ""), (1.0, ""), None, "px"),
        ((0.5, ""), (0.5, "nm"), None, "px"),
        ((0.5, "s"), (0.5, "nm"), None, "px"),
        ((-2.0, "nm"), (2.0, "nm"), (2.0, 2.0), "nm"),
        ((0.0, "nm"), (2.0, "nm"), None, "px"),
    ],
)
def test_pixel_sizes(y, x, size, unit):
    axes = [{"scale": y[0], "units": y[1]}, {"scale": x[0], "units": x[1]}, ENERGY]
    si, _ = image(axes=axes)
    assert si.pixel_size == (None if size is None else pytest.approx(size))
    assert si.pixel_unit == unit


def test_a_line_has_square_pixels():
    si, _ = image(shape=(3, 6), axes=[{"scale": 0.5, "units": "nm"}, ENERGY])
    assert (si.shape, si.pixel_size) == ((1, 3, 6), (0.5, 0.5))


def test_axes_of_one_are_dropped_where_there_are_too_many():
    axes = [{"name": "frame"}, {"units": "nm", "scale": 2.0}, {"units": "nm", "scale": 2.0}, ENERGY]
    si, _ = image(shape=(1, 4, 3, 6), axes=axes)
    assert (si.shape, si.pixel_size) == ((4, 3, 6), (2.0, 2.0))
    with pytest.raises(InputError, match=r"3 navigation axes: frame \(2\), unnamed \(4\), unnamed \(3\)"):
        image(shape=(2, 4, 3, 6), axes=axes)


def test_beam_and_detector():
    detector = {"elevation_angle": "18", "live_time": np.float64(60), "energy_resolution_MnKa": None}
    instrument = {"SEM": {"beam_energy": np.int32(15), "Detector": {"EDS": detector}}}
    acquired = image(metadata={"Acquisition_instrument": instrument})[0].acquisition
    assert (acquired.beam_energy_kev, acquired.elevation_deg, acquired.live_time_s) == (15.0, 18.0, 60.0)
    assert acquired.resolution_mn_ka_ev is None
    assert (acquired.real_time_s, acquired.beam_current_na, acquired.collection_mrad) == (None, None, None)
    detector["real_time"] = 72.0
    instrument["SEM"]["beam_current"] = 1.1
    acquired = image(metadata={"Acquisition_instrument": instrument})[0].acquisition
    assert (acquired.real_time_s, acquired.beam_current_na) == (72.0, 1.1)
    detector |= {"energy_resolution_MnKa": 128.0, "live_time": -1.0, "elevation_angle": float("nan")}
    acquired = image(metadata={"Acquisition_instrument": instrument})[0].acquisition
    assert (acquired.resolution_mn_ka_ev, acquired.live_time_s, acquired.elevation_deg) == (128.0, None, None)


def test_angles_of_an_energy_loss_spectrometer():
    spectrometer = {"collection_angle": 33.0}
    instrument = {"TEM": {"beam_energy": 200.0, "convergence_angle": 30.0, "Detector": {"EELS": spectrometer}}}
    acquired = image(metadata={"Acquisition_instrument": instrument})[0].acquisition
    assert (acquired.convergence_mrad, acquired.collection_mrad) == (30.0, 33.0)


def test_the_resolution_that_bruker_states_as_a_variance():
    sigma = 0.130 / np.sqrt(8 * np.log(2))
    original = {"Spectrum": {"SigmaAbs": sigma**2 - 5.895 * 4e-4, "SigmaLin": 4e-4}}
    assert image(original_metadata=original)[0].acquisition.resolution_mn_ka_ev == 130.0


@pytest.mark.parametrize(
    ("sample", "elements"),
    [
        ({"elements": np.array(["Fe", "Pt"]), "xray_lines": ["O_Ka"]}, ("Fe", "Pt")),
        ({"elements": [], "xray_lines": ["Fe_Ka", "O_Ka", "Fe_La"]}, ("Fe", "O")),
        ({}, ()),
    ],
)
def test_elements(sample, elements):
    assert image(metadata={"Sample": sample})[0].elements == elements


@pytest.mark.parametrize(("title", "name"), [("grain", "grain"), ("EDX", "file"), ("", "file"), (None, "file")])
def test_names(title, name):
    assert image(metadata={"General": {"title": title}})[0].name == name


def test_an_axis_given_by_a_formula_is_refused():
    axes = [{}, {}, ENERGY | {"expression": "a * x**2", "a": 1}]
    with pytest.raises(InputError, match=r"'Energy' given by the formula 'a \* x\*\*2'"):
        image(axes=axes)


def test_the_image_is_chosen_before_its_sum_and_its_pictures():
    total, scan = found((6,)), found()
    picture = found((4, 3), [{"navigate": False}, {"navigate": False}], signal_type="")
    profile = found((4, 3, 6), [{}, {}, {"navigate": False}], signal_type="")
    signals = [from_reader(one) for one in (picture, total, profile, scan)]
    assert choose(signals, None, "file.emd") is signals[3]
    assert choose(signals, 1, "file.emd") is signals[1]
    with pytest.raises(InputError, match="signal=0: no spectra to choose from"):
        choose(signals, 0, "file.emd")


def test_several_images_are_listed():
    signals = [from_reader(found(metadata={"General": {"title": title}})) for title in ("first", "second")]
    with pytest.raises(InputError, match="2 spectra to choose from in 'file.emd'") as raised:
        choose(signals, None, "file.emd")
    assert "[0] 'first': 4 x 3 pixels, 6 channels 0.2 to 0.25 keV, " in raised.value.found
    assert f"{found()['data'].sum():,} counts, EDS_TEM, uint8" in raised.value.found
    assert "[1] 'second'" in raised.value.found
    assert choose(signals, "second", "file.emd") is signals[1]


@pytest.mark.parametrize(("unit", "first"), [("", 0.0), ("channel", 1.0)])
def test_channel_numbers_are_no_energies(unit, first):
    axes = [{}, {}, ENERGY | {"units": unit, "scale": 1.0, "offset": first}]
    with pytest.raises(InputError, match="like channel numbers") as raised:
        image(axes=axes)
    assert raised.value.do == "energy_scale=0.01, energy_offset=0.0, energy_unit='keV'"
    by_hand = Stated(energy_scale=10.0, energy_offset=-20.0, energy_unit="eV")
    si, guesses = spectrum_image(from_reader(found(axes=axes)), name="file", stated=by_hand)
    np.testing.assert_allclose(si.energy, [-0.02, -0.01, 0.0, 0.01, 0.02, 0.03], atol=1e-12)
    assert (si.energy_unit, guesses) == ("keV", [])


def test_what_is_stated_takes_the_place_of_what_the_file_says():
    stated = Stated(energy_offset=0.1, pixel_size=3.0, beam_energy=80.0, live_time=60.0, resolution=140.0)
    si, _ = spectrum_image(from_reader(found()), name="file", stated=stated)
    assert (si.energy[0], si.energy_step) == (0.1, pytest.approx(0.01))
    assert (si.pixel_size, si.pixel_unit) == ((3.0, 3.0), "nm")
    acquired = si.acquisition
    assert (acquired.beam_energy_kev, acquired.live_time_s, acquired.resolution_mn_ka_ev) == (80.0, 60.0, 140.0)


@pytest.mark.parametrize("step", [2.5, -2.5])
@pytest.mark.parametrize(("name", "signal_type"), [("Wavelength", ""), ("", "CL_SEM")])
def test_wavelengths(step, name, signal_type):
    raw = found(axes=[{}, {}, {"name": name, "units": "nm", "scale": step, "offset": 400.0, "navigate": False}])
    raw["metadata"]["Signal"]["signal_type"] = signal_type
    si, guesses = spectrum_image(from_reader(raw), name="file")
    assert (si.energy_unit, si.acquisition.technique, guesses) == ("nm", "CL", [])
    where = np.argsort(400.0 + step * np.arange(6))
    np.testing.assert_array_equal(si.energy, (400.0 + step * np.arange(6))[where])
    np.testing.assert_array_equal(si.counts, raw["data"][..., where])


def test_a_wavelength_is_no_energy():
    with pytest.raises(InputError, match="an axis in nm"):
        spectrum_image(from_reader(found()), name="file", stated=Stated(energy_unit="nm"))


def test_a_stack_is_summed_as_asked():
    axes = [{"name": "frame"}, {"units": "nm", "scale": 2.0}, {"units": "nm", "scale": 2.0}, ENERGY]
    raw = found((5, 4, 3, 6), axes)
    for frames, kept in (("all", slice(None)), (2, slice(2, 3)), (slice(1, 4), slice(1, 4)), ([0, 4], [0, 4])):
        si, notes = spectrum_image(from_reader(raw), name="file", stated=Stated(frames=frames))
        np.testing.assert_array_equal(si.counts, raw["data"][kept].sum(axis=0))
        assert "of 5 frames are summed" in notes[-1]
        assert si.pixel_size == (2.0, 2.0)
    with pytest.raises(InputError, match="frames=7 of 5"):
        spectrum_image(from_reader(raw), name="file", stated=Stated(frames=7))


@pytest.mark.parametrize("shape", [(4, 3, 6), (3, 3, 6)])
def test_axes_whose_index_is_exchanged(shape):
    """As a reader gives energy losses of Velox: y first, with the index of x."""
    axes = [{"name": "y", "units": "nm", "scale": 5.0}, {"name": "x", "units": "nm", "scale": 2.0}, ENERGY]
    raw = found(shape, axes)
    raw["axes"][0]["index_in_array"], raw["axes"][1]["index_in_array"], raw["axes"][2]["index_in_array"] = 1, 0, 2
    si, _ = spectrum_image(from_reader(raw), name="file")
    assert si.pixel_size == (5.0, 2.0)
    np.testing.assert_array_equal(si.counts, raw["data"])


def test_axes_that_do_not_fit_the_data_are_refused():
    raw = found((4, 3, 6))
    raw["axes"][0]["size"] = 5
    with pytest.raises(InputError, match=r"axes unnamed \(5\), unnamed \(3\), Energy \(6\) for data of shape"):
        from_reader(raw)
