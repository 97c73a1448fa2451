"""Components made of known columns, the shares that pixels have of them integrated out, whatever their distribution.

Given its total, the counts of pixel n over the bins are multinomial with probabilities sum_k f[k] s[k], where the
component s[k] is a mixture of the columns of a design with weights w[k], and f, the pixel's shares, has a distribution
of which nothing is assumed: probabilities p[g] on a grid over the simplex, estimated along with w. The total drops out,
and with it the thickness. Of w the likelihood is then a smooth function of few numbers, maximised by scoring; its
information is that of the pixels' scores, less what they share with the scores of p.

Source: nonparametric mixing distribution, Kiefer and Wolfowitz (1956), doi:10.1214/aoms/1177728066; scoring by outer
products, Berndt, Hall, Hall and Hausman, Annals of Economic and Social Measurement 3 (1974) 653.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from bayesspec.inference.status import Status

Floats = npt.NDArray[np.float64]
DIVISIONS = {1: 1, 2: 40, 3: 14, 4: 8, 5: 6, 6: 5}
FEWEST_DIVISIONS = 4
WEIGHT_STEPS = 100
ITERATIONS = 100
TOLERANCE = 0.01
FLOOR = 1e-12
FIRST_ROUNDS = 3
TRIED_SHARES = (0.05, 0.1, 0.2)
REFITTED = 4
LEAST_GAIN = 1.0
ROUNDS = 4


@dataclass(frozen=True, eq=False)
class SimplexMixture:
    """Where the likelihood is largest, and what it knows there.

    Parameters
    ----------
    weights : array, shape (component, column), float64
        Share of each column in the counts of a component; rows sum to 1.
    grid : array, shape (point, component), float64
        Shares that a pixel may have.
    probabilities : array, shape (point,), float64
        How frequent they are.
    gradient : array, shape (component * column,), float64
        Derivative of the log likelihood by the weights.
    information : array, shape (component * column, component * column), float64
        Information of the weights, the probabilities being estimated too. It fixes each row's sum.
    log_likelihood : float
        In nats, up to a constant.
    status : Status
        How the search ended.
    """

    weights: Floats
    grid: Floats
    probabilities: Floats
    gradient: Floats
    information: Floats
    log_likelihood: float
    status: Status


def simplex_grid(components: int, divisions: int | None = None) -> Floats:
    """Points that divide a simplex evenly, corners included.

    Parameters
    ----------
    components : int
        Number of components.
    divisions : int or None
        Steps from one corner to another; ``None`` takes about two hundred points.

    Returns
    -------
    array, shape (point, component), float64
        Shares that sum to 1.
    """
    steps = divisions or DIVISIONS.get(components, FEWEST_DIVISIONS)
    bars = np.array(list(combinations(range(steps + components - 1), components - 1)), int).reshape(-1, components - 1)
    edges = np.column_stack([np.full(len(bars), -1), bars, np.full(len(bars), steps + components - 1)])
    return (np.diff(edges, axis=1) - 1) / steps


@jax.jit
def _log_terms(y: jax.Array, weights: jax.Array, grid: jax.Array, design: jax.Array) -> jax.Array:
    spectra = weights @ design.T / weights.sum(axis=1, keepdims=True)
    return y @ jnp.log(grid @ spectra + FLOOR).T


@jax.jit
def _probabilities(terms: jax.Array, start: jax.Array) -> jax.Array:
    """Steps of expectation maximisation on the probabilities of the grid."""
    likelihood = jnp.exp(terms - terms.max(axis=1, keepdims=True))

    def step(_: int, p: jax.Array) -> jax.Array:
        return p * (likelihood / (likelihood @ p)[:, None]).mean(axis=0)

    return jax.lax.fori_loop(0, WEIGHT_STEPS, step, start)


@jax.jit
def _log_likelihood(terms: jax.Array, p: jax.Array) -> jax.Array:
    return jax.scipy.special.logsumexp(terms, axis=1, b=p[None]).sum()


@jax.jit
def _scores(
    y: jax.Array, weights: jax.Array, grid: jax.Array, p: jax.Array, design: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Scores of the weights (pixel, component * column) and of the probabilities (pixel, point)."""
    spectra = weights @ design.T
    rate = grid @ spectra + FLOOR
    terms = y @ jnp.log(rate).T
    likelihood = jnp.exp(terms - terms.max(axis=1, keepdims=True))
    relative = likelihood / (likelihood @ p)[:, None]
    responsibility = relative * p[None]

    def column(a: jax.Array) -> jax.Array:
        return (responsibility * (y @ (a[None] / rate).T)) @ grid

    by_column = jax.lax.map(column, design.T)
    scores = jnp.moveaxis(by_column, 0, 2)
    mean = (scores * weights[None]).sum(axis=2, keepdims=True)
    return (scores - mean).reshape(len(y), -1), relative - 1.0


