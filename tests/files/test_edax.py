"""Files in the layout of EDAX APEX, as its public readers know it."""

import h5py
import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.files.load import load, signals

COUNTS = np.random.default_rng(0).poisson(3.0, (3, 4, 20)).astype(np.uint16)
SPC = np.dtype(
    [
        *(
            (name, np.float32)
            for name in ("KV", "LiveTime", "ElevationAngle", "DetectorResolution", "evPch", "eVOffset")
        ),
        ("NumberOfPoints", np.int32),
        ("SpectrumCounts", np.int32, (20,)),
    ]
)


def spectrum(points=20):
    values = np.zeros(1, SPC)
    values[0] = (20.0, 60.0, 35.0, 127.0, 10.0, -50.0, points, COUNTS.sum(axis=(0, 1)))
    return values


def write(path, *, nested=False, points=20, map_too=True):
    with h5py.File(path, "w") as file:
        project = file.create_group("Project")
        project.attrs["Company"] = np.array(["EDAX, LLC"], dtype=h5py.string_dtype())
        area = project.create_group("Sample 1/Area 1")
        area["FOVIMAGE"] = np.zeros((3, 4), np.uint8)
        area["EDS Spot 1/SPC"] = spectrum()
        if map_too:
            kind = np.dtype((np.uint16, (20,))) if nested else np.uint16
            cube = area.create_dataset("Live Map 1/SPD", (3, 4) if nested else COUNTS.shape, kind)
            cube[...] = COUNTS
            cube.attrs.update(MicronPerPixelX=[0.5], MicronPerPixelY=[0.25])
            cube.attrs.update(NumberOfLines=[3], NumberOfPoints=[4], NumberofChannels=[20])
            area["Live Map 1/SPC"] = spectrum(points)
            area["LineScan 1/LSD"] = COUNTS[0]
            area["LineScan 1/SPC"] = spectrum()
    return path


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", ["map.edaxh5", "map.h5"])
def test_a_map_of_apex(tmp_path, name, nested):
    si = load(write(tmp_path / name, nested=nested))
    np.testing.assert_array_equal(si.counts, COUNTS)
    assert (si.energy[0], si.energy_step, si.energy_unit) == (pytest.approx(-0.05), pytest.approx(0.01), "keV")
    assert (si.pixel_size, si.pixel_unit) == ((0.25, 0.5), "µm")
    acquired = si.acquisition
    assert (acquired.beam_energy_kev, acquired.elevation_deg, acquired.live_time_s) == (20.0, 35.0, 60.0)
    assert acquired.resolution_mn_ka_ev == 127.0


def test_everything_in_a_file_can_be_had(tmp_path):
    path = write(tmp_path / "all.edaxh5")
    listed = signals(path)
    assert [("Spot" in line, "LineScan" in line, "Live Map" in line) for line in listed].count(
        (True, False, False)
    ) == 1
    assert len(listed) == 3
    spot = next(i for i, line in enumerate(listed) if "Spot" in line)
    scan = next(i for i, line in enumerate(listed) if "LineScan" in line)
    assert load(path, signal=spot).counts.sum() == COUNTS.sum()
    assert load(path, signal=scan).shape == (1, 4, 20)
    assert load(write(tmp_path / "spot.edaxh5", map_too=False)).shape == (1, 1, 20)


def test_a_cube_of_other_channels_than_its_spectrum_has_no_axis(tmp_path):
    path = write(tmp_path / "map.edaxh5", points=16)
    with pytest.raises(InputError, match="like channel numbers"):
        load(path)
    assert load(path, energy_scale=10.0, energy_offset=0.0, energy_unit="eV").energy_step == pytest.approx(0.01)


def test_a_file_of_somebody_else_is_left_to_its_readers(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["Project/data"] = np.zeros(3)
    with pytest.raises(InputError, match="readers claim"):
        load(tmp_path / "other.h5")
