"""How many pixels to sum before components are sought: as many as their counts ask for, if neighbours are alike."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bayesspec.image.spectrum_image import SpectrumImage

BLOCK_COUNTS = 500
MOST_PIXELS = 4096
"""Pixels, or blocks of them, on which spectra are sampled: more cost time and find worse places to start from."""
FEWEST_CHANNELS = 128
PARTS = 24
"""Ranges of energy in which spectra are compared."""
LEAST_LIKENESS = 0.5
SIGMAS = 4.0


def pixel_block(image: SpectrumImage) -> int:
    """How many pixels to sum along y and x so that their abundances are worth their noise.

    Maximum likelihood spends about half a nat of held-out likelihood per pixel and component; with few counts
    a pixel this hides components that the whole image shows clearly, and sampling every pixel costs time for nothing.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    int
        Side of blocks with at least 500 counts on average, an eighth of the image at most, and such that no more
        than half the pixels are lost to excluded neighbours; 1 where neighbours have little in common.
    """
    largest = max(1, min(image.shape[:2]) // 8)
    wanted = int(np.clip(np.ceil(np.sqrt(BLOCK_COUNTS / max(image.counts_per_pixel, 1e-9))), 1, largest))
    if wanted > 1 and likeness(image) < LEAST_LIKENESS:
        return 1
    for size in range(wanted, 1, -1):
        if image.rebin(y=size, x=size, energy=image.shape[2]).valid.sum() * size**2 > 0.5 * image.valid.sum():
            return size
    return 1


def sampling_block(image: SpectrumImage) -> int:
    """How many pixels to sum along y and x before spectra are sampled, which takes as long as there are pixels.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    int
        Side of blocks as `pixel_block` says, or larger where more than 4096 of them would be left; 1 where neighbours
        have little in common.
    """
    block, wanted = pixel_block(image), math.ceil(math.sqrt(int(image.valid.sum()) / MOST_PIXELS))
    return block if wanted <= block or likeness(image) < LEAST_LIKENESS else wanted


def likeness(image: SpectrumImage) -> float:
    """How far the spectra of neighbouring pixels have the same shape, beyond the noise.

    The noise of two pixels is independent, so that their products are free of it; from a pixel's own squares it is
    taken off.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    float
        Correlation of the composition of pixels beside each other: 0 where they have nothing in common, 1 where they
        are the same, or where the whole image is.
    """
    parts = _parts(image)
    seen = image.valid & (parts.sum(axis=2) > 0)
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


def _parts(image: SpectrumImage) -> npt.NDArray[np.float64]:
    """Counts (y, x, part) in ranges of energy that hold about as many counts each."""
    total = np.cumsum(image.sum_spectrum())
    starts = np.unique(np.searchsorted(total, np.linspace(0.0, total[-1], PARTS + 1)[:-1], side="right"))
    edges = np.append(0, starts[starts > 0])
    used = image.counts.dtype.type(1) if image.energy_mask is None else ~image.energy_mask
    return np.stack([np.add.reduceat(row * used, edges, axis=1, dtype=np.float64) for row in image.counts])


def coarser(image: SpectrumImage) -> SpectrumImage:
    """Sum pixels and channels as far as choosing the rank asks for.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    SpectrumImage
        Blocks of pixels as `pixel_block` says; up to four channels together.
    """
    block, channels = pixel_block(image), int(np.clip(image.shape[2] // FEWEST_CHANNELS, 1, 4))
    small = image.rebin(y=block, x=block, energy=channels)
    return small if small.valid_channels.any() else image.rebin(y=block, x=block)
