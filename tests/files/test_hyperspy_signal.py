import warnings

import numpy as np
import pytest
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.load import from_hyperspy, to_hyperspy


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
    with pytest.raises(InputError, match="like channel numbers"):
        from_hyperspy(plain)
    plain.axes_manager[-1].scale = 0.02
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
    by_name = {axis.name: axis for axis in signal.axes_manager.navigation_axes + signal.axes_manager.signal_axes}
    assert set(by_name) == set(dims)
    if "energy" in dims:
        energy = by_name["energy"]
        assert (energy.units, energy.scale, energy.offset) == ("keV", pytest.approx(0.01), pytest.approx(0.3))
        np.testing.assert_array_equal(signal.data, array)
    if "x" in dims:
        assert (by_name["x"].units, by_name["x"].scale) == ("nm", 2.0)
        np.testing.assert_array_equal(signal.inav[1].data, array.sel(component="b"))
