"""Posterior of the log ratio field by Gibbs sampling with Polya-Gamma weights.

Given a weight of every pixel the field is Gaussian: all splines are drawn at once, by conjugate gradients on a system
with noise on its right side. Amplitude, width and smoothness take Metropolis steps given the coefficients, and again
given the coefficients in units of their standard deviation (interweaving), which mix where the other does not.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.inference.ratio_field.density import (
    State,
    field,
    log_prior_theta,
    log_sds,
)
from bayesspec.inference.ratio_field.geometry import Geometry, geometry
from bayesspec.inference.ratio_field.settings import SETTINGS
from bayesspec.inference.status import Status
from bayesspec.models.ratio_field import MEAN_SD

CHUNK = 20
"""Sweeps in a call of the compiled program: progress is shown, and the fit can be interrupted, after each."""
THIN = 1
"""Sweeps a draw."""
STEPS = 20
"""Metropolis steps of amplitude, width and smoothness in a sweep, each of the two ways."""
STEP_SIZES = np.array([1.0, 0.3, 0.1, 0.03, 0.01])
"""Standard deviations that a Metropolis step chooses among: what the counts tell of theta ranges as widely."""
MOST_ITERATIONS = 200
"""Iterations of the conjugate gradients."""
START = (0.05, 8.0, 1.0)
"""Amplitude, width in pixels, and smoothness at the start."""

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
    warmup: int = SETTINGS.warmup,
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
        return _sample(above, total, key, draws, warmup, progress)


def _sample(
    above: npt.NDArray[np.integer],
    total: npt.NDArray[np.integer],
    key: jax.Array,
    draws: int,
    warmup: int,
    progress: Callable[[int, int], None] | None,
) -> RatioField:
    splines = geometry((total.shape[0], total.shape[1]))
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
    effective = independent_draws(ratio[:, total > 0])
    if not np.isfinite(ratio).all():
        status = Status.DIVERGED
    elif status.ok and effective < SETTINGS.fewest_independent:
        status = Status.FEW_INDEPENDENT_DRAWS
    return RatioField(ratio, theta[:, 0], theta[:, 1], theta[:, 2], effective, status)


def _start(above: float, total: float, splines: Geometry) -> State:
    """A flat field."""
    mean = jnp.asarray(np.log((above + 0.5) / (total - above + 0.5)))
    flat = tuple(jnp.zeros((lv.rows.shape[1], lv.columns.shape[1])) for lv in splines.levels)
    return State(mean, flat, jnp.log(jnp.asarray(START)))


def independent_draws(draws: npt.NDArray[np.floating[Any]]) -> float:
    """Count independent draws: how many the means of four quarters of the chain scatter like.

    Parameters
    ----------
    draws : array (draw, ...)
        Draws in the order of the chain.

    Returns
    -------
    float
        In the mean over the entries, at most the number of draws.
    """
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
    """Sweep; return the state, the field (draw, y, x) float32 and theta (draw, 3) after every `THIN` sweeps."""

    def draw(state: State, key: jax.Array) -> tuple[State, tuple[jax.Array, jax.Array]]:
        for own in jax.random.split(key, THIN):
            state = _sweep(own, state, above, total, splines)
        ratio = field(state.mean, state.coefficients, splines)
        return state, (ratio.astype(jnp.float32), state.theta)

    state, (ratios, thetas) = jax.lax.scan(draw, state, jax.random.split(key, sweeps // THIN))
    return state, ratios, thetas


def _sweep(key: jax.Array, state: State, above: jax.Array, total: jax.Array, splines: Geometry) -> State:
    """Update everything once."""
    keys = jax.random.split(key, 4)
    weights = _weights(keys[0], field(state.mean, state.coefficients, splines), total)
    pull = above - total / 2
    state = _centred_moves(keys[1], state, splines)
    state = _draw_splines(keys[2], state, weights, pull, splines)
    return _scaled_moves(keys[3], state, weights, pull, splines)


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


def _moves(key: jax.Array, start: jax.Array, log_density: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """Metropolis steps of theta, some of its entries at a time, in a size drawn anew."""
    keys = jax.random.split(key, 4)
    shape = (STEPS, *start.shape)
    sizes = jax.random.choice(keys[0], jnp.asarray(STEP_SIZES), (STEPS, 1))
    changes = sizes * jax.random.normal(keys[1], shape, start.dtype)
    changes = jnp.where(jax.random.bernoulli(keys[2], 0.5, shape), changes, 0.0)
    thresholds = jnp.log(jax.random.uniform(keys[3], (STEPS,), start.dtype))

    def step(
        now: tuple[jax.Array, jax.Array], drawn: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        change, threshold = drawn
        new = now[0] + change
        density = log_density(new)
        accept = threshold < density - now[1]
        return (jnp.where(accept, new, now[0]), jnp.where(accept, density, now[1])), None

    return jax.lax.scan(step, (start, log_density(start)), (changes, thresholds))[0][0]


def _centred_moves(key: jax.Array, state: State, splines: Geometry) -> State:
    """Metropolis steps of theta given the coefficients."""
    squares = jnp.stack([(u**2).sum() for u in state.coefficients])
    sizes = jnp.asarray([float(u.size) for u in state.coefficients])

    def log_density(theta: jax.Array) -> jax.Array:
        sds = log_sds(theta, splines)
        return (-sizes * sds - squares * jnp.exp(-2 * sds) / 2).sum() + log_prior_theta(theta, splines)

    return state._replace(theta=_moves(key, state.theta, log_density))


def _scaled_moves(key: jax.Array, state: State, weights: jax.Array, pull: jax.Array, splines: Geometry) -> State:
    """Metropolis steps of theta given coefficients in units of their sd; the mean is integrated out and drawn anew."""
    keys = jax.random.split(key, 2)
    sds = log_sds(state.theta, splines)
    levels = zip(state.coefficients, sds, splines.levels, strict=True)
    parts = jnp.stack([(lv.rows @ (u * jnp.exp(-sd)) @ lv.columns.T).ravel() for u, sd, lv in levels])
    w = weights.ravel()
    precision = w.sum() + MEAN_SD**-2
    with_mean = parts @ w
    curvature = (parts * w[None]) @ parts.T - jnp.outer(with_mean, with_mean) / precision
    slope = parts @ pull.ravel() - with_mean * pull.sum() / precision

    def log_density(theta: jax.Array) -> jax.Array:
        scale = jnp.exp(log_sds(theta, splines))
        return slope @ scale - scale @ curvature @ scale / 2 + log_prior_theta(theta, splines)

    theta = _moves(keys[0], state.theta, log_density)
    new = log_sds(theta, splines)
    noise = jax.random.normal(keys[1], (), pull.dtype) / jnp.sqrt(precision)
    mean = (pull.sum() - jnp.exp(new) @ with_mean) / precision + noise
    scaled = tuple(u * jnp.exp(n - o) for u, n, o in zip(state.coefficients, new, sds, strict=True))
    return State(mean, scaled, theta)


def _draw_splines(key: jax.Array, state: State, weights: jax.Array, pull: jax.Array, splines: Geometry) -> State:
    """Draw mean and coefficients of all levels from their Gaussian given the weights: a prior draw, corrected."""
    keys = jax.random.split(key, 2)
    sds = jnp.exp(log_sds(state.theta, splines))
    root = jnp.sqrt(weights)

    def spread(image: jax.Array) -> tuple[jax.Array, Trees]:
        """Prior covariance of mean and coefficients with an image of weights."""
        levels = zip(sds, splines.levels, strict=True)
        return MEAN_SD**2 * image.sum(), tuple(sd**2 * (lv.rows.T @ image @ lv.columns) for sd, lv in levels)

    ends = np.cumsum([u.size for u in state.coefficients])
    noise = jax.random.normal(keys[0], (1 + int(ends[-1]),), pull.dtype)  # at once: each call is compiled anew
    mean, parts = MEAN_SD * noise[0], jnp.split(noise[1:], ends[:-1])
    drawn = tuple(sd * part.reshape(u.shape) for sd, part, u in zip(sds, parts, state.coefficients, strict=True))
    seen = jnp.where(weights > 0, pull / jnp.where(weights > 0, root, 1.0), 0.0)
    right = seen - root * field(mean, drawn, splines) - jax.random.normal(keys[1], pull.shape, pull.dtype)
    pixels = (weights > 0).sum(dtype=weights.dtype)
    solved = _solve(
        lambda v: v + root * field(*spread(root * v), splines),
        _preconditioner(sds, weights.sum() / pixels, splines),
        right,
    )
    more_mean, more = spread(root * solved)
    return state._replace(mean=mean + more_mean, coefficients=tuple(a + b for a, b in zip(drawn, more, strict=True)))


def _preconditioner(sds: jax.Array, weight: jax.Array, splines: Geometry) -> Callable[[jax.Array], jax.Array]:
    """Inverse of the system for even weights, nearly diagonal in cosines."""
    levels = zip(sds, splines.levels, strict=True)
    each = [sd**2 * lv.row_power[:, None] * lv.column_power[None] for sd, lv in levels]
    variances: jax.Array = functools.reduce(jnp.add, each)
    variances = variances.at[0, 0].add(MEAN_SD**2 * variances.size)
    rows, columns = splines.row_cosines, splines.column_cosines
    factors = 1 / (1 + weight * variances)
    return lambda image: jnp.asarray(rows.T @ (factors * (rows @ image @ columns.T)) @ columns)


def _solve(
    apply: Callable[[jax.Array], jax.Array], precondition: Callable[[jax.Array], jax.Array], right: jax.Array
) -> jax.Array:
    """Preconditioned conjugate gradients."""
    Now = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]

    def unfinished(now: Now) -> jax.Array:
        return ((now[1] ** 2).sum() > SETTINGS.residual**2) & (now[4] < MOST_ITERATIONS)

    def iterate(now: Now) -> Now:
        x, residual, direction, norm, i = now
        image = apply(direction)
        step = norm / (direction * image).sum()
        residual = residual - step * image
        new_direction = precondition(residual)
        new = (residual * new_direction).sum()
        return x + step * direction, residual, new_direction + new / norm * direction, new, i + 1

    first = precondition(right)
    begin = (jnp.zeros_like(right), right, first, (right * first).sum(), jnp.asarray(0))
    return jax.lax.while_loop(unfinished, iterate, begin)[0]
