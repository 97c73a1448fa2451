"""Log joint of the log ratio field, and its parts.

The three parameters theta are the logarithms of amplitude, width in pixels, and smoothness.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from bayesspec.inference.ratio_field.geometry import Geometry
from bayesspec.models.ratio_field import AMPLITUDE, MEAN_SD, SMOOTHNESS, level_log_sd


class State(NamedTuple):
    """All unknowns."""

    mean: jax.Array
    """(), log ratio."""
    coefficients: tuple[jax.Array, ...]
    """(row node, column node) of every level, log ratio."""
    theta: jax.Array
    """(3,), logarithms of amplitude, width in pixels, smoothness."""


def field(mean: jax.Array, coefficients: tuple[jax.Array, ...], geometry: Geometry) -> jax.Array:
    """Log ratio in every pixel, shape (y, x)."""
    parts = [lv.rows @ u @ lv.columns.T for u, lv in zip(coefficients, geometry.levels, strict=True)]
    return mean + sum(parts[1:], parts[0])


def log_sds(theta: jax.Array, geometry: Geometry) -> jax.Array:
    """Log standard deviation of the coefficients of every level, shape (level,)."""
    return level_log_sd(theta[0], theta[1], theta[2], jnp.asarray(geometry.log_spacing))


def log_prior_theta(theta: jax.Array, geometry: Geometry) -> jax.Array:
    """Log density of the logarithms of amplitude, width and smoothness."""
    widest = jnp.log(2.0) + geometry.log_spacing[-1]
    inside = (theta[1] > 0) & (theta[1] < widest)
    amplitude = norm.logpdf(theta[0], jnp.log(AMPLITUDE[0]), AMPLITUDE[1])
    smoothness = norm.logpdf(theta[2], jnp.log(SMOOTHNESS[0]), SMOOTHNESS[1])
    return amplitude + smoothness + jnp.where(inside, -jnp.log(widest), -jnp.inf)


def log_joint(state: State, above: jax.Array, total: jax.Array, geometry: Geometry) -> jax.Array:
    """Log density of the unknowns, theta on its logarithmic scale, and of the counts but for their coefficients.

    Parameters
    ----------
    state : State
        Unknowns, float64.
    above, total : jax.Array (y, x), float64
        Counts of the first line, and of both.
    geometry : Geometry
        Splines.

    Returns
    -------
    jax.Array, shape (), float64
        Without the binomial coefficients of the counts.
    """
    ratio = field(state.mean, state.coefficients, geometry)
    found = (above * ratio - total * jnp.logaddexp(0.0, ratio)).sum() + norm.logpdf(state.mean, 0.0, MEAN_SD)
    for u, sd in zip(state.coefficients, log_sds(state.theta, geometry), strict=True):
        found += norm.logpdf(u, 0.0, jnp.exp(sd)).sum()
    return found + log_prior_theta(state.theta, geometry)
