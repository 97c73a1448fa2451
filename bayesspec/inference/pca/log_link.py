"""Principal components of Poisson counts under the log link: a variational fit with closed-form expectations.

Sweeps of Newton steps go over the pixels and over the channels in turn. After each sweep the axes of the scores are
chosen so that the scores have mean zero, unit variance and uncorrelated loadings, which is where the model's own
standard normal wants them: this takes the place of thousands of small steps (parameter expansion).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Integer

from bayesspec.image.counts import CountBlocks, Counts
from bayesspec.inference.blocks import check_rank
from bayesspec.inference.newton_proposal import Proposal, add_diagonal, newton_proposal, pairs
from bayesspec.inference.pca.blocks import ChannelSums, Scores, inverse, square, sweep
from bayesspec.inference.pca.settings import SETTINGS
from bayesspec.inference.status import Status
from bayesspec.models.poisson_pca import MEAN_SD, RELEVANCE_RANGE

MOST_ROWS = 4096
"""Rows to which the pixels are added for the start."""
HALF = 0.5
"""Counts added to each channel's sum for the start, so that the logarithm of its mean exists."""
Progress = Callable[[int, int], None]
"""Called with the number of sweeps done and the most there can be."""
WINDOW = 3
"""Sweeps over which the rise of the bound is measured."""

# Newton steps of the channels of the Poisson log-normal components, and the covariances of their coefficients


def _prior_precision(relevance: jax.Array) -> jax.Array:
    """Prior precisions of mean log counts and loadings, (1 + component,)."""
    return jnp.concatenate([jnp.full(1, MEAN_SD**-2, relevance.dtype), relevance**-2])


def _newton(sums: ChannelSums, coefficients: jax.Array, relevance: jax.Array) -> Proposal:
    """Gradient and curvature in each channel.

    The rate-weighted moments of 1 and m + S v are exact in the gradient; in the curvature S is replaced by its
    rate-weighted mean where it multiplies v.
    """
    size = coefficients.shape[0]
    squares, spread = sums.squares[square(size)], sums.spread[square(size - 1)]
    tilt = jnp.einsum("ijc,jc->ic", spread, coefficients[1:], precision=jax.lax.Precision.HIGHEST)
    precision = _prior_precision(relevance)
    slope = squares[0].at[1:].add(tilt)
    gradient = sums.observed - slope - precision[:, None] * coefficients
    total = jnp.maximum(squares[0, 0], 1e-20)
    lean = jnp.concatenate([jnp.zeros_like(total)[None], tilt / total[None]])
    curvature = squares + squares[0][:, None] * lean[None] + lean[:, None] * squares[0][None]
    curvature = curvature + total[None, None] * lean[:, None] * lean[None]
    curvature = curvature.at[1:, 1:].add(spread) + (jnp.eye(size, dtype=total.dtype) * precision[None])[:, :, None]
    packed = jnp.stack([curvature[i, j] for i, j in pairs(size)])
    return newton_proposal(gradient, packed)


@jax.jit
def channel_step(
    sums: ChannelSums, coefficients: Float[jax.Array, "feature channel"], relevance: Float[jax.Array, " component"]
) -> tuple[Float[jax.Array, "feature channel"], Float[jax.Array, "pair channel"]]:
    """One Newton step of all channels.

    Parameters
    ----------
    sums : ChannelSums
        Sums over the pixels at these coefficients.
    coefficients : jax.Array (1 + component, channel), float32
        Mean log counts and loadings.
    relevance : jax.Array (component,), float32
        Prior standard deviations of the loadings.

    Returns
    -------
    coefficients : jax.Array (1 + component, channel), float32
        After the step.
    covariance : jax.Array (pair of 1 + component, channel), float32
        Covariance of each channel's coefficients given the scores' posterior.
    """
    found = _newton(sums, coefficients, relevance)
    # the scores' own uncertainty carries no information on the channel: the moments of their means do
    information = add_diagonal(sums.squares, _prior_precision(relevance)[:, None])
    known = newton_proposal(jnp.zeros_like(coefficients), information)
    return coefficients + jnp.stack(found.step), inverse(known.factor, coefficients.shape[0])


def log_prior(
    coefficients: Float[jax.Array, "feature channel"], relevance: Float[jax.Array, " component"]
) -> Float[jax.Array, ""]:
    """Log prior density of the coefficients given the relevance, and of the logarithm of the relevance.

    Parameters
    ----------
    coefficients : jax.Array (1 + component, channel), float32
        Mean log counts and loadings.
    relevance : jax.Array (component,), float32
        Prior standard deviations of the loadings.

    Returns
    -------
    jax.Array (), float32
        In nats, without the constant of the log-uniform prior.
    """
    precision = _prior_precision(relevance)[:, None]
    terms = 0.5 * jnp.log(precision / (2.0 * jnp.pi)) - 0.5 * precision * jnp.square(coefficients)
    return terms.sum()


# Where the fit of the Poisson log-normal components starts: a decomposition weighted for Poisson noise


