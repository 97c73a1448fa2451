"""Engine of the composition mixture: fits over the number of phases, grown one by one.

Each fit maximises the posterior with the labels summed out, in log-ratio space, and takes the posterior as normal
there with the inverse of the observed information of that *marginal* likelihood. Intervals from the complete-data
information, as if the labels were known, would be far too short. Model: `bayesspec.models.composition_mixture`.
All inside runs in float64, whatever the caller's setting.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from bayesspec.inference import mixture_mode as mode
from bayesspec.inference.mixture_em import LEAST_SHARE, Mixture, squarem
from bayesspec.inference.mixture_fit import Floats, MixtureFit, MixtureStatus
from bayesspec.inference.mixture_grow import best_split
from bayesspec.inference.mixture_input import check_phases, checked_counts, checked_covariates, pixels_of
from bayesspec.inference.mixture_mode import Mode, Parameters, Pixels

EM_TOLERANCE = 0.1
EM_CYCLES = 100
NEWTON_TOLERANCE = 1e-7
PATH_TOLERANCE = 1e-2  # nats, of a last step: enough to choose among numbers of phases that differ by tens
NEWTON_STEPS = 60


def fit_path(
    counts: NDArray[np.integer],
    max_phases: int,
    *,
    mask: NDArray[np.bool_] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[MixtureFit]:
    """Fit mixtures of 1, 2, ..., `max_phases` phases with weights that are the same in all pixels.

    Parameters
    ----------
    counts : ndarray of int, (y, x, channel)
        Counts. Pixels without counts contribute nothing.
    max_phases : int
        Largest number of phases.
    mask : ndarray of bool, (y, x), optional
        True = excluded.
    progress : callable, optional
        Called with (phases done, `max_phases`) after each fit.

    Returns
    -------
    list of MixtureFit
        One for each number of phases; pixels in C order of the grid.

    Raises
    ------
    InputError
        For counts that are not whole numbers of 0 or more, fewer than two channels, a mask of another shape,
        more phases than pixels with counts, or a pixel with 2^31 counts or more.
    """
    kept = checked_counts(counts, mask)
    check_phases(kept, max_phases)
    shape = (np.shape(counts)[0], np.shape(counts)[1])
    fits = []
    with jax.enable_x64(True):
        pixels = pixels_of(kept, None)
        mixture, active = _one_phase(pixels, max_phases)
        for phases in range(1, max_phases + 1):
            if phases > 1:
                mixture, active = best_split(mixture, pixels.counts, active, shape=shape)
                mixture, _, _ = squarem(mixture, pixels.counts, active, tolerance=EM_TOLERANCE, max_cycles=EM_CYCLES)
            found = _newton(_parameters(mixture, active), pixels, active, PATH_TOLERANCE)
            mixture = _mixture(found.parameters, pixels, active)
            fits.append(_fit(found, pixels, active, PATH_TOLERANCE))
            if progress is not None:
                progress(phases, max_phases)
    return fits


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
        pixels = pixels_of(kept, x)
        active = jnp.ones(fit.n_phases, dtype=bool)
        start = Parameters(jnp.asarray(fit.log_composition), jnp.asarray(weights))
        return _fit(_newton(start, pixels, active), pixels, active)


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
        point = Parameters(jnp.asarray(log_composition), jnp.asarray(weights))
        here = Mode(point, jnp.asarray(0.0), jnp.asarray(0), jnp.asarray(0.0))
        return _fit(here, pixels, jnp.ones(len(log_composition), dtype=bool))


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
        return float(mode.log_joint(parameters, pixels_of(np.asarray(counts, np.float64), covariates), active))


def _one_phase(pixels: Pixels, max_phases: int) -> tuple[Mixture, Array]:
    """The pooled composition in every place; only the first phase is active."""
    pooled = pixels.counts.sum(axis=0) + 1.0
    log_composition = jnp.tile(jnp.log(pooled / pooled.sum())[None], (max_phases, 1))
    active = jnp.arange(max_phases) == 0
    return Mixture(log_composition, jnp.where(active, 0.0, jnp.log(LEAST_SHARE))), active


def _parameters(mixture: Mixture, active: Array) -> Parameters:
    """Where Newton starts: log weights centred over the active phases, inactive phases at their prior mode."""
    weight = jnp.maximum(mixture.log_weights, -8.0)
    centre = jnp.where(active, weight, 0.0).sum() / active.sum(dtype=weight.dtype)
    log_shares = jnp.where(active[:, None], mixture.log_composition, 0.0)
    return Parameters(log_shares, jnp.where(active, weight - centre, 0.0)[:, None])


def _mixture(parameters: Parameters, pixels: Pixels, active: Array) -> Mixture:
    """Back to log composition and even log weights, for growing."""
    log_weights = mode.log_weights(parameters.weights, pixels, active)[0]
    floor = jnp.log(LEAST_SHARE)
    return Mixture(jax.nn.log_softmax(parameters.log_shares, axis=1), jnp.maximum(log_weights, floor))


def _newton(start: Parameters, pixels: Pixels, active: Array, tolerance: float = NEWTON_TOLERANCE) -> Mode:
    return mode.newton(start, pixels, active, tolerance=tolerance, max_iterations=NEWTON_STEPS)


def _fit(found: Mode, pixels: Pixels, active: Array, tolerance: float = NEWTON_TOLERANCE) -> MixtureFit:
    """The active phases of a mode as a result."""
    here = np.asarray(active)
    phases, coefficients = int(here.sum()), found.parameters.weights.shape[1]
    summary = jax.tree.map(np.asarray, mode.summarise(found.parameters, pixels, active))
    channels = summary.log_composition.shape[1]
    keep = np.concatenate([np.repeat(here, channels), np.repeat(here, coefficients)])
    information = summary.information[np.ix_(keep, keep)]
    used = int((np.asarray(pixels.counts).sum(axis=0) > 0).sum())
    gain = float(found.gain)
    return MixtureFit(
        log_composition=summary.log_composition[here],
        weights=np.asarray(found.parameters.weights)[here],
        pixel_log_likelihood=summary.pixel_log_likelihood,
        responsibilities=summary.responsibilities[:, here],
        n_parameters=phases * (used - 1) + (phases - 1) * coefficients,
        n_pixels=int((np.asarray(pixels.totals) > 0).sum()),
        information=information,
        status=MixtureStatus(
            converged=gain <= tolerance,
            iterations=int(found.iterations),
            gain=gain,
            gradient_norm=float(summary.gradient_norm),
            smallest_curvature=float(np.linalg.eigvalsh(information)[0]),
        ),
    )
