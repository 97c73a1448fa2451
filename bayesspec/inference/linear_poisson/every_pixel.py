"""Non-negative intensities in every pixel, all pixels in one compiled batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Float

import bayesspec.inference.programs  # noqa: F401
from bayesspec.errors import InputError
from bayesspec.image.forked_process import refuse_forked_process
from bayesspec.inference.linear_poisson.settings import SETTINGS

BLOCK = 4096
"""Pixels that are fitted together at most: memory."""
FILLED = 8
"""Pixels of which a block holds a multiple, empty ones among them: programs are compiled for few numbers of pixels."""
STEPS = 8
"""Steps of expectation maximisation between two looks at the gain, about: pairs with extrapolations, and one."""
MOST_STEPS = 160
"""Steps at which the fit ends without having converged."""
FLOOR = 1e-8
"""Counts added to the rate of every bin, so that its logarithm exists."""


@jax.jit
def _climb(
    counts: Float[jax.Array, "block row bin"],
    real: Float[jax.Array, "block row"],
    matrix: Float[jax.Array, "bin column"],
    intensities: Float[jax.Array, "block row column"],
) -> tuple[Float[jax.Array, "block row column"], Float[jax.Array, ""]]:
    """Some steps of expectation maximisation over blocks, and how much the last gained per real pixel (nats)."""
    totals = matrix.sum(axis=0)

    def loss(y: jax.Array, w: jax.Array) -> jax.Array:
        rate = w @ matrix.T + FLOOR
        return (rate - y * jnp.log(rate)).sum(axis=1)

    def step(y: jax.Array, w: jax.Array) -> jax.Array:
        return w * ((y / (w @ matrix.T + FLOOR)) @ matrix) / totals[None]

    def block(pair: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        y, use, w = pair
        for _ in range(STEPS // 2 - 1):
            w = _accelerated(lambda v: step(y, v), lambda v: loss(y, v), w)
        last = step(y, w)
        return last, (jnp.maximum(loss(y, w) - loss(y, last), 0.0) * use).sum() / use.sum()

    moved, gain = jax.lax.map(block, (counts, real, intensities))
    return moved, gain.max()


def _accelerated(
    step: Callable[[jax.Array], jax.Array], loss: Callable[[jax.Array], jax.Array], w: jax.Array
) -> jax.Array:
    """Two steps and the extrapolation along them, pixel by pixel, where it is no worse."""
    first = step(w)
    second = step(first)
    z, r = jnp.sqrt(w), jnp.sqrt(first) - jnp.sqrt(w)
    v = jnp.sqrt(second) - jnp.sqrt(first) - r
    squares = jnp.square(r).sum(axis=1), jnp.square(v).sum(axis=1)
    length = jnp.clip(jnp.sqrt(squares[0] / jnp.maximum(squares[1], 1e-20)), 1.0, 32.0)[:, None]
    ahead = step(jnp.square(z + 2.0 * length * r + jnp.square(length) * v))
    return jnp.where((loss(ahead) <= loss(second))[:, None], ahead, second)


@partial(jax.jit, static_argnames="kept")
def _covariances(
    matrix: Float[jax.Array, "bin column"],
    intensities: Float[jax.Array, "block row column"],
    typical: Float[jax.Array, " bin"],
    kept: int,
) -> Float[jax.Array, "block row {kept} {kept}"]:
    """Inverse expected information of every pixel, for the first columns."""
    columns = matrix.shape[1]
    pairs = (matrix[:, :, None] * matrix[:, None, :]).reshape(matrix.shape[0], -1)

    def block(w: jax.Array) -> jax.Array:
        rate = w @ matrix.T + SETTINGS.prior_counts * typical[None]
        information = ((1.0 / rate) @ pairs).reshape(-1, columns, columns)
        scale = 1.0 / jnp.sqrt(jnp.diagonal(information, axis1=1, axis2=2))
        scaled = information * scale[:, :, None] * scale[:, None, :] + 1e-5 * jnp.eye(columns, dtype=w.dtype)[None]
        lower = jnp.linalg.cholesky(scaled)
        identity = jnp.broadcast_to(jnp.eye(columns, dtype=w.dtype)[None], lower.shape)
        inverse = jax.lax.linalg.triangular_solve(lower, identity, left_side=True, lower=True)
        inverse = (inverse * scale[:, None, :])[:, :, :kept]
        return jnp.einsum("pki,pkj->pij", inverse, inverse)

    return jax.lax.map(block, intensities)


def fit_pixels(
    counts: npt.NDArray[np.number],
    matrix: npt.NDArray[np.float64],
    *,
    kept: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], bool]:
    """Maximise the Poisson likelihood of the intensities in every pixel, none negative.

    Expectation maximisation with squared extrapolation, on all pixels at once.

    Parameters
    ----------
    counts : array, shape (pixel, bin)
        Counts.
    matrix : array, shape (bin, column), float64
        Expected counts per unit of intensity, not negative.
    kept : int or None
        Number of columns, the first ones, whose covariances are wanted; ``None`` for all.
    progress : callable (done, total), optional
        Called now and then.

    Returns
    -------
    intensities : array, shape (pixel, column), float32
        Intensities.
    covariances : array, shape (pixel, kept, kept), float32
        Inverse expected information, one count of the mean spectrum added to the rate, so that a pixel without counts
        has the variance of about one count in place of none.
    converged : bool
        Whether a further step would gain less than `Settings.pixel_gain`, in nats a pixel.

    Raises
    ------
    InputError
        When shapes do not fit, or a column is empty or negative.

    Notes
    -----
    Source: Shepp and Vardi (1982), doi:10.1109/TMI.1982.4307558 (the step); Varadhan and Roland (2008),
    doi:10.1111/j.1467-9469.2007.00585.x, scheme S3.
    """
    _check(counts, matrix)
    refuse_forked_process()
    pixels, columns = len(counts), matrix.shape[1]
    size = min(BLOCK, -(-pixels // FILLED) * FILLED)
    blocks = -(-pixels // size)
    padded = np.zeros((blocks * size, counts.shape[1]), np.float32)
    padded[:pixels] = counts
    scale = matrix.sum(axis=0)
    design = jnp.asarray(matrix / scale, jnp.float32)
    y = jnp.asarray(padded.reshape(blocks, size, -1))
    real = jnp.asarray((np.arange(blocks * size) < pixels).reshape(blocks, size).astype(np.float32))
    mean = padded[:pixels].mean(axis=0, dtype=np.float64)
    start = np.repeat(np.maximum(padded.sum(axis=1), 1e-3)[:, None] / columns, columns, axis=1)
    w = jnp.asarray(start.reshape(blocks, size, columns), jnp.float32)
    done, gain = 0, np.inf
    while gain > SETTINGS.pixel_gain and done < MOST_STEPS:
        w, gained = _climb(y, real, design, w)
        gain, done = float(gained), done + STEPS
        if progress is not None:
            progress(done, MOST_STEPS)
    typical = jnp.asarray((mean + 1e-3 * mean.mean() + 1e-12) / (mean.sum() * 1.001 + 1e-9), jnp.float32)
    n = columns if kept is None else kept
    covariances = np.array(_covariances(design, w, typical, n), np.float32).reshape(blocks * size, n, n)[:pixels]
    covariances /= np.outer(scale[:n], scale[:n])
    intensities = np.asarray(w).reshape(-1, columns)[:pixels] / scale
    return intensities.astype(np.float32), covariances, gain <= SETTINGS.pixel_gain


def _check(counts: npt.NDArray[np.number], matrix: npt.NDArray[np.float64]) -> None:
    if counts.ndim != 2 or matrix.ndim != 2 or counts.shape[1] != len(matrix) or not len(counts):
        raise InputError(
            f"counts of shape {counts.shape} and a matrix of shape {matrix.shape}",
            "counts (pixel, bin) and a matrix (bin, column)",
            "fit_pixels(counts, matrix)",
        )
    if (matrix < 0).any() or not (matrix.sum(axis=0) > 0).all():
        raise InputError("a column that is negative or empty", "columns with counts", "leave the column out")
