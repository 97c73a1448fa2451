"""Growing a composition mixture by one phase: which phase to split, and along which direction.

Standardised residuals e[n, :] = (y[n, :] - N[n] s[k, :]) / sqrt(s[k, :]) of the pixels of phase k show a second
composition by being alike in neighbouring pixels. Their neighbour cross-covariance

    C[k] = sum_(n ~ m) r[n, k] r[m, k] e[n] e[m]T / sum_(n ~ m) r[n, k] r[m, k] N[n] N[m]

is free of Poisson noise, which is independent between pixels. Its leading eigenvector v with eigenvalue q splits
the phase into log s[k, :] +- sqrt(q) v / sqrt(s[k, :]). The pixels' own covariance, less that of the noise, gives
a second direction, for phases without spatial order. Every phase is split in turn along both, a few EM steps on
part of the pixels are taken, and the best split is kept.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from bayesspec.inference.mixture_em import Mixture, em_step

TRIAL_STEPS = 12
TRIAL_PIXELS = 4096
NEAR = 0.3
LEAST_GAIN = 4.0  # nats by which a split without spatial order must be better


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
        mean_total = (r * totals).sum() / jnp.maximum(r.sum(), 1e-12) + 1e-3
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


def best_split(mixture: Mixture, counts: Array, active: Array, *, shape: tuple[int, int]) -> tuple[Mixture, Array]:
    """Split each active phase in turn and return the best start for one phase more, with its active phases.

    Parameters
    ----------
    mixture : Mixture
        Fit with the active phases; float64.
    counts : Array, (pixel, channel)
        Counts, float64; pixels in C order of the grid, excluded ones zero.
    active : Array of bool, (phase,)
        Phases that exist; at least one is inactive.
    shape : tuple of int
        Grid (y, x) of the pixels.

    Returns
    -------
    tuple of Mixture and Array
        Start and the active phases, one more than before.
    """
    here = np.array(active)
    shifts = np.asarray(directions(mixture, counts, active, shape=shape))
    part = counts[:: max(1, counts.shape[0] // TRIAL_PIXELS)]
    handicap = (0.0, LEAST_GAIN if counts.shape[1] == 2 else 0.0)  # in two channels both have the same direction
    trials = [
        (float(value) - handicap[kind], start)
        for k in np.flatnonzero(here)
        for kind in ((0, 1) if _worth_trying(shifts[k, 1], shifts[k, 0]) else (0,))
        for start, value in [_trial(mixture, k, shifts[k, kind], part, active)]
    ]
    here[here.argmin()] = True
    return max(trials, key=lambda trial: trial[0])[1], jnp.asarray(here)
