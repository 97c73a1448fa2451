"""The two blocked moves of the sampler: all pixels given the spectra, and all channels given the abundances.

In eta = log w a pixel is a log-concave problem in K unknowns, and so is a channel in log h once the scale of the
spectra is free. Each gets a Newton proposal from its expected information and an exact Metropolis-Hastings
decision. The information may come from merged channels or pixels: it is a function of the point alone, so
the decision stays exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bayesspec.inference.newton_proposal import newton_proposal, pair_products
from bayesspec.inference.nmf_blocks import product
from bayesspec.models.poisson_nmf import RATE_FLOOR

MERGED_CHANNELS = 256
"""Channels that are kept for the information of the pixels."""
MERGED_PIXELS = 4096
"""Pixels that are kept for the information of the channels."""


@dataclass(frozen=True)
class Runs:
    """How many neighbours are merged where only the information is computed.

    Parameters
    ----------
    channels, pixels : int
        Lengths of the runs for the information.
    coupling : int
        Channels merged for the coupling moves.
    """

    channels: int
    pixels: int
    coupling: int


def choose_runs(pixels: int, channels: int, rows: int) -> Runs:
    """Merge no more than leaves `MERGED_CHANNELS` channels and `MERGED_PIXELS` pixels.

    Parameters
    ----------
    pixels, channels : int
        Shape of the counts.
    rows : int
        Pixels in a block, a multiple of 8.

    Returns
    -------
    Runs
        Lengths of the runs.
    """
    run = 1
    while run < 8 and pixels // (2 * run) >= MERGED_PIXELS and rows % (2 * run) == 0:
        run *= 2
    merged = int(np.clip(channels // MERGED_CHANNELS, 1, 8))
    return Runs(merged, run, min(2, merged))


class ChannelSums(NamedTuple):
    """What a channel needs to know of all pixels, at one setting of the spectra.

    Parameters
    ----------
    received : jax.Array (free component, channel), float64
        Sum over pixels of w x / r.
    gram : jax.Array (pair, channel), float64
        Sum over pixels of w_i w_j / r.
    """

    received: jax.Array
    gram: jax.Array


def no_sums(free: int, channels: int) -> ChannelSums:
    """Sums over no pixels.

    Parameters
    ----------
    free, channels : int
        Number of free components and of channels.

    Returns
    -------
    ChannelSums
        Zeros.
    """
    gram = jnp.zeros((free * (free + 1) // 2, channels), jnp.float64)
    return ChannelSums(jnp.zeros((free, channels), jnp.float64), gram)


def add_sums(sums: ChannelSums, part: tuple[jax.Array, jax.Array]) -> ChannelSums:
    """Add the contribution of a block of pixels, in float64.

    Parameters
    ----------
    sums : ChannelSums
        Sums so far.
    part : (received, gram)
        As `channel_sums` returns them, float32.

    Returns
    -------
    ChannelSums
        New sums.
    """
    return ChannelSums(sums.received + part[0].astype(jnp.float64), sums.gram + part[1].astype(jnp.float64))


def merge(values: jax.Array, run: int) -> jax.Array:
    """Add runs of neighbours along the last axis; the last run may be short.

    Parameters
    ----------
    values : jax.Array (row, entry), float
        Values.
    run : int
        Length of the runs.

    Returns
    -------
    jax.Array (row, merged entry), float
        Sums.
    """
    if run == 1:
        return values
    short = -values.shape[1] % run
    padded = jnp.pad(values, ((0, 0), (0, short)))
    return padded.reshape(values.shape[0], -1, run).sum(axis=2)


def pixel_move(
    counts: jax.Array,
    log_w: jax.Array,
    spectra: jax.Array,
    shape: jax.Array,
    rate: jax.Array,
    noise: jax.Array,
    log_uniform: jax.Array,
    run: int,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Move the abundances of one block of pixels, given the spectra.

    Parameters
    ----------
    counts : jax.Array (row, channel), float32
        Counts.
    log_w, noise : jax.Array (row, component), float32
        Log abundances; standard normal noise.
    spectra : jax.Array (component, channel), float32
        Spectra, each summing to one.
    shape, rate : jax.Array (component,), float32
        Gamma prior of the abundances.
    log_uniform : jax.Array (row,), float32
        Logarithm of a uniform number.
    run : int
        Channels merged for the information.

    Returns
    -------
    log_w : jax.Array (row, component), float32
        New log abundances.
    quotient : jax.Array (row, channel), float32
        Counts over the mean at the new abundances.
    gain : jax.Array (row,), float32
        Change of the log likelihood.
    accepted : jax.Array (row,), bool
        Whether the pixel moved.
    """
    merged = merge(spectra, run)
    crossed = merge(pair_products(spectra), run) * float(run)
    sums = spectra.sum(axis=1)
    shape, rate = shape[:, None], rate[:, None]

    def local(eta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        w = jnp.exp(eta)
        mean = product(w, spectra) + RATE_FLOOR
        quotient = counts / mean
        gram = product(1.0 / (product(w, merged) + RATE_FLOOR), crossed.T)
        wt = w.T
        gradient = wt * (product(quotient, spectra.T).T - sums[:, None] - rate) + shape
        return mean, quotient, gradient, pair_products(wt) * gram.T

    old_mean, old_quotient, gradient, information = local(log_w)
    forward = newton_proposal(gradient, _add_diagonal(information, shape))
    moved = forward.displace(noise.T)
    proposed = log_w + moved.T
    new_mean, new_quotient, gradient, information = local(proposed)
    backward = newton_proposal(gradient, _add_diagonal(information, shape))
    grown = (jnp.exp(proposed) - jnp.exp(log_w)).T
    gain = (counts * jnp.log(new_mean / old_mean)).sum(axis=1) - (sums[:, None] * grown).sum(axis=0)
    prior = (shape * moved - rate * grown).sum(axis=0)
    ratio = gain + prior + backward.log_density(-moved) - forward.log_density(moved)
    accepted = log_uniform < ratio
    choose = accepted[:, None]
    return (
        jnp.where(choose, proposed, log_w),
        jnp.where(choose, new_quotient, old_quotient),
        jnp.where(accepted, gain, 0.0),
        accepted,
    )


def _add_diagonal(packed: jax.Array, diagonal: jax.Array) -> jax.Array:
    """Add to the diagonal of packed matrices: (pair, problem) + (component, 1)."""
    size = diagonal.shape[0]
    rows = jnp.asarray([i * (i + 1) // 2 + i for i in range(size)])
    return packed.at[rows].add(jnp.broadcast_to(diagonal, (size, packed.shape[1])))


def channel_sums(
    w: jax.Array, quotient: jax.Array, spectra: jax.Array, free: int, run: int
) -> tuple[jax.Array, jax.Array]:
    """Contribution of one block of pixels to `ChannelSums`.

    Parameters
    ----------
    w : jax.Array (row, component), float32
        Abundances, zero in the filling.
    quotient : jax.Array (row, channel), float32
        Counts over the mean.
    spectra : jax.Array (component, channel), float32
        Spectra.
    free : int
        Number of free components; they come first.
    run : int
        Pixels merged for the information.

    Returns
    -------
    received : jax.Array (free component, channel), float32
        Sum of w x / r.
    gram : jax.Array (pair, channel), float32
        Sum of w_i w_j / r.
    """
    loose = w[:, :free].T
    crossed = merge(pair_products(loose), run) * float(run)
    mean = product(merge(w.T, run).T, spectra) + RATE_FLOOR
    return product(loose, quotient), product(crossed, 1.0 / mean)


class ChannelProblem(NamedTuple):
    """One setting of the spectra, with gradient and precision of every channel.

    Parameters
    ----------
    spectra : jax.Array (free component, channel), float64
        The spectra.
    gradient : jax.Array (free component, channel), float64
        Gradient of the log density in log h.
    precision : jax.Array (pair, channel), float64
        Expected information plus the prior's.
    """

    spectra: jax.Array
    gradient: jax.Array
    precision: jax.Array


def channel_problem(
    spectra: jax.Array, sums: ChannelSums, totals: jax.Array, scale: jax.Array, concentration: float
) -> ChannelProblem:
    """Gradient and precision of the channels in log h, the scale of the spectra being free.

    Parameters
    ----------
    spectra : jax.Array (free component, channel), float64
        Spectra.
    sums : ChannelSums
        Sums over pixels at these spectra.
    totals : jax.Array (free component,), float64
        Total abundances, counts.
    scale : jax.Array (free component,), float64
        The free scale: scale x h has independent Gamma(concentration, 1) entries.
    concentration : float
        Dirichlet concentration.

    Returns
    -------
    ChannelProblem
        The problem.
    """
    slope = (totals + scale)[:, None]
    gradient = spectra * (sums.received - slope) + concentration
    information = pair_products(spectra) * sums.gram
    prior = jnp.full((spectra.shape[0], 1), concentration, spectra.dtype)
    return ChannelProblem(spectra, gradient, _add_diagonal(information, prior))
