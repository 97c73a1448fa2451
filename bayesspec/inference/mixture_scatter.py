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
is equal on average where the model holds: no second derivatives are needed (Berndt, Hall, Hall and Hausman 1974).
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray

from bayesspec.inference.mixture_fit import Floats, MixtureFit, MixtureStatus
from bayesspec.inference.mixture_mode import WEIGHT_SCALE, Pixels, log_multinomial, log_weights

REACH = 4.0
NODES = (9, 17, 33, 65, 129, 257)
SCATTER_SCALE = 0.3
START = 0.03
STEPS = 40
TOLERANCE = 1e-3


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


@dataclass(frozen=True, eq=False)
class ScatteredFit(MixtureFit):
    """A mixture with scatter within its phases.

    Parameters
    ----------
    scatter : ndarray of float64, (phase, channel)
        Standard deviation of the log shares along the phase's direction, signed; mean 0 over the channels. The
        information is that of the other parameters, with the scatter integrated out.
    log_posterior : float
        Log posterior density at the mode, up to a constant, nats.
    """

    scatter: Floats
    log_posterior: float

    @property
    def scatter_sd(self) -> Floats:
        """Largest standard deviation of a log ratio of two channels within each phase, (phase,)."""
        return np.asarray(self.scatter.max(axis=1) - self.scatter.min(axis=1), np.float64)


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
    gauge = jnp.kron(jnp.eye(phases), jnp.ones((channels, channels)))
    composition = jax.nn.softmax(parameters.log_shares, axis=1)
    shares = channels * (
        composition[:, :, None] * jnp.eye(channels)[None] - composition[:, :, None] * composition[:, None]
    )
    of_shares = jnp.einsum("kcd,kl->kcld", shares, jnp.eye(phases)).reshape(phases * channels, -1) + gauge
    of_scatter = jnp.eye(phases * channels) / SCATTER_SCALE**2 + gauge
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
def climb(start: Scattered, pixels: Pixels, *, number: int, tolerance: float, max_steps: int) -> Climb:
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


@jax.jit
def excess(fit_shares: Array, responsibilities: Array, counts: Array, totals: Array) -> tuple[Array, Array]:
    """Scatter beyond that of counts within each phase: its direction (phase, channel), and its score (phase,).

    The direction l is the leading eigenvector of the excess covariance of the residuals e = y - N s, scaled to it;
    the score is sum_n r (e.d)^2 - r N Var_s(d) for d = l over its own standard deviation: about N(0, 1) without
    scatter, for a direction that is given, and somewhat above for the best one.
    """

    def of_phase(item: tuple[Array, Array]) -> tuple[Array, Array]:
        share, r = item
        residual = counts - totals[:, None] * share[None]
        spread = jnp.diag(share) - share[:, None] * share[None]
        matrix = (residual * r[:, None]).T @ residual - (r @ totals) * spread
        root = jnp.sqrt(share)
        values, vectors = jnp.linalg.eigh(matrix / (root[:, None] * root[None]))
        direction = vectors[:, -1] / root
        variance = values[-1] / jnp.maximum(r @ jnp.square(totals), 1e-12)
        along = r * (jnp.square(residual @ direction) - totals * (direction @ spread @ direction))
        score = along.sum() / jnp.maximum(jnp.sqrt(jnp.square(along).sum()), 1e-12)
        size = jnp.sqrt(jnp.clip(variance, START**2, 1.0))
        there = values[-1] > 1e-6 * (r @ totals)  # otherwise the vector is the one along which nothing can scatter
        return jnp.where(there, size, 0.0) * (direction - direction.mean()), jnp.where(there, score, 0.0)

    return jax.lax.map(of_phase, (fit_shares, responsibilities.T))


def excess_scores(fit: MixtureFit, counts: NDArray[np.integer], mask: NDArray[np.bool_]) -> Floats:
    """Score of scatter within each phase of a fit without: (phase,), about N(0, 1) where there is none.

    Parameters
    ----------
    fit : MixtureFit
        A fit without scatter.
    counts : ndarray of int, (y, x, channel)
        Counts that were fitted.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    ndarray of float64, (phase,)
        Scores, dimensionless.
    """
    with jax.enable_x64(True):
        return np.asarray(_excess(fit, _pixels(counts, mask, None))[1])


def fit_scatter(
    fit: MixtureFit,
    counts: NDArray[np.integer],
    covariates: Floats | None = None,
    *,
    mask: NDArray[np.bool_],
    tolerance: float = TOLERANCE,
    max_steps: int = STEPS,
) -> ScatteredFit:
    """Fit the same number of phases again, with scatter within them and weights that follow covariates.

    Parameters
    ----------
    fit : MixtureFit
        Fit where the search starts; a `ScatteredFit` gives the scatter to start from.
    counts : ndarray of int, (y, x, channel)
        Counts.
    covariates : ndarray of float64, (y, x, covariate), optional
        Covariates of the weights, as for `mixture.with_covariates`.
    mask : ndarray of bool, (y, x)
        True = excluded.
    tolerance : float
        Expected gain of a further step at which the climb ends, nats.
    max_steps : int
        Largest number of steps.

    Returns
    -------
    ScatteredFit
        Phases in the order of `fit`.
    """
    columns = 0 if covariates is None else covariates.shape[2]
    weights = np.concatenate([fit.weights[:, :1], np.zeros((fit.n_phases, columns))], axis=1)
    with jax.enable_x64(True):
        pixels = _pixels(counts, mask, covariates)
        scatter = fit.scatter if isinstance(fit, ScatteredFit) else _excess(fit, pixels)[0]
        at = Scattered(*(jnp.asarray(part) for part in (fit.log_composition, scatter, weights)))
        number, needed = 0, _nodes_needed(at, pixels)
        while number < needed:
            number = needed
            found = climb(at, pixels, number=number, tolerance=tolerance, max_steps=max_steps)
            at, needed = found.parameters, _nodes_needed(found.parameters, pixels)
        return _result(found, pixels, number, tolerance)


