"""Newton steps of the Poisson factorisation: every pixel and every channel is a small problem of its own.

Expectation maximisation takes many passes where the spectra are alike; the curvature of a pixel says at once how its
abundances must change together. Near the optimum a few passes do.
"""

from __future__ import annotations

import jax
import numpy as np

from bayesspec.inference.nmf_blocks import CountBlocks
from bayesspec.inference.nmf_descent import Descent, Point, Progress, extrapolated, totals
from bayesspec.inference.nmf_local import measured, moved_abundances, moved_spectra, with_new_slopes
from bayesspec.inference.status import Status

NOISE = 1e-7
"""Part of the divergence by which it may rise at the optimum: the rows are summed in single precision."""
TURNS = (("whwh",), ("wh",), ("w", "h"))
"""What moves in turn in a round, abundances and spectra, with curvatures measured once: less and less bold."""
ENOUGH = 200.0
"""Mean counts of a component in a pixel from which its curvature is used twice: with fewer it changes too much."""


def newton_round(counts: jax.Array, point: Point, free: jax.Array, turns: str) -> tuple[Point, float]:
    """Move the factors in turn, with curvatures measured once.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    point : Point
        Abundances and spectra.
    free : jax.Array (component,), bool
        Whether the spectrum of the component may change.
    turns : str
        Letters, w for the abundances and h for the spectra.

    Returns
    -------
    point : Point
        New abundances and spectra.
    divergence : float
        Kullback-Leibler divergence of the point that was given, nats.
    """
    local, value = measured(counts, point)
    for turn, factor in enumerate(turns):
        if turn:
            local = with_new_slopes(counts, point, free, local)
        point = moved_abundances(point, local) if factor == "w" else moved_spectra(point, local, np.asarray(free))
    return point, value


def newton_descent(
    blocks: CountBlocks,
    start: Point,
    free: jax.Array,
    tolerance: float,
    rounds: int,
    progress: Progress | None = None,
) -> Descent:
    """Take rounds of Newton steps, and extrapolate along them, until the divergence has nearly stopped to fall.

    Parameters
    ----------
    blocks : CountBlocks
        Counts.
    start : Point
        Where to start: near the optimum.
    free : jax.Array (component,), bool
        Whether the spectrum of the component may change.
    tolerance : float
        Stop when the divergence falls by less than this part of itself in a round.
    rounds : int
        Most rounds.
    progress : callable (done, total), optional
        Called after each round.

    Returns
    -------
    Descent
        The lowest point; its status is `Status.DIVERGED` where a round did not lower the divergence.

    Notes
    -----
    Source for the extrapolation: Varadhan & Roland (2008), doi:10.1111/j.1467-9469.2007.00585.x.
    """
    boldness = 0 if totals(start[0]).sum() > ENOUGH * blocks.pixels * len(start[1]) else 1
    point, best, safe, longest = start, start, None, 4.0
    history: list[float] = []
    trail: list[Point] = []
    status = Status.ITERATION_LIMIT
    try:
        for done in range(rounds + 1):
            turns = TURNS[boldness][done % len(TURNS[boldness])]
            bold = not history and boldness < len(TURNS) - 1
            following, value = newton_round(blocks.counts, point, free, "h" + turns if bold else turns)
            if history and not value <= history[-1]:
                if safe is not None:
                    point, safe, longest = safe, None, max(1.0, longest / 4.0)
                    continue
                status = Status.CONVERGED if value <= history[-1] * (1 + max(tolerance, NOISE)) else Status.DIVERGED
                if status is Status.CONVERGED or turns in TURNS[-1]:
                    break
                status, point, trail, boldness = Status.ITERATION_LIMIT, best, [], boldness + 1
                history.pop()
                continue
            history.append(value)
            best, point, safe = point, following, None
            trail.append(best)
            if _fall(history, len(TURNS[boldness])) <= tolerance * max(value, 1e-12):
                status = Status.CONVERGED
                break
            if len(trail) == 2:
                safe = following
                point, length = extrapolated(trail[0], trail[1], following, np.asarray(free), longest)
                longest, trail = 4.0 * longest if length >= longest else longest, []
            if progress is not None:
                progress(done, rounds)
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    last, begun = (history[-1], history[0]) if history else (np.inf, np.inf)
    return Descent(best, last, max(0, len(history) - 1), status, begun)


def _fall(history: list[float], rounds: int) -> float:
    """Fall of the divergence in the last rounds."""
    return history[-1 - rounds] - history[-1] if len(history) > rounds else np.inf
