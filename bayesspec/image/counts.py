"""What counts are: finite, non-negative integers, kept in the smallest unsigned dtype that holds them."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError

LARGEST = 2**31 - 1
ALIGNMENT = 64
"""Bytes that the address of an array is a multiple of for JAX to take it without a copy."""
_own: weakref.WeakValueDictionary[int, npt.NDArray[Any]] = weakref.WeakValueDictionary()
"""Memory that nobody outside bayesspec holds, by its identity: read-only views of it can be shared."""
_BLOCK_VALUES = 2**22
_RAW = "load the raw counts as the detector wrote them"


def count_dtype(largest: int) -> np.dtype[Any]:
    """Smallest unsigned dtype that holds a count.

    Parameters
    ----------
    largest : int
        Largest count.

    Returns
    -------
    numpy.dtype
        uint8, uint16 or uint32.

    Raises
    ------
    InputError
        When the count exceeds 2**31 - 1.
    """
    if largest > LARGEST:
        raise InputError(
            f"a count of {largest}, above 2**31 - 1",
            "counts of a single channel in a single pixel below 2**31",
            "check the units: a scaled or summed signal is no longer counts",
        )
    return np.dtype(np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32)


def as_counts(values: Any) -> npt.NDArray[Any]:
    """Check that the values are counts, and store them compactly.

    Parameters
    ----------
    values : array_like
        Integers, or floats that hold integers. Lazy and sparse arrays are computed and made dense.

    Returns
    -------
    array, same shape
        The counts as uint8, uint16 or uint32: the same array where that is its dtype already, otherwise
        a new read-only one in C order.

    Raises
    ------
    InputError
        When a value is negative, fractional, NaN, infinite or above 2**31 - 1, when there are none, or when
        the array is masked.
    """
    array = _dense(values)
    if array.size == 0:
        raise InputError(f"an empty array of shape {array.shape}", "at least one count", "check the file and the crop")
    if array.dtype.kind not in "uif":
        raise InputError(
            f"values of dtype {array.dtype}",
            "counts: integers, or floats that hold integers",
            "bs.SpectrumImage(counts.astype(int), energy=energy)",
        )
    if array.dtype.kind == "f":
        _refuse(array, _not_finite, "not finite", "finite counts; exclude bad pixels with a mask", _RAW)
        _refuse(array, _fractional, "fractional", "whole counts: not normalised, averaged or scaled data", _RAW)
    if array.dtype.kind != "u" and array.min() < 0:
        needed = "counts of 0 and more: not background-subtracted, not gain-corrected"
        _refuse(array, _negative, "negative", needed, _RAW)
    largest = int(array.max())
    if largest > LARGEST:
        _refuse(array, _too_large, "too large", "counts below 2**31", "check the units: a sum is no count")
    return _narrowed(array, count_dtype(largest))


def checked_counts(counts: Any) -> npt.NDArray[Any]:
    """Return the counts of an image, or refuse them.

    Parameters
    ----------
    counts : array, shape (y, x, energy), (x, energy) or (energy,)
        Integers, or floats that hold integers.

    Returns
    -------
    array, shape (y, x, energy), uint8, uint16 or uint32
        The counts; read-only.

    Raises
    ------
    InputError
        When they are no counts or have another number of dimensions.
    """
    array = as_counts(in_order(counts, ("y", "x", "energy")))
    if array.ndim not in (1, 2, 3):
        raise InputError(
            f"counts of shape {array.shape}, {array.ndim} dimensions",
            "counts with dimensions (y, x, energy), (x, energy) or (energy,)",
            "bs.SpectrumImage(counts.reshape(ny, nx, n_channels), energy=energy)",
        )
    return frozen(array).reshape((1,) * (3 - array.ndim) + array.shape)


def in_order(values: Any, dims: tuple[str, ...]) -> Any:
    """Put the dimensions of a labelled array in order, by their names where they have them.

    Parameters
    ----------
    values : array_like
        With or without names of its dimensions.
    dims : tuple of str
        The order.

    Returns
    -------
    array_like
        All dimensions in the order, those that are missing with a length of 1; without such names the values as they
        are.

    Raises
    ------
    InputError
        When some dimensions have these names and others do not.
    """
    names = tuple(map(str, getattr(values, "dims", ())))
    if not set(names) & set(dims) or not hasattr(values, "expand_dims"):
        return values
    if not set(names) <= set(dims):
        raise InputError(
            f"dimensions {names}",
            f"dimensions of the names {dims}, or none of them",
            f"array.rename({{{names[0]!r}: {dims[0]!r}, ...}})",
        )
    return values.expand_dims([dim for dim in dims if dim not in names]).transpose(*dims)


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the array so that nobody can change it: itself where it is our own, otherwise a copy.

    An array of the caller's is copied even if it is read-only: what it is a view of may not be.

    Parameters
    ----------
    array : array, any shape and dtype
        What to protect.

    Returns
    -------
    array, same shape and dtype
        Read-only.
    """
    memory = _memory(array)
    if not array.flags.writeable and _own.get(id(memory)) is memory:
        return array
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return owned(copy)


