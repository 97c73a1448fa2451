"""What a result holds: the name, dims and unit of each variable, in one table that results are made by and held to.

A kind of result declares its table once. Its Dataset is made by the table (`Schema.dataset`), a file that is opened is
held to it (`Schema.refuse`), and the documentation prints it (`documented`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.results.dataset import Frame

STATISTICS = ("mean", "sd", "lower", "upper")
SELECTION = "selection_"
ATTRIBUTES: Mapping[str, str] = {
    "result": "kind of result",
    "name": "name of the sample or file",
    "method": "how the result was obtained",
    "status": "how the fit ended, a sentence",
    "converged": "1 where it ended as it should, else 0",
    "verdict": "what was found, in words",
    "data_checksum": "checksum of the counts that it is of, `si.checksum`; empty where there are none",
    "provenance": "seed, priors, settings and versions, as JSON",
}
"""Attributes of every result."""
INTERVAL: Mapping[str, str] = {
    "prob": "probability of the intervals",
    "interval": "kind of the intervals, such as `equal-tailed`",
}
"""Attributes of a result with intervals among its variables."""
IMAGE: Mapping[str, str] = {
    "energy_unit": "unit of the energies, keV or eV",
    "elements": "elements of the image, as JSON",
    "acquisition": "beam and detector, as JSON",
}
"""Attributes of a result with the summed spectrum of an image."""
ROUNDING = 1e-4
"""Share of its largest value by which a variable may lie outside its limits: what single precision adds up to."""
Values = npt.ArrayLike | xr.DataArray | tuple[npt.ArrayLike, Mapping[str, str]]


@dataclass(frozen=True)
class Variable:
    """One variable of a result.

    Parameters
    ----------
    dims : tuple of str
        Its dims, in order.
    about : str
        What it is.
    units : str
        Its unit, empty where it has none.
    needed : bool
        Whether every result of the kind holds it.
    dtype : numpy type or None
        What it is stored as; ``None`` for what it comes as.
    outside : float
        Its value in pixels and channels that are excluded.
    low, high : float
        Its limits.
    """

    dims: tuple[str, ...]
    about: str
    units: str = ""
    needed: bool = True
    dtype: type[np.generic] | None = None
    outside: float = np.nan
    low: float = -np.inf
    high: float = np.inf


def statistics(name: str, dims: tuple[str, ...], about: str, units: str = "", **more: Any) -> dict[str, Variable]:
    """Four variables, the mean, standard deviation and interval of one quantity.

    Parameters
    ----------
    name : str
        Beginning of their names.
    dims : tuple of str
        Their dims.
    about : str
        What the quantity is.
    units : str
        Its unit.
    **more
        Further arguments of `Variable`.

    Returns
    -------
    dict of str to Variable
        ``name_mean``, ``name_sd``, ``name_lower`` and ``name_upper``, float32.
    """
    words = {
        "mean": about,
        "sd": "its standard deviation",
        "lower": "lower end of its interval",
        "upper": "upper end",
    }
    lows = {"sd": 0.0}
    return {
        f"{name}_{s}": Variable(dims, words[s], units, dtype=np.float32, low=lows.get(s, -np.inf), **more)
        for s in STATISTICS
    }


@dataclass(frozen=True)
class Schema:
    """Variables, coordinates and attributes of a kind of result.

    Parameters
    ----------
    variables : mapping of str to Variable
        What it holds; a result may hold more. Scores of candidates, ``selection_...``, are in none of them.
    coords : tuple of str
        Coordinates that it needs.
    attributes : mapping of str to str
        Attributes that it needs beside those of every result, and what they are.
    """

    variables: Mapping[str, Variable] = field(default_factory=dict)
    coords: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    def extended(
        self,
        variables: Mapping[str, Variable],
        coords: tuple[str, ...] = (),
        attributes: Mapping[str, str] | None = None,
    ) -> Schema:
        """Return the table of a kind of result that holds more, or the same under other limits.

        Parameters
        ----------
        variables : mapping of str to Variable
            What it holds beside.
        coords : tuple of str
            Coordinates that it needs beside.
        attributes : mapping of str to str or None
            Attributes that it needs beside.

        Returns
        -------
        Schema
            The whole table.
        """
        return Schema(
            {**self.variables, **variables}, self.coords + coords, {**self.attributes, **dict(attributes or {})}
        )

    def dataset(self, values: Mapping[str, Values], frame: Frame, attrs: Mapping[str, Any]) -> xr.Dataset:
        """Label values.

        Parameters
        ----------
        values : mapping of str to array, or of str to (array, dict)
            Values by name, with attributes such as the unit where they differ from the table's. Where a variable has
            the dims (y, x) an array (pixel, ...) of the pixels that are not excluded will do; in the same way one of
            the channels that are not excluded for the dim energy. What is not in the table is an xarray.DataArray.
        frame : Frame
            Where pixels and channels lie.
        attrs : mapping
            Attributes.

        Returns
        -------
        xarray.Dataset
            Everything labelled.

        Raises
        ------
        InputError
            When a variable is not in the table, is missing, or has another shape.
        """
        labelled = {name: self._labelled(name, given, frame) for name, given in values.items()}
        try:
            data = xr.Dataset(labelled, coords=frame.coords, attrs=dict(attrs))
        except ValueError as error:
            raise InputError(f"shapes that do not fit: {error}", f"{self._shapes(values)}", "one size a dim") from error
        used = {dim for variable in data.data_vars.values() for dim in variable.dims}
        data = data.drop_vars([name for name, values in data.coords.items() if not used.issuperset(values.dims)])
        self.refuse(data, "the result", "all variables that schema.variables asks for")
        return data

    def _labelled(self, name: str, given: Values, frame: Frame) -> Any:
        if name not in self.variables:
            if isinstance(given, xr.DataArray):
                return given
            found = f"the variable {name!r}"
            raise InputError(
                found, f"one of {sorted(self.variables)}, or an xarray.DataArray", "xr.DataArray(values, dims)"
            )
        variable = self.variables[name]
        array, attrs = given if isinstance(given, tuple) else (given, {})
        placed = frame.placed(np.asarray(array), variable.dims, variable.outside)
        if placed.ndim != len(variable.dims):
            raise InputError(
                f"{name} of shape {np.shape(array)}", f"dims {variable.dims}", f"{name} with {len(variable.dims)} axes"
            )
        stored = placed if variable.dtype is None else placed.astype(variable.dtype, copy=False)
        units = {"units": variable.units} if variable.units else {}
        return variable.dims, stored, units | dict(attrs)

    def _shapes(self, values: Mapping[str, Values]) -> str:
        return ", ".join(f"{name} {self.variables[name].dims}" for name in values if name in self.variables)

    @property
    def _attributes(self) -> set[str]:
        return {*ATTRIBUTES, *self.attributes} - {"verdict", "data_checksum"}  # files of version 0.1 can lack them

    def problems(self, data: xr.Dataset) -> list[str]:
        """Say what is wrong with a Dataset.

        Parameters
        ----------
        data : xarray.Dataset
            What is said to be a result of this kind.

        Returns
        -------
        list of str
            One sentence a fault; empty where there is none.
        """
        found = [f"no variable {name}" for name, v in self.variables.items() if v.needed and name not in data]
        found += [f"no coordinate {name}" for name in self.coords if name not in data.coords]
        found += [f"no attribute {name}" for name in self._attributes if name not in data.attrs]
        for name, variable in self.variables.items():
            found += _fault(name, variable, data[name]) if name in data else []
        return found + _crossed(data)

    def refuse(self, data: xr.Dataset, what: str, do: str) -> None:
        """Refuse a Dataset that is no result of this kind.

        Parameters
        ----------
        data : xarray.Dataset
            What is said to be one.
        what : str
            Where it comes from.
        do : str
            What to type instead.

        Raises
        ------
        InputError
            When anything is missing or has other dims, another type, or values outside the limits.
        """
        found = self.problems(data)
        if found:
            more = f" and {len(found) - 3} more faults" if len(found) > 3 else ""
            raise InputError(f"{what} with {', '.join(found[:3])}{more}", "what docs/results.md lists", do)


def _fault(name: str, variable: Variable, values: xr.DataArray) -> list[str]:
    if values.dims != variable.dims:
        return [f"{name} of dims {values.dims} in place of {variable.dims}"]
    if values.dtype.kind not in "biuf" or np.isneginf(variable.low) and np.isposinf(variable.high) or not values.size:
        return []
    with np.errstate(invalid="ignore"):
        low, high = float(np.fmin.reduce(values.values, axis=None)), float(np.fmax.reduce(values.values, axis=None))
    slack = ROUNDING * max(abs(low), abs(high), 1e-300)
    if low < variable.low - slack or high > variable.high + slack:
        return [f"{name} from {low:.4g} to {high:.4g}, outside {variable.low:g} to {variable.high:g}"]
    return []


def _crossed(data: xr.Dataset) -> list[str]:
    """Intervals whose lower end lies above the upper one."""
    pairs = [(str(n), str(n).removesuffix("lower") + "upper") for n in data.data_vars if str(n).endswith("_lower")]
    return [
        f"{low} above {high}"
        for low, high in pairs
        if high in data and data[low].dims == data[high].dims and bool((data[low] > data[high]).any())
    ]


def documented(kinds: Iterable[tuple[str, str, Schema]]) -> str:
    """Print the tables of all kinds of results.

    Parameters
    ----------
    kinds : iterable of (str, str, Schema)
        Name of the class, what it is, and its table.

    Returns
    -------
    str
        Markdown.
    """
    parts = [_INTRODUCTION, _rows("Attributes of every result", ATTRIBUTES)]
    for name, about, schema in kinds:
        lines = [f"## {name}", "", about, "", "| variable | dims | unit | what it is |", "|---|---|---|---|"]
        lines += [
            f"| `{key}`{'' if v.needed else ' *'} | {', '.join(v.dims) or '–'} | {v.units or '–'} | {v.about} |"
            for key, v in schema.variables.items()
        ]
        lines += ["", "Coordinates: " + (", ".join(f"`{c}`" for c in schema.coords) or "those of its dims") + "."]
        if schema.attributes:
            own = "; ".join(f"`{key}`, {words}" for key, words in schema.attributes.items())
            lines += ["", f"Attributes beside those of every result: {own}."]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _rows(title: str, table: Mapping[str, str]) -> str:
    return "\n".join(
        [f"## {title}", "", "| attribute | what it is |", "|---|---|", *(f"| `{k}` | {v} |" for k, v in table.items())]
    )


_INTRODUCTION = """# What a result holds

A result is one labelled xarray Dataset, `result.data`. This page prints the tables in the code (`Unmixing.schema`) that
results are made by and that a file is held to when it is opened. A variable with * is there where the method gives it.
A result may hold more variables than its table has. `selection_...` (candidate,) are the scores of the numbers of
phases or components that were tried. In excluded pixels maps are NaN and labels -1; in excluded channels spectra of
components are 0.

`bs.Unmixing.from_draws` and `bs.Segmentation.from_draws` make such results from the draws of any method.

Coordinates: `y`, `x` in the unit of the pixels, `energy` in its unit, `line`, `window` by name, `phase`, `component` by
number, the largest first where the method orders them.

A file carries two attributes more: `format_version`, and `saved`, the date and time in UTC."""
