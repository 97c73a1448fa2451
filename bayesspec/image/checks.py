"""Checks of what makes up a spectrum image: counts, energies, masks, pixel size, elements, ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.image.counts import checked_counts, frozen
from bayesspec.image.sparse_counts import sparse_counts

UNITS = ("keV", "eV", "nm")
ELEMENTS = re.findall(
    "[A-Z][a-z]?",
    "HHeLiBeBCNOFNe"
    "NaMgAlSiPSClArKCaScTiVCrMnFeCoNiCuZnGaGeAsSeBrKr"
    "RbSrYZrNbMoTcRuRhPdAgCdInSnSbTeIXe"
    "CsBaLaCePrNdPmSmEuGdTbDyHoErTmYbLuHfTaWReOsIrPtAuHgTlPbBiPoAtRn"
    "FrRaAcThPaUNpPuAmCmBkCfEsFmMdNoLrRfDbSgBhHsMtDsRgCnNhFlMcLvTsOg",
)
"""Symbols of the elements."""
_AXIS_CODE = "bs.SpectrumImage(counts, energy=offset + scale * np.arange(counts.shape[-1]))"


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a spectrum image is made of.

    Parameters
    ----------
    fields : mapping
        The fields of `SpectrumImage`.

    Returns
    -------
    dict
        The fields that were checked, in the form in which the image keeps them.

    Raises
    ------
    InputError
        When one of them cannot be used.
    """
    sparse = sparse_counts(fields["counts"])
    counts = checked_counts(fields["counts"]) if sparse is None else sparse
    checked: dict[str, Any] = {
        "counts": counts,
        "energy": checked_energy(fields["energy"], counts.shape[2]),
        "energy_unit": checked_unit(fields["energy_unit"]),
        "pixel_size": checked_pixel_size(fields["pixel_size"]),
        "elements": checked_elements(fields["elements"]),
    }
    for name, shape in (("mask", counts.shape[:2]), ("energy_mask", counts.shape[2:])):
        if fields[name] is not None:
            checked[name] = checked_mask(name, fields[name], shape)
    return checked


def checked_unit(unit: str) -> str:
    """Return the unit of energy, or refuse it.

    Parameters
    ----------
    unit : str
        ``"keV"``, ``"eV"`` or ``"nm"``.

    Returns
    -------
    str
        The unit.

    Raises
    ------
    InputError
        When it is another one.
    """
    if not isinstance(unit, str) or unit not in UNITS:
        raise InputError(
            f"energy_unit={unit!r}",
            "'keV' (EDS), 'eV' (EELS) or 'nm' (wavelengths)",
            "bs.SpectrumImage(..., energy_unit='keV')",
        )
    return unit


def checked_energy(energy: npt.ArrayLike, channels: int) -> npt.NDArray[np.float64]:
    """Return the energies of the channels, or refuse them.

    Parameters
    ----------
    energy : array, shape (energy,)
        Energy of each channel.
    channels : int
        Number of channels of the counts.

    Returns
    -------
    array, shape (energy,), float64
        The energies; read-only.

    Raises
    ------
    InputError
        When the shape does not fit, or the energies are not numbers, not finite or do not increase.
    """
    axis = real_values("energy", energy, "one energy per channel, as numbers", _AXIS_CODE)
    if axis.shape != (channels,):
        raise InputError(
            f"an energy axis of shape {axis.shape} for counts of {channels} channels",
            f"one energy per channel, shape ({channels},)",
            _AXIS_CODE,
        )
    wrong = ~np.isfinite(axis)
    wrong[1:] |= ~(np.diff(axis) > 0)
    if wrong.any():
        where = int(np.argmax(wrong))
        before = "" if where == 0 else f" after {axis[where - 1]}"
        raise InputError(
            f"an energy axis that is not increasing: {axis[where]}{before} at channel {where}",
            "finite, strictly increasing energies",
            _AXIS_CODE,
        )
    return frozen(axis)


