"""What the factorisation accepts: a matrix of counts, a rank it can have, known spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.counts import as_counts
from bayesspec.errors import InputError

LARGEST_COUNT = 2**24
"""Largest count up to which single precision, in which the counts are worked on, holds all integers."""


def check_counts(counts: npt.ArrayLike) -> npt.NDArray[Any]:
    """Refuse what is not a matrix of counts.

    Parameters
    ----------
    counts : array (pixel, channel), integer
        Counts.

    Returns
    -------
    numpy.ndarray (pixel, channel), uint8, uint16 or uint32
        The same counts in the narrowest dtype.

    Raises
    ------
    InputError
        When the array is not a non-empty matrix of non-negative integers with at least one count, or one of them
        exceeds 2**24.
    """
    matrix = as_counts(counts)
    if matrix.ndim != 2 or matrix.size == 0 or not matrix.any():
        raise InputError(
            f"counts of shape {matrix.shape} that add to {matrix.sum(dtype=np.int64)}",
            "counts of shape (pixel, channel) with at least one count",
            "counts.reshape(-1, counts.shape[-1]); check the mask and the energy range",
        )
    if int(matrix.max()) > LARGEST_COUNT:
        pixel, channel = np.unravel_index(int(matrix.argmax()), matrix.shape)
        raise InputError(
            f"a count of {matrix[pixel, channel]} in pixel {pixel}, channel {channel}",
            f"counts up to {LARGEST_COUNT} (2**24) in a channel of a pixel: there is no noise to learn from above",
            "si.with_mask(...) for a saturated pixel or channel; check the units: a scaled signal is no longer counts",
        )
    return matrix


def check_fixed(fixed: npt.ArrayLike | None, channels: int) -> npt.NDArray[np.float32]:
    """Fixed spectra scaled to sum to one; an empty array when there are none.

    Parameters
    ----------
    fixed : array (fixed component, channel), float, or None
        Known spectra.
    channels : int
        Number of channels of the counts.

    Returns
    -------
    numpy.ndarray (fixed component, channel), float32
        The same, each row summing to one.

    Raises
    ------
    InputError
        When the shape is wrong or an entry is negative or not finite.
    """
    if fixed is None:
        return np.zeros((0, channels), np.float32)
    spectra = np.asarray(fixed, np.float64)
    right = spectra.ndim == 2 and spectra.shape[1] == channels
    if not right or not np.isfinite(spectra).all() or (spectra < 0).any() or (spectra.sum(axis=1) <= 0).any():
        raise InputError(
            f"fixed_spectra of shape {spectra.shape}, smallest entry {spectra.min(initial=np.inf)}",
            f"finite non-negative spectra of shape (component, {channels}), none of them empty",
            "fixed_spectra=background[None, :]",
        )
    return (spectra / spectra.sum(axis=1, keepdims=True)).astype(np.float32)


def check_rank(rank: int, shape: tuple[int, ...]) -> None:
    """Refuse a rank that the counts cannot have.

    Parameters
    ----------
    rank : int
        Number of components.
    shape : tuple of int
        Pixels and channels.

    Raises
    ------
    InputError
        When the rank is not from one to the smaller of the two.
    """
    if not 1 <= rank <= min(shape):
        raise InputError(
            f"rank={rank} for {shape[0]} pixels x {shape[1]} channels",
            f"a rank from 1 to {min(shape)}",
            f"rank={min(4, *shape)}",
        )
