"""Posterior of the log ratio field by Gibbs sampling with Polya-Gamma weights.

Given a weight of every pixel the field is Gaussian: all splines are drawn at once, by conjugate gradients on a system
with noise on its right side. Amplitude, width and smoothness take Metropolis steps given the coefficients, and again
given the coefficients in units of their standard deviation (interweaving), which mix where the other does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.inference.ratio_field.density import (
    SCATTER,
    State,
    field,
    local_of,
    log_prior_local,
    log_prior_theta,
    log_sds,
)
from bayesspec.inference.ratio_field.geometry import CELL, Geometry, geometry
from bayesspec.inference.status import Status
from bayesspec.models.ratio_field import MEAN_SD

CHUNK = 20
"""Sweeps in a call of the compiled program: progress is shown, and the fit can be interrupted, after each."""
WARMUP = 300
"""Sweeps before the first draw."""
THIN = 2
"""Sweeps a draw."""
STEPS = 20
"""Metropolis steps of amplitude, width and smoothness in a sweep, each of the two ways; and of local amplitudes."""
STEP_SIZES = np.array([1.0, 0.3, 0.1, 0.03, 0.01])
"""Standard deviations that a Metropolis step chooses among: what the counts tell of theta ranges as widely."""
TOLERANCE = 0.1
"""Residual of the conjugate gradients, summed over all splines in units of the noise on the right side: no draw is off
by more than this part of its standard deviation."""
MOST_ITERATIONS = 200
"""Iterations of the conjugate gradients."""
LEAST_EFFECTIVE = 50.0
"""Independent draws, in the mean over the pixels, below which the ends of intervals are not told."""
START = (0.05, 8.0, 1.0, 0.3)
"""Amplitude, width in pixels, smoothness and scatter at the start."""

Trees = tuple[jax.Array, ...]


@dataclass(frozen=True)
class RatioField:
    """Posterior draws of a log ratio field.

    Parameters
    ----------
    log_ratio : numpy.ndarray (draw, y, x), float32
        Logarithm of the first line's expected counts over the second's, in every pixel, counted or not.
    amplitude, width, smoothness : numpy.ndarray (draw,), float64
        Standard deviation of the log ratio over the image, its width in pixels, and its smoothness.
    effective : float
        Number of independent draws, in the mean over the pixels.
    status : Status
        How the sampler ended.
    """

    log_ratio: npt.NDArray[np.float32]
    amplitude: npt.NDArray[np.float64]
    width: npt.NDArray[np.float64]
    smoothness: npt.NDArray[np.float64]
    effective: float
    status: Status


def sample_field(
    above: npt.NDArray[np.integer],
    total: npt.NDArray[np.integer],
    *,
    key: jax.Array,
    draws: int = 300,
    warmup: int = WARMUP,
    cell: int = CELL,
    progress: Callable[[int, int], None] | None = None,
) -> RatioField:
    """Sample the log ratio of two lines in every pixel.

    Parameters
    ----------
    above, total : array (y, x), integer
        Counts of the first line, and of both; 0 in excluded pixels.
    key : jax.Array
        Random key.
    draws : int
        Number of draws.
    warmup : int
        Sweeps before the first draw.
    cell : int
        Side in pixels of the cells with amplitudes of their own; 0 for none.
    progress : callable (done, total), optional
        Called after each chunk of sweeps.

    Returns
    -------
    RatioField
        Draws and status.

    Raises
    ------
    InputError
        When there are no counts, or `above` exceeds `total`.

    Notes
    -----
    Source: Polson, Scott & Windle (2013), doi:10.1080/01621459.2013.829001 (weights; of their distribution the first
    two moments are used, `_weights`); Papandreou & Yuille (2010), Gaussian sampling by local perturbations; Yu & Meng
    (2011), doi:10.1198/jcgs.2011.203main (interweaving).
    """
    if above.shape != total.shape or (above > total).any() or (above < 0).any() or not total.sum():
        raise InputError(
            f"{int(above.sum())} of {int(total.sum())} counts", "counts of a line, and of it with another", "maps"
        )
    with jax.enable_x64(True):
        return _sample(above, total, key, draws, warmup, cell, progress)


def _sample(
    above: npt.NDArray[np.integer],
    total: npt.NDArray[np.integer],
    key: jax.Array,
    draws: int,
    warmup: int,
    cell: int,
    progress: Callable[[int, int], None] | None,
) -> RatioField:
    splines = geometry((total.shape[0], total.shape[1]), cell)
    device: Geometry = jax.tree.map(jnp.asarray, splines)
    counts = jnp.asarray(above, jnp.float64), jnp.asarray(total, jnp.float64)
    state = _start(float(above.sum()), float(total.sum()), device)
    before, after = -(-warmup // CHUNK), -(-draws * THIN // CHUNK)
    kept, thetas, status = [], [], Status.CONVERGED
    try:
        for i, chunk_key in enumerate(jax.random.split(key, before + after)):
            state, ratios, theta = _sweeps(chunk_key, state, *counts, device, sweeps=CHUNK)
            if i >= before:
                kept.append(np.asarray(ratios))
                thetas.append(np.asarray(theta))
            if progress:
                progress(i + 1, before + after)
    except KeyboardInterrupt:
        if len(kept) < 2:
            raise
        status = Status.INTERRUPTED
    ratio, theta = np.concatenate(kept)[:draws], np.exp(np.concatenate(thetas)[:draws])
    effective = _effective(ratio[:, total > 0])
    if not np.isfinite(ratio).all():
        status = Status.DIVERGED
    elif status.ok and effective < LEAST_EFFECTIVE:
        status = Status.FEW_INDEPENDENT_DRAWS
    return RatioField(ratio, theta[:, 0], theta[:, 1], theta[:, 2], effective, status)


def _start(above: float, total: float, splines: Geometry) -> State:
    """A flat field."""
    mean = jnp.asarray(np.log((above + 0.5) / (total - above + 0.5)))
    flat = tuple(jnp.zeros(level.cells.shape) for level in splines.levels)
    return State(mean, flat, jnp.zeros(splines.splines.shape), jnp.log(jnp.asarray(START)))


def _effective(draws: npt.NDArray[np.float32]) -> float:
    """Independent draws that the means of four quarters of the chain scatter like, in the mean over the pixels."""
    n = len(draws) // 4
    if n < 2:
        return float(len(draws))
    quarters = draws[: 4 * n].reshape(4, n, -1).astype(np.float64)
    between = quarters.mean(axis=1).var(axis=0, ddof=1).mean()
    within = draws.var(axis=0, ddof=1, dtype=np.float64).mean()
    return float(min(4 * within / between, len(draws))) if between > 0 else float(len(draws))


@partial(jax.jit, static_argnames=("sweeps",))
def _sweeps(
    key: jax.Array, state: State, above: jax.Array, total: jax.Array, splines: Geometry, *, sweeps: int
) -> tuple[State, jax.Array, jax.Array]:
    """Sweep; return the state, the field (draw, y, x) float32 and theta (draw, 4) after every `THIN` sweeps."""

    def draw(state: State, key: jax.Array) -> tuple[State, tuple[jax.Array, jax.Array]]:
        for own in jax.random.split(key, THIN):
            state = _sweep(own, state, above, total, splines)
        ratio = field(state.mean, state.coefficients, splines)
        return state, (ratio.astype(jnp.float32), state.theta)

    state, (ratios, thetas) = jax.lax.scan(draw, state, jax.random.split(key, sweeps // THIN))
    return state, ratios, thetas


def _sweep(key: jax.Array, state: State, above: jax.Array, total: jax.Array, splines: Geometry) -> State:
    """Update everything once."""
    keys = jax.random.split(key, 5)
    weights = _weights(keys[0], field(state.mean, state.coefficients, splines), total)
    pull = above - total / 2
    state = _local_moves(keys[1], state, splines)
    state = _centred_moves(keys[2], state, splines)
    state = _draw_splines(keys[3], state, weights, pull, splines)
    return _scaled_moves(keys[4], state, weights, pull, splines)


def _weights(key: jax.Array, ratio: jax.Array, total: jax.Array) -> jax.Array:
    """Polya-Gamma weights by gamma variables of their mean and variance, themselves cubes of normal ones.

    Source: Wilson & Hilferty (1931), doi:10.1073/pnas.17.12.684.
    """
    c = jnp.maximum(jnp.abs(ratio), 1e-2)
    t = jnp.tanh(c / 2)
    mean = t / (2 * c)
    variance = (2 * t - c * (1 - t**2)) / (4 * c**3)
    shape = jnp.maximum(total, 0.5) * mean**2 / variance
    cube = 1 - 1 / (9 * shape) + jax.random.normal(key, ratio.shape, ratio.dtype) / (3 * jnp.sqrt(shape))
    return total * mean * jnp.maximum(cube, 1e-2) ** 3


def _moves(
    key: jax.Array, start: jax.Array, log_density: Callable[[jax.Array], jax.Array], free: npt.NDArray[np.float64]
) -> jax.Array:
    """Metropolis steps of the entries of theta that are free, some of them at a time, in a size drawn anew."""

    def step(now: tuple[jax.Array, jax.Array], key: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        k = jax.random.split(key, 4)
        size = jax.random.choice(k[0], jnp.asarray(STEP_SIZES))
        chosen = jax.random.bernoulli(k[1], 0.5, start.shape) * free
        new = now[0] + size * chosen * jax.random.normal(k[2], start.shape, start.dtype)
        density = log_density(new)
        accept = jnp.log(jax.random.uniform(k[3], (), start.dtype)) < density - now[1]
        return (jnp.where(accept, new, now[0]), jnp.where(accept, density, now[1])), None

    return jax.lax.scan(step, (start, log_density(start)), jax.random.split(key, STEPS))[0][0]


def _local_moves(key: jax.Array, state: State, splines: Geometry) -> State:
    """Metropolis steps of every local amplitude on its own, given the coefficients."""
    n_cells = len(splines.splines)
    sds = log_sds(state.theta, splines)
    squares = jnp.zeros(n_cells + 1)
    for u, sd, level in zip(state.coefficients, sds, splines.levels, strict=True):
        squares = squares.at[level.cells].add((u * jnp.exp(-sd)) ** 2)

    def log_density(local: jax.Array) -> jax.Array:
        likelihood = -splines.splines * local - squares[:-1] * jnp.exp(-2 * local) / 2
        return likelihood + log_prior_local(local, state.theta)

    def step(local: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
        k = jax.random.split(key, 3)
        sizes = jax.random.choice(k[0], jnp.asarray(STEP_SIZES), local.shape)
        new = local + sizes * jax.random.normal(k[1], local.shape, local.dtype)
        accept = jnp.log(jax.random.uniform(k[2], local.shape, local.dtype)) < log_density(new) - log_density(local)
        return jnp.where(accept, new, local), None

    local = jax.lax.scan(step, state.local, jax.random.split(key, STEPS))[0]
    return state._replace(local=local)


def _centred_moves(key: jax.Array, state: State, splines: Geometry) -> State:
    """Metropolis steps of theta given the coefficients and local amplitudes."""
    squares = jnp.stack(
        [(u**2 * jnp.exp(-2 * a)).sum() for u, a in zip(state.coefficients, local_of(state.local, splines), strict=True)]
    )
    sizes = jnp.asarray([float(u.size) for u in state.coefficients])

    def log_density(theta: jax.Array) -> jax.Array:
        sds = log_sds(theta, splines)
        own = (-sizes * sds - squares * jnp.exp(-2 * sds) / 2).sum()
        return own + log_prior_theta(theta, splines) + log_prior_local(state.local, theta).sum()

    return state._replace(theta=_moves(key, state.theta, log_density, np.ones(4)))


def _scaled_moves(key: jax.Array, state: State, weights: jax.Array, pull: jax.Array, splines: Geometry) -> State:
    """Metropolis steps of theta given coefficients in units of their sd; the mean is integrated out and drawn anew."""
    keys = jax.random.split(key, 2)
    sds = log_sds(state.theta, splines)
    parts = jnp.stack(
        [lv.rows @ (u * jnp.exp(-sd)) @ lv.columns.T for u, sd, lv in zip(state.coefficients, sds, splines.levels, strict=True)]
    ).reshape(len(sds), -1)
    w = weights.ravel()
    precision = w.sum() + MEAN_SD**-2
    with_mean = parts @ w
    curvature = (parts * w) @ parts.T - jnp.outer(with_mean, with_mean) / precision
    slope = parts @ pull.ravel() - with_mean * pull.sum() / precision

    def log_density(theta: jax.Array) -> jax.Array:
        scale = jnp.exp(log_sds(theta, splines))
        return slope @ scale - scale @ curvature @ scale / 2 + log_prior_theta(theta, splines)

    free = np.ones(4)
    free[SCATTER] = 0.0
    theta = _moves(keys[0], state.theta, log_density, free)
    new = log_sds(theta, splines)
    noise = jax.random.normal(keys[1], (), pull.dtype) / jnp.sqrt(precision)
    mean = (pull.sum() - jnp.exp(new) @ with_mean) / precision + noise
    scaled = tuple(u * jnp.exp(n - o) for u, n, o in zip(state.coefficients, new, sds, strict=True))
    return State(mean, scaled, state.local, theta)


def _draw_splines(key: jax.Array, state: State, weights: jax.Array, pull: jax.Array, splines: Geometry) -> State:
    """Draw mean and coefficients of all levels from their Gaussian given the weights."""
    keys = jax.random.split(key, 2 + len(splines.levels))
    sds, locals_ = log_sds(state.theta, splines), local_of(state.local, splines)
    precisions = (jnp.asarray(MEAN_SD**-2), *(jnp.exp(-2 * (sd + a)) for sd, a in zip(sds, locals_, strict=True)))

    def project(image: jax.Array) -> Trees:
        return (image.sum(), *(level.rows.T @ image @ level.columns for level in splines.levels))

    def apply(v: Trees) -> Trees:
        image = weights * field(v[0], v[1:], splines)
        return tuple(p * a + b for p, a, b in zip(precisions, v, project(image), strict=True))

    diagonal = tuple(
        p + d
        for p, d in zip(
            precisions,
            (weights.sum(), *((lv.rows.T**2) @ weights @ lv.columns**2 for lv in splines.levels)),
            strict=True,
        )
    )
    noisy = project(pull + jnp.sqrt(weights) * jax.random.normal(keys[0], pull.shape, pull.dtype))
    right = tuple(
        b + jnp.sqrt(p) * jax.random.normal(k, b.shape, b.dtype)
        for b, p, k in zip(noisy, precisions, keys[1:], strict=True)
    )
    mean, *coefficients = _solve(apply, diagonal, right, (state.mean, *state.coefficients))
    return state._replace(mean=mean, coefficients=tuple(coefficients))


def _solve(apply: Callable[[Trees], Trees], diagonal: Trees, right: Trees, start: Trees) -> Trees:
    """Conjugate gradients, the diagonal as preconditioner."""

    def dot(a: Trees, b: Trees) -> jax.Array:
        return jnp.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()

    def add(a: Trees, factor: jax.Array, b: Trees) -> Trees:
        return tuple(x + factor * y for x, y in zip(a, b, strict=True))

    def conditioned(a: Trees) -> Trees:
        return tuple(x / d for x, d in zip(a, diagonal, strict=True))

    Now = tuple[Trees, Trees, Trees, jax.Array, jax.Array]

    def unfinished(now: Now) -> jax.Array:
        return (now[3] > TOLERANCE**2) & (now[4] < MOST_ITERATIONS)

    def iterate(now: Now) -> Now:
        x, residual, direction, norm, i = now
        image = apply(direction)
        step = norm / dot(direction, image)
        residual = add(residual, -step, image)
        preconditioned = conditioned(residual)
        new = dot(residual, preconditioned)
        return add(x, step, direction), residual, add(preconditioned, new / norm, direction), new, i + 1

    residual = add(right, jnp.asarray(-1.0), apply(start))
    first = conditioned(residual)
    begin = (start, residual, first, dot(residual, first), jnp.asarray(0))
    return jax.lax.while_loop(unfinished, iterate, begin)[0]
