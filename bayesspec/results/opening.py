"""Open a result that was saved, of whatever kind."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import xarray as xr

from bayesspec import results
from bayesspec.errors import InputError
from bayesspec.results.result import Result


def open(path: str | Path) -> Result:  # noqa: A001
    """Open a result that was saved.

    Parameters
    ----------
    path : str or Path
        A file that ``save`` wrote.

    Returns
    -------
    Result
        Of the class that saved it.

    Raises
    ------
    InputError
        When the file does not exist, holds no result, or not all that its kind of result holds.
    """
    if not Path(path).is_file():
        raise InputError(f"no file at {path}", "a file that seg.save or fit.save wrote", "bs.open('fit.nc')")
    try:
        data = xr.load_dataset(path, engine="h5netcdf")
    except OSError as error:
        raise InputError(f"{path} is not netCDF ({error})", "a saved result", "bs.load(path) for an image") from error
    kind, kinds = data.attrs.get("result"), known_kinds()
    if kind not in kinds:
        raise InputError(f"{path} holds no result (result={kind!r})", "a saved result", "bs.load(path) for an image")
    found = kinds[kind]
    found.schema.refuse(data, f"{path}, a {kind},", "the file as it was saved: copy it again")
    return found(data)


def known_kinds() -> dict[str, type[Result]]:
    """Classes of results by the names that stand in their files, those of this room and those a caller has defined."""
    for module in pkgutil.iter_modules(results.__path__):
        importlib.import_module(f"{results.__name__}.{module.name}")
    return Result.kinds
