"""Engine of the composition mixture: fits of a given number of phases.

Each fit maximises the posterior with the labels summed out, in log-ratio space, and takes the posterior as normal
there with the inverse of the observed information of that *marginal* likelihood. Intervals from the complete-data
information, as if the labels were known, would be far too short. Model: `bayesspec.models.composition_mixture`.
All inside runs in float64, whatever the caller's setting.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bayesspec.inference.mixture import log_joint as mode
from bayesspec.inference.mixture.fit import (
    Convergence,
    Floats,
    MixtureFit,
    checked_counts,
    checked_covariates,
    log_multinomial,
    pixels_of,
    with_columns,
)
from bayesspec.inference.mixture.log_joint import Parameters, Pixels, evaluated
from bayesspec.inference.mixture.newton import Mode, newton

Mask = NDArray[np.bool_]
NEWTON_TOLERANCE = 1e-7
"""Nats that a further Newton step would gain when the fit has converged."""
NEWTON_STEPS = 60
"""Newton steps at most."""


def with_covariates(
    fit: MixtureFit,
    counts: NDArray[np.integer],
    covariates: Floats,
    *,
    mask: NDArray[np.bool_] | None = None,
    weights: Floats | None = None,
) -> MixtureFit:
    """Fit the same number of phases again, with weights that depend on covariates of the pixels.

    Parameters
    ----------
    fit : MixtureFit
        Fit to the same counts, where the search starts.
    counts : ndarray of int, (y, x, channel)
        Counts.
    covariates : ndarray of float64, (pixel, covariate) or (y, x, covariate)
        Standardised covariates, dimensionless, such as `phase_scores.dose_covariates`. They must not depend on how
        the counts of the same pixel divide over the channels.
    mask : ndarray of bool, (y, x), optional
        True = excluded.
    weights : ndarray of float64, (phase, 1 + covariate), optional
        Intercepts and slopes where the search starts; by default those of `fit` without slopes.

    Returns
    -------
    MixtureFit
        Phases in the order of `fit`.

    Raises
    ------
    InputError
        As `fit_path`, or for covariates that are not finite or of another number of pixels.
    """
    kept = checked_counts(counts, mask)
    x = checked_covariates(covariates, len(kept))
    if weights is None:
        weights = np.concatenate([fit.weights[:, :1], np.zeros((fit.n_phases, x.shape[1]))], axis=1)
    with jax.enable_x64(True):
        pixels, constant = pixels_of(kept, x), log_multinomial(kept)
        active = np.ones(fit.n_phases, dtype=bool)
        start = Parameters(fit.log_composition, with_columns(np.asarray(weights, np.float64)))  # type: ignore[arg-type]
        return fitted(newton_from(start, pixels, active), pixels, active, constant, coefficients=weights.shape[1])


def at_point(
    counts: NDArray[np.integer],
    log_composition: Floats,
    weights: Floats,
    *,
    covariates: Floats | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> MixtureFit:
    """Likelihood and observed information of given parameters, without a search.

    Parameters
    ----------
    counts : ndarray of int, (y, x, channel)
        Counts.
    log_composition : ndarray of float64, (phase, channel)
        Logarithm of the share of each channel in the counts of each phase.
    weights : ndarray of float64, (phase, 1 + covariate)
        Intercepts and slopes of the log weights, log odds.
    covariates : ndarray of float64, (pixel, covariate) or (y, x, covariate), optional
        Covariates of the weights, dimensionless.
    mask : ndarray of bool, (y, x), optional
        True = excluded.

    Returns
    -------
    MixtureFit
        As a fit would give, at this point.

    Raises
    ------
    InputError
        As `fit_path`.
    """
    kept = checked_counts(counts, mask)
    x = None if covariates is None else np.asarray(covariates, np.float64).reshape(len(kept), -1)
    with jax.enable_x64(True):
        pixels = pixels_of(kept, x)
        at = Parameters(np.asarray(log_composition, np.float64), with_columns(np.asarray(weights, np.float64)))  # type: ignore[arg-type]
        active = np.ones(len(log_composition), dtype=bool)
        here = point(at, pixels, active, gain=0.0)
        return fitted(here, pixels, active, log_multinomial(kept), coefficients=np.shape(weights)[1])


def log_joint(
    counts: NDArray[np.integer], composition: Floats, weights: Floats, covariates: Floats | None = None
) -> float:
    """Log density of `bayesspec.models.composition_mixture` at a point, labels summed out.

    Parameters
    ----------
    counts : ndarray of int, (pixel, channel)
        Counts.
    composition : ndarray of float64, (phase, channel)
        Share of each channel in the counts of each phase.
    weights : ndarray of float64, (phase, 1 + covariate)
        Intercepts and slopes of the log weights, log odds.
    covariates : ndarray of float64, (pixel, covariate), optional
        Covariates of the weights, dimensionless.

    Returns
    -------
    float
        Log density, nats.
    """
    with jax.enable_x64(True):
        parameters = Parameters(jnp.log(jnp.asarray(composition)), jnp.asarray(weights))
        active = jnp.ones(len(composition), dtype=bool)
        return float(
            mode.log_joint(parameters, pixels_of(np.asarray(counts, np.float64), covariates, len(counts)), active)
        )


def point(at: Parameters, pixels: Pixels, active: Mask, gain: float = np.inf) -> Mode:
    """A point that no Newton step has been taken from."""
    return Mode(at, evaluated(at, pixels, active), 0, gain)


def newton_from(start: Parameters, pixels: Pixels, active: Mask, tolerance: float = NEWTON_TOLERANCE) -> Mode:
    """Climb to the mode until a further step gains less than `tolerance` nats."""
    return newton(start, pixels, active, tolerance=tolerance, max_iterations=NEWTON_STEPS)


def fitted(
    found: Mode,
    pixels: Pixels,
    active: Mask,
    constant: Floats,
    tolerance: float = NEWTON_TOLERANCE,
    coefficients: int = 1,
) -> MixtureFit:
    """The active phases of a mode as a result, with the log multinomial coefficient of each pixel.

    Coefficients beyond the first ones are those of columns of zeros, and left out.
    """
    here = np.asarray(active)
    gradient, information = np.asarray(found.here.gradient), np.asarray(found.here.information)
    channels, columns = found.parameters.log_shares.shape[1], found.parameters.weights.shape[1]
    used = here[:, None] & (np.arange(columns) < coefficients)
    keep = np.concatenate([np.repeat(here, channels), used.ravel()])
    information = information[np.ix_(keep, keep)]
    convergence = Convergence(
        converged=found.gain <= tolerance,
        iterations=found.iterations,
        gain=found.gain,
        gradient_norm=float(np.abs(gradient).max()),
        smallest_curvature=float(np.linalg.eigvalsh(information)[0]),
    )
    return _result(found, pixels, here, information, convergence, constant, coefficients)


def without_information(at: Mode, pixels: Pixels, active: Mask, constant: Floats) -> MixtureFit:
    """The active phases at a point that is not looked at any further: it has no information and no draws."""
    convergence = Convergence(
        converged=False, iterations=0, gain=np.inf, gradient_norm=np.nan, smallest_curvature=-np.inf
    )
    return _result(at, pixels, np.asarray(active), np.zeros((0, 0)), convergence, constant, 1)


def _result(
    at: Mode,
    pixels: Pixels,
    here: Mask,
    information: Floats,
    convergence: Convergence,
    constant: Floats,
    coefficients: int,
) -> MixtureFit:
    counts = np.asarray(pixels.counts)
    log_composition, responsibilities, marginal = (np.asarray(part) for part in at.here.likelihoods)
    responsibilities, marginal = responsibilities[: len(constant)], marginal[: len(constant)]
    weights, phases = np.asarray(at.parameters.weights)[:, :coefficients], int(here.sum())
    used = int((counts.sum(axis=0) > 0).sum())
    return MixtureFit(
        log_composition=log_composition[here],
        weights=weights[here],
        pixel_log_likelihood=marginal + constant,
        responsibilities=responsibilities[:, here],
        n_parameters=phases * (used - 1) + (phases - 1) * coefficients,
        n_pixels=int((counts.sum(axis=1) > 0).sum()),
        information=information,
        convergence=convergence,
    )
