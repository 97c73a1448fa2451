"""A spectrum image as one file of our own: .npz (NumPy) or .nc (netCDF-4, labelled)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayesspec.acquisition import Acquisition
from bayesspec.errors import InputError
from bayesspec.spectrum_image import SpectrumImage

SUFFIXES = (".npz", ".nc")
_ARRAYS = ("counts", "energy", "mask", "energy_mask")
_LABELS = ("energy_unit", "pixel_size", "pixel_unit", "elements", "name")
_TRUTH = "truth."


def save_image(image: SpectrumImage, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Save a spectrum image with everything it knows; `load` opens it again.

    Parameters
    ----------
    image : SpectrumImage
        What to save. Its truth, if it has one, is saved as plain arrays.
    path : path
        File that ends in ``.npz`` or ``.nc``.
    overwrite : bool
        Whether to replace a file that exists.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        When the ending is neither, the folder is missing, the file exists, or the truth holds objects.
    """
    target = Path(path).expanduser()
    _check_target(target, overwrite=overwrite)
    truth = {name: _plain(name, value) for name, value in (image.truth or {}).items()}
    with _replacing(target) as part:
        if target.suffix.lower() == ".npz":
            _write_npz(image, truth, part)
        else:
            _write_nc(image, truth, part)
    return target


def read_npz(path: Path) -> SpectrumImage:
    """Read a spectrum image from a NumPy archive with ``counts`` and ``energy``.

    Parameters
    ----------
    path : pathlib.Path
        The file. Beside ``counts`` (y, x, energy) and ``energy`` (energy,) it may hold any field of
        `SpectrumImage` and of `Acquisition`, by name, and ``truth.<name>``.

    Returns
    -------
    SpectrumImage
        Counts, uint8, uint16 or uint32, and what else the file says.

    Raises
    ------
    InputError
        When counts or energy are missing.
    """
    with np.load(path, allow_pickle=False) as archive:
        found = {name: archive[name] for name in archive.files}
    _require(path, found, "np.savez(path, counts=counts, energy=energy)")
    found["counts"].flags.writeable = False  # ours alone: shared, not copied
    truth = {name.removeprefix(_TRUTH): found.pop(name) for name in list(found) if name.startswith(_TRUTH)}
    return _image(path, found, truth)


def read_nc(path: Path) -> SpectrumImage:
    """Read a spectrum image from a netCDF-4 file with a variable ``counts`` (y, x, energy).

    Parameters
    ----------
    path : pathlib.Path
        The file, as `save_image` or ``si.to_xarray().to_netcdf(path)`` write it.

    Returns
    -------
    SpectrumImage
        Counts, uint8, uint16 or uint32, and what else the file says.

    Raises
    ------
    InputError
        When it holds no counts with a coordinate ``energy``.
    """
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        names = {str(name): opened[name] for name in opened.variables}
        _require(path, names, "bs.save_image(si, path), or bs.open(path) for a saved fit")
        counts = opened["counts"].transpose(..., "energy").to_numpy()
        found = dict(opened.attrs) | {name: opened[name].to_numpy() for name in _ARRAYS[1:] if name in names}
        found.setdefault("energy_unit", opened["energy"].attrs.get("units", "keV"))
        if "pixel_size" not in found and {"y", "x"} <= set(names):
            found |= _pixel(opened)
    counts.flags.writeable = False
    return _image(path, found | {"counts": counts}, _read_truth(path))


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"the file name {target.name!r}",
            "an ending .npz or .nc",
            f'bs.save_image(si, "{target.stem}.nc")',
        )
    if not target.parent.is_dir():
        raise InputError(
            f"no folder {str(target.parent)!r}", "a folder that exists", f"mkdir -p {target.parent}"
        )
    if target.is_dir() or (target.exists() and not overwrite):
        raise InputError(
            f"{str(target)!r} exists already",
            "another name, or leave to replace it",
            "bs.save_image(si, path, overwrite=True)",
        )


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Write beside the target and move it there when complete: an interruption leaves no broken file."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _plain(name: str, value: Any) -> Any:
    array = np.asarray(value)
    if array.dtype.kind not in "biufU":
        raise InputError(
            f"truth[{name!r}] of type {type(value).__name__}",
            "a truth of arrays, numbers and text, to be saved",
            "bs.save_image(dataclasses.replace(si, truth=None), path)",
        )
    return array


