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

from bayesspec.counts import ALIGNMENT, aligned, count_dtype
from bayesspec.models.poisson_nmf import RATE_FLOOR

BLOCK_ENTRIES = 2**18
"""Entries of a block: one float32 copy of it fits a core's cache."""
PART_ENTRIES = 2**24
"""Entries of the counts that are copied at a time."""

product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


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
