"""Newton's method for the composition mixture: every step is halved until the log posterior rises."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bayesspec.inference.mixture.log_joint import Parameters, Pixels, derivatives, log_posterior


class Mode(NamedTuple):
    """Where Newton's method ended: parameters, log posterior, steps, expected gain of a further step (nats)."""

    parameters: Parameters
    log_posterior: Array
    iterations: Array
    gain: Array


def shifted(parameters: Parameters, step: Array) -> Parameters:
    """Parameters plus a flat step (parameter,)."""
    size = parameters.log_shares.size
    return Parameters(
        parameters.log_shares + step[:size].reshape(parameters.log_shares.shape),
        parameters.weights + step[size:].reshape(parameters.weights.shape),
    )


def newton_step(parameters: Parameters, pixels: Pixels, active: Array) -> tuple[Array, Array]:
    """Ascent step and its expected gain (nats); negative curvature is taken by its size, steps are at most 1."""
    gradient, information = derivatives(parameters, pixels, active)
    curvature, vectors = jnp.linalg.eigh(information)
    step = vectors @ ((vectors.T @ gradient) / jnp.maximum(jnp.abs(curvature), 1e-3))
    step = step / jnp.maximum(jnp.abs(step).max(), 1.0)
    return step, 0.5 * gradient @ step


@partial(jax.jit, static_argnames=("max_iterations",))
def newton(start: Parameters, pixels: Pixels, active: Array, *, tolerance: float | Array, max_iterations: int) -> Mode:
    """Climb to the mode of the log posterior by Newton steps, each halved until the log posterior rises."""

    def shorten(state: tuple[Array, Parameters, Array, Array]) -> Array:
        scale, _, reached, needed = state
        return (reached < needed) & (scale > 1e-6)

    def iterate(mode: Mode) -> Mode:
        step, gain = newton_step(mode.parameters, pixels, active)

        def halve(state: tuple[Array, Parameters, Array, Array]) -> tuple[Array, Parameters, Array, Array]:
            scale = 0.5 * state[0]
            trial = shifted(mode.parameters, scale * step)
            return scale, trial, log_posterior(trial, pixels, active), state[3]

        rounding = 1e-13 * jnp.abs(mode.log_posterior)
        needed = mode.log_posterior - rounding
        start = (jnp.asarray(2.0), mode.parameters, needed - 1.0, needed)
        _, trial, reached, _ = jax.lax.while_loop(shorten, halve, start)
        risen = reached >= needed
        moved = jax.tree.map(partial(jnp.where, risen), trial, mode.parameters)
        return Mode(moved, jnp.maximum(reached, mode.log_posterior), mode.iterations + 1, gain)

    def unfinished(mode: Mode) -> Array:
        return (mode.gain > tolerance) & (mode.iterations < max_iterations)

    begin = Mode(start, log_posterior(start, pixels, active), jnp.asarray(0), jnp.asarray(jnp.inf))
    return jax.lax.while_loop(unfinished, iterate, begin)
