"""Factorisations of one, two, three, ... components, each started from the last, under one compilation.

The factors of all ranks have the shape of the largest: components that are not there yet have no abundance, and the
multiplicative steps leave them so. A new component starts where the residuals of the last fit point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.image.counts import Counts
from bayesspec.inference.blocks import check_rank
from bayesspec.inference.nmf.mode import NmfMode, fit_mode

Array = npt.NDArray[np.float64]
TRIAL_CYCLES = 10
"""Cycles after which the two sides of the residuals are compared."""
BLOCK_ENTRIES = 4_000_000
"""Entries of the counts whose residuals are in memory together, about."""
SHARE = 0.05
"""Part of all abundances that a new component takes over, about."""


def rank_path(counts: npt.ArrayLike | Counts, largest: int, *, tolerance: float = 1e-4) -> Iterator[NmfMode]:
    """Fit all ranks up to the largest, one after the other.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        Counts.
    largest : int
        The largest rank.
    tolerance : float
        Of each fit, see `fit_mode`.

    Yields
    ------
    NmfMode
        Ranks 1, 2, ..., `largest`.

    Raises
    ------
    InputError
        When the counts or the rank cannot be used.
    """
    known = Counts.of(counts)
    check_rank(largest, known.shape)
    matrix = known.matrix
    channel = matrix.sum(axis=0, dtype=np.float64) + 0.5
    w = np.zeros((len(matrix), largest))
    w[:, 0] = matrix.sum(axis=1, dtype=np.float64)
    h = np.tile(channel / channel.sum(), (largest, 1))
    for rank in range(1, largest + 1):
        if rank > 1:
            w, h = _grown(known, w, h, rank)
        mode = fit_mode(known, largest, init=(w, h), tolerance=tolerance)
        w, h = mode.abundances.astype(np.float64), mode.spectra.astype(np.float64)
        yield replace(mode, spectra=mode.spectra[:rank], abundances=mode.abundances[:, :rank])


def _grown(counts: Counts, w: Array, h: Array, rank: int) -> tuple[Array, Array]:
    """Add a component on the side of the residuals that lowers the divergence more."""
    trials = []
    for spectrum, abundance in _sides(counts.matrix, w, h):
        more, wider = w * (1 - SHARE), h.copy()
        more[:, rank - 1], wider[rank - 1] = abundance, spectrum
        trials.append(fit_mode(counts, w.shape[1], init=(more, wider), max_iterations=TRIAL_CYCLES))
    best = min(trials, key=lambda mode: mode.divergence)
    return best.abundances.astype(np.float64), best.spectra.astype(np.float64)


def _sides(matrix: npt.NDArray[Any], w: Array, h: Array) -> list[tuple[Array, Array]]:
    """Spectra and abundances of both signs of the leading direction of the residuals, in units of their noise."""
    scale = np.sqrt(np.maximum(matrix.sum(axis=0, dtype=np.float64), 0.5) / matrix.sum(dtype=np.float64))
    dose = np.sqrt(np.maximum(matrix.sum(axis=1, dtype=np.float64), 1.0))
    rows = np.array_split(np.arange(len(matrix)), max(1, matrix.size // BLOCK_ENTRIES))
    gram = sum(part.T @ part for part in (_residual(matrix, w, h, r, dose, scale) for r in rows))
    vector = np.linalg.eigh(gram)[1][:, -1]
    along = np.concatenate([_residual(matrix, w, h, r, dose, scale) @ vector for r in rows])
    sides = []
    for sign in (1.0, -1.0):
        spectrum = np.maximum(sign * vector, 0.0) * scale + 1e-3 * scale**2
        abundance = SHARE * dose**2 * (0.1 + np.maximum(sign * along, 0.0) / np.maximum(np.abs(along).mean(), 1e-12))
        sides.append((spectrum / spectrum.sum(), abundance))
    return sides


def _residual(
    matrix: npt.NDArray[Any], w: Array, h: Array, rows: npt.NDArray[np.intp], dose: Array, scale: Array
) -> Array:
    return np.asarray((matrix[rows] - w[rows] @ h) / (dose[rows, None] * scale), np.float64)
