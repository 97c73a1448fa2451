"""Pixels so dark that they are no part of the sample: holes, and what lies beside it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesspec.inference.mixture.settings import SETTINGS


def dark_pixels(totals: NDArray[np.integer[Any]], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the pixels that hold hardly any counts where the others hold many.

    Parameters
    ----------
    totals : ndarray of int, (y, x)
        Counts of each pixel.
    valid : ndarray of bool, (y, x)
        Pixels that are not excluded.

    Returns
    -------
    ndarray of bool, (y, x)
        ``True`` where a pixel with counts is dark; nowhere, where the sample grows thin gradually or where the dark
        pixels hold enough counts to be judged.
    """
    here = valid & (totals > 0)
    limit = SETTINGS.dark_share * float(np.quantile(totals[here], SETTINGS.bright_quantile)) if here.any() else 0.0
    dark = valid & (totals <= limit)
    between = here & (totals > limit) & (totals <= SETTINGS.thin_factor * limit)
    if (
        limit < 1.0
        or between.sum() > SETTINGS.thin_pixels * dark.sum()
        or totals[dark].sum() > SETTINGS.dark_counts * dark.sum()
    ):
        return np.zeros_like(here)
    return here & dark
