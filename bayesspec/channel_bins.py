"""Channels summed into few bins that still tell the columns of a design apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LOSS = 0.02


def adaptive_bins(
    matrix: Floats, intensities: Floats, *, loss: float = LOSS, limit: int = 512, gaps: npt.ArrayLike | None = None
) -> npt.NDArray[np.int64]:
    """Join neighbouring channels as long as the intensities stay as well determined as they were.

    In a channel the score of the intensities is the vector of its columns over its rate. Joining two channels loses
    the information in the difference of their scores; the pair that loses least, measured against the information of
    all channels, is joined first.

    Parameters
    ----------
    matrix : array, shape (channel, column), float64
        Expected counts per unit of intensity.
    intensities : array, shape (column,), float64
        Where the information is measured, such as those of the summed spectrum.
    loss : float
        Share of the information that may be lost, averaged over the columns.
    limit : int
        Bins that there may be at most, whatever is lost.
    gaps : array of int or None
        Channels before which the axis is interrupted: no bin reaches across.

    Returns
    -------
    array, shape (bin,), int64
        First channel of each bin.
    """
    used = (matrix.sum(axis=0) > 0) & (intensities >= 0)
    level = np.maximum(intensities[used], 1e-3 * max(float(intensities.sum()), 1.0) / used.sum())
    rate = matrix[:, used] @ level + 1e-12
    score = matrix[:, used] / rate[:, None]
    values, vectors = np.linalg.eigh(_scaled(score.T @ (score * rate[:, None])))
    scale = 1.0 / np.sqrt(np.maximum((score**2 * rate[:, None]).sum(axis=0), 1e-300))
    kept = values > 1e-6 * values.max()
    score = (score * scale) @ (vectors[:, kept] / np.sqrt(values[kept]))
    barred = np.zeros(len(rate), bool)
    barred[np.asarray([] if gaps is None else gaps, np.int64)] = True
    return _joined(score, rate, barred, loss * score.shape[1], limit)


def bin_sums(values: npt.NDArray[np.number], starts: npt.NDArray[np.int64], dtype: type = np.float64) -> npt.NDArray:
    """Sum the last axis over bins.

    Parameters
    ----------
    values : array, shape (..., channel)
        Counts, or columns of a design.
    starts : array, shape (bin,), int64
        First channel of each bin.
    dtype : type
        Number type of the sums.

    Returns
    -------
    array, shape (..., bin), `dtype`
        Sums.
    """
    return np.add.reduceat(values, starts, axis=-1, dtype=dtype)


def _scaled(information: Floats) -> Floats:
    root = np.sqrt(np.maximum(np.diag(information), 1e-300))
    return np.asarray(information / root[:, None] / root[None])


def _joined(
    score: Floats, rate: Floats, barred: npt.NDArray[np.bool_], budget: float, limit: int
) -> npt.NDArray[np.int64]:
    """Join the cheapest neighbours until the budget is spent."""
    starts = np.arange(len(rate))
    score, rate = score.copy(), rate.copy()
    spent, cost = 0.0, _costs(score, rate, barred[starts])
    while len(starts) > 1:
        cheapest = int(cost.argmin())
        if not np.isfinite(cost[cheapest]) or (spent + cost[cheapest] > budget and len(starts) <= limit):
            break
        spent += float(cost[cheapest])
        both = rate[cheapest] + rate[cheapest + 1]
        score[cheapest] = (rate[cheapest] * score[cheapest] + rate[cheapest + 1] * score[cheapest + 1]) / both
        rate[cheapest] = both
        score, rate = np.delete(score, cheapest + 1, 0), np.delete(rate, cheapest + 1)
        starts, cost = np.delete(starts, cheapest + 1), np.delete(cost, cheapest)
        low, high = max(cheapest - 1, 0), min(cheapest + 2, len(starts))
        cost[low : high - 1] = _costs(score[low:high], rate[low:high], barred[starts[low:high]])
    return starts


def _costs(score: Floats, rate: Floats, barred: npt.NDArray[np.bool_]) -> Floats:
    """Information lost by joining each bin with the next."""
    weight = rate[:-1] * rate[1:] / (rate[:-1] + rate[1:])
    return np.where(barred[1:], np.inf, weight * np.square(np.diff(score, axis=0)).sum(axis=1))
