"""Maps that fit a quadratic and change little between neighbouring pixels.

Every pixel has K values with a quadratic loss of its own; every map pays in proportion to the length of its
gradient, so that it is smooth, edges excepted. Solved by a primal-dual iteration whose steps are K x K problems.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

STEP = 1.0 / 3.0
"""Length of the steps in units of the noise; the gradient and the identity together have a norm of three."""


class Quadratic(NamedTuple):
    """Loss of every pixel, w P w / 2 - b w.

    Parameters
    ----------
    precision : jax.Array (y, x, component, component), float32
        P; zero in pixels without counts of their own.
    linear : jax.Array (y, x, component), float32
        b.
    """

    precision: jax.Array
    linear: jax.Array


class Tension(NamedTuple):
    """Dual values: of the gradient of the maps, and of their being non-negative.

    Parameters
    ----------
    across, down : jax.Array (y, x, component), float32
        Towards the next column and the next row.
    below : jax.Array (y, x, component), float32
        What keeps a value from falling below zero.
    """

    across: jax.Array
    down: jax.Array
    below: jax.Array


def no_tension(maps: jax.Array) -> Tension:
    """Tension to begin with, for maps (y, x, component), float32."""
    zero = jnp.zeros_like(maps)
    return Tension(zero, zero, zero)


def differences(maps: jax.Array, edges: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Differences to the next column and to the next row.

    Parameters
    ----------
    maps : jax.Array (y, x, component), float32
        Maps.
    edges : (across, down), each jax.Array (y, x, 1), float32
        One where both pixels are in use, zero elsewhere and in the last column or row.

    Returns
    -------
    across, down : jax.Array (y, x, component), float32
        The differences.
    """
    return (jnp.roll(maps, -1, axis=1) - maps) * edges[0], (jnp.roll(maps, -1, axis=0) - maps) * edges[1]


def joined(valid: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which neighbours are both in use.

    Parameters
    ----------
    valid : jax.Array (y, x), bool
        Pixels in use.

    Returns
    -------
    across, down : jax.Array (y, x, 1), float32
        As `differences` takes them.
    """
    across = valid & jnp.roll(valid, -1, axis=1)
    down = valid & jnp.roll(valid, -1, axis=0)
    across, down = across.at[:, -1].set(False), down.at[-1].set(False)
    return across[..., None].astype(jnp.float32), down[..., None].astype(jnp.float32)


def _pull(tension: Tension, edges: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Adjoint of the differences and of the identity."""
    across, down = tension.across * edges[0], tension.down * edges[1]
    return (jnp.roll(across, 1, axis=1) - across) + (jnp.roll(down, 1, axis=0) - down) + tension.below


@partial(jax.jit, static_argnames=("steps",))
def smooth_maps(
    loss: Quadratic,
    edges: tuple[jax.Array, jax.Array],
    strength: jax.Array,
    start: tuple[jax.Array, Tension],
    steps: int,
) -> tuple[jax.Array, Tension]:
    """Minimise the loss plus strength x total variation over non-negative maps.

    Parameters
    ----------
    loss : Quadratic
        Loss of the pixels.
    edges : (across, down), each jax.Array (y, x, 1), float32
        As `joined` returns them.
    strength : jax.Array (component,), float32
        Price of one unit of change between neighbours, 1 / unit of the map.
    start : (maps, tension)
        Where to start; the tension of an earlier call saves steps.
    steps : int
        Number of iterations.

    Returns
    -------
    maps : jax.Array (y, x, component), float32
        The maps, not below zero.
    tension : Tension
        For the next call.

    Notes
    -----
    Source: Rudin, Osher & Fatemi (1992), doi:10.1016/0167-2789(92)90242-F (the penalty); Chambolle & Pock (2011),
    doi:10.1007/s10851-010-0251-1, algorithm 1.
    """
    components = loss.linear.shape[2]
    scale = jnp.sqrt(jnp.maximum(jnp.einsum("yxkk->yxk", loss.precision).mean(axis=(0, 1)), 1e-20))[None, None]
    precision = loss.precision / (scale[..., :, None] * scale[..., None, :])
    damped = jnp.linalg.inv(precision + jnp.eye(components, dtype=jnp.float32)[None, None] / STEP)
    linear, limit = loss.linear / scale, strength[None, None] / scale

    def step(carry: tuple[jax.Array, Tension], _: None) -> tuple[tuple[jax.Array, Tension], None]:
        maps, tension = carry
        relaxed = maps - STEP * _pull(tension, edges)
        new = jnp.einsum("yxij,yxj->yxi", damped, linear + relaxed / STEP)
        ahead = 2.0 * new - maps
        across, down = differences(ahead, edges)
        across, down = tension.across + STEP * across, tension.down + STEP * down
        shrink = jnp.maximum(jnp.hypot(across, down) / jnp.maximum(limit, 1e-20), 1.0)
        below = jnp.minimum(tension.below + STEP * ahead, 0.0)
        return (new, Tension(across / shrink, down / shrink, below)), None

    first = (start[0] * scale, start[1])
    maps, tension = jax.lax.scan(step, first, None, length=steps)[0]
    return jnp.maximum(maps, 0.0) / scale, tension
