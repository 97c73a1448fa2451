"""Counts in blocks of pixels that stay in cache, and the passes over them that the factorisation needs.

A pass converts one block of narrow integers at a time, so nothing of pixels x channels is ever floating.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.image.counts import ALIGNMENT, aligned, as_counts, count_dtype
from bayesspec.inference.random_keys import refuse_forked_process
from bayesspec.models.poisson_nmf import RATE_FLOOR

BLOCK_ENTRIES = 2**18
"""Entries of a block: one float32 copy of it fits a core's cache."""
PART_ENTRIES = 2**24
"""Entries of the counts that are copied at a time."""
product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
MERGED_CHANNELS = 256
"""Channels that are kept for the information of the pixels."""
MERGED_PIXELS = 4096
"""Pixels that are kept for the information of the channels."""
LARGEST_COUNT = 2**24
"""Largest count up to which single precision, in which the counts are worked on, holds all integers."""


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


def cut(counts: npt.NDArray[Any]) -> CountBlocks:
    """Cut counts into blocks of about `BLOCK_ENTRIES` entries.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel), unsigned integer
        Counts, as `check_counts` returns them.

    Returns
    -------
    CountBlocks
        The blocks.
    """
    refuse_forked_process()
    pixels, channels = counts.shape
    rows = min(max(8, BLOCK_ENTRIES // channels // 8 * 8), -(-pixels // 8) * 8)
    return CountBlocks(_in_blocks(counts, -(-pixels // rows), rows), pixels)


def _in_blocks(counts: npt.NDArray[Any], blocks: int, rows: int) -> jax.Array:
    """The counts as they lie where JAX can take them so and nobody may change them, else copied once."""
    pixels, channels = counts.shape
    held = counts
    if blocks * rows != pixels or counts.flags.writeable or counts.ctypes.data % ALIGNMENT:
        held = aligned((blocks * rows, channels), counts.dtype)
        held[:pixels], held[pixels:] = counts, 0
    return jax.device_put(held.reshape(blocks, rows, channels))


@jax.jit
def em_step(
    counts: jax.Array, abundances: jax.Array, spectra: jax.Array, free: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Run one step of expectation maximisation in both factors, in one pass over the counts.

    With q = x / (w h), the new abundances are w (q h^T) and the new spectra h (w^T q), scaled to sum to one.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    abundances : jax.Array (block, row, component), float32
        Expected counts of each component.
    spectra : jax.Array (component, channel), float32
        Probabilities per channel; each row sums to one.
    free : jax.Array (component,), bool
        Whether the spectrum of the component may change.

    Returns
    -------
    abundances : jax.Array (block, row, component), float32
        New abundances.
    spectra : jax.Array (component, channel), float32
        New spectra.

    Notes
    -----
    Source: Lee & Seung (1999), doi:10.1038/44565;
    Dempster, Laird & Rubin (1977), doi:10.1111/j.2517-6161.1977.tb01600.x.
    """

    def visit(received: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, w = block
        quotient = x.astype(jnp.float32) / (product(w, spectra) + RATE_FLOOR)
        return received + product(w.T, quotient), w * product(quotient, spectra.T)

    received, abundances = jax.lax.scan(visit, jnp.zeros_like(spectra), (counts, abundances))
    received = received * spectra
    sums = received.sum(axis=1, keepdims=True)
    changed = free[:, None] & (sums > 0)
    return abundances, jnp.where(changed, received / jnp.where(sums > 0, sums, 1.0), spectra)


@jax.jit
def row_divergences(counts: jax.Array, abundances: jax.Array, spectra: jax.Array) -> jax.Array:
    """Kullback-Leibler divergence of each pixel: sum over channels of x log(x / r) - x + r.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    abundances : jax.Array (block, row, component), float32
        Expected counts of each component.
    spectra : jax.Array (component, channel), float32
        Probabilities per channel.

    Returns
    -------
    jax.Array (block, row), float32
        Divergence in nats; add the rows in float64.
    """
    sums = spectra.sum(axis=1, keepdims=True)

    def visit(_: None, block: tuple[jax.Array, jax.Array]) -> tuple[None, jax.Array]:
        x, w = block[0].astype(jnp.float32), block[1]
        quotient = x / (product(w, spectra) + RATE_FLOOR)
        logs = (x * jnp.log(jnp.where(x > 0, quotient, 1.0))).sum(axis=1)
        return None, logs - x.sum(axis=1) + product(w, sums)[:, 0]

    return jax.lax.scan(visit, None, (counts, abundances))[1]


# Merging neighbours where less than the full counts will do


@dataclass(frozen=True)
class Runs:
    """How many neighbours are merged where only the information is computed.

    Parameters
    ----------
    channels, pixels : int
        Lengths of the runs for the information.
    coupling : int
        Channels merged for the coupling moves.
    """

    channels: int
    pixels: int
    coupling: int


def choose_runs(pixels: int, channels: int, rows: int) -> Runs:
    """Merge no more than leaves `MERGED_CHANNELS` channels and `MERGED_PIXELS` pixels.

    Parameters
    ----------
    pixels, channels : int
        Shape of the counts.
    rows : int
        Pixels in a block, a multiple of 8.

    Returns
    -------
    Runs
        Lengths of the runs.
    """
    run = 1
    while run < 8 and pixels // (2 * run) >= MERGED_PIXELS and rows % (2 * run) == 0:
        run *= 2
    merged = int(np.clip(channels // MERGED_CHANNELS, 1, 8))
    return Runs(merged, run, min(2, merged))


def merge(values: jax.Array, run: int) -> jax.Array:
    """Add runs of neighbours along the last axis; the last run may be short.

    Parameters
    ----------
    values : jax.Array (row, entry), float
        Values.
    run : int
        Length of the runs.

    Returns
    -------
    jax.Array (row, merged entry), float
        Sums.
    """
    if run == 1:
        return values
    short = -values.shape[1] % run
    padded = jnp.pad(values, ((0, 0), (0, short)))
    return padded.reshape(values.shape[0], -1, run).sum(axis=2)


# What the factorisation accepts: a matrix of counts, a rank it can have, known spectra


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
