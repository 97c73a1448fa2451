"""A spectrum image into one file of our own: .npz (NumPy) or .nc (netCDF-4, labelled)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.netcdf import sealed
from bayesspec.files.paths import new_file
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.files.writing import in_memory, write_file
from bayesspec.image.spectrum_image import SpectrumImage

_SUFFIXES = (".npz", ".nc")
_ARRAYS = ("counts", "energy", "mask", "energy_mask")
_LABELS = ("energy_unit", "pixel_size", "pixel_unit", "elements", "name")


@checked_arguments()
def save_image(image: SpectrumImage, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Save a spectrum image with everything it knows; `load` opens it again.

    Parameters
    ----------
    image : SpectrumImage
        What to save. Its truth, if it has one, is saved as plain arrays.
    path : str or path
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
        When the ending is neither, the folder is missing, the file exists or cannot be written, or the truth holds
        objects.
    """
    target = new_file(path, overwrite=overwrite, endings=_SUFFIXES, do="bs.save_image(si, {path!r})")
    truth = {name: _plain(name, value) for name, value in (image.truth or {}).items()}
    contents = _npz(image, truth) if target.suffix.lower() == ".npz" else _nc(image, truth)
    return write_file(target, contents, overwrite=overwrite)


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


def _npz(image: SpectrumImage, truth: Mapping[str, Any]) -> memoryview:
    arrays = {name: getattr(image, name) for name in _ARRAYS if getattr(image, name) is not None}
    arrays |= _labels(image) | {f"truth.{name}": value for name, value in truth.items()}
    return in_memory(lambda stream: np.savez_compressed(stream, allow_pickle=False, **arrays))


def _nc(image: SpectrumImage, truth: Mapping[str, Any]) -> bytes:
    dataset = image.to_xarray().to_dataset().assign_attrs(_labels(image))
    for name, dims in (("mask", ("y", "x")), ("energy_mask", ("energy",))):
        if getattr(image, name) is not None:
            dataset[name] = (dims, getattr(image, name))
    groups = {"/": dataset}
    if truth:
        labelled = {name: ([f"{name}_{i}" for i in range(value.ndim)], value) for name, value in truth.items()}
        groups["truth"] = xr.Dataset(labelled)
    return sealed(groups)
