"""Held-out counts: binomial thinning, and how well a factorisation predicts what was held out.

Thinned Poisson counts are two independent Poisson samples of the same image, so the held-out part judges a fit to
the other part without a validation image.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from bayesspec.errors import InputError
from bayesspec.image.counts import Counts
from bayesspec.inference.blocks import row_divergences
from bayesspec.inference.nmf.mode import NmfMode, Progress, fit_mode
from bayesspec.inference.nmf.rank_path import rank_path
from bayesspec.inference.random_keys import generator

PSEUDO_COUNTS = 0.5
"""Counts added to each channel of a spectrum, as its prior does: an empty channel is not impossible."""


def thin(counts: npt.ArrayLike, fraction: float, *, key: jax.Array | int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Divide counts at random into two independent parts.

    Parameters
    ----------
    counts : array, integer
        Counts, any shape.
    fraction : float
        Probability that a count goes to the first part, between 0 and 1.
    key : jax.Array or int
        Random key, or the seed of one.

    Returns
    -------
    train, test : numpy.ndarray, unsigned integer, shape of the counts
        The parts; they add to the counts.

    Raises
    ------
    InputError
        When the fraction is not between 0 and 1.

    Notes
    -----
    Source: Neufeld et al. (2024), arXiv:2301.07276.
    """
    if not 0.0 < fraction < 1.0:
        raise InputError(f"fraction={fraction}", "a fraction between 0 and 1", "fraction=0.5")
    whole = np.asarray(counts)
    train = np.zeros(whole.shape, whole.dtype)
    filled = np.nonzero(whole)
    train[filled] = generator(key).binomial(whole[filled], fraction)
    return train, whole - train


def held_out_score(test: npt.ArrayLike | Counts, mode: NmfMode, *, ratio: float) -> npt.NDArray[np.float64]:
    """Log likelihood of held-out counts of each pixel under a fit to the other part.

    Parameters
    ----------
    test : Counts, or array (pixel, channel), integer
        Held-out counts.
    mode : NmfMode
        Fit to the other part.
    ratio : float
        Expected counts held out per count fitted: (1 - fraction) / fraction.

    Returns
    -------
    numpy.ndarray (pixel,), float64
        Poisson log likelihood in nats. Differences between ranks are paired: their standard error is
        sqrt(pixel) times the standard deviation of the differences.

    Notes
    -----
    Half a count is added to each channel of a free spectrum, so that a channel without counts in one part does
    not forbid them in the other.
    """
    known = Counts.of(test)
    w, h = mode.abundances.astype(np.float64), mode.spectra.astype(np.float64).copy()
    free = len(h) - mode.n_fixed
    totals = np.maximum(w.sum(axis=0), 1e-12)[:free, None]
    unnormalised = h[:free] * totals + PSEUDO_COUNTS
    h[:free] = unnormalised / unnormalised.sum(axis=1, keepdims=True)
    blocks = known.blocks
    rows = row_divergences(blocks.counts, blocks.split(w * ratio), jnp.asarray(h.astype(np.float32)))
    return _row_constants(known.matrix) - blocks.join(rows).astype(np.float64)


def _row_constants(counts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Sum over the channels of x log x - x - log x!, by table."""
    x = np.arange(int(counts.max()) + 1, dtype=np.float64)
    table = x * np.log(np.maximum(x, 1.0)) - x - gammaln(x + 1.0)
    pixels, channels = np.nonzero(counts)
    sums = np.bincount(pixels, weights=table[counts[pixels, channels]], minlength=len(counts))
    return sums.astype(np.float64)


def rank_scores(
    counts: npt.ArrayLike | Counts,
    ranks: Iterable[int],
    *,
    key: jax.Array,
    fraction: float = 0.5,
    fixed_spectra: npt.ArrayLike | None = None,
    tolerance: float = 1e-5,
    progress: Progress | None = None,
) -> npt.NDArray[np.float64]:
    """Held-out log likelihood per pixel of every rank.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        Counts.
    ranks : iterable of int
        Numbers of free components.
    key : jax.Array
        Random key of the division, and of the starts where spectra are fixed.
    fraction : float
        Part of the counts that is fitted.
    fixed_spectra : array (fixed component, channel), float, optional
        Known spectra.
    tolerance : float
        Of each fit, see `fit_mode`.
    progress : callable (done, total), optional
        Called after each fit.

    Returns
    -------
    numpy.ndarray (rank, pixel), float64
        Scores in nats, from the same division for all ranks.
    """
    known = Counts.of(counts)
    split_key, fit_key = jax.random.split(key)
    train, test = (known.other(part) for part in thin(known.matrix, fraction, key=split_key))
    ratio = (1.0 - fraction) / fraction
    wanted = list(ranks)
    path: Iterable[NmfMode] = (
        fit_mode(train, n, key=jax.random.fold_in(fit_key, n), fixed_spectra=fixed_spectra, tolerance=tolerance)
        for n in wanted
    )
    tried = wanted
    if fixed_spectra is None:
        tried = list(range(1, max(wanted) + 1))
        path = rank_path(train, max(wanted), tolerance=tolerance)
    scores = {}
    for done, (rank, mode) in enumerate(zip(tried, path, strict=True), start=1):
        if rank in wanted:
            scores[rank] = held_out_score(test, mode, ratio=ratio)
        if progress is not None:
            progress(done, len(tried))
    return np.stack([scores[rank] for rank in wanted])
