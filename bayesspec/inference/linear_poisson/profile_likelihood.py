"""Likelihood-ratio ranges: how far a function of the components can go before the likelihood falls too low.

Along a function of many parameters the log likelihood is the largest that the others allow. Adding `pull` times the
function and maximising again finds a point of that profile, at a drop that the pull sets. Where other components fit as
well the profile is flat up to a border, and the range is wide; no normal approximation enters (Murphy and van der Vaart
2000, doi:10.1080/01621459.2000.10474219). Along that flat valley components and points change together, T w and f / T,
which a climb does not follow to its end: the search begins at the border, which is found over T alone. The drop allowed
is that of all weights together (Scheffe's ranges): along directions that are not identified the usual one for a single
value is known not to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import gammaincinv

from bayesspec.inference.linear_poisson.mixing_distribution import (
    GAIN,
    Functional,
    MixingDistribution,
    MixingLikelihood,
    climb,
)

Floats = npt.NDArray[np.float64]
STEPS = 80
"""Steps of the climb at one strength of the pull at most."""
TRIALS = 8
"""Strengths of the pull that are tried at most for one end."""
NEAR = 0.25
"""Relative distance from the allowed drop at which an end is found."""
MOST_PULLED = 8.0
"""Factor by which the strength changes at most from one trial to the next."""
UNDER_A_LINE = 0.01
"""Least share of a column in a component from which the first strength is guessed: those at zero have no variance."""
STUCK = 0.02
"""Change of the value, as a part of its distance from the maximum, below which a stronger pull is of no use."""
SLIDES = 50
"""Steps of the search for the border at most."""
SHORTER = (1.0, 0.99, 0.9, 0.7, 0.4)
"""Parts of the way to the border that are tried until the likelihood is the same."""
APART = 1e-3
"""Least determinant of T: 0 where two components are the same."""
FLAT = 0.05
"""Log likelihood, in nats, that is given up at most on the way: rounding."""
RESTARTS = 3
"""How often the ends are sought at most, as the search for them may come across a higher maximum."""


@dataclass(frozen=True, eq=False)
class ProfileEnd:
    """One end of a range.

    Parameters
    ----------
    fit : MixingDistribution
        The most likely components with the value at the end.
    value : float
        The value.
    drop : float
        Log likelihood that is missing to the maximum, in nats.
    """

    fit: MixingDistribution
    value: float
    drop: float


def allowed_drop(weights: np.ndarray, prob: float) -> float:
    """Log likelihood that may be given up so that the range of every function of the weights holds at once.

    Parameters
    ----------
    weights : array, shape (component, column), float64
        Weights; rows sum to 1.
    prob : float
        Probability that all ranges hold.

    Returns
    -------
    float
        In nats.

    Notes
    -----
    Half the quantile of chi-square with a degree of freedom for each free weight.
    Source: Scheffe, Biometrika 40 (1953) 87, doi:10.1093/biomet/40.1-2.87, for likelihood ratios.
    """
    return float(gammaincinv(len(weights) * (weights.shape[1] - 1) / 2, prob))


def profile_ends(
    problem: MixingLikelihood,
    best: MixingDistribution,
    functionals: Sequence[Functional],
    prob: float,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[MixingDistribution, list[tuple[ProfileEnd, ProfileEnd]]]:
    """Find lower and upper ends of the ranges of functions of the weights.

    Parameters
    ----------
    problem : MixingLikelihood
        Counts and design.
    best : MixingDistribution
        The maximum.
    functionals : sequence of callable
        Value and derivatives (component, column) of each function.
    prob : float
        Probability that all ranges hold.
    progress : callable (done, total), optional
        Called after each function.

    Returns
    -------
    best : MixingDistribution
        The maximum, a larger one where the search came across it.
    ends : list of (ProfileEnd, ProfileEnd)
        Lower and upper end for each function.
    """
    drop = allowed_drop(best.weights, prob)
    for restart in range(RESTARTS):
        ends: list[tuple[ProfileEnd, ProfileEnd]] = []
        better = best
        for functional in functionals:
            pair = tuple(_end(problem, best, functional, sign * drop) for sign in (-1.0, 1.0))
            ends.append((pair[0], pair[1]))
            better = max(better, *(end.fit for end in pair), key=lambda fit: fit.log_likelihood)
            if progress is not None:
                progress(len(ends), len(functionals))
            if better.log_likelihood > best.log_likelihood + GAIN and restart + 1 < RESTARTS:
                break
        if len(ends) == len(functionals):
            break
        best = replace(climb(problem, better), converged=best.converged)
    return best, ends


def _end(problem: MixingLikelihood, best: MixingDistribution, functional: Functional, signed_drop: float) -> ProfileEnd:
    drop, sign = abs(signed_drop), float(np.sign(signed_drop))
    _, slope = functional(best.weights)
    counts = problem.counts.sum() * np.maximum(best.probabilities @ best.shares, 1e-3)
    variance = float((slope**2 * np.maximum(best.weights, UNDER_A_LINE) / counts[:, None]).sum())
    pull, border = np.sqrt(2 * drop / max(variance, 1e-300)), _border(problem, best, functional, sign)
    at, start = border, functional(border.weights)[0]
    found = [ProfileEnd(border, start, max(best.log_likelihood - border.log_likelihood, 0.0))]
    for _ in range(TRIALS):
        at = climb(problem, at, functional, sign * pull, steps=STEPS)
        value, lost = functional(at.weights)[0], best.log_likelihood - at.log_likelihood
        stuck = lost < drop and abs(value - found[-1].value) < STUCK * abs(value - start) + 1e-6
        found.append(ProfileEnd(at, value, lost))
        if abs(lost / drop - 1) < NEAR or lost < -GAIN or stuck:
            break
        pull *= float(np.clip(np.sqrt(drop / max(lost, 1e-6)), 1 / MOST_PULLED, MOST_PULLED))
        at = border if lost > drop else at
    within = [end for end in found if end.drop < (1 + NEAR) * drop]
    return max(within, key=lambda end: sign * end.value)


def _border(
    problem: MixingLikelihood, best: MixingDistribution, functional: Functional, sign: float
) -> MixingDistribution:
    """Other components that hold the same points, as far as the function goes: the same likelihood.

    The determinant of T stays above 0, so that components are not exchanged.
    """
    w, f, number = best.weights, best.shares, len(best.weights)
    unit = np.eye(number)

    def square(x: Floats) -> Floats:
        return x.reshape(number, number)

    def shares(x: Floats) -> Floats:
        return np.asarray(np.linalg.solve(square(x).T, f.T).T, np.float64)

    def slope_of_shares(x: Floats) -> Floats:
        inverse = np.linalg.inv(square(x))
        return -np.einsum("pi,jc->pcij", f @ inverse, inverse).reshape(f.size, number * number)

    def loss(x: Floats) -> tuple[float, Floats]:
        value, slope = functional(square(x) @ w)
        return -sign * value, -sign * (slope @ w.T).ravel()

    bounds = [
        {"type": "eq", "fun": lambda x: square(x).sum(axis=1) - 1, "jac": lambda _: np.repeat(unit, number, axis=1)},
        {"type": "ineq", "fun": lambda x: (square(x) @ w).ravel(), "jac": lambda _: np.kron(unit, w.T)},
        {"type": "ineq", "fun": lambda x: shares(x).ravel(), "jac": slope_of_shares},
        {"type": "ineq", "fun": lambda x: np.linalg.det(square(x)) - APART},
    ]
    try:
        options = {"maxiter": SLIDES, "ftol": 1e-10}
        x = minimize(loss, unit.ravel(), jac=True, method="SLSQP", constraints=bounds, options=options).x
        for part in SHORTER:
            moved = ((1 - part) * unit + part * square(x)).ravel()
            weights, points = np.maximum(square(moved) @ w, 0.0), np.maximum(shares(moved), 0.0)
            weights, points = (a / a.sum(axis=1, keepdims=True) for a in (weights, points))
            value = problem.responsibilities(weights, points, best.probabilities)[0]
            if np.linalg.det(square(moved)) > 0 and value > best.log_likelihood - FLAT:
                return replace(best, weights=weights, shares=points, log_likelihood=value)
    except np.linalg.LinAlgError:  # components that have become the same
        pass
    return best
