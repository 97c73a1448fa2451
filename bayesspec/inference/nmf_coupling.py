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

from bayesspec.inference.nmf_blocks import product
from bayesspec.inference.nmf_moves import merge
from bayesspec.inference.soft_shift import soft_shift, soft_shift_slopes
from bayesspec.models.poisson_nmf import RATE_FLOOR


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
    """Abundances and spectra in the gauge with a free scale.

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
    """

    counts: jax.Array
    valid: jax.Array
    noise: Noise
    shape: jax.Array


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


def shift_all(
    factors: Factors, noise: Noise, sizes: jax.Array, pairs: jax.Array
) -> tuple[Factors, jax.Array, jax.Array]:
    """Shift along the directions one after another; log Jacobians by pixel and by channel."""

    def one(
        carry: tuple[Factors, jax.Array, jax.Array], each: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[Factors, jax.Array, jax.Array], None]:
        (log_w, spectra), by_pixel, by_channel = carry
        (k, j), e = each
        log_h, jacobian_h = soft_shift(jnp.log(spectra[k]), noise.spectra[k], e * spectra[j])
        column, jacobian_w = soft_shift(log_w[..., j], noise.abundances[..., j], -e * jnp.exp(log_w[..., k]))
        moved = Factors(log_w.at[..., j].set(column), spectra.at[k].set(jnp.exp(log_h)))
        return (moved, by_pixel + jacobian_w, by_channel + jacobian_h), None

    start = (factors, jnp.zeros_like(factors.log_w[..., 0]), jnp.zeros_like(factors.spectra[0]))
    return jax.lax.scan(one, start, (pairs, sizes.astype(jnp.float32)))[0]


def prior_change(target: Target, old: Factors, new: Factors, free: int, concentration: float) -> jax.Array:
    """Change of the log prior in the logarithms, the rate of the abundances integrated out.

    Parameters
    ----------
    target : Target
        What the moves see.
    old, new : Factors
        The settings.
    free : int
        Number of components with a free spectrum.
    concentration : float
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
    abundances = target.shape * (logs - pixels * jnp.log(totals[1] / totals[0]))
    before, after = (f.spectra[:free].astype(jnp.float64) for f in (old, new))
    grown = (after - before) * (concentration * before.shape[1])
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


def slopes(target: Target, run: int, factors: Factors, pairs: npt.NDArray[np.int32], concentration: float) -> Slopes:
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
    concentration : float
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
    weight = concentration * spectra.shape[1]
    by_channel = (spectra[losses] * (concentration * log_slope + jacobian) - weight * grown).astype(jnp.float64)
    grown = merge(grown, run)
    sums, grown_sums = merged.sum(axis=1)[None], grown.sum(axis=1)[None]
    totals = (jnp.exp(factors.log_w) * target.valid).astype(jnp.float64).sum(axis=(0, 1))
    pixels = target.valid.astype(jnp.float64).sum()
    shape = target.shape.astype(jnp.float32)[losses][None]
    per_count = (target.shape * pixels / totals).astype(jnp.float32)[losses][None]

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
    concentration: float,
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
        Current factors; channels x concentration x spectra has independent Gamma(concentration, 1) entries.
    step : Step
        Size of the moves.
    key : jax.Array
        Random key.
    pairs : numpy.ndarray (direction, 2), int32
        As `directions` lists them.
    free : int
        Number of components with a free spectrum.
    concentration : float
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
