"""Engine of the composition mixture: pixels of one phase, and pixels on the boundary of two.

A pixel has the utilities v[k] = a[k] + sum_j b[j] x[j, k] + a Gumbel variable, one a phase. It is of the phase with the
largest, unless the second comes so near that the difference d is below t(1): then it holds both, the first in the
share f at which t(f) = d, where

    t(f) = w [6 (f - 1/2) + c (q(f) / q(2/3) - 6 (f - 1/2))]

with the normal quantile q, the width w of a boundary (difference of utilities at which the share is two thirds) and
its tail c: 0 where an edge crosses the pixel, 1 for a probe of Gaussian shape. Differences of Gumbel variables are
logistic, so that the probability of every order of the two first and of every interval of d is closed. With pi the
softmax of the systematic utilities, o[k] = log pi[k] / (1 - pi[k]), and logistic s,

    P(k first, l second, t1 < d < t2) = pi[l] / (1 - pi[k]) (s(o[k] - t1) - s(o[k] - t2)).

The shares between 1/2 and 0.994 are cut into five bins, even in q. Within a bin the log likelihood is taken to second
order in the share around the middle m, with slope g and expected curvature -h, and the share spread as a normal of
half the bin's width u: the term is y . log s(m) + u^2 g^2 / 2 (1 + h u^2) - log(1 + h u^2) / 2. Where the highest
likelihood would lie beyond the end of the bin, u |g| > 1 + h u^2, it is that of the end, u |g| - (1 + h u^2) / 2 in
place of the middle term: the likelihood is concave in the share and rises no more than that, so that phases may lie as
far apart as they like. In pixels among whose neighbours the probability r of another phase is small, two
phases are allowed with the probability r^2 / (r^2 + 0.002^2); the rest falls to the first. A width of zero is the
mixture of `log_joint`.

Sources
-------
Gumbel variables and the logit: McFadden (1974), in Zarembka (ed.), Frontiers in Econometrics, 105. Steps by the scores'
own scatter: Berndt, Hall, Hall and Hausman, Annals of Economic and Social Measurement 3 (1974) 653.
"""

from itertools import permutations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln, logsumexp
from scipy.linalg import block_diag
from scipy.special import log_softmax, ndtr, ndtri, softmax

BINS, STEP = 5, 0.5
"""Bins of the shares of a pixel on a boundary, and their width in normal quantiles: shares from 1/2 to 0.994."""
PURE = 0.002
"""Probability of another phase around a pixel below which the pixel holds one phase: `benchmarks/realistic.py`."""
WEIGHT_SCALE = 3.0
"""Standard deviation of the normal priors of intercepts and slopes, as in `models/phase_boundaries.py`."""
EDGE_MEAN = (np.log(0.4), np.log(0.5))
"""Means of the normal priors of log width and log tail of a boundary, as in `models/phase_boundaries.py`."""
EDGE_SCALE = (0.7, 0.7)
"""Their standard deviations."""

ENDS = ndtr(STEP * np.arange(BINS + 1))
"""Shares at the ends of the bins."""
MIDDLES, SPREADS = 0.5 * (ENDS[1:] + ENDS[:-1]), 0.5 * (ENDS[1:] - ENDS[:-1])
"""Shares in the middle of the bins, and half their widths."""
LINEAR = 6.0 * (ENDS - 0.5)
"""The part of t(f) at the ends of the bins that an edge across the pixel has, for a width of 1."""
TAIL = ndtri(ENDS) / ndtri(2.0 / 3.0) - LINEAR
"""What a probe of Gaussian shape adds to it, for a tail of 1."""


class Parameters(NamedTuple):
    """Log shares (phase, channel), intercepts (phase,), slopes (covariate,), and what a boundary is like.

    That is its log width and log tail (2,), or None where every pixel holds one phase.
    """

    log_shares: Array
    intercepts: Array
    slopes: Array
    edge: Array | None


class Pixels(NamedTuple):
    """Counts (pixel, channel), covariates (pixel, covariate, phase), log odds of two phases being allowed (pixel,)."""

    counts: Array
    covariates: Array
    allowed: Array


