"""How many pixels to sum before components are sought: as many as their counts ask for, if neighbours are alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.image.counts import PART_ENTRIES, Counts
from bayesspec.image.rebinning import block_sum, blocks

BLOCK_COUNTS = 500
"""Counts that a block of pixels holds on average, at least."""
MOST_PIXELS = 4096
"""Pixels, or blocks of them, on which spectra are sampled: more cost time and find worse places to start from."""
FEWEST_CHANNELS = 128
"""Channels that are left, at least, when neighbouring ones are summed."""
PARTS = 24
"""Ranges of energy in which spectra are compared."""
LEAST_LIKENESS = 0.5
"""Likeness of neighbouring pixels below which none are summed (python benchmarks/beatles.py)."""
SIGMAS = 4.0
"""Standard deviations of the noise below which no variation of the composition is seen in the image."""


def pixel_block(counts: Counts) -> int:
    """How many pixels to sum along y and x so that their abundances are worth their noise.

    Maximum likelihood spends about half a nat of held-out likelihood per pixel and component; with few counts
    a pixel this hides components that the whole image shows clearly, and sampling every pixel costs time for nothing.

    Parameters
    ----------
    counts : Counts
        Counts.

    Returns
    -------
    int
        Side of blocks with at least 500 counts on average, an eighth of the image at most, and such that no more
        than half the pixels are lost to excluded neighbours; 1 where neighbours have little in common.
    """
    pixels, largest = counts.shape[0], max(1, min(counts.valid.shape) // 8)
    mean = float(counts.matrix.sum(dtype=np.int64)) / max(pixels, 1)
    wanted = int(np.clip(np.ceil(np.sqrt(BLOCK_COUNTS / max(mean, 1e-9))), 1, largest))
    if wanted > 1 and likeness(counts) < LEAST_LIKENESS:
        return 1
    for size in range(wanted, 1, -1):
        if _whole(counts.valid, (size, size)).sum() * size**2 > 0.5 * pixels:
            return size
    return 1


def sampling_block(counts: Counts) -> int:
    """How many pixels to sum along y and x before spectra are sampled, which takes as long as there are pixels.

    Parameters
    ----------
    counts : Counts
        Counts.

    Returns
    -------
    int
        Side of blocks as `pixel_block` says, or larger where more than 4096 of them would be left; 1 where neighbours
        have little in common.
    """
    block, wanted = pixel_block(counts), math.ceil(math.sqrt(counts.shape[0] / MOST_PIXELS))
    return block if wanted <= block or likeness(counts) < LEAST_LIKENESS else wanted


def likeness(counts: Counts) -> float:
    """How far the spectra of neighbouring pixels have the same shape, beyond the noise.

    The noise of two pixels is independent, so that their products are free of it; from a pixel's own squares it is
    taken off.

    Parameters
    ----------
    counts : Counts
        Counts.

    Returns
    -------
    float
        Correlation of the composition of pixels beside each other: 0 where they have nothing in common, 1 where they
        are the same, or where the whole image is.
    """
    parts = _parts(counts)
    seen = counts.valid & (parts.sum(axis=2) > 0)
    shares = parts[seen].sum(axis=0) / max(parts[seen].sum(), 1.0)
    expected = np.maximum(parts.sum(axis=2, keepdims=True) * shares, 1e-9)
    off = np.where(seen[..., None], (parts - expected) / np.sqrt(expected), 0.0)
    noise = (parts.shape[2] - 1) * int(seen.sum())
    signal = float(np.square(off).sum()) - noise
    if signal <= SIGMAS * np.sqrt(2.0 * noise):
        return 1.0
    together = float((off[1:] * off[:-1]).sum() + (off[:, 1:] * off[:, :-1]).sum())
    pairs = int((seen[1:] & seen[:-1]).sum() + (seen[:, 1:] & seen[:, :-1]).sum())
    return together / max(pairs, 1) * int(seen.sum()) / signal


def _parts(counts: Counts) -> npt.NDArray[np.float64]:
    """Counts (y, x, part) in ranges of energy that hold about as many counts each; zero in pixels not in use."""
    total = np.cumsum(counts.matrix.sum(axis=0, dtype=np.int64))
    starts = np.unique(np.searchsorted(total, np.linspace(0.0, total[-1], PARTS + 1)[:-1], side="right"))
    edges = np.append(0, starts[starts > 0])
    rows = np.array_split(counts.matrix, max(1, counts.matrix.size // PART_ENTRIES))
    full = np.zeros((*counts.valid.shape, len(edges)))
    full[counts.valid] = np.concatenate([np.add.reduceat(part, edges, axis=1, dtype=np.float64) for part in rows])
    return full


def coarser(counts: Counts) -> Counts:
    """Sum pixels and channels as far as choosing the rank asks for.

    Parameters
    ----------
    counts : Counts
        Counts.

    Returns
    -------
    Counts
        Blocks of pixels as `pixel_block` says; up to four channels together.
    """
    block, run = pixel_block(counts), int(np.clip(len(counts.channels) // FEWEST_CHANNELS, 1, 4))
    return summed(counts, block, run if _whole(counts.channels, (run,)).any() else 1)


def summed(counts: Counts, size: int, run: int = 1) -> Counts:
    """Sum blocks of pixels and runs of channels, as `SpectrumImage.rebin` does.

    Parameters
    ----------
    counts : Counts
        Counts.
    size : int
        Pixels along y and x in a block, or as many as there are; those with a pixel that is not in use are left out.
    run : int
        Channels in a run; those with a channel that is not in use are left out.

    Returns
    -------
    Counts
        The sums; the same object where there is nothing to sum.
    """
    if size == run == 1:
        return counts
    down, across = (min(size, n) for n in counts.valid.shape)
    valid, channels = _whole(counts.valid, (down, across)), _whole(counts.channels, (run,))
    sums = block_sum(_in_place(counts), (down, across, run))
    return Counts(sums[valid][:, channels], valid, channels)


def _whole(used: npt.NDArray[np.bool_], steps: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Blocks that are in use as a whole."""
    return np.asarray(blocks(used, steps).all(axis=tuple(range(1, 2 * used.ndim, 2))))


def _in_place(counts: Counts) -> npt.NDArray[Any]:
    """Counts (y, x, energy), as they lie where all are in use; zero elsewhere."""
    shape = (*counts.valid.shape, len(counts.channels))
    if counts.matrix.size == math.prod(shape):
        return counts.matrix.reshape(shape)
    full = np.zeros((counts.valid.size, shape[2]), counts.matrix.dtype)
    full[np.ix_(np.flatnonzero(counts.valid), np.flatnonzero(counts.channels))] = counts.matrix
    return full.reshape(shape)
