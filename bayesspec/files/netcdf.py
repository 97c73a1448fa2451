"""Labelled data to and from netCDF-4: written in memory, sealed with a checksum that `opened` compares."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.paths import named_os_errors, refuse_swollen

FORMAT_VERSION = 1
"""Version of what is written, in the attribute ``format_version``: one more when older programs could misread it."""
_PACKED = 1000
"""Number of values from which on a variable is packed."""
_MAGIC = b"\x89HDF\r\n\x1a\n"
_BLOCK_BYTES = 2**20
"""Bytes that are read at a time for the checksum."""
_SEAL = "\nbayesspec sha256 {}\n"
_SEALED = re.compile(rb"\nbayesspec sha256 ([0-9a-f]{64})\n")
_SEAL_BYTES = len(_SEAL.format("0" * 64))


def sealed(groups: Mapping[str, xr.Dataset]) -> bytes:
    """Write labelled data as netCDF-4 with a checksum behind it, which readers of netCDF pass over.

    Parameters
    ----------
    groups : mapping of str to xarray.Dataset
        What to write, by name of the group; ``"/"`` is the outermost.

    Returns
    -------
    bytes
        The file.
    """
    tree = xr.DataTree.from_dict(dict(groups))
    encoding = {
        path: {name: {"zlib": True, "shuffle": True} for name, v in group.data_vars.items() if _packable(v)}
        for path, group in groups.items()
    }
    encoding = {path if path == "/" else f"/{path}": packed for path, packed in encoding.items()}
    contents = tree.to_netcdf(engine="h5netcdf", encoding=encoding)
    return b"".join([contents, _SEAL.format(hashlib.sha256(contents).hexdigest()).encode()])


def opened(file: Path, do: str) -> dict[str, xr.Dataset]:
    """Read labelled data into memory.

    Parameters
    ----------
    file : pathlib.Path
        A netCDF-4 file, sealed or not.
    do : str
        What to type in place of a file of another format.

    Returns
    -------
    dict of str to xarray.Dataset
        What it holds, by name of the group; ``"/"`` is the outermost.

    Raises
    ------
    InputError
        When it cannot be read, is no netCDF-4, is of a later format, or does not agree with its checksum.
    """
    again = "the file as it was saved: copy it again"
    with named_os_errors(f"{str(file)!r} cannot be read", "a file that you may read", "check the path"):
        _check_seal(file, again, do)
    try:
        with xr.open_datatree(file, engine="h5netcdf") as tree:
            refuse_swollen(file, tree.nbytes)
            groups = {path: node.to_dataset(inherit=False).load() for path, node in tree.subtree_with_keys}
    except InputError:
        raise
    except Exception as error:  # HDF5, h5netcdf and xarray raise errors of many types on damaged files
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{str(file)!r} is damaged or not netCDF-4 ({reason})", again, do) from error
    found = {"/" if path == "." else path: group for path, group in groups.items()}
    _check_version(file, found["/"].attrs.get("format_version", 0))
    return found


def _check_seal(file: Path, again: str, do: str) -> None:
    with file.open("rb") as stream:
        if stream.read(8) != _MAGIC:
            raise InputError(f"{str(file)!r} is not netCDF-4", "a netCDF-4 file", do)
        length = file.stat().st_size - _SEAL_BYTES
        stream.seek(max(length, 0))
        seal = _SEALED.fullmatch(stream.read())
        if seal is None:
            return
        stream.seek(0)
        digest = hashlib.sha256()
        while length > 0 and (block := stream.read(min(length, _BLOCK_BYTES))):
            digest.update(block)
            length -= len(block)
    if digest.hexdigest() != seal[1].decode():
        raise InputError(f"{str(file)!r}, which was changed after it was saved", again, do)


def _packable(variable: xr.DataArray) -> bool:
    return variable.size > _PACKED and variable.dtype.kind in "biuf"


def _check_version(file: Path, version: Any) -> None:
    try:
        known = int(version) <= FORMAT_VERSION
    except (TypeError, ValueError):
        known = False
    if not known:
        raise InputError(
            f"{str(file)!r} of format version {version!r}",
            f"a file of format version {FORMAT_VERSION} or before",
            "pip install --upgrade bayesspec",
        )
