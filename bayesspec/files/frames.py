"""A stack of frames of one scan: which are taken, how far the sample drifted between them, and their sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError

LARGEST_DRIFT = 0.25
"""Share of the image by which a frame may be displaced."""
SIGNIFICANT = 5.0
"""Standard deviations by which a displaced frame must be more alike to the others than where it lies: of thousands of
displacements none is by chance."""
SMOOTHED = 2.0
"""Standard deviation, in pixels, of the Gaussian that the frames before are smoothed with, against their noise."""
FEWEST = 200
"""Counts of a frame below which its displacement is not sought: fluctuations of so few are not normal."""
Frames = str | int | slice | Sequence[int] | None


def summed_frames(counts: npt.NDArray[Any], frames: Frames) -> tuple[npt.NDArray[Any], str]:
    """Sum frames, aligned by whole pixels, so that counts stay counts.

    Parameters
    ----------
    counts : array, shape (frame, y, x, energy), integer
        The stack.
    frames : "all", int, slice or sequence of int
        Which frames.

    Returns
    -------
    counts : array, shape (y, x, energy), int64
        The sum, over the pixels that all frames show.
    note : str
        What was summed, and the drift.

    Raises
    ------
    InputError
        When there are no such frames.
    """
    chosen = _chosen(len(counts), frames)
    stack = counts[chosen]
    shifts = _shifts(stack.sum(axis=3, dtype=np.float64))
    top, left = -np.minimum(shifts.min(axis=0), 0)
    bottom, right = counts.shape[1:3] - np.maximum(shifts.max(axis=0), 0)
    total = np.zeros((bottom - top, right - left, counts.shape[3]), np.int64)
    for frame, (y, x) in zip(stack, shifts, strict=True):
        total += frame[top + y : bottom + y, left + x : right + x]
    note = f"{len(chosen)} of {len(counts)} frames are summed"
    if not shifts.any():
        return total, f"{note}; no drift between them is seen in whole pixels."
    drift = ", ".join(f"{size} along {dim}" for size, dim in zip(np.ptp(shifts, axis=0), "yx", strict=True))
    return total, f"{note}; the sample drifts by up to {drift} pixels, by which they are aligned."


def _chosen(n: int, frames: Frames) -> npt.NDArray[np.intp]:
    every = np.arange(n)
    found = every[:0]
    if isinstance(frames, str) and frames == "all":
        return every
    if isinstance(frames, slice):
        found = every[frames]
    elif isinstance(frames, int | np.integer) and not isinstance(frames, bool) and -n <= frames < n:
        found = every[[frames]]
    elif isinstance(frames, list | tuple | range | np.ndarray) and all(
        isinstance(i, int | np.integer) and -n <= i < n for i in frames
    ):
        found = every[list(frames)]
    if not len(found):
        raise InputError(f"frames={frames!r} of {n}", f"'all', or numbers from 0 to {n - 1}", "frames='all'")
    return found


def _shifts(images: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Displacement (y, x) of every frame, whole pixels: those to the frames aligned before it, the first at 0, 0."""
    shifts = np.zeros((len(images), 2), np.intp)
    reference = images[0].copy()
    for i, image in enumerate(images[1:], 1):
        shifts[i] = _shift(image, reference / i)
        reference += np.roll(image, -shifts[i], axis=(0, 1))
    return shifts


def _shift(counts: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Displacement at which an image is most alike to a reference, (0, 0) where that is by chance."""
    from scipy.ndimage import gaussian_filter

    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in counts.shape))  # what leaves on one side is no neighbour
    flat = window * gaussian_filter(reference - reference.mean(), SMOOTHED)
    image = window * (counts - counts.mean())
    alike = np.fft.ifft2(np.fft.fft2(image) * np.conj(np.fft.fft2(flat))).real
    far = [np.minimum(np.arange(n), n - np.arange(n)) > LARGEST_DRIFT * n for n in image.shape]
    alike[far[0][:, None] | far[1][None]] = -np.inf
    y, x = np.unravel_index(int(alike.argmax()), alike.shape)
    change = np.roll(flat, (y, x), axis=(0, 1)) - flat
    noise = np.sqrt(np.sum(window**2 * counts * change**2))  # of Poisson counts
    if alike[y, x] - alike[0, 0] <= SIGNIFICANT * noise or counts.sum() < FEWEST:
        return np.zeros(2, np.intp)
    return np.array([s - n if s > n // 2 else s for s, n in zip((y, x), image.shape, strict=True)], np.intp)
