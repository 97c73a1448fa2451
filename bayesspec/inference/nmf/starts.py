"""Where the factorisation starts: coarse counts, and three kinds of starting spectra found on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.image.counts import Counts, count_dtype

COARSE_PIXELS = 4096
"""Pixels from twice which on runs of them are added, of at most 16."""
COARSE_CHANNELS = 256
"""Channels from twice which on runs of them are added, of at most 8."""
MOST_EXTREME = 0.005
"""Share of the pixels that are averaged at a vertex: one pixel alone would be chosen for its noise."""

Matrix = npt.NDArray[Any]


@dataclass(frozen=True)
class Coarse:
    """Counts added over runs of pixels and of channels.

    Parameters
    ----------
    counts : Counts
        Added counts, (coarse pixel, coarse channel).
    pixel_run, channel_run : int
        How many neighbours were added.
    """

    counts: Counts
    pixel_run: int
    channel_run: int

    def in_runs(self, spectra: Matrix) -> Matrix:
        """Add the same runs of channels of spectra (component, channel)."""
        return np.add.reduceat(spectra, np.arange(0, spectra.shape[1], self.channel_run), axis=1)


def coarsen(counts: Counts) -> Coarse:
    """Add runs of neighbouring pixels and channels until the matrix is small.

    Parameters
    ----------
    counts : Counts
        Counts.

    Returns
    -------
    Coarse
        The added counts; the same ones where they are few.
    """
    pixel_run = max(1, min(16, counts.filled // COARSE_PIXELS))
    channel_run = max(1, min(8, counts.shape[1] // COARSE_CHANNELS))
    if pixel_run == channel_run == 1:
        return Coarse(counts, 1, 1)
    added = _in_runs(_in_runs(counts.matrix, pixel_run).T, channel_run).T
    return Coarse(Counts.in_one_column(added.astype(count_dtype(int(added.max())))), pixel_run, channel_run)


def _in_runs(values: Matrix, run: int) -> Matrix:
    """Add runs of neighbouring rows; slices are many times quicker than `numpy.add.reduceat`."""
    added = values[::run].astype(np.uint32)
    for first in range(1, run):
        part = values[first::run]
        added[: len(part)] += part
    return added


def _shares(totals: Matrix, run: int) -> Matrix:
    """Share of each entry in the sum of its run; even where the run is empty."""
    starts = np.arange(0, totals.size, run)
    sums = np.repeat(np.add.reduceat(totals, starts), run)[: totals.size]
    sizes = np.repeat(np.diff(np.append(starts, totals.size)), run)[: totals.size]
    return np.where(sums > 0, totals / np.where(sums > 0, sums, 1.0), 1.0 / sizes)


def refine(coarse: Coarse, counts: Counts, abundances: Matrix, spectra: Matrix) -> tuple[Matrix, Matrix]:
    """Carry coarse factors over to the full counts.

    Parameters
    ----------
    coarse : Coarse
        The coarse counts that the factors describe.
    counts : Counts
        Full counts.
    abundances : numpy.ndarray (coarse pixel, component), float
        Expected counts in the coarse pixels.
    spectra : numpy.ndarray (component, coarse channel), float
        Probabilities in the coarse channels.

    Returns
    -------
    abundances : numpy.ndarray (pixel, component), float32
        Divided over the pixels in proportion to their totals.
    spectra : numpy.ndarray (component, channel), float32
        Divided over the channels in proportion to their totals.
    """
    pixels, channels = counts.shape
    rows, columns = (counts.matrix.sum(axis=axis, dtype=np.float64) for axis in (1, 0))
    lifted = abundances + 0.01 * abundances.mean(axis=1, keepdims=True)
    w = np.repeat(lifted, coarse.pixel_run, axis=0)[:pixels] * _shares(rows, coarse.pixel_run)[:, None]
    h = np.repeat(spectra, coarse.channel_run, axis=1)[:, :channels] * _shares(columns, coarse.channel_run)
    return w.astype(np.float32), (h / h.sum(axis=1, keepdims=True)).astype(np.float32)


def weighted_vectors(counts: Matrix, rank: int) -> tuple[Matrix, Matrix]:
    """Leading right singular vectors of the counts in units of their Poisson noise.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel)
        Counts.
    rank : int
        Number of vectors.

    Returns
    -------
    vectors : numpy.ndarray (channel, rank), float64
        Orthonormal vectors.
    weights : numpy.ndarray (channel,), float64
        Factor of each channel: one over the square root of its total, zero where it is empty.

    Notes
    -----
    Source: Keenan & Kotula (2004), doi:10.1002/sia.1657, eq. 16.
    """
    rows, columns = counts.sum(axis=1, dtype=np.float64), counts.sum(axis=0, dtype=np.float64)
    weights = np.where(columns > 0, 1.0 / np.sqrt(np.maximum(columns, 1.0)), 0.0)
    scaled = counts / np.sqrt(np.maximum(rows, 1.0))[:, None] * weights
    _, vectors = np.linalg.eigh(scaled.T @ scaled)
    return vectors[:, ::-1][:, :rank], weights


def successive_projection(counts: Matrix, rank: int) -> Matrix:
    """Spectra of the pixels that lie at the corners of the data, found one after another.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel)
        Counts.
    rank : int
        Number of corners.

    Returns
    -------
    numpy.ndarray (rank, channel), float64
        Mean normalised spectra near the corners.

    Notes
    -----
    Source: Araujo et al. (2001), doi:10.1016/S0169-7439(01)00119-8, on denoised, Poisson-weighted spectra.
    """
    rows = counts.sum(axis=1, dtype=np.float64)
    bright = rows >= max(1.0, 0.2 * rows.mean())
    normalised = counts[bright] / rows[bright, None]
    vectors, weights = weighted_vectors(counts, rank)
    residual = (normalised * weights) @ vectors
    nearest = max(1, int(MOST_EXTREME * len(residual)))
    corners = []
    for _ in range(rank):
        direction = residual[np.argmax((residual**2).sum(axis=1))]
        members = np.argpartition(-(residual @ direction), nearest - 1)[:nearest]
        corners.append(normalised[members].mean(axis=0))
        axis = residual[members].mean(axis=0)
        axis = axis / max(float(np.linalg.norm(axis)), 1e-300)
        residual = residual - (residual @ axis)[:, None] * axis
    return np.array(corners)


def singular_parts(counts: Matrix, rank: int) -> Matrix:
    """Spectra from the positive or negative part of each singular vector, whichever carries more.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel)
        Counts.
    rank : int
        Number of spectra.

    Returns
    -------
    numpy.ndarray (rank, channel), float64
        Non-negative spectra.

    Notes
    -----
    Source: Boutsidis & Gallopoulos (2008), doi:10.1016/j.patcog.2007.09.010.
    """
    vectors, weights = weighted_vectors(counts, rank)
    scale = np.where(weights > 0, 1.0 / np.where(weights > 0, weights, 1.0), 0.0)
    positive, negative = np.maximum(vectors, 0.0), np.maximum(-vectors, 0.0)
    larger = (positive**2).sum(axis=0) >= (negative**2).sum(axis=0)
    return (np.where(larger, positive, negative) * scale[:, None]).T


def starts(counts: Matrix, rank: int, seed: int) -> list[Matrix]:
    """Starting spectra of several kinds: corners, singular vectors, random.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel), unsigned integer
        Counts.
    rank : int
        Number of spectra.
    seed : int
        Seed of the random one.

    Returns
    -------
    list of numpy.ndarray (rank, channel), float64
        Positive spectra; each row sums to one.
    """
    mean = counts.sum(axis=0, dtype=np.float64)
    mean = mean / mean.sum()
    if rank == 1:
        return [mean[None]]
    noise = np.random.default_rng(seed).exponential(size=(rank, mean.size))
    candidates = [successive_projection(counts, rank), singular_parts(counts, rank), mean * noise]
    lifted = [0.98 * c / np.maximum(c.sum(axis=1, keepdims=True), 1e-300) + 0.02 * mean for c in candidates]
    return [c / c.sum(axis=1, keepdims=True) for c in lifted]
