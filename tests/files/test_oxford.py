"""Files in the layout of Oxford Instruments' specification."""

import h5py
import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.files.load import load, signals

COUNTS = np.random.default_rng(0).poisson(3.0, (3, 4, 20)).astype(np.int32)


def write(path, *, techniques=("EDS",), spectra=True, cells=(3, 4)):
    """A file as AZtec writes it: single values are arrays of one."""
    with h5py.File(path, "w") as file:
        file["Format Version"] = np.array(["7.0"], dtype=h5py.string_dtype())
        file["Index"] = np.array(["1"], dtype=h5py.string_dtype())
        for number, technique in enumerate(techniques):
            header, data = (file.create_group(f"1/{technique}/{part}") for part in ("Header", "Data"))
            values = {
                "Y Cells": np.int32(cells[0]),
                "X Cells": np.int32(cells[1]),
                "X Step": 0.5,
                "Y Step": 0.25,
                "Channel Width": 10.0,
                "Start Channel": -200.0,
                "Beam Voltage": 15.0,
                "Detector Elevation": np.deg2rad(35.0),
            }
            for name, value in values.items():
                header[name] = np.array([value])
            header["Analysis Label"] = np.array(["Map Data 1"], dtype=h5py.string_dtype())
            data["Live Time"] = np.full((12, 1), 0.5, np.float32)
            data["Window Integral/Al Ka1"] = np.zeros(12)
            data["Window Integral/Fe Ka1"] = np.zeros(12)
            if spectra:
                spectrum = (COUNTS + number).reshape(12, 20)
                data.create_dataset("Spectrum", data=spectrum, compression="lzf", chunks=(4, 20))
    return path


def test_a_map_of_oxford_instruments(tmp_path):
    si = load(write(tmp_path / "map.h5oina"))
    np.testing.assert_array_equal(si.counts, COUNTS)
    assert (si.energy[0], si.energy_step, si.energy_unit) == (pytest.approx(-0.2), pytest.approx(0.01), "keV")
    assert (si.pixel_size, si.pixel_unit) == ((0.25, 0.5), "µm")
    assert si.elements == ("Al", "Fe")
    assert si.name == "Map Data 1"
    acquired = si.acquisition
    assert (acquired.beam_energy_kev, acquired.elevation_deg) == (15.0, pytest.approx(35.0))
    assert acquired.live_time_s == pytest.approx(6.0)


def test_a_line_scan_of_oxford_instruments(tmp_path):
    si = load(write(tmp_path / "line.h5oina", cells=(1, 12)))
    assert si.shape == (1, 12, 20)
    assert si.pixel_size[1] == 0.5


def test_files_without_spectra_say_what_to_export(tmp_path):
    with pytest.raises(InputError, match="no spectra") as raised:
        load(write(tmp_path / "maps.h5oina", spectra=False))
    assert "with spectra" in raised.value.do
    with pytest.raises(InputError, match=r"shape \(12, 20\) for 3 x 5 pixels"):
        load(write(tmp_path / "cut.h5oina", cells=(3, 5)))


def test_both_detectors_are_listed(tmp_path):
    listed = signals(write(tmp_path / "two.h5oina", techniques=("EDS1", "EDS2")))
    assert len(listed) == 2
    assert "4 pixels, 20 channels -200 to -10 eV" in listed[0]
    assert f"{COUNTS.sum():,} counts" in listed[0]
    with pytest.warns(UserWarning, match="The counts of 2 detectors are summed: EDS1, EDS2"):
        both = load(tmp_path / "two.h5oina")
    np.testing.assert_array_equal(both.counts, 2 * COUNTS + 1)
    np.testing.assert_array_equal(load(tmp_path / "two.h5oina", signal=1).counts, COUNTS + 1)
    with pytest.warns(UserWarning, match="are summed"):
        assert load(tmp_path / "two.h5oina", signal=[0, 1]).counts.sum() == both.counts.sum()
