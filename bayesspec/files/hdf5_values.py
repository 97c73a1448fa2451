"""Values out of HDF5 files of manufacturers, who keep single numbers as arrays of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def single(held: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """One number or text.

    Parameters
    ----------
    held : mapping
        Datasets or attributes by name, or a structured array.
    name : str
        Which of them.
    default : object
        What to return where it is not there, or is empty.

    Returns
    -------
    float, int, str or None
        The value.
    """
    names = getattr(getattr(held, "dtype", None), "names", None)
    if (names is not None and name not in names) or (names is None and name not in held):
        return default
    values = np.ravel(held[name][()] if hasattr(held[name], "shape") else held[name])
    if not values.size:
        return default
    value = values[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else getattr(value, "item", lambda: value)()


def axis(
    name: str, size: int, scale: float, units: str, *, offset: float = 0.0, navigate: bool = True
) -> dict[str, Any]:
    """Describe an axis in the form of a reader of rosettasciio.

    Parameters
    ----------
    name : str
        Its name.
    size : int
        Number of values.
    scale, offset : float
        Step, and first value.
    units : str
        Unit, empty where it is not known.
    navigate : bool
        Whether it is one of pixels.

    Returns
    -------
    dict
        The axis.
    """
    return {"name": name, "size": size, "scale": scale, "offset": offset, "units": units, "navigate": navigate}


def eds(title: str, kind: str, acquired: Mapping[str, Any], elements: list[str]) -> dict[str, Any]:
    """Metadata of an EDS signal in HyperSpy's places.

    Parameters
    ----------
    title : str
        Name of the signal.
    kind : {"SEM", "TEM"}
        Kind of microscope.
    acquired : mapping
        ``beam_energy`` (keV), ``live_time`` and ``real_time`` (s), ``elevation_angle`` (degrees) and
        ``energy_resolution_MnKa`` (eV), each a number or ``None``.
    elements : list of str
        Chemical symbols.

    Returns
    -------
    dict
        Nested metadata.
    """
    known = {name: value for name, value in acquired.items() if value is not None}
    beam = {"beam_energy": known.pop("beam_energy")} if "beam_energy" in known else {}
    return {
        "General": {"title": title},
        "Signal": {"signal_type": f"EDS_{kind}"},
        "Acquisition_instrument": {kind: {**beam, "Detector": {"EDS": known}}},
        "Sample": {"elements": elements},
    }
