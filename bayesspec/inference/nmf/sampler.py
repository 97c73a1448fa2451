"""Posterior of the Poisson factorisation by blocked Newton-Metropolis Gibbs sampling, started at the mode.

The abundances are sampled together with the spectra and with the shape and rate of their own prior, so that the
intervals of the spectra are those with the abundances integrated out. Each sweep takes two passes over the
counts. Abundances are streamed into moments; spectra are kept.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.inference.nmf import NmfMode
from bayesspec.inference.nmf_chain import Chain, Start
from bayesspec.inference.nmf_input import check_counts
from bayesspec.inference.nmf_posterior import Moments, NmfPosterior, add_draw, no_moments, summarise
from bayesspec.inference.nmf_prior import NmfPrior
from bayesspec.inference.nmf_state import Summary

LEAST_ABUNDANCE = 0.05
"""Abundance, in counts, at which an empty one starts."""


FEWEST_PIXELS = 1000
"""Pixels that the first stage of the warmup sees at least."""
THINNED_ENTRIES = 2_000_000
"""Entries of the counts below which more than one sweep is made for a draw."""
MANY_ENTRIES = 20_000_000
"""Entries of the counts up to which sweeps over all of them cost less than preparing those over a part."""
FIRST_WARMUP = 3
"""Sweeps over the smallest part of the pixels per sweep of the warmup over all."""


def sample(
    counts: npt.ArrayLike,
    mode: NmfMode,
    *,
    key: jax.Array,
    draws: int = 300,
    warmup: int = 100,
    thin: int | None = None,
    probs: tuple[float, ...] = (0.025, 0.975),
    prior: NmfPrior | None = None,
    shapes: npt.ArrayLike | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NmfPosterior:
    """Sample the posterior of spectra, abundances and their prior, from the mode on.

    Parameters
    ----------
    counts : array (pixel, channel), integer
        The counts that the mode was fitted to.
    mode : NmfMode
        Where to start; its fixed spectra stay fixed.
    key : jax.Array
        Random key.
    draws : int
        Number of draws kept.
    warmup : int
        Sweeps over all pixels before the first draw; there are more over part of the pixels when they are many.
    thin : int, optional
        Sweeps per kept draw, five on small counts and one on large when not given; the moments of the abundances
        use every sweep.
    probs : tuple of float
        Probabilities of the quantiles of the abundances.
    prior : NmfPrior, optional
        Constants of the prior.
    shapes : array (shape, channel), float, optional
        The last spectrum of the mode is a mixture of these, two or more, each summing to one, and its weights are not
        known: their prior is flat.
    progress : callable (done, total), optional
        Called after each sweep.

    Returns
    -------
    NmfPosterior
        The posterior. After an interruption: of the draws so far, at least two.

    Raises
    ------
    InputError
        When the counts do not fit the mode or the numbers of draws are not positive.

    Notes
    -----
    Source: Cemgil (2009), doi:10.1155/2009/785152 (the model); Qi & Minka (2002), Hessian-based Markov chain
    Monte-Carlo algorithms (the proposal).
    """
    matrix = check_counts(counts)
    thin = int(np.clip(THINNED_ENTRIES // matrix.size, 1, 5)) if thin is None else thin
    _check(matrix, mode, draws, warmup, thin)
    prior, stages = prior or NmfPrior(), warmup_stages(matrix.shape, warmup)
    total = sum(sweeps for _, sweeps in stages) + draws * thin
    tick = _ticker(total, progress)
    with jax.enable_x64(True):
        warm_key, draw_key = jax.random.split(key)
        chain = _warm_up(matrix, mode, prior, shapes, stages, warm_key, tick)
        kept, moments, accepted, complete = _keep(chain, draws, thin, draw_key, tick)
    return summarise(chain.blocks.join, mode, kept, moments, accepted, probs, complete=complete)


def _ticker(total: int, progress: Callable[[int, int], None] | None) -> Callable[[], None]:
    """Count sweeps for the caller."""
    done = itertools.count(1)
    return lambda: progress(next(done), total) if progress is not None else None


def warmup_stages(shape: tuple[int, ...], warmup: int) -> list[tuple[int, int]]:
    """Choose one in how many pixels each stage of the warmup sees, and for how many sweeps.

    Parameters
    ----------
    shape : tuple of int
        Pixels and channels.
    warmup : int
        Sweeps of the last stage, which sees all pixels.

    Returns
    -------
    list of (int, int)
        Stride, a falling power of four, and number of sweeps.
    """
    strides = [1]
    pixels, entries = shape[0], math.prod(shape)
    while entries > MANY_ENTRIES * strides[0] and pixels // (4 * strides[0]) >= FEWEST_PIXELS:
        strides.insert(0, 4 * strides[0])
    if len(strides) == 1:
        return [(1, warmup)]
    return [(strides[0], FIRST_WARMUP * warmup), *((stride, warmup) for stride in strides[1:])]


def _begin(mode: NmfMode, prior: NmfPrior) -> Start:
    """Start at the mode, off the boundary."""
    w = np.maximum(mode.abundances.astype(np.float64), LEAST_ABUNDANCE)
    free = len(mode.spectra) - mode.n_fixed
    h = mode.spectra.astype(np.float64).copy()
    loose = h[:free] * w.sum(axis=0)[:free, None] + prior.concentrations(free, h.shape[1])
    h[:free] = loose / loose.sum(axis=1, keepdims=True)
    low, high = prior.shape_range
    shape = np.clip(w.mean(axis=0) ** 2 / np.maximum(w.var(axis=0), 1e-9), 1.01 * low, 0.5 * high)
    return Start(w, h, shape, shape / w.mean(axis=0))


def _warm_up(
    counts: npt.NDArray[Any],
    mode: NmfMode,
    prior: NmfPrior,
    shapes: npt.ArrayLike | None,
    stages: list[tuple[int, int]],
    key: jax.Array,
    tick: Callable[[], None],
) -> Chain:
    """Warm up on ever more pixels: the way from the mode to the bulk is long, a sweep over few pixels is short."""
    start, free = _begin(mode, prior), len(mode.spectra) - mode.n_fixed
    order = np.asarray(jax.random.permutation(jax.random.fold_in(key, 0), len(counts)))
    for stride, sweeps in stages:
        chosen = np.sort(order[::stride])
        part = replace(start, abundances=start.abundances[chosen])
        chain = Chain(counts if stride == 1 else counts[chosen], part, free, prior, shapes=shapes)
        chain.warm(sweeps, jax.random.fold_in(key, stride), tick)
        spectra, shape, rate = (np.asarray(v) for v in chain.state[1:4])
        start = Start(_carry(start, spectra), spectra, shape, rate)
    return chain


def _carry(start: Start, spectra: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Abundances that with new spectra give about the same means."""
    transform = start.spectra.astype(np.float64) @ np.linalg.pinv(spectra.astype(np.float64))
    return np.maximum(start.abundances @ transform, LEAST_ABUNDANCE)


