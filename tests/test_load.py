import shutil
import sys
import warnings

import numpy as np
import pytest
import xarray as xr

from bayesspec.errors import InputError, MissingExtraError
from bayesspec.load import from_hyperspy, load, signals, to_hyperspy

P45 = "p45_dacite/P45_12bit_packed_8bit_compressed.bcf"
MANTLE = "mantle_71GPa/71GPa_experimental_data.hspy"
EELS = "sto_eels/DMReader_SpectrumImage_SI-EELS.dm3"
K412 = "nist_glass/K412/III-E K412_0_4.msa"
TRUNCATED = "nist_glass/K412/Al2O3 std.msa"
HAADF = "sto_eels/DMReader_SI-HAADF.dm3"
ROCK = ("Al", "Ca", "Cl", "Fe", "K", "Mg", "Na", "O", "P", "Si", "Ti")
LAMELLA = ("Al", "Ca", "Fe", "Hf", "Lu", "Mg", "Nd", "O", "Si", "Sm", "U")

pytest.importorskip("rsciio")


@pytest.fixture(scope="module")
def hs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hyperspy = pytest.importorskip("hyperspy.api")
        pytest.importorskip("exspy")
        assert hyperspy.signals.Signal1D  # imported here, under the filter
        assert hyperspy.signals.Signal2D
        assert hyperspy.signals.BaseSignal
    return hyperspy


@pytest.mark.parametrize(
    ("file", "shape", "ends", "per_pixel", "pixel", "elements", "beam", "resolution", "elevation"),
    [
        (P45, (75, 100, 2048), (-0.472397, 19.999650), 122.126, (8.736785, "µm"), ROCK, 20, 126.0, 35),
        (
            "p45_dacite/P45_the_default_job.bcf",
            (75, 100, 2048),
            (-0.472397, 19.999650),
            22.125,
            (8.736785, "µm"),
            (),
            20,
            126.0,
            35,
        ),
        (MANTLE, (201, 201, 2048), (-0.47195, 19.99805), 176.533, (0.00171654, "µm"), LAMELLA, 200, 130, 22),
        (
            "fept_core_shell/core_shell.hspy",
            (64, 64, 992),
            (0.16, 19.98),
            215.838,
            (0.5, "nm"),
            ("Fe", "Pt"),
            200,
            130,
            35,
        ),
        (
            "fept_core_shell/bare_core.hspy",
            (84, 84, 992),
            (0.16, 19.98),
            61.995,
            (0.5, "nm"),
            ("Fe", "Pt"),
            200,
            130,
            35,
        ),
    ],
)
def test_measured_images(data, file, shape, ends, per_pixel, pixel, elements, beam, resolution, elevation):
    si = load(data / file)
    assert si.shape == shape
    assert (si.energy[0], si.energy[-1]) == pytest.approx(ends, abs=1e-6)
    assert si.counts_per_pixel == pytest.approx(per_pixel, abs=2e-3)
    assert si.pixel_size == pytest.approx((pixel[0], pixel[0]), rel=1e-5)
    assert (si.pixel_unit, si.energy_unit, si.counts.dtype) == (pixel[1], "keV", np.uint8)
    assert si.elements == elements
    acquired = si.acquisition
    assert (acquired.technique, acquired.beam_energy_kev, acquired.elevation_deg) == ("EDS", beam, elevation)
    assert acquired.resolution_mn_ka_ev == resolution
    assert si.counts.flags.c_contiguous


def test_the_resolution_in_the_file_is_the_width_of_the_measured_peak(data):
    """Si Ka in the summed spectrum: full width from its height and area, above the local background."""
    si = load(data / P45)
    near = (si.energy > 1.62) & (si.energy < 1.86)
    peak = si.sum_spectrum()[near].astype(float)
    peak -= np.linspace(peak[:3].mean(), peak[-3:].mean(), len(peak))
    width_ev = 1e3 * si.energy_step * peak.sum() / peak.max() * 2 * np.sqrt(np.log(2) / np.pi)
    fano = 8 * np.log(2) * 1e3 * 0.0004466  # the slope that a silicon detector has, eV^2 per eV
    expected = np.sqrt(si.acquisition.resolution_mn_ka_ev**2 - 1e3 * fano * (5.895 - 1.74))
    assert width_ev == pytest.approx(expected, rel=0.06)


