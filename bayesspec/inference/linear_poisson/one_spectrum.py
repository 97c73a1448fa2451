"""A few non-negative intensities behind one vector of Poisson counts: mode, information, draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from scipy.optimize import nnls
from scipy.special import ndtr, ndtri, xlogy

from bayesspec.errors import InputError
from bayesspec.inference.linear_poisson.settings import SETTINGS

Floats = npt.NDArray[np.float64]
STEPS = 60
"""Steps of Fisher scoring at most."""
RATE_FLOOR = 1e-10
"""Counts added to every rate, so that its logarithm exists."""
SWEEPS = 12
"""Gibbs sweeps of the chain that ends in a draw."""


@dataclass(frozen=True, eq=False)
class PoissonLineFit:
    """Intensities at the maximum of the likelihood, and the information there.

    Parameters
    ----------
    intensities : array, shape (column,), float64
        Non-negative intensities.
    rate : array, shape (channel,), float64
        Expected counts.
    gradient : array, shape (column,), float64
        Derivative of the log likelihood: 0 where an intensity is positive, not positive where it is zero.
    information : array, shape (column, column), float64
        Expected information of the intensities.
    deviance : float
        Twice the log likelihood that is missing to a perfect fit.
    converged : bool
        Whether a further step would gain less than the tolerance.
    """

    intensities: Float[np.ndarray, " column"]
    rate: Float[np.ndarray, " channel"]
    gradient: Float[np.ndarray, " column"]
    information: Float[np.ndarray, "column column"]
    deviance: float
    converged: bool


def fit_intensities(design: Floats, counts: npt.ArrayLike, start: Floats | None = None) -> PoissonLineFit:
    """Maximise the Poisson likelihood of counts ~ design @ intensities, intensities not negative.

    Fisher scoring, each step a non-negative least-squares problem, halved until the likelihood rises.

    Parameters
    ----------
    design : array, shape (channel, column), float64
        Non-negative expected counts per unit of intensity.
    counts : array, shape (channel,)
        Counts.
    start : array, shape (column,), float64, or None
        Intensities to start from.

    Returns
    -------
    PoissonLineFit
        The mode.

    Raises
    ------
    InputError
        When shapes do not fit, or the design is negative or not finite.
    """
    y = np.asarray(counts, np.float64)
    _check(design, y)
    scale = np.maximum(design.sum(axis=0), 1e-300)
    a = design / scale
    w = np.full(a.shape[1], max(y.sum(), 1.0) / a.shape[1]) if start is None else np.maximum(start * scale, 1e-9)
    loss, converged = _loss(a @ w, y), False
    for _ in range(STEPS):
        rate = a @ w + RATE_FLOOR
        root = np.sqrt(rate)
        target = nnls(a / root[:, None], y / root, maxiter=30 * a.shape[1])[0]
        step, new = 1.0, np.inf
        while step > 1e-6 and not (new := _loss(a @ (w + step * (target - w)), y)) <= loss:
            step /= 2
        if new > loss:
            converged = True
            break
        gain, w, loss = loss - new, w + step * (target - w), new
        if gain < SETTINGS.spectrum_gain * max(1.0, 1e-6 * abs(loss)) and step == 1.0:
            converged = True
            break
    rate = a @ w + RATE_FLOOR
    information = a.T @ (a / rate[:, None])
    return PoissonLineFit(
        w / scale,
        rate,
        (a.T @ (y / rate) - a.sum(axis=0)) * scale,
        information * scale[:, None] * scale[None],
        2.0 * loss,
        converged,
    )


def _loss(rate: Floats, y: Floats) -> float:
    """Kullback-Leibler divergence of the rate from the counts, in nats."""
    rate = rate + RATE_FLOOR
    return float((xlogy(y, y / rate) - y + rate).sum())


def _check(design: Floats, y: Floats) -> None:
    if design.ndim != 2 or y.shape != design.shape[:1] or not np.isfinite(design).all() or (design < 0).any():
        raise InputError(
            f"a design of shape {design.shape} and counts of shape {y.shape}",
            "a non-negative (channel, column) design and counts (channel,)",
            "fit_intensities(design.matrix, si.sum_spectrum()[design.channels])",
        )


def draw_intensities(fit: PoissonLineFit, rng: np.random.Generator, n: int, dispersion: float = 1.0) -> Floats:
    """Draw intensities from their posterior under a flat prior on what is not negative.

    The log likelihood is taken to second order around the mode; zero is a wall. Every draw is the end of a Gibbs
    chain of its own, along the principal axes of the information and along the intensities in turn.

    Parameters
    ----------
    fit : PoissonLineFit
        The mode.
    rng : numpy.random.Generator
        Source of randomness.
    n : int
        Number of draws.
    dispersion : float
        Variance of the counts over their mean.

    Returns
    -------
    array, shape (n, column), float64
        Joint draws, none negative.
    """
    scale = 1.0 / np.sqrt(np.maximum(np.diag(fit.information), 1e-300))
    known = np.diag(fit.information) > 1e-200
    information = (fit.information * scale[:, None] * scale[None])[np.ix_(known, known)] / dispersion
    information = information + 1e-9 * np.eye(len(information)) / dispersion
    gradient = (fit.gradient * scale)[known] / dispersion
    at_wall = fit.intensities[known] <= 0
    gradient = np.where(at_wall, np.minimum(gradient, 0.0), 0.0)
    mode = fit.intensities[known] / scale[known]
    values, vectors = np.linalg.eigh(information)
    axes = np.concatenate([vectors / np.sqrt(np.maximum(values, 1e-12)), np.eye(len(values))], axis=1).T
    x = np.tile(mode[:, None], (1, n))
    for _ in range(SWEEPS):
        for axis in axes:
            _along(x, mode, gradient, information, axis, rng)
    draws = np.zeros((n, len(fit.intensities)))
    draws[:, known] = x.T * scale[known]
    return draws


def _along(
    x: Floats, mode: Floats, gradient: Floats, information: Floats, axis: Floats, rng: np.random.Generator
) -> None:
    """Move every draw (column, draw) along one axis in place, to a normal value between the walls."""
    push = information @ axis
    curvature = float(axis @ push)
    centre = (float(gradient @ axis) + float(push @ mode) - push @ x) / curvature
    sd = 1.0 / np.sqrt(curvature)
    rising, falling = axis > 0, axis < 0
    low = (x[rising] / -axis[rising, None]).max(axis=0, initial=-np.inf)
    high = (x[falling] / -axis[falling, None]).min(axis=0, initial=np.inf)
    step = centre + sd * _normal_between((low - centre) / sd, (high - centre) / sd, rng)
    moving = rising | falling
    x[moving] = np.maximum(x[moving] + np.clip(step, low, high) * axis[moving, None], 0.0)


def _normal_between(low: Floats, high: Floats, rng: np.random.Generator) -> Floats:
    """Standard normal values between two limits; far in a tail, where they are exponential, to first order."""
    flip = low > 0
    lower, upper = np.where(flip, -high, low), np.where(flip, -low, high)
    left, right = ndtr(lower), ndtr(upper)
    u = rng.random(low.shape)
    value = ndtri(left + u * (right - left))
    tail = upper < -8.0
    width = np.where(np.isfinite(upper - lower), upper - lower, np.inf)
    rate = np.maximum(-upper, 1.0)
    short = -np.log1p(-u * -np.expm1(-rate * width)) / rate
    value = np.where(tail, upper - short, value)
    value = np.clip(value, lower, upper)
    return np.where(flip, -value, value)
