"""A spectrum image out of one file of our own: .npz (NumPy) or .nc (netCDF-4, labelled)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.calibration import LONGEST_IN_KEV, calibrated, unknown_elements
from bayesspec.files.camera import countable
from bayesspec.files.hyperspy_signal import Axis
from bayesspec.files.netcdf import opened
from bayesspec.files.paths import refuse_swollen
from bayesspec.files.stated import Stated
from bayesspec.image.acquisition import Acquisition
from bayesspec.image.checks import checked_unit, known_elements
from bayesspec.image.counts import owned
from bayesspec.image.spectrum_image import SpectrumImage

_TRUTH = "truth."


def read_npz(
    path: Path, energy_unit: str | None = None, stated: Stated | None = None
) -> tuple[SpectrumImage, list[str]]:
    """Read a spectrum image from a NumPy archive with ``counts`` and ``energy``.

    Parameters
    ----------
    path : pathlib.Path
        The file. Beside ``counts`` (y, x, energy) and ``energy`` (energy,) it may hold any field of
        `SpectrumImage` and of `Acquisition`, by name, and ``truth.<name>``.
    energy_unit : {"keV", "eV"} or None
        Unit of the file's energies; ``None`` for the one that it states, or keV where they end below 100.
    stated : Stated or None
        What the caller knows of a camera.

    Returns
    -------
    image : SpectrumImage
        Counts, uint8, uint16 or uint32, and what else the file says.
    guesses : list of str
        Sentences that say what was guessed.

    Raises
    ------
    InputError
        When counts or energy are missing.
    """
    with np.load(path, allow_pickle=False) as archive:
        refuse_swollen(path, sum(member.file_size for member in archive.zip.infolist()))
        found = {name: archive[name] for name in archive.files}
    _require(path, found, "np.savez(path, counts=counts, energy=energy)")
    found["counts"] = owned(found["counts"])
    truth = {name.removeprefix(_TRUTH): found.pop(name) for name in list(found) if name.startswith(_TRUTH)}
    return _image(path, found, truth, (found.get("energy_unit"), energy_unit), stated)


def read_nc(
    path: Path, energy_unit: str | None = None, stated: Stated | None = None
) -> tuple[SpectrumImage, list[str]]:
    """Read a spectrum image from a netCDF-4 file with a variable ``counts`` (y, x, energy).

    Parameters
    ----------
    path : pathlib.Path
        The file, as `save_image` or ``si.to_xarray().to_netcdf(path)`` write it.
    energy_unit : {"keV", "eV"} or None
        Unit of the file's energies; ``None`` for the one that it states, or keV where they end below 100.
    stated : Stated or None
        What the caller knows of a camera.

    Returns
    -------
    image : SpectrumImage
        Counts, uint8, uint16 or uint32, and what else the file says.
    guesses : list of str
        Sentences that say what was guessed.

    Raises
    ------
    InputError
        When it holds no counts with a coordinate ``energy``.
    """
    groups = opened(path, "a file that bs.save_image wrote")
    dataset = groups["/"]
    names = {str(name): dataset[name] for name in dataset.variables}
    _require(path, names, "bs.save_image(si, path), or bs.open(path) for a saved fit")
    counts = np.ascontiguousarray(dataset["counts"].transpose(..., "energy").to_numpy())
    found = dict(dataset.attrs) | {
        name: dataset[name].to_numpy() for name in ("energy", "mask", "energy_mask") if name in names
    }
    unit = found.get("energy_unit", dataset["energy"].attrs.get("units"))
    if "pixel_size" not in found and {"y", "x"} <= set(names):
        found |= _pixel(dataset)
    found["counts"] = owned(counts)
    truth = groups.get("truth", xr.Dataset())
    return _image(
        path, found, {str(name): truth[name].to_numpy() for name in truth.data_vars}, (unit, energy_unit), stated
    )


def _pixel(dataset: xr.Dataset) -> dict[str, Any]:
    steps = [float(dataset[dim][1] - dataset[dim][0]) if dataset.sizes[dim] > 1 else 1.0 for dim in "yx"]
    unit = dataset["x"].attrs.get("units", "px")
    return {} if unit == "px" else {"pixel_size": steps, "pixel_unit": unit}


def _require(path: Path, found: Mapping[str, Any], do: str) -> None:
    missing = [name for name in ("counts", "energy") if name not in found]
    if missing:
        raise InputError(
            f"{path.name!r} holds {', '.join(sorted(found)) or 'nothing'}; no {' and no '.join(missing)}",
            "counts (y, x, energy) and energy (energy,)",
            do,
        )


def _image(
    path: Path, found: Mapping[str, Any], truth: Mapping[str, Any], units: tuple[Any, str | None], stated: Stated | None
) -> tuple[SpectrumImage, list[str]]:
    acquired = {name: found[name] for name in asdict(Acquisition()) if name in found}
    acquired = {name: str(value) if name == "technique" else float(value) for name, value in acquired.items()}
    fields = {name: found[name] for name in ("counts", "mask", "energy_mask") if name in found}
    fields |= {name: str(found[name]) for name in ("pixel_unit", "name") if name in found}
    if np.size(found.get("pixel_size", ())):
        fields["pixel_size"] = found["pixel_size"]
    energy, energy_unit, acquired["technique"], guesses = _energy(found, *units)
    made = countable(np.asarray(fields["counts"]), acquired["technique"], stated or Stated())
    guesses, acquired = guesses + ([made.note] if made.note else []), acquired | dict(made.acquired)
    fields["counts"] = made.counts
    if made.excluded is not None:
        fields["energy_mask"] = made.excluded | np.asarray(fields.get("energy_mask", False))
    known = {name: _as_given(value) for name, value in truth.items()}
    elements, unknown = known_elements(_elements(found.get("elements", "")))
    guesses = guesses + unknown_elements(unknown)
    image = SpectrumImage(
        **{"name": path.stem} | fields,
        energy=energy,
        energy_unit=energy_unit,
        elements=elements,
        acquisition=Acquisition(**acquired),
        truth=known or None,
    )
    return image, guesses


def _energy(found: Mapping[str, Any], unit: Any, asked: str | None) -> tuple[Any, str, str, list[str]]:
    technique = str(found.get("technique", ""))
    if unit is not None and technique and asked is None:
        return found["energy"], str(unit), technique, []
    axis = Axis("energy", "" if unit is None else str(unit), np.asarray(found["energy"], np.float64))
    if asked is None and not axis.unit and technique != "EELS" and axis.values.max() <= LONGEST_IN_KEV:
        asked = "keV"
    if asked is not None:
        axis = replace(axis, unit=checked_unit(asked))
    return calibrated(axis, technique, stated=asked is not None)


def _as_given(value: Any) -> Any:
    if value.ndim == 0:
        return value.item()
    return tuple(value.tolist()) if value.dtype.kind in "UO" else value


def _elements(found: Any) -> tuple[str, ...]:
    words = np.atleast_1d(np.asarray(found, dtype=str))
    return tuple(str(symbol) for word in words for symbol in word.split())
