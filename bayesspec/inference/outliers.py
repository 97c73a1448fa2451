"""Dead and hot channels and pixels: sums that their neighbours contradict."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter

from bayesspec.inference.noise.settings import SETTINGS

WINDOW = 5
"""Side of the neighbourhood, the sum itself in its middle: channels or pixels."""


def outliers(sums: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.int8]:
    """Find sums that are far above or far below all of their neighbours.

    Parameters
    ----------
    sums : numpy.ndarray (channel,) or (y, x), integer
        Counts summed over everything else.
    valid : numpy.ndarray, the same shape, bool
        What is not excluded.

    Returns
    -------
    numpy.ndarray, the same shape, int8
        1 for hot, -1 for dead, 0 for all others.
    """
    around = np.ones((WINDOW,) * sums.ndim, bool)
    around[(WINDOW // 2,) * sums.ndim] = False
    values = sums.astype(np.float64)
    highest = maximum_filter(np.where(valid, values, -np.inf), footprint=around, mode="constant", cval=-np.inf)
    lowest = minimum_filter(np.where(valid, values, np.inf), footprint=around, mode="constant", cval=np.inf)
    known = valid & np.isfinite(highest) & np.isfinite(lowest)
    if sums.ndim == 1:
        known[[0, -1]] = False  # a spectrum may end in a step, as where a detector's window becomes opaque
    with np.errstate(invalid="ignore"):
        hot = known & (
            values
            > SETTINGS.outlier_factor * highest
            + SETTINGS.outlier_sigmas * np.sqrt(SETTINGS.outlier_factor * np.maximum(highest, 1.0) + values)
        )
        dead = known & (
            values
            < lowest / SETTINGS.outlier_factor
            - SETTINGS.outlier_sigmas * np.sqrt(np.maximum(lowest, 0.0)) / SETTINGS.outlier_factor
        )
    return (hot.astype(np.int8) - dead.astype(np.int8)).astype(np.int8)
