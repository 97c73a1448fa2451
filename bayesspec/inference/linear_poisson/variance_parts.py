"""What the variance of fitted intensities comes from: their own counts, the background, the other lines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

Floats = npt.NDArray[np.float64]
PARTS = ("counts", "background", "overlap")
RATE_FLOOR = 1e-10
"""Counts added to every rate, which may be zero."""


def variance_parts(
    design: Float[np.ndarray, "channel column"], intensities: Float[np.ndarray, " column"], n_lines: int
) -> Float[np.ndarray, "3 {n_lines} {n_lines}"]:
    """Split the covariance of the line intensities.

    Parameters
    ----------
    design : array, shape (channel, column), float64
        Expected counts of one count in each line, lines first, then backgrounds.
    intensities : array, shape (column,), float64
        Fitted intensities.
    n_lines : int
        Number of line columns.

    Returns
    -------
    array, shape (3, line, line), float64
        Covariances that sum to that of the lines with all columns free. ``counts``: that of a line whose counts were
        told from all others; ``background``: what is added when it lies on the fitted background, which is fitted
        along; ``overlap``: the rest, from the other lines, which is not diagonal.

    Notes
    -----
    Expected information of Poisson counts; columns whose intensity is zero are taken for fixed.
    """
    used = intensities > 0
    lines = np.flatnonzero(used[:n_lines])
    rest = n_lines + np.flatnonzero(used[n_lines:])
    found = np.zeros((len(PARTS), n_lines, n_lines))
    for line in lines:
        own = design[:, line]
        alone = own * intensities[line]
        within = own.sum() * intensities[line]
        found[0, line, line] = intensities[line] ** 2 / max(within, 1e-300)
        rate = alone + design[:, rest] @ intensities[rest]
        found[1, line, line] = _covariance(design[:, [line, *rest]], rate, 1)[0, 0] - found[0, line, line]
    everything = np.concatenate([lines, rest]).astype(np.int64)
    rate = design @ intensities
    found[2][np.ix_(lines, lines)] = _covariance(design[:, everything], rate, len(lines))
    found[2] -= found[0] + found[1]
    return found


def _covariance(columns: Floats, rate: Floats, first: int) -> Floats:
    """Covariance of the first columns, shape (first, first)."""
    scaled = columns / np.sqrt(rate + RATE_FLOOR)[:, None]
    size = np.sqrt(np.maximum((scaled**2).sum(axis=0), 1e-300))
    scaled = scaled / size
    inverse = np.linalg.inv(scaled.T @ scaled + 1e-10 * np.eye(scaled.shape[1]))
    return np.asarray((inverse / size[:, None] / size[None])[:first, :first], np.float64)
