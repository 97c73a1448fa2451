"""Sums over blocks of pixels and channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.image.counts import count_dtype, owned


def checked_steps(steps: tuple[int, int, int], shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the lengths of the blocks, or refuse them.

    Parameters
    ----------
    steps, shape : tuple of int
        Number of rows, columns and channels in a block and in the image.

    Returns
    -------
    tuple of int
        The lengths.

    Raises
    ------
    InputError
        When one is not a positive integer or exceeds the image.
    """
    integers = all(isinstance(step, int | np.integer) and not isinstance(step, bool) for step in steps)
    if not integers or any(not 1 <= step <= n for step, n in zip(steps, shape, strict=True)):
        y, x, energy = steps
        raise InputError(
            f"rebin(y={y}, x={x}, energy={energy}) of an image of shape {shape}",
            "positive integers that do not exceed the shape",
            "si.rebin(y=2, x=2)",
        )
    return steps


def blocks(array: npt.NDArray[Any], steps: tuple[int, ...]) -> npt.NDArray[Any]:
    """Cut an array into equal blocks; what does not fill a block at the end is left out.

    Parameters
    ----------
    array : array, any shape and dtype
        What to cut.
    steps : tuple of int
        Length of a block along each dimension.

    Returns
    -------
    array, shape (blocks along the first dimension, length of a block, blocks along the second, ...)
        The blocks: a sum over the odd dimensions is a sum over each block.
    """
    kept = array[tuple(slice(0, n // s * s) for n, s in zip(array.shape, steps, strict=True))]
    return kept.reshape([m for n, s in zip(kept.shape, steps, strict=True) for m in (n // s, s)])


def any_in_block(mask: npt.NDArray[np.bool_] | None, steps: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
    """Exclude every block that holds something excluded: its counts would not be comparable.

    Parameters
    ----------
    mask : array, shape (y, x) or (energy,), bool, or None
        ``True`` where excluded.
    steps : tuple of int
        Length of a block along each dimension.

    Returns
    -------
    array, shape (blocks along each dimension), bool, or None
        ``True`` where a block is excluded.
    """
    if mask is None:
        return None
    return np.asarray(blocks(mask, steps).any(axis=tuple(range(1, 2 * mask.ndim, 2))))


def block_sum(counts: npt.NDArray[Any], steps: tuple[int, int, int]) -> npt.NDArray[Any]:
    """Sum counts over blocks, one row of blocks at a time, so that no wide copy of the image is made.

    Parameters
    ----------
    counts : array, shape (y, x, energy), unsigned integer
        Counts.
    steps : tuple of int
        Number of rows, columns and channels in a block.

    Returns
    -------
    array, shape (y // steps[0], x // steps[1], energy // steps[2]), uint8, uint16 or uint32
        Sums in the smallest dtype that holds them; read-only.

    Raises
    ------
    InputError
        When a sum exceeds 2**31 - 1.
    """
    rows = []
    for start in range(0, counts.shape[0] // steps[0] * steps[0], steps[0]):
        row = blocks(counts[start : start + steps[0]], steps).sum(axis=(1, 3, 5), dtype=np.int64)
        rows.append(row.astype(count_dtype(int(row.max()))))
    return owned(np.concatenate(rows))


def truth_of_channels(truth: Mapping[str, Any] | None, channels: slice, step: int = 1) -> dict[str, Any] | None:
    """Carry a simulated truth over to a part of the channels, or to sums over them.

    Parameters
    ----------
    truth : mapping or None
        What an image knows; its ``spectra`` (phase or component, energy) have one value per channel.
    channels : slice
        The channels that are kept.
    step : int
        Number of channels in a block.

    Returns
    -------
    dict or None
        The same truth, with spectra on the new channels.
    """
    if truth is None or "spectra" not in truth:
        return None if truth is None else dict(truth)
    spectra = np.asarray(truth["spectra"])[:, channels]
    return {**truth, "spectra": blocks(spectra, (1, step)).sum(axis=(1, 3))}


def channel_borders(centres: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Borders of channels, half-way between their centres.

    Parameters
    ----------
    centres : array, shape (energy,), float64
        Centres, increasing, two or more.

    Returns
    -------
    array, shape (energy + 1,), float64
        Borders in the same unit.
    """
    middles = 0.5 * (centres[1:] + centres[:-1])
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])
