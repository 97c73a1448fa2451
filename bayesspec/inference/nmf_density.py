"""The log density along the coupling directions: its change between two points, and its slopes at one."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bayesspec.inference.nmf_blocks import product
from bayesspec.inference.nmf_merging import merge
from bayesspec.inference.soft_shift import soft_shift_slopes
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
