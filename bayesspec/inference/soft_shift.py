"""Shifts of positive numbers that stay positive: linear above a noise level, multiplicative below it.

With r = v / s the coordinate is z = log(exp(r) - 1), which is r itself for v well above the noise s and log r
below. A shift of z is a bijection of the positive numbers, undone by the opposite shift.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def soft_shift(log_value: jax.Array, noise: jax.Array, change: jax.Array) -> tuple[jax.Array, jax.Array]:
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
    """Differentiate `soft_shift` by the change, at no change.

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
