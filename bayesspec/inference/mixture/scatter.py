"""Engine of the composition mixture whose phases scatter from pixel to pixel.

Within phase k the log shares are u[k, :] + l[k, :] t, with a position t ~ N(0, 1) of each pixel along the phase's
direction l[k, :]. The position is integrated out by the trapezoid rule over four standard deviations on either
side, which converges faster than any power of the spacing; the number of nodes follows from the counts and the
scatter, so that no node is further from the next than the likelihood is wide. With the nodes t[q] and weights w[q] a
pixel has the terms

    t[n, k, q] = log pi[n, k] + log w[q] + y[n, :] . log softmax(u[k, :] + l[k, :] t[q]),

so the model is a mixture whose components are tied, and the score of its marginal likelihood is the mean of the
complete-data score over the responsibilities of phases and nodes. Without scatter it is the plain mixture.

The climb takes steps by the scores' own scatter, sum_n g[n] g[n]T, in place of the observed information, to which it
is equal on average where the model holds: no second derivatives are needed.

Source: Trefethen and Weideman (2014), doi:10.1137/130932132, section 5, for the rule; Berndt, Hall, Hall and Hausman,
Annals of Economic and Social Measurement 3 (1974) 653, for the steps.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import logsumexp

from bayesspec.inference.mixture.log_joint import WEIGHT_SCALE, Pixels, log_multinomial, log_weights

REACH = 4.0
"""Standard deviations on either side over which a pixel's position is integrated out."""
SCATTER_SCALE = 0.3
"""Standard deviation of the normal prior of the scatter, log ratio."""


class Scattered(NamedTuple):
    """Log shares (phase, channel), directions of scatter (phase, channel), weights (phase, coefficient)."""

    log_shares: Array
    scatter: Array
    weights: Array


class Climb(NamedTuple):
    """Where the climb stands: parameters, log posterior, steps, expected gain of a further step."""

    parameters: Scattered
    log_posterior: Array
    iterations: Array
    gain: Array


def nodes(number: int) -> tuple[Array, Array]:
    """Positions and log weights of the trapezoid rule for a standard normal: each (node,)."""
    at = jnp.linspace(-REACH, REACH, number)
    log_weight = -0.5 * jnp.square(at)
    return at, log_weight - logsumexp(log_weight)


def node_terms(parameters: Scattered, pixels: Pixels, number: int) -> Array:
    """Log weight plus log likelihood of each pixel under each phase at each node: (pixel, phase, node)."""
    at, log_weight = nodes(number)
    log_node = parameters.log_shares[:, None, :] + parameters.scatter[:, None, :] * at[None, :, None]
    log_node = jax.nn.log_softmax(log_node, axis=2).reshape(-1, parameters.log_shares.shape[1])
    active = jnp.ones(len(parameters.log_shares), dtype=bool)
    mixing = log_weights(parameters.weights, pixels, active)
    terms = (pixels.counts @ log_node.T).reshape(mixing.shape[0], mixing.shape[1], number)
    return terms + mixing[:, :, None] + log_weight[None, None, :]


def log_likelihood(parameters: Scattered, pixels: Pixels, number: int) -> Array:
    """Marginal log likelihood of each pixel (pixel,), multinomial coefficient included."""
    return logsumexp(node_terms(parameters, pixels, number), axis=(1, 2)) + log_multinomial(pixels)


def log_prior(parameters: Scattered) -> Array:
    """Log prior in log-ratio space, up to a constant."""
    prior = jax.nn.log_softmax(parameters.log_shares, axis=1).sum()
    prior = prior - 0.5 * jnp.square(parameters.weights / WEIGHT_SCALE).sum()
    return prior - 0.5 * jnp.square(parameters.scatter / SCATTER_SCALE).sum()


def log_posterior(parameters: Scattered, pixels: Pixels, number: int) -> Array:
    """Log posterior density in log-ratio space, up to a constant."""
    return logsumexp(node_terms(parameters, pixels, number), axis=(1, 2)).sum() + log_prior(parameters)