class Looked(NamedTuple):
    """What the pixels hold.

    Attributes
    ----------
    log_likelihood, pure : Array, (pixel,)
        Log likelihood without multinomial coefficient, and probability that the pixel holds one phase.
    shares : Array, (pixel, phase)
        Posterior mean of the share of each phase.
    components : Array, (component,)
        Responsibilities summed over the pixels with counts.
    pulled : Array, (pixel, parameter)
        Derivative of the log likelihood, or of the posterior mean that was asked for.
    """

    log_likelihood: Array
    pure: Array
    shares: Array
    components: Array
    pulled: Array


def log_odds_allowed(impurity: np.ndarray) -> np.ndarray:
    """Log odds that a pixel may hold two phases, by the probability of another phase around it, of any shape."""
    return 2.0 * np.log((impurity + 1e-9) / PURE)


def thresholds(edge: Array) -> Array:
    """Differences of utilities at the ends of the bins of shares, (bin + 1,)."""
    return jnp.exp(edge[0]) * (jnp.asarray(LINEAR) + jnp.exp(edge[1]) * jnp.asarray(TAIL))


def pair_shares(phases: int) -> np.ndarray:
    """Share of each phase in the middle of the bins of every ordered pair, (pair * bin, phase)."""
    pairs = list(permutations(range(phases), 2))
    shares = np.zeros((len(pairs), BINS, phases))
    for place, (first, second) in enumerate(pairs):
        shares[place, :, first], shares[place, :, second] = MIDDLES, 1.0 - MIDDLES
    return shares.reshape(-1, phases)


def log_component_weights(utilities: Array, allowed: Array, edge: Array) -> Array:
    """Log prior weights of the phases and of the bins of every ordered pair: (phase + pair * bin,)."""
    phases = len(utilities)
    log_weight = jax.nn.log_softmax(utilities)
    others = jnp.where(jnp.eye(phases, dtype=bool), -jnp.inf, log_weight[None])
    log_rest = logsumexp(others, axis=1)
    at = thresholds(edge)
    ahead = (log_weight - log_rest)[:, None] - at[None]
    above, below = jax.nn.log_sigmoid(ahead), jax.nn.log_sigmoid(-ahead)
    log_bin = above[:, :-1] + below[:, 1:] + jnp.log(-jnp.expm1(at[:-1] - at[1:]))[None]
    log_mixed = above[:, 0] + below[:, -1] + jnp.log(-jnp.expm1(at[0] - at[-1]))
    pure = jnp.logaddexp(above[:, -1], log_mixed + jax.nn.log_sigmoid(-allowed))
    first, second = np.array(list(permutations(range(phases), 2))).T
    log_second = log_weight[second] - log_rest[first] + jax.nn.log_sigmoid(allowed)
    return jnp.concatenate([pure, (log_bin[first] + log_second[:, None]).ravel()])


def log_terms(parameters: Parameters, counts: Array, covariates: Array, allowed: Array) -> Array:
    """Log weight plus log likelihood of one pixel under each phase, and each bin of each pair."""
    pure = jax.nn.log_softmax(parameters.log_shares, axis=1) @ counts
    utilities = parameters.intercepts + parameters.slopes @ covariates
    if parameters.edge is None:
        return jax.nn.log_softmax(utilities) + pure
    composition = jax.nn.softmax(parameters.log_shares, axis=1)
    phases = len(composition)
    shares = jnp.asarray(pair_shares(phases)) @ composition
    first, second = np.array(list(permutations(range(phases), 2))).T
    change = jnp.repeat(composition[first] - composition[second], BINS, axis=0)
    spread = jnp.asarray(np.tile(SPREADS, len(first)) ** 2)
    slope, curvature = (change / shares) @ counts, (jnp.square(change) / shares).sum(axis=1) * counts.sum()
    wider = 1.0 + curvature * spread
    reach = jnp.abs(slope) * jnp.sqrt(spread)
    within = jnp.where(reach < wider, 0.5 * jnp.square(slope) * spread / wider, reach - 0.5 * wider)
    pairs = jnp.log(shares) @ counts + within - 0.5 * jnp.log(wider)
    return log_component_weights(utilities, allowed, parameters.edge) + jnp.concatenate([pure, pairs])


def log_likelihood(parameters: Parameters, counts: Array, covariates: Array, allowed: Array) -> Array:
    """Marginal log likelihood of one pixel, without its multinomial coefficient."""
    return logsumexp(log_terms(parameters, counts, covariates, allowed))


