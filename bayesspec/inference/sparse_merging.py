"""Sparse counts merged with their neighbours until the noise of rows and columns is near normal in sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LEAST_COUNTS = 1.0
"""Mean counts that a merged row and a merged column must reach, per square root of their length."""
MOST_ROWS = 4096
MOST_COLUMNS = 512


def merge_sparse(counts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Merge neighbours until every row and column has enough counts for the noise to be near normal in sum.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel), unsigned integer
        Counts.

    Returns
    -------
    numpy.ndarray (row, column), float64
        Merged counts without empty rows or columns.
    """
    pixels = len(counts)
    row_run = -(-pixels // MOST_ROWS)
    merged = np.stack([counts[first : first + row_run].sum(axis=0, dtype=float) for first in range(0, pixels, row_run)])
    need = LEAST_COUNTS * max(np.sqrt(len(merged)), len(merged) * merged.mean() * _share(counts.shape[1]))
    merged = _merge_columns(merged, need)
    need = LEAST_COUNTS * np.sqrt(merged.shape[1])
    return _merge_columns(merged.T, need).T


def _share(columns: int) -> float:
    """Part of the mean column below which columns are merged: none is when there are few."""
    return columns / MOST_COLUMNS if columns > MOST_COLUMNS else 0.0


def _merge_columns(values: npt.NDArray[np.float64], need: float) -> npt.NDArray[np.float64]:
    """Merge neighbouring columns until each sum reaches the need; a poor rest joins the last."""
    starts, running = [0], 0.0
    sums = values.sum(axis=0)
    for column, total in enumerate(sums):
        if running >= need:
            starts.append(column)
            running = 0.0
        running += float(total)
    if running < need and len(starts) > 1:
        starts.pop()
    return np.add.reduceat(values, starts, axis=1)
