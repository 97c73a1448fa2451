"""Rank of the mean of Poisson counts from their singular values, without a fit.

The counts are scaled by rows and columns until every row and column has noise variance one; the singular values of
pure noise then end at a known edge, whose fluctuations follow the Tracy-Widom law.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.image.counts import Counts

LEAST_COUNTS = 1.0
"""Mean counts that a merged row and a merged column must reach, per square root of their length."""
MOST_ROWS = 4096
"""Rows at most: pixels are added in runs until there are no more."""
MOST_COLUMNS = 512
"""Columns at most: where there are more, neighbours are merged until each holds this part of all counts."""
TRACY_WIDOM = {0.10: 0.4501, 0.05: 0.9793, 0.01: 2.0234}
"""Upper quantiles of the Tracy-Widom law of order one."""

# Sparse counts merged with their neighbours until the noise of rows and columns is near normal in sum


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


@dataclass(frozen=True)
class SpectralRank:
    """Number of singular values above the edge of the noise.

    Parameters
    ----------
    rank : int
        The number, at least one.
    singular_values : numpy.ndarray (value,), float64
        Of the scaled counts, divided by the square root of the longer side; the edge of pure noise is at
        1 + sqrt(shorter / longer).
    threshold : float
        The value above which they count.
    shape : (int, int)
        Rows and columns after merging.
    """

    rank: int
    singular_values: npt.NDArray[np.float64]
    threshold: float
    shape: tuple[int, int]


def biwhiten(
    counts: npt.NDArray[Any], *, iterations: int = 200, tolerance: float = 1e-8
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Row and column scales that give Poisson counts unit noise variance on average.

    Parameters
    ----------
    counts : numpy.ndarray (row, column)
        Counts without empty rows and columns.
    iterations : int
        Most Sinkhorn iterations.
    tolerance : float
        Largest relative deviation of a row sum at the end.

    Returns
    -------
    rows : numpy.ndarray (row,), float64
        Factors of the rows.
    columns : numpy.ndarray (column,), float64
        Factors of the columns; diag(rows) counts diag(columns) has row means and column means one, and its square
        roots scale the counts.

    Notes
    -----
    Source: Landa, Zhang & Kluger (2022), doi:10.1137/21M1456807, algorithm 1.
    """
    n, m = counts.shape
    rows, columns = np.ones(n), np.ones(m)
    for _ in range(iterations):
        sums = counts @ columns
        if np.abs(rows * sums / m - 1.0).max() < tolerance:
            break
        rows = m / sums
        columns = n / (rows @ counts)
    return rows, columns


def noise_values(merged: npt.NDArray[np.float64], scatter: float = 0.0) -> npt.NDArray[np.float64]:
    """Singular values of merged counts in units of their noise, over the square root of the longer side.

    Parameters
    ----------
    merged : numpy.ndarray (row, column), float64
        Counts without empty rows and columns, as `merge_sparse` gives them.
    scatter : float
        Relative standard deviation of the rate of every entry; 0 for Poisson counts.

    Returns
    -------
    numpy.ndarray (value,), float64
        Singular values, falling.

    Notes
    -----
    The variance of a count x with relative scatter s is estimated without bias by (x + s^2 x^2) / (1 + s^2):
    Landa, Zhang & Kluger (2022), doi:10.1137/21M1456807, section 4.
    """
    variance = (merged + scatter**2 * np.square(merged)) / (1.0 + scatter**2)
    rows, columns = biwhiten(variance)
    scaled = np.sqrt(rows)[:, None] * merged * np.sqrt(columns)
    gram = scaled @ scaled.T if scaled.shape[0] <= scaled.shape[1] else scaled.T @ scaled
    return np.asarray(np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0) / max(scaled.shape)), np.float64)