def fit_simplex(
    counts: npt.NDArray[np.number],
    matrix: Floats,
    start: Floats,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> SimplexMixture:
    """Maximise the likelihood from a start.

    Parameters
    ----------
    counts : array, shape (pixel, bin)
        Counts.
    matrix : array, shape (bin, column), float64
        Columns of the design; each is taken to sum to 1.
    start : array, shape (component, column), float64
        Shares of the columns to start from.
    progress : callable (done, total), optional
        Called after each iteration.

    Returns
    -------
    SimplexMixture
        The maximum.
    """
    grid = simplex_grid(len(start))
    with jax.enable_x64(True):
        y, design = jnp.asarray(counts, jnp.float64), jnp.asarray(matrix / matrix.sum(axis=0))
        points = jnp.asarray(grid)
        w, p = np.array(start / start.sum(axis=1, keepdims=True)), jnp.full(len(grid), 1.0 / len(grid))
        terms = _log_terms(y, jnp.asarray(w), points, design)
        for _ in range(FIRST_ROUNDS):
            p = _probabilities(terms, p)
        value, status = float(_log_likelihood(terms, p)), Status.ITERATION_LIMIT
        for done in range(ITERATIONS):
            before = value
            aim_w, aim_p = _target(y, w, points, p, design)
            fraction = 1.0
            while fraction > 1e-3:
                trial, chance = w + fraction * (aim_w - w), p + fraction * (aim_p - p)
                moved = _log_terms(y, jnp.asarray(trial), points, design)
                if (reached := float(_log_likelihood(moved, chance))) > value:
                    w, p, terms, value = trial, chance, moved, reached
                    break
                fraction /= 3
            p = _probabilities(terms, p)
            value = float(_log_likelihood(terms, p))
            if progress is not None:
                progress(done + 1, ITERATIONS)
            if value - before < TOLERANCE:
                status = Status.CONVERGED
                break
        gradient, information = _information(y, w, points, p, design)
    return SimplexMixture(w, grid, np.asarray(p), gradient, information, value, status)


def _information(y: jax.Array, w: Floats, grid: jax.Array, p: jax.Array, design: jax.Array) -> tuple[Floats, Floats]:
    """Gradient and information of the weights, that of the probabilities projected out, each row's sum fixed."""
    of_weights, of_points = (np.asarray(a) for a in _scores(y, jnp.asarray(w), grid, p, design))
    used = of_points
    own, inner, cross = of_weights.T @ of_weights, used.T @ used, used.T @ of_weights
    values, vectors = np.linalg.eigh(inner)
    kept = values > 1e-8 * values.max()
    turned = vectors[:, kept].T @ cross / np.sqrt(values[kept])[:, None]
    information = own - turned.T @ turned
    components, columns = w.shape
    sums = np.kron(np.eye(components), np.ones((1, columns)))
    return of_weights.sum(axis=0), information + 1e8 * len(of_weights) * sums.T @ sums / columns


def _target(y: jax.Array, w: Floats, grid: jax.Array, p: jax.Array, design: jax.Array) -> tuple[Floats, jax.Array]:
    """Where the quadratic model in weights and probabilities together is largest among what is not negative."""
    scores = np.concatenate([np.asarray(a) for a in _scores(y, jnp.asarray(w), grid, p, design)], axis=1)
    x = np.concatenate([w.ravel(), np.asarray(p)])
    information = scores.T @ scores
    scale = 1.0 / np.sqrt(np.maximum(np.diag(information), 1e-300))
    scaled = information * scale[:, None] * scale[None] + 1e-7 * np.eye(len(x))
    components, columns = w.shape
    sums = np.zeros((components + 1, len(x)))
    sums[:components, : w.size] = np.kron(np.eye(components), np.ones((1, columns)))
    sums[components, w.size :] = 1.0
    scaled_sums = sums * scale
    weight = 1e4 / np.square(scaled_sums).sum(axis=1, keepdims=True) ** 0.5
    root = np.concatenate([np.linalg.cholesky(scaled).T, weight * scaled_sums])
    free = np.linalg.solve(root[: len(x)].T, scores.sum(axis=0) * scale) + root[: len(x)] @ (x / scale)
    solved = nnls(root, np.concatenate([free, weight[:, 0]]), maxiter=50 * len(x))[0] * scale
    aim = np.maximum(solved[: w.size].reshape(w.shape), 0.0)
    chance = np.maximum(solved[w.size :], 1e-12)
    return aim / aim.sum(axis=1, keepdims=True), jnp.asarray(chance / chance.sum())


def share_moments(counts: npt.NDArray[np.number], matrix: Floats, fit: SimplexMixture) -> tuple[Floats, Floats]:
    """Mean and variance of the shares of every pixel, the components given.

    Parameters
    ----------
    counts : array, shape (pixel, bin)
        Counts.
    matrix : array, shape (bin, column), float64
        Columns of the design.
    fit : SimplexMixture
        Components and frequencies of the shares.

    Returns
    -------
    mean, variance : array, shape (pixel, component), float64
        Of the shares.
    """
    design = matrix / matrix.sum(axis=0)
    logs = np.log(fit.grid @ fit.weights @ design.T + FLOOR).T
    mean, square = np.empty((len(counts), len(fit.weights))), np.empty((len(counts), len(fit.weights)))
    for rows in np.array_split(np.arange(len(counts)), max(len(counts) // 4096, 1)):
        terms = counts[rows].astype(np.float64) @ logs
        chance = np.exp(terms - terms.max(axis=1, keepdims=True)) * fit.probabilities
        chance = chance / chance.sum(axis=1, keepdims=True)
        mean[rows], square[rows] = chance @ fit.grid, chance @ fit.grid**2
    return mean, np.maximum(square - mean**2, 0.0)


def improved(
    counts: npt.NDArray[np.number],
    matrix: Floats,
    fit: SimplexMixture,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> SimplexMixture:
    """Leave maxima that are not the largest: give each component some of each other, and fit again.

    Parameters
    ----------
    counts : array, shape (pixel, bin)
        Counts that were fitted.
    matrix : array, shape (bin, column), float64
        Columns of the design.
    fit : SimplexMixture
        Where to start.
    progress : callable (done, total), optional
        Called after each fit.

    Returns
    -------
    SimplexMixture
        The best that was found.
    """
    components = len(fit.weights)
    pairs = [(k, j, e) for k in range(components) for j in range(components) if j != k for e in TRIED_SHARES]
    for done in range(ROUNDS):
        moves = []
        for k, j, share in pairs:
            w = fit.weights.copy()
            w[k] = (1 - share) * w[k] + share * w[j]
            moves.append(w)
        values = [_settled(counts, matrix, w, fit) for w in moves]
        tried = [fit_simplex(counts, matrix, moves[i]) for i in np.argsort(values)[::-1][:REFITTED]]
        best = max(tried, key=lambda one: one.log_likelihood)
        if progress is not None:
            progress(done + 1, ROUNDS)
        if best.log_likelihood < fit.log_likelihood + LEAST_GAIN:
            break
        fit = best
    return fit


def _settled(counts: npt.NDArray[np.number], matrix: Floats, w: Floats, fit: SimplexMixture) -> float:
    """Log likelihood of components with probabilities of the grid that follow them."""
    with jax.enable_x64(True):
        y, design = jnp.asarray(counts, jnp.float64), jnp.asarray(matrix / matrix.sum(axis=0))
        terms = _log_terms(y, jnp.asarray(w), jnp.asarray(fit.grid), design)
        p = _probabilities(terms, jnp.full(len(fit.grid), 1.0 / len(fit.grid)))
        return float(_log_likelihood(terms, _probabilities(terms, p)))
