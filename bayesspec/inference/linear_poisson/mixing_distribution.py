"""Components made of known columns, the shares that pixels have of them integrated out, whatever their distribution.

Given its total, the counts of pixel n over the bins are multinomial with probabilities sum_k f[k] s[k], where the
component s[k] is a mixture of the columns of a design with weights w[k], and f, the pixel's shares, has a distribution
of which nothing is assumed. The total drops out, and with it the thickness. The most likely distribution has few points
(Lindsay 1983, doi:10.1214/aos/1176346059), and these move freely along with w: on a fixed grid the components are drawn
to where the points of the grid fall well, by tens of nats. The likelihood depends on w and the points through their
products alone, so it is flat where other components hold the same points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]
DIVISIONS = {1: 1, 2: 40, 3: 14, 4: 8, 5: 6, 6: 5}
"""Steps from corner to corner of the simplex for each number of components: at most 252 points, as each costs time."""
FEWEST_DIVISIONS = 4
"""The same for more components."""
RATE_FLOOR = 1e-12
"""Added to the rates of points, as a share of all counts, and least probability in a start: logarithms exist."""
Functional = Callable[[Floats], tuple[float, Floats]]
RARE = 0.3
"""Points that hold less of a pixel than this are left out when points are laid anew."""
STEPS = 200
"""Steps of a climb at most."""
ROUNDS = 12
"""How often points are laid anew at most."""
GAIN = 1.0
"""Gain in nats below which points are not laid anew again."""
SETTLING = (2, 20)
"""Steps of expectation maximisation on the probabilities, when points are first laid and when they are laid anew."""
HOLD = 100.0
"""Curvature that keeps the sums of rows near 1, which the likelihood leaves open."""


@dataclass(frozen=True, eq=False)
class MixingDistribution:
    """Components and the points of the distribution of the shares.

    Parameters
    ----------
    weights : array, shape (component, column), float64
        Share of each column in the counts of a component; rows sum to 1.
    shares : array, shape (point, component), float64
        Shares that pixels have; rows sum to 1.
    probabilities : array, shape (point,), float64
        How frequent they are.
    log_likelihood : float
        In nats, up to a constant.
    converged : bool
        Whether laying the points anew gained next to nothing.
    """

    weights: Floats
    shares: Floats
    probabilities: Floats
    log_likelihood: float
    converged: bool


class MixingLikelihood:
    """The likelihood of components and points.

    Parameters
    ----------
    counts : array, shape (pixel, bin)
        Counts.
    matrix : array, shape (bin, column), float64
        Columns of the design; each is taken to sum to 1.
    """

    def __init__(self, counts: npt.NDArray[np.number], matrix: Floats) -> None:
        self.counts = np.asarray(counts, np.float64)
        self.columns = np.ascontiguousarray((matrix / matrix.sum(axis=0)).T)

    def responsibilities(self, weights: Floats, shares: Floats, p: Floats) -> tuple[float, Floats, Floats]:
        """Log likelihood, probability that a pixel has the shares of a point (pixel, point), and the points' rates."""
        rate = shares @ (weights @ self.columns) + RATE_FLOOR
        terms = self.counts @ np.log(rate).T + np.log(np.maximum(p, 1e-300))
        largest = terms.max(axis=1, keepdims=True)
        relative = np.exp(terms - largest)
        total = relative.sum(axis=1, keepdims=True)
        return float((np.log(total) + largest).sum()), relative / total, rate

    def gradient(self, weights: Floats, shares: Floats, p: Floats) -> tuple[float, Floats, Floats, Floats]:
        """Log likelihood and its derivatives by weights and shares, each row's sum held, and by the logarithms of p."""
        value, chance, rate = self.responsibilities(weights, shares, p)
        excess = (chance.T @ self.counts) / rate
        by_share = excess @ (weights @ self.columns).T
        by_weight = shares.T @ (excess @ self.columns.T)
        by_share -= (by_share * shares).sum(axis=1, keepdims=True)
        by_weight -= (by_weight * weights).sum(axis=1, keepdims=True)
        return value, by_weight, by_share, chance.sum(axis=0) - len(self.counts) * p


def simplex_grid(components: int, divisions: int | None = None) -> Floats:
    """Points that divide a simplex evenly, corners included.

    Parameters
    ----------
    components : int
        Number of components.
    divisions : int or None
        Steps from one corner to another; ``None`` takes about a hundred points.

    Returns
    -------
    array, shape (point, component), float64
        Shares that sum to 1.
    """
    steps = divisions or DIVISIONS.get(components, FEWEST_DIVISIONS)
    chosen = list(combinations(range(steps + components - 1), components - 1))
    bars = np.array(chosen, int).reshape(len(chosen), components - 1)
    edges = np.column_stack([np.full(len(bars), -1), bars, np.full(len(bars), steps + components - 1)])
    return (np.diff(edges, axis=1) - 1) / steps


