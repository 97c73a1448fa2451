import h5netcdf
import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.files.load import load
from bayesspec.image.spectrum_image import SpectrumImage

ENERGY = 0.2 + 0.013 * np.arange(7)


def image(**fields):
    return SpectrumImage(np.random.default_rng(3).poisson(90.0, (3, 4, 7)), energy=ENERGY, **fields)


def test_a_plain_archive_needs_counts_and_energy_only(tmp_path):
    path = tmp_path / "scan.npz"
    counts = np.ones((2, 3, 7))
    np.savez(path, counts=counts, energy=ENERGY, elements=["Fe", "O"], beam_energy_kev=15)
    si = load(path)
    assert (si.name, si.energy_unit, si.counts.dtype) == ("scan", "keV", np.uint8)
    assert si.elements == ("Fe", "O")
    assert si.acquisition.beam_energy_kev == 15.0


def test_a_plain_archive_without_a_unit(tmp_path):
    path = tmp_path / "scan.npz"
    counts = np.ones((2, 3, 7))
    np.savez(path, counts=counts, energy=400 + 0.5 * np.arange(7), technique="EELS")
    with pytest.warns(UserWarning, match="scan.npz: The energy axis 400 to 403 has no unit: read as eV"):
        assert load(path).energy_unit == "eV"
    np.savez(path, counts=counts, energy=20000 + 10.0 * np.arange(7))
    with pytest.warns(UserWarning, match="read as eV|taken as EDS"):
        si = load(path)
    assert (si.energy[0], si.energy_unit, si.acquisition.technique) == (20.0, "keV", "EDS")
    np.testing.assert_array_equal(load(path, energy_unit="eV").energy, si.energy)


def test_a_labelled_array_saved_by_xarray_is_loaded(tmp_path):
    path = tmp_path / "scan.nc"
    si = image(pixel_size=(2.0, 0.5), pixel_unit="nm")
    si.to_xarray().transpose("energy", "y", "x").to_netcdf(path, engine="h5netcdf")
    loaded = load(path)
    np.testing.assert_array_equal(loaded.counts, si.counts)
    assert (loaded.pixel_size, loaded.pixel_unit, loaded.name) == ((2.0, 0.5), "nm", "scan")


def test_archives_of_something_else_are_refused(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, spectrum=ENERGY)
    with pytest.raises(InputError, match="holds spectrum; no counts and no energy"):
        load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="npz reader cannot read"):
        load(path)
    np.savez(path, counts=np.full((2, 7), 0.25), energy=ENERGY)
    with pytest.raises(InputError, match=r"first 0.25 at index \(0, 0\)"):
        load(path)


def test_a_netcdf_of_something_else_is_refused(tmp_path):
    path = tmp_path / "fit.nc"
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"component": 2}
        file.create_variable("spectra", ("component",), float)
    with pytest.raises(InputError, match="holds spectra; no counts"):
        load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="is not netCDF-4"):
        load(path)