def _keep(
    chain: Chain, draws: int, thin: int, key: jax.Array, tick: Callable[[], None]
) -> tuple[list[Summary], Moments, npt.NDArray[np.float64], bool]:
    """Sweep and keep, to the end or until interrupted with at least two draws."""
    kept: list[Summary] = []
    fixed = len(chain.state.spectra) - chain.plan.free
    moments, accepted = no_moments(chain.state.log_w, fixed), []
    complete = True
    try:
        for number in range(draws * thin):
            summary = chain.step(jax.random.fold_in(key, number))
            moments = add_draw(moments, chain.state.log_w, fixed)
            accepted.append(summary.accepted)
            if number % thin == thin - 1:
                kept.append(summary)
            tick()
    except KeyboardInterrupt:
        if len(kept) < 2:
            raise
        complete = False
    return kept, moments, np.mean(accepted, axis=0), complete


def _check(counts: npt.NDArray[Any], mode: NmfMode, draws: int, warmup: int, thin: int) -> None:
    if counts.shape != (len(mode.abundances), mode.spectra.shape[1]):
        raise InputError(
            f"counts of shape {counts.shape} and a mode of {len(mode.abundances)} x {mode.spectra.shape[1]}",
            "the counts that the mode was fitted to",
            "sample(counts, fit_mode(counts, rank, key=key), key=key)",
        )
    if draws < 2 or warmup < 0 or thin < 1:
        raise InputError(
            f"draws={draws}, warmup={warmup}, thin={thin}",
            "at least two draws, no negative warmup, thin of one or more, or None",
            "draws=300, warmup=100, thin=1",
        )