def real_values(name: str, values: Any, needed: str, do: str) -> npt.NDArray[np.float64]:
    """Return numbers, or refuse what is complex, masked, or no number.

    Parameters
    ----------
    name : str
        Name of the argument.
    values : array_like
        What the user gave.
    needed, do : str
        What is needed, and what to type.

    Returns
    -------
    array, same shape, float64
        The numbers.

    Raises
    ------
    InputError
        When they are no real numbers.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}={values!r}", needed, do) from error
    if array.dtype.kind not in "iuf" or np.ma.is_masked(values):
        kind = "masked" if np.ma.is_masked(values) else array.dtype
        raise InputError(f"{name} of {kind} values, shape {array.shape}", needed, do)
    return array.astype(np.float64)


def checked_mask(name: str, mask: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return a mask, or refuse it.

    Parameters
    ----------
    name : str
        What to call it in the error.
    mask : array, shape as given, bool
        ``True`` where excluded.
    shape : tuple of int
        The shape it must have.

    Returns
    -------
    array, same shape, bool
        The mask; read-only.

    Raises
    ------
    InputError
        When the shape does not fit or the dtype is not bool.
    """
    array = np.asarray(mask)
    if array.shape != shape or array.dtype != bool:
        raise InputError(
            f"{name} of shape {array.shape} and dtype {array.dtype}",
            f"a boolean array of shape {shape}, True where excluded",
            f"{name}=np.zeros({shape}, bool)",
        )
    return frozen(array)


def checked_pixel_size(size: Iterable[float] | None) -> tuple[float, float] | None:
    """Return the size of a pixel, or refuse it.

    Parameters
    ----------
    size : two floats or None
        Size along (y, x).

    Returns
    -------
    tuple of float or None
        The size.

    Raises
    ------
    InputError
        When there are not two positive, finite numbers.
    """
    if size is None:
        return None
    try:
        found = np.asarray(size)
    except ValueError:  # of different lengths
        found = np.zeros(0)
    if found.shape != (2,) or found.dtype.kind not in "uif" or not (np.isfinite(found) & (found > 0)).all():
        raise InputError(
            f"pixel_size={size!r}",
            "two positive sizes, along (y, x)",
            "bs.SpectrumImage(..., pixel_size=(2, 2))",
        )
    return float(found[0]), float(found[1])


def checked_elements(elements: Iterable[str]) -> tuple[str, ...]:
    """Return the symbols of elements, or refuse them.

    Parameters
    ----------
    elements : sequence of str
        Chemical symbols.

    Returns
    -------
    tuple of str
        The symbols.

    Raises
    ------
    InputError
        When it is a single string, or holds anything but symbols of elements.
    """
    if isinstance(elements, str):
        listed = re.findall("[A-Z][a-z]?", elements) or ["Fe", "O"]
        raise InputError(f"elements={elements!r}", "a list of chemical symbols", f"elements={listed}")
    try:
        symbols = tuple(elements)
    except TypeError:
        symbols = (cast(str, elements),)
    if not all(isinstance(symbol, str) for symbol in symbols):
        raise InputError(f"elements={elements!r}", "a list of chemical symbols", "elements=['Fe', 'O']")
    _, unknown = known_elements(symbols)
    if unknown:
        meant = [symbol.strip().capitalize() for symbol in unknown]
        do = f"elements={meant}" if not known_elements(meant)[1] else "elements=['Fe', 'O']"
        raise InputError(f"the element {unknown[0]!r}", "chemical symbols such as 'Fe' or 'O'", do)
    return tuple(dict.fromkeys(str(symbol) for symbol in symbols))


def known_elements(symbols: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part chemical symbols from others.

    Parameters
    ----------
    symbols : iterable of str
        Perhaps symbols.

    Returns
    -------
    known, unknown : tuple of str
        The symbols of elements, and the rest.
    """
    found = dict.fromkeys(symbols)
    return tuple(s for s in found if s in ELEMENTS), tuple(s for s in found if s not in ELEMENTS)


def pixel_range(name: str, ends: tuple[int, int] | None) -> slice:
    """Turn a range of pixels into a slice.

    Parameters
    ----------
    name : str
        The dimension, ``"y"`` or ``"x"``.
    ends : tuple of int or None
        First pixel, and the pixel after the last one; ``None`` for all.

    Returns
    -------
    slice
        The slice.

    Raises
    ------
    InputError
        When it is not two integers.
    """
    if ends is None:
        return slice(None)
    listed = isinstance(ends, Sequence) and not isinstance(ends, str)
    pair = list(ends) if listed or (isinstance(ends, np.ndarray) and ends.ndim == 1) else []
    if len(pair) != 2 or not all(isinstance(end, int | np.integer) and not isinstance(end, bool) for end in pair):
        raise InputError(
            f"crop({name}={ends!r})", "the first pixel and the one after the last", f"si.crop({name}=(0, 10))"
        )
    return slice(int(pair[0]), int(pair[1]))
