"""Components that add up, with Poisson weights: least squares weighted by the rates, scores that know their neighbours.

The rate of a count is r = a_p h_c. Scores a and loadings h are found in turn, each by weighted least squares with
the variances r of the counts, under normal priors that are learned: the loadings' is their relevance, the scores' the
power spectrum of their maps, which says how much a pixel's neighbours know about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Integer

from bayesspec.image.counts import CountBlocks, Counts
from bayesspec.inference.blocks import check_rank, product
from bayesspec.inference.newton_proposal import pair_products, pairs
from bayesspec.inference.pca.blocks import square
from bayesspec.inference.pca.score_maps import smooth_scores
from bayesspec.inference.pca.settings import SETTINGS
from bayesspec.inference.status import Status

Array = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]
FLOOR = 0.1
"""Least rate, over that of the mean spectrum, that enters a weight."""
SWEEPS = 8
"""Sweeps over scores and loadings at most."""


@dataclass(frozen=True)
class LinearFit:
    """Scores and loadings with their posterior covariances.

    Parameters
    ----------
    loadings : numpy.ndarray (component, channel), float64
        Orthogonal in units of the noise, the strongest first.
    channel_covariance : numpy.ndarray (channel, component, component), float64
        Covariances of the loadings of each channel.
    scores : numpy.ndarray (pixel, component), float64
        Posterior means; scores times loadings are counts.
    score_covariance : numpy.ndarray (pixel, component, component), float64
        Posterior covariances.
    status : Status
        How the fit ended.
    """

    loadings: Array
    channel_covariance: Array
    scores: Array
    score_covariance: Array
    status: Status


@jax.jit
def _pixel_sums(
    counts: Integer[jax.Array, "block row channel"],
    scores: Float[jax.Array, "block component row"],
    dose: Float[jax.Array, "block row"],
    loadings: Float[jax.Array, "component channel"],
    shares: Float[jax.Array, " channel"],
) -> tuple[Float[jax.Array, "block pair row"], Float[jax.Array, "block component row"]]:
    """Information (block, pair, row) and weighted counts (block, component, row) of every pixel."""

    def visit(_: None, block: tuple[jax.Array, ...]) -> tuple[None, tuple[jax.Array, jax.Array]]:
        x, a, d = block
        weight = 1.0 / jnp.maximum(product(a.T, loadings), FLOOR * d[:, None] * shares[None])
        return None, (
            product(pair_products(loadings), weight.T),
            product(loadings, (x.astype(jnp.float32) * weight).T),
        )

    return jax.lax.scan(visit, None, (counts, scores, dose))[1]


@jax.jit
def _channel_sums(
    counts: Integer[jax.Array, "block row channel"],
    scores: Float[jax.Array, "block component row"],
    moments: Float[jax.Array, "block pair row"],
    dose: Float[jax.Array, "block row"],
    loadings: Float[jax.Array, "component channel"],
    shares: Float[jax.Array, " channel"],
) -> tuple[Float[jax.Array, "pair channel"], Float[jax.Array, "component channel"]]:
    """Information (pair, channel) and weighted counts (component, channel) of every channel."""

    def visit(total: tuple[jax.Array, jax.Array], block: tuple[jax.Array, ...]) -> tuple[Any, None]:
        x, a, m, d = block
        weight = 1.0 / jnp.maximum(product(a.T, loadings), FLOOR * d[:, None] * shares[None])
        weight = jnp.where(d[:, None] > 0, weight, 0.0)
        return (total[0] + product(m, weight), total[1] + product(a, x.astype(jnp.float32) * weight)), None

    start = (jnp.zeros((moments.shape[1], counts.shape[2])), jnp.zeros((scores.shape[1], counts.shape[2])))
    return jax.lax.scan(visit, jax.tree.map(jnp.float32, start), (counts, scores, moments, dose))[0]


def _split(blocks: CountBlocks, values: Array) -> jax.Array:
    """(pixel, value) to (block, value, row)."""
    return jnp.moveaxis(blocks.split(values), 1, 2)


def _join(blocks: CountBlocks, values: jax.Array) -> Array:
    return blocks.join(jnp.moveaxis(values, 1, 2)).astype(np.float64)


def _packed(full: Array) -> Array:
    rows, columns = (np.asarray(part) for part in zip(*pairs(full.shape[1]), strict=True))
    return full[:, rows, columns]


def _start(matrix: npt.NDArray[Any], rank: int) -> tuple[Array, Array]:
    """Weighted singular vectors: scores (pixel, component), loadings (component, channel)."""
    pixel = np.maximum(matrix.sum(axis=1, dtype=np.float64), 0.5)
    channel = np.maximum(matrix.sum(axis=0, dtype=np.float64), 0.5)
    down, across = np.sqrt(pixel), np.sqrt(channel / channel.sum())
    gram = np.zeros((matrix.shape[1], matrix.shape[1]))
    for rows in np.array_split(np.arange(len(matrix)), max(1, matrix.size // 4_000_000)):
        part = matrix[rows] / down[rows, None] / across
        gram += part.T @ part
    vectors = np.linalg.eigh(gram)[1][:, ::-1][:, :rank]
    loadings = vectors.T * across
    return matrix @ (vectors / across[:, None]), loadings


def fit_linear(
    counts: npt.ArrayLike | Counts, rank: int, *, neighbours: bool = False, progress: Progress | None = None
) -> LinearFit:
    """Fit components that add up.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        Counts.
    rank : int
        Number of components, the mean among them.
    neighbours : bool
        Whether the neighbours of a pixel in the image say something about it; else every pixel speaks for itself.
    progress : callable (done, total), optional
        Called after each sweep.

    Returns
    -------
    LinearFit
        Scores, loadings and their covariances.

    Raises
    ------
    InputError
        When the counts or the rank cannot be used.

    Notes
    -----
    Source: Keenan & Kotula (2004), doi:10.1002/sia.1657 (weights); Tipping & Bishop (1999),
    doi:10.1111/1467-9868.00196 (the posterior of the scores).
    """
    known = Counts.of(counts)
    matrix, blocks, valid = known.matrix, known.blocks, known.valid if neighbours else None
    check_rank(rank, known.holding, "with counts")
    scores, loadings = _start(matrix, rank)
    totals = np.maximum(matrix.sum(axis=1, dtype=np.float64), 0.5)
    channel = np.maximum(matrix.sum(axis=0, dtype=np.float64), 0.5)
    shares = jnp.asarray((channel / channel.sum()).astype(np.float32))
    # a pixel's own total is as noisy as its counts: the floor of the variances takes the mean beside it
    dose = blocks.split((0.5 * (totals + totals.mean()))[:, None])[..., 0]
    spread = np.zeros((len(matrix), rank, rank))
    status, change = Status.ITERATION_LIMIT, np.inf
    try:
        for sweep in range(SWEEPS):
            h = jnp.asarray(loadings.astype(np.float32))
            information, pull = _pixel_sums(blocks.counts, _split(blocks, scores), dose, h, shares)
            scores, spread = smooth_scores(_join(blocks, information)[:, square(rank)], _join(blocks, pull), valid)
            moments = _packed(scores[:, :, None] * scores[:, None, :] + spread)
            sums = _channel_sums(blocks.counts, _split(blocks, scores), _split(blocks, moments), dose, h, shares)
            before, (loadings, covariance) = loadings, _channels(sums[0], sums[1], rank)
            scores, spread, loadings, covariance = _canonical(scores, spread, loadings, covariance, np.asarray(shares))
            change = _turned(before, loadings, np.asarray(shares, np.float64))
            if progress is not None:
                progress(sweep + 1, SWEEPS)
            if change < SETTINGS.settled_change:
                break
        status = Status.CONVERGED if change < SETTINGS.converged_change else Status.ITERATION_LIMIT
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    return LinearFit(loadings, covariance, scores, spread, status)


def _channels(information: jax.Array, pull: jax.Array, rank: int) -> tuple[Array, Array]:
    """Posterior of the loadings of every channel."""
    full = np.asarray(information, np.float64).T[:, square(rank)]
    covariance = np.linalg.inv(full + 1e-9 * np.trace(full, axis1=1, axis2=2)[:, None, None] * np.eye(rank))
    return np.einsum("cij,jc->ic", covariance, np.asarray(pull, np.float64)), covariance


def _turned(before: Array, after: Array, shares: Array) -> float:
    """Part of the loadings' span that is new."""
    a, b = (np.linalg.qr((h / np.sqrt(shares)).T)[0] for h in (before, after))
    return float(np.sqrt(max(0.0, 1.0 - np.square(a.T @ b).sum() / len(before))))


def _canonical(
    scores: Array, spread: Array, loadings: Array, covariance: Array, shares: npt.NDArray[Any]
) -> tuple[Array, Array, Array, Array]:
    """Turn the axes: loadings orthonormal in units of the noise, scores uncorrelated about zero."""
    root = np.linalg.cholesky((loadings / shares) @ loadings.T)
    turn = np.linalg.svd(scores @ root, full_matrices=False)[2]
    move = turn @ root.T  # new scores = move @ scores
    back = np.linalg.inv(move).T
    upright = np.sign((back @ loadings).sum(axis=1))
    upright[upright == 0] = 1.0
    move, back = upright[:, None] * move, upright[:, None] * back
    return (
        scores @ move.T,
        move @ spread @ move.T,
        back @ loadings,
        back @ covariance @ back.T,
    )
