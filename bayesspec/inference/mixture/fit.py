"""The result of fitting a composition mixture: the mode, its observed information, joint draws, prediction."""

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayesspec.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MixtureStatus:
    """How a fit ended.

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
    def message(self) -> str:
        """One sentence: how the fit ended and what to do."""
        if not self.definite:
            return "The observed information is not positive definite: no intervals. Ask for fewer phases."
        if not self.converged:
            return f"Not converged after {self.iterations} Newton steps: ask for fewer phases or sum more counts."
        return f"Converged in {self.iterations} Newton steps."


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
    status : MixtureStatus
        How the fit ended.
    """

    log_composition: Floats
    weights: Floats
    pixel_log_likelihood: Floats
    responsibilities: Floats
    n_parameters: int
    n_pixels: int
    information: Floats
    status: MixtureStatus

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
        if not self.status.definite:
            raise InputError(
                f"observed information with smallest eigenvalue {self.status.smallest_curvature:.3g} at "
                f"{self.n_phases} phases",
                "a positive definite one: these data do not tell the phases apart",
                f"phases={max(1, self.n_phases - 1)}",
            )
        return np.asarray(np.linalg.inv(self.information), np.float64)

    def draws(self, key: Array, n: int) -> tuple[Floats, Floats]:
        """Joint posterior draws: normal in log-ratio space around the mode.

        Parameters
        ----------
        key : Array
            JAX random key.
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
        with jax.enable_x64(True):
            noise = np.array(jax.random.normal(key, (n, len(self.information)), dtype=jnp.float64), np.float64)
        moved = noise @ np.linalg.cholesky(self.covariance).T
        size, phases = self.log_composition.size, self.n_phases
        log_shares = self.log_composition[None] + moved[:, :size].reshape(n, phases, -1)
        log_total = logsumexp(log_shares, axis=2, keepdims=True)
        return np.exp(log_shares - log_total), self.weights[None] + moved[:, size:].reshape(n, phases, -1)
