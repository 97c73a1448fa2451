"""What a command prints: text for people, JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import click
import numpy as np
import xarray as xr

from bayesspec.results.estimate import PROB, Estimate
from bayesspec.results.table import Table

MOST_VALUES = 10_000
"""Values of an array up to which they are part of the JSON; of larger ones dims and shape are."""


def plain(value: Any) -> Any:
    """Bring a value to what JSON can hold; what is not finite becomes null.

    Parameters
    ----------
    value : object
        Numbers, text, arrays, tables, labelled data, and lists and mappings of them.

    Returns
    -------
    object
        The same in lists and mappings.
    """
    if isinstance(value, Estimate):
        return estimated(value)
    if isinstance(value, Table):
        return {name: plain(getattr(value, name)) for name in ("title", "columns", "rows", "note")}
    if isinstance(value, xr.Dataset):
        arrays = {str(name): _array(array) for name, array in value.variables.items()}
        return {"arrays": arrays, "attributes": plain(value.attrs)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value if value is None else str(value)


def estimated(estimate: Estimate) -> Any:
    """Values, standard deviations and intervals of an estimate.

    Parameters
    ----------
    estimate : Estimate
        Of one value, or one for each of some names.

    Returns
    -------
    dict
        ``mean``, ``sd``, ``lower``, ``upper`` and ``prob``; by name where there are several.
    """
    lower, upper = estimate.interval(PROB)
    parts = {"mean": estimate.mean, "sd": estimate.sd, "lower": lower, "upper": upper}
    if not estimate.mean.dims:
        return {name: plain(float(part)) for name, part in parts.items()} | {"prob": PROB}
    dim = estimate.mean.dims[0]
    return {str(name): estimated(estimate.sel(**{str(dim): name})) for name in estimate.mean[dim].values}


def _array(array: Any) -> Any:
    held = {"dims": list(array.dims), "shape": list(array.shape)}
    units = array.attrs.get("units")
    held |= {"units": units} if units else {}
    return held | ({"values": plain(array.values.tolist())} if array.size <= MOST_VALUES else {})


def say(facts: Any, text: str, *, as_json: bool) -> None:
    """Print an answer.

    Parameters
    ----------
    facts : object
        The answer for programs.
    text : str
        The same for people.
    as_json : bool
        Which of them to print.
    """
    click.echo(json.dumps(plain(facts), allow_nan=False, indent=1) if as_json else text)
