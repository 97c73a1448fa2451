"""EM for the composition mixture with even weights, accelerated by squared extrapolation.

Without covariates the E step leaves two sufficient statistics, the counts of each phase in each channel
Q = rT y and the number of pixels of each phase, so an M step costs nothing per pixel.

Source: Dempster, Laird and Rubin (1977), doi:10.1111/j.2517-6161.1977.tb01600.x; Varadhan and Roland (2008),
doi:10.1111/j.1467-9469.2007.00585.x, scheme S3.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import logsumexp
from jaxtyping import Bool, Float, Integer

LEAST_SHARE = 1e-300
"""Least share of the pixels in a phase, so that its logarithm is finite."""


class Mixture(NamedTuple):
    """Log composition (phase, channel) and log weights (phase,), each normalised."""

    log_composition: Float[Array, "phase channel"]
    log_weights: Float[Array, " phase"]


def em_step(
    mixture: Mixture, counts: Float[Array, "pixel channel"], active: Bool[Array, " phase"]
) -> tuple[Mixture, Float[Array, ""]]:
    """One EM step, and the log posterior where it started (flat Dirichlet in log-ratio space)."""
    terms = jnp.where(active[None], mixture.log_weights[None] + counts @ mixture.log_composition.T, -jnp.inf)
    largest = terms.max(axis=1, keepdims=True)
    above = jnp.exp(terms - largest)  # one exponential for both, where logsumexp would take a second
    total = above.sum(axis=1, keepdims=True)
    responsibility = above / total
    measured = (counts.sum(axis=1) > 0).astype(counts.dtype)
    of_phase = responsibility.T @ counts + 1.0
    share = jnp.maximum(responsibility.T @ measured / measured.sum(), LEAST_SHARE)
    log_composition = jnp.log(of_phase) - jnp.log(of_phase.sum(axis=1, keepdims=True))
    value = (largest + jnp.log(total)).sum() + mixture.log_composition.sum()
    return Mixture(log_composition, jnp.log(share)), value


def normalised(mixture: Mixture, active: Bool[Array, " phase"]) -> Mixture:
    """The same mixture with compositions and active weights that sum to one."""
    total = logsumexp(jnp.where(active, mixture.log_weights, -jnp.inf))
    return Mixture(jax.nn.log_softmax(mixture.log_composition, axis=1), mixture.log_weights - total)


def extrapolate(start: Mixture, first: Mixture, second: Mixture, active: Bool[Array, " phase"]) -> Mixture:
    """Squared extrapolation along the last two EM steps, of length at most 64."""
    change = jax.tree.map(jnp.subtract, first, start)
    bend = jax.tree.map(lambda a, b, c: a - 2.0 * b + c, second, first, start)
    squares = [sum((jnp.square(leaf).sum() for leaf in tree), jnp.asarray(0.0)) for tree in (change, bend)]
    length = jnp.clip(jnp.sqrt(squares[0] / jnp.maximum(squares[1], 1e-300)), 1.0, 64.0)
    ahead = jax.tree.map(lambda a, b, c: a + 2.0 * length * b + length**2 * c, start, change, bend)
    return normalised(Mixture(*ahead), active)


@partial(jax.jit, static_argnames=("max_cycles",))
def squarem(
    start: Mixture,
    counts: Float[Array, "pixel channel"],
    active: Bool[Array, " phase"],
    *,
    tolerance: float | Float[Array, ""],
    max_cycles: int,
) -> tuple[Mixture, Float[Array, ""], Integer[Array, ""]]:
    """Accelerated EM until a cycle gains less than `tolerance` nats: mixture, log posterior, cycles."""

    def cycle(state: tuple[Mixture, Array, Array, Array]) -> tuple[Mixture, Array, Array, Array]:
        mixture, _, _, cycles = state
        first, value = em_step(mixture, counts, active)
        second, reached = em_step(first, counts, active)
        third, ahead = em_step(extrapolate(mixture, first, second, active), counts, active)
        kept = jax.tree.map(partial(jnp.where, ahead >= reached), third, second)
        return kept, jnp.maximum(ahead, reached), jnp.maximum(ahead, reached) - value, cycles + 1

    def unfinished(state: tuple[Mixture, Array, Array, Array]) -> Array:
        return (state[2] > tolerance) & (state[3] < max_cycles)

    begin = (start, jnp.asarray(-jnp.inf), jnp.asarray(jnp.inf), jnp.asarray(0))
    mixture, value, _, cycles = jax.lax.while_loop(unfinished, cycle, begin)
    return mixture, value, cycles
