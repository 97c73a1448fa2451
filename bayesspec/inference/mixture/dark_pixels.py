"""Pixels so dark that they are no part of the sample: holes, and what lies beside it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BRIGHT = 0.95
"""Quantile of the counts of a pixel that stands for those of the sample."""
DARK = 0.05
"""Share of that below which a pixel is dark, of ``python benchmarks/realistic.py --dark`` all and no other."""
BETWEEN = 3.0
"""Factor above the limit up to which there must be few pixels: thin places lie between, holes end."""
FEW = 0.5
"""Number of pixels between, over that of dark ones, from which on the sample grows thin and has no holes."""
MOST_COUNTS = 40.0
"""Mean counts of dark pixels above which they are looked at as a phase of their own."""


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
    limit = DARK * float(np.quantile(totals[here], BRIGHT)) if here.any() else 0.0
    dark = valid & (totals <= limit)
    between = here & (totals > limit) & (totals <= BETWEEN * limit)
    if limit < 1.0 or between.sum() > FEW * dark.sum() or totals[dark].sum() > MOST_COUNTS * dark.sum():
        return np.zeros_like(here)
    return here & dark
