"""How many independent draws a chain is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def effective_sample_size(chains: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Effective sample size of each quantity, from the positive and monotone part of its autocorrelation.

    Parameters
    ----------
    chains : array (draw, ...), float
        Successive draws of one chain.

    Returns
    -------
    numpy.ndarray (...), float64
        Effective number of draws; that of a quantity that never moves is the number of draws.

    Notes
    -----
    Source: Geyer (1992), doi:10.1214/ss/1177011137, the initial monotone sequence.
    """
    draws = np.asarray(chains, np.float64)
    flat = draws.reshape(len(draws), -1)
    return np.array([_one(column) for column in flat.T]).reshape(draws.shape[1:])


def _one(column: npt.NDArray[Any]) -> float:
    n = len(column)
    centred = column - column.mean()
    spread = float(centred @ centred)
    if n < 4 or spread <= 1e-20 * max(float(column @ column), 1e-300):
        return float(n)
    spectrum = np.fft.rfft(centred, 2 * n)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:n] / spread
    sums = correlation[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    positive = int(np.argmax(sums <= 0)) if (sums <= 0).any() else len(sums)
    monotone = np.minimum.accumulate(sums[:positive])
    return float(min(n, n / max(2.0 * monotone.sum() - 1.0, 1.0 / n)))
