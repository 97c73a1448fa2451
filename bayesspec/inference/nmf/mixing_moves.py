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
from bayesspec.inference.nmf_density import Factors, Noise, Target, likelihood_change, prior_change, slopes
from bayesspec.inference.soft_shift import soft_shift


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
        log_h, jacobian_h = soft_shift(jnp.log(spectra[k]), noise.spectra[k], e * spectra[j])
        column, jacobian_w = soft_shift(log_w[..., j], noise.abundances[..., j], -e * jnp.exp(log_w[..., k]))
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
