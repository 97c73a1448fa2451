"""Mode of the composition mixture: its log joint, gradient and observed information.

The parameters of phase k are log shares u[k, :], with composition s[k, :] = softmax(u[k, :]), and coefficients
a[k, :] of the log weights. With terms t[n, k] = log pi[n, k] + y[n, :] . log s[k, :] the marginal likelihood of
a pixel is logsumexp_k t[n, k] and its responsibilities are r[n, :] = softmax_k t[n, :]. Given the label k, the
score of pixel n is g[n, k] = (y[n, :] - N[n] s[k, :] for u[k, :], (e_k - pi[n, :]) x[n, :] for a); the score of
the marginal likelihood is its mean over r, and the observed information (Louis) is

    I = sum_n [ E_r(complete-data information) - E_r(g gT) + E_r(g) E_r(g)T ].

The posterior is taken in log-ratio space, so a flat Dirichlet composition contributes its Jacobian
sum_c log s[k, c]: one count more in every channel. All sums run in float64.

Arrays are padded to a fixed number of phases, `active` says which of them exist, so that a path over the number
of phases compiles once. An inactive phase has its prior as posterior and touches nothing else.

Source: Louis (1982), doi:10.1111/j.2517-6161.1982.tb01203.x, equation 3.2.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Bool, Float

WEIGHT_SCALE = 3.0
"""Standard deviation of the normal prior of weights, log odds, as in `models/composition_mixture.py`."""
STRIP = 2**16  # pixels whose derivatives are in memory together


class Pixels(NamedTuple):
    """Counts (pixel, channel), totals (pixel,) and design (pixel, coefficient) with its column of ones."""

    counts: Float[Array, "pixel channel"]
    totals: Float[Array, " pixel"]
    design: Float[Array, "pixel coefficient"]


class Parameters(NamedTuple):
    """Log shares (phase, channel), defined up to a constant a phase, and weights (phase, coefficient)."""

    log_shares: Float[Array, "phase channel"]
    weights: Float[Array, "phase coefficient"]


class Likelihoods(NamedTuple):
    """Log composition (phase, channel), responsibilities (pixel, phase), log likelihood (pixel,) up to a constant."""

    log_composition: Float[Array, "phase channel"]
    responsibilities: Float[Array, "pixel phase"]
    pixel_log_likelihood: Float[Array, " pixel"]


def log_weights(
    weights: Float[Array, "phase coefficient"], pixels: Pixels, active: Bool[Array, " phase"]
) -> Float[Array, "pixel phase"]:
    """Log mixing weights (pixel, phase); minus infinity for inactive phases."""
    return jax.nn.log_softmax(jnp.where(active[None], pixels.design @ weights.T, -jnp.inf), axis=1)


def log_terms(parameters: Parameters, pixels: Pixels, active: Bool[Array, " phase"]) -> Float[Array, "pixel phase"]:
    """Log weight plus log likelihood of each pixel under each phase, without its multinomial coefficient."""
    log_composition = jax.nn.log_softmax(parameters.log_shares, axis=1)
    return log_weights(parameters.weights, pixels, active) + pixels.counts @ log_composition.T


def log_multinomial(pixels: Pixels) -> Float[Array, " pixel"]:
    """Log multinomial coefficient of each pixel (pixel,)."""
    return gammaln(pixels.totals + 1.0) - gammaln(pixels.counts + 1.0).sum(axis=1)


def log_likelihood(parameters: Parameters, pixels: Pixels, active: Bool[Array, " phase"]) -> Float[Array, " pixel"]:
    """Marginal log likelihood of each pixel (pixel,)."""
    return logsumexp(log_terms(parameters, pixels, active), axis=1) + log_multinomial(pixels)


def log_joint(
    parameters: Parameters, pixels: Pixels, active: Bool[Array, " phase"], weight_scale: float = WEIGHT_SCALE
) -> Float[Array, ""]:
    """Log density of the model at (composition, weights), labels summed out: what NumPyro computes."""
    phases, channels = parameters.log_shares.shape
    flat = phases * gammaln(float(channels))
    weights = jax.scipy.stats.norm.logpdf(parameters.weights / weight_scale).sum()
    weights = weights - parameters.weights.size * jnp.log(weight_scale)
    return log_likelihood(parameters, pixels, active).sum() + flat + weights


def log_posterior(parameters: Parameters, pixels: Pixels, active: Bool[Array, " phase"]) -> Float[Array, ""]:
    """Log posterior density in log-ratio space, up to a constant: what the mode maximises."""
    jacobian = jax.nn.log_softmax(parameters.log_shares, axis=1).sum()
    prior = jacobian - 0.5 * jnp.square(parameters.weights / WEIGHT_SCALE).sum()
    return logsumexp(log_terms(parameters, pixels, active), axis=1).sum() + prior


def scores(parameters: Parameters, pixels: Pixels, active: Bool[Array, " phase"]) -> Float[Array, "pixel parameter"]:
    """Gradient of each pixel's marginal log likelihood: (pixel, parameter), log shares first."""
    responsibility = jax.nn.softmax(log_terms(parameters, pixels, active), axis=1)
    weight = jnp.exp(log_weights(parameters.weights, pixels, active))
    composition = jax.nn.softmax(parameters.log_shares, axis=1)
    expected = pixels.totals[:, None, None] * composition[None]
    of_shares = responsibility[:, :, None] * (pixels.counts[:, None, :] - expected)
    of_weights = (responsibility - weight)[:, :, None] * pixels.design[:, None, :]
    rows = pixels.counts.shape[0]
    return jnp.concatenate([of_shares.reshape(rows, -1), of_weights.reshape(rows, -1)], axis=1)


