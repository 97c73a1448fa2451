"""The corners of what is feasible: where a fraction or a spectrum is as large or as small as it can be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bayesspec.inference.nmf_feasible import FeasibleSet
from bayesspec.inference.pixel_groups import FLOOR, cluster_centres

Array = npt.NDArray[np.float64]
DIRECTIONS = 4
"""Directions per spectrum, besides those towards the other spectra, in which it is pushed to its limits."""
MOST_OTHERS = 5
"""Other spectra up to which each of them is a direction."""
WANDERED = 40
"""Steps of a random walk that looks for other places to start from."""
RESTARTS = 2
"""Corners from which each fraction is pushed again."""


def extreme_transforms(feasible: FeasibleSet, seed: int) -> Array:
    """Find transforms at the limits of every fraction and of every spectrum.

    Parameters
    ----------
    feasible : FeasibleSet
        What is feasible.
    seed : int
        Seed of the choice of directions.

    Returns
    -------
    numpy.ndarray (transform, component, component), float64
        The transforms; the first is the identity. Spectra T H and abundances W T^-1 fit as well as H and W.

    Notes
    -----
    A spectrum T H is linear in its row of T, so the limits of its entries lie at corners of the set of that row.
    Source: for two and three components Lawton & Sylvestre (1971), doi:10.1080/00401706.1971.10488823.
    """
    found = [np.eye(feasible.components)]
    for k in range(feasible.free):
        wanted = [_fraction(feasible, k, sign) for sign in (-1.0, 1.0)]
        own = feasible.pairs[:, 0] == k
        for direction in _directions(feasible, k, seed):
            slope = np.zeros(len(own))
            slope[own] = direction
            wanted += [_linear(feasible, sign * slope) for sign in (-1.0, 1.0)]
        found += [feasible.extreme(functional) for functional in wanted if own.any()]
    found += feasible.wander(WANDERED, np.random.default_rng(seed)) if len(found) > 1 else []
    return np.stack(found + _again(feasible, np.stack(found)))


def _again(feasible: FeasibleSet, found: Array) -> list[Array]:
    """Push the fractions once more, from the best that was found on the way to anything: the set is not convex."""
    if len(found) == 1:
        return []
    shares, better = fractions(feasible, found), []
    for k in range(feasible.free):
        for sign in (-1.0, 1.0):
            order = np.argsort(-sign * shares[:, k], kind="stable")[:RESTARTS]
            better += [feasible.extreme(_fraction(feasible, k, sign), found[start]) for start in order]
    return better


def fractions(feasible: FeasibleSet, transforms: Array) -> Array:
    """Share of the counts in each component.

    Parameters
    ----------
    feasible : FeasibleSet
        What is feasible.
    transforms : numpy.ndarray (transform, component, component), float64
        Transforms.

    Returns
    -------
    numpy.ndarray (transform, component), float64
        Shares, adding up to one.
    """
    totals = feasible.totals / feasible.totals.sum()
    return np.stack([totals @ np.linalg.inv(matrix) for matrix in transforms])


def _fraction(feasible: FeasibleSet, k: int, sign: float) -> Callable[[Array], tuple[float, Array]]:
    gains, losses = feasible.pairs.T
    totals = feasible.totals / feasible.totals.sum()

    def functional(matrix: Array) -> tuple[float, Array]:
        inverse = np.linalg.inv(matrix)
        shares = totals @ inverse
        return sign * float(shares[k]), -sign * shares[gains] * (inverse[losses, k] - inverse[gains, k])

    return functional


def _linear(feasible: FeasibleSet, slope: Array) -> Callable[[Array], tuple[float, Array]]:
    gains, losses = feasible.pairs.T
    return lambda matrix: (float(slope @ matrix[gains, losses]), slope)


def _directions(feasible: FeasibleSet, k: int, seed: int) -> Array:
    """Directions in a row of T: towards each other spectrum, and those in which most channels change."""
    others = np.delete(np.arange(feasible.components), k)
    change = feasible.spectra[others] - feasible.spectra[k]
    sized = (change / np.maximum(np.linalg.norm(change, axis=0), FLOOR)).T
    centres = cluster_centres(sized, DIRECTIONS, np.random.default_rng(seed)) if len(others) > 1 else sized[:0]
    towards = np.eye(len(others)) if len(others) <= MOST_OTHERS else centres[:0]
    return np.concatenate([towards, centres])
