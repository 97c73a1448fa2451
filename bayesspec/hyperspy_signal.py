"""What a reader or HyperSpy hands over (data, axes, metadata), and the spectrum image in it.

Nothing here imports HyperSpy or rosettasciio: a signal is read through its attributes, a file through the
dictionaries of its reader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError

_UNDEFINED = {"", "none", "undefined", "<undefined>", "t.undefined"}
_ENERGY_UNITS = {"kev": "keV", "ev": "eV"}
_MICRO = str.maketrans({"\N{GREEK SMALL LETTER MU}": "\N{MICRO SIGN}"})


@dataclass(frozen=True)
class Axis:
    """One axis of a signal.

    Parameters
    ----------
    name, unit : str
        Empty where undefined.
    values : array, float64
        Coordinates in `unit`.
    navigate : bool or None
        Whether it is a navigation axis; ``None`` where the reader does not say.
    """

    name: str
    unit: str
    values: npt.NDArray[np.float64]
    navigate: bool | None = None

    @property
    def is_energy(self) -> bool:
        """Whether name or unit say that this is an energy axis."""
        return self.unit in _ENERGY_UNITS.values() or (not self.unit and "energy" in self.name.lower())

    @property
    def step(self) -> float | None:
        """Mean distance of the coordinates in `unit`, or None for an axis of one."""
        span = np.ptp(self.values)
        return float(span / (len(self.values) - 1)) if len(self.values) > 1 and span > 0 else None


@dataclass(frozen=True)
class Signal:
    """Data, axes and metadata, wherever they came from.

    Parameters
    ----------
    data : array_like
        Values, of any dtype; perhaps lazy.
    axes : tuple of Axis
        One for each dimension of the data, in its order.
    metadata : mapping
        HyperSpy's metadata as nested dictionaries.
    original : mapping
        The metadata under the names that the manufacturer gave.
    """

    data: Any
    axes: tuple[Axis, ...]
    metadata: Mapping[str, Any]
    original: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Title, empty where undefined."""
        return text(dig(self.metadata, "General.title"))

    @property
    def signal_type(self) -> str:
        """HyperSpy's signal type (``"EDS_TEM"``, ``"EELS"``...), empty where undefined."""
        return text(dig(self.metadata, "Signal.signal_type"))

    @property
    def technique(self) -> str:
        """``"EDS"``, ``"EELS"``, or empty where the signal type says neither."""
        return next((name for name in ("EDS", "EELS") if self.signal_type.upper().startswith(name)), "")

    @property
    def energy_dimension(self) -> int | None:
        """Dimension of the energy axis; None where this is no spectrum."""
        named = [i for i, axis in enumerate(self.axes) if axis.is_energy]
        if len(named) == 1:
            return named[0]
        own = [i for i, axis in enumerate(self.axes) if axis.navigate is False]
        if len(own) == 1 and (self.technique or not self.axes[own[0]].unit):
            return own[0]
        return None

    def describe(self) -> str:
        """One line: title, pixels, channels, signal type and dtype."""
        shape = [len(axis.values) for axis in self.axes]
        energy = self.energy_dimension
        channels = "no energy axis" if energy is None else f"{shape.pop(energy)} channels"
        pixels = " x ".join(str(n) for n in shape) or "1"
        dtype = getattr(self.data, "dtype", type(self.data).__name__)
        return f"{self.title!r}: {pixels} pixels, {channels}, {self.signal_type or 'no signal type'}, {dtype}"


def from_reader(found: Mapping[str, Any]) -> Signal:
    """Take over a dictionary of a reader of rosettasciio.

    Parameters
    ----------
    found : mapping
        With ``data``, ``axes``, ``metadata`` and perhaps ``original_metadata`` and ``mapping``.

    Returns
    -------
    Signal
        The same, in one form.
    """
    data = found["data"]
    given = list(found["axes"])
    axes = [
        axis for _, axis in sorted(enumerate(given), key=lambda pair: pair[1].get("index_in_array", pair[0]))
    ]
    original = found.get("original_metadata") or {}
    metadata = dict(found.get("metadata") or {})
    for key, value in _mapped(found.get("mapping") or {}, original).items():
        _put(metadata, key, value)
    return Signal(data, tuple(_read_axis(axis) for axis in axes), metadata, original)


