"""Growing a composition mixture by one phase: which phase to split, and along which direction.

Standardised residuals e[n, :] = (y[n, :] - N[n] s[k, :]) / sqrt(s[k, :]) of the pixels of phase k show a second
composition by being alike in neighbouring pixels. Their neighbour cross-covariance

    C[k] = sum_(n ~ m) r[n, k] r[m, k] e[n] e[m]T / sum_(n ~ m) r[n, k] r[m, k] N[n] N[m]

is free of Poisson noise, which is independent between pixels. Its leading eigenvector v with eigenvalue q splits
the phase into log s[k, :] +- sqrt(q) v / sqrt(s[k, :]). The pixels' own covariance, less that of the noise, gives
a second direction, for phases without spatial order. Every phase is split in turn along both, a few EM steps on
part of the pixels are taken, and the best split is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from bayesspec.inference.mixture.em import LEAST_SHARE, Mixture, em_step, squarem
from bayesspec.inference.mixture.fit import (
    Floats,
    MixtureFit,
    check_phases,
    checked_counts,
    log_multinomial,
    pixels_of,
)
from bayesspec.inference.mixture.fit_number import fitted, newton_from, point, without_information
from bayesspec.inference.mixture.log_joint import Parameters, Pixels
from bayesspec.inference.programs import padded_size

TRIAL_STEPS = 12
"""Steps of expectation maximisation by which splits are compared."""
TRIAL_PIXELS = 4096
"""Pixels that these are taken on, about: cost."""
NEAR = 0.3
"""Distance of the second direction from the first, as a part of its length, below which it is not tried as well."""
LEAST_GAIN = 4.0  # nats by which a split without spatial order must be better
EM_TOLERANCE = 0.1
"""Nats that a cycle gains when expectation maximisation ends; Newton steps do the rest."""
EM_CYCLES = 100
"""Cycles of expectation maximisation at most."""
HELD_OUT_TOLERANCE = 0.5  # nats: numbers of phases differ by far more
PATH_TOLERANCE = 1e-2  # nats, of a last step: enough to choose among numbers of phases that differ by tens
HOPELESS_BIC = 15.0  # Newton gains a few nats over EM, no more


def _symmetric(matrix: Array) -> Array:
    return 0.5 * (matrix + matrix.T)


def _neighbour_covariance(residual: Array, weight: Array, shape: tuple[int, int]) -> Array:
    """C[k] of the module's docstring: residual (pixel, channel), weight r N (pixel,), on a grid (y, x)."""
    e, w = residual.reshape(*shape, -1), weight.reshape(shape)
    product = jnp.einsum("yxc,yxd->cd", e[1:], e[:-1]) + jnp.einsum("yxc,yxd->cd", e[:, 1:], e[:, :-1])
    norm = (w[1:] * w[:-1]).sum() + (w[:, 1:] * w[:, :-1]).sum()
    return _symmetric(product) / jnp.maximum(norm, 1e-12)


def _own_covariance(residual: Array, weight: Array, composition: Array, noise: Array) -> Array:
    """Covariance of the residuals within pixels, less `noise` times that of a multinomial."""
    root = jnp.sqrt(composition)
    poisson = noise * (jnp.eye(composition.shape[0]) - root[:, None] * root[None])
    return (residual.T @ residual - poisson) / jnp.maximum(jnp.square(weight).sum(), 1e-12)


def _leading(covariance: Array, composition: Array, mean_total: Array) -> Array:
    """Shift of the log composition (channel,) along the leading eigenvector, by one standard deviation."""
    values, vectors = jnp.linalg.eigh(covariance)
    size = jnp.sqrt(jnp.clip(values[-1], 0.1 / mean_total, 1.0))
    return jnp.clip(size * vectors[:, -1] / jnp.sqrt(composition), -1.0, 1.0)