def test_energy_losses_as_whole_counts(data):
    si = load(data / EELS)
    assert si.shape == (49, 6, 1024)
    assert (si.energy[0], si.energy[-1], si.energy_unit) == (350.0, 861.5, "eV")
    assert (si.counts.dtype, int(si.counts.min()), si.pixel_size) == (np.uint16, 44, None)
    assert (si.acquisition.technique, si.acquisition.beam_energy_kev) == ("EELS", 200.0)
    assert si.counts_per_pixel == pytest.approx(1.527e6, rel=1e-3)
    assert si.counts.flags.c_contiguous


def test_a_spectrum_in_ev_becomes_kev(data):
    si = load(data / K412)
    assert si.shape == (1, 1, 4096)
    assert (si.energy[0], si.energy_step) == pytest.approx((0.00163032, 0.00999856))
    assert si.acquisition.live_time_s == pytest.approx(235.484, abs=1e-3)
    assert si.energy[np.argmax(si.sum_spectrum()[150:200]) + 150] == pytest.approx(1.74, abs=0.01)


def test_a_spectrum_that_its_reader_loses_is_an_error_with_a_remedy(data, tmp_path):
    with pytest.raises(InputError, match="its line 35, '#SPECTRUM    :', ends without a space") as raised:
        load(data / TRUNCATED)
    assert "sed -i" in raised.value.do
    mended = tmp_path / "Al2O3 std.msa"
    mended.write_text((data / TRUNCATED).read_text().replace("#SPECTRUM    :", "#SPECTRUM    : "))
    assert load(mended).shape == (1, 1, 4096)


def test_the_other_signals_of_a_file_are_offered(data):
    lines = signals(data / P45)
    assert [line.split(":")[0] for line in lines] == ["[0] 'BSE'", "[1] 'SE'", "[2] 'EDX'"]
    assert load(data / P45, signal=2).shape == load(data / P45, signal="EDX").shape
    for picked in ("BSE", 0, 7, "EDS"):
        with pytest.raises(InputError, match="no spectra to choose from") as raised:
            load(data / P45, signal=picked)
        assert all(line in raised.value.found for line in lines)
        assert raised.value.do == "bs.load(path, signal=2)"


def test_an_image_without_spectra_is_refused(data):
    with pytest.raises(InputError, match="06-HAADF.*no energy axis"):
        load(data / HAADF)


def test_arguments_complete_what_the_file_says(data):
    mask = np.zeros((75, 100), bool)
    mask[3] = True
    si = load(data / P45, elements=["Fe"], mask=mask)
    assert si.elements == ("Fe",)
    assert si.valid.sum() == 74 * 100
    with pytest.raises(InputError, match=r"mask of shape \(2, 2\)"):
        load(data / P45, mask=np.zeros((2, 2), bool))
    half = load(data / P45, reader_options={"downsample": 5})
    assert half.shape[:2] == (15, 20)
    assert half.counts.sum() == load(data / P45).counts.sum()


@pytest.mark.parametrize("name", ["K412[0][4].msa", "K412*.msa", "K412 ?.MSA"])
def test_brackets_and_asterisks_are_part_of_the_name(data, tmp_path, name):
    shutil.copy(data / K412, tmp_path / name)
    (tmp_path / "K4120.msa").write_text("decoy")
    assert load(tmp_path / name).counts_per_pixel == 8079537
    assert load(str(tmp_path / name)).shape == (1, 1, 4096)


def test_paths_that_lead_nowhere(tmp_path):
    (tmp_path / "scan.hspy").write_bytes(b"not HDF5")
    (tmp_path / "scan.txt").write_text("1 2 3")
    (tmp_path / "scan.h5").write_bytes(b"")
    for name, message, do in (
        ("scam.hspy", "no file", "scan.hspy"),
        ("nowhere/scan.hspy", "no file", "check the path"),
        ("", "the folder", "scan.bcf"),
        ("scan.hspy", "HSPY reader cannot read", "export it again"),
        ("scan.txt", "no reader", "bs.SpectrumImage"),
        ("scan.h5", "readers claim: .*USID", "reader="),
    ):
        with pytest.raises(InputError, match=message) as raised:
            load(tmp_path / name)
        assert do in raised.value.do
        assert raised.value.needed
    with pytest.raises(InputError, match="of the name 'nobody'"):
        load(tmp_path / "scan.txt", reader="nobody")
    with pytest.raises(InputError, match="type ndarray"):
        load(np.ones(3))


