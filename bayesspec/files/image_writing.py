"""A spectrum image into one file of our own: .npz (NumPy) or .nc (netCDF-4, labelled)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage

_SUFFIXES = (".npz", ".nc")
_ARRAYS = ("counts", "energy", "mask", "energy_mask")
_LABELS = ("energy_unit", "pixel_size", "pixel_unit", "elements", "name")


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


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.suffix.lower() not in _SUFFIXES:
        raise InputError(
            f"the file name {target.name!r}",
            "an ending .npz or .nc",
            f'bs.save_image(si, "{target.stem}.nc")',
        )
    if not target.parent.is_dir():
        raise InputError(f"no folder {str(target.parent)!r}", "a folder that exists", f"mkdir -p {target.parent}")
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
    named_truth = {f"truth.{name}": value for name, value in truth.items()}
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
        labelled = {name: ([f"{name}_{i}" for i in range(value.ndim)], value) for name, value in truth.items()}
        xr.Dataset(labelled).to_netcdf(path, mode="a", group="truth", engine="h5netcdf")
