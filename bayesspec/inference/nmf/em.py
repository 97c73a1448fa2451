"""Expectation maximisation of the Poisson factorisation, accelerated by extrapolation along its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from bayesspec.image.counts import CountBlocks
from bayesspec.inference.blocks import em_step, row_divergences
from bayesspec.inference.status import Status

Progress = Callable[[int, int], None]
"""Called with the number of cycles done and the most there can be."""
Array = npt.NDArray[Any]
Point = tuple[Array, Array]
"""Abundances in blocks (block, row, component), and spectra (component, channel), float32."""

WINDOW = 5
"""Cycles, at least, over which the fall of the divergence is measured."""


class Descent(NamedTuple):
    """Where a descent ended.

    Parameters
    ----------
    point : Point
        Abundances in blocks, and spectra.
    divergence : float
        Kullback-Leibler divergence there, nats.
    cycles : int
        Cycles taken.
    status : Status
        How it ended.
    begun : float
        Divergence at the start.
    """

    point: Point
    divergence: float
    cycles: int
    status: Status
    begun: float


def descend(
    blocks: CountBlocks,
    start: Point,
    free: jax.Array,
    tolerance: float,
    cycles: int,
    progress: Progress | None = None,
    *,
    every: int = 1,
) -> Descent:
    """Cycle until the divergence has nearly stopped to fall.

    Parameters
    ----------
    blocks : CountBlocks
        Counts.
    start : Point
        Where to start.
    free : jax.Array (component,), bool
        Whether the spectrum of the component may change.
    tolerance : float
        Stop when the divergence falls by less than this part of itself in `WINDOW` cycles.
    cycles : int
        Most cycles.
    progress : callable (done, total), optional
        Called after each cycle.
    every : int
        Cycles from one look at the divergence to the next: a look costs more than a step where channels are few. Where
        the divergence has risen, all cycles since the last look but the first two steps are undone.

    Returns
    -------
    Descent
        The end.

    Notes
    -----
    Source: Varadhan & Roland (2008), doi:10.1111/j.1467-9469.2007.00585.x, scheme S3 on square roots.
    """
    counts, longest, done = blocks.counts, 4.0, 0
    now = point = safe = start
    history = [_divergence(counts, start)]
    status = Status.ITERATION_LIMIT
    while status is Status.ITERATION_LIMIT and done < cycles:
        first = em_step(counts, *now, free)
        second = em_step(counts, *first, free)
        safe = safe if done % every else second
        now, length = extrapolated(now, first, second, np.asarray(free), longest)
        farther, done = 4.0 * longest if length >= longest else longest, done + 1
        if done % every == 0 or done == cycles:
            value = _divergence(counts, now)
            if not value <= history[-1]:
                now, farther = (np.asarray(safe[0]), np.asarray(safe[1])), max(1.0, longest / 4.0)
                value = _divergence(counts, now)
            point = now
            history += [value] * every
            status = _judge(history, tolerance, -(-WINDOW // every) * every)
        longest = farther
        if progress is not None:
            progress(done, cycles)
    return Descent(point, history[-1], done, status, history[0])


def _divergence(counts: jax.Array, point: Point) -> float:
    """Divergence of a point: the rows are added in float64."""
    return total(row_divergences(counts, *point))


def total(rows: jax.Array) -> float:
    """Add divergences of pixels in float64.

    Parameters
    ----------
    rows : jax.Array (block, row), float32
        Divergences.

    Returns
    -------
    float
        Their sum.
    """
    return float(np.asarray(rows, np.float64).sum())


def totals(abundances: Array) -> Array:
    """Add abundances over the pixels; a product is several times quicker than a sum here.

    Parameters
    ----------
    abundances : numpy.ndarray (block, row, component), float32
        Expected counts.

    Returns
    -------
    numpy.ndarray (component,), float32
        Their sums.
    """
    flat = abundances.reshape(-1, abundances.shape[-1])
    return np.ones(len(flat), np.float32) @ flat


def extrapolated(
    start: Point,
    first: tuple[Array | jax.Array, Array | jax.Array],
    second: tuple[Array | jax.Array, Array | jax.Array],
    free: Array,
    longest: float,
) -> tuple[Point, float]:
    """Go on along two steps, in square roots of the counts that each component gives.

    Parameters
    ----------
    start, first, second : Point
        A point, and where one and two steps lead.
    free : array (component,), bool
        Whether the spectrum of the component may change.
    longest : float
        Longest step, in units of the two.

    Returns
    -------
    point : Point
        Abundances and spectra further on.
    length : float
        Length of the step.
    """
    z0, z1, z2 = (_roots(*(np.asarray(part) for part in point)) for point in (start, first, second))
    r = [b - a for a, b in zip(z0, z1, strict=True)]
    v = [c - b - d for b, c, d in zip(z1, z2, r, strict=True)]
    rr, vv = (sum(float(np.vdot(a, a)) for a in part) for part in (r, v))
    length = float(np.clip(np.sqrt(rr / max(vv, 1e-30)), 1.0, longest))
    far, bend = np.float32(2.0 * length), np.float32(length**2)
    w, h = (np.square(a + far * b + bend * c) for a, b, c in zip(z0, r, v, strict=True))
    sums = h.sum(axis=1, keepdims=True)
    h = np.where(free[:, None] & (sums > 0), h / np.where(sums > 0, sums, np.float32(1.0)), second[1])
    return (w, h), length


def _roots(abundances: Array, spectra: Array) -> Point:
    """Square roots of the abundances and of the counts that each component gives in each channel."""
    return np.sqrt(abundances), np.sqrt(spectra * totals(abundances)[:, None])


def _judge(history: list[float], tolerance: float, window: int) -> Status:
    """Say whether the divergence has nearly stopped to fall."""
    value = history[-1]
    if not np.isfinite(value):
        return Status.DIVERGED
    if len(history) > window + 1 and history[-1 - window] - value <= tolerance * max(value, 1e-12):
        return Status.CONVERGED
    return Status.ITERATION_LIMIT
