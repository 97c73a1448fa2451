"""Open what was saved: a result of any kind, line maps, a plan, a calibration."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

from bayesspec import results
from bayesspec.errors import InputError
from bayesspec.files.netcdf import opened
from bayesspec.files.paths import existing_file
from bayesspec.files.saved import KIND, from_groups, saved_class
from bayesspec.results.result import Result


def open(path: str | Path) -> Any:  # noqa: A001
    """Open a result, or what else was saved: line maps, a plan, a calibration.

    Parameters
    ----------
    path : str or Path
        A file that ``save`` wrote.

    Returns
    -------
    Segmentation, Unmixing, LineMaps, or what else was saved
        The same.

    Raises
    ------
    InputError
        When the file does not exist, is damaged or was changed, holds no result, or not all that its kind of result
        holds.

    Examples
    --------
    >>> import bayesspec as bs
    >>> seg = bs.classical.kmeans(bs.simulate.iron_oxide_lines(300, (12, 12), seed=0), 2)
    >>> bs.open(seg.save("phases.nc")).n_phases
    2
    """
    file = existing_file(path, do="bs.open({path!r})")
    groups = opened(file, "bs.load(path) for an image")
    data = groups["/"]
    for written in ("format_version", "saved"):
        data.attrs.pop(written, None)
    if saved_class(str(data.attrs.get(KIND))) is not None:
        return from_groups(groups)
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
