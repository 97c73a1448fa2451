"""What is reported of the sampler: draws, moments and quantiles, effective sample sizes, status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from numpyro import diagnostics
from scipy.special import betaincinv, gammaincinv, ndtr

from bayesspec.inference.after_sampling import Step
from bayesspec.inference.nmf.mode import NmfMode
from bayesspec.inference.nmf.settings import SETTINGS
from bayesspec.inference.nmf.state import Summary
from bayesspec.inference.status import Status

INTERVAL = 0.95
"""Probability of the intervals whose ends decide whether the chain was long enough."""
STILL = 1e-20
"""Variance, over the mean square, of what does not move but for rounding."""

# How many independent draws a chain is worth


def effective_sample_size(chains: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Effective sample size of each quantity, as NumPyro estimates it, no more than there are draws.

    Parameters
    ----------
    chains : array (draw, ...), float
        Successive draws of one chain, at least two.

    Returns
    -------
    numpy.ndarray (...), float64
        Effective number of draws; that of a quantity that never moves is the number of draws.

    Notes
    -----
    Source: Geyer (1992), doi:10.1214/ss/1177011137, the initial monotone sequence.
    """
    draws = np.asarray(chains, np.float64)
    still = draws.var(axis=0) <= STILL * np.square(draws).mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = diagnostics.effective_sample_size(draws[None])
    # draws that alternate are worth more than as many independent ones: their estimate may be infinite or negative
    sizes = np.where(still | (sizes <= 0), len(draws), sizes)
    return np.asarray(np.minimum(sizes, len(draws)), np.float64)


