"""Engine of the composition mixture: fits over the number of phases, grown one by one."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray

from bayesspec.inference import mixture_mode as mode
from bayesspec.inference.mixture import fitted, log_multinomial, newton_from, point, without_information
from bayesspec.inference.mixture_em import LEAST_SHARE, Mixture, squarem
from bayesspec.inference.mixture_fit import Floats, MixtureFit
from bayesspec.inference.mixture_grow import best_split
from bayesspec.inference.mixture_input import check_phases, checked_counts, pixels_of
from bayesspec.inference.mixture_mode import Parameters, Pixels

EM_TOLERANCE = 0.1
EM_CYCLES = 100
HELD_OUT_TOLERANCE = 0.5  # nats: numbers of phases differ by far more
PATH_TOLERANCE = 1e-2  # nats, of a last step: enough to choose among numbers of phases that differ by tens
HOPELESS_BIC = 15.0  # Newton gains a few nats over EM, no more


def fit_path(
    counts: NDArray[np.integer],
    max_phases: int,
    *,
    mask: NDArray[np.bool_] | None = None,
    candidates: Sequence[int] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[MixtureFit]:
    """Fit mixtures of 1, 2, ..., `max_phases` phases with weights that are the same in all pixels.

    Where too many phases are offered the last step to the mode takes the longest and decides nothing.

    Parameters
    ----------
    counts : ndarray of int, (y, x, channel)
        Counts. Pixels without counts contribute nothing.
    max_phases : int
        Largest number of phases.
    mask : ndarray of bool, (y, x), optional
        True = excluded.
    candidates : sequence of int, optional
        Numbers of phases to choose from by BIC. Fits of three phases or more whose BIC is clearly above that of the
        best of these are left where EM ended; by default none is.
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
    fits: list[MixtureFit] = []
    with jax.enable_x64(True):
        pixels = pixels_of(kept, None)
        constant = log_multinomial(pixels)
        mixture, active = _one_phase(pixels, max_phases)
        for phases in range(1, max_phases + 1):
            if phases > 1:
                mixture, active = best_split(mixture, pixels.counts, active, shape=shape)
                mixture, _, _ = squarem(mixture, pixels.counts, active, tolerance=EM_TOLERANCE, max_cycles=EM_CYCLES)
            best = min((fits[n - 1].bic for n in candidates if n < phases), default=np.inf)
            fit = None
            if phases > 2 and best < np.inf:
                fit = without_information(_parameters(mixture, active), pixels, active, constant)
            if fit is None or fit.bic < best + HOPELESS_BIC:
                at = _parameters(mixture, active)
                known = phases == 1  # the pooled composition is the mode
                found = point(at, gain=0.0) if known else newton_from(at, pixels, active, PATH_TOLERANCE)
                mixture = _mixture(found.parameters, pixels, active)
                fit = fitted(found, pixels, active, PATH_TOLERANCE, constant)
            fits.append(fit)
            if progress is not None:
                progress(phases, max_phases)
    return fits


def held_out_scores(
    path: Sequence[MixtureFit],
    train: NDArray[np.integer],
    test: NDArray[np.integer],
    mask: NDArray[np.bool_],
) -> Floats:
    """Log probability of counts held out, given their totals and the other counts of the same pixels.

    Each fit is repeated on the other counts, by EM from where it ended. The label of a pixel keeps the probabilities
    that these give it; compositions are at their mode.

    Parameters
    ----------
    path : sequence of MixtureFit
        Fits to all counts, without covariates.
    train, test : ndarray of int, (y, x, channel)
        Counts to fit, such as the larger part of a thinning, and counts held out.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    ndarray of float64, (fit, pixel)
        log sum_k r[n, k] Multinomial(y[n, :] | N[n], s[k, :]), nats; 0 in pixels without counts held out.
    """
    kept, held = checked_counts(train, mask), checked_counts(test, mask)
    most, measured = max(fit.n_phases for fit in path), kept.sum(axis=1) > 0
    scores = []
    with jax.enable_x64(True):
        fitted_to, judged = jnp.asarray(kept), jnp.asarray(held)
        for fit in path:
            active = jnp.asarray(np.arange(most) < fit.n_phases)
            spare = most - fit.n_phases
            shares = np.concatenate([fit.log_composition, np.repeat(fit.log_composition[:1], spare, axis=0)])
            weights = np.log(np.maximum(measured @ fit.responsibilities / measured.sum(), LEAST_SHARE))
            start = Mixture(jnp.asarray(shares), jnp.asarray(np.pad(weights, (0, spare))))
            mixture, _, _ = squarem(start, fitted_to, active, tolerance=HELD_OUT_TOLERANCE, max_cycles=EM_CYCLES)
            scores.append(np.asarray(_predicted(mixture, fitted_to, judged, active)))
        return np.asarray(np.stack(scores) + np.asarray(log_multinomial(pixels_of(held, None))), np.float64)


@jax.jit
def _predicted(mixture: Mixture, fitted_to: Array, held: Array, active: Array) -> Array:
    """Log probability of the counts held out, without their multinomial coefficient: (pixel,)."""
    before = jnp.where(active[None], mixture.log_weights[None] + fitted_to @ mixture.log_composition.T, -jnp.inf)
    after = before + held @ mixture.log_composition.T
    return logsumexp(after, axis=1) - logsumexp(before, axis=1)


def _one_phase(pixels: Pixels, max_phases: int) -> tuple[Mixture, Array]:
    """The pooled composition in every place; only the first phase is active."""
    pooled = pixels.counts.sum(axis=0) + 1.0
    log_composition = jnp.tile(jnp.log(pooled / pooled.sum())[None], (max_phases, 1))
    active = jnp.arange(max_phases) == 0
    return Mixture(log_composition, jnp.where(active, 0.0, jnp.log(LEAST_SHARE))), active


@jax.jit
def _parameters(mixture: Mixture, active: Array) -> Parameters:
    """Where Newton starts: log weights centred over the active phases, inactive phases at their prior mode."""
    weight = jnp.maximum(mixture.log_weights, -8.0)
    centre = jnp.where(active, weight, 0.0).sum() / active.sum(dtype=weight.dtype)
    log_shares = jnp.where(active[:, None], mixture.log_composition, 0.0)
    return Parameters(log_shares, jnp.where(active, weight - centre, 0.0)[:, None])


@jax.jit
def _mixture(parameters: Parameters, pixels: Pixels, active: Array) -> Mixture:
    """Back to log composition and even log weights, for growing."""
    log_weights = mode.log_weights(parameters.weights, pixels, active)[0]
    floor = jnp.log(LEAST_SHARE)
    return Mixture(jax.nn.log_softmax(parameters.log_shares, axis=1), jnp.maximum(log_weights, floor))
