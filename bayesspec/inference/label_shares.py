"""Share of an image's pixels in each phase, with what is not known of their labels."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, softmax

from bayesspec.inference.mixture_fit import MixtureFit
from bayesspec.inference.mixture_scatter import nodes
from bayesspec.inference.scattered_fit import ScatteredFit

Floats = NDArray[np.float64]
MOST_VALUES = 1_000_000
NODES = 17


def share_draws(
    fit: MixtureFit,
    compositions: Floats,
    weights: Floats,
    counts: NDArray[np.integer],
    covariates: Floats,
    *,
    measured: NDArray[np.bool_],
    key: jax.Array,
) -> Floats:
    """Draw the share of the pixels of this image that each phase has.

    The share is that of the labels of these pixels, not the mixing weight of a population that they were drawn from.
    Given the parameters the labels are independent, so the number of pixels of a phase has the mean
    sum_n r[n, k] and the covariance sum_n (diag(r[n, :]) - r[n, :] r[n, :]T), with r the probabilities of the
    labels. Both parts count: the parameters move the mean from draw to draw, the labels scatter around it.

    Parameters
    ----------
    fit : MixtureFit
        Fit at its mode.
    compositions, weights : ndarray of float64, (draw, phase, channel) and (draw, phase, 1 + covariate)
        Joint draws from the fit.
    counts : ndarray of int, (y, x, channel)
        Counts that were fitted.
    covariates : ndarray of float64, (y, x, covariate)
        Covariates of the fit.
    measured : ndarray of bool, (y, x)
        Pixels that count: not excluded, with counts.
    key : Array
        JAX random key.

    Returns
    -------
    ndarray of float64, (draw, phase)
        Shares, 0 or more, summing to 1.
    """
    own = fit.responsibilities.reshape(*np.shape(measured), -1)[measured]
    pixels, phases = own.shape
    terms = phases * (NODES if isinstance(fit, ScatteredFit) else 1)
    step = -(-pixels * terms * len(compositions) // MOST_VALUES)
    kept = counts[measured][::step].astype(np.float64)
    x = covariates[measured][::step]
    design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    shift, log_weight = _positions(fit)
    here = _share(kept, design, fit.log_composition[:, None] + shift, fit.weights, log_weight)
    log_shares = np.log(compositions)[:, :, None] + shift
    moved = np.stack([_share(kept, design, u, w, log_weight) for u, w in zip(log_shares, weights, strict=True)])
    scatter = (np.diag(own.sum(axis=0)) - own.T @ own) / pixels**2
    with jax.enable_x64(True):
        noise = np.asarray(jax.random.normal(key, (len(moved), phases), dtype=jnp.float64))
    values, vectors = np.linalg.eigh(scatter)
    labels = noise * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    shares = np.maximum(own.mean(axis=0) + (moved - here) + labels, 0.0)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float64)


def _positions(fit: MixtureFit) -> tuple[Floats, Floats]:
    """Shifts of the log shares by the scatter within phases (phase, node, channel) and their log weights (node,)."""
    if not isinstance(fit, ScatteredFit):
        return np.zeros((fit.n_phases, 1, 1)), np.zeros(1)
    with jax.enable_x64(True):
        at, log_weight = (np.asarray(part) for part in nodes(NODES))
    return fit.scatter[:, None, :] * at[None, :, None], log_weight


def _share(counts: Floats, design: Floats, log_shares: Floats, weights: Floats, log_weight: Floats) -> Floats:
    """Mean probability of each phase over the pixels (phase,); log shares (phase, node, channel)."""
    log_composition = log_softmax(log_shares, axis=2)
    terms = np.tensordot(counts, log_composition, axes=(1, 2)) + log_weight
    return np.asarray(softmax(logsumexp(terms, axis=2) + design @ weights.T, axis=1).mean(axis=0), np.float64)
