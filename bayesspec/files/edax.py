"""EDS maps, line scans and spectra of EDAX APEX, ``.edaxh5`` and ``.h5``, in the form of rosettasciio's readers.

Source: there is no public specification; names and shapes are those that the readers of pynxtools-em
(https://github.com/FAIRmat-NFDI/pynxtools-em) and SciFiReaders (https://github.com/pycroscopy/SciFiReaders) rely on.
A file is project / sample / area / measurement: ``SPD`` is a cube (line, point, channel), ``LSD`` a line scan (point,
channel), ``SPC`` the summed or single spectrum with its calibration.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bayesspec.errors import InputError
from bayesspec.files.hdf5_values import axis, eds, single

COMPANY = "EDAX"
HIGHEST_SEM_KEV = 40.0
"""Beam energy up to which the microscope is a scanning one."""


def is_edax(file: Path) -> bool:
    """Whether an HDF5 file was written by APEX: its one group says so.

    Parameters
    ----------
    file : pathlib.Path
        Any file.

    Returns
    -------
    bool
        False also where it cannot be opened.
    """
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            return len(opened) == 1 and any(_is_project(group) for group in opened.values())
    except OSError:
        return False


def _is_project(group: Any) -> bool:
    return str(single(group.attrs, "Company", "")).startswith(COMPANY) or "PRODUCT_VERSION" in group.attrs


def file_reader(filename: str) -> list[dict[str, Any]]:
    """Read maps, line scans and spectra of a file.

    Parameters
    ----------
    filename : str
        The file.

    Returns
    -------
    list of dict
        One for each measurement: ``data`` (..., energy), ``axes``, ``metadata``, ``original_metadata``.

    Raises
    ------
    InputError
        When it holds no spectra.
    """
    import h5py

    with h5py.File(filename, "r") as file:
        found = [_signal(path, group) for path, group in _measurements(file)]
    if not found:
        raise InputError("a file without SPD, LSD or SPC spectra", "a file with EDS spectra of APEX", "export it again")
    return found


def _measurements(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Groups that hold spectra, with their paths."""
    if {"SPD", "LSD", "SPC"} & set(group):
        yield path, group
    for name, item in group.items():
        if hasattr(item, "items"):
            yield from _measurements(item, f"{path}/{name}")


def _signal(path: str, group: Any) -> dict[str, Any]:
    spectrum = group["SPC"][()].ravel()[0] if "SPC" in group else None
    name = next((name for name in ("SPD", "LSD") if name in group), None)
    if name is None:
        assert spectrum is not None
        data = np.atleast_1d(spectrum["SpectrumCounts"])
        data = data[: int(single(spectrum, "NumberOfPoints", len(data)))]
        pixels = []
    else:
        data = _cube(group[name])
        attributes = group[name].attrs
        steps = [float(single(attributes, f"MicronPerPixel{dim}", 0.0)) for dim in "YX"][-data.ndim + 1 :]
        pixels = [
            axis(dim, n, step or 1.0, "um" if step else "")
            for dim, n, step in zip("yx"[-data.ndim + 1 :], data.shape, steps, strict=False)
        ]
    energy = _energy(data.shape[-1], spectrum)
    return {
        "data": data,
        "axes": [*pixels, energy],
        "metadata": _metadata(path.strip("/"), spectrum),
        "original_metadata": {"path": path},
    }


def _cube(dataset: Any) -> Any:
    """Counts (line, point, channel): cells may be arrays of their own, which HDF5 keeps as a type."""
    values = dataset[()]
    if values.dtype == object:
        values = np.array([np.asarray(cell) for cell in values.ravel()]).reshape(*values.shape, -1)
    names = ("NumberOfLines", "NumberOfPoints", "NumberofChannels")
    shape = [single(dataset.attrs, name) for name in names]
    stated = [int(n) for n in shape if n is not None]
    return values.reshape(stated) if len(stated) == 3 and values.ndim < 3 and np.prod(stated) == values.size else values


def _energy(channels: int, spectrum: Any) -> dict[str, Any]:
    """The axis of the spectrum beside a map, where that has as many channels; else none is known."""
    width = None
    if spectrum is not None:
        width = single(spectrum, "evPch") or single(spectrum, "evPerChannel")
        if int(single(spectrum, "NumberOfPoints", channels)) != channels:
            width = None
    if not width:
        return axis("Energy", channels, 1.0, "", navigate=False)
    return axis("Energy", channels, float(width), "eV", offset=float(single(spectrum, "eVOffset", 0.0)), navigate=False)


def _metadata(path: str, spectrum: Any) -> dict[str, Any]:
    names = {
        "beam_energy": "KV",
        "live_time": "LiveTime",
        "elevation_angle": "ElevationAngle",
        "energy_resolution_MnKa": "DetectorResolution",
    }
    acquired = {known: None if spectrum is None else single(spectrum, name) for known, name in names.items()}
    beam = acquired["beam_energy"]
    return eds(path, "TEM" if beam is not None and beam > HIGHEST_SEM_KEV else "SEM", acquired, [])
