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


def compact(mode: NmfMode, background: int, seed: int, *, tolerance: float = TOLERANCE) -> NmfMode:
    """Draw the spectra together until abundances become zero.

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
    matrix = feasible.extreme(_smallness(feasible))
    moved = np.maximum(matrix @ spectra, LEAST)
    weights = np.maximum(abundances @ np.linalg.inv(matrix), LEAST)
    free = len(spectra) - mode.n_fixed
    moved[free:] = spectra[free:]
    moved /= moved.sum(axis=1, keepdims=True)
    order = np.append(np.argsort(-weights[:, :free].sum(axis=0), kind="stable"), np.arange(free, len(spectra)))
    found = replace(mode, spectra=moved.astype(np.float32), abundances=weights.astype(np.float32))
    return found.reordered(order)


def _smallness(feasible: FeasibleSet) -> Callable[[Array], tuple[float, Array]]:
    """Minus the logarithm of the volume of the spectra, with its slopes."""
    gains, losses = feasible.pairs.T

    def functional(matrix: Array) -> tuple[float, Array]:
        sign, size = np.linalg.slogdet(matrix)
        inverse = np.linalg.inv(matrix)
        return (-float(size) if sign > 0 else -np.inf), -(inverse[losses, gains] - inverse[gains, gains])

    return functional