def from_object(signal: Any) -> Signal:
    """Take over a HyperSpy signal.

    Parameters
    ----------
    signal : hyperspy.signals.BaseSignal
        Any signal, lazy ones too.

    Returns
    -------
    Signal
        The same, in one form.

    Raises
    ------
    InputError
        When it has no ``data``, ``axes_manager`` and ``metadata``.
    """
    missing = [name for name in ("data", "axes_manager", "metadata") if not hasattr(signal, name)]
    if missing:
        raise InputError(
            f"an object of type {type(signal).__name__} without .{' and .'.join(missing)}",
            "a HyperSpy signal",
            "bs.SpectrumImage(counts, energy=energy) for an array, bs.load(path) for a file",
        )
    manager = signal.axes_manager
    given = sorted((*manager.navigation_axes, *manager.signal_axes), key=lambda axis: axis.index_in_array)
    axes = tuple(
        Axis(text(axis.name), _unit(axis.units), np.asarray(axis.axis, np.float64), bool(axis.navigate))
        for axis in given
    )
    data = signal.data
    if not axes or np.ndim(data) > len(axes):  # HyperSpy keeps a single value as an array of length 1
        axes += (Axis("", "", np.zeros(1), True),) * (np.ndim(data) - len(axes))
    return Signal(data, axes, _nested(signal.metadata), _nested(getattr(signal, "original_metadata", {})))


def dig(tree: Any, path: str) -> Any:
    """Look a value up in nested dictionaries; other characters than letters and digits count as ``_``.

    Parameters
    ----------
    tree : mapping
        Nested dictionaries.
    path : str
        Keys, joined by dots.

    Returns
    -------
    object
        The value, or None where it is missing.
    """
    for wanted in path.split("."):
        if not isinstance(tree, Mapping):
            return None
        key = next((key for key in tree if key == wanted or _slug(key) == _slug(wanted)), None)
        if key is None:
            return None
        tree = tree[key]
    return tree


def text(value: Any) -> str:
    """Return a name or unit as text, empty where HyperSpy or a reader left it undefined.

    Parameters
    ----------
    value : object
        A string, None, or an undefined trait.

    Returns
    -------
    str
        The text.
    """
    return value.strip() if isinstance(value, str) and value.strip().lower() not in _UNDEFINED else ""


def _unit(value: Any) -> str:
    unit = text(value).translate(_MICRO)
    return _ENERGY_UNITS.get(unit.lower(), "\N{MICRO SIGN}m" if unit == "um" else unit)


def _slug(key: Any) -> str:
    return re.sub(r"[^0-9A-Za-z]", "_", str(key))


def _nested(tree: Any) -> Mapping[str, Any]:
    nested = tree.as_dictionary() if hasattr(tree, "as_dictionary") else tree
    return nested if isinstance(nested, Mapping) else {}


def _read_axis(axis: Mapping[str, Any]) -> Axis:
    if "expression" in axis:
        raise InputError(
            f"the axis {axis.get('name')!r} given by the formula {axis['expression']!r}",
            "axes given by their values or by scale and offset",
            "open it with HyperSpy, axis.convert_to_non_uniform_axis(), then bs.from_hyperspy(s)",
        )
    values = axis.get("axis")
    if values is None:
        values = float(axis.get("offset", 0)) + float(axis.get("scale", 1)) * np.arange(int(axis["size"]))
    navigate = axis.get("navigate")
    return Axis(
        text(axis.get("name")),
        _unit(axis.get("units")),
        np.asarray(values, np.float64),
        None if navigate is None else bool(navigate),
    )


def _mapped(mapping: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata that the reader leaves to be computed from the manufacturer's."""
    found = {}
    for path, targets in mapping.items():
        value = dig(original, path)
        if value is None or isinstance(value, Mapping):
            continue
        for target, convert in (
            targets if isinstance(targets, Sequence) and not callable(targets[-1]) else [targets]
        ):
            try:
                found[target] = convert(value) if callable(convert) else value
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                continue  # a field that the microscope left in another form: as good as missing
    return found


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        branch = tree.get(key)
        tree[key] = dict(branch) if isinstance(branch, Mapping) else {}
        tree = tree[key]
    tree[last] = value
