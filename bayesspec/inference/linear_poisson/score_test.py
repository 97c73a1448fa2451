"""What further columns would add to a fit of Poisson counts, errors of its own columns allowed for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Shaped
from scipy.sparse import csc_array, csr_array

from bayesspec.inference.linear_poisson.settings import SETTINGS

Floats = npt.NDArray[np.float64]
LEAST_RATE = 1e-3
"""Least rate of a channel, in counts, that its weight is taken from."""


@dataclass(frozen=True, eq=False)
class ScoreGains:
    """What each candidate column would gain, the fit's own columns free to make way.

    Parameters
    ----------
    gain : array, shape (candidate,), float64
        Log likelihood gained, in nats; 0 where the candidate would have to be negative.
    intensity : array, shape (candidate,), float64
        Intensity that gains it, of either sign; 0 where the fit's columns are the candidate.
    sd : array, shape (candidate,), float64
        Its standard deviation; infinite where the fit's columns are the candidate.
    """

    gain: Float[np.ndarray, " candidate"]
    intensity: Float[np.ndarray, " candidate"]
    sd: Float[np.ndarray, " candidate"]


def score_gains(
    active: Float[np.ndarray, "channel column"],
    candidates: Float[np.ndarray, "channel candidate"] | csc_array,
    counts: Shaped[npt.NDArray[Any], " channel"],
    rate: Float[np.ndarray, " channel"],
    errors: Float[np.ndarray, "channel error"],
) -> ScoreGains:
    """Score every candidate column against a fit, one at a time.

    Parameters
    ----------
    active : array, shape (channel, column), float64
        Columns of the fit whose intensity is above zero.
    candidates : array or scipy.sparse.csc_array, shape (channel, candidate), float64
        Columns to add: lines, which reach few channels.
    counts : array, shape (channel,), float64
        Counts.
    rate : array, shape (channel,), float64
        Counts that the fit expects.
    errors : array, shape (channel, error), float64
        Changes of the rate that the shapes of the columns leave open, one standard deviation each, independent.

    Returns
    -------
    ScoreGains
        Gains, intensities, standard deviations.

    Notes
    -----
    Rao's score test with the covariance of counts and errors, diag(rate) + errors errors^T, by Woodbury's identity.
    A peak of few counts on hardly any background is no normal number: the gain is that of a Poisson count with the
    background that has the same standard deviation.
    """
    weight = 1.0 / np.maximum(rate, LEAST_RATE)
    scaled = errors * np.sqrt(weight)[:, None]
    inner = np.linalg.inv(np.eye(errors.shape[1]) + scaled.T @ scaled)
    lifted = errors * weight[:, None]

    def weighted(columns: Floats) -> Floats:
        plain = columns * weight[:, None]
        return np.asarray(plain - lifted @ (inner @ (lifted.T @ columns)), np.float64)

    size = np.maximum(np.sqrt(np.square(active * np.sqrt(weight)[:, None]).sum(axis=0)), 1e-300)
    active = active / size
    heavy = weighted(active)
    information = active.T @ heavy
    information += 1e-9 * np.diag(np.diag(information)) + 1e-12 * np.eye(len(information))
    columns = csr_array(candidates.T)
    plain = columns.power(2) @ weight
    shared = columns @ lifted
    own = plain - ((shared @ inner) * shared).sum(axis=1)
    cross = (columns @ heavy).T
    residual = counts - rate
    solved = np.linalg.solve(information, np.column_stack([cross, heavy.T @ residual]))
    gradient = columns @ weighted(residual[:, None])[:, 0] - cross.T @ solved[:, -1]
    free = own - (cross * solved[:, :-1]).sum(axis=0)
    known = free > SETTINGS.least_free * plain
    free = np.where(known, free, 1.0)
    intensity = np.where(known, gradient / free, 0.0)
    sd = np.where(known, 1.0 / np.sqrt(free), np.inf)
    total = np.maximum(columns.sum(axis=1), 1e-300)
    gain = poisson_gain(intensity * total, free / total**2)
    return ScoreGains(np.where(known, gain, 0.0), intensity, sd)


def poisson_gain(intensity: Floats, information: Floats) -> Floats:
    """Log likelihood gained by counts on a background whose inverse is the information.

    Parameters
    ----------
    intensity : array, any shape, float64
        Counts above the background.
    information : array, same shape, float64
        Inverse of their variance where there is background only.

    Returns
    -------
    array, same shape, float64
        (b + n) log(1 + n / b) - n for n counts above a background b = 1 / information.
    """
    excess = np.maximum(intensity * information, 0.0)
    return np.asarray(((1.0 + excess) * np.log1p(excess) - excess) / information, np.float64)