def _labels(image: SpectrumImage) -> dict[str, Any]:
    labels = {name: getattr(image, name) for name in _LABELS} | asdict(image.acquisition)
    labels["elements"] = " ".join(image.elements)
    return {name: value for name, value in labels.items() if value is not None}


def _write_npz(image: SpectrumImage, truth: Mapping[str, Any], path: Path) -> None:
    arrays = {name: getattr(image, name) for name in _ARRAYS if getattr(image, name) is not None}
    named_truth = {f"{_TRUTH}{name}": value for name, value in truth.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays, **_labels(image), **named_truth)


def _write_nc(image: SpectrumImage, truth: Mapping[str, Any], path: Path) -> None:
    dataset = image.to_xarray().to_dataset().assign_attrs(_labels(image))
    for name, dims in (("mask", ("y", "x")), ("energy_mask", ("energy",))):
        if getattr(image, name) is not None:
            dataset[name] = (dims, getattr(image, name))
    packed = {"counts": {"zlib": True, "complevel": 4, "shuffle": True}}
    dataset.to_netcdf(path, engine="h5netcdf", encoding=packed)
    if truth:
        labelled = {
            name: ([f"{name}_{i}" for i in range(value.ndim)], value) for name, value in truth.items()
        }
        xr.Dataset(labelled).to_netcdf(path, mode="a", group="truth", engine="h5netcdf")


def _read_truth(path: Path) -> dict[str, Any]:
    try:
        with xr.open_dataset(path, engine="h5netcdf", group="truth") as opened:
            return {str(name): opened[name].to_numpy() for name in opened.data_vars}
    except OSError:  # no such group: a measured image
        return {}


def _pixel(opened: xr.Dataset) -> dict[str, Any]:
    steps = [float(opened[dim][1] - opened[dim][0]) if opened.sizes[dim] > 1 else 1.0 for dim in "yx"]
    unit = opened["x"].attrs.get("units", "px")
    return {} if unit == "px" else {"pixel_size": steps, "pixel_unit": unit}


def _require(path: Path, found: Mapping[str, Any], do: str) -> None:
    missing = [name for name in ("counts", "energy") if name not in found]
    if missing:
        raise InputError(
            f"{path.name!r} holds {', '.join(sorted(found)) or 'nothing'}; no {' and no '.join(missing)}",
            "counts (y, x, energy) and energy (energy,)",
            do,
        )


def _image(path: Path, found: Mapping[str, Any], truth: Mapping[str, Any]) -> SpectrumImage:
    fields = {name: found[name] for name in (*_ARRAYS, *_LABELS) if name in found}
    fields = {"name": path.stem} | fields | {"elements": _elements(found.get("elements", ""))}
    for name in ("energy_unit", "pixel_unit", "name"):
        if name in fields:
            fields[name] = str(fields[name])
    if np.size(fields.get("pixel_size", ())) == 0:
        fields.pop("pixel_size", None)
    acquired = {name: found[name] for name in asdict(Acquisition()) if name in found}
    acquired = {name: str(value) if name == "technique" else float(value) for name, value in acquired.items()}
    known = {name: _as_given(value) for name, value in truth.items()}
    return SpectrumImage(**fields, acquisition=Acquisition(**acquired), truth=known or None)


def _as_given(value: Any) -> Any:
    if value.ndim == 0:
        return value.item()
    return tuple(value.tolist()) if value.dtype.kind in "UO" else value


def _elements(found: Any) -> tuple[str, ...]:
    words = np.atleast_1d(np.asarray(found, dtype=str))
    return tuple(str(symbol) for word in words for symbol in word.split())