def starting_coefficients(
    counts: Integer[npt.NDArray[Any], "pixel channel"], rank: int
) -> Float[npt.NDArray[np.float64], "{rank}+1 channel"]:
    """Mean log counts, and loadings whose squared length is the variance that the counts show beyond their noise.

    Parameters
    ----------
    counts : numpy.ndarray (pixel, channel), unsigned integer
        Counts.
    rank : int
        Number of components.

    Returns
    -------
    numpy.ndarray (1 + component, channel), float64
        Mean log counts, then orthogonal loadings, in log counts.
    """
    mean = (counts.sum(axis=0, dtype=np.float64) + HALF) / len(counts)
    run = -(-len(counts) // MOST_ROWS)
    merged = np.add.reduceat(counts, np.arange(0, len(counts), run), axis=0, dtype=np.float64)
    expected = np.minimum(run, len(counts) - np.arange(0, len(counts), run))[:, None] * mean
    whitened = (merged - expected) / np.sqrt(expected)
    values, vectors = np.linalg.eigh(whitened.T @ whitened / len(merged))
    order = np.argsort(-values)[:rank]
    beyond = np.sqrt(np.maximum(values[order] - 1.0, 0.05) / run)
    relative = vectors[:, order].T * beyond[:, None] / np.sqrt(mean)
    # a relative change of rates is a log for small changes only: large ones are drawn in
    loadings = np.sign(relative) * np.log1p(np.abs(relative))
    return np.concatenate([(np.log(mean) - 0.5 * np.square(loadings).sum(axis=0))[None], loadings])


@dataclass(frozen=True)
class PcaFit:
    """Principal components of the log rates, in the orthonormal form, with their posterior.

    Parameters
    ----------
    mean_log : numpy.ndarray (channel,), float32
        Mean of the log rates, in log counts.
    components : numpy.ndarray (component, channel), float32
        Orthonormal rows, the largest variance of the scores first.
    scores : numpy.ndarray (pixel, component), float32
        Posterior means, in log counts; over the pixels uncorrelated, with mean zero.
    score_covariance : numpy.ndarray (pixel, component, component), float32
        Posterior covariances.
    channel_covariance : numpy.ndarray (channel, 1 + component, 1 + component), float32
        Covariances of mean and components of each channel.
    relevance : numpy.ndarray (component,), float32
        Root-mean-square of a component's part in the log rates over all entries.
    bound : float
        Lower bound of the log likelihood less log x!, with the log prior of the loadings, in nats.
    history : tuple of float
        The bound after each sweep.
    status : Status
        How the fit ended.
    """

    mean_log: npt.NDArray[np.float32]
    components: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    score_covariance: npt.NDArray[np.float32]
    channel_covariance: npt.NDArray[np.float32]
    relevance: npt.NDArray[np.float32]
    bound: float
    history: tuple[float, ...]
    status: Status


class _Axes(NamedTuple):
    """New axes of the scores: transform (z - shift)."""

    transform: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]


class _State(NamedTuple):
    scores: Scores
    coefficients: npt.NDArray[np.float64]
    relevance: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]
    axes: _Axes


def fit_pca(
    counts: npt.ArrayLike | Counts,
    rank: int,
    *,
    tolerance: float | None = None,
    max_iterations: int = 200,
    progress: Progress | None = None,
) -> PcaFit:
    """Fit the Poisson log-normal components.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        Counts.
    rank : int
        Number of components beside the mean.
    tolerance : float, optional
        Stop when the bound rises by less than this part of itself in three sweeps; `Settings.bound_rise` if None.
    max_iterations : int
        Most sweeps.
    progress : callable (done, total), optional
        Called after each sweep.

    Returns
    -------
    PcaFit
        The components and their posterior.

    Raises
    ------
    InputError
        When the counts or the rank cannot be used.

    Notes
    -----
    Source: Chiquet, Mariadassou & Robin (2018), doi:10.1214/18-AOAS1177 (the bound); Liu, Rubin & Wu (1998),
    doi:10.1093/biomet/85.4.755 (parameter expansion).
    """
    known = Counts.of(counts)
    check_rank(rank, known.holding, "with counts")
    tolerance = SETTINGS.bound_rise if tolerance is None else tolerance
    blocks, channels = known.blocks, known.shape[1]
    real = jnp.asarray(blocks.split(np.ones((blocks.pixels, 1)))[..., 0])
    coefficients = starting_coefficients(known.matrix, rank)
    state = _State(
        _no_scores(blocks, rank),
        coefficients,
        _bounded(np.sqrt(np.square(coefficients[1:]).mean(axis=1))),
        np.zeros((len(pairs(rank + 1)), channels)),
        _Axes(np.eye(rank), np.zeros(rank)),
    )
    history: list[float] = []
    status = Status.ITERATION_LIMIT
    try:
        while status is Status.ITERATION_LIMIT and len(history) < max_iterations:
            state, bound = _iterate(blocks, real, state)
            history.append(bound)
            status = _judge(history, tolerance)
            if progress is not None:
                progress(len(history), max_iterations)
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    return _canonical(blocks, state, history, status)


