"""Share of an image's pixels in each phase, with what is not known of their labels."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from bayesspec.inference.mixture_fit import MixtureFit

Floats = NDArray[np.float64]
MOST_VALUES = 1_000_000


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
    step = -(-pixels * phases * len(compositions) // MOST_VALUES)
    kept = counts[measured][::step].astype(np.float64)
    x = covariates[measured][::step]
    design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    here = _share(kept, design, fit.log_composition, fit.weights)
    moved = np.stack([_share(kept, design, np.log(c), w) for c, w in zip(compositions, weights, strict=True)])
    scatter = (np.diag(own.sum(axis=0)) - own.T @ own) / pixels**2
    with jax.enable_x64(True):
        noise = np.asarray(jax.random.normal(key, (len(moved), phases), dtype=jnp.float64))
    values, vectors = np.linalg.eigh(scatter)
    labels = noise * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    shares = np.maximum(own.mean(axis=0) + (moved - here) + labels, 0.0)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float64)


def _share(counts: Floats, design: Floats, log_composition: Floats, weights: Floats) -> Floats:
    """Mean probability of each phase over the pixels (phase,)."""
    terms = design @ weights.T + counts @ log_composition.T
    return np.asarray(softmax(terms, axis=1).mean(axis=0), np.float64)
