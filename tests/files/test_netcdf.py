"""What is written is read back, and what was changed on the way is refused."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.netcdf import FORMAT_VERSION, opened, sealed

DATASET = xr.Dataset(
    {"spectra": (("component", "energy"), np.random.default_rng(0).random((2, 900))), "n": 3},
    coords={"energy": ("energy", np.arange(900.0), {"units": "keV"}), "component": ["a", "µ"]},
    attrs={"name": "grain µ", "converged": 1, "prob": 0.95},
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.nc"
    path.write_bytes(sealed({"/": DATASET, "truth": xr.Dataset({"labels": (("y", "x"), np.eye(3))})}))
    return path


def test_groups_values_and_attributes_are_read_back(file: Path) -> None:
    found = opened(file, "bs.open")
    xr.testing.assert_identical(found["/"], DATASET)
    np.testing.assert_array_equal(found["truth"]["labels"], np.eye(3))


def test_other_readers_pass_over_the_checksum(file: Path) -> None:
    xr.testing.assert_identical(xr.load_dataset(file, engine="h5netcdf"), DATASET)


def test_every_change_and_every_cut_is_noticed(file: Path) -> None:
    whole = file.read_bytes()
    rng = np.random.default_rng(1)
    for place in rng.integers(len(whole), size=50):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(changed)
        try:
            found = opened(file, "bs.open")["/"]
        except InputError:
            continue
        assert place >= len(whole) - 83, "only the seal itself may be damaged without harm"
        xr.testing.assert_identical(found, DATASET)
    for place in [*rng.integers(len(whole) - 100, size=50), 0]:
        file.write_bytes(whole[:place])
        with pytest.raises(InputError):
            opened(file, "bs.open")


def test_a_later_format_is_refused(file: Path) -> None:
    for version in (FORMAT_VERSION + 1, "two"):
        file.write_bytes(sealed({"/": DATASET.assign_attrs(format_version=version)}))
        with pytest.raises(InputError, match="format version"):
            opened(file, "bs.open")
