"""Log joint of the log ratio field, a logistic Gaussian field of many widths, and of its parts.

The log ratio is mean + sum over levels of splines with coefficients ~ Normal(0, sd), where the log sd of a level is
that of a Matern field at the level's spacing (`level_log_sd`), plus a local log amplitude in the coefficient's cell.
The four parameters theta are the logarithms of amplitude, width, smoothness and scatter.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from bayesspec.inference.ratio_field.geometry import Geometry
from bayesspec.models.ratio_field import AMPLITUDE_SCALE, MEAN_SD, SCATTER_SCALE, SMOOTHNESS, level_log_sd

AMPLITUDE, WIDTH, SMOOTH, SCATTER = range(4)
"""Places in theta."""


class State(NamedTuple):
    """All unknowns."""

    mean: jax.Array
    """(), log ratio."""
    coefficients: tuple[jax.Array, ...]
    """(row node, column node) of every level, log ratio."""
    local: jax.Array
    """(cell,), log amplitudes."""
    theta: jax.Array
    """(4,), logarithms of amplitude, width in pixels, smoothness, scatter."""


def field(mean: jax.Array, coefficients: tuple[jax.Array, ...], geometry: Geometry) -> jax.Array:
    """Log ratio in every pixel, shape (y, x)."""
    parts = [lv.rows @ u @ lv.columns.T for u, lv in zip(coefficients, geometry.levels, strict=True)]
    return mean + sum(parts[1:], parts[0])


def log_sds(theta: jax.Array, geometry: Geometry) -> jax.Array:
    """Log sd of the coefficients of every level without the local amplitudes, shape (level,)."""
    return level_log_sd(theta[AMPLITUDE], theta[WIDTH], theta[SMOOTH], geometry.log_spacing)


def local_of(local: jax.Array, geometry: Geometry) -> list[jax.Array]:
    """Local log amplitude of every spline, a list of (row node, column node)."""
    padded = jnp.append(local, 0.0)
    return [padded[level.cells] for level in geometry.levels]


def log_prior_theta(theta: jax.Array, geometry: Geometry) -> jax.Array:
    """Log density of the logarithms of amplitude, width, smoothness and scatter."""
    amplitude, scatter = jnp.exp(theta[AMPLITUDE]), jnp.exp(theta[SCATTER])
    widest = jnp.log(2.0) + geometry.log_spacing[-1]
    inside = (theta[WIDTH] > 0) & (theta[WIDTH] < widest)
    return (
        jnp.log(2 / (jnp.pi * AMPLITUDE_SCALE))
        - jnp.log1p((amplitude / AMPLITUDE_SCALE) ** 2)
        + theta[AMPLITUDE]
        + jnp.where(inside, -jnp.log(widest), -jnp.inf)
        + norm.logpdf(theta[SMOOTH], jnp.log(SMOOTHNESS[0]), SMOOTHNESS[1])
        + jnp.log(2.0)
        + norm.logpdf(scatter, 0.0, SCATTER_SCALE)
        + theta[SCATTER]
    )


def log_prior_local(local: jax.Array, theta: jax.Array) -> jax.Array:
    """Log density of every local log amplitude, shape (cell,)."""
    return norm.logpdf(local, 0.0, jnp.exp(theta[SCATTER]))


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
    sds = log_sds(state.theta, geometry)
    found = (above * ratio - total * jnp.logaddexp(0.0, ratio)).sum()
    for u, sd, local in zip(state.coefficients, sds, local_of(state.local, geometry), strict=True):
        found += norm.logpdf(u, 0.0, jnp.exp(sd + local)).sum()
    found += norm.logpdf(state.mean, 0.0, MEAN_SD) + log_prior_local(state.local, state.theta).sum()
    return found + log_prior_theta(state.theta, geometry)
