"""A labelled array laid out as HyperSpy wants it."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr


def to_dictionary(array: xr.DataArray) -> tuple[str, dict[str, Any]]:
    """Lay a labelled array out as HyperSpy wants it.

    Parameters
    ----------
    array : xarray.DataArray
        Any dims. ``energy`` becomes the signal axis; without it, ``y`` and ``x`` do.

    Returns
    -------
    kind : str
        ``"Signal1D"``, ``"Signal2D"`` or ``"BaseSignal"``.
    contents : dict
        ``data``, ``axes`` and ``metadata``.
    """
    own = ("energy",) if "energy" in array.dims else ("y", "x") if {"y", "x"} <= set(array.dims) else ()
    laid = array.transpose(..., *own)
    axes = [_axis_dictionary(laid, str(dim), navigate=dim not in own) for dim in laid.dims]
    title = str(array.attrs.get("long_name", array.name or ""))
    metadata = {"General": {"title": title}, "Signal": {"quantity": str(array.attrs.get("units", ""))}}
    kind = ("BaseSignal", "Signal1D", "Signal2D")[len(own)]
    return kind, {"data": np.asarray(laid), "axes": axes, "metadata": metadata}


def _axis_dictionary(array: xr.DataArray, dim: str, *, navigate: bool) -> dict[str, Any]:
    axis: dict[str, Any] = {"name": dim, "size": array.sizes[dim], "navigate": navigate}
    coordinate = array.coords.get(dim)
    if coordinate is None or coordinate.dtype.kind not in "iuf":
        return axis
    axis["units"] = str(coordinate.attrs.get("units", ""))
    values = np.asarray(coordinate, np.float64)
    step = float(np.ptp(values)) / max(len(values) - 1, 1) or 1.0
    if np.allclose(values, values[0] + step * np.arange(len(values)), rtol=0, atol=1e-6 * step):
        return axis | {"offset": float(values[0]), "scale": step}
    if (np.diff(values) > 0).all():
        return {key: axis[key] for key in ("name", "units", "navigate")} | {"axis": values}
    return axis
