"""Merging neighbours where less than the full counts will do."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

MERGED_CHANNELS = 256
"""Channels that are kept for the information of the pixels."""
MERGED_PIXELS = 4096
"""Pixels that are kept for the information of the channels."""


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
