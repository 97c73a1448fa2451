"""One sweep of the sampler: two passes over the counts, then the scale, the shapes and the rates."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from bayesspec.inference.blocks import merge, product
from bayesspec.inference.newton_proposal import add_diagonal, newton_proposal, pair_products
from bayesspec.inference.nmf.background_moves import move_shape
from bayesspec.inference.nmf.mixing_moves import Factors, Step, Target, coupling_moves, directions
from bayesspec.inference.nmf.prior import draw_shape_and_rate, log_prior
from bayesspec.inference.nmf.state import Data, Plan, State, Summary
from bayesspec.models.poisson_nmf import RATE_FLOOR

SMALLEST = 1e-30
"""Smallest probability of a channel: single precision has room below it."""
KEPT = 0.7
"""What every second pixel, by chance, keeps of its distance from the mode: full steps alone can pin a pixel."""

# The move of all pixels given the spectra


def pixel_move(
    counts: Float[jax.Array, "row channel"],
    log_w: Float[jax.Array, "row component"],
    spectra: Float[jax.Array, "component channel"],
    shape: Float[jax.Array, " component"],
    rate: Float[jax.Array, " component"],
    noise: Float[jax.Array, "row component"],
    log_uniform: Float[jax.Array, " row"],
    kept: Float[jax.Array, " row"],
    run: int,
) -> tuple[
    Float[jax.Array, "row component"],
    Float[jax.Array, "row channel"],
    Float[jax.Array, " row"],
    Bool[jax.Array, " row"],
]:
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
    kept : jax.Array (row,), float32
        Part of the distance from the mode that the proposal keeps.
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
    forward = newton_proposal(gradient, add_diagonal(information, shape), kept)
    moved = forward.displace(noise.T)
    proposed = log_w + moved.T
    new_mean, new_quotient, gradient, information = local(proposed)
    backward = newton_proposal(gradient, add_diagonal(information, shape), kept)
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


# What the channels need to know of the pixels, and the problem that each of them then is


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
    w: Float[jax.Array, "row component"],
    quotient: Float[jax.Array, "row channel"],
    spectra: Float[jax.Array, "component channel"],
    free: int,
    run: int,
) -> tuple[Float[jax.Array, "{free} channel"], Float[jax.Array, "pair channel"]]:
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
    own = w[:, :free].T
    crossed = merge(pair_products(own), run) * float(run)
    mean = product(merge(w.T, run).T, spectra) + RATE_FLOOR
    return product(own, quotient), product(crossed, 1.0 / mean)


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
    spectra: Float[jax.Array, "free channel"],
    sums: ChannelSums,
    totals: Float[jax.Array, " free"],
    scale: Float[jax.Array, " free"],
    concentration: Float[jax.Array, "free channel"],
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


@partial(jax.jit, static_argnames=("plan",))
def sweep(data: Data, state: State, step: Step, key: jax.Array, *, plan: Plan) -> tuple[State, Summary]:
    """Move everything once.

    The scale s ~ Gamma(channels x a) of a spectrum is independent of everything else, and s h has independent
    Gamma(a, 1) entries. With s h, w / s and s x rate as the unknowns (the prior of the rate has no scale) the
    channels are independent given the abundances; at the end the spectra are made to sum to one again.

    Parameters
    ----------
    data : Data
        What the sweep sees.
    state : State
        Where the chain is.
    step : Step
        Size of the coupling moves.
    key : jax.Array
        Random key.
    plan : Plan
        Sizes and constants.

    Returns
    -------
    state : State
        Where the chain is now.
    summary : Summary
        What is kept of it.
    """
    keys = jax.random.split(key, 6)
    expanded = _with_free_scale(state, keys[0], data.prior.concentration, plan)
    log_w, sums, pixel_gain, pixels_moved = move_pixels(data, expanded, keys[1], plan)
    spectra, channel_gain, channels_moved = _move_channels(data, log_w, expanded.spectra, sums, keys[2], plan)
    factors, coupling_gain, coupled = Factors(log_w, spectra), jnp.zeros((), jnp.float64), jnp.ones(2)
    if spectra.shape[0] > 1:
        factors, coupling_gain, coupled = coupling_moves(
            Target(data.merged, data.valid, data.noise, state.shape, data.prior.scaled(state.shape)),
            plan.runs.coupling,
            data.counts,
            factors,
            step,
            keys[3],
            pairs=directions(plan.free, spectra.shape[0]),
            free=plan.free,
            concentration=data.prior.concentration,
            moves=plan.moves,
        )
    shape_gain = jnp.zeros((), jnp.float64)
    if data.shapes is not None:
        factors, shape_gain = move_shape(data.counts, data.valid, data.shapes, factors, keys[5])
    likelihood = state.log_likelihood + pixel_gain + channel_gain + coupling_gain + shape_gain
    accepted = jnp.append(jnp.stack([pixels_moved, channels_moved]), coupled)
    return _finish(data, *factors, state.shape, likelihood, accepted, keys[4], plan)


def _scaled(state: State, scale: jax.Array) -> State:
    """Multiply the spectra by a scale; divide the abundances by it."""
    small = scale.astype(jnp.float32)
    log_w = state.log_w - jnp.log(small)[None, None]
    spectra = jnp.maximum(state.spectra * small[:, None], SMALLEST)
    return State(log_w, spectra, state.shape, state.rate * scale, state.log_likelihood)


def _with_free_scale(state: State, key: jax.Array, concentration: jax.Array, plan: Plan) -> State:
    """Draw the scale of the free spectra, in units of its mean."""
    mean = concentration.sum(axis=1)
    scale = jax.random.gamma(key, mean, (plan.free,), jnp.float64) / mean
    fixed = jnp.ones(state.spectra.shape[0] - plan.free, jnp.float64)
    return _scaled(state, jnp.append(scale, fixed))


def _finish(
    data: Data,
    log_w: jax.Array,
    spectra: jax.Array,
    shape: jax.Array,
    likelihood: jax.Array,
    accepted: jax.Array,
    key: jax.Array,
    plan: Plan,
) -> tuple[State, Summary]:
    """Make the spectra sum to one, draw shapes and rates, and summarise."""
    sums = spectra.astype(jnp.float64).sum(axis=1)
    sums = jnp.where(jnp.arange(spectra.shape[0]) < plan.free, sums, 1.0)
    blank = jnp.ones_like(shape)
    log_w, spectra, _, _, _ = _scaled(State(log_w, spectra, shape, blank, likelihood), 1.0 / sums)
    w = jnp.exp(log_w) * data.valid
    totals = w.astype(jnp.float64).sum(axis=(0, 1))
    sum_log = (log_w * data.valid).astype(jnp.float64).sum(axis=(0, 1))
    shape, rate = draw_shape_and_rate(key, shape, sum_log, totals, data.pixels, data.prior)
    log_spectra = jnp.log(spectra[: plan.free].astype(jnp.float64))
    density = log_prior(log_spectra, sum_log, totals, shape, rate, data.pixels, data.prior)
    shares = w / jnp.maximum(w.sum(axis=2, keepdims=True), 1e-30)
    fractions = shares.astype(jnp.float64).sum(axis=(0, 1)) / data.pixels
    summary = Summary(spectra, totals, fractions, shape, rate, likelihood + density, accepted)
    return State(log_w, spectra, shape, rate, likelihood), summary


def move_pixels(
    data: Data, state: State, key: jax.Array, plan: Plan
) -> tuple[jax.Array, ChannelSums, jax.Array, jax.Array]:
    """Move every pixel; gather what the channels need at the new abundances."""
    normal_key, uniform_key, kept_key = jax.random.split(key, 3)
    noise = jax.random.normal(normal_key, state.log_w.shape, jnp.float32)
    kept = KEPT * jax.random.bernoulli(kept_key, 0.5, state.log_w.shape[:2]).astype(jnp.float32)
    uniform = jnp.log(jax.random.uniform(uniform_key, state.log_w.shape[:2], jnp.float32, minval=1e-30))
    shape, rate = state.shape.astype(jnp.float32), state.rate.astype(jnp.float32)

    def visit(sums: ChannelSums, block: tuple[jax.Array, ...]) -> tuple[ChannelSums, tuple[jax.Array, ...]]:
        x, log_w, mask, z, u, c = block
        log_w, quotient, gain, moved = pixel_move(
            x.astype(jnp.float32), log_w, state.spectra, shape, rate, z, u, c, plan.runs.channels
        )
        part = channel_sums(jnp.exp(log_w) * mask, quotient, state.spectra, plan.free, plan.runs.pixels)
        sums = add_sums(sums, part)
        return sums, (log_w, gain * mask[:, 0], moved.astype(jnp.float32) * mask[:, 0])

    blocks = (data.counts, state.log_w, data.valid, noise, uniform, kept)
    sums, (log_w, gain, moved) = jax.lax.scan(visit, no_sums(plan.free, data.counts.shape[2]), blocks)
    return log_w, sums, gain.astype(jnp.float64).sum(), moved.astype(jnp.float64).sum() / data.pixels


def _move_channels(
    data: Data, log_w: jax.Array, spectra: jax.Array, sums: ChannelSums, key: jax.Array, plan: Plan
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Move every channel, the scale of the spectra being free."""
    normal_key, uniform_key = jax.random.split(key)
    free, a = plan.free, data.prior.concentration
    w = jnp.exp(log_w) * data.valid
    totals = w.astype(jnp.float64).sum(axis=(0, 1))[:free]
    scale = a.sum(axis=1)
    old = channel_problem(spectra[:free].astype(jnp.float64), sums, totals, scale, a)
    forward = newton_proposal(old.gradient, old.precision)
    drawn = forward.displace(jax.random.normal(normal_key, old.spectra.shape, jnp.float64))
    drawn_spectra = jnp.maximum(old.spectra * jnp.exp(drawn), SMALLEST).astype(jnp.float32)
    proposed = jnp.concatenate([drawn_spectra, spectra[free:]])
    new_sums, logs = _visit_channels(data.counts, w, spectra, proposed, plan)
    new = channel_problem(drawn_spectra.astype(jnp.float64), new_sums, totals, scale, a)
    moved, grown = jnp.log(new.spectra / old.spectra), new.spectra - old.spectra
    gain = logs - (totals[:, None] * grown).sum(axis=0)
    density = (a * moved - scale[:, None] * grown).sum(axis=0)
    backward = newton_proposal(new.gradient, new.precision)
    ratio = gain + density + backward.log_density(-moved) - forward.log_density(moved)
    accepted = jnp.log(jax.random.uniform(uniform_key, ratio.shape, jnp.float64)) < ratio
    chosen = jnp.where(accepted[None], proposed, spectra)
    return chosen, jnp.where(accepted, gain, 0.0).sum(), accepted.mean(dtype=jnp.float64)


def _visit_channels(
    counts: jax.Array, w: jax.Array, spectra: jax.Array, proposed: jax.Array, plan: Plan
) -> tuple[ChannelSums, jax.Array]:
    """Gather the sums at the proposed spectra, and those of x log(new mean / old mean)."""

    def visit(
        carry: tuple[ChannelSums, jax.Array], block: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[ChannelSums, jax.Array], None]:
        x, v = block[0].astype(jnp.float32), block[1]
        old, new = product(v, spectra) + RATE_FLOOR, product(v, proposed) + RATE_FLOOR
        part = channel_sums(v, x / new, proposed, plan.free, plan.runs.pixels)
        gained = (x * jnp.log(new / old)).sum(axis=0)
        return (add_sums(carry[0], part), carry[1] + gained.astype(jnp.float64)), None

    channels = counts.shape[2]
    start = (no_sums(plan.free, channels), jnp.zeros(channels, jnp.float64))
    return jax.lax.scan(visit, start, (counts, w))[0]
