"""What counts are: finite, non-negative integers, kept in the smallest unsigned dtype that holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError

LARGEST = 2**31 - 1


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
        Integers, or floats that hold integers. A sparse or lazy array is made dense block by block by its
        own ``__array__``.

    Returns
    -------
    array, same shape
        The counts as uint8, uint16 or uint32.

    Raises
    ------
    InputError
        When a value is negative, fractional, NaN, infinite or above 2**31 - 1, or when there are none.
    """
    array = np.asarray(values)
    if array.size == 0:
        raise InputError(
            f"an empty array of shape {array.shape}", "at least one count", "check the file and the crop"
        )
    if array.dtype == bool or array.dtype.kind not in "uif":
        raise InputError(
            f"values of dtype {array.dtype}",
            "counts: integers, or floats that hold integers",
            "bs.SpectrumImage(counts.astype(int), energy=energy)",
        )
    if array.dtype.kind == "f":
        _check_floats(array)
    lowest, largest = array.min(), array.max()
    if lowest < 0:
        _refuse(
            array,
            array < 0,
            "negative",
            "counts of 0 and more: not background-subtracted, not gain-corrected",
        )
    return array.astype(count_dtype(int(largest)), copy=False)


def _check_floats(array: npt.NDArray[Any]) -> None:
    if not np.isfinite(array).all():
        _refuse(array, ~np.isfinite(array), "not finite", "finite counts; exclude bad pixels with a mask")
    if (array != np.rint(array)).any():
        _refuse(
            array,
            array != np.rint(array),
            "fractional",
            "whole counts: not normalised, averaged or scaled data",
        )


def _refuse(array: npt.NDArray[Any], bad: npt.NDArray[np.bool_], kind: str, needed: str) -> None:
    where = np.unravel_index(int(np.argmax(bad)), array.shape)
    place = tuple(int(i) for i in where)
    raise InputError(
        f"{int(bad.sum())} {kind} value(s), the first {array[where]} at index {place}",
        needed,
        "load the raw counts as the detector wrote them",
    )
