"""Of all factorisations that fit as well, the one whose spectra lie closest together.

The likelihood alone lets the spectra be more extreme than any pixel asks for: its maximum has abundances off zero
everywhere and spectra with holes. Where every component is absent from some pixels, the true spectra span the
minimum-volume simplex that holds the data; so from the maximum the spectra are moved towards each other, as far as the
abundances stay non-negative within their noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bayesspec.image.counts import CountBlocks, Counts
from bayesspec.inference.blocks import em_step, row_divergences
from bayesspec.inference.nmf.feasible_set import TOLERANCE, FeasibleSet
from bayesspec.inference.nmf.mode import NmfMode
from bayesspec.inference.nmf.pixel_groups import group_pixels

Array = npt.NDArray[np.float64]
LEAST = 1e-9
"""Smallest probability and abundance that is left: what is set to zero would stay there."""
WAYS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.06)
"""Parts of the way to the smallest volume that are tried, until the fit is as good."""
MOST_LOST = 0.75
"""Nats that an abundance may cost that would be negative: noise around zero costs half a nat."""
SETTLING = 10
"""Steps in which the other abundances make up for those that are set to zero."""


def smallest_simplex(
    mode: NmfMode,
    background: int,
    seed: int,
    *,
    counts: npt.ArrayLike | Counts | None = None,
    tolerance: float = TOLERANCE,
) -> NmfMode:
    """Draw the spectra together until abundances become zero, or the fit would suffer.

    Groups of pixels decide how far. Single pixels may say more: where a component is absent its abundance is negative
    by chance, half a nat's worth on average, and more than that where the spectra have been drawn too far. With
    `counts` the way is shortened until no more is lost.

    Parameters
    ----------
    mode : NmfMode
        Factors at the maximum of the likelihood.
    background : int
        How many of the fixed spectra, the last, are background, from which the components take nothing.
    seed : int
        Seed of the grouping of pixels.
    counts : Counts, array (pixel, channel) of integers, or None
        What `mode` was fitted to.
    tolerance : float
        Standard deviations by which an abundance may be negative; fewer where the abundances are smoothed.

    Returns
    -------
    NmfMode
        Factors of about the same fit, spectra of smallest volume; the divergence is that of `mode`.

    Notes
    -----
    Source: Craig (1994), doi:10.1109/36.297973.
    """
    spectra, abundances = mode.spectra.astype(np.float64), mode.abundances.astype(np.float64)
    if len(spectra) - mode.n_fixed < 2:
        return mode
    feasible = FeasibleSet(group_pixels(abundances, seed), spectra, mode.n_fixed, background, tolerance)
    matrix = feasible.extreme(_smallness(feasible))
    found = _moved(mode, matrix) if counts is None else _shortened(mode, matrix, Counts.of(counts).blocks)
    free = len(spectra) - mode.n_fixed
    totals = found.abundances[:, :free].sum(axis=0)
    return found.reordered(np.append(np.argsort(-totals, kind="stable"), np.arange(free, len(spectra))))


def _shortened(mode: NmfMode, matrix: Array, blocks: CountBlocks) -> NmfMode:
    """Go the first part of the way on which abundances are negative by no more than their noise."""
    identity, best = np.eye(len(matrix)), _divergence(_settled(mode, blocks), blocks)
    for way in WAYS:
        part = identity + way * (matrix - identity)
        found = _moved(mode, part)
        allowed = MOST_LOST * int((found.abundances <= LEAST).sum())
        if _divergence(found, blocks) - best <= allowed:
            return found
        if _divergence(_settled(found, blocks), blocks) - best <= allowed:
            return found
    return mode


def _moved(mode: NmfMode, matrix: Array) -> NmfMode:
    """Transform both factors, and make them positive."""
    spectra, free = mode.spectra.astype(np.float64), len(mode.spectra) - mode.n_fixed
    moved = np.maximum(matrix @ spectra, LEAST)
    moved[free:] = spectra[free:]
    moved /= moved.sum(axis=1, keepdims=True)
    weights = np.maximum(mode.abundances.astype(np.float64) @ np.linalg.inv(matrix), LEAST)
    return replace(mode, spectra=moved.astype(np.float32), abundances=weights.astype(np.float32))


def _settled(mode: NmfMode, blocks: CountBlocks) -> NmfMode:
    """Fit the abundances, the spectra held; what is set to zero stays there."""
    held, spectra = blocks.split(mode.abundances), jnp.asarray(mode.spectra)
    for _ in range(SETTLING):
        held = em_step(blocks.counts, held, spectra, jnp.zeros(len(spectra), bool))[0]
    return replace(mode, abundances=blocks.join(held))


def _divergence(mode: NmfMode, blocks: CountBlocks) -> float:
    rows = row_divergences(blocks.counts, blocks.split(mode.abundances), jnp.asarray(mode.spectra))
    return float(np.asarray(rows, np.float64).sum())


def _smallness(feasible: FeasibleSet) -> Callable[[Array], tuple[float, Array]]:
    """Minus the logarithm of the volume of the spectra, with its slopes."""
    gains, losses = feasible.pairs.T

    def functional(matrix: Array) -> tuple[float, Array]:
        sign, size = np.linalg.slogdet(matrix)
        inverse = np.linalg.inv(matrix)
        return (-float(size) if sign > 0 else -np.inf), -(inverse[losses, gains] - inverse[gains, gains])

    return functional
