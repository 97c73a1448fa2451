"""Every object that a user holds can be saved whole: its fields, however nested, in one netCDF file."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.netcdf import FORMAT_VERSION, sealed
from bayesspec.files.paths import new_file
from bayesspec.files.writing import write_file
from bayesspec.image.acquisition import Acquisition
from bayesspec.image.spectrum_image import SpectrumImage

KIND = "object"
"""Attribute that names the class of what a file holds."""
_FIELDS = "fields"
_ARRAYS = "arrays"
_NO_JSON = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class SavedPart:
    """What can be a field of what is saved: a dataclass, or an object of one Dataset called ``data``."""

    kinds_saved: ClassVar[dict[str, type[Any]]] = {
        "Acquisition": Acquisition,
        "SpectrumImage": SpectrumImage,
    }

    def __init_subclass__(cls, **other: Any) -> None:
        super().__init_subclass__(**other)
        SavedPart.kinds_saved[cls.__name__] = cls


class Saved(SavedPart):
    """A dataclass that can be saved, and opened by `bs.open`."""

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write everything to a netCDF file, which is complete or not there: an earlier one stays until then.

        Parameters
        ----------
        path : str or Path
            File to write, ``"maps.nc"``; `bs.open` opens it.
        overwrite : bool
            Whether a file that exists may be replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            When the file exists and `overwrite` is false, or cannot be written.
        """
        target = new_file(path, overwrite=overwrite, do="x.save({path!r})")
        return write_file(target, sealed(to_groups(self)), overwrite=overwrite)


def to_groups(value: Any) -> dict[str, xr.Dataset]:
    """Lay an object out as groups of a netCDF file.

    Parameters
    ----------
    value : Saved
        The object.

    Returns
    -------
    dict of str to xarray.Dataset
        Its arrays and labelled data by group; the attributes of the outermost hold the rest.

    Raises
    ------
    InputError
        When a field holds what no file can.
    """
    packing = _Packing()
    tree = packing.packed(value, "")
    attrs = {KIND: type(value).__name__, _FIELDS: json.dumps(tree, allow_nan=False), "format_version": FORMAT_VERSION}
    groups = {"/": xr.Dataset(attrs=attrs)}
    if packing.arrays:
        groups[_ARRAYS] = xr.Dataset(packing.arrays)
    return groups | packing.groups


def from_groups(groups: Mapping[str, xr.Dataset]) -> Any:
    """Make an object out of the groups of a file.

    Parameters
    ----------
    groups : mapping of str to xarray.Dataset
        As `to_groups` returns them.

    Returns
    -------
    object
        The object.

    Raises
    ------
    InputError
        When they do not hold what the object consists of.
    """
    try:
        return _unpacked(json.loads(groups["/"].attrs[_FIELDS]), groups)
    except InputError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"a file of a {groups['/'].attrs.get(KIND)} without all that it consists of ({error})",
            "the file as it was saved",
            "x.save('x.nc'), and bs.open('x.nc')",
        ) from error


def saved_class(name: str) -> type[Any] | None:
    """Find a class by its name.

    Parameters
    ----------
    name : str
        Name of the class.

    Returns
    -------
    type or None
        The class; None where none of that name can be saved.
    """
    if name not in SavedPart.kinds_saved:
        import_everything()
    return SavedPart.kinds_saved.get(name)


def import_everything() -> None:
    """Import all public names: classes are known by their names once they are imported."""
    package = importlib.import_module("bayesspec")
    for name in package.__all__:
        getattr(package, name)


@dataclass
class _Packing:
    """What was laid out so far."""

    arrays: dict[str, tuple[tuple[str, ...], Any]] = field(default_factory=dict)
    groups: dict[str, xr.Dataset] = field(default_factory=dict)

    def packed(self, value: Any, name: str) -> Any:
        """Lay a value out: what JSON can hold as it is, the rest as a mapping with one key that says what it is."""
        if value is None or isinstance(value, bool | int | str) and type(value) in (bool, int, str):
            return value
        if isinstance(value, float | np.floating | np.integer | np.bool_):
            return self._scalar(value)
        if isinstance(value, np.ndarray):
            return self._array(value, name)
        if isinstance(value, xr.DataArray):
            return {"labelled": self._group(value.rename("values").to_dataset(), name), "name": _text(value.name)}
        if isinstance(value, xr.Dataset):
            return {"dataset": self._group(value, name)}
        if isinstance(value, list | tuple):
            items = [self.packed(item, f"{name}_{i}") for i, item in enumerate(value)]
            return {"tuple": items} if isinstance(value, tuple) else items
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {"mapping": {key: self.packed(item, f"{name}_{_slug(key)}") for key, item in value.items()}}
        if type(value).__name__ in SavedPart.kinds_saved:
            names = [f.name for f in fields(value)] if is_dataclass(value) else ["data"]
            parts = {part: self.packed(getattr(value, part), f"{name}_{part}".strip("_")) for part in names}
            return {"object": type(value).__name__, _FIELDS: parts}
        raise _unsaved(name, f"type {type(value).__name__}")

    @staticmethod
    def _scalar(value: Any) -> Any:
        number = value.item() if isinstance(value, np.generic) else value
        return number if math.isfinite(number) else {"number": str(number)}

    def _array(self, value: np.ndarray, name: str) -> Any:
        if value.dtype.kind not in "biufU":
            raise _unsaved(name, f"dtype {value.dtype}")
        if value.size == 0:
            return {"empty": list(value.shape), "dtype": value.dtype.str}
        name = self._free(name, self.arrays)
        self.arrays[name] = tuple(f"{name}_{i}" for i in range(value.ndim)), value
        return {"array": name}

    def _group(self, dataset: xr.Dataset, name: str) -> str:
        name = self._free(name, self.groups)
        self.groups[name] = dataset
        return name

    @staticmethod
    def _free(name: str, taken: Mapping[str, Any]) -> str:
        name = name or "values"
        while name in taken or name == _ARRAYS:
            name += "_"
        return name


def _unpacked(tree: Any, groups: Mapping[str, xr.Dataset]) -> Any:
    if isinstance(tree, list):
        return [_unpacked(item, groups) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "number" in tree:
        return _NO_JSON[tree["number"]]
    if "array" in tree:
        return np.array(groups[_ARRAYS][tree["array"]].values)
    if "empty" in tree:
        return np.zeros(tree["empty"], tree["dtype"])
    if "labelled" in tree:
        return groups[tree["labelled"]]["values"].rename(tree["name"])
    if "dataset" in tree:
        return groups[tree["dataset"]]
    if "tuple" in tree:
        return tuple(_unpacked(item, groups) for item in tree["tuple"])
    if "mapping" in tree:
        return {key: _unpacked(item, groups) for key, item in tree["mapping"].items()}
    kind = saved_class(tree["object"])
    if kind is None:
        raise LookupError(f"{tree['object']} is not known")
    return kind(**{name: _unpacked(item, groups) for name, item in tree[_FIELDS].items()})


def _unsaved(name: str, what: str) -> InputError:
    return InputError(f"{name or 'an object'} of {what}", "arrays, numbers and text, to be saved", "pickle.dumps(x)")


def _slug(key: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in key)


def _text(name: Any) -> str | None:
    return None if name is None else str(name)