@partial(jax.jit, static_argnames=("shape",))
def directions(mixture: Mixture, counts: Array, active: Array, *, shape: tuple[int, int]) -> Array:
    """Shifts of the log composition for each phase: (phase, 2, channel), by neighbours and by pixels."""
    totals = counts.sum(axis=1)
    terms = jnp.where(active[None], mixture.log_weights[None] + counts @ mixture.log_composition.T, -jnp.inf)
    responsibility = jax.nn.softmax(terms, axis=1)

    def of_phase(item: tuple[Array, Array]) -> Array:
        r, composition = item[0], jnp.exp(item[1])
        residual = r[:, None] * (counts - totals[:, None] * composition[None]) / jnp.sqrt(composition)[None]
        mean_total = (r * totals).sum() / jnp.maximum(jnp.where(totals > 0, r, 0.0).sum(), 1e-12) + 1e-3
        between = _neighbour_covariance(residual, r * totals, shape)
        within = _own_covariance(residual, r * totals, composition, (r**2 * totals).sum())
        return jnp.stack([_leading(c, composition, mean_total) for c in (between, within)])

    def of_place(item: tuple[Array, tuple[Array, Array]]) -> Array:
        return jax.lax.cond(item[0], of_phase, lambda it: jnp.zeros((2, it[1].shape[0])), item[1])

    return jax.lax.map(of_place, (active, (responsibility.T, mixture.log_composition)))


def split(mixture: Mixture, phase: Array, shift: Array, active: Array) -> tuple[Mixture, Array]:
    """Divide a phase into two, shifted to either side; the new one takes the first inactive place."""
    new = jnp.argmin(active)
    plus = jax.nn.log_softmax(mixture.log_composition[phase] + shift)
    minus = jax.nn.log_softmax(mixture.log_composition[phase] - shift)
    half = mixture.log_weights[phase] - jnp.log(2.0)
    grown = Mixture(
        mixture.log_composition.at[phase].set(plus).at[new].set(minus),
        mixture.log_weights.at[phase].set(half).at[new].set(half),
    )
    return grown, active.at[new].set(True)


@jax.jit
def _trial(mixture: Mixture, phase: Array, shift: Array, counts: Array, active: Array) -> tuple[Mixture, Array]:
    """A split and the log posterior that it reaches after a few EM steps."""
    begin, grown = split(mixture, phase, shift, active)

    def step(state: Mixture, _: None) -> tuple[Mixture, Array]:
        return em_step(state, counts, grown)

    end, values = jax.lax.scan(step, begin, None, length=TRIAL_STEPS)
    return end, values[-1]


def _worth_trying(second: NDArray[np.float64], first: NDArray[np.float64]) -> bool:
    """Whether a second shift changes the composition, and leads EM another way than the first.

    Where pixels scatter less than noise does, the leading eigenvector is the one along which nothing can scatter: a
    shift by the same amount in all channels.
    """
    apart = min(np.linalg.norm(second - first), np.linalg.norm(second + first))
    return bool(np.ptp(second) > 1e-6 * np.abs(second).max() and apart > NEAR * np.linalg.norm(first))