def _no_scores(blocks: CountBlocks, rank: int) -> Scores:
    shape = blocks.counts.shape[:2]
    covariance = np.zeros((shape[0], len(pairs(rank)), shape[1]), np.float32)
    covariance[:, [n for n, (i, j) in enumerate(pairs(rank)) if i == j]] = 0.1
    return Scores(jnp.zeros((shape[0], rank, shape[1]), jnp.float32), jnp.asarray(covariance))


def _single(values: npt.ArrayLike) -> jax.Array:
    return jnp.asarray(np.asarray(values, np.float32))


def _iterate(blocks: CountBlocks, real: jax.Array, state: _State) -> tuple[_State, float]:
    """One sweep over the pixels, one step of the channels, new axes; the bound between the two."""
    coefficients, relevance = _single(state.coefficients), _single(state.relevance)
    transform, shift = _single(state.axes.transform), _single(state.axes.shift)
    scores, bounds, sums = sweep(blocks.counts, real, state.scores, coefficients, transform, shift)
    bound = float(np.asarray(bounds, np.float64).sum()) + float(log_prior(coefficients, relevance))
    stepped, covariance = (np.asarray(a, np.float64) for a in channel_step(sums, coefficients, relevance))
    own = [n for n, (i, j) in enumerate(pairs(len(stepped))) if i == j and i > 0]
    spread = np.square(stepped[1:]) + covariance[own]
    turned, axes = _new_axes(stepped, sums, blocks.pixels)
    learned = np.sqrt(np.square(turned[1:]).mean(axis=1) * spread.sum() / np.square(stepped[1:]).sum())
    return _State(scores, turned, _bounded(learned), covariance, axes), bound


def _bounded(relevance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.clip(relevance, *RELEVANCE_RANGE)


def _new_axes(
    coefficients: npt.NDArray[np.float64], sums: ChannelSums, pixels: int
) -> tuple[npt.NDArray[np.float64], _Axes]:
    """Scores of mean zero and unit covariance, loadings orthogonal: the same rates on other axes."""
    size = len(coefficients) - 1
    shift = np.asarray(sums.first, np.float64) / pixels
    moment = np.asarray(sums.second, np.float64)[square(size)] / pixels - np.outer(shift, shift)
    root = np.linalg.cholesky(moment + 1e-9 * np.eye(size))
    spread = root.T @ coefficients[1:]
    turn = np.linalg.svd(spread, full_matrices=False)[0]
    turned = np.concatenate([(coefficients[0] + shift @ coefficients[1:])[None], turn.T @ spread])
    return turned, _Axes(turn.T @ np.linalg.inv(root), shift)


def _judge(history: list[float], tolerance: float) -> Status:
    """Say whether the bound has nearly stopped to rise."""
    if not np.isfinite(history[-1]):
        return Status.DIVERGED
    if len(history) > WINDOW and abs(history[-1] - history[-1 - WINDOW]) <= tolerance * abs(history[-1]):
        return Status.CONVERGED
    return Status.ITERATION_LIMIT


def _join(blocked: jax.Array, pixels: int) -> npt.NDArray[np.float64]:
    """(block, value, row) to (pixel, value)."""
    whole = np.asarray(blocked, np.float64)
    return np.moveaxis(whole, 1, 2).reshape(-1, whole.shape[1])[:pixels]


def _canonical(blocks: CountBlocks, state: _State, history: list[float], status: Status) -> PcaFit:
    """Orthonormal components; scores carry the scale."""
    rank = len(state.coefficients) - 1
    lengths = np.linalg.norm(state.coefficients[1:], axis=1)
    safe = np.maximum(lengths, 1e-12)
    move = np.diag(safe) @ state.axes.transform
    scores = (_join(state.scores.mean, blocks.pixels) - state.axes.shift) @ move.T
    covariance = _join(state.scores.covariance, blocks.pixels)[:, square(rank)]
    covariance = np.einsum("ij,pjk,lk->pil", move, covariance, move)
    components = state.coefficients[1:] / safe[:, None]
    back = np.eye(rank + 1)
    back[1:, 1:] = np.linalg.inv(move).T
    back[0, 1:] = state.axes.shift
    channel = state.covariance.T[:, square(rank + 1)]
    channel = np.einsum("ij,cjk,lk->cil", back, channel, back)
    upright = np.sign(components[np.arange(rank), np.abs(components).argmax(axis=1)])
    signs = np.append(1.0, upright)
    covariance *= upright[:, None] * upright
    channel *= signs[:, None] * signs
    return PcaFit(
        mean_log=state.coefficients[0].astype(np.float32),
        components=(components * upright[:, None]).astype(np.float32),
        scores=(scores * upright).astype(np.float32),
        score_covariance=covariance.astype(np.float32),
        channel_covariance=channel.astype(np.float32),
        relevance=(lengths / np.sqrt(components.shape[1])).astype(np.float32),
        bound=history[-1] if history else float("nan"),
        history=tuple(history),
        status=status,
    )
