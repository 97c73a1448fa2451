"""What counts are, and the counts that are in use as one object: their matrix, where it lies, and its blocks.

Counts are finite, non-negative integers, kept in the smallest unsigned dtype that holds them.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.image.forked_process import refuse_forked_process

if TYPE_CHECKING:
    import jax

LARGEST = 2**31 - 1
"""Largest count that is accepted: it fits a signed integer of 32 bits."""
ALIGNMENT = 64
"""Bytes that the address of an array is a multiple of for JAX to take it without a copy."""
LARGEST_IN_USE = 2**24
"""Largest count up to which single precision, in which the counts are worked on, holds all integers."""
BLOCK_ENTRIES = 2**18
"""Entries of a block: one float32 copy of it fits a core's cache."""
PART_ENTRIES = 2**24
"""Entries of the counts that are copied at a time."""
_own: weakref.WeakValueDictionary[int, npt.NDArray[Any]] = weakref.WeakValueDictionary()
"""Memory that nobody outside bayesspec holds, by its identity: read-only views of it can be shared."""
_BLOCK_VALUES = 2**22
"""Values that are checked at a time: memory."""
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


# The counts in use: one object that is made once and handed to every fit


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of the pixels and channels in use, and where these are; whatever is made of them is made once.

    Parameters
    ----------
    matrix : numpy.ndarray (pixel, channel), uint8, uint16 or uint32
        Counts.
    valid : numpy.ndarray (y, x), bool
        Pixels in use, in the order of the rows.
    channels : numpy.ndarray (energy,), bool
        Channels in use, in the order of the columns.
    """

    matrix: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    channels: npt.NDArray[np.bool_]

    @staticmethod
    def of(values: npt.ArrayLike | Counts) -> Counts:
        """Return counts that can be fitted, or refuse them.

        Parameters
        ----------
        values : Counts, or array (pixel, channel), integer
            Counts; of an array all pixels, in one column, and all channels are in use.

        Returns
        -------
        Counts
            The same object where it is one.

        Raises
        ------
        InputError
            When an array is not a non-empty matrix of non-negative integers, when there is no count, when one of them
            exceeds 2**24, or the process was forked from one that used JAX.
        """
        refuse_forked_process()
        counts = values if isinstance(values, Counts) else Counts.in_one_column(as_counts(values))
        matrix = counts.matrix
        if matrix.ndim != 2 or not counts.largest:
            raise InputError(
                f"counts of shape {matrix.shape} that add to {matrix.sum(dtype=np.int64)}",
                "counts of shape (pixel, channel) with at least one count",
                "counts.reshape(-1, counts.shape[-1]); check the mask and the energy range",
            )
        if counts.largest > LARGEST_IN_USE:
            pixel, channel = np.unravel_index(int(matrix.argmax()), matrix.shape)
            raise InputError(
                f"a count of {matrix[pixel, channel]} in pixel {pixel}, channel {channel}",
                f"counts up to {LARGEST_IN_USE} (2**24) in a channel of a pixel: there is no noise to learn from above",
                "si.with_mask(...) for a saturated pixel or channel; "
                "check the units: a scaled signal is no longer counts",
            )
        return counts

    @staticmethod
    def in_one_column(matrix: npt.NDArray[Any]) -> Counts:
        """Counts (pixel, channel), unsigned integer, of which is not known where in an image they are."""
        return Counts(matrix, np.ones((*matrix.shape[:1], 1), bool), np.ones(matrix.shape[-1:], bool))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pixels and of channels in use."""
        pixels, channels = self.matrix.shape
        return pixels, channels

    @property
    def holding(self) -> tuple[int, int]:
        """Number of pixels and of channels in use that hold counts."""
        return int(self.matrix.any(axis=1).sum()), int(self.matrix.any(axis=0).sum())

    @property
    def filled(self) -> int:
        """Number of pixels with the empty ones that fill the last block: what programs are compiled for."""
        rows = block_rows(*self.shape)
        return -(-len(self.matrix) // rows) * rows

    @cached_property
    def largest(self) -> int:
        """Largest count."""
        return int(self.matrix.max(initial=0))

    @cached_property
    def blocks(self) -> CountBlocks:
        """The counts in blocks, kept as long as this object is."""
        return cut(self.matrix)

    def other(self, matrix: npt.NDArray[Any]) -> Counts:
        """Other counts of the same pixels and channels: (pixel, channel), unsigned integer."""
        return replace(self, matrix=matrix)

    def without(self, pixels: npt.NDArray[np.bool_], channels: npt.NDArray[np.bool_]) -> Counts:
        """Leave out more pixels and channels.

        Parameters
        ----------
        pixels : numpy.ndarray (y, x), bool
            ``True`` where a pixel is left out.
        channels : numpy.ndarray (energy,), bool
            ``True`` where a channel is left out.

        Returns
        -------
        Counts
            The others; the same object where nothing is left out.
        """
        rows, columns = ~pixels[self.valid], ~channels[self.channels]
        if rows.all() and columns.all():
            return self
        return Counts(self.matrix[rows][:, columns], self.valid & ~pixels, self.channels & ~channels)


@dataclass(frozen=True)
class CountBlocks:
    """Counts cut into blocks of pixels; the last block is filled with empty pixels.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), uint8, uint16 or uint32
        Counts.
    pixels : int
        Number of pixels without the filling.
    """

    counts: jax.Array
    pixels: int

    def split(self, values: npt.ArrayLike) -> jax.Array:
        """Cut values of the pixels into the same blocks.

        Parameters
        ----------
        values : array (pixel, component), float
            One row per pixel.

        Returns
        -------
        jax.Array (block, row, component), float32
            The values, zero in the filling.
        """
        import jax.numpy as jnp

        blocks, rows, _ = self.counts.shape
        flat = np.asarray(values, np.float32)
        padded = np.zeros((blocks * rows, flat.shape[1]), np.float32)
        padded[: self.pixels] = flat
        return jnp.asarray(padded.reshape(blocks, rows, -1))

    def cut_alike(self, counts: npt.NDArray[Any]) -> jax.Array:
        """Cut other counts of the same pixels into the same blocks.

        Parameters
        ----------
        counts : numpy.ndarray (pixel, any channel), unsigned integer
            Counts.

        Returns
        -------
        jax.Array (block, row, any channel), unsigned integer
            The counts, zero in the filling.
        """
        blocks, rows, _ = self.counts.shape
        return _in_blocks(counts, blocks, rows)

    def join(self, blocked: npt.ArrayLike) -> npt.NDArray[Any]:
        """Undo `split`.

        Parameters
        ----------
        blocked : array (block, row, ...)
            Values in blocks.

        Returns
        -------
        numpy.ndarray (pixel, ...)
            The values without the filling.
        """
        whole = np.asarray(blocked)
        return whole.reshape(-1, *whole.shape[2:])[: self.pixels]


def merge_counts(counts: npt.NDArray[Any], run: int) -> npt.NDArray[Any]:
    """Add runs of neighbouring channels.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel), unsigned integer
        Counts.
    run : int
        Length of the runs, two or more; the last may be short.

    Returns
    -------
    numpy.ndarray (pixel, merged channel), unsigned integer
        Sums in the narrowest dtype that holds so many of the largest count.
    """
    dtype, starts = count_dtype(run * int(counts.max())), np.arange(0, counts.shape[1], run)
    parts = np.array_split(counts, max(1, counts.size // PART_ENTRIES))  # each is copied where its dtype is too narrow
    return np.concatenate([np.add.reduceat(part, starts, axis=1, dtype=dtype) for part in parts])


def block_rows(pixels: int, channels: int) -> int:
    """Choose how many pixels a block has.

    Parameters
    ----------
    pixels, channels : int
        Shape of the counts.

    Returns
    -------
    int
        A multiple of 8, such that a block has about `BLOCK_ENTRIES` entries, or holds all pixels.
    """
    return min(max(8, BLOCK_ENTRIES // channels // 8 * 8), -(-pixels // 8) * 8)


def cut(counts: npt.NDArray[Any]) -> CountBlocks:
    """Cut counts into blocks of about `BLOCK_ENTRIES` entries.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel), unsigned integer
        Counts.

    Returns
    -------
    CountBlocks
        The blocks.
    """
    refuse_forked_process()
    pixels, rows = len(counts), block_rows(*counts.shape)
    return CountBlocks(_in_blocks(counts, -(-pixels // rows), rows), pixels)


def _in_blocks(counts: npt.NDArray[Any], blocks: int, rows: int) -> jax.Array:
    """The counts as they lie where JAX can take them so and nobody may change them, else copied once."""
    import jax

    pixels, channels = counts.shape
    held = counts
    if blocks * rows != pixels or counts.flags.writeable or counts.ctypes.data % ALIGNMENT:
        held = aligned((blocks * rows, channels), counts.dtype)
        held[:pixels], held[pixels:] = counts, 0
    return jax.device_put(held.reshape(blocks, rows, channels))
