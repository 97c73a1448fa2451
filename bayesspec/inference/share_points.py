"""Climbs to the most likely components and points of `ShareProblem`, with or without the pull of a function of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from bayesspec.inference.share_problem import RATE_FLOOR, Floats, SharePoints, ShareProblem, simplex_grid

Functional = Callable[[Floats], tuple[float, Floats]]
RARE = 0.3
"""Points that hold less of a pixel than this are left out when points are laid anew."""
STEPS = 200
ROUNDS = 12
GAIN = 1.0
SETTLING = (2, 20)
HOLD = 100.0
"""Curvature that keeps the sums of rows near 1, which the likelihood leaves open."""


def lay_points(problem: ShareProblem, weights: Floats, settling: int) -> SharePoints:
    """Lay points evenly over the simplex and keep those that hold pixels.

    Parameters
    ----------
    problem : ShareProblem
        Counts and design.
    weights : array, shape (component, column), float64
        Components.
    settling : int
        Steps of expectation maximisation on the probabilities.

    Returns
    -------
    SharePoints
        The components with their points.
    """
    w = weights / weights.sum(axis=1, keepdims=True)
    grid = simplex_grid(len(w))
    p, value = np.full(len(grid), 1.0 / len(grid)), -np.inf
    rate = grid @ (w @ problem.columns) + RATE_FLOOR
    terms = problem.counts @ np.log(rate).T
    relative = np.exp(terms - terms.max(axis=1, keepdims=True))
    for _ in range(settling):
        p = p * (relative / np.maximum(relative @ p, 1e-300)[:, None]).mean(axis=0)
    kept = p > RARE / len(problem.counts)
    kept[np.argmax(p)] = True
    return SharePoints(w, grid[kept], p[kept] / p[kept].sum(), value, converged=False)


def climb(
    problem: ShareProblem,
    fit: SharePoints,
    functional: Functional | None = None,
    pull: float = 0.0,
    *,
    steps: int = STEPS,
) -> SharePoints:
    """Maximise the log likelihood plus `pull` times a function of the weights.

    Parameters
    ----------
    problem : ShareProblem
        Counts and design.
    fit : SharePoints
        Where to start.
    functional : callable or None
        Value and derivatives (component, column) of a function of the weights.
    pull : float
        Its weight in nats per unit.
    steps : int
        Steps of the search at most.

    Returns
    -------
    SharePoints
        The maximum; its log likelihood is without the pull.
    """
    shape, points = fit.weights.shape, fit.shares.shape
    cut = [fit.weights.size, fit.weights.size + fit.shares.size]
    scale = _scales(problem, fit)

    def rows(x: Floats) -> tuple[Floats, Floats, Floats]:
        w, f, logs = np.split(x * scale, cut)
        p = np.exp(logs - logs.max())
        return w.reshape(shape), f.reshape(points), p / p.sum()

    def loss(x: Floats) -> tuple[float, Floats]:
        w, f, p = rows(x)
        over_w, over_f = (np.maximum(a.sum(axis=1, keepdims=True), 1e-9) for a in (w, f))
        value, by_weight, by_share, by_log = problem.gradient(w / over_w, f / over_f, p)
        if functional is not None:
            more, slope = functional(w / over_w)
            value, by_weight = value + pull * more, by_weight + pull * slope
        value -= HOLD / 2 * float(np.square(over_w - 1).sum() + np.square(over_f - 1).sum())
        parts = (by_weight / over_w - HOLD * (over_w - 1), by_share / over_f - HOLD * (over_f - 1), by_log)
        return -value, -np.concatenate([part.ravel() for part in parts]) * scale

    start = np.concatenate([fit.weights.ravel(), fit.shares.ravel(), np.log(np.maximum(fit.probabilities, RATE_FLOOR))])
    bounds = [(0.0, None)] * cut[1] + [(None, None)] * points[0]
    options = {"maxiter": steps, "maxfun": 2 * steps, "ftol": 1e-9, "gtol": 1e-3, "maxcor": 20}
    w, f, p = rows(minimize(loss, start / scale, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)
    w, f = w / w.sum(axis=1, keepdims=True), f / f.sum(axis=1, keepdims=True)
    return SharePoints(w, f, p, problem.chances(w, f, p)[0], converged=False)


def _scales(problem: ShareProblem, fit: SharePoints) -> Floats:
    """About the standard deviation of every value, so that all are searched alike."""
    counts = float(problem.counts.sum())
    of_component = counts * np.maximum(fit.probabilities @ fit.shares, 1e-3)
    by_weight = np.sqrt(np.maximum(fit.weights, 1e-3) / of_component[:, None])
    by_share = np.repeat(1.0 / np.sqrt(counts * fit.probabilities + 1.0), fit.shares.shape[1])
    by_log = 1.0 / np.sqrt(len(problem.counts) * fit.probabilities + 1.0)
    return np.concatenate([by_weight.ravel(), by_share, by_log])


def fit_points(
    problem: ShareProblem, start: Floats, *, progress: Callable[[int, int], None] | None = None
) -> SharePoints:
    """Maximise the likelihood from a start: climb, lay the points anew, climb again while that gains.

    Parameters
    ----------
    problem : ShareProblem
        Counts and design.
    start : array, shape (component, column), float64
        Shares of the columns to start from.
    progress : callable (done, total), optional
        Called after each round.

    Returns
    -------
    SharePoints
        The maximum.
    """
    best = climb(problem, lay_points(problem, start, SETTLING[0]))
    for done in range(ROUNDS):
        again = climb(problem, lay_points(problem, best.weights, SETTLING[1]))
        gain = again.log_likelihood - best.log_likelihood
        best = again if gain > 0 else best
        if progress is not None:
            progress(done + 1, ROUNDS)
        if gain < GAIN and done:
            return SharePoints(best.weights, best.shares, best.probabilities, best.log_likelihood, converged=True)
    return best