def prior_gradient(parameters: Parameters) -> Float[Array, " parameter"]:
    """Gradient of the log prior in log-ratio space (parameter,)."""
    channels = parameters.log_shares.shape[1]
    shares = 1.0 - channels * jax.nn.softmax(parameters.log_shares, axis=1)
    return jnp.concatenate([shares.ravel(), -parameters.weights.ravel() / WEIGHT_SCALE**2])


def multinomial_covariance(shares: Float[Array, "row channel"]) -> Float[Array, "row channel channel"]:
    """Diag(s) - s sT for each row s: (row, channel) -> (row, channel, channel)."""
    return shares[:, :, None] * jnp.eye(shares.shape[1])[None] - shares[:, :, None] * shares[:, None, :]


def derivatives(
    parameters: Parameters, pixels: Pixels, active: Bool[Array, " phase"]
) -> tuple[Float[Array, " parameter"], Float[Array, "parameter parameter"]]:
    """Gradient of the log posterior (parameter,) and its observed information (parameter, parameter).

    The log shares of a phase are defined up to a constant; a unit of information on their sum fixes it and
    leaves every log ratio as it is.
    """
    channels = parameters.log_shares.shape[1]
    strips = -(-pixels.counts.shape[0] // STRIP)
    if strips == 1:
        gradient, information = _of_pixels(parameters, pixels, active)
    else:
        each = jax.tree.map(partial(_in_strips, strips=strips), pixels)
        sums = jax.lax.map(lambda strip: _of_pixels(parameters, strip, active), each)
        gradient, information = sums[0].sum(axis=0), sums[1].sum(axis=0)
    shares = channels * multinomial_covariance(jax.nn.softmax(parameters.log_shares, axis=1)) + 1.0
    weights = jnp.eye(parameters.weights.size) / WEIGHT_SCALE**2
    prior = jax.scipy.linalg.block_diag(_block_diagonal(shares), weights)
    return gradient + prior_gradient(parameters), information + prior


def _in_strips(values: Array, strips: int) -> Array:
    """Values (pixel, ...) as (strip, pixel, ...); pixels that fill the last strip have no counts and no design."""
    rows = -(-values.shape[0] // strips)
    fill = [(0, strips * rows - values.shape[0])] + [(0, 0)] * (values.ndim - 1)
    return jnp.pad(values, fill).reshape(strips, rows, *values.shape[1:])


def _of_pixels(parameters: Parameters, pixels: Pixels, active: Array) -> tuple[Array, Array]:
    """Gradient of the log likelihood and its observed information, without what the prior adds."""
    weight = jnp.exp(log_weights(parameters.weights, pixels, active))
    responsibility = jax.nn.softmax(log_terms(parameters, pixels, active), axis=1)
    composition = jax.nn.softmax(parameters.log_shares, axis=1)
    residual = pixels.counts[:, None, :] - pixels.totals[:, None, None] * composition[None]
    score = responsibility[:, :, None] * residual
    gradient = [score.sum(axis=0).ravel(), ((responsibility - weight).T @ pixels.design).ravel()]
    shares, crossed = _of_shares(responsibility, residual, score, pixels)
    own = (responsibility.T @ pixels.totals)[:, None, None] * multinomial_covariance(composition)
    weights = _of_weights(responsibility, weight, pixels.design)
    return jnp.concatenate(gradient), jnp.block([[shares + _block_diagonal(own), crossed], [crossed.T, weights]])


def _of_shares(responsibility: Array, residual: Array, score: Array, pixels: Pixels) -> tuple[Array, Array]:
    """Less the covariance over the labels of the scores of log shares: with each other, and with those of weights."""
    rows, phases, channels = residual.shape
    flat = score.reshape(rows, -1)
    moments = jax.lax.map(lambda pair: pair[0].T @ pair[1], (jnp.moveaxis(score, 1, 0), jnp.moveaxis(residual, 1, 0)))
    alone = flat.T @ pixels.design
    if pixels.design.shape[1] == 1:
        crossed = flat.T @ (responsibility * pixels.design)
    else:
        others = jax.lax.map(lambda of_phase: flat.T @ (of_phase[:, None] * pixels.design), responsibility[:, 1:].T)
        crossed = jnp.concatenate([alone - others.sum(axis=0), *others], axis=1)  # responsibilities sum to one
    return flat.T @ flat - _block_diagonal(moments), crossed - _block_diagonal(alone.reshape(phases, channels, -1))


def _of_weights(responsibility: Array, weight: Array, design: Array) -> Array:
    """Information of the coefficients of the weights: (phase * coefficient, same).

    With r and pi the responsibilities and weights, the block of phases k != l is sum_n (r r - pi pi) x xT; as r and
    pi sum to one over the phases, so the blocks of each row sum to zero.
    """
    phases, coefficients = responsibility.shape[1], design.shape[1]
    own, before = responsibility.T, weight.T
    if coefficients == 1:
        square = jnp.square(design.T)
        pairs = (own * square) @ own.T - (before * square) @ before.T
        return pairs - jnp.diag(pairs.sum(axis=1))

    def of_pair(pair: tuple[Array, Array]) -> Array:
        k, other = pair
        change = own[k] * own[other] - before[k] * before[other]
        return (change[:, None] * design).T @ design

    blocks = jnp.zeros((phases, phases, coefficients, coefficients))
    if phases > 1:
        first, second = jnp.triu_indices(phases, 1)
        pairs = jax.lax.map(of_pair, (first, second))
        blocks = blocks.at[first, second].set(pairs).at[second, first].set(pairs)
    each = jnp.arange(phases)
    blocks = blocks.at[each, each].set(-blocks.sum(axis=1))
    return blocks.transpose(0, 2, 1, 3).reshape(phases * coefficients, -1)


def _block_diagonal(blocks: Array) -> Array:
    """Blocks (block, row, column) along the diagonal of a matrix."""
    number, rows, columns = blocks.shape
    return jnp.einsum("kcd,kl->kcld", blocks, jnp.eye(number)).reshape(number * rows, number * columns)


class Evaluated(NamedTuple):
    """Log posterior, its gradient (parameter,) and observed information (parameter, parameter), and likelihoods."""

    log_posterior: Array
    gradient: Array
    information: Array
    likelihoods: Likelihoods


@jax.jit
def evaluated(parameters: Parameters, pixels: Pixels, active: Array) -> Evaluated:
    """All that a step and a result need at a point: one program for both, in which nothing is computed twice."""
    terms = log_terms(parameters, pixels, active)
    marginal = logsumexp(terms, axis=1)
    log_composition = jax.nn.log_softmax(parameters.log_shares, axis=1)
    found = Likelihoods(log_composition, jnp.exp(terms - marginal[:, None]), marginal)
    return Evaluated(log_posterior(parameters, pixels, active), *derivatives(parameters, pixels, active), found)
