"""Abundances of many pixels given draws of the spectra that fewer, summed pixels have given.

Counts summed over blocks of pixels are Poisson counts of the same spectra, so the spectra can be sampled on the sums,
which costs far less; the abundances of the single pixels are then drawn given each draw of the spectra. The counts of
channels in which the components have about the same proportions are added first: of what they say about the
abundances hardly anything is lost, and the sums are Poisson counts of the summed spectra, whatever the proportions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bayesspec.image.counts import Counts
from bayesspec.inference.nmf.channel_groups import group_by_spectra
from bayesspec.inference.nmf.posterior import Moments, NmfPosterior, add_draw, gamma_quantiles, no_moments
from bayesspec.inference.nmf.prior import NmfPrior, draw_shape_and_rate
from bayesspec.inference.nmf.sampler import Chain, Start
from bayesspec.inference.nmf.state import Data, Plan, State
from bayesspec.inference.nmf.sweep import move_pixels

BURN_IN = 10
"""Sweeps at the first spectra that are not kept."""
GROUPS = 16
"""Groups of channels for each component; with fewer than four times as many channels none are added."""


@partial(jax.jit, static_argnames=("plan",))
def _step(data: Data, state: State, key: jax.Array, plan: Plan) -> tuple[State, jax.Array, jax.Array]:
    """Move the pixels and their prior; return the totals and mean fractions as well."""
    move_key, prior_key = jax.random.split(key)
    log_w = move_pixels(data, state, move_key, plan)[0]
    w = jnp.exp(log_w) * data.valid
    totals = w.astype(jnp.float64).sum(axis=(0, 1))
    sum_log = (log_w * data.valid).astype(jnp.float64).sum(axis=(0, 1))
    shape, rate = draw_shape_and_rate(prior_key, state.shape, sum_log, totals, data.pixels, data.prior)
    shares = w / jnp.maximum(w.sum(axis=2, keepdims=True), 1e-30)
    fractions = shares.astype(jnp.float64).sum(axis=(0, 1)) / data.pixels
    return state._replace(log_w=log_w, shape=shape, rate=rate), totals, fractions


def sample_abundances(
    counts: npt.ArrayLike | Counts,
    spectra: NmfPosterior,
    *,
    key: jax.Array,
    prior: NmfPrior | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NmfPosterior:
    """Draw the abundances of single pixels, one move for each draw of the spectra.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        Counts of the single pixels, on the channels of the spectra.
    spectra : NmfPosterior
        Posterior whose spectra came from sums over these pixels.
    key : jax.Array
        Random key.
    prior : NmfPrior, optional
        Constants of the prior.
    progress : callable (done, total), optional
        Called after each draw.

    Returns
    -------
    NmfPosterior
        The same draws of the spectra, with abundances, totals, fractions, shape and rate of the single pixels.

    Raises
    ------
    InputError
        When the counts cannot be used.
    """
    prior = replace(prior or NmfPrior(), seen=())  # of the spectra, which are drawn already
    grouped, draws = _in_groups(Counts.of(counts), spectra)
    with jax.enable_x64(True):
        chain = _chain(grouped, draws[0], spectra, prior)
        moments, rows = _run(chain, draws, key, progress)
        mean = chain.blocks.join(moments.mean)
        sd = np.sqrt(chain.blocks.join(moments.squares) / max(float(moments.number) - 1.0, 1.0))
    totals, fractions, shape, rate = (np.stack(column) for column in zip(*rows, strict=True))
    return replace(
        spectra,
        abundance_mean=mean,
        abundance_sd=sd,
        abundance_quantiles=gamma_quantiles(mean, sd, spectra.probs),
        totals=totals,
        fractions=fractions,
        shape=shape,
        rate=rate,
    )


def _in_groups(counts: Counts, spectra: NmfPosterior) -> tuple[Counts, npt.NDArray[np.float32]]:
    """Counts and draws of the spectra, added over groups of channels."""
    draws, number = spectra.spectra, GROUPS * spectra.spectra.shape[1]
    if counts.shape[1] < 4 * number:
        return counts, draws
    groups = group_by_spectra(draws.mean(axis=0) * spectra.totals.mean(axis=0)[:, None], number)
    added = Counts.in_one_column(groups.add(counts.matrix))
    return added, np.stack([groups.gather(draw) for draw in draws]).astype(np.float32)


def _chain(counts: Counts, first: npt.NDArray[np.float32], spectra: NmfPosterior, prior: NmfPrior) -> Chain:
    """Even abundances beside the first draw of the spectra; building the chain fits them."""
    totals = np.maximum(counts.matrix.sum(axis=1, dtype=np.float64), 0.1)
    even = np.repeat(totals[:, None], len(first), axis=1) / len(first)
    shape = np.clip(spectra.shape[0], 1.01 * prior.shape_range[0], 2.0)
    start = Start(even, first, shape, shape / even.mean(axis=0))
    return Chain(counts, start, len(first) - spectra.n_fixed, prior, coupled=False)


def _run(
    chain: Chain,
    spectra: npt.NDArray[np.float32],
    key: jax.Array,
    progress: Callable[[int, int], None] | None,
) -> tuple[Moments, list[tuple[npt.NDArray[Any], ...]]]:
    fixed = len(chain.state.spectra) - chain.plan.free
    state, moments = chain.state, no_moments(chain.state.log_w, fixed)
    rows: list[tuple[npt.NDArray[Any], ...]] = []
    for number in range(-BURN_IN, len(spectra)):
        state = state._replace(spectra=jnp.asarray(spectra[max(number, 0)]))
        step_key = jax.random.fold_in(key, number + BURN_IN + 1)
        state, totals, fractions = _step(chain.data, state, step_key, chain.plan)
        if number < 0:
            continue
        moments = add_draw(moments, state.log_w, fixed)
        rows.append(tuple(np.asarray(value) for value in (totals, fractions, state.shape, state.rate)))
        if progress is not None:
            progress(number + 1, len(spectra))
    return moments, rows
