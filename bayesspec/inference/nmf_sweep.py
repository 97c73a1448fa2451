"""One sweep of the sampler: two passes over the counts, then the scale, the shapes and the rates."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bayesspec.inference.newton_proposal import newton_proposal
from bayesspec.inference.nmf_blocks import product
from bayesspec.inference.nmf_moves import (
    ChannelSums,
    Runs,
    channel_problem,
    channel_sums,
    pixel_move,
)
from bayesspec.inference.nmf_prior import NmfPrior, draw_shape_and_rate, log_prior
from bayesspec.models.poisson_nmf import RATE_FLOOR

SMALLEST = 1e-30
"""Smallest probability of a channel: single precision has room below it."""


class State(NamedTuple):
    """Where the chain is.

    Parameters
    ----------
    log_w : jax.Array (block, row, component), float32
        Log abundances, log counts.
    spectra : jax.Array (component, channel), float32
        Spectra, each summing to one; free components first.
    shape, rate : jax.Array (component,), float64
        Gamma prior of the abundances; dimensionless, 1 / counts.
    log_likelihood : jax.Array (), float64
        Log likelihood, nats.
    """

    log_w: jax.Array
    spectra: jax.Array
    shape: jax.Array
    rate: jax.Array
    log_likelihood: jax.Array


class Summary(NamedTuple):
    """What is kept of a sweep.

    Parameters
    ----------
    spectra : jax.Array (component, channel), float32
        Spectra.
    totals : jax.Array (component,), float64
        Abundances added over the pixels, counts.
    fractions : jax.Array (component,), float64
        Share of the component in a pixel, mean over the pixels.
    shape, rate : jax.Array (component,), float64
        Gamma prior of the abundances.
    log_joint : jax.Array (), float64
        Log density of counts and unknowns, nats.
    accepted : jax.Array (2,), float64
        Share of the pixels and of the channels that moved.
    """

    spectra: jax.Array
    totals: jax.Array
    fractions: jax.Array
    shape: jax.Array
    rate: jax.Array
    log_joint: jax.Array
    accepted: jax.Array


@partial(jax.jit, static_argnames=("free", "runs", "prior", "pixels"))
def sweep(
    counts: jax.Array,
    valid: jax.Array,
    state: State,
    key: jax.Array,
    *,
    free: int,
    runs: Runs,
    prior: NmfPrior,
    pixels: int,
) -> tuple[State, Summary]:
    """Move everything once.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    valid : jax.Array (block, row, 1), float32
        One, and zero in the filling of the last block.
    state : State
        Where the chain is.
    key : jax.Array
        Random key.
    free : int
        Number of components with a free spectrum.
    runs : Runs
        What is merged where only the information is computed.
    prior : NmfPrior
        Constants of the prior.
    pixels : int
        Number of pixels without the filling.

    Returns
    -------
    state : State
        Where the chain is now.
    summary : Summary
        What is kept of it.
    """
    keys = jax.random.split(key, 3)
    log_w, sums, pixel_gain, pixels_moved = _move_pixels(counts, valid, state, keys[0], free, runs)
    w = jnp.exp(log_w) * valid
    totals = w.astype(jnp.float64).sum(axis=(0, 1))
    spectra, stretch, channel_gain, channels_moved = _move_channels(
        counts, w, state.spectra, sums, totals, keys[1], free, runs, prior
    )
    log_w = log_w + jnp.log(stretch).astype(jnp.float32)[None, None]
    w = w * stretch.astype(jnp.float32)[None, None]
    totals = w.astype(jnp.float64).sum(axis=(0, 1))
    sum_log = (log_w * valid).astype(jnp.float64).sum(axis=(0, 1))
    shape, rate = draw_shape_and_rate(keys[2], state.shape, sum_log, totals, pixels, prior)
    likelihood = state.log_likelihood + pixel_gain + channel_gain
    density = log_prior(
        jnp.log(spectra[:free].astype(jnp.float64)), sum_log, totals, shape, rate, pixels, prior
    )
    shares = w / jnp.maximum(w.sum(axis=2, keepdims=True), 1e-30)
    fractions = shares.astype(jnp.float64).sum(axis=(0, 1)) / pixels
    accepted = jnp.stack([pixels_moved / pixels, channels_moved])
    summary = Summary(spectra, totals, fractions, shape, rate, likelihood + density, accepted)
    return State(log_w, spectra, shape, rate, likelihood), summary


def _move_pixels(
    counts: jax.Array, valid: jax.Array, state: State, key: jax.Array, free: int, runs: Runs
) -> tuple[jax.Array, ChannelSums, jax.Array, jax.Array]:
    """Move every pixel; gather what the channels need at the new abundances."""
    normal_key, uniform_key = jax.random.split(key)
    noise = jax.random.normal(normal_key, state.log_w.shape, jnp.float32)
    uniform = jnp.log(jax.random.uniform(uniform_key, state.log_w.shape[:2], jnp.float32, minval=1e-30))
    shape, rate = state.shape.astype(jnp.float32), state.rate.astype(jnp.float32)

    def visit(sums: ChannelSums, block: tuple[jax.Array, ...]) -> tuple[ChannelSums, tuple[jax.Array, ...]]:
        x, log_w, mask, z, u = block
        log_w, quotient, gain, moved = pixel_move(
            x.astype(jnp.float32), log_w, state.spectra, shape, rate, z, u, runs.channels
        )
        w = jnp.exp(log_w) * mask
        received, gram = channel_sums(w, quotient, state.spectra, free, runs.pixels)
        sums = ChannelSums(
            sums.received + received.astype(jnp.float64), sums.gram + gram.astype(jnp.float64)
        )
        return sums, (log_w, gain * mask[:, 0], moved.astype(jnp.float32) * mask[:, 0])

    channels = counts.shape[2]
    empty = ChannelSums(jnp.zeros((free, channels), jnp.float64), _no_gram(free, channels))
    sums, (log_w, gain, moved) = jax.lax.scan(visit, empty, (counts, state.log_w, valid, noise, uniform))
    return log_w, sums, gain.astype(jnp.float64).sum(), moved.astype(jnp.float64).sum()


def _no_gram(free: int, channels: int) -> jax.Array:
    return jnp.zeros((free * (free + 1) // 2, channels), jnp.float64)


def _move_channels(
    counts: jax.Array,
    w: jax.Array,
    spectra: jax.Array,
    sums: ChannelSums,
    totals: jax.Array,
    key: jax.Array,
    free: int,
    runs: Runs,
    prior: NmfPrior,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Move every channel with the scale of the spectra set free, then sum the spectra to one again.

    The scale s ~ Gamma(channels x a) of a spectrum is independent of everything else, and s h has independent
    Gamma(a, 1) entries. With s h, w / s and s x rate as the unknowns (the prior of the rate has no scale) the
    channels are independent given the abundances.
    """
    scale_key, normal_key, uniform_key = jax.random.split(key, 3)
    a, channels = prior.concentration, spectra.shape[1]
    scale = jax.random.gamma(scale_key, a * channels, (free,), jnp.float64)
    old = channel_problem(spectra[:free].astype(jnp.float64), sums, totals[:free], scale, a)
    forward = newton_proposal(old.gradient, old.precision)
    drawn = forward.displace(jax.random.normal(normal_key, (free, channels), jnp.float64))
    loose = jnp.maximum(old.spectra * jnp.exp(drawn), SMALLEST).astype(jnp.float32)
    proposed = jnp.concatenate([loose, spectra[free:]])
    new_sums, logs = _visit_channels(counts, w, spectra, proposed, free, runs)
    new = channel_problem(loose.astype(jnp.float64), new_sums, totals[:free], scale, a)
    moved = jnp.log(new.spectra / old.spectra)
    grown = new.spectra - old.spectra
    gain = logs - (totals[:free, None] * grown).sum(axis=0)
    density = (a * moved - scale[:, None] * grown).sum(axis=0)
    backward = newton_proposal(new.gradient, new.precision)
    ratio = gain + density + backward.log_density(-moved) - forward.log_density(moved)
    uniform = jax.random.uniform(uniform_key, (channels,), jnp.float64)
    accepted = jnp.log(uniform) < ratio
    chosen = jnp.where(accepted[None], proposed, spectra)
    stretch = chosen.astype(jnp.float64).sum(axis=1)
    stretch = jnp.where(jnp.arange(spectra.shape[0]) < free, stretch, 1.0)
    normalised = jnp.maximum(chosen / stretch.astype(jnp.float32)[:, None], SMALLEST)
    return normalised, stretch, jnp.where(accepted, gain, 0.0).sum(), accepted.mean(dtype=jnp.float64)


def _visit_channels(
    counts: jax.Array, w: jax.Array, spectra: jax.Array, proposed: jax.Array, free: int, runs: Runs
) -> tuple[ChannelSums, jax.Array]:
    """Sums over the pixels at the proposed spectra, and those of x log(new mean / old mean)."""

    def visit(
        carry: tuple[ChannelSums, jax.Array], block: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[ChannelSums, jax.Array], None]:
        sums, logs = carry
        x, v = block[0].astype(jnp.float32), block[1]
        old, new = product(v, spectra) + RATE_FLOOR, product(v, proposed) + RATE_FLOOR
        received, gram = channel_sums(v, x / new, proposed, free, runs.pixels)
        gained = (x * jnp.log(new / old)).sum(axis=0)
        sums = ChannelSums(
            sums.received + received.astype(jnp.float64), sums.gram + gram.astype(jnp.float64)
        )
        return (sums, logs + gained.astype(jnp.float64)), None

    channels = counts.shape[2]
    empty = ChannelSums(jnp.zeros((free, channels), jnp.float64), _no_gram(free, channels))
    start = (empty, jnp.zeros(channels, jnp.float64))
    return jax.lax.scan(visit, start, (counts, w))[0]
