"""Groups of pixels with similar shares: their means have less noise than the pixels.

Pixels that are grouped by what they seem to hold have less of it than they seem to where they seem to hold most: their
noise is what brought them together. `independent_groups` therefore groups them by one part of their counts and measures
the groups with the other, which knows nothing of that.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2

from bayesspec.image.counts import Counts
from bayesspec.inference.nmf.channel_groups import group_by_spectra

Array = npt.NDArray[np.float64]
GROUPS = (16, 64, 256)
"""Numbers of clusters of pixels, coarse to fine."""
LARGEST_SAMPLE = 20_000
"""Pixels, by chance, from which the centres are found where there are more: cost."""
FLOOR = 1e-12
"""Least value of what is divided by."""
INDEPENDENT = (4, 16, 64)
"""Numbers of groups whose members and means come from different counts: the coarse ones decide, of many pixels each."""
FEWEST_PIXELS = 4
"""Pixels that such a group holds on average, at least."""
GROUPED_BY = 1 / 3
"""Part of the counts that says which pixels belong together; the rest measures them (python
benchmarks/identifiability.py --case minerals)."""
CHANNEL_GROUPS = 16
"""Groups of channels for each component, as `pixel_abundances` adds them."""
FITTING_STEPS = 60
"""Steps of expectation maximisation from which the shares are taken that pixels are grouped by."""
LEAST_RATE = 0.05
"""Part of the mean spectrum in the rate by which channels are weighted: where a group seems to hold nothing, it may."""


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
    measured : numpy.ndarray (group, component), float64, or None
        Estimates of the same means that are unbiased, negative ones among them, counts; None where the means are all
        that is known.
    covariance : numpy.ndarray (group, component, component), float64, or None
        Covariance of these.
    """

    abundances: Array
    pixels: Array
    finest: int
    measured: Array | None = None
    covariance: Array | None = None

    def reordered(self, order: Sequence[int]) -> Groups:
        """The same groups with their components in another order."""
        given = list(order)
        return replace(
            self,
            abundances=self.abundances[:, given],
            measured=None if self.measured is None else self.measured[:, given],
            covariance=None if self.covariance is None else self.covariance[:, given][:, :, given],
        )


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


def independent_groups(counts: Counts, spectra: npt.ArrayLike, seed: int) -> Groups:
    """Group pixels by a part of their counts, and measure the groups with the rest.

    Parameters
    ----------
    counts : Counts
        Counts (pixel, channel).
    spectra : array (component, channel), float
        Spectra, each summing to one.
    seed : int
        Seed of the division of the counts and of the grouping.

    Returns
    -------
    Groups
        Expected abundances from the first part; unbiased ones, by least squares with given weights, from the second.

    Notes
    -----
    Source: for the division of the counts Neufeld et al. (2024), arXiv:2301.07276.
    """
    matrix, h = _added(counts, np.asarray(spectra, np.float64))
    rng = np.random.default_rng([seed, *counts.shape])
    first = rng.binomial(matrix, GROUPED_BY)
    rest = (matrix - first) / (1.0 - GROUPED_BY)
    held = _fitted(first / GROUPED_BY, h)
    shares = held / np.maximum(held.sum(axis=1, keepdims=True), FLOOR)
    parts: list[tuple[Array, ...]] = []
    for number in INDEPENDENT:
        if number > INDEPENDENT[0] and number * FEWEST_PIXELS > len(matrix):
            break
        nearest = _nearest(shares, cluster_centres(shares, number, rng))
        members = (nearest == np.unique(nearest)[:, None]).astype(np.float64)
        pixels = members.sum(axis=1)
        expected, seen = (members @ values / pixels[:, None] for values in (held, rest))
        measured, covariance = _measured(seen, expected @ h, matrix.mean(axis=0), h)
        parts.append((expected, pixels, measured, covariance / pixels[:, None, None] / (1.0 - GROUPED_BY)))
    abundances, pixels, measured, covariance = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Groups(abundances, pixels, len(parts[-1][0]), measured, covariance)


def _added(counts: Counts, spectra: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """Counts and spectra, added over channels in which the components have the same proportions."""
    number = CHANNEL_GROUPS * len(spectra)
    if counts.shape[1] < 4 * number:
        return counts.matrix.astype(np.int64), spectra
    groups = group_by_spectra(spectra, number)
    return groups.add(counts.matrix).astype(np.int64), groups.gather(spectra)


def _fitted(counts: Array, spectra: Array) -> Array:
    """Abundances, not negative, of about the highest likelihood."""
    held = np.repeat(counts.sum(axis=1, keepdims=True), len(spectra), axis=1) / len(spectra)
    for _ in range(FITTING_STEPS):
        held = held * ((counts / np.maximum(held @ spectra, FLOOR)) @ spectra.T)
    return held


def _measured(seen: Array, rate: Array, mean: Array, spectra: Array) -> tuple[Array, Array]:
    """Abundances by weighted least squares, and their covariance were the rate right."""
    mean = mean / max(float(mean.sum()), FLOOR)
    rate = np.maximum((1.0 - LEAST_RATE) * rate + LEAST_RATE * rate.sum(axis=1, keepdims=True) * mean, FLOOR)
    weighted = spectra / rate[:, None]
    information = weighted @ spectra.T
    size = np.sqrt(np.maximum(np.einsum("gkk->gk", information), FLOOR))
    outer = size[:, :, None] * size[:, None]
    covariance = np.linalg.inv(information / outer + 1e-6 * np.eye(len(spectra))) / outer
    return np.einsum("gkl,glc,gc->gk", covariance, weighted, seen), covariance


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
