"""EDS maps and line scans of Oxford Instruments, ``.h5oina``, in the form in which rosettasciio's readers answer.

Source: the specification of the format, https://github.com/oinanoanalysis/h5oina, version 8.0. Spectra are in files of
version 7.0 and later.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesspec.errors import InputError
from bayesspec.files.hdf5_values import axis, eds, single

HIGHEST_SEM_KEV = 40.0
"""Beam energy up to which the microscope is a scanning one."""
_TECHNIQUE = re.compile(r"EDS\d*")


def file_reader(filename: str) -> list[dict[str, Any]]:
    """Read the spectra of a file.

    Parameters
    ----------
    filename : str
        The file.

    Returns
    -------
    list of dict
        One for each slice and detector: ``data`` (y, x, energy), ``axes``, ``metadata``, ``original_metadata``.

    Raises
    ------
    InputError
        When it holds no spectra, or they do not fit its header.
    """
    import h5py

    with h5py.File(filename, "r") as file:
        groups = [(name, group) for name, group in file.items() if isinstance(group, h5py.Group)]
        found = [
            (f"{name}/{technique}", group[technique])
            for name, group in groups
            for technique in group
            if _TECHNIQUE.fullmatch(technique)
        ]
        read = [_signal(name, group) for name, group in found if "Spectrum" in group.get("Data", {})]
        version = single(file, "Format Version", "not stated")
    if not read:
        raise InputError(
            f"a file of format version {version} with {len(found)} EDS acquisitions and no spectra",
            "one that was exported with its spectra, as AZtec 6.2 and later do",
            "export the map again, as .h5oina with spectra or as .rpl",
        )
    return read


def _signal(name: str, group: Mapping[str, Any]) -> dict[str, Any]:
    header, data = group["Header"], group["Data"]
    spectra = data["Spectrum"]
    ny, nx = int(single(header, "Y Cells", 1)), int(single(header, "X Cells", 1))
    if spectra.ndim != 2 or spectra.shape[0] != ny * nx:
        raise InputError(
            f"spectra of shape {tuple(spectra.shape)} for {ny} x {nx} pixels",
            "one spectrum for each pixel",
            "export the map again from AZtec",
        )
    step = {dim: float(single(header, f"{dim.upper()} Step", 0.0)) for dim in "yx"}
    width, start = (single(header, field, 0.0) for field in ("Channel Width", "Start Channel"))
    energy = axis("Energy", spectra.shape[1], width or 1.0, "eV" if width else "", offset=start, navigate=False)
    pixels = [axis(dim, n, step[dim] or 1.0, "um" if step[dim] else "") for dim, n in (("y", ny), ("x", nx))]
    beam, elevation = single(header, "Beam Voltage"), single(header, "Detector Elevation")
    times = {
        known: float(np.nansum(data[field][()])) if field in data else None
        for known, field in (("live_time", "Live Time"), ("real_time", "Real Time"))
    }
    acquired = {
        "beam_energy": beam,
        "elevation_angle": None if elevation is None else math.degrees(elevation),
        **times,
    }
    label = single(header, "Analysis Label") or single(header, "Site Label") or ""
    kind = "TEM" if beam is not None and beam > HIGHEST_SEM_KEV else "SEM"
    metadata = eds(label or name, kind, acquired, _elements(data))
    slice_name, technique = name.split("/")
    original = {"detector": technique, "of": slice_name}
    return {
        "data": spectra[()].reshape(ny, nx, -1),
        "axes": [*pixels, energy],
        "metadata": metadata,
        "original_metadata": original,
    }


def _elements(data: Mapping[str, Any]) -> list[str]:
    """Elements of the maps that were made of the spectra: their names begin with a symbol."""
    maps = ("Window Integral", "Peak Area", "Composition")
    return list(dict.fromkeys(name.split()[0] for group in maps if group in data for name in data[group]))
