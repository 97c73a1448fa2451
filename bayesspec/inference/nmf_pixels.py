"""The move of all pixels given the spectra.

In eta = log w a pixel is a log-concave problem in K unknowns. It gets a Newton proposal from its expected
information and an exact Metropolis-Hastings decision. The information may come from merged channels: it is a
function of the point alone, so the decision stays exact.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bayesspec.inference.newton_proposal import add_diagonal, newton_proposal, pair_products
from bayesspec.inference.nmf_blocks import product
from bayesspec.inference.nmf_merging import merge
from bayesspec.models.poisson_nmf import RATE_FLOOR


def pixel_move(
    counts: jax.Array,
    log_w: jax.Array,
    spectra: jax.Array,
    shape: jax.Array,
    rate: jax.Array,
    noise: jax.Array,
    log_uniform: jax.Array,
    kept: jax.Array,
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
