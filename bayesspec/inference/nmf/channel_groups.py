"""Groups of channels in which the components have the same proportions: added, they tell the abundances as much.

Counts of channels whose spectra are proportional are, added, all that the abundances can be learned from. A few dozen
groups over the directions of the leading singular vectors lose about a percent of what all channels say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.image.counts import PART_ENTRIES, count_dtype

MERGED_ROWS = 2048
"""Rows to which the pixels are added for the singular vectors."""
SPARE = 4
"""Vectors that are iterated beside those that are wanted."""
ITERATIONS = 3
"""Power iterations: the vectors are then exact to single precision."""
SPARSE = 0.1
"""Part of the entries that hold counts below which only those are visited."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ChannelGroups:
    """Which channel belongs to which group.

    Parameters
    ----------
    labels : numpy.ndarray (channel,), int64
        Group of each channel.
    shares : numpy.ndarray (channel,), float64
        Share of the channel in the total counts of its group.
    """

    labels: Array
    shares: Array

    def add(self, counts: Array) -> Array:
        """Add the counts of each group.

        Parameters
        ----------
        counts : numpy.ndarray (pixel, channel), unsigned integer
            Counts.

        Returns
        -------
        numpy.ndarray (pixel, group), unsigned integer
            Sums, in the narrowest dtype.
        """
        parts = np.array_split(counts, max(1, counts.size * 16 // PART_ENTRIES))
        added = self._added_entries if np.count_nonzero(counts) < SPARSE * counts.size else self._added_rows
        sums = np.concatenate([added(part) for part in parts])
        return sums.astype(count_dtype(int(sums.max())))

    def _added_rows(self, counts: Array) -> Array:
        """Add all entries: a product is quickest."""
        member = np.zeros((len(self.labels), self.labels.max() + 1), np.float32)
        member[np.arange(len(self.labels)), self.labels] = 1.0
        return counts.astype(np.float32) @ member

    def _added_entries(self, counts: Array) -> Array:
        """Add the few entries that hold counts."""
        groups, flat = int(self.labels.max()) + 1, counts.reshape(-1)
        entries = np.flatnonzero(flat != 0)
        pixels, channels = np.divmod(entries, counts.shape[1])
        sums = np.bincount(pixels * groups + self.labels[channels], flat[entries], len(counts) * groups)
        return sums.reshape(len(counts), groups)

    def gather(self, spectra: Array) -> Array:
        """Add the probabilities of each group: spectra (component, channel) to (component, group)."""
        return np.stack([np.bincount(self.labels, row, self.labels.max() + 1) for row in spectra])

    def spread(self, spectra: Array) -> Array:
        """Divide spectra (component, group) over the channels in proportion to their totals."""
        return spectra[:, self.labels] * self.shares


def group_channels(counts: Array, rank: int, groups: int) -> ChannelGroups:
    """Group the channels by the direction that they have in the leading singular vectors.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel), unsigned integer
        Counts.
    rank : int
        Number of singular vectors.
    groups : int
        Number of groups.

    Returns
    -------
    ChannelGroups
        The groups.

    Notes
    -----
    Source: for the weights Keenan & Kotula (2004), doi:10.1002/sia.1657, eq. 16; for the vectors Halko, Martinsson &
    Tropp (2011), doi:10.1137/090771806, algorithm 4.4.
    """
    run = max(1, len(counts) // MERGED_ROWS)
    whole = len(counts) // run * run
    parts = np.array_split(np.arange(whole // run), max(1, counts.size // PART_ENTRIES))
    bands = [counts[p[0] * run : (p[-1] + 1) * run].reshape(len(p), run, -1) for p in parts]
    merged = np.concatenate([band.sum(axis=1, dtype=np.uint32) for band in bands]).astype(np.float32)
    rows, totals = (merged.sum(axis=axis, dtype=np.float64) for axis in (1, 0))
    vectors = _leading_vectors(_noise_scaled(merged, rows, totals), rank)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return _grouped(vectors / np.maximum(lengths, 1e-30), totals, groups)


def group_by_spectra(expected: Array, groups: int) -> ChannelGroups:
    """Group the channels by the proportions that the components have in them.

    Parameters
    ----------
    expected : array (component, channel), float
        Expected counts of each component in each channel.
    groups : int
        Number of groups.

    Returns
    -------
    ChannelGroups
        The groups.
    """
    totals = expected.sum(axis=0, dtype=np.float64)
    return _grouped(np.sqrt(expected / np.maximum(totals, 1e-30)).T.astype(np.float64), totals, groups)


def _grouped(points: Array, totals: Array, groups: int) -> ChannelGroups:
    """Channels that lie close together, (channel, axis), as groups."""
    labels = _divided(points, totals, groups)
    sums, sizes = np.bincount(labels, totals), np.bincount(labels)
    shares = np.where(sums[labels] > 0, totals / np.maximum(sums[labels], 1e-30), 1.0 / sizes[labels])
    return ChannelGroups(labels, shares)


def _noise_scaled(merged: Array, rows: Array, totals: Array) -> Array:
    """Counts in units of their noise, were all pixels alike."""
    scale = np.where(totals > 0, 1.0 / np.sqrt(np.maximum(totals, 1.0)), 0.0).astype(np.float32)
    return merged * scale / np.sqrt(np.maximum(rows, 1.0)).astype(np.float32)[:, None]


def _leading_vectors(scaled: Array, rank: int) -> Array:
    """Leading right singular vectors (channel, rank)."""
    from sklearn.utils.extmath import randomized_svd

    found = randomized_svd(scaled, rank, n_oversamples=SPARE, n_iter=ITERATIONS, random_state=0)
    return np.asarray(found[2].T, np.float64)


def _divided(points: Array, weights: Array, groups: int) -> Array:
    """Cut the cloud of points (point, axis) again and again where it is widest; the label of each point."""
    labels, spreads = np.zeros(len(points), np.int64), [_spread(points, weights)]
    for new in range(1, groups):
        widest = int(np.argmax([size for size, _ in spreads]))
        members = np.flatnonzero(labels == widest)
        beyond = points[members] @ spreads[widest][1] > np.average(
            points[members] @ spreads[widest][1], weights=weights[members] + 1e-30
        )
        if not beyond.any() or beyond.all():
            break
        labels[members[beyond]] = new
        spreads[widest] = _spread(points[members[~beyond]], weights[members[~beyond]])
        spreads.append(_spread(points[members[beyond]], weights[members[beyond]]))
    return labels


def _spread(points: Array, weights: Array) -> tuple[float, Array]:
    """Weighted scatter of points along the axis of most scatter, and the axis."""
    away = points - np.average(points, axis=0, weights=weights + 1e-30)
    sizes, axes = np.linalg.eigh((away * weights[:, None]).T @ away)
    return float(sizes[-1]), axes[:, -1]
