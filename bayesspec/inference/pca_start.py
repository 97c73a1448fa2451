"""Where the fit of the Poisson log-normal components starts: a decomposition weighted for Poisson noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MOST_ROWS = 4096
HALF = 0.5


def starting_coefficients(counts: npt.NDArray[Any], rank: int) -> npt.NDArray[np.float64]:
    """Mean log counts, and loadings whose squared length is the variance that the counts show beyond their noise.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel), unsigned integer
        Counts.
    rank : int
        Number of components.

    Returns
    -------
    numpy.ndarray (1 + component, channel), float64
        Mean log counts, then orthogonal loadings, in log counts.
    """
    mean = (counts.sum(axis=0, dtype=np.float64) + HALF) / len(counts)
    run = -(-len(counts) // MOST_ROWS)
    merged = np.add.reduceat(counts, np.arange(0, len(counts), run), axis=0, dtype=np.float64)
    expected = np.minimum(run, len(counts) - np.arange(0, len(counts), run))[:, None] * mean
    whitened = (merged - expected) / np.sqrt(expected)
    values, vectors = np.linalg.eigh(whitened.T @ whitened / len(merged))
    order = np.argsort(-values)[:rank]
    beyond = np.sqrt(np.maximum(values[order] - 1.0, 0.05) / run)
    relative = vectors[:, order].T * beyond[:, None] / np.sqrt(mean)
    # a relative change of rates is a log for small changes only: large ones are drawn in
    loadings = np.sign(relative) * np.log1p(np.abs(relative))
    return np.concatenate([(np.log(mean) - 0.5 * np.square(loadings).sum(axis=0))[None], loadings])
