"""Moves of a background whose shape is an unknown mixture of given shapes, the same in all pixels.

The last spectrum is theta @ shapes with weights theta that sum to one and have a flat prior. With everything else held
the weights are a problem in a few unknowns, whose information the noise of the spectrum gives; a random walk of the
size that this information allows is decided on the full counts.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.linalg import null_space

from bayesspec.inference.blocks import product
from bayesspec.inference.nmf.mixing_moves import Factors, likelihood_change

SHAPE_MOVES = 4
"""Moves in a sweep; each is one pass over the counts."""
WALK = 2.4
"""Size of the best random walk in one dimension, in standard deviations, Roberts & Rosenthal (2001)."""
WIDEST = 0.2
"""Standard deviation of the weights above which steps do not grow: their prior is hardly wider."""


class Shapes(NamedTuple):
    """Shapes of a background and how its weights move.

    Parameters
    ----------
    values : jax.Array (shape, channel), float32
        The shapes, each summing to one.
    inverse : jax.Array (channel, shape), float64
        Pseudoinverse of the shapes: background @ inverse are its weights.
    root : jax.Array (shape, shape - 1), float64
        Standard normal numbers times it are a step; its columns sum to zero.
    """

    values: jax.Array
    inverse: jax.Array
    root: jax.Array


def shapes_of(values: npt.ArrayLike) -> Shapes:
    """Shapes before anything is known of the steps.

    Parameters
    ----------
    values : array (shape, channel), float
        Two or more shapes, each summing to one.

    Returns
    -------
    Shapes
        With steps of zero.
    """
    array = np.asarray(values, np.float64)
    root = jnp.zeros((len(array), len(array) - 1), jnp.float64)
    return Shapes(jnp.asarray(array, jnp.float32), jnp.asarray(np.linalg.pinv(array)), root)


def with_steps(shapes: Shapes, noise: npt.ArrayLike) -> Shapes:
    """Give the steps the covariance of the weights, everything else held.

    Parameters
    ----------
    shapes : Shapes
        Shapes.
    noise : array (channel,), float
        Noise of the background's spectrum, everything else held.

    Returns
    -------
    Shapes
        With steps.
    """
    values = np.asarray(shapes.values, np.float64)
    basis = null_space(np.ones((1, len(values))))
    scaled = basis.T @ values / np.asarray(noise, np.float64)
    information = scaled @ scaled.T + np.eye(basis.shape[1]) / WIDEST**2
    root = basis @ np.linalg.cholesky(np.linalg.inv(information)) * WALK / np.sqrt(basis.shape[1])
    return shapes._replace(root=jnp.asarray(root, jnp.float64))


def move_shape(
    counts: jax.Array, valid: jax.Array, shapes: Shapes, factors: Factors, key: jax.Array
) -> tuple[Factors, jax.Array]:
    """Walk with the weights of the background's shapes.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    valid : jax.Array (block, row, 1), float32
        One, and zero in the filling.
    shapes : Shapes
        Shapes and steps.
    factors : Factors
        Current factors; the background is the last spectrum.
    key : jax.Array
        Random key.

    Returns
    -------
    factors : Factors
        New factors.
    gain : jax.Array (), float64
        Change of the log likelihood.
    """

    def move(carry: tuple[Factors, jax.Array], move_key: jax.Array) -> tuple[tuple[Factors, jax.Array], None]:
        now, gained = carry
        normal_key, uniform_key = jax.random.split(move_key)
        z = jax.random.normal(normal_key, (shapes.root.shape[1],), jnp.float64)
        weights = product(now.spectra[-1].astype(jnp.float64), shapes.inverse) + product(shapes.root, z)
        spectrum = product(jnp.maximum(weights, 0.0).astype(jnp.float32), shapes.values)
        new = Factors(now.log_w, now.spectra.at[-1].set(spectrum))
        gain = likelihood_change(counts, valid, 1, now, new)
        accept = (weights >= 0).all() & (jnp.log(jax.random.uniform(uniform_key, (), jnp.float64)) < gain)
        chosen = jax.tree.map(lambda a, b: jnp.where(accept, a, b), (new, gained + gain), carry)
        return chosen, None

    start = (factors, jnp.zeros((), jnp.float64))
    return jax.lax.scan(move, start, jax.random.split(key, SHAPE_MOVES))[0]