def owned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Take over an array that nobody else holds, such as one that was just read from a file.

    Parameters
    ----------
    array : array, any shape and dtype
        The array.

    Returns
    -------
    array, same shape and dtype
        The same, read-only; `frozen` returns it and views of it as they are.
    """
    array.flags.writeable = False
    memory = _memory(array)
    _own[id(memory)] = memory
    return array


def frozen_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Make the arrays of an object read-only again after it was copied or sent to another process.

    Parameters
    ----------
    state : mapping
        Its fields, whose arrays nobody else holds.

    Returns
    -------
    dict
        The same.
    """
    return {name: owned(value) if type(value) is np.ndarray else value for name, value in state.items()}


def _memory(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array that an array is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Make an array where JAX can take it as it lies on a CPU, without copying it.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : numpy.dtype
        Its dtype.

    Returns
    -------
    array, shape `shape`, dtype `dtype`
        Uninitialised, in C order.
    """
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % ALIGNMENT
    return memory[first : first + size].view(dtype).reshape(shape)


def _dense(values: Any) -> npt.NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InputError(
            f"a masked array with {int(np.ma.count_masked(values))} masked values",
            "plain counts, and the excluded pixels as a mask",
            "bs.SpectrumImage(counts.data, energy=energy, mask=counts.mask.any(axis=2))",
        )
    if not isinstance(values, np.ndarray) and hasattr(values, "todense"):
        values = values.todense()
    return np.asarray(values)


def _narrowed(array: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if array.dtype == dtype:
        return array
    narrow = aligned(array.shape, dtype)
    narrow[...] = array
    return owned(narrow)


def _not_finite(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return ~np.isfinite(values)


def _fractional(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return values != np.rint(values)


def _negative(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return values < 0


def _too_large(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return values > LARGEST


def _refuse(
    array: npt.NDArray[Any],
    wrong: Callable[[npt.NDArray[Any]], npt.NDArray[np.bool_]],
    kind: str,
    needed: str,
    do: str,
) -> None:
    """Raise when any value is wrong; in blocks, so that no temporary is as large as the data."""
    rows = np.atleast_1d(array)
    step = max(1, _BLOCK_VALUES * len(rows) // rows.size)
    n_wrong = 0
    first: tuple[int, ...] = ()
    for start in range(0, len(rows), step):
        bad = wrong(rows[start : start + step])
        if not n_wrong and bad.any():
            place = np.unravel_index(int(np.argmax(bad)), bad.shape)
            first = (start + int(place[0]), *(int(i) for i in place[1:]))
        n_wrong += int(bad.sum())
    if n_wrong:
        plural = "value" if n_wrong == 1 else "values"
        raise InputError(
            f"{n_wrong} {kind} {plural}, the first {rows[first]} at index {first[: array.ndim]}", needed, do
        )