def log_prior(parameters: Parameters) -> Array:
    """Log prior in log-ratio space and in the logs of width and tail, normalised but for the compositions."""
    prior = jax.nn.log_softmax(parameters.log_shares, axis=1).sum()
    for part in (parameters.intercepts, parameters.slopes):
        prior = prior + jax.scipy.stats.norm.logpdf(part / WEIGHT_SCALE).sum() - part.size * np.log(WEIGHT_SCALE)
    if parameters.edge is None:
        return prior
    scale = jnp.asarray(EDGE_SCALE)
    from_mean = (parameters.edge - jnp.asarray(EDGE_MEAN)) / scale
    return prior + (jax.scipy.stats.norm.logpdf(from_mean) - jnp.log(scale)).sum()


def log_joint(parameters: Parameters, pixels: Pixels) -> Array:
    """Log density of the model at (composition, intercepts, slopes, width, tail): what NumPyro computes."""
    phases, channels = parameters.log_shares.shape
    each = jax.vmap(log_likelihood, (None, 0, 0, 0))(parameters, *pixels)
    coefficient = gammaln(pixels.counts.sum(axis=1) + 1.0) - gammaln(pixels.counts + 1.0).sum(axis=1)
    jacobian = jax.nn.log_softmax(parameters.log_shares, axis=1).sum()
    jacobian = jacobian if parameters.edge is None else jacobian + parameters.edge.sum()
    return (each + coefficient).sum() + log_prior(parameters) - jacobian + phases * gammaln(float(channels))


@jax.jit
def looked(parameters: Parameters, pixels: Pixels, values: np.ndarray, centred: float) -> Looked:
    """Look at all pixels, and pull values (component,) back to the parameters: one program for scores and slopes.

    With values 1 and `centred` 0 these are the scores, as the derivative of the log likelihood is the mean of those of
    the terms over the responsibilities; with `centred` 1 the derivative of the posterior mean of the values.
    """
    measured = (pixels.counts.sum(axis=1) > 0).astype(pixels.counts.dtype)
    shares = component_shares(parameters)
    phases = shares.shape[1]

    def of_pixel(counts: Array, covariates: Array, allowed: Array) -> tuple[Array, ...]:
        terms, pull = jax.vjp(lambda at: log_terms(at, counts, covariates, allowed), parameters)
        total = logsumexp(terms)
        responsibility = jnp.exp(terms - total)
        slope = pull(responsibility * (values - centred * (responsibility @ values)))[0]
        pulled = jnp.concatenate([part.ravel() for part in slope if part is not None])
        return total, responsibility[:phases].sum(), responsibility @ shares, responsibility, pulled

    total, pure, expected, responsibility, pulled = jax.vmap(of_pixel)(*pixels)
    return Looked(total, pure, expected, measured @ responsibility, pulled)


def prior_derivatives(parameters: Parameters) -> tuple[float, np.ndarray, np.ndarray]:
    """Log prior, its gradient and its information; a unit on each phase's sum of log shares fixes it."""
    log_shares, intercepts, slopes = (np.asarray(part) for part in parameters[:3])
    channels = log_shares.shape[1]
    shares = softmax(log_shares, axis=1)
    sums = log_shares.sum(axis=1, keepdims=True)
    of_shares = [channels * (np.diag(row) - np.outer(row, row)) + 1.0 for row in shares]
    means, scales = [np.zeros(intercepts.size + slopes.size)], [np.full(intercepts.size + slopes.size, WEIGHT_SCALE)]
    at = [intercepts, slopes]
    if parameters.edge is not None:
        means, scales = [*means, np.array(EDGE_MEAN)], [*scales, np.array(EDGE_SCALE)]
        at.append(np.asarray(parameters.edge))
    scale = np.concatenate(scales)
    from_mean = (np.concatenate(at) - np.concatenate(means)) / scale
    value = log_softmax(log_shares, axis=1).sum() - 0.5 * np.square(sums).sum()
    value -= (0.5 * np.square(from_mean) + np.log(scale) + 0.5 * np.log(2.0 * np.pi)).sum()
    gradient = np.concatenate([(1.0 - channels * shares - sums).ravel(), -from_mean / scale])
    return float(value), gradient, block_diag(*of_shares, np.diag(scale**-2.0))


def component_shares(parameters: Parameters) -> np.ndarray:
    """Share of each phase in every component, (component, phase)."""
    phases = len(parameters.intercepts)
    return np.eye(phases) if parameters.edge is None else np.concatenate([np.eye(phases), pair_shares(phases)])
