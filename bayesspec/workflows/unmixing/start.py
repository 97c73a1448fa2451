"""Where the sampling of an unmixing starts: the best fit, made to mean what the result says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from bayesspec.image.counts import CountBlocks, Counts
from bayesspec.inference.blocks import em_step
from bayesspec.inference.nmf.background_transfer import nowhere_absent, unload
from bayesspec.inference.nmf.minimum_volume import compact
from bayesspec.inference.nmf.mode import NmfMode, fit_mode
from bayesspec.inference.nmf.smoothing import proportional, smoothed_abundances
from bayesspec.workflows.unmixing.known_spectra import KnownSpectra

ROUNDS = 2
"""Times that background is taken out of the components and both are fitted again."""
NEIGHBOUR_ROUNDS = 3
"""Times that the maps are smoothed, the spectra fitted to them, and drawn together."""
SMOOTH_TOLERANCE = 1.5
"""Standard deviations of its own noise by which a smoothed abundance may be negative: it has less of it."""
SPECTRA_STEPS = 5
"""Steps by which the spectra are fitted to given maps."""
SHAPE_ROUNDS, SHAPE_STEPS, SHAPE_CYCLES = 10, 5, 20
"""Times that the weights of the shapes and the rest are fitted, and steps and cycles of each."""
LEAST_SHARE = 1e-4
"""Abundance, as a share of the component's mean, that is left where a smoothed map is zero."""


def best_start(
    counts: Counts,
    rank: int,
    known: KnownSpectra,
    *,
    key: jax.Array,
    seed: int,
) -> NmfMode:
    """Fit the factorisation; of all that fit as well take the one with least background and closest spectra.

    Parameters
    ----------
    counts : Counts
        Counts.
    rank : int
        Number of components without the background.
    known : KnownSpectra
        What is known of them.
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
    fixed = np.concatenate([known.expected, known.all])[:, counts.channels]
    free = rank - len(known.components) - expected
    if free == 0:
        return fit_mode(counts, rank, key=key)
    mode = first = fit_mode(counts, free, key=key, fixed_spectra=fixed)
    for _ in range(ROUNDS if background else 0):
        mode = unload(mode, background, seed)
        mode = fit_mode(counts, free, init=(mode.abundances, mode.spectra), fixed_spectra=fixed)
    mode = unload(mode, background, seed) if background else mode
    mode = replace(mode, stability=_carried(first, mode, free))
    return _released(compact(mode, background, seed, counts=counts), free, expected)


def one_shape_start(counts: Counts, mode: NmfMode, background: int, *, seed: int) -> NmfMode | None:
    """Fit a background that has one shape in all pixels, a mixture of those that the mode has.

    Parameters
    ----------
    counts : Counts
        Counts.
    mode : NmfMode
        Their fit, with as many shapes of the background, the last spectra, mixed differently in every pixel.
    background : int
        How many.
    seed : int
        Seed of the grouping of pixels.

    Returns
    -------
    NmfMode or None
        The fit, its last spectrum the mixture. None where it fits worse by more than chance makes free mixtures fit
        better, or where the components could take up the background, whose shape then means nothing.
    """
    blocks, shapes = counts.blocks, mode.spectra[-background:]
    first, free = len(mode.spectra) - background, len(mode.spectra) - mode.n_fixed
    found, w = mode, mode.abundances
    for _ in range(SHAPE_ROUNDS):
        spectra = np.concatenate([found.spectra[:first], shapes])
        w = _with_common_weights(blocks, w, spectra, first)
        totals = w[:, first:].sum(axis=0, dtype=np.float64)
        if not totals.sum() > 0:
            return None
        weights = (totals / totals.sum()).astype(np.float32)
        mixed = np.append(spectra[:first], (weights @ shapes)[None], axis=0)
        init = np.append(w[:, :first], w[:, first:].sum(axis=1, keepdims=True), axis=1), mixed
        found = fit_mode(counts, free, init=init, fixed_spectra=mixed[free:], max_iterations=SHAPE_CYCLES)
        w = np.append(found.abundances[:, :first], found.abundances[:, first:] * weights, axis=1)
    stability = _carried(mode, found, free)
    found = replace(unload(found, 1, seed), stability=None if stability is None else stability[: first + 1])
    worse = 2.0 * (found.divergence - mode.divergence) > counts.shape[0] * (background - 1)
    return None if worse or nowhere_absent(found, seed) else found


def _with_common_weights(
    blocks: CountBlocks, abundances: npt.NDArray[Any], spectra: npt.NDArray[Any], first: int
) -> npt.NDArray[np.float32]:
    """Some steps of all abundances, those from the `first` on in the same proportions everywhere."""
    held, w = jnp.zeros(len(spectra), bool), abundances
    for _ in range(SHAPE_STEPS):
        totals = w[:, first:].sum(axis=0, dtype=np.float64)
        together = w[:, first:].sum(axis=1, keepdims=True) * (totals / max(totals.sum(), 1e-30))
        start = blocks.split(np.append(w[:, :first], together, axis=1).astype(np.float32))
        w = blocks.join(em_step(blocks.counts, start, jnp.asarray(spectra), held)[0])
    return w


def neighbour_start(counts: Counts, mode: NmfMode, strength: float, background: int, seed: int) -> NmfMode:
    """Draw the spectra together until the abundances, smoothed over neighbours, become zero.

    Smoothed maps show where a component is absent, which single pixels of few counts do not.

    Parameters
    ----------
    counts : Counts
        Counts of single pixels, and where they lie.
    mode : NmfMode
        Fit of these counts or of their sums over blocks.
    strength : float
        Strength of the smoothing, as `smoothed_abundances` takes it.
    background : int
        How many of the fixed spectra, the last, are background.
    seed : int
        Seed of the grouping of pixels.

    Returns
    -------
    NmfMode
        Spectra of the same fit, and its abundances moved along; components by falling total.
    """
    if len(mode.spectra) - mode.n_fixed < 2:
        return mode
    found = replace(mode, abundances=proportional(counts, mode.abundances.mean(axis=0)))
    for _ in range(NEIGHBOUR_ROUNDS):
        smooth = smoothed_abundances(counts, found.spectra, strength, found.abundances)
        smooth = np.maximum(smooth, LEAST_SHARE * smooth.mean(axis=0))
        found = replace(found, abundances=smooth, spectra=_fitted_spectra(counts.blocks, smooth, found))
        found = unload(found, background, seed) if background else found
        found = compact(found, background, seed, tolerance=SMOOTH_TOLERANCE)
    moved = mode.abundances @ (mode.spectra.astype(np.float64) @ np.linalg.pinv(found.spectra.astype(np.float64)))
    return replace(found, abundances=np.maximum(moved, 0.0).astype(np.float32))


def _fitted_spectra(blocks: CountBlocks, abundances: npt.NDArray[np.float32], mode: NmfMode) -> npt.NDArray[Any]:
    """Some steps of the free spectra towards the highest likelihood, the abundances held."""
    held, spectra = blocks.split(abundances), jnp.asarray(mode.spectra)
    free = jnp.arange(len(mode.spectra)) < len(mode.spectra) - mode.n_fixed
    for _ in range(SPECTRA_STEPS):
        spectra = em_step(blocks.counts, held, spectra, free)[1]
    return np.asarray(spectra)


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