def efficient_scores(
    fit: ScatteredFit, counts: NDArray[np.integer], covariates: Floats, mask: NDArray[np.bool_]
) -> Floats:
    """Scores of log shares and weights, less their regression on those of the scatter: (pixel, parameter).

    Parameters
    ----------
    fit : ScatteredFit
        A fit.
    counts : ndarray of int, (y, x, channel)
        Counts that were fitted.
    covariates : ndarray of float64, (y, x, covariate)
        Covariates of the fit.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    ndarray of float64, (pixel, parameter)
        In the order of the fit's information.
    """
    with jax.enable_x64(True):
        pixels = _pixels(counts, mask, covariates)
        at = Scattered(*(jnp.asarray(part) for part in (fit.log_composition, fit.scatter, fit.weights)))
        own = np.asarray(_scores(at, pixels, number=_nodes_needed(at, pixels)))
        full = np.asarray(information(at, jnp.asarray(own)))
    kept, nuisance = _parts(fit.log_composition.size, own.shape[1])
    slope = np.linalg.solve(full[np.ix_(nuisance, nuisance)], full[np.ix_(nuisance, kept)])
    return np.asarray(own[:, kept] - own[:, nuisance] @ slope, np.float64)


_scores = jax.jit(scores, static_argnames=("number",))
_terms = jax.jit(node_terms, static_argnames=("number",))


def _excess(fit: MixtureFit, pixels: Pixels) -> tuple[Array, Array]:
    shares, own = jnp.exp(jnp.asarray(fit.log_composition)), jnp.asarray(fit.responsibilities)
    return excess(shares, own, pixels.counts, pixels.totals)


def _pixels(counts: NDArray[np.integer], mask: NDArray[np.bool_], covariates: Floats | None) -> Pixels:
    kept = np.where(mask[:, :, None], 0, counts).reshape(-1, np.shape(counts)[2]).astype(np.float64)
    x = np.zeros((len(kept), 0)) if covariates is None else covariates.reshape(len(kept), -1)
    design = np.concatenate([np.ones((len(kept), 1)), x], axis=1)
    return Pixels(jnp.asarray(kept), jnp.asarray(kept.sum(axis=1)), jnp.asarray(design))


def _nodes_needed(at: Scattered, pixels: Pixels) -> int:
    """Nodes so that their distance is at most the width of the posterior of a position, in the richest pixels."""
    share = np.exp(np.asarray(jax.nn.log_softmax(at.log_shares, axis=1)))
    scatter = np.asarray(at.scatter)
    variance = (share * scatter**2).sum(axis=1) - (share * scatter).sum(axis=1) ** 2
    sharpest = np.sqrt(1.0 + float(np.quantile(np.asarray(pixels.totals), 0.99)) * variance.max())
    return next((number for number in NODES if number - 1 >= 2 * REACH * sharpest), NODES[-1])


def _parts(size: int, total: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the parameters that are reported, and of the scatter."""
    every = np.arange(total)
    nuisance = (every >= size) & (every < 2 * size)
    return every[~nuisance], every[nuisance]


def _result(found: Climb, pixels: Pixels, number: int, tolerance: float) -> ScatteredFit:
    at = found.parameters
    own = np.asarray(_scores(at, pixels, number=number))
    full = np.asarray(information(at, jnp.asarray(own)))
    terms = np.asarray(_terms(at, pixels, number=number))
    marginal = np.asarray(logsumexp(terms, axis=(1, 2)))
    phases, channels = at.log_shares.shape
    kept, nuisance = _parts(phases * channels, len(full))
    crossed = full[np.ix_(nuisance, kept)]
    profiled = full[np.ix_(kept, kept)] - crossed.T @ np.linalg.solve(full[np.ix_(nuisance, nuisance)], crossed)
    scatter = np.asarray(at.scatter)
    gradient = own.sum(axis=0) + np.asarray(prior_gradient(at))
    used = int((np.asarray(pixels.counts).sum(axis=0) > 0).sum())
    gain = float(found.gain)
    return ScatteredFit(
        log_composition=np.asarray(jax.nn.log_softmax(at.log_shares, axis=1)),
        weights=np.asarray(at.weights),
        pixel_log_likelihood=marginal + np.asarray(log_multinomial(pixels)),
        responsibilities=np.exp(terms - marginal[:, None, None]).sum(axis=2),
        n_parameters=2 * phases * (used - 1) + (phases - 1) * at.weights.shape[1],
        n_pixels=int((np.asarray(pixels.totals) > 0).sum()),
        information=0.5 * (profiled + profiled.T),
        status=MixtureStatus(
            converged=gain <= tolerance,
            iterations=int(found.iterations),
            gain=gain,
            gradient_norm=float(np.abs(gradient).max()),
            smallest_curvature=float(np.linalg.eigvalsh(profiled)[0]),
        ),
        scatter=scatter - scatter.mean(axis=1, keepdims=True),
        log_posterior=float(found.log_posterior),
    )
