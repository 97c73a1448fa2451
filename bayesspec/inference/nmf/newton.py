"""Newton steps of the Poisson factorisation: every pixel and every channel is a small problem of its own.

Expectation maximisation takes many passes where the spectra are alike; the curvature of a pixel says at once how its
abundances must change together. Near the optimum a few passes do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Integer

from bayesspec.image.counts import CountBlocks
from bayesspec.inference.blocks import em_step, product
from bayesspec.inference.nmf.em import Descent, Point, Progress, extrapolated, total, totals
from bayesspec.inference.status import Status
from bayesspec.models.poisson_nmf import RATE_FLOOR

SWEEPS = 12
"""Rounds over the entries of a small problem: enough for entries that compete."""
LEAST_LEFT = np.float32(0.05)
"""Part of itself that an entry keeps at least in a step: the curvature is not known further off."""
RIDGE = 1e-6
"""Part of the mean curvature that is added: a pixel without counts has none."""
Array = npt.NDArray[Any]
NOISE = 1e-7
"""Part of the divergence by which it may rise at the optimum: the rows are summed in single precision."""
TURNS = (("whwh",), ("wh",), ("w", "h"))
"""What moves in turn in a round, abundances and spectra, with curvatures measured once: first all, then fewer."""
ENOUGH = 200.0
"""Mean counts of a component in a pixel from which its curvature is used twice: with fewer it changes too much."""

# Slopes and curvatures of the divergence, and the Newton steps of all pixels or all channels that follow from them


@jax.jit
def newton_pass(
    counts: Integer[jax.Array, "block row channel"],
    abundances: Float[jax.Array, "block row component"],
    spectra: Float[jax.Array, "component channel"],
) -> tuple[
    Float[jax.Array, "block row component"],
    Float[jax.Array, "block row pair"],
    Float[jax.Array, "component channel"],
    Float[jax.Array, "pair channel"],
    Float[jax.Array, "block row"],
]:
    """Gather slopes and curvatures of all pixels and channels, and the divergences, in one pass over the counts.

    With q = x / r and r = w h: sums of q h and of (q / r) h h^T over the channels of each pixel, and of q w and
    (q / r) w w^T over the pixels of each channel. The pairs of components are those of the lower triangle.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    abundances : jax.Array (block, row, component), float32
        Expected counts of each component.
    spectra : jax.Array (component, channel), float32
        Probabilities per channel.

    Returns
    -------
    pixel_slopes : jax.Array (block, row, component), float32
        Sums over the channels.
    pixel_curvatures : jax.Array (block, row, pair), float32
        Sums over the channels.
    channel_slopes : jax.Array (component, channel), float32
        Sums over the pixels.
    channel_curvatures : jax.Array (pair, channel), float32
        Sums over the pixels.
    divergence : jax.Array (block, row), float32
        Kullback-Leibler divergence of each pixel, nats.
    """
    first, second = np.tril_indices(spectra.shape[0])
    products, sums = spectra[first] * spectra[second], spectra.sum(axis=1, keepdims=True)

    def visit(
        carry: tuple[jax.Array, jax.Array], block: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]:
        x, w = block[0].astype(jnp.float32), block[1]
        inverse = 1.0 / (product(w, spectra) + RATE_FLOOR)
        quotient = x * inverse
        logs = (x * jnp.log(jnp.where(x > 0, quotient, 1.0))).sum(axis=1)
        steepness = quotient * inverse
        slopes = carry[0] + product(w.T, quotient)
        curvatures = carry[1] + product((w[:, first] * w[:, second]).T, steepness)
        rows = logs - x.sum(axis=1) + product(w, sums)[:, 0]
        return (slopes, curvatures), (product(quotient, spectra.T), product(steepness, products.T), rows)

    start = (jnp.zeros_like(spectra), jnp.zeros_like(products))
    (slopes, curvatures), (given, bent, rows) = jax.lax.scan(visit, start, (counts, abundances))
    return given, bent, slopes, curvatures, rows


class Local(NamedTuple):
    """What the divergence looks like around a point, for each pixel and each channel.

    Parameters
    ----------
    pixel_slopes : numpy.ndarray (component, pixel), float32
        Falls of the divergence with the abundances, less the sums of the spectra.
    channel_slopes : numpy.ndarray (component, channel), float32
        Falls with the spectra, less the sums of the abundances.
    pixel_curvatures : numpy.ndarray (pair, pixel), float32
        Second derivatives.
    channel_curvatures : numpy.ndarray (pair, channel), float32
        Second derivatives.
    """

    pixel_slopes: Array
    channel_slopes: Array
    pixel_curvatures: Array
    channel_curvatures: Array


def measured(counts: jax.Array, point: Point) -> tuple[Local, float]:
    """Slopes, curvatures and divergence at a point.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    point : Point
        Abundances and spectra.

    Returns
    -------
    local : Local
        Slopes and curvatures.
    divergence : float
        Kullback-Leibler divergence, nats.
    """
    found = newton_pass(counts, *point)
    given, bent, slopes, curvatures = (np.asarray(part) for part in found[:4])
    return Local(_flat(given), slopes, _flat(bent), curvatures), total(found[4])


def with_new_slopes(counts: jax.Array, point: Point, free: jax.Array, local: Local) -> Local:
    """Slopes at a point, which cost a step of expectation maximisation, beside curvatures from near by.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    point : Point
        Abundances and spectra.
    free : jax.Array (component,), bool
        Whether the spectrum of the component may change.
    local : Local
        Measured near by.

    Returns
    -------
    Local
        New slopes, old curvatures.
    """
    w, h = point
    new_w, new_h = (np.asarray(part) for part in em_step(counts, w, h, free))
    channels = new_h * totals(new_w)[:, None] / np.where(h > 0, h, np.float32(1.0))
    return local._replace(pixel_slopes=_flat(new_w / np.where(w > 0, w, np.float32(1.0))), channel_slopes=channels)


def moved_spectra(point: Point, local: Local, free: Array) -> Point:
    """Take a Newton step of the spectra; the abundances are scaled so that each component keeps its counts.

    Parameters
    ----------
    point : Point
        Abundances and spectra; what is zero stays zero.
    local : Local
        Slopes there, and curvatures.
    free : array (component,), bool
        Whether the spectrum of the component may change.

    Returns
    -------
    Point
        New abundances and spectra.
    """
    w, h = point
    sums = totals(w)[:, None]
    used = free[:, None] & (sums > 0)
    moved = _minimise(h, sums - local.channel_slopes, local.channel_curvatures, used & (h > 0))
    scale = np.where(used, moved.sum(axis=1, keepdims=True), np.float32(1.0))
    return w * scale[:, 0], np.where(used, moved / scale, h)


def moved_abundances(point: Point, local: Local) -> Point:
    """Take a Newton step of the abundances.

    Parameters
    ----------
    point : Point
        Abundances and spectra; what is zero stays zero.
    local : Local
        Slopes there, and curvatures.

    Returns
    -------
    Point
        New abundances, the same spectra.
    """
    w, h = point
    flat = _flat(w)
    flat = _minimise(flat, h.sum(axis=1, keepdims=True) - local.pixel_slopes, local.pixel_curvatures, flat > 0)
    return np.ascontiguousarray(flat.T).reshape(w.shape), h


def _flat(blocked: Array) -> Array:
    """Put values of the pixels, in blocks, one quantity after another: (quantity, pixel)."""
    return np.ascontiguousarray(blocked.reshape(-1, blocked.shape[-1]).T)


def _minimise(start: Array, gradient: Array, curvature: Array, moving: Array) -> Array:
    """Minimise quadratics over non-negative entries, one entry after another.

    Start, gradient and `moving` are (entry, problem), the curvature (pair, problem).
    """
    rank = len(start)
    pair = np.zeros((rank, rank), np.int64)
    pair[np.tril_indices(rank)] = np.arange(len(curvature))
    pair = np.maximum(pair, pair.T)
    own = curvature[np.diag(pair)]
    own = own + np.maximum(RIDGE * own.mean(axis=1, keepdims=True, dtype=np.float64), 1e-30).astype(np.float32)
    reach = np.where(moving, 1.0 / own, np.float32(0.0))
    slope, moved, lowest = gradient.copy(), start.copy(), LEAST_LEFT * start
    for _ in range(SWEEPS):
        for k in range(rank):
            entry = np.maximum(moved[k] - slope[k] * reach[k], lowest[k])
            step = entry - moved[k]
            moved[k] = entry
            for j in range(rank):
                slope[j] += curvature[pair[k, j]] * step
    return moved


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
    schedule = 0 if totals(start[0]).sum() > ENOUGH * blocks.pixels * len(start[1]) else 1
    point, best, safe, longest = start, start, None, 4.0
    history: list[float] = []
    trail: list[Point] = []
    status = Status.ITERATION_LIMIT
    for done in range(rounds + 1):
        turns = TURNS[schedule][done % len(TURNS[schedule])]
        spectra_first = not history and schedule < len(TURNS) - 1
        following, value = newton_round(blocks.counts, point, free, "h" + turns if spectra_first else turns)
        if history and not value <= history[-1]:
            if safe is not None:
                point, safe, longest = safe, None, max(1.0, longest / 4.0)
                continue
            status = Status.CONVERGED if value <= history[-1] * (1 + max(tolerance, NOISE)) else Status.DIVERGED
            if status is Status.CONVERGED or turns in TURNS[-1]:
                break
            status, point, trail, schedule = Status.ITERATION_LIMIT, best, [], schedule + 1
            history.pop()
            continue
        history.append(value)
        best, point, safe = point, following, None
        trail.append(best)
        if _fall(history, len(TURNS[schedule])) <= tolerance * max(value, 1e-12):
            status = Status.CONVERGED
            break
        if len(trail) == 2:
            safe = following
            point, length = extrapolated(trail[0], trail[1], following, np.asarray(free), longest)
            longest, trail = 4.0 * longest if length >= longest else longest, []
        if progress is not None:
            progress(done, rounds)
    last, begun = (history[-1], history[0]) if history else (np.inf, np.inf)
    return Descent(best, last, max(0, len(history) - 1), status, begun)


def _fall(history: list[float], rounds: int) -> float:
    """Fall of the divergence in the last rounds."""
    return history[-1 - rounds] - history[-1] if len(history) > rounds else np.inf