def posterior_shares(counts: npt.NDArray[np.number], matrix: Floats, fit: MixingDistribution) -> Floats:
    """Mean shares of every pixel, the components given.

    Parameters
    ----------
    counts : array, shape (pixel, bin)
        Counts.
    matrix : array, shape (bin, column), float64
        Columns of the design.
    fit : MixingDistribution
        Components and their points.

    Returns
    -------
    array, shape (pixel, component), float64
        Shares that sum to 1.
    """
    mean = np.empty((len(counts), len(fit.weights)))
    for rows in np.array_split(np.arange(len(counts)), max(len(counts) // 4096, 1)):
        chance = MixingLikelihood(counts[rows], matrix).responsibilities(fit.weights, fit.shares, fit.probabilities)[1]
        mean[rows] = chance @ fit.shares
    return mean


def component_parts(counts: npt.NDArray[np.number], matrix: Floats, fit: MixingDistribution) -> tuple[Floats, Floats]:
    """Part of all counts that each component has, and its uncertainty where the components are known.

    Pixels with more counts weigh more. The uncertainty is that of a weighted least-squares fit of the components to
    the summed counts, which knows no distribution of the shares.

    Parameters
    ----------
    counts : array, shape (pixel, bin)
        Counts.
    matrix : array, shape (bin, column), float64
        Columns of the design.
    fit : MixingDistribution
        Components and their points.

    Returns
    -------
    parts, sds : array, shape (component,), float64
        Parts, which sum to 1, and their standard deviations.
    """
    number = counts.sum(axis=1, dtype=np.float64)
    parts = number @ posterior_shares(counts, matrix, fit) / number.sum()
    spectra = fit.weights @ (matrix / matrix.sum(axis=0)).T
    information = (spectra / (parts @ spectra + RATE_FLOOR)) @ spectra.T
    ridge = 1e-12 * np.trace(information) * np.eye(len(parts))
    return parts, np.sqrt(np.diag(np.linalg.inv(information + ridge)) / number.sum())


# Climbs to the most likely components and points of `MixingLikelihood`, with or without the pull of a function of them


def support_points(problem: MixingLikelihood, weights: Floats, settling: int) -> MixingDistribution:
    """Lay points evenly over the simplex and keep those that hold pixels.

    Parameters
    ----------
    problem : MixingLikelihood
        Counts and design.
    weights : array, shape (component, column), float64
        Components.
    settling : int
        Steps of expectation maximisation on the probabilities.

    Returns
    -------
    MixingDistribution
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
    return MixingDistribution(w, grid[kept], p[kept] / p[kept].sum(), value, converged=False)


def climb(
    problem: MixingLikelihood,
    fit: MixingDistribution,
    functional: Functional | None = None,
    pull: float = 0.0,
    *,
    steps: int = STEPS,
) -> MixingDistribution:
    """Maximise the log likelihood plus `pull` times a function of the weights.

    Parameters
    ----------
    problem : MixingLikelihood
        Counts and design.
    fit : MixingDistribution
        Where to start.
    functional : callable or None
        Value and derivatives (component, column) of a function of the weights.
    pull : float
        Its weight in nats per unit.
    steps : int
        Steps of the search at most.

    Returns
    -------
    MixingDistribution
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
            slope = slope - (slope * w / over_w).sum(axis=1, keepdims=True)
            value, by_weight = value + pull * more, by_weight + pull * slope
        value -= HOLD / 2 * float(np.square(over_w - 1).sum() + np.square(over_f - 1).sum())
        parts = (by_weight / over_w - HOLD * (over_w - 1), by_share / over_f - HOLD * (over_f - 1), by_log)
        return -value, -np.concatenate([part.ravel() for part in parts]) * scale

    start = np.concatenate([fit.weights.ravel(), fit.shares.ravel(), np.log(np.maximum(fit.probabilities, RATE_FLOOR))])
    bounds = [(0.0, None)] * cut[1] + [(None, None)] * points[0]
    options = {"maxiter": steps, "maxfun": 2 * steps, "ftol": 1e-9, "gtol": 1e-3, "maxcor": 20}
    w, f, p = rows(minimize(loss, start / scale, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)
    w, f = w / w.sum(axis=1, keepdims=True), f / f.sum(axis=1, keepdims=True)
    return MixingDistribution(w, f, p, problem.responsibilities(w, f, p)[0], converged=False)


def _scales(problem: MixingLikelihood, fit: MixingDistribution) -> Floats:
    """About the standard deviation of every value, so that all are searched alike."""
    counts = float(problem.counts.sum())
    of_component = counts * np.maximum(fit.probabilities @ fit.shares, 1e-3)
    by_weight = np.sqrt(np.maximum(fit.weights, 1e-3) / of_component[:, None])
    by_share = np.repeat(1.0 / np.sqrt(counts * fit.probabilities + 1.0), fit.shares.shape[1])
    by_log = 1.0 / np.sqrt(len(problem.counts) * fit.probabilities + 1.0)
    return np.concatenate([by_weight.ravel(), by_share, by_log])


def fit_mixing_distribution(
    problem: MixingLikelihood, start: Floats, *, progress: Callable[[int, int], None] | None = None
) -> MixingDistribution:
    """Maximise the likelihood from a start: climb, lay the points anew, climb again while that gains.

    Parameters
    ----------
    problem : MixingLikelihood
        Counts and design.
    start : array, shape (component, column), float64
        Shares of the columns to start from.
    progress : callable (done, total), optional
        Called after each round.

    Returns
    -------
    MixingDistribution
        The maximum.
    """
    best = climb(problem, support_points(problem, start, SETTLING[0]))
    for done in range(ROUNDS):
        again = climb(problem, support_points(problem, best.weights, SETTLING[1]))
        gain = again.log_likelihood - best.log_likelihood
        best = again if gain > 0 else best
        if progress is not None:
            progress(done + 1, ROUNDS)
        if gain < GAIN and done:
            return replace(best, converged=True)
    return best
