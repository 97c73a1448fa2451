"""Are counts as noisy as Poisson counts?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.inference.nmf_input import check_counts

FEWEST_COUNTS = 20


def dispersion(counts: npt.ArrayLike) -> float:
    """Estimate the variance of the noise over its mean: 1 for Poisson counts, the gain for scaled ones.

    Second differences along the channels remove a spectrum that is smooth; their squares are compared with what
    Poisson noise would give, channel by channel, and the median over the channels is taken, which lines and edges
    hardly move.

    Parameters
    ----------
    counts : array (pixel, channel), integer
        Counts.

    Returns
    -------
    float
        Variance over mean; 1 where there are too few counts to tell.

    Raises
    ------
    InputError
        When the counts cannot be used.
    """
    matrix = check_counts(counts)
    squares, noise = np.zeros(max(matrix.shape[1] - 2, 0)), np.zeros(max(matrix.shape[1] - 2, 0))
    for rows in np.array_split(matrix, max(1, matrix.size // 2_000_000)):
        part = _sums(rows.astype(np.float64))
        squares, noise = squares + part[0], noise + part[1]
    enough = noise > 6 * FEWEST_COUNTS
    return float(np.median(squares[enough] / noise[enough])) if enough.any() else 1.0


def _sums(x: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Squared second differences, and their expectation under Poisson noise, summed over the pixels."""
    left, middle, right = x[:, :-2], x[:, 1:-1], x[:, 2:]
    squares = np.square(left - 2 * middle + right).sum(axis=0)
    return squares, (left + 4 * middle + right).sum(axis=0)