def scores(parameters: Scattered, pixels: Pixels, number: int) -> Array:
    """Gradient of each pixel's marginal log likelihood: (pixel, parameter); log shares, scatter, weights."""
    at, _ = nodes(number)
    terms = node_terms(parameters, pixels, number)
    terms = jnp.exp(terms - logsumexp(terms, axis=(1, 2), keepdims=True))
    log_node = parameters.log_shares[:, None, :] + parameters.scatter[:, None, :] * at[None, :, None]
    share = jax.nn.softmax(log_node, axis=2)
    responsibility, position = terms.sum(axis=2), terms @ at
    expected = jnp.einsum("nkq,kqc->nkc", terms, share)
    moved = jnp.einsum("nkq,kqc->nkc", terms * at[None, None, :], share)
    totals = pixels.totals[:, None, None]
    of_shares = responsibility[:, :, None] * pixels.counts[:, None, :] - totals * expected
    of_scatter = position[:, :, None] * pixels.counts[:, None, :] - totals * moved
    active = jnp.ones(len(parameters.log_shares), dtype=bool)
    weight = jnp.exp(log_weights(parameters.weights, pixels, active))
    of_weights = (responsibility - weight)[:, :, None] * pixels.design[:, None, :]
    rows = pixels.counts.shape[0]
    return jnp.concatenate([part.reshape(rows, -1) for part in (of_shares, of_scatter, of_weights)], axis=1)


def prior_gradient(parameters: Scattered) -> Array:
    """Gradient of the log prior (parameter,)."""
    channels = parameters.log_shares.shape[1]
    shares = 1.0 - channels * jax.nn.softmax(parameters.log_shares, axis=1)
    scatter, weights = parameters.scatter / SCATTER_SCALE**2, parameters.weights / WEIGHT_SCALE**2
    return jnp.concatenate([shares.ravel(), -scatter.ravel(), -weights.ravel()])


def information(parameters: Scattered, own: Array) -> Array:
    """Scatter of the scores plus the prior's; a unit fixes each row of log shares and of scatter up to a constant."""
    phases, channels = parameters.log_shares.shape
    row_sums = jnp.kron(jnp.eye(phases), jnp.ones((channels, channels)))
    composition = jax.nn.softmax(parameters.log_shares, axis=1)
    shares = channels * (
        composition[:, :, None] * jnp.eye(channels)[None] - composition[:, :, None] * composition[:, None]
    )
    of_shares = jnp.einsum("kcd,kl->kcld", shares, jnp.eye(phases)).reshape(phases * channels, -1) + row_sums
    of_scatter = jnp.eye(phases * channels) / SCATTER_SCALE**2 + row_sums
    of_weights = jnp.eye(parameters.weights.size) / WEIGHT_SCALE**2
    return own.T @ own + jax.scipy.linalg.block_diag(of_shares, of_scatter, of_weights)


def moved(parameters: Scattered, step: Array) -> Scattered:
    """Parameters plus a flat step (parameter,)."""
    size = parameters.log_shares.size
    return Scattered(
        parameters.log_shares + step[:size].reshape(parameters.log_shares.shape),
        parameters.scatter + step[size : 2 * size].reshape(parameters.scatter.shape),
        parameters.weights + step[2 * size :].reshape(parameters.weights.shape),
    )


@partial(jax.jit, static_argnames=("number",))
def climb(start: Scattered, pixels: Pixels, *, number: int, tolerance: float | Array, max_steps: int | Array) -> Climb:
    """Climb to the mode of the log posterior, each step halved until the log posterior rises."""

    def iterate(state: Climb) -> Climb:
        own = scores(state.parameters, pixels, number)
        gradient = own.sum(axis=0) + prior_gradient(state.parameters)
        step = jnp.linalg.solve(information(state.parameters, own), gradient)
        gain = 0.5 * gradient @ step
        step = step / jnp.maximum(jnp.abs(step).max(), 1.0)
        needed = state.log_posterior - 1e-13 * jnp.abs(state.log_posterior)

        def halve(trial: tuple[Array, Array]) -> tuple[Array, Array]:
            scale = 0.5 * trial[0]
            return scale, log_posterior(moved(state.parameters, scale * step), pixels, number)

        begin = (jnp.asarray(2.0), needed - 1.0)
        scale, reached = jax.lax.while_loop(lambda t: (t[1] < needed) & (t[0] > 1e-4), halve, begin)
        scale = jnp.where(reached >= needed, scale, 0.0)
        higher = jnp.maximum(reached, state.log_posterior)
        return Climb(
            moved(state.parameters, scale * step), higher, state.iterations + 1, jnp.where(scale > 0, gain, 0.0)
        )

    def unfinished(state: Climb) -> Array:
        return (state.gain > tolerance) & (state.iterations < max_steps)

    begin = Climb(start, log_posterior(start, pixels, number), jnp.asarray(0), jnp.asarray(jnp.inf))
    return jax.lax.while_loop(unfinished, iterate, begin)
