"""What the channels need to know of the pixels, and the problem that each of them then is.

Once the scale of the spectra is free, a channel is a log-concave problem in the logarithms of its K entries, as a
pixel is; its information may come from merged pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bayesspec.inference.newton_proposal import add_diagonal, pair_products
from bayesspec.inference.nmf_blocks import product
from bayesspec.inference.nmf_merging import merge
from bayesspec.models.poisson_nmf import RATE_FLOOR


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
    spectra: jax.Array, sums: ChannelSums, totals: jax.Array, scale: jax.Array, concentration: jax.Array
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
    concentration : jax.Array (free component, channel), float64
        Dirichlet concentration.

    Returns
    -------
    ChannelProblem
        The problem.
    """
    slope = (totals + scale)[:, None]
    gradient = spectra * (sums.received - slope) + concentration
    information = pair_products(spectra) * sums.gram
    return ChannelProblem(spectra, gradient, add_diagonal(information, concentration))
