"""Moves along the directions in which spectra and abundances compensate each other.

The mean w h does not change when h[k] becomes h[k] + e h[l] and w[:, l] becomes w[:, l] - e w[:, k]. Given the
spectra the abundances hold such a mixing fast, and the other way round, so the blocked moves alone crawl along
these K (K - 1) directions. Here all of them change at once by soft shifts, which stay positive and are undone by the
opposite shifts in the opposite order; the order is drawn, so the proposal is symmetric but for its drift, and
Jacobian and drift enter the decision. The rate of the abundances is integrated out.

A chain of such moves runs on merged channels; one decision on the full counts makes the whole exact.

Sources: Roberts & Tweedie (1996), doi:10.2307/3318418 (Langevin moves); Liu (2004),
doi:10.1007/978-0-387-76371-2, section 9.4.3 (surrogate transitions).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bayesspec.inference.blocks import merge, product
from bayesspec.models.poisson_nmf import RATE_FLOOR

# Shifts of positive numbers that stay positive: linear above a noise level, multiplicative below it


def softplus_shift(log_value: jax.Array, noise: jax.Array, change: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Shift positive numbers.

    Parameters
    ----------
    log_value : jax.Array (...), float32
        Logarithms of the numbers v.
    noise : jax.Array (...), float32
        Noise levels s, positive, in the unit of v.
    change : jax.Array (...), float32
        What is added to v where it is well above its noise, in the unit of v.

    Returns
    -------
    log_value : jax.Array (...), float32
        Logarithms of the new numbers.
    log_jacobian : jax.Array (...), float32
        Logarithm of the derivative of the new logarithm by the old one.
    """
    log_r = log_value - jnp.log(noise)
    r = jnp.exp(log_r)
    z = jnp.where(r < 1e-3, log_r + 0.5 * r, r + jnp.log(-jnp.expm1(-jnp.maximum(r, 1e-4))))
    z = z + change / noise
    middle = jnp.log(jnp.log1p(jnp.exp(jnp.clip(z, -12.0, 15.0))))
    new_log_r = jnp.where(z > 15.0, jnp.log(jnp.maximum(z, 1.0)), jnp.where(z < -12.0, z, middle))
    jacobian = _log_slope(r) - _log_slope(jnp.exp(new_log_r))
    return new_log_r + jnp.log(noise), jacobian


def _log_slope(r: jax.Array) -> jax.Array:
    """Logarithm of dz / d log r, which is r / (1 - exp(-r))."""
    safe = jnp.maximum(r, 1e-4)
    return jnp.where(r < 1e-3, 0.5 * r, jnp.log(safe / -jnp.expm1(-safe)))