def end_errors(draws: npt.ArrayLike, prob: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Ends of equal-tailed intervals, and their Monte Carlo standard errors.

    Parameters
    ----------
    draws : array (draw, ...), float
        Successive draws of one chain, at least two.
    prob : float
        Probability of the intervals.

    Returns
    -------
    ends, errors : numpy.ndarray (2, ...), float64
        Lower and upper ends, and half the distance between the order statistics that a standard error lies at.

    Notes
    -----
    Source: Vehtari et al. (2021), doi:10.1214/20-BA1221, section 4.4, with the effective sample size of the mean, which
    is steadier than that of the few draws in a tail.
    """
    values = np.asarray(draws, np.float64)
    flat, sizes = values.reshape(len(values), -1), np.ravel(effective_sample_size(values))
    ends, errors = np.empty((2, flat.shape[1])), np.empty((2, flat.shape[1]))
    for row, p in enumerate(((1 - prob) / 2, (1 + prob) / 2)):
        ends[row] = np.quantile(flat, p, axis=0)
        near = betaincinv(sizes * p + 1, sizes * (1 - p) + 1, ndtr([[-1.0], [1.0]]))
        errors[row] = [np.ptp(np.quantile(column, at)) / 2 for column, at in zip(flat.T, near.T, strict=True)]
    return ends.reshape(2, *values.shape[1:]), errors.reshape(2, *values.shape[1:])


@dataclass(frozen=True)
class NmfPosterior:
    """Draws of the spectra, moments and quantiles of the abundances, and how good the chain was.

    Parameters
    ----------
    spectra : numpy.ndarray (draw, component, channel), float32
        Draws; each spectrum sums to one. Free components first, in the order of the mode.
    abundance_mean, abundance_sd : numpy.ndarray (pixel, component), float32
        Posterior mean and standard deviation, counts; where spectra were fixed, those of the sum of their abundances
        follow as a last column.
    abundance_quantiles : numpy.ndarray (prob, pixel, component), float32
        Quantiles of the Gamma distribution with these moments, counts.
    probs : tuple of float
        The probabilities of the quantiles.
    totals : numpy.ndarray (draw, component), float64
        Abundances added over all pixels, counts.
    fractions : numpy.ndarray (draw, component), float64
        Share of the component in a pixel, mean over the pixels.
    shape, rate : numpy.ndarray (draw, component), float64
        Gamma prior of the abundances; dimensionless, 1 / counts.
    log_joint : numpy.ndarray (draw,), float64
        Log density of counts and unknowns, nats.
    acceptance : dict of str to float
        Share of accepted moves: "pixels", "channels".
    effective : dict of str to numpy.ndarray
        Effective sample sizes: "totals" (component,), "fractions" (component,), and "mixing" (free component,
        component), the share of one component's mode in another's spectrum.
    status : Status
        How the sampling ended.
    n_fixed : int
        Number of components whose spectrum was fixed; they come last.
    steps : tuple of Step
        What was done to the draws after sampling.
    """

    spectra: npt.NDArray[np.float32]
    abundance_mean: npt.NDArray[np.float32]
    abundance_sd: npt.NDArray[np.float32]
    abundance_quantiles: npt.NDArray[np.float32]
    probs: tuple[float, ...]
    totals: npt.NDArray[np.float64]
    fractions: npt.NDArray[np.float64]
    shape: npt.NDArray[np.float64]
    rate: npt.NDArray[np.float64]
    log_joint: npt.NDArray[np.float64]
    acceptance: dict[str, float]
    effective: dict[str, npt.NDArray[np.float64]]
    status: Status
    n_fixed: int = 0
    steps: tuple[Step, ...] = ()

    @property
    def component_abundances(self) -> npt.NDArray[np.float32]:
        """Posterior mean of the abundances without the sum over the fixed spectra, (pixel, component), counts."""
        return self.abundance_mean[:, : self.spectra.shape[1]]


class Moments(NamedTuple):
    """Running mean and sum of squared deviations of the abundances.

    Parameters
    ----------
    number : jax.Array (), float32
        Draws so far.
    mean : jax.Array (block, row, component), float32
        Mean, counts.
    squares : jax.Array (block, row, component), float32
        Sum of squared deviations, counts squared.
    """

    number: jax.Array
    mean: jax.Array
    squares: jax.Array


def no_moments(log_w: jax.Array, n_fixed: int) -> Moments:
    """Moments of no draws.

    Parameters
    ----------
    log_w : jax.Array (block, row, component), float32
        Log abundances.
    n_fixed : int
        Number of components of fixed spectrum.

    Returns
    -------
    Moments
        Zeros; with a last entry for the sum of the components of fixed spectrum where there are any.
    """
    zero = jnp.zeros((*log_w.shape[:2], log_w.shape[2] + (n_fixed > 0)), jnp.float32)
    return Moments(jnp.zeros((), jnp.float32), zero, zero)


@partial(jax.jit, static_argnames=("n_fixed",))
def add_draw(moments: Moments, log_w: jax.Array, n_fixed: int = 0) -> Moments:
    """Add one draw.

    Parameters
    ----------
    moments : Moments
        So far.
    log_w : jax.Array (block, row, component), float32
        Log abundances.
    n_fixed : int
        Number of components of fixed spectrum, the last; their sum is followed too.

    Returns
    -------
    Moments
        With the draw.

    Notes
    -----
    Source: Welford (1962), doi:10.1080/00401706.1962.10490022.
    """
    w = jnp.exp(log_w)
    if n_fixed:
        w = jnp.concatenate([w, w[..., -n_fixed:].sum(axis=-1, keepdims=True)], axis=-1)
    number = moments.number + 1.0
    off = w - moments.mean
    mean = moments.mean + off / number
    return Moments(number, mean, moments.squares + off * (w - mean))


def summarise(
    join: Callable[[jax.Array], npt.NDArray[Any]],
    mode: NmfMode,
    kept: list[Summary],
    moments: Moments,
    accepted: npt.NDArray[np.float64],
    probs: tuple[float, ...],
    *,
    complete: bool,
) -> NmfPosterior:
    """Make the posterior of what was kept.

    Parameters
    ----------
    join : callable
        Puts values in blocks back into (pixel, component).
    mode : NmfMode
        Where the chain started.
    kept : list of Summary
        One for each draw, as numpy arrays.
    moments : Moments
        Of the abundances.
    accepted : numpy.ndarray (4,), float64
        Mean of `Summary.accepted`.
    probs : tuple of float
        Probabilities of the quantiles of the abundances.
    complete : bool
        Whether the sampling ran to its end.

    Returns
    -------
    NmfPosterior
        Draws, moments, quantiles, effective sample sizes and the status.
    """
    stacked = jax.tree.map(lambda *column: np.stack(column), *kept)
    mean = join(moments.mean)
    sd = np.sqrt(join(moments.squares) / max(float(moments.number) - 1.0, 1.0))
    mixing = stacked.spectra @ np.linalg.pinv(mode.spectra.astype(np.float64))
    effective = {
        "totals": effective_sample_size(stacked.totals),
        "fractions": effective_sample_size(stacked.fractions),
        "mixing": effective_sample_size(mixing[:, : len(mode.spectra) - mode.n_fixed]),
    }
    names = ("pixels", "channels", "coupling", "coupling decided")
    acceptance = {name: float(value) for name, value in zip(names, accepted, strict=True)}
    return NmfPosterior(
        np.asarray(stacked.spectra),
        mean,
        sd,
        gamma_quantiles(mean, sd, probs),
        probs,
        np.asarray(stacked.totals),
        np.asarray(stacked.fractions),
        np.asarray(stacked.shape),
        np.asarray(stacked.rate),
        np.asarray(stacked.log_joint),
        acceptance,
        effective,
        _status(acceptance, (stacked.totals, stacked.fractions, mixing), complete=complete),
        mode.n_fixed,
    )


def combinations(draws: npt.NDArray[Any], parts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """How drawn spectra are combined of given ones, by least squares in units of the noise.

    Parameters
    ----------
    draws : numpy.ndarray (draw, component, channel), float
        Drawn spectra.
    parts : numpy.ndarray (part, channel), float
        Spectra to combine them of.

    Returns
    -------
    numpy.ndarray (draw, component, part), float64
        The weights.
    """
    known = np.asarray(parts, np.float64)
    weighted = known / np.maximum(known.mean(axis=0), 1e-12)
    return np.asarray((np.asarray(draws, np.float64) @ weighted.T) @ np.linalg.pinv(weighted @ known.T))


def _status(acceptance: dict[str, float], chains: tuple[npt.NDArray[np.float64], ...], *, complete: bool) -> Status:
    if not complete:
        return Status.INTERRUPTED
    if min(acceptance[move] for move in ("pixels", "channels")) < SETTINGS.fewest_accepted:
        return Status.LOW_ACCEPTANCE
    for chain in chains:
        (low, high), errors = end_errors(chain, INTERVAL)
        if (errors > SETTINGS.largest_error * (high - low)).any():
            return Status.LOW_EFFECTIVE_SAMPLE_SIZE
    return Status.CONVERGED


def gamma_quantiles(mean: npt.ArrayLike, sd: npt.ArrayLike, probs: tuple[float, ...]) -> npt.NDArray[np.float32]:
    """Quantiles of the Gamma distribution with given mean and standard deviation.

    Parameters
    ----------
    mean, sd : array (...), float
        Mean and standard deviation, any unit.
    probs : tuple of float
        Probabilities.

    Returns
    -------
    numpy.ndarray (prob, ...), float32
        Quantiles in the same unit.
    """
    centre = np.maximum(np.asarray(mean, np.float64), 1e-30)
    relative = np.maximum(np.asarray(sd, np.float64) / centre, 1e-6)
    shape = relative**-2.0
    return np.stack([gammaincinv(shape, p) / shape * centre for p in probs]).astype(np.float32)
