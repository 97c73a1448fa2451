"""Fits of the composition mixture with scatter within its phases: the search, its result, its scores."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from numpy.typing import NDArray

from bayesspec.inference.mixture.fit import Convergence, Floats, MixtureFit, pixels_of
from bayesspec.inference.mixture.log_joint import Pixels, log_multinomial
from bayesspec.inference.mixture.scatter import (
    REACH,
    Climb,
    Scattered,
    climb,
    information,
    node_terms,
    prior_gradient,
    scores,
)

NODES = (9, 17, 33, 65, 129, 257)
"""Numbers of nodes to choose from: few, as programs are compiled for each."""
START = 0.03
"""Least scatter that a search starts from, log ratio."""
STEPS = 40
"""Steps of the search at most."""
TOLERANCE = 1e-3
"""Nats that a further step would gain when the search ends."""


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


def excess(fit: MixtureFit, counts: Floats) -> tuple[Floats, Floats]:
    """Scatter beyond that of counts within each phase: its direction (phase, channel), and its score (phase,).

    The direction l is the leading eigenvector of the excess covariance of the residuals e = y - N s, scaled to it;
    the score is sum_n r (e.d)^2 - r N Var_s(d) for d = l over its own standard deviation: about N(0, 1) without
    scatter, for a direction that is given, and somewhat above for the best one.
    """
    totals = counts.sum(axis=1)

    def of_phase(share: Floats, r: Floats) -> tuple[Floats, float]:
        residual = counts - totals[:, None] * share[None]
        spread = np.diag(share) - share[:, None] * share[None]
        matrix = (residual * r[:, None]).T @ residual - (r @ totals) * spread
        root = np.sqrt(share)
        values, vectors = np.linalg.eigh(matrix / (root[:, None] * root[None]))
        if values[-1] <= 1e-6 * (r @ totals):
            return np.zeros(len(share)), 0.0  # the vector is the one along which nothing can scatter
        direction = vectors[:, -1] / root
        variance = values[-1] / max(float(r @ np.square(totals)), 1e-12)
        along = r * (np.square(residual @ direction) - totals * (direction @ spread @ direction))
        score = float(along.sum() / max(float(np.sqrt(np.square(along).sum())), 1e-12))
        return np.sqrt(np.clip(variance, START**2, 1.0)) * (direction - direction.mean()), score

    pairs = [of_phase(share, r) for share, r in zip(np.exp(fit.log_composition), fit.responsibilities.T, strict=True)]
    return np.stack([direction for direction, _ in pairs]), np.array([score for _, score in pairs])


class Excess(NamedTuple):
    """Scatter beyond that of counts, by phase: standard deviation of a log ratio, and its score, about N(0, 1)."""

    sd: Floats
    score: Floats


def excess_scatter(fit: MixtureFit, counts: NDArray[np.integer], mask: NDArray[np.bool_]) -> Excess:
    """Estimate the scatter within each phase of a fit without, by moments.

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
    Excess
        Standard deviation and score of each phase, both (phase,).
    """
    with jax.enable_x64(True):
        direction, score = excess(fit, np.asarray(_pixels(counts, mask, None).counts))
    return Excess(direction.max(axis=1) - direction.min(axis=1), score)


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
        scatter = fit.scatter if isinstance(fit, ScatteredFit) else excess(fit, np.asarray(pixels.counts))[0]
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


def _pixels(counts: NDArray[np.integer], mask: NDArray[np.bool_], covariates: Floats | None) -> Pixels:
    kept = np.where(mask[:, :, None], 0, counts).reshape(-1, np.shape(counts)[2]).astype(np.float64)
    x = None if covariates is None else covariates.reshape(len(kept), covariates.shape[2])
    return pixels_of(kept, x, len(kept))


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
        convergence=Convergence(
            converged=gain <= tolerance,
            iterations=int(found.iterations),
            gain=gain,
            gradient_norm=float(np.abs(gradient).max()),
            smallest_curvature=float(np.linalg.eigvalsh(profiled)[0]),
        ),
        scatter=scatter - scatter.mean(axis=1, keepdims=True),
        log_posterior=float(found.log_posterior),
    )
