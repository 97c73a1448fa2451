"""Background that components have taken up is given back to it.

A component with some background in its spectrum fits as well as one without, as long as there is background
everywhere. Of all these the components without are meant: as much of the background shapes as the noise of the
spectrum allows is taken out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from bayesspec.inference.nmf import NmfMode
from bayesspec.inference.nmf_feasible import FeasibleSet, group_pixels

Array = npt.NDArray[np.float64]
DEPTH = 1.0
"""Standard deviations by which a spectrum may fall below zero when background is taken out."""
MOST = 0.98
"""Largest share of a component that is taken for background."""


def unload(mode: NmfMode, background: int, seed: int) -> NmfMode:
    """Take as much background as possible out of the components.

    Parameters
    ----------
    mode : NmfMode
        Factors; the background's shapes are the last spectra.
    background : int
        Number of shapes of the background.
    seed : int
        Seed of the grouping of pixels that the noise comes from.

    Returns
    -------
    NmfMode
        Factors of about the same fit with smaller components; what falls below zero is set to zero.
    """
    spectra, abundances = mode.spectra.astype(np.float64), mode.abundances.astype(np.float64)
    feasible = FeasibleSet(group_pixels(abundances, seed), spectra, mode.n_fixed, background)
    shapes = feasible.runs[:, -background:]
    for k in range(feasible.free):
        shares = _largest_share(feasible.runs[:, k], shapes, DEPTH * feasible.run_noise[:, k])
        net = np.maximum(spectra[k] - shares @ spectra[-background:], 0.0)
        if net.sum() <= 0:
            continue
        abundances[:, -background:] += abundances[:, [k]] * shares
        abundances[:, k] *= 1.0 - shares.sum()
        spectra[k] = net / net.sum()
    return replace(mode, spectra=spectra.astype(np.float32), abundances=abundances.astype(np.float32))


def _largest_share(spectrum: Array, shapes: Array, depth: Array) -> Array:
    """Shares of the shapes that take most out of a spectrum, by a linear program."""
    bounds = [(0.0, MOST)] * shapes.shape[1]
    total = np.ones((1, shapes.shape[1]))
    rows, limits = np.concatenate([shapes, total]), np.append(spectrum + depth, MOST)
    found = linprog(-np.ones(shapes.shape[1]), rows, limits, bounds=bounds, method="highs")
    return np.asarray(found.x, np.float64) if found.status == 0 else np.zeros(shapes.shape[1])
