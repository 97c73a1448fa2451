"""Passes over blocks of counts for the Poisson log-normal components: variational steps of the pixels, and sums.

Every pixel has a normal posterior of its scores, with mean m and covariance S. All expectations are closed: with the
loadings v_c of a channel and its mean log counts b_c, E exp(b_c + z v_c) = exp(b_c + m v_c + v_c S v_c / 2). One row of
features (1, m, S) times one matrix of loadings and their products gives all log rates: a pass is matrix products.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Integer

from bayesspec.inference.blocks import product
from bayesspec.inference.newton_proposal import add_diagonal, newton_proposal, pair_products, pairs

LARGEST_LOG = 25.0
"""Bound of log rates while the fit is far from its end."""
STEPS = 2
"""Newton steps of every pixel in one pass."""


class Scores(NamedTuple):
    """Normal posteriors of the scores, one per pixel.

    Parameters
    ----------
    mean : jax.Array (..., component, row), float32
        Means.
    covariance : jax.Array (..., pair, row), float32
        Covariances, packed as `pairs`.
    """

    mean: Float[jax.Array, "*block component row"]
    covariance: Float[jax.Array, "*block pair row"]


class ChannelSums(NamedTuple):
    """What the channels' Newton steps need, summed over the pixels.

    Parameters
    ----------
    observed : jax.Array (1 + component, channel), float32
        Counts times (1, mean score).
    squares : jax.Array (pair of 1 + component, channel), float32
        Rates times products of (1, mean score).
    spread : jax.Array (pair of component, channel), float32
        Rates times score covariances.
    first : jax.Array (component,), float32
        Sum of the mean scores.
    second : jax.Array (pair of component,), float32
        Sum of the second moments of the scores.
    """

    observed: jax.Array
    squares: jax.Array
    spread: jax.Array
    first: jax.Array
    second: jax.Array


def square(size: int) -> npt.NDArray[np.intp]:
    """Where the entries of a square matrix are among the packed pairs.

    Parameters
    ----------
    size : int
        Rows of the matrix.

    Returns
    -------
    numpy.ndarray (row, column), intp
        Places: ``packed[square(size)]`` is the symmetric matrix.
    """
    place = {pair: n for n, pair in enumerate(pairs(size))}
    return np.asarray([[place[max(i, j), min(i, j)] for j in range(size)] for i in range(size)], np.intp)


def _quadratic(loadings: jax.Array) -> jax.Array:
    """Coefficients of the packed covariance in v S v / 2."""
    size = loadings.shape[0]
    halves = jnp.asarray([0.5 if i == j else 1.0 for i, j in pairs(size)], loadings.dtype)
    return pair_products(loadings) * halves[:, None]


def log_rates(scores: Scores, coefficients: Float[jax.Array, "feature channel"]) -> Float[jax.Array, "row channel"]:
    """Logarithms of the expected counts.

    Parameters
    ----------
    scores : Scores, (component, row) and (pair, row)
        Posteriors of the pixels.
    coefficients : jax.Array (1 + component, channel), float32
        Mean log counts, then the loadings.

    Returns
    -------
    jax.Array (row, channel), float32
        log E exp(b + z v), in log counts.
    """
    features = jnp.concatenate([jnp.ones_like(scores.mean[:1]), scores.mean, scores.covariance])
    matrix = jnp.concatenate([coefficients, _quadratic(coefficients[1:])])
    return jnp.minimum(product(features.T, matrix), LARGEST_LOG)


def inverse(factor: dict[tuple[int, int], jax.Array], size: int) -> jax.Array:
    """Invert matrices from their Cholesky factors.

    Parameters
    ----------
    factor : dict of jax.Array (problem,), float
        Lower Cholesky factors by pair.
    size : int
        Rows of each matrix.

    Returns
    -------
    jax.Array (pair, problem), float
        Inverses, packed as `pairs`.
    """
    low: dict[tuple[int, int], jax.Array] = {}
    for j in range(size):
        low[j, j] = 1.0 / factor[j, j]
        for i in range(j + 1, size):
            low[i, j] = -sum(factor[i, k] * low[k, j] for k in range(j, i)) / factor[i, i]
    columns = [jnp.stack([low[k, j] for k in range(j, size)]) for j in range(size)]
    return jnp.stack([(columns[i] * columns[j][i - j :]).sum(axis=0) for i, j in pairs(size)])


def _log_determinant(factor: dict[tuple[int, int], jax.Array], size: int) -> jax.Array:
    return 2.0 * jnp.log(jnp.stack([factor[i, i] for i in range(size)])).sum(axis=0)


def _step(scores: Scores, pull: jax.Array, coefficients: jax.Array) -> tuple[Scores, jax.Array]:
    """One Newton step of every pixel; also the log determinant of the new covariance."""
    loadings, size = coefficients[1:], coefficients.shape[0] - 1
    back = product(jnp.concatenate([loadings, pair_products(loadings)]), jnp.exp(log_rates(scores, coefficients)).T)
    precision = add_diagonal(back[size:], jnp.ones((size, 1), back.dtype))
    found = newton_proposal(pull - back[:size] - scores.mean, precision)
    moved = Scores(scores.mean + jnp.stack(found.step), inverse(found.factor, size))
    return moved, -_log_determinant(found.factor, size)


def _moved(scores: Scores, transform: jax.Array, shift: jax.Array) -> Scores:
    """Scores on new axes: transform (z - shift)."""
    size = shift.shape[0]
    mean = product(transform, scores.mean - shift[:, None])
    place = {pair: n for n, pair in enumerate(pairs(size))}
    full = jnp.stack(
        [scores.covariance[jnp.asarray([place[max(i, j), min(i, j)] for j in range(size)])] for i in range(size)]
    )
    turned = jnp.einsum("ij,jkr,lk->ilr", transform, full, transform, precision=jax.lax.Precision.HIGHEST)
    return Scores(mean, jnp.stack([turned[i, j] for i, j in pairs(size)]))


@jax.jit
def sweep(
    counts: Integer[jax.Array, "block row channel"],
    real: Float[jax.Array, "block row"],
    scores: Scores,
    coefficients: Float[jax.Array, "feature channel"],
    transform: Float[jax.Array, "component component"],
    shift: Float[jax.Array, " component"],
) -> tuple[Scores, Float[jax.Array, "block row"], ChannelSums]:
    """Move all pixels' posteriors, and sum what the channels need.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    real : jax.Array (block, row), float32
        One for pixels, zero for the filling.
    scores : Scores, (block, component, row) and (block, pair, row)
        Posteriors on the axes before `transform`.
    coefficients : jax.Array (1 + component, channel), float32
        Mean log counts and loadings, on the new axes.
    transform : jax.Array (component, component), float32
        New axes: z becomes transform (z - shift).
    shift : jax.Array (component,), float32
        See `transform`.

    Returns
    -------
    scores : Scores
        Posteriors after the Newton steps.
    bounds : jax.Array (block, row), float32
        Bound of the log likelihood of each pixel without the term log x!, in nats; zero in the filling.
    sums : ChannelSums
        Sums for the channels.
    """

    def visit(total: ChannelSums, block: tuple[jax.Array, ...]) -> tuple[ChannelSums, tuple[Scores, jax.Array]]:
        x, use, here = block[0].astype(jnp.float32), block[1], Scores(block[2], block[3])
        here = _moved(here, transform, shift)
        pull = product(coefficients, x.T)
        for _ in range(STEPS):
            here, log_det = _step(here, pull[1:], coefficients)
        rates = jnp.exp(log_rates(here, coefficients)) * use[:, None]
        one = jnp.concatenate([jnp.ones_like(here.mean[:1]), here.mean])
        fitted = (one * pull).sum(axis=0) - rates.sum(axis=1)
        size = here.mean.shape[0]
        own = jnp.asarray([i * (i + 1) // 2 + i for i in range(size)])
        spread = here.covariance[own].sum(axis=0) + jnp.square(here.mean).sum(axis=0)
        bound = (fitted - 0.5 * (spread - log_det - jnp.float32(size))) * use
        products = pair_products(one)
        sums = ChannelSums(
            product(one * use[None], x),
            product(products, rates),
            product(here.covariance, rates),
            (here.mean * use[None]).sum(axis=1),
            ((pair_products(here.mean) + here.covariance) * use[None]).sum(axis=1),
        )
        return jax.tree.map(jnp.add, total, sums), (here, bound)

    size, channels = shift.shape[0], counts.shape[2]
    start = ChannelSums(
        jnp.zeros((size + 1, channels), jnp.float32),
        jnp.zeros((len(pairs(size + 1)), channels), jnp.float32),
        jnp.zeros((len(pairs(size)), channels), jnp.float32),
        jnp.zeros(size, jnp.float32),
        jnp.zeros(len(pairs(size)), jnp.float32),
    )
    sums, (moved, bounds) = jax.lax.scan(visit, start, (counts, real, scores.mean, scores.covariance))
    return moved, bounds, sums
