"""Intervals that hold when labels and dose are patchy: patches make the scores of pixels alike, which blocks count."""

from dataclasses import replace

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, eigh, solve_triangular

from bayesspec.inference.mixture.fit import MixtureFit, pixels_of, with_columns
from bayesspec.inference.mixture.log_joint import Parameters, scores

Floats = NDArray[np.float64]

BLOCK = 16
"""Side of a block in pixels. The coverage with it: ``python benchmarks/segmentation.py``."""
STRIP = 2**16  # pixels


def widened(
    fit: MixtureFit,
    counts: NDArray[np.integer],
    covariates: Floats,
    *,
    mask: NDArray[np.bool_] | None = None,
    scores_of_pixels: Floats | None = None,
) -> MixtureFit:
    """Replace the information of a fit by one that allows for patches, and is nowhere above the model's own.

    Parameters
    ----------
    fit : MixtureFit
        A fit; returned as it is where its information is not positive definite.
    counts : ndarray of int, (y, x, channel)
        Counts that were fitted.
    covariates : ndarray of float64, (y, x, covariate)
        Covariates of the fit.
    mask : ndarray of bool, (y, x), optional
        True = excluded.
    scores_of_pixels : ndarray of float64, (pixel, parameter), optional
        Derivative of the log likelihood of each pixel, where the fit is more than a plain mixture.

    Returns
    -------
    MixtureFit
        With the covariance C = L LT of the model, and the scatter B of the scores added up in blocks of 16 x 16
        pixels, its covariance is L max(LT B L, 1) LT, the maximum taken of the eigenvalues: once for the
        compositions, and once for what the weights have beyond their regression on these, so that what so few blocks
        say of so many coefficients of the weights does not reach the compositions.

    Notes
    -----
    Source: sandwich covariance, White (1982), doi:10.2307/1912526; in blocks for dependent data, Heagerty and Lumley
    (2000), doi:10.1080/01621459.2000.10473914. Coverage: `benchmarks/segmentation.py`.
    """
    if not fit.convergence.definite:
        return fit
    block = blocks(np.shape(counts)[0], np.shape(counts)[1])
    if scores_of_pixels is None:
        summed = _summed_scores(fit, counts, covariates, mask, block)
    else:
        summed = sums_in_blocks(scores_of_pixels, block.ravel(), int(block.max()) + 1)
    scatter = about_mean(summed)
    wide = widened_covariance(fit.covariance, scatter, fit.log_composition.size)
    return replace(fit, information=np.asarray(np.linalg.inv(wide), np.float64))


def block_scatter(scores: Floats, block: NDArray[np.intp]) -> Floats:
    """Scatter of scores that are added up in blocks.

    Parameters
    ----------
    scores : ndarray of float64, (pixel, parameter)
        Derivative of each pixel's log likelihood.
    block : ndarray of int, (pixel,)
        Number of each pixel's block.

    Returns
    -------
    ndarray of float64, (parameter, parameter)
        Sum over the blocks of their sums' outer products, about the mean.
    """
    return about_mean(sums_in_blocks(scores, block, int(block.max()) + 1))


def sums_in_blocks(scores: Floats, block: NDArray[np.intp], number: int) -> Floats:
    """Sums of the scores in each block, (block, parameter)."""
    return np.stack([np.bincount(block, column, number) for column in scores.T], axis=1)


def about_mean(summed: Floats) -> Floats:
    """Scatter of sums of scores about their mean.

    Parameters
    ----------
    summed : ndarray of float64, (block, parameter)
        Scores added up in blocks.

    Returns
    -------
    ndarray of float64, (parameter, parameter)
        Sum over the blocks of the outer products.
    """
    centred = summed - summed.mean(axis=0)
    return centred.T @ centred * len(centred) / max(len(centred) - 1, 1)


