"""Prior of the Poisson factorisation: its log density, and the exact updates of what is learned of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.scipy.special import gammaln
from scipy.special import gammaln as gammaln64

from bayesspec.errors import InputError
from bayesspec.image.counts import PART_ENTRIES, Counts
from bayesspec.inference.blocks import row_divergences
from bayesspec.models.poisson_nmf import CONCENTRATION, FLAT_RATE, RATE_RANGE, SHAPE_RANGE

SHAPE_STEPS = 3
"""Metropolis steps in the shape per sweep; each costs nothing beside a pass over the counts."""


@dataclass(frozen=True)
class NmfPrior:
    """Constants of the prior, as in `bayesspec.models.poisson_nmf`.

    Parameters
    ----------
    concentration : float
        Dirichlet concentration of the spectra, at least 0.05.
    seen : tuple of (tuple of float, or None), optional
        For the first free components, counts per channel that are known from elsewhere to come from the component
        alone; they add to its concentration. ``None`` for a component of which nothing is known.
    shape_range, rate_range : (float, float)
        Support of the log-uniform priors of shape (dimensionless) and rate (1 / counts).
    flat : int
        Number of components, the last, whose abundances have a flat prior: shape one and next to no rate.

    Raises
    ------
    InputError
        When the concentration or the smallest shape is below 0.05, where single precision underflows.
    """

    concentration: float = CONCENTRATION
    shape_range: tuple[float, float] = SHAPE_RANGE
    rate_range: tuple[float, float] = RATE_RANGE
    seen: tuple[tuple[float, ...] | None, ...] = ()
    flat: int = 0

    def __post_init__(self) -> None:
        smallest = min(self.concentration, self.shape_range[0])
        if not smallest >= 0.05:
            raise InputError(
                f"a prior concentration or shape of {smallest}", "0.05 or more", "NmfPrior(concentration=0.5)"
            )

    def concentrations(self, free: int, channels: int) -> npt.NDArray[np.float64]:
        """Dirichlet concentration of every entry of the spectra.

        Parameters
        ----------
        free, channels : int
            Number of free components and of channels.

        Returns
        -------
        numpy.ndarray (free, channels), float64
            Concentrations.
        """
        values = np.full((free, channels), self.concentration)
        for row, counts in zip(values, self.seen, strict=False):
            row += 0.0 if counts is None else np.asarray(counts)
        return values

    def arrays(self, free: int, components: int, channels: int) -> Prior:
        """Constants as the data of a program that is compiled once for all of them.

        Parameters
        ----------
        free, components, channels : int
            Number of free components, of all components, and of channels.

        Returns
        -------
        Prior
            The constants.
        """
        widths = [float(np.log(np.log(high / low))) for low, high in (self.shape_range, self.rate_range)]
        return Prior(
            jnp.asarray(self.concentrations(free, channels), jnp.float64),
            jnp.asarray(np.arange(components) < components - self.flat),
            jnp.asarray(self.shape_range, jnp.float64),
            jnp.asarray(sum(widths), jnp.float64),
        )


class Prior(NamedTuple):
    """Constants of the prior as a compiled program sees them.

    Parameters
    ----------
    concentration : jax.Array (free component, channel), float64
        Dirichlet concentration of the spectra.
    learned : jax.Array (component,), bool
        Whether shape and rate of the abundances are learned; else their prior is flat.
    shape_range : jax.Array (2,), float64
        Support of the shape.
    log_widths : jax.Array (), float64
        Logarithm of the width of the supports of log shape and log rate, added.
    """

    concentration: jax.Array
    learned: jax.Array
    shape_range: jax.Array
    log_widths: jax.Array

    def scaled(self, shape: jax.Array) -> jax.Array:
        """Shapes of the components whose rate is learned; zero for those of flat prior, (component,)."""
        return jnp.where(self.learned, shape, 0.0)


def log_prior(
    log_spectra: jax.Array,
    sum_log: jax.Array,
    total: jax.Array,
    shape: jax.Array,
    rate: jax.Array,
    pixels: jax.Array,
    prior: Prior,
) -> jax.Array:
    """Log density of spectra, abundances, shapes and rates under the prior.

    Parameters
    ----------
    log_spectra : jax.Array (free component, channel), float64
        Logarithms of the spectra.
    sum_log, total : jax.Array (component,), float64
        Sums over the pixels of the log abundances and of the abundances (counts).
    shape, rate : jax.Array (component,), float64
        Parameters of the Gamma prior of the abundances.
    pixels : jax.Array (), float64
        Number of pixels.
    prior : Prior
        Constants.

    Returns
    -------
    jax.Array (), float64
        Log density in nats.
    """
    concentration = prior.concentration
    normaliser = gammaln(concentration.sum(axis=1)).sum() - gammaln(concentration).sum()
    spectra = normaliser + ((concentration - 1.0) * log_spectra).sum()
    gamma = pixels * (shape * jnp.log(rate) - gammaln(shape)) + (shape - 1.0) * sum_log - rate * total
    return spectra + (gamma - jnp.log(shape) - jnp.log(rate) - prior.log_widths).sum()


def count_constant(counts: npt.NDArray[Any]) -> float:
    """Part of the log likelihood that only the counts enter: sum of x log x - x - log x!.

    Parameters
    ----------
    counts : numpy.ndarray, unsigned integer
        Counts, any shape.

    Returns
    -------
    float
        The sum in nats.
    """
    total = 0.0
    for part in np.array_split(counts, max(1, counts.size * 16 // PART_ENTRIES)):
        values, times = np.unique(part, return_counts=True)
        x = values.astype(np.float64)
        total += float((times * (x * np.log(np.maximum(x, 1.0)) - x - gammaln64(x + 1.0))).sum())
    return total


def log_joint(
    counts: npt.ArrayLike | Counts,
    spectra: npt.ArrayLike,
    abundances: npt.ArrayLike,
    shape: npt.ArrayLike,
    rate: npt.ArrayLike,
    *,
    n_fixed: int = 0,
    prior: NmfPrior | None = None,
) -> float:
    """Log density of the counts and of everything unknown, as the model file defines it.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        Counts.
    spectra : array (component, channel), float
        Probabilities per channel, fixed ones last.
    abundances : array (pixel, component), float
        Expected counts.
    shape, rate : array (component,), float
        Parameters of the Gamma prior; dimensionless, 1 / counts.
    n_fixed : int
        Number of fixed spectra.
    prior : NmfPrior, optional
        Constants of the prior.

    Returns
    -------
    float
        Log density in nats.

    Notes
    -----
    Source: Cemgil (2009), doi:10.1155/2009/785152, with a Dirichlet prior on the spectra.
    """
    known, w, h = Counts.of(counts), np.asarray(abundances, np.float64), np.asarray(spectra, np.float64)
    blocks = known.blocks
    rows = row_divergences(blocks.counts, blocks.split(w), jnp.asarray(h, jnp.float32))
    likelihood = count_constant(known.matrix) - float(np.asarray(rows, np.float64).sum())
    free = len(h) - n_fixed
    with jax.enable_x64(True):
        log_h, sum_log, total = np.log(h[:free]), np.log(w).sum(axis=0), w.sum(axis=0)
        constants = (prior or NmfPrior()).arrays(free, *h.shape)
        a, b, c, d, e, n = (jnp.asarray(part, jnp.float64) for part in (log_h, sum_log, total, shape, rate, len(w)))
        return likelihood + float(log_prior(a, b, c, d, e, n, constants))


def _log_shape_density(shape: jax.Array, sum_log: jax.Array, total: jax.Array, n: jax.Array, prior: Prior) -> jax.Array:
    """Log density of log shape given the abundances of n pixels, the rate integrated out; -inf off the support."""
    value = gammaln(n * shape) - n * gammaln(shape) - n * shape * jnp.log(total) + shape * sum_log
    low, high = prior.shape_range
    return jnp.where((shape > low) & (shape < high), value, -jnp.inf)


def _shape_scale(shape: jax.Array, pixels: jax.Array) -> jax.Array:
    """Standard deviation of log shape by its Fisher information, to a few percent, at most one."""
    return 1.0 / jnp.sqrt(1.0 + pixels * (1.0 + shape) / (1.0 + 2.0 * shape))


def draw_shape_and_rate(
    key: jax.Array, shape: jax.Array, sum_log: jax.Array, total: jax.Array, pixels: jax.Array, prior: Prior
) -> tuple[jax.Array, jax.Array]:
    """Update the shapes by Metropolis-Hastings with the rates integrated out, then draw the rates.

    Parameters
    ----------
    key : jax.Array
        Random key.
    shape : jax.Array (component,), float64
        Current shapes.
    sum_log, total : jax.Array (component,), float64
        Sums over the pixels of the log abundances and of the abundances (counts).
    pixels : int
        Number of pixels.
    prior : Prior
        Constants; the support of the rate is taken as unbounded.

    Returns
    -------
    shape, rate : jax.Array (component,), float64
        New values.

    Notes
    -----
    Under p(rate) proportional to 1 / rate, rate given shape is Gamma(pixels x shape, total).
    """

    def step(current: jax.Array, step_key: jax.Array) -> tuple[jax.Array, None]:
        normal_key, uniform_key = jax.random.split(step_key)
        scale = 1.7 * _shape_scale(current, pixels)
        z = jax.random.normal(normal_key, current.shape, jnp.float64)
        proposed = current * jnp.exp(scale * z)
        back = 1.7 * _shape_scale(proposed, pixels)
        ratio = _log_shape_density(proposed, sum_log, total, pixels, prior)
        ratio = ratio - _log_shape_density(current, sum_log, total, pixels, prior)
        ratio = ratio + 0.5 * jnp.square(z) - 0.5 * jnp.square(scale * z / back) + jnp.log(scale / back)
        accept = jnp.log(jax.random.uniform(uniform_key, current.shape, jnp.float64)) < ratio
        return jnp.where(accept, proposed, current), None

    shape_key, rate_key = jax.random.split(key)
    shape = jax.lax.scan(step, shape, jax.random.split(shape_key, SHAPE_STEPS))[0]
    rate = jax.random.gamma(rate_key, pixels * shape, dtype=jnp.float64) / total
    return jnp.where(prior.learned, shape, 1.0), jnp.where(prior.learned, rate, FLAT_RATE)
