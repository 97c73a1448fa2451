"""Of all factorisations that fit as well, the one whose spectra lie closest together.

The likelihood alone lets the spectra be more extreme than any pixel asks for: its maximum has abundances off zero
everywhere and spectra with holes. Where every component is absent from some pixels, the true spectra span the
smallest simplex that holds the data; so from the maximum the spectra are drawn together, as far as the abundances
stay non-negative within their noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bayesspec.inference.nmf import NmfMode
from bayesspec.inference.nmf_feasible import TOLERANCE, FeasibleSet
from bayesspec.inference.pixel_groups import group_pixels

Array = npt.NDArray[np.float64]
LEAST = 1e-9
"""Smallest probability and abundance that is left: what is set to zero would stay there."""
WAYS = (1.0, 0.5, 0.25, 0.12, 0.06)
"""Parts of the way to the smallest volume that are tried, until the fit is as good."""
CHUNK = 4_000_000


def compact(mode: NmfMode, background: int, seed: int, *, tolerance: float = TOLERANCE) -> NmfMode:
    """Draw the spectra together until abundances become zero, or the fit would suffer.

    Groups of pixels decide how far; where counts are so many that single pixels say more, the way is shortened until
    the fit loses no more than half a nat for each of its numbers, about as much as the truth does.

    Parameters
    ----------
    mode : NmfMode
        Factors at the maximum of the likelihood.
    background : int
        How many of the fixed spectra, the last, are background, from which the components take nothing.
    seed : int
        Seed of the grouping of pixels.
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
    matrix, identity = feasible.extreme(_smallness(feasible)), np.eye(len(spectra))
    free, allowed = len(spectra) - mode.n_fixed, 0.5 * (abundances.size + spectra.size)
    for way in WAYS:
        found = _moved(mode, identity + way * (matrix - identity))
        if tolerance < TOLERANCE or _loss(mode, found) <= allowed:
            break
    else:
        found = mode
    totals = found.abundances[:, :free].sum(axis=0)
    return found.reordered(np.append(np.argsort(-totals, kind="stable"), np.arange(free, len(spectra))))


def _moved(mode: NmfMode, matrix: Array) -> NmfMode:
    """Transform both factors, and make them positive."""
    spectra, free = mode.spectra.astype(np.float64), len(mode.spectra) - mode.n_fixed
    moved = np.maximum(matrix @ spectra, LEAST)
    moved[free:] = spectra[free:]
    moved /= moved.sum(axis=1, keepdims=True)
    weights = np.maximum(mode.abundances.astype(np.float64) @ np.linalg.inv(matrix), LEAST)
    return replace(mode, spectra=moved.astype(np.float32), abundances=weights.astype(np.float32))


def _loss(mode: NmfMode, other: NmfMode) -> float:
    """Divergence of other means from those of the mode, in nats: about what the likelihood loses."""
    total, rows = 0.0, max(1, CHUNK // mode.spectra.shape[1])
    for start in range(0, len(mode.abundances), rows):
        old, new = (m.abundances[start : start + rows].astype(np.float64) @ m.spectra + LEAST for m in (mode, other))
        total += float((old * np.log(old / new) - old + new).sum())
    return total


def _smallness(feasible: FeasibleSet) -> Callable[[Array], tuple[float, Array]]:
    """Minus the logarithm of the volume of the spectra, with its slopes."""
    gains, losses = feasible.pairs.T

    def functional(matrix: Array) -> tuple[float, Array]:
        sign, size = np.linalg.slogdet(matrix)
        inverse = np.linalg.inv(matrix)
        return (-float(size) if sign > 0 else -np.inf), -(inverse[losses, gains] - inverse[gains, gains])

    return functional
