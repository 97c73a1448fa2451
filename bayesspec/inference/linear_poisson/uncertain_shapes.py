"""Non-negative intensities behind Poisson counts where the shapes of the columns are known within errors only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from bayesspec.inference.deviance import deviance
from bayesspec.inference.linear_poisson.one_spectrum import PoissonLineFit

Floats = npt.NDArray[np.float64]
STEPS = 40
"""Steps at most; each is a non-negative least-squares problem."""
SETTLED = 1e-3
"""Largest change of an intensity, in its standard deviations, at which the fit has settled."""
LEAST_RATE = 0.02
"""Least rate of a channel, in counts, that its weight is taken from."""
RIDGE = 1e-10
"""Added to the information in units of its diagonal, so that columns that are alike leave it invertible."""


@dataclass(frozen=True, eq=False)
class UncertainFit:
    """Intensities with the errors of the shapes integrated out.

    Parameters
    ----------
    fit : PoissonLineFit
        Intensities, their marginal information, and the expected counts with the errors as they were found.
    deviates : array, shape (error,), float64
        Each error in its standard deviations.
    deviate_covariance : array, shape (error, error), float64
        Their covariance.
    """

    fit: PoissonLineFit
    deviates: Floats
    deviate_covariance: Floats


def fit_uncertain(design: Floats, counts: npt.ArrayLike, errors: Floats, start: Floats) -> UncertainFit:
    """Solve the estimating equations of counts ~ design @ intensities with correlated errors.

    Parameters
    ----------
    design : array, shape (channel, column), float64
        Non-negative expected counts per unit of intensity.
    counts : array, shape (channel,), float64
        Counts.
    errors : array, shape (channel, error), float64
        Changes of the expected counts, one standard deviation each and independent, that the shapes leave open.
    start : array, shape (column,), float64
        Intensities to start from.

    Returns
    -------
    UncertainFit
        Intensities and errors.

    Notes
    -----
    design^T V^-1 (counts - design @ intensities) = 0 with V = diag(rate) + errors errors^T: the score of the likelihood
    where there are no errors, unbiased whatever they are. Source: generalised estimating equations of Liang and Zeger,
    Biometrika 73 (1986) 13, doi:10.1093/biomet/73.1.13, with intensities that are not negative.
    """
    y = np.asarray(counts, np.float64)
    scale = np.maximum(design.sum(axis=0), 1e-300)
    a, w, share = design / scale, np.maximum(start * scale, 0.0), 1.0
    before, converged = np.inf, False
    for _ in range(STEPS):
        rate = np.maximum(a @ w, LEAST_RATE)
        both = whitening(errors, rate)(np.column_stack([a, y]))
        target = nnls(both[:, :-1], both[:, -1], maxiter=30 * a.shape[1])[0]
        change = float(np.abs(both[:, :-1] @ (target - w)).max(initial=0.0))
        share = share / 2 if change > before else share
        w, before = w + share * (target - w), change
        if change < SETTLED:
            converged = True
            break
    rate = np.maximum(a @ w, LEAST_RATE)
    open_ = whitening(errors, rate)(np.column_stack([a, y - a @ w]))
    information, gradient = open_[:, :-1].T @ open_[:, :-1], open_[:, :-1].T @ open_[:, -1]
    weighted = errors / rate[:, None]
    covariance = np.linalg.inv(np.eye(errors.shape[1]) + errors.T @ weighted)
    deviates = covariance @ (weighted.T @ (y - a @ w))
    covariance = _with_intensities(covariance, weighted.T @ a[:, w > 0], information[np.ix_(w > 0, w > 0)])
    found = np.maximum(a @ w + errors @ deviates, LEAST_RATE)
    fit = PoissonLineFit(
        w / scale,
        found,
        gradient * scale,
        information * scale[:, None] * scale[None],
        float(deviance(y, found).sum()),
        converged,
    )
    return UncertainFit(fit, deviates, covariance)


def _with_intensities(covariance: Floats, cross: Floats, information: Floats) -> Floats:
    """Covariance of the errors with that of the intensities added, which it was conditional on."""
    size = np.sqrt(np.maximum(np.diag(information), 1e-300))
    regular = information / size / size[:, None] + RIDGE * np.eye(len(size))
    slope = covariance @ (cross / size)
    return np.asarray(covariance + slope @ np.linalg.solve(regular, slope.T), np.float64)


def whitening(errors: Floats, rate: Floats) -> Callable[[Floats], Floats]:
    """Prepare the inverse root of the covariance of counts and errors.

    Parameters
    ----------
    errors : array, shape (channel, error), float64
        Changes of the expected counts, one standard deviation each and independent.
    rate : array, shape (channel,), float64
        Expected counts, above zero.

    Returns
    -------
    callable
        Multiplies columns (channel, column) by (diag(rate) + errors errors^T)^(-1/2), but for a rotation.
    """
    root = np.sqrt(rate)[:, None]
    scaled = errors / root
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    kept = values > 1e-12 * max(float(values.max(initial=0.0)), 1e-300)
    directions = scaled @ (vectors[:, kept] / np.sqrt(values[kept]))
    shrink = (1.0 / np.sqrt(1.0 + values[kept]) - 1.0)[:, None]

    def white(columns: Floats) -> Floats:
        plain = columns / root
        return np.asarray(plain + directions @ (shrink * (directions.T @ plain)), np.float64)

    return white
