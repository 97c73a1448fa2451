"""Newton's method for the composition mixture: every step is halved until the log posterior rises."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesspec.inference.mixture.log_joint import Evaluated, Parameters, Pixels, evaluated

Floats = NDArray[np.float64]
SHORTEST = 1e-6
"""Part of a step below which it is not halved any further."""


class Mode(NamedTuple):
    """Where Newton's method ended: parameters, what is known there, steps, expected gain of a further step (nats)."""

    parameters: Parameters
    here: Evaluated
    iterations: int
    gain: float


def shifted(parameters: Parameters, step: Floats) -> Parameters:
    """Parameters plus a flat step (parameter,)."""
    log_shares, weights = (np.asarray(part) for part in parameters)
    size = log_shares.size
    return Parameters(
        log_shares + step[:size].reshape(log_shares.shape),  # type: ignore[arg-type]
        weights + step[size:].reshape(weights.shape),  # type: ignore[arg-type]
    )


def newton_step(here: Evaluated) -> tuple[Floats, float]:
    """Ascent step and its expected gain (nats); negative curvature is taken by its size, steps are at most 1."""
    gradient = np.asarray(here.gradient)
    curvature, vectors = np.linalg.eigh(np.asarray(here.information))
    step = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(curvature), 1e-3))
    step = step / max(float(np.abs(step).max()), 1.0)
    return step, float(0.5 * gradient @ step)


def newton(
    start: Parameters, pixels: Pixels, active: NDArray[np.bool_], *, tolerance: float, max_iterations: int
) -> Mode:
    """Climb to the mode of the log posterior by Newton steps, each halved until the log posterior rises."""
    mode = Mode(start, evaluated(start, pixels, active), 0, np.inf)
    while mode.gain > tolerance and mode.iterations < max_iterations:
        step, gain = newton_step(mode.here)
        value = float(mode.here.log_posterior)
        risen, size = mode.here, 1.0
        while size > SHORTEST:
            trial = shifted(mode.parameters, size * step)
            risen = evaluated(trial, pixels, active)
            if float(risen.log_posterior) >= value - 1e-13 * abs(value):  # rounding
                break
            size *= 0.5
        else:
            return mode._replace(iterations=max_iterations, gain=gain)
        mode = Mode(trial, risen, mode.iterations + 1, gain)
    return mode
