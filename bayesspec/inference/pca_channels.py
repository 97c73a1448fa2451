"""Newton steps of the channels of the Poisson log-normal components, and the covariances of their coefficients."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bayesspec.inference.newton_proposal import Proposal, add_diagonal, newton_proposal, pairs
from bayesspec.inference.pca_blocks import ChannelSums, inverse, square
from bayesspec.models.poisson_pca import MEAN_SD


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
def channel_step(sums: ChannelSums, coefficients: jax.Array, relevance: jax.Array) -> tuple[jax.Array, jax.Array]:
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


def log_prior(coefficients: jax.Array, relevance: jax.Array) -> jax.Array:
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
