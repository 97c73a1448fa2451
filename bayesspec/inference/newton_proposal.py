"""Newton proposals for many small independent log-concave problems at once.

Each problem has K unknowns eta. The proposal is Normal(eta + (1 - c) clip(P^-1 g), (1 - c^2) P^-1) with the gradient
g, a positive definite precision P and the part c of the way that is kept: none where the density is near normal, more
where it is not and a full step is hardly ever accepted. K is small, so the Cholesky factor is written out over K and
runs over all problems together.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

import bayesspec.inference.programs  # noqa: F401

LONGEST_STEP = 2.0
"""Largest Newton step in a logarithm."""


def pairs(size: int) -> list[tuple[int, int]]:
    """Pairs (i, j) with j <= i, in the order in which precisions are packed.

    Parameters
    ----------
    size : int
        Number of unknowns K.

    Returns
    -------
    list of (int, int)
        K (K + 1) / 2 pairs.
    """
    return [(i, j) for i in range(size) for j in range(i + 1)]


def pair_products(values: Shaped[jax.Array, "unknown problem"]) -> Shaped[jax.Array, "pair problem"]:
    """Products of the rows of an array, packed as `pairs`.

    Parameters
    ----------
    values : jax.Array (unknown, problem), float
        One row per unknown.

    Returns
    -------
    jax.Array (pair, problem), float
        values[i] * values[j].
    """
    return jnp.stack([values[i] * values[j] for i, j in pairs(values.shape[0])])


def add_diagonal(
    packed: Float[jax.Array, "pair problem"], diagonal: Float[jax.Array, "unknown _"]
) -> Float[jax.Array, "pair problem"]:
    """Add to the diagonal of packed matrices.

    Parameters
    ----------
    packed : jax.Array (pair, problem), float
        Symmetric matrices, packed as `pairs`.
    diagonal : jax.Array (unknown, 1) or (unknown, problem), float
        What is added; the same for all problems, or one for each.

    Returns
    -------
    jax.Array (pair, problem), float
        Sums.
    """
    size = diagonal.shape[0]
    rows = jnp.asarray([i * (i + 1) // 2 + i for i in range(size)])
    return packed.at[rows].add(jnp.broadcast_to(diagonal, (size, packed.shape[1])))


@dataclass(frozen=True)
class Proposal:
    """Normal proposal around a point.

    Parameters
    ----------
    step : list of jax.Array (problem,), float
        Mean of the proposal less the point, one per unknown.
    factor : dict of jax.Array (problem,), float
        Cholesky factor of the precision by pair.
    """

    step: list[jax.Array]
    factor: dict[tuple[int, int], jax.Array]

    def displace(self, noise: jax.Array) -> jax.Array:
        """Turn standard normal noise into a displacement.

        Parameters
        ----------
        noise : jax.Array (unknown, problem), float
            Standard normal.

        Returns
        -------
        jax.Array (unknown, problem), float
            Proposed point less the current one.
        """
        scaled = _solve_upper(self.factor, list(noise))
        return jnp.stack([a + b for a, b in zip(self.step, scaled, strict=True)])

    def log_density(self, displacement: jax.Array) -> jax.Array:
        """Log density of a displacement, without the constant.

        Parameters
        ----------
        displacement : jax.Array (unknown, problem), float
            Proposed point less the point of the proposal.

        Returns
        -------
        jax.Array (problem,), float
            Log density in nats.
        """
        size = len(self.step)
        rest = [displacement[i] - self.step[i] for i in range(size)]
        total = jnp.zeros_like(rest[0])
        for j in range(size):
            along = sum(self.factor[i, j] * rest[i] for i in range(j, size))
            total = total + jnp.log(self.factor[j, j]) - 0.5 * jnp.square(along)
        return total


def newton_proposal(gradient: jax.Array, precision: jax.Array, kept: jax.Array | None = None) -> Proposal:
    """Build the proposal from gradient and precision.

    Parameters
    ----------
    gradient : jax.Array (unknown, problem), float
        Gradient of the log density.
    precision : jax.Array (pair, problem), float
        Positive definite matrices, packed as `pairs`.
    kept : jax.Array (problem,), float, optional
        Part of the distance from the mode that is kept, from 0 to below 1; none when not given.

    Returns
    -------
    Proposal
        The proposal at the point where both were taken.
    """
    factor = _cholesky(precision, gradient.shape[0])
    newton = _solve_upper(factor, _solve_lower(factor, list(gradient)))
    step = [jnp.clip(s, -LONGEST_STEP, LONGEST_STEP) for s in newton]
    if kept is None:
        return Proposal(step, factor)
    narrowing = 1.0 / jnp.sqrt(1.0 - jnp.square(kept))
    return Proposal([(1.0 - kept) * s for s in step], {pair: narrowing * value for pair, value in factor.items()})


def _cholesky(precision: jax.Array, size: int) -> dict[tuple[int, int], jax.Array]:
    factor: dict[tuple[int, int], jax.Array] = {}
    for row, (i, j) in enumerate(pairs(size)):
        value = precision[row]
        for k in range(j):
            value = value - factor[i, k] * factor[j, k]
        factor[i, j] = jnp.sqrt(jnp.maximum(value, 1e-12)) if i == j else value / factor[j, j]
    return factor


def _solve_lower(factor: dict[tuple[int, int], jax.Array], right: list[jax.Array]) -> list[jax.Array]:
    solved: list[jax.Array] = []
    for i, value in enumerate(right):
        for k in range(i):
            value = value - factor[i, k] * solved[k]
        solved.append(value / factor[i, i])
    return solved


def _solve_upper(factor: dict[tuple[int, int], jax.Array], right: list[jax.Array]) -> list[jax.Array]:
    solved: dict[int, jax.Array] = {}
    for i in reversed(range(len(right))):
        value = right[i]
        for k in range(i + 1, len(right)):
            value = value - factor[k, i] * solved[k]
        solved[i] = value / factor[i, i]
    return [solved[i] for i in range(len(right))]