def tracy_widom_rank(
    counts: npt.ArrayLike | Counts, *, level: float = 0.05, dispersion: float = 1.0, scatter: float = 0.0
) -> SpectralRank:
    """Count the singular values that noise alone would not give.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        Counts. Neighbouring pixels and channels are merged until none is empty and the matrix is small.
    level : float
        Probability that pure noise exceeds the threshold: 0.1, 0.05 or 0.01.
    dispersion : float
        Variance of the noise over that of Poisson counts.
    scatter : float
        Relative standard deviation of the rate of every entry, beside it.

    Returns
    -------
    SpectralRank
        The rank, the singular values and the threshold.

    Raises
    ------
    InputError
        When the counts or the level cannot be used.

    Notes
    -----
    Source: Landa, Zhang & Kluger (2022), doi:10.1137/21M1456807; Johnstone (2001), doi:10.1214/aos/1009210544.
    A rank well above that from held-out counts means noise that is not Poisson, or energy drift.
    """
    if level not in TRACY_WIDOM:
        raise InputError(f"level={level}", f"one of {sorted(TRACY_WIDOM)}", "level=0.05")
    merged = merge_sparse(Counts.of(counts).matrix)
    values = noise_values(merged, scatter) / np.sqrt(dispersion)
    small, long = sorted(merged.shape)
    threshold = _edge(small, long, level)
    rank = max(1, int((values > threshold).sum()))
    return SpectralRank(rank, values, threshold, (merged.shape[0], merged.shape[1]))


def component_evidence(values: npt.NDArray[np.float64], shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Log evidence of every rank, from singular values in units of the noise.

    Parameters
    ----------
    values : numpy.ndarray (value,), float64
        Singular values over the square root of the longer side, falling.
    shape : (int, int)
        Rows and columns of the matrix.

    Returns
    -------
    numpy.ndarray (1 + value,), float64
        Variational log evidence of ranks 0, 1, 2, ... relative to rank 0, in nats.

    Notes
    -----
    Source: Nakajima, Sugiyama, Babacan & Tomioka (2013), J. Mach. Learn. Res. 14, 1: with x the squared value,
    a the ratio of the sides and t = (x - 1 - a + sqrt((x - 1 - a)^2 - 4 a)) / 2, a component adds
    long (t - log(1 + t) - a log(1 + t / a)) / 2.
    """
    small, long = sorted(shape)
    ratio = small / long
    beyond = np.maximum(np.square(values) - 1.0 - ratio, 2.0 * np.sqrt(ratio))
    strength = 0.5 * (beyond + np.sqrt(np.maximum(beyond**2 - 4.0 * ratio, 0.0)))
    gains = 0.5 * long * (strength - np.log1p(strength) - ratio * np.log1p(strength / ratio))
    return np.concatenate([[0.0], np.cumsum(gains)])


def elbow(values: npt.NDArray[np.float64], points: int = 20) -> int:
    """Components before the elbow of a scree plot, the classical choice.

    Parameters
    ----------
    values : numpy.ndarray (value,), float64
        Singular values, falling.
    points : int
        How many to look at.

    Returns
    -------
    int
        One more than the place of the point farthest from the line that joins the first and the last, on a
        logarithmic scale of their squares.

    Notes
    -----
    Source: Satopaa, Albrecht, Irwin & Raghavan (2011), doi:10.1109/ICDCSW.2011.20.
    """
    logs = 2.0 * np.log(np.maximum(values[:points], 1e-12))
    if len(logs) < 3:
        return len(logs)
    line = np.linspace(logs[0], logs[-1], len(logs))
    return 1 + int(np.argmax(line - logs))


def _edge(small: int, long: int, level: float) -> float:
    """Upper quantile of the largest singular value of unit noise, over sqrt(long)."""
    a, b = np.sqrt(long - 0.5), np.sqrt(small - 0.5)
    centre = (a + b) ** 2
    width = (a + b) * (1.0 / a + 1.0 / b) ** (1.0 / 3.0)
    return float(np.sqrt((centre + width * TRACY_WIDOM[level]) / long))