def test_files_need_rosettasciio_and_nothing_else(data, monkeypatch):
    for name in ("hyperspy", "hyperspy.api", "exspy"):
        monkeypatch.setitem(sys.modules, name, None)
    assert load(data / MANTLE).shape == (201, 201, 2048)
    with pytest.raises(MissingExtraError, match=r"'hyperspy' is not installed(?s:.*)bayesspec\[io\]"):
        to_hyperspy(xr.DataArray(np.ones(3), dims="energy"))
    monkeypatch.setitem(sys.modules, "rsciio", None)
    with pytest.raises(MissingExtraError, match=r"'rosettasciio' is not installed(?s:.*)\.bcf"):
        load(data / P45)


def test_a_package_that_a_reader_lacks_is_named(data, monkeypatch):
    monkeypatch.delitem(sys.modules, "rsciio.hspy", raising=False)
    monkeypatch.delitem(sys.modules, "rsciio.hspy._api", raising=False)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"'h5py' is not installed(?s:.*)\.hspy"):
        load(data / MANTLE)


def eds_signal(hs, counts=None, **axis):
    counts = np.random.default_rng(1).poisson(3.0, (4, 5, 6)) if counts is None else counts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signal = hs.signals.Signal1D(counts)
        signal.set_signal_type("EDS_TEM")
    for name, value in ({"units": "keV", "scale": 0.02, "offset": -0.1} | axis).items():
        if value is not None:
            setattr(signal.axes_manager[-1], name, value)
    return signal


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_signal_in_memory(hs):
    signal = eds_signal(hs)
    before = signal.data.copy()
    signal.axes_manager[0].scale = signal.axes_manager[1].scale = 2.0
    signal.axes_manager[0].units = signal.axes_manager[1].units = "nm"
    signal.metadata.set_item("Acquisition_instrument.TEM.beam_energy", 200)
    signal.metadata.set_item("Acquisition_instrument.TEM.Detector.EDS.energy_resolution_MnKa", 131.0)
    signal.metadata.set_item("Acquisition_instrument.TEM.Detector.EDS.live_time", 12.5)
    signal.metadata.set_item("Acquisition_instrument.TEM.Detector.EDS.elevation_angle", 22.0)
    signal.metadata.set_item("Sample.xray_lines", ["Fe_Ka", "Fe_La", "O_Ka"])
    signal.metadata.General.title = "particle"
    si = from_hyperspy(signal)
    np.testing.assert_array_equal(si.counts, before)
    np.testing.assert_allclose(si.energy, -0.1 + 0.02 * np.arange(6))
    assert (si.name, si.pixel_size, si.pixel_unit, si.elements) == ("particle", (2.0, 2.0), "nm", ("Fe", "O"))
    assert si.acquisition.resolution_mn_ka_ev == 131.0
    assert (si.acquisition.live_time_s, si.acquisition.elevation_deg) == (12.5, 22.0)
    signal.data[:] = 9
    assert si.counts.max() == before.max()
    assert from_hyperspy(signal, elements=["Pt"], mask=np.ones((4, 5), bool)).valid.sum() == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_same_signal_lazy_turned_or_with_fewer_axes(hs):
    signal = eds_signal(hs)
    counts = signal.data
    np.testing.assert_array_equal(from_hyperspy(signal.as_lazy()).counts, counts)
    np.testing.assert_array_equal(from_hyperspy(signal.T).counts, counts)
    np.testing.assert_array_equal(from_hyperspy(signal.transpose(optimize=True)).counts, counts)
    np.testing.assert_array_equal(from_hyperspy(signal.inav[1]).counts, counts[:, 1][None])
    np.testing.assert_array_equal(from_hyperspy(signal.inav[1, 2]).counts, counts[2, 1][None, None])
    np.testing.assert_array_equal(from_hyperspy(eds_signal(hs, counts[None, :, None])).counts, counts)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_signals_that_are_no_spectrum_images(hs):
    with pytest.raises(InputError, match=r"3 navigation axes: unnamed \(2\), unnamed \(4\), unnamed \(5\)"):
        from_hyperspy(eds_signal(hs, np.ones((2, 4, 5, 6))))
    with pytest.raises(InputError, match="no energy axis"):
        from_hyperspy(hs.signals.Signal2D(np.ones((3, 4))))
    with pytest.raises(InputError, match="no energy axis"):
        from_hyperspy(hs.signals.BaseSignal(np.ones(3)).T)
    with pytest.raises(InputError, match=r"first 0.5 at index"):
        from_hyperspy(eds_signal(hs, np.full((2, 3, 4), 0.5)))
    with pytest.raises(InputError, match=r"type ndarray without .axes_manager and .metadata"):
        from_hyperspy(np.ones((2, 3, 4)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_axes_without_name_or_unit(hs):
    with pytest.warns(UserWarning, match="has no unit: read as keV"):
        si = from_hyperspy(eds_signal(hs, units=None))
    assert (si.energy_unit, si.energy[-1]) == ("keV", pytest.approx(0.0))
    with pytest.warns(UserWarning, match="has no unit: read as eV"):
        si = from_hyperspy(eds_signal(hs, units="", scale=10.0, offset=200.0))
    assert (si.energy_unit, si.energy[0]) == ("keV", 0.2)
    plain = hs.signals.Signal1D(np.ones((2, 3, 4)))
    with pytest.warns(UserWarning, match="read as|taken as") as said:
        si = from_hyperspy(plain)
    assert len(said) == 2
    assert all(one.filename == __file__ for one in said)
    assert (si.shape, si.pixel_size, si.pixel_unit) == ((2, 3, 4), None, "px")
    si = from_hyperspy(eds_signal(hs, units=None, scale=10.0), energy_unit="eV")
    assert si.energy_step == pytest.approx(0.01)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_axis_given_by_its_values(hs):
    values = np.array([0.1, 0.2, 0.4, 0.8])
    axes = [{"size": 2, "name": "x"}, {"axis": values, "name": "Energy", "units": "keV", "navigate": False}]
    signal = hs.signals.Signal1D(np.ones((2, 4)), axes=axes)
    np.testing.assert_array_equal(from_hyperspy(signal).energy, values)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("dims", "kind", "shape"),
    [
        (("component", "energy"), "Signal1D", (2, 5)),
        (("y", "x", "component"), "Signal2D", (2, 3, 4)),
        (("phase",), "BaseSignal", (2,)),
    ],
)
def test_results_become_signals(hs, dims, kind, shape):
    sizes = {"component": 2, "energy": 5, "y": 3, "x": 4, "phase": 2}
    coords = {
        "energy": ("energy", 0.3 + 0.01 * np.arange(5), {"units": "keV"}),
        "x": ("x", 2.0 * np.arange(4), {"units": "nm"}),
        "component": ("component", ["a", "b"]),
    }
    array = xr.DataArray(
        np.random.default_rng(0).normal(size=[sizes[dim] for dim in dims]),
        dims=dims,
        coords={dim: coords[dim] for dim in dims if dim in coords},
        name="result",
    )
    signal = to_hyperspy(array)
    assert type(signal).__name__ == kind
    assert signal.data.shape == shape
    assert signal.metadata.General.title == "result"
    by_name = {
        axis.name: axis for axis in signal.axes_manager.navigation_axes + signal.axes_manager.signal_axes
    }
    assert set(by_name) == set(dims)
    if "energy" in dims:
        energy = by_name["energy"]
        assert (energy.units, energy.scale, energy.offset) == ("keV", pytest.approx(0.01), pytest.approx(0.3))
        np.testing.assert_array_equal(signal.data, array)
    if "x" in dims:
        assert (by_name["x"].units, by_name["x"].scale) == ("nm", 2.0)
        np.testing.assert_array_equal(signal.inav[1].data, array.sel(component="b"))