def soft_shift_slopes(log_value: jax.Array, noise: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Differentiate `softplus_shift` by the change, at no change.

    Parameters
    ----------
    log_value : jax.Array (...), float32
        Logarithms of the numbers v.
    noise : jax.Array (...), float32
        Noise levels, in the unit of v.

    Returns
    -------
    slope_log : jax.Array (...), float32
        Derivative of log v, per unit of v.
    slope : jax.Array (...), float32
        Derivative of v, dimensionless.
    slope_jacobian : jax.Array (...), float32
        Derivative of the log Jacobian, per unit of v.
    """
    r = jnp.exp(log_value - jnp.log(noise))
    safe = jnp.maximum(r, 1e-4)
    share = jnp.where(r < 1e-3, 1.0 - 0.5 * r, -jnp.expm1(-safe) / safe)
    slope_log = share / noise
    curve = 1.0 - jnp.exp(-r) / share
    return slope_log, share * r, -curve * slope_log


# The log density along the coupling directions: its change between two points, and its slopes at one


class Noise(NamedTuple):
    """Where an entry changes from shifting as itself to shifting as its logarithm.

    Parameters
    ----------
    abundances : jax.Array (block, row, component), float32
        Noise of the abundances, counts.
    spectra : jax.Array (component, channel), float32
        Noise of the spectra, probability.
    """

    abundances: jax.Array
    spectra: jax.Array


class Factors(NamedTuple):
    """Abundances and spectra in the parameters with a free scale.

    Parameters
    ----------
    log_w : jax.Array (block, row, component), float32
        Log abundances, log counts.
    spectra : jax.Array (component, channel), float32
        Spectra, of any scale.
    """

    log_w: jax.Array
    spectra: jax.Array


class Target(NamedTuple):
    """What the moves see.

    Parameters
    ----------
    counts : jax.Array (block, row, merged channel), unsigned integer
        Counts.
    valid : jax.Array (block, row, 1), float32
        One, and zero in the filling.
    noise : Noise
        Noise of both factors.
    shape : jax.Array (component,), float64
        Shape of the Gamma prior of the abundances.
    scaled : jax.Array (component,), float64
        The same where a rate is learned; zero where the prior is flat.
    """

    counts: jax.Array
    valid: jax.Array
    noise: Noise
    shape: jax.Array
    scaled: jax.Array


def directions(free: int, components: int) -> npt.NDArray[np.int32]:
    """List the pairs (k, l): the spectrum k, free, takes up a part of the spectrum l.

    Parameters
    ----------
    free, components : int
        Number of components with a free spectrum, and of all.

    Returns
    -------
    numpy.ndarray (direction, 2), int32
        The pairs.
    """
    every = [(k, j) for k in range(free) for j in range(components) if j != k]
    return np.array(every, np.int32).reshape(-1, 2)


def likelihood_change(counts: jax.Array, valid: jax.Array, run: int, old: Factors, new: Factors) -> jax.Array:
    """Change of the log likelihood between two settings of both factors, in one pass.

    Parameters
    ----------
    counts : jax.Array (block, row, merged channel), unsigned integer
        Counts.
    valid : jax.Array (block, row, 1), float32
        One, and zero in the filling.
    run : int
        Channels merged in the counts.
    old, new : Factors
        The settings.

    Returns
    -------
    jax.Array (), float64
        Change in nats.
    """
    before, after = merge(old.spectra, run), merge(new.spectra, run)
    sums_before, sums_after = before.sum(axis=1)[None], after.sum(axis=1)[None]

    def visit(total: jax.Array, block: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        x, mask, log_w, log_v = block
        w, v = jnp.exp(log_w) * mask, jnp.exp(log_v) * mask
        ratio = (product(v, after) + RATE_FLOOR) / (product(w, before) + RATE_FLOOR)
        logs = (x.astype(jnp.float32) * jnp.log(ratio)).sum(axis=1)
        rows = logs - (v * sums_after - w * sums_before).sum(axis=1)
        return total + rows.astype(jnp.float64).sum(), None

    start = jnp.zeros((), jnp.float64)
    return jax.lax.scan(visit, start, (counts, valid, old.log_w, new.log_w))[0]


def prior_change(target: Target, old: Factors, new: Factors, free: int, concentration: jax.Array) -> jax.Array:
    """Change of the log prior in the logarithms, the rate of the abundances integrated out.

    Parameters
    ----------
    target : Target
        What the moves see.
    old, new : Factors
        The settings.
    free : int
        Number of components with a free spectrum.
    concentration : jax.Array (free component, channel), float64
        Dirichlet concentration of the spectra.

    Returns
    -------
    jax.Array (), float64
        Change in nats.
    """
    mask = target.valid
    logs = ((new.log_w - old.log_w) * mask).astype(jnp.float64).sum(axis=(0, 1))
    totals = [(jnp.exp(f.log_w) * mask).astype(jnp.float64).sum(axis=(0, 1)) for f in (old, new)]
    pixels = mask.astype(jnp.float64).sum()
    abundances = target.shape * logs - target.scaled * pixels * jnp.log(totals[1] / totals[0])
    before, after = (f.spectra[:free].astype(jnp.float64) for f in (old, new))
    grown = (after - before) * concentration.sum(axis=1, keepdims=True)
    return abundances.sum() + (concentration * jnp.log(after / before) - grown).sum()


class Slopes(NamedTuple):
    """Derivatives of the log density along the directions.

    Parameters
    ----------
    score : jax.Array (direction,), float64
        Their sum.
    outer : jax.Array (direction, direction), float64
        Sum over pixels and channels of the products of their parts: about the information.
    """

    score: jax.Array
    outer: jax.Array


def slopes(
    target: Target, run: int, factors: Factors, pairs: npt.NDArray[np.int32], concentration: jax.Array
) -> Slopes:
    """Differentiate the log density along all directions, in one pass.

    Parameters
    ----------
    target : Target
        What the moves see.
    run : int
        Channels merged in its counts.
    factors : Factors
        Where.
    pairs : numpy.ndarray (direction, 2), int32
        As `directions` lists them.
    concentration : jax.Array (free component, channel), float64
        Dirichlet concentration of the spectra.

    Returns
    -------
    Slopes
        The derivatives.
    """
    gains, losses = pairs[:, 0], pairs[:, 1]
    spectra, merged = factors.spectra, merge(factors.spectra, run)
    log_slope, slope, jacobian = soft_shift_slopes(jnp.log(spectra[gains]), target.noise.spectra[gains])
    grown = spectra[losses] * slope
    own = concentration.astype(jnp.float32)
    weight = own.sum(axis=1, keepdims=True)[gains]
    by_channel = (spectra[losses] * (own[gains] * log_slope + jacobian) - weight * grown).astype(jnp.float64)
    grown = merge(grown, run)
    sums, grown_sums = merged.sum(axis=1)[None], grown.sum(axis=1)[None]
    totals = (jnp.exp(factors.log_w) * target.valid).astype(jnp.float64).sum(axis=(0, 1))
    pixels = target.valid.astype(jnp.float64).sum()
    shape = target.shape.astype(jnp.float32)[losses][None]
    per_count = (target.scaled * pixels / totals).astype(jnp.float32)[losses][None]

    def visit(carry: Slopes, block: tuple[jax.Array, ...]) -> tuple[Slopes, None]:
        x, mask, log_w, noise = block
        w = jnp.exp(log_w)
        quotient = x.astype(jnp.float32) / (product(w, merged) + RATE_FLOOR)
        for_w = (product(quotient, merged.T) - sums)[:, losses]
        for_h = product(quotient, grown.T) - grown_sums
        log_fall, fall, curve = soft_shift_slopes(log_w[:, losses], noise[:, losses])
        own = for_h - for_w * fall - (shape * log_fall + curve) + per_count * fall
        rows = (w[:, gains] * own * mask).astype(jnp.float64)
        return Slopes(carry.score + rows.sum(axis=0), carry.outer + product(rows.T, rows)), None

    first = Slopes(by_channel.sum(axis=1), product(by_channel, by_channel.T))
    blocks = (target.counts, target.valid, factors.log_w, target.noise.abundances)
    return jax.lax.scan(visit, first, blocks)[0]


class Step(NamedTuple):
    """Size of the moves.

    Parameters
    ----------
    size : jax.Array (), float64
        Length of a step, dimensionless, about one.
    root : jax.Array (direction, direction), float64
        Lower triangular; root root^T is the covariance that a step of length one has.
    """

    size: jax.Array
    root: jax.Array


def shift_all(
    factors: Factors, noise: Noise, sizes: jax.Array, pairs: jax.Array
) -> tuple[Factors, jax.Array, jax.Array]:
    """Shift along the directions one after another; log Jacobians by pixel and by channel."""

    def one(
        carry: tuple[Factors, jax.Array, jax.Array], each: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[Factors, jax.Array, jax.Array], None]:
        (log_w, spectra), by_pixel, by_channel = carry
        (k, j), e = each
        log_h, jacobian_h = softplus_shift(jnp.log(spectra[k]), noise.spectra[k], e * spectra[j])
        column, jacobian_w = softplus_shift(log_w[..., j], noise.abundances[..., j], -e * jnp.exp(log_w[..., k]))
        moved = Factors(log_w.at[..., j].set(column), spectra.at[k].set(jnp.exp(log_h)))
        return (moved, by_pixel + jacobian_w, by_channel + jacobian_h), None

    start = (factors, jnp.zeros_like(factors.log_w[..., 0]), jnp.zeros_like(factors.spectra[0]))
    return jax.lax.scan(one, start, (pairs, sizes.astype(jnp.float32)))[0]


def coupling_moves(
    target: Target,
    run: int,
    full: jax.Array,
    factors: Factors,
    step: Step,
    key: jax.Array,
    *,
    pairs: npt.NDArray[np.int32],
    free: int,
    concentration: jax.Array,
    moves: int,
) -> tuple[Factors, jax.Array, jax.Array]:
    """Move along all directions several times on merged channels, then decide on the full counts.

    Parameters
    ----------
    target : Target
        What the moves see: the merged counts.
    run : int
        Channels merged in them; one when nothing is merged.
    full : jax.Array (block, row, channel), unsigned integer
        Full counts.
    factors : Factors
        Current factors; spectra times their summed concentration have independent Gamma(concentration, 1) entries.
    step : Step
        Size of the moves.
    key : jax.Array
        Random key.
    pairs : numpy.ndarray (direction, 2), int32
        As `directions` lists them.
    free : int
        Number of components with a free spectrum.
    concentration : jax.Array (free component, channel), float64
        Dirichlet concentration of the spectra.
    moves : int
        Number of moves on the merged channels.

    Returns
    -------
    factors : Factors
        New factors. The rate of the abundances must be drawn next.
    gain : jax.Array (), float64
        Change of the log likelihood of the full counts.
    accepted : jax.Array (2,), float64
        Share of the moves accepted on the merged channels; whether all was accepted in the end.
    """
    size, root = step

    def drift(slope: jax.Array) -> jax.Array:
        return 0.5 * size**2 * product(root, product(root.T, slope))

    def log_density(e: jax.Array, slope: jax.Array) -> jax.Array:
        z = jax.scipy.linalg.solve_triangular(root, e - drift(slope), lower=True) / size
        return -0.5 * jnp.vdot(z, z)

    Carry = tuple[Factors, jax.Array, jax.Array]

    def move(carry: Carry, move_key: jax.Array) -> tuple[Carry, jax.Array]:
        now, slope, gained = carry
        normal_key, order_key, accept_key = jax.random.split(move_key, 3)
        z = jax.random.normal(normal_key, slope.shape, jnp.float64)
        e = drift(slope) + size * product(root, z)
        backwards = jax.random.bernoulli(order_key)
        order = jnp.where(backwards, jnp.arange(len(pairs))[::-1], jnp.arange(len(pairs)))
        new, by_pixel, by_channel = shift_all(now, target.noise, e[order], jnp.asarray(pairs)[order])
        jacobian = (by_pixel * target.valid[..., 0]).astype(jnp.float64).sum() + by_channel.astype(jnp.float64).sum()
        gain = likelihood_change(target.counts, target.valid, run, now, new)
        new_slope = slopes(target, run, new, pairs, concentration).score
        ratio = gain + prior_change(target, now, new, free, concentration) + jacobian
        ratio = ratio + log_density(-e, new_slope) - log_density(e, slope)
        accept = jnp.log(jax.random.uniform(accept_key, (), jnp.float64)) < ratio
        chosen = jax.tree.map(lambda a, b: jnp.where(accept, a, b), (new, new_slope, gained + gain), carry)
        return chosen, accept.astype(jnp.float64)

    move_key, uniform_key = jax.random.split(key)
    start = (factors, slopes(target, run, factors, pairs, concentration).score, jnp.zeros((), jnp.float64))
    (new, _, gained), accepted = jax.lax.scan(move, start, jax.random.split(move_key, moves))
    if run == 1:
        return new, gained, jnp.stack([accepted.mean(), jnp.ones((), jnp.float64)])
    exact = likelihood_change(full, target.valid, 1, factors, new)
    accept = jnp.log(jax.random.uniform(uniform_key, (), jnp.float64)) < exact - gained
    chosen = jax.tree.map(lambda a, b: jnp.where(accept, a, b), new, factors)
    return chosen, jnp.where(accept, exact, 0.0), jnp.stack([accepted.mean(), accept.astype(jnp.float64)])