def best_split(
    mixture: Mixture, counts: Array, active: NDArray[np.bool_], *, shape: tuple[int, int]
) -> tuple[Mixture, NDArray[np.bool_]]:
    """Split each active phase in turn and return the best start for one phase more, with its active phases.

    Parameters
    ----------
    mixture : Mixture
        Fit with the active phases; float64.
    counts : Array, (pixel, channel)
        Counts, float64; pixels in C order of the grid, excluded ones zero; those behind them are not looked at.
    active : ndarray of bool, (phase,)
        Phases that exist; at least one is inactive.
    shape : tuple of int
        Grid (y, x) of the pixels.

    Returns
    -------
    tuple of Mixture and ndarray of bool
        Start and the active phases, one more than before.
    """
    here = np.array(active)
    pixels = np.asarray(counts)[: shape[0] * shape[1]]
    grid = (padded_size(shape[0]), padded_size(shape[1]))
    fill = [(0, grid[0] - shape[0]), (0, grid[1] - shape[1]), (0, 0)]
    on_grid = np.pad(pixels.reshape(*shape, -1), fill).reshape(grid[0] * grid[1], -1)
    shifts = np.asarray(directions(mixture, on_grid, active, shape=grid))
    part = pixels_of(pixels[:: max(1, len(pixels) // TRIAL_PIXELS)], None).counts
    handicap = (0.0, LEAST_GAIN if counts.shape[1] == 2 else 0.0)  # in two channels both have the same direction
    trials = [
        (float(value) - handicap[kind], start)
        for k in np.flatnonzero(here)
        for kind in ((0, 1) if _worth_trying(shifts[k, 1], shifts[k, 0]) else (0,))
        for start, value in [_trial(mixture, k, shifts[k, kind], part, active)]
    ]
    here[here.argmin()] = True
    return max(trials, key=lambda trial: trial[0])[1], here


# Engine of the composition mixture: fits over the number of phases, grown one by one


def fit_path(
    counts: NDArray[np.number],
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
        constant = log_multinomial(kept)
        mixture, active = _one_phase(pixels, max_phases)
        for phases in range(1, max_phases + 1):
            if phases > 1:
                mixture, active = best_split(mixture, pixels.counts, active, shape=shape)
                mixture, _, _ = squarem(mixture, pixels.counts, active, tolerance=EM_TOLERANCE, max_cycles=EM_CYCLES)
            best = min((fits[n - 1].bic for n in candidates if n < phases), default=np.inf)
            at, fit = _parameters(mixture, active), None
            if phases > 2 and best < np.inf:
                fit = without_information(point(at, pixels, active), pixels, active, constant)
            if fit is None or fit.bic < best + HOPELESS_BIC:
                known = phases == 1  # the pooled composition is the mode
                found = point(at, pixels, active, 0.0) if known else newton_from(at, pixels, active, PATH_TOLERANCE)
                mixture = _mixture(found.parameters, active)
                fit = fitted(found, pixels, active, constant, PATH_TOLERANCE)
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
        fitted_to = pixels_of(kept, None).counts
        for fit in path:
            active = np.arange(most) < fit.n_phases
            spare = most - fit.n_phases
            shares = np.concatenate([fit.log_composition, np.repeat(fit.log_composition[:1], spare, axis=0)])
            weights = np.log(np.maximum(measured @ fit.responsibilities / measured.sum(), LEAST_SHARE))
            start = Mixture(shares, np.pad(weights, (0, spare)))  # type: ignore[arg-type]
            mixture, _, _ = squarem(start, fitted_to, active, tolerance=HELD_OUT_TOLERANCE, max_cycles=EM_CYCLES)
            scores.append(_predicted(mixture, kept, held, active))
        return np.stack(scores) + log_multinomial(held)


def _predicted(mixture: Mixture, fitted_to: Floats, held: Floats, active: NDArray[np.bool_]) -> Floats:
    """Log probability of the counts held out, without their multinomial coefficient: (pixel,)."""
    log_composition, log_weights = (np.asarray(part)[active] for part in mixture)
    before = log_weights + fitted_to @ log_composition.T
    after = before + held @ log_composition.T
    return np.asarray(logsumexp(after, axis=1) - logsumexp(before, axis=1), np.float64)


# Small arrays are worked on in NumPy: each operation on those of JAX is a program to compile


def _one_phase(pixels: Pixels, max_phases: int) -> tuple[Mixture, NDArray[np.bool_]]:
    """The pooled composition in every place; only the first phase is active."""
    pooled = np.asarray(pixels.counts).sum(axis=0) + 1.0
    log_composition = np.tile(np.log(pooled / pooled.sum()), (max_phases, 1))
    active = np.arange(max_phases) == 0
    return Mixture(log_composition, np.where(active, 0.0, np.log(LEAST_SHARE))), active  # type: ignore[arg-type]


def _parameters(mixture: Mixture, active: NDArray[np.bool_]) -> Parameters:
    """Where Newton starts: log weights centred over the active phases, inactive phases at their prior mode."""
    log_composition, weight = np.asarray(mixture.log_composition), np.maximum(np.asarray(mixture.log_weights), -8.0)
    centred = np.where(active, weight - weight[active].mean(), 0.0)
    return Parameters(np.where(active[:, None], log_composition, 0.0), centred[:, None])  # type: ignore[arg-type]


def _mixture(parameters: Parameters, active: NDArray[np.bool_]) -> Mixture:
    """Back to log composition and even log weights, for growing."""
    log_weights = log_softmax(np.where(active, np.asarray(parameters.weights)[:, 0], -np.inf))
    log_composition = log_softmax(np.asarray(parameters.log_shares), axis=1)
    return Mixture(log_composition, np.maximum(log_weights, np.log(LEAST_SHARE)))