def _summed_scores(
    fit: MixtureFit,
    counts: NDArray[np.integer],
    covariates: Floats,
    mask: NDArray[np.bool_] | None,
    block: NDArray[np.intp],
) -> Floats:
    """The same of a plain mixture, some rows of the map at a time: the scores of all pixels would fill the memory."""
    step = max(1, STRIP // block.shape[1])
    strips = [slice(first, first + step) for first in range(0, len(block), step)]
    number = int(block.max()) + 1
    parts = (
        sums_in_blocks(
            pixel_scores(fit, counts[rows], covariates[rows], None if mask is None else mask[rows]),
            block[rows].ravel(),
            number,
        )
        for rows in strips
    )
    return np.sum(list(parts), axis=0)


def at_least(model: Floats, robust: Floats) -> Floats:
    """Take the robust covariance where it exceeds that of the model, direction by direction.

    Parameters
    ----------
    model, robust : ndarray of float64, (parameter, parameter)
        Both covariances; that of the model is positive definite.

    Returns
    -------
    ndarray of float64, (parameter, parameter)
        With the model's L LT and the eigenvalues v of inverse(L) robust inverse(LT): L max(v, 1) LT.
    """
    root = np.linalg.cholesky(model)
    left = solve_triangular(root, robust, lower=True)
    ratio = solve_triangular(root, left.T, lower=True)
    values, vectors = eigh(0.5 * (ratio + ratio.T), driver="ev")
    turned = root @ vectors
    return (turned * np.maximum(values, 1.0)) @ turned.T


def widened_covariance(model: Floats, scatter: Floats, size: int) -> Floats:
    """Widen a covariance by the scatter of scores, nowhere below that of the model.

    Parameters
    ----------
    model : ndarray of float64, (parameter, parameter)
        Covariance of the model.
    scatter : ndarray of float64, (parameter, parameter)
        Scatter of the scores.
    size : int
        How many parameters, the first ones, are those of the compositions: what the others have beyond their
        regression on these is widened apart.

    Returns
    -------
    ndarray of float64, (parameter, parameter)
        The covariance.
    """
    slope = np.linalg.solve(model[:size, :size], model[:size, size:]).T
    beyond = np.block([[np.eye(size), np.zeros_like(slope.T)], [-slope, np.eye(len(slope))]])
    own, robust = beyond @ model @ beyond.T, beyond @ model @ scatter @ model @ beyond.T
    parts = [at_least(own[part, part], robust[part, part]) for part in (slice(size), slice(size, None))]
    back = np.linalg.inv(beyond)
    joined = back @ block_diag(*parts) @ back.T
    return 0.5 * (joined + joined.T)


def pixel_scores(
    fit: MixtureFit, counts: NDArray[np.integer], covariates: Floats, mask: NDArray[np.bool_] | None
) -> Floats:
    """Derivative of the marginal log likelihood of each pixel.

    Parameters
    ----------
    fit : MixtureFit
        Where to take it.
    counts : ndarray of int, (y, x, channel)
        Counts.
    covariates : ndarray of float64, (y, x, covariate)
        Covariates of the weights.
    mask : ndarray of bool, (y, x), or None
        True = excluded.

    Returns
    -------
    ndarray of float64, (pixel, parameter)
        Nats per unit of log share, then of weight, in the order of ``MixtureFit.information``.
    """
    here = np.ones(np.shape(counts)[:2], bool) if mask is None else ~np.asarray(mask)
    kept = np.where(here[:, :, None], counts, 0).reshape(-1, np.shape(counts)[2]).astype(np.float64)
    with jax.enable_x64(True):
        pixels = pixels_of(kept, covariates.reshape(len(kept), covariates.shape[2]))
        parameters = Parameters(fit.log_composition, with_columns(fit.weights))  # type: ignore[arg-type]
        found = np.asarray(_scores(parameters, pixels, np.ones(fit.n_phases, dtype=bool)))[: len(kept)]
    of_shares, of_weights = np.split(found, [fit.log_composition.size], axis=1)
    used = of_weights.reshape(len(kept), fit.n_phases, -1)[:, :, : fit.weights.shape[1]]
    return np.concatenate([of_shares, used.reshape(len(kept), -1)], axis=1)


_scores = jax.jit(scores)


def blocks(rows: int, columns: int) -> NDArray[np.intp]:
    """Number of the block of each pixel, blocks of 16 x 16 or, in small maps, an eighth of the side.

    Parameters
    ----------
    rows, columns : int
        Pixels along y and x.

    Returns
    -------
    ndarray of int, (y, x)
        Numbers from 0.
    """
    side = max(1, min(BLOCK, min(rows, columns) // 8))
    across = -(-columns // side)
    return (np.arange(rows) // side)[:, None] * across + (np.arange(columns) // side)[None]
