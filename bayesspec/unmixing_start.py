"""Where the sampling of an unmixing starts: the best fit, made to mean what the result says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from bayesspec.inference.nmf import NmfMode, fit_mode
from bayesspec.inference.nmf_compact import compact
from bayesspec.inference.nmf_unload import unload
from bayesspec.inference.status import Status
from bayesspec.known_spectra import KnownSpectra

ROUNDS = 2
"""Times that background is taken out of the components and both are fitted again."""


def best_start(
    counts: npt.NDArray[Any],
    rank: int,
    known: KnownSpectra,
    channels: npt.NDArray[np.bool_],
    *,
    key: jax.Array,
    seed: int,
) -> NmfMode:
    """Fit the factorisation; of all that fit as well take the one with least background and closest spectra.

    Parameters
    ----------
    counts : array (pixel, channel), unsigned integer
        Counts.
    rank : int
        Number of components without the background.
    known : KnownSpectra
        What is known of them.
    channels : array (energy,), bool
        Channels in use.
    key : jax.Array
        Random key of the starts.
    seed : int
        Seed of the grouping of pixels.

    Returns
    -------
    NmfMode
        Components that are expected first, then free ones, known ones, and the background.
    """
    expected, background = len(known.expected), len(known.background)
    fixed = np.concatenate([known.expected, known.all])[:, channels]
    free = rank - len(known.components) - expected
    if free == 0:
        return fit_mode(counts, rank, key=key)
    mode = first = fit_mode(counts, free, key=key, fixed_spectra=fixed)
    for _ in range(ROUNDS if background else 0):
        if mode.status is not Status.INTERRUPTED:
            mode = unload(mode, background, seed)
            mode = fit_mode(counts, free, key=key, init=(mode.abundances, mode.spectra), fixed_spectra=fixed)
    if mode.status is Status.INTERRUPTED:
        return mode
    mode = unload(mode, background, seed) if background else mode
    mode = replace(mode, stability=_carried(first, mode, free))
    return _released(compact(mode, background, seed), free, expected)


def _carried(first: NmfMode, last: NmfMode, free: int) -> npt.NDArray[np.float64] | None:
    """Stability of the first fit, in the order of the last."""
    if first.stability is None:
        return None
    a, b = (m.spectra[:free] / np.linalg.norm(m.spectra[:free], axis=1, keepdims=True) for m in (last, first))
    partners = linear_sum_assignment(-(a @ b.T))[1]
    return np.append(first.stability[partners], first.stability[free:])


def _released(mode: NmfMode, free: int, expected: int) -> NmfMode:
    """Put the expected components first and let them move."""
    order = np.r_[free : free + expected, 0:free, free + expected : len(mode.spectra)]
    return replace(mode.reordered(order), n_fixed=mode.n_fixed - expected)
