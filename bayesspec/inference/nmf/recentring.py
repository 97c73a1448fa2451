"""Draws moved along the directions that the counts leave open, to spectra that are known from elsewhere.

Spectra H and abundances W fit as well as T H and W T^-1. Where the sampler does not get around in these directions,
where it stands in them means nothing, and knowledge that it does not have, such as of the neighbours of a
pixel, may say where it should.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bayesspec.inference.after_sampling import Step
from bayesspec.inference.nmf.posterior import NmfPosterior

Array = npt.NDArray[np.float64]
WORST_CONDITION = 1e3
"""Condition number of a transform above which the draws are left where they are."""


def recentred(posterior: NmfPosterior, spectra: npt.ArrayLike) -> NmfPosterior:
    """Move all draws by the one transform that brings their spectra closest to given ones, which become their mean.

    Parameters
    ----------
    posterior : NmfPosterior
        Draws.
    spectra : array (component, channel), float
        What the mean should be; the same order, those that are fixed last.

    Returns
    -------
    NmfPosterior
        Spectra, totals and fractions moved, their spread kept; the moments of the abundances are those of before and
        must be drawn anew.
    """
    mean, free = posterior.spectra.mean(axis=0, dtype=np.float64), posterior.spectra.shape[1] - posterior.n_fixed
    wanted = np.concatenate([np.asarray(spectra, np.float64)[:free], mean[free:]])
    transform = _closest(mean, wanted, free)
    if np.linalg.cond(transform) > WORST_CONDITION:
        return posterior
    moved = transform @ posterior.spectra.astype(np.float64)
    moved = np.maximum(wanted + (moved - moved.mean(axis=0)), 0.0)
    moved *= wanted / np.maximum(moved.mean(axis=0), 1e-30)
    moved /= moved.sum(axis=2, keepdims=True)
    inverse = np.linalg.inv(transform)
    totals, fractions = (np.maximum(part @ inverse, 0.0) for part in (posterior.totals, posterior.fractions))
    steps = (*posterior.steps, Step.RECENTRED)
    return replace(posterior, spectra=moved.astype(np.float32), totals=totals, fractions=fractions, steps=steps)


def _closest(mean: Array, wanted: Array, free: int) -> Array:
    """Transform of the mean to the wanted spectra by least squares in units of the noise; rows sum to one."""
    weight = 1.0 / np.sqrt(np.maximum(mean.mean(axis=0), 1e-12))
    transform = np.eye(len(mean))
    transform[:free] = np.linalg.lstsq((mean * weight).T, (wanted[:free] * weight).T, rcond=None)[0].T
    return np.asarray(transform / transform.sum(axis=1, keepdims=True), np.float64)
