"""What a reader or HyperSpy hands over (data, axes, metadata), and the spectrum image in it.

Nothing here imports HyperSpy or rosettasciio: a signal is read through its attributes, a file through the
dictionaries of its reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.nested_metadata import dig, mapped, nested, put, text
from bayesspec.image.counts import owned

_ENERGY_UNITS = {"kev": "keV", "ev": "eV"}
WAVELENGTH_UNIT = "nm"
"""Unit of an axis of wavelengths."""
LUMINESCENCE = "CL"
"""Technique of spectra of light."""
_TECHNIQUES = {"EDS": "EDS", "EELS": "EELS", "CL": LUMINESCENCE, "LUM": LUMINESCENCE, "PL": LUMINESCENCE}
"""Techniques by the beginning of HyperSpy's signal types."""
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
        wavelengths = self.unit == WAVELENGTH_UNIT and "wavelength" in self.name.lower()
        return self.unit in _ENERGY_UNITS.values() or (not self.unit and "energy" in self.name.lower()) or wavelengths

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
    notes : tuple of str
        What was done to the data since.
    """

    data: Any
    axes: tuple[Axis, ...]
    metadata: Mapping[str, Any]
    original: Mapping[str, Any]
    notes: tuple[str, ...] = ()

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
        """``"EDS"``, ``"EELS"``, ``"CL"``, or empty where the signal type says none of them."""
        stated = self.signal_type.upper()
        return next((name for start, name in _TECHNIQUES.items() if stated.startswith(start)), "")

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

    @property
    def rank(self) -> tuple[bool, int]:
        """How much this looks like the spectrum image of a file: whether it says so, and its pixel axes."""
        stated = bool(self.technique) or any(axis.is_energy for axis in self.axes)
        return stated, sum(len(axis.values) > 1 for axis in self.axes)

    def describe(self) -> str:
        """One line: title, pixels, channels and their energies, sum, signal type and dtype."""
        shape = [len(axis.values) for axis in self.axes]
        energy = self.energy_dimension
        channels = "no energy axis"
        if energy is not None:
            axis = self.axes[energy]
            ends = f"{axis.values[0]:.4g} to {axis.values[-1]:.4g}"
            channels = f"{shape.pop(energy)} channels {ends} {axis.unit or '(no unit)'}, {self._sum()}"
        pixels = " x ".join(str(n) for n in shape) or "1"
        dtype = getattr(self.data, "dtype", type(self.data).__name__)
        return f"{self.title!r}: {pixels} pixels, {channels}, {self.signal_type or 'no signal type'}, {dtype}"

    def _sum(self) -> str:
        """Sum of the values in words."""
        if np.dtype(getattr(self.data, "dtype", object)).kind not in "uif":
            return "no counts"
        total = float(self.data.sum(dtype=np.float64))
        return f"{total:,.0f} counts" if np.isfinite(total) else "values that are not finite"


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
    if isinstance(data, np.ndarray):
        data = owned(data)
    given = list(found["axes"])
    axes = _ordered(given, np.shape(data))
    original = found.get("original_metadata") or {}
    metadata = dict(found.get("metadata") or {})
    for key, value in mapped(found.get("mapping") or {}, original).items():
        put(metadata, key, value)
    return Signal(data, tuple(_read_axis(axis) for axis in axes), metadata, original)


def _ordered(given: Sequence[Mapping[str, Any]], shape: tuple[int, ...]) -> list[Mapping[str, Any]]:
    """Axes in the order of the data: by their index, unless sizes or names say that the index is wrong."""
    by_index = [axis for _, axis in sorted(enumerate(given), key=lambda pair: pair[1].get("index_in_array", pair[0]))]
    fitting = [axes for axes in (by_index, list(given)) if [_size(axis) for axis in axes] == list(shape)]
    if not fitting:
        sizes = ", ".join(f"{axis.get('name') or 'unnamed'} ({_size(axis)})" for axis in given)
        raise InputError(
            f"axes {sizes} for data of shape {shape}", "axes that fit the data", "the file as the instrument saved it"
        )
    names = [text(axis.get("name")).lower() for axis in fitting[0]]
    exchanged = "x" in names and "y" in names and names.index("x") < names.index("y")
    return fitting[-1] if exchanged else fitting[0]


def _size(axis: Mapping[str, Any]) -> int:
    values = axis.get("axis")
    return int(axis["size"]) if values is None else len(values)


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
    axes += (Axis("", "", np.zeros(1), navigate=True),) * (np.ndim(signal.data) - len(axes))  # of single values
    return Signal(signal.data, axes, nested(signal.metadata), nested(getattr(signal, "original_metadata", {})))


def loaded(data: Any) -> Any:
    """Bring lazy values into memory, as what they are: an array, or a sparse one.

    Parameters
    ----------
    data : array_like
        Perhaps lazy, perhaps sparse.

    Returns
    -------
    array_like, same shape and dtype
        The values.
    """
    return data.compute() if hasattr(data, "compute") else data


def computed(data: Any) -> npt.NDArray[Any]:
    """Bring values into memory.

    Parameters
    ----------
    data : array_like
        Perhaps lazy or sparse.

    Returns
    -------
    array, same shape and dtype
        The values.
    """
    data = loaded(data)
    dense = data.todense() if hasattr(data, "todense") and not isinstance(data, np.ndarray) else data
    return dense if isinstance(dense, np.ndarray) else np.asarray(dense)


def _unit(value: Any) -> str:
    unit = text(value).translate(_MICRO)
    return _ENERGY_UNITS.get(unit.lower(), "\N{MICRO SIGN}m" if unit == "um" else unit)


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
