"""Poisson counts on a background whose logarithm is linear, with parts of either sign: mode and covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
STEPS = 100
"""Steps of Fisher scoring at most."""
SETTLED = 1e-8
"""Gain of a full step, in nats, at which the fit has converged; above a million nats in proportion."""
LEAST_RATE = 1e-3
"""Least rate of a channel, in counts: parts of either sign can take it below zero."""
LARGEST_STEP = 1.0
"""Most by which the logarithm of the background changes in one step."""


@dataclass(frozen=True, eq=False)
class LogBackgroundFit:
    """Posterior mode of background coefficients and intensities, and the covariance there.

    Parameters
    ----------
    background : array, shape (term,), float64
        Coefficients of the logarithm of the background.
    intensities : array, shape (column,), float64
        Intensities, of either sign.
    rate : array, shape (channel,), float64
        Expected counts.
    covariance : array, shape (term + column, term + column), float64
        Of background coefficients and intensities.
    deviance : float
        Twice the log likelihood that is missing to a perfect fit.
    converged : bool
        Whether the last step gained nothing.
    """

    background: Floats
    intensities: Floats
    rate: Floats
    covariance: Floats
    deviance: float
    converged: bool


def fit_log_background(
    terms: Floats, columns: Floats, counts: npt.ArrayLike, precision: Floats, start: Floats | None = None
) -> LogBackgroundFit:
    """Maximise the posterior of counts ~ Poisson(exp(terms @ background) + columns @ intensities).

    Parameters
    ----------
    terms : array, shape (channel, term), float64
        Terms of the logarithm of the background; the first is constant.
    columns : array, shape (channel, column), float64
        Counts per unit of intensity.
    counts : array, shape (channel,)
        Counts.
    precision : array, shape (term + column,), float64
        Precision of normal priors about zero; 0 for a flat one.
    start : array, shape (term + column,), float64, or None
        Coefficients and intensities to start from; ``None`` takes a background that explains all counts.

    Returns
    -------
    LogBackgroundFit
        Mode, and the inverse of the expected information there.

    Notes
    -----
    Fisher scoring, each step halved until the density rises. The normal approximation about the mode: Tierney and
    Kadane (1986), doi:10.1080/01621459.1986.10478240.
    """
    y = np.asarray(counts, np.float64)
    m = terms.shape[1]
    size = np.abs(columns).sum(axis=0) / len(y)
    scale = np.concatenate([np.ones(m), np.where(size > 0, size, 1.0)])
    scaled = columns / scale[m:]
    prior = precision / scale**2
    at = np.zeros(m + columns.shape[1])
    at[:m] = _of_counts(terms, y)
    value, converged = _density(terms, scaled, y, prior, at), False
    if start is not None and (near := _density(terms, scaled, y, prior, start * scale)) > value:
        at, value = start * scale, near
    for _ in range(STEPS):
        rate, jacobian = _rate(terms, scaled, at)
        weighted = jacobian / rate[:, None]
        information = jacobian.T @ weighted + np.diag(prior)
        gradient = weighted.T @ (y - rate) - prior * at
        step = np.linalg.solve(_regular(information), gradient)
        step = step * min(1.0, LARGEST_STEP / max(float(np.abs(terms @ step[:m]).max()), 1e-300))
        for fraction in 0.5 ** np.arange(20):
            trial = at + fraction * step
            new = _density(terms, scaled, y, prior, trial)
            if new >= value:
                break
        else:
            converged = True
            break
        gained, at, value = new - value, trial, new
        if gained < SETTLED * max(1.0, abs(value) * 1e-6) and fraction == 1.0:
            converged = True
            break
    rate, jacobian = _rate(terms, scaled, at)
    information = jacobian.T @ (jacobian / rate[:, None]) + np.diag(prior)
    covariance = np.linalg.inv(_regular(information)) / scale / scale[:, None]
    deviance = 2 * float((rate - y + np.where(y > 0, y * np.log(np.maximum(y, 1.0) / rate), 0.0)).sum())
    return LogBackgroundFit(at[:m], at[m:] / scale[m:], rate, covariance, deviance, converged)


def _of_counts(terms: Floats, y: Floats) -> Floats:
    """Least squares on the logarithm of the counts, weighted by them."""
    weights = np.sqrt(y + 0.5)
    found = np.linalg.lstsq(terms * weights[:, None], np.log(y + 0.5) * weights, rcond=None)[0]
    return np.asarray(found, np.float64)


def _rate(terms: Floats, columns: Floats, at: Floats) -> tuple[Floats, Floats]:
    m = terms.shape[1]
    background = np.exp(np.clip(terms @ at[:m], -50.0, 50.0))
    rate = np.maximum(background + columns @ at[m:], LEAST_RATE)
    return rate, np.column_stack([terms * background[:, None], columns])


def _density(terms: Floats, columns: Floats, y: Floats, prior: Floats, at: Floats) -> float:
    m = terms.shape[1]
    rate = np.exp(np.clip(terms @ at[:m], -50.0, 50.0)) + columns @ at[m:]
    if not np.all(rate > 0):
        return -np.inf
    return float((y * np.log(np.maximum(rate, LEAST_RATE)) - rate).sum() - 0.5 * (prior * at**2).sum())


def _regular(information: Floats) -> Floats:
    size = np.diag(information)
    return np.asarray(information + np.diag(1e-12 * np.maximum(size, 1e-12)), np.float64)
