"""Groups of pixels with similar shares: their means have less noise than the pixels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2

Array = npt.NDArray[np.float64]
GROUPS = (16, 64, 256)
"""Numbers of clusters of pixels, coarse to fine."""
LARGEST_SAMPLE = 20_000
"""Pixels, by chance, from which the centres are found where there are more: cost."""
FLOOR = 1e-12
"""Least value of what is divided by."""


@dataclass(frozen=True)
class Groups:
    """Mean abundances of groups of pixels with similar shares; a pixel belongs to several groups.

    Parameters
    ----------
    abundances : numpy.ndarray (group, component), float64
        Mean abundances, counts.
    pixels : numpy.ndarray (group,), float64
        Number of pixels in each group.
    finest : int
        The last so many groups hold every pixel once.
    """

    abundances: Array
    pixels: Array
    finest: int


def group_pixels(abundances: npt.ArrayLike, seed: int) -> Groups:
    """Group pixels by their shares, coarsely and finely.

    Parameters
    ----------
    abundances : array (pixel, component), float
        Abundances, counts.
    seed : int
        Seed of the grouping.

    Returns
    -------
    Groups
        Means over the groups, the finest grouping last.

    Notes
    -----
    Source: MacQueen (1967), k-means.
    """
    values = np.asarray(abundances, np.float64)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), FLOOR)
    rng = np.random.default_rng(seed)
    sample = shares if len(shares) <= LARGEST_SAMPLE else shares[rng.choice(len(shares), LARGEST_SAMPLE, replace=False)]
    means, sizes = [], []
    for number in GROUPS:
        centres = cluster_centres(sample, number, rng)
        nearest = _nearest(shares, centres)
        count = np.bincount(nearest, minlength=len(centres)).astype(np.float64)
        sums = np.stack([np.bincount(nearest, column, len(centres)) for column in values.T], axis=1)
        means.append(sums[count > 0] / count[count > 0, None])
        sizes.append(count[count > 0])
    return Groups(np.concatenate(means), np.concatenate(sizes), len(sizes[-1]))


def cluster_centres(points: Array, number: int, rng: np.random.Generator) -> Array:
    """Centres of clusters of points.

    Parameters
    ----------
    points : numpy.ndarray (point, dimension), float64
        Points.
    number : int
        Number of clusters at most; one that becomes empty keeps its centre.
    rng : numpy.random.Generator
        Where the first centres come from.

    Returns
    -------
    numpy.ndarray (cluster, dimension), float64
        Centres.
    """
    first = points[rng.choice(len(points), min(number, len(points)), replace=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster is no harm here
        return np.asarray(kmeans2(points, first, iter=10, minit="matrix", missing="warn")[0], np.float64)


def _nearest(points: Array, centres: Array) -> npt.NDArray[np.int64]:
    half = 0.5 * (centres**2).sum(axis=1)
    parts = np.array_split(points, max(1, len(points) // 4096))
    return np.concatenate([np.argmin(half - part @ centres.T, axis=1) for part in parts])
