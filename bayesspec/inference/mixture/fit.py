"""The result of fitting a composition mixture: the mode, its observed information, joint draws, prediction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from bayesspec.errors import InputError
from bayesspec.image.forked_process import refuse_forked_process
from bayesspec.inference.mixture.log_joint import Pixels
from bayesspec.inference.programs import padded_size
from bayesspec.inference.status import Status

Floats = NDArray[np.float64]
FEWEST_PADDED = 64
"""Pixels between the shortest lengths that pixels are padded to."""
LARGEST_TOTAL = 2**31
"""Counts of a pixel from which on they are refused."""


@dataclass(frozen=True)
class Convergence:
    """How a fit ended, in numbers.

    Parameters
    ----------
    converged : bool
        Whether a further Newton step would gain less than the tolerance.
    iterations : int
        Newton steps taken.
    gain : float
        Expected gain of a further step, nats.
    gradient_norm : float
        Largest absolute derivative of the log posterior, nats per unit of log ratio.
    smallest_curvature : float
        Smallest eigenvalue of the observed information, nats per squared unit of log ratio. Where it is not
        positive the fit ended on a saddle and has no covariance.
    """

    converged: bool
    iterations: int
    gain: float
    gradient_norm: float
    smallest_curvature: float

    @property
    def definite(self) -> bool:
        """Whether the observed information is positive definite, so that intervals exist."""
        return self.smallest_curvature > 0.0

    @property
    def status(self) -> Status:
        """The outcome, a sentence that says what to do."""
        if not self.definite:
            return Status.NOT_DEFINITE
        return Status.CONVERGED if self.converged else Status.ITERATION_LIMIT


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """A composition mixture at its posterior mode.

    Parameters
    ----------
    log_composition : ndarray of float64, (phase, channel)
        Logarithm of the share of each channel in the counts of each phase.
    weights : ndarray of float64, (phase, 1 + covariate)
        Intercept and slopes of the log weights (log odds); their sum over the phases is zero.
    pixel_log_likelihood : ndarray of float64, (pixel,)
        Marginal log likelihood of each pixel (nats), multinomial coefficient included; 0 without counts.
    responsibilities : ndarray of float64, (pixel, phase)
        Posterior probability of each phase in each pixel, at the mode.
    n_parameters : int
        Free parameters: compositions over the channels that have counts, and weights.
    n_pixels : int
        Pixels with counts.
    information : ndarray of float64, (parameter, parameter)
        Observed information of the log posterior. Parameters: log shares (phase, channel) in C order, then weights
        (phase, 1 + covariate). A unit of information on each phase's sum of log shares fixes what data cannot.
        Empty for a fit that was left early.
    convergence : Convergence
        How the fit ended, in numbers; `status` is the outcome.
    """

    log_composition: Floats
    weights: Floats
    pixel_log_likelihood: Floats
    responsibilities: Floats
    n_parameters: int
    n_pixels: int
    information: Floats
    convergence: Convergence

    @property
    def status(self) -> Status:
        """How the fit ended, a sentence that says what to do."""
        return self.convergence.status

    @property
    def n_phases(self) -> int:
        """Number of phases."""
        return self.log_composition.shape[0]

    @property
    def log_likelihood(self) -> float:
        """Marginal log likelihood of all pixels, nats."""
        return float(self.pixel_log_likelihood.sum())

    @property
    def bic(self) -> float:
        """Bayesian information criterion, smaller is better, in nats times two.

        Source: Schwarz (1978), doi:10.1214/aos/1176344136.
        """
        return self.n_parameters * float(np.log(self.n_pixels)) - 2.0 * self.log_likelihood

    @cached_property
    def covariance(self) -> Floats:
        """Posterior covariance of log shares and weights, (parameter, parameter); use it for log ratios.

        Raises
        ------
        InputError
            If the observed information is not positive definite.
        """
        if not self.convergence.definite:
            raise InputError(
                f"observed information with smallest eigenvalue {self.convergence.smallest_curvature:.3g} at "
                f"{self.n_phases} phases",
                "a positive definite one: these data do not tell the phases apart",
                f"phases={max(1, self.n_phases - 1)}",
            )
        return np.asarray(np.linalg.inv(self.information), np.float64)

    def draws(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        """Joint posterior draws: normal in log-ratio space around the mode.

        Parameters
        ----------
        rng : numpy.random.Generator
            Generator of the random numbers.
        n : int
            Number of draws.

        Returns
        -------
        tuple of ndarray of float64
            Composition (draw, phase, channel), share of the counts; weights (draw, phase, 1 + covariate), log odds.

        Raises
        ------
        InputError
            If the observed information is not positive definite.
        """
        moved = rng.normal(size=(n, len(self.information))) @ np.linalg.cholesky(self.covariance).T
        size, phases = self.log_composition.size, self.n_phases
        log_shares = self.log_composition[None] + moved[:, :size].reshape(n, phases, -1)
        log_total = logsumexp(log_shares, axis=2, keepdims=True)
        return np.exp(log_shares - log_total), self.weights[None] + moved[:, size:].reshape(n, phases, -1)


# Input of the composition mixture: counts and covariates, checked, as arrays of pixels


def checked_counts(counts: NDArray[np.number], mask: NDArray[np.bool_] | None) -> Floats:
    """Counts (pixel, channel) as float64, excluded pixels zero; refuses what is not counts."""
    counts = np.asarray(counts)
    if counts.ndim != 3 or counts.shape[2] < 2:
        raise InputError(f"counts of shape {counts.shape}", "(y, x, channel), two channels or more", "lines=[...]")
    if mask is not None and np.shape(mask) != counts.shape[:2]:
        raise InputError(f"a mask of shape {np.shape(mask)}", f"shape {counts.shape[:2]}", "mask=None")
    if not np.issubdtype(counts.dtype, np.integer) or counts.min(initial=0) < 0:
        found = f"counts of type {counts.dtype}, smallest {counts.min()}"
        raise InputError(found, "whole numbers of 0 or more", "counts.astype(int)")
    excluded = np.zeros(counts.shape[:2], bool) if mask is None else np.asarray(mask)
    kept = np.where(excluded[:, :, None], 0, counts).reshape(-1, counts.shape[2]).astype(np.float64)
    largest = kept.sum(axis=1).max(initial=0.0)
    if largest >= LARGEST_TOTAL:
        raise InputError(f"a pixel with {largest:.0f} counts", "fewer than 2^31 counts a pixel", "counts // 2")
    return kept


def check_phases(kept: Floats, max_phases: int) -> None:
    """Refuse fewer pixels with counts than phases."""
    measured = int((kept.sum(axis=1) > 0).sum())
    if not 1 <= max_phases <= measured:
        found = f"{max_phases} phases for {measured} pixels with counts"
        raise InputError(found, "at least one phase, and one pixel with counts for each", "phases=range(1, 3)")


def checked_covariates(covariates: Floats, pixels: int) -> Floats:
    """Covariates (pixel, covariate) as float64; refuses what is not finite or of other pixels."""
    given = np.asarray(covariates, dtype=np.float64)
    x = given.reshape(int(np.prod(given.shape[:-1])), given.shape[-1])
    if len(x) != pixels or not np.isfinite(x).all():
        raise InputError(
            f"covariates of shape {x.shape} with {int((~np.isfinite(x)).sum())} values not finite",
            f"finite ones for {pixels} pixels",
            "covariates=dose_covariates(counts.sum(axis=-1))",
        )
    return x


def pixels_of(kept: Floats, covariates: Floats | None, number: int | None = None) -> Pixels:
    """Counts, totals and the design of the weights, ones and covariates: `number` of pixels, the last ones without.

    Pixels without counts add nothing, and their number is one of a short list unless it is given. So is that of the
    columns: coefficients of those that are zero are at the mode of their prior.
    """
    refuse_forked_process()
    ones = np.ones((len(kept), 1))
    design = ones if covariates is None else np.concatenate([ones, covariates], axis=1)
    design = with_columns(design) if number is None else design
    rows = padded_size(len(kept), FEWEST_PADDED) if number is None else number
    return Pixels(*(jax.device_put(padded(part, rows)) for part in (kept, kept.sum(axis=1), design)))


def symmetric_root(covariance: Floats) -> Floats:
    """The root that is symmetric itself: it does not hang on the signs of eigenvectors, which rounding turns."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T, np.float64)


def with_columns(values: Floats) -> Floats:
    """Values (row, coefficient) with columns of zeros up to a number of a short list; a single one stays alone."""
    columns = values.shape[1]
    return values if columns == 1 else np.pad(values, ((0, 0), (0, padded_size(columns) - columns)))


def padded(values: Floats, rows: int) -> Floats:
    """Values (pixel, ...) with zeros behind them."""
    return np.pad(values, [(0, rows - len(values))] + [(0, 0)] * (values.ndim - 1))


def log_multinomial(counts: Floats) -> Floats:
    """Logarithm of the multinomial coefficient of each pixel, (pixel,)."""
    return np.asarray(gammaln(counts.sum(axis=1) + 1.0) - gammaln(counts + 1.0).sum(axis=1), np.float64)
