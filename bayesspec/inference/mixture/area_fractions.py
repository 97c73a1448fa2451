"""Share of an image's pixels in each phase, with what is not known of their labels."""

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, softmax

from bayesspec.inference.mixture.fit import MixtureFit, symmetric_root
from bayesspec.inference.mixture.scatter import nodes
from bayesspec.inference.mixture.scattered_fit import ScatteredFit

Floats = NDArray[np.float64]
MOST_VALUES = 1_000_000
"""Pixels times phases times nodes above which only every so many pixels give the slope: memory."""
NODES = 17
"""Nodes of the scatter within a phase."""


def area_fraction_draws(
    fit: MixtureFit,
    compositions: Floats,
    weights: Floats,
    counts: NDArray[np.integer],
    covariates: Floats,
    *,
    measured: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Floats:
    """Draw the share of the pixels of this image that each phase has.

    The share is that of the labels of these pixels, not the mixing weight of a population that they were drawn from.
    Given the parameters the labels are independent, so the number of pixels of a phase has the mean
    sum_n r[n, k] and the covariance sum_n (diag(r[n, :]) - r[n, :] r[n, :]T), with r the probabilities of the
    labels. Both parts count: the parameters move the mean from draw to draw, the labels scatter around it. The mean
    is followed to first order in the parameters.

    Labels of neighbours are not quite independent where these say what a pixel is. Of nominal 90 % intervals of two
    phases 0.85 to 0.99 held in 400 images a cell of `benchmarks/segmentation.py`, 0.89 in the mean; the short ones are
    those at 200 to 600 counts a pixel, where 2 to 12 % of the labels are wrong.

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
    rng : numpy.random.Generator
        Generator of the random numbers.

    Returns
    -------
    ndarray of float64, (draw, phase)
        Shares, 0 or more, summing to 1.
    """
    own = fit.responsibilities.reshape(*np.shape(measured), -1)[measured]
    pixels, phases = own.shape
    step = -(-pixels * phases * (NODES if isinstance(fit, ScatteredFit) else 1) // MOST_VALUES)
    x = covariates[measured][::step]
    design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    slope = _slope(fit, counts[measured][::step].astype(np.float64), design)
    change = [np.log(compositions) - fit.log_composition, weights - fit.weights]
    moved = np.concatenate([part.reshape(len(part), -1) for part in change], axis=1) @ slope.T
    scatter = (np.diag(own.sum(axis=0)) - own.T @ own) / pixels**2
    labels = rng.normal(size=(len(moved), phases)) @ symmetric_root(scatter)
    shares = np.maximum(own.mean(axis=0) + moved + labels, 0.0)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float64)


def _slope(fit: MixtureFit, counts: Floats, design: Floats) -> Floats:
    """Derivative of the mean probability of each phase by log shares and weights: (phase, parameter).

    With e[n, j] = y[n] - N[n] E(s[j] | n), the expectation over the scatter within the phase, it is the mean over the
    pixels of r[n, k] (1(k = j) - r[n, j]) times e[n, j] for the log shares of phase j, and times x[n] for its weights.
    """
    shift, log_weight = _positions(fit)
    log_nodes = log_softmax(fit.log_composition[:, None] + shift, axis=2)
    terms = np.tensordot(counts, log_nodes, axes=(1, 2)) + log_weight
    own = softmax(logsumexp(terms, axis=2) + design @ fit.weights.T, axis=1)
    expected = np.einsum("nkq,kqc->nkc", softmax(terms, axis=2), np.exp(log_nodes))
    given = counts[:, None, :] - counts.sum(axis=1)[:, None, None] * expected
    each = np.einsum("nk,kj->nkj", own, np.eye(fit.n_phases)) - own[:, :, None] * own[:, None, :]
    of_shares = np.einsum("nkj,njc->kjc", each, given, optimize=True).reshape(fit.n_phases, -1)
    of_weights = np.einsum("nkj,nx->kjx", each, design, optimize=True).reshape(fit.n_phases, -1)
    return np.asarray(np.concatenate([of_shares, of_weights], axis=1) / len(counts), np.float64)


def _positions(fit: MixtureFit) -> tuple[Floats, Floats]:
    """Shifts of the log shares by the scatter within phases (phase, node, channel) and their log weights (node,)."""
    if not isinstance(fit, ScatteredFit):
        return np.zeros((fit.n_phases, 1, 1)), np.zeros(1)
    with jax.enable_x64(True):
        at, log_weight = (np.asarray(part) for part in nodes(NODES))
    return fit.scatter[:, None, :] * at[None, :, None], log_weight
