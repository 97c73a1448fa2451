"""How far off a model is beyond the noise of the counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def model_error(counts: npt.NDArray[Any], rate: npt.NDArray[np.float64]) -> float:
    """Estimate the relative error of a rate per channel, beyond Poisson noise.

    Parameters
    ----------
    counts : array, shape (channel,)
        Counts.
    rate : array, shape (channel,), float64
        Fitted counts.

    Returns
    -------
    float
        The f at which the squared deviations equal rate + (f rate)^2 on average; 0 where the rate alone is enough.
    """
    excess = np.square(counts - rate) / np.maximum(rate, 1.0)
    if excess.mean() < 1.0 + 4.0 / np.sqrt(len(rate)):
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if (excess / (1 + middle**2 * np.maximum(rate, 1))).mean() > 1 else (low, middle)
    return high
