"""Posterior of the Poisson factorisation by blocked Newton-Metropolis Gibbs sampling, started at the mode.

The abundances are sampled together with the spectra and with the shape and rate of their own prior, so that the
intervals of the spectra are those with the abundances integrated out. Each sweep takes two passes over the
counts. Abundances are streamed into moments; spectra are kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv

from bayesspec.errors import InputError
from bayesspec.inference.effective_sample_size import effective_sample_size
from bayesspec.inference.nmf import NmfMode
from bayesspec.inference.nmf_blocks import check_counts
from bayesspec.inference.nmf_chain import Chain, Start
from bayesspec.inference.nmf_prior import NmfPrior
from bayesspec.inference.nmf_sweep import Summary
from bayesspec.inference.status import Status

FEWEST_EFFECTIVE = 20.0
"""Fewer effective draws of a global quantity than this are reported."""
FEWEST_ACCEPTED = 0.15
LEAST_ABUNDANCE = 0.05
"""Abundance, in counts, at which an empty one starts."""


FEWEST_PIXELS = 1000
"""Pixels that the first stage of the warmup sees at least."""
THINNED_ENTRIES = 2_000_000
"""Entries of the counts below which more than one sweep is made for a draw."""
SUBSET_WARMUP = 3
"""Sweeps over part of the pixels per sweep of the warmup over all."""


@dataclass(frozen=True)
class NmfPosterior:
    """Draws of the spectra, moments and quantiles of the abundances, and how good the chain was.

    Parameters
    ----------
    spectra : numpy.ndarray (draw, component, channel), float32
        Draws; each spectrum sums to one. Free components first, in the order of the mode.
    abundance_mean, abundance_sd : numpy.ndarray (pixel, component), float32
        Posterior mean and standard deviation, counts.
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


class _Moments(NamedTuple):
    """Running mean and sum of squared deviations of the abundances."""

    number: jax.Array
    mean: jax.Array
    squares: jax.Array


@jax.jit
def _add(moments: _Moments, log_w: jax.Array) -> _Moments:
    """Add one draw.

    Notes
    -----
    Source: Welford (1962), doi:10.1080/00401706.1962.10490022.
    """
    w = jnp.exp(log_w)
    number = moments.number + 1.0
    off = w - moments.mean
    mean = moments.mean + off / number
    return _Moments(number, mean, moments.squares + off * (w - mean))


def sample(
    counts: npt.ArrayLike,
    mode: NmfMode,
    *,
    key: jax.Array,
    draws: int = 300,
    warmup: int = 100,
    thin: int | None = None,
    probs: tuple[float, ...] = (0.025, 0.975),
    prior: NmfPrior | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NmfPosterior:
    """Sample the posterior of spectra, abundances and their prior, from the mode on.

    Parameters
    ----------
    counts : array (pixel, channel), integer
        The counts that the mode was fitted to.
    mode : NmfMode
        Where to start; its fixed spectra stay fixed.
    key : jax.Array
        Random key.
    draws : int
        Number of draws kept.
    warmup : int
        Sweeps before the first.
    thin : int, optional
        Sweeps per kept draw, five on small counts and one on large when not given; the moments of the abundances
        use every sweep.
    probs : tuple of float
        Probabilities of the quantiles of the abundances.
    prior : NmfPrior, optional
        Constants of the prior.
    progress : callable (done, total), optional
        Called after each sweep.

    Returns
    -------
    NmfPosterior
        The posterior. After an interruption: of the draws so far, at least two.

    Raises
    ------
    InputError
        When the counts do not fit the mode or the numbers of draws are not positive.

    Notes
    -----
    Source: Cemgil (2009), doi:10.1155/2009/785152 (the model); Qi & Minka (2002), Hessian-based Markov chain
    Monte-Carlo algorithms (the proposal).
    """
    matrix = check_counts(counts)
    thin = int(np.clip(THINNED_ENTRIES // matrix.size, 1, 5)) if thin is None else thin
    _check(matrix, mode, draws, warmup, thin)
    prior, strides = prior or NmfPrior(), subset_strides(len(matrix))
    total = sum(warmup if stride == 1 else SUBSET_WARMUP * warmup for stride in strides) + draws * thin
    tick = _ticker(total, progress)
    with jax.enable_x64(True):  # noqa: FBT003
        warm_key, draw_key = jax.random.split(key)
        chain = _warm_up(matrix, mode, prior, strides, warmup, warm_key, tick)
        kept, moments, accepted, complete = _keep(chain, draws, thin, draw_key, tick)
    return _posterior(chain, mode, kept, moments, accepted, probs, complete=complete)


def _ticker(total: int, progress: Callable[[int, int], None] | None) -> Callable[[], None]:
    """Count sweeps for the caller."""
    done = itertools.count(1)
    return lambda: progress(next(done), total) if progress is not None else None


def subset_strides(pixels: int) -> list[int]:
    """Choose one in how many pixels each stage of the warmup sees; the last sees all.

    Parameters
    ----------
    pixels : int
        Number of pixels.

    Returns
    -------
    list of int
        Falling powers of four.
    """
    strides = [1]
    while pixels // (4 * strides[0]) >= FEWEST_PIXELS:
        strides.insert(0, 4 * strides[0])
    return strides


def _begin(mode: NmfMode, prior: NmfPrior) -> Start:
    """Start at the mode, off the boundary."""
    w = np.maximum(mode.abundances.astype(np.float64), LEAST_ABUNDANCE)
    free = len(mode.spectra) - mode.n_fixed
    h = mode.spectra.astype(np.float64).copy()
    loose = h[:free] * w.sum(axis=0)[:free, None] + prior.concentration
    h[:free] = loose / loose.sum(axis=1, keepdims=True)
    low, high = prior.shape_range
    shape = np.clip(w.mean(axis=0) ** 2 / np.maximum(w.var(axis=0), 1e-9), 1.01 * low, 0.5 * high)
    return Start(w, h, shape, shape / w.mean(axis=0))


def _warm_up(
    counts: npt.NDArray[Any],
    mode: NmfMode,
    prior: NmfPrior,
    strides: list[int],
    warmup: int,
    key: jax.Array,
    tick: Callable[[], None],
) -> Chain:
    """Warm up on ever more pixels: the way from the mode to the bulk is long, a sweep over few pixels is short."""
    start, free = _begin(mode, prior), len(mode.spectra) - mode.n_fixed
    order = np.asarray(jax.random.permutation(jax.random.fold_in(key, 0), len(counts)))
    for stride in strides:
        chosen = np.sort(order[::stride])
        settle_key, stage_key = jax.random.split(jax.random.fold_in(key, stride))
        part = replace(start, abundances=start.abundances[chosen])
        chain = Chain(counts if stride == 1 else counts[chosen], part, free, prior, settle_key)
        chain.warm(warmup if stride == 1 else SUBSET_WARMUP * warmup, stage_key, tick)
        spectra, shape, rate = (np.asarray(v) for v in chain.state[1:4])
        start = Start(_carry(start, spectra), spectra, shape, rate)
    return chain


def _carry(start: Start, spectra: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Abundances that with new spectra give about the same means."""
    transform = start.spectra.astype(np.float64) @ np.linalg.pinv(spectra.astype(np.float64))
    return np.maximum(start.abundances @ transform, LEAST_ABUNDANCE)


def _keep(
    chain: Chain, draws: int, thin: int, key: jax.Array, tick: Callable[[], None]
) -> tuple[list[Summary], _Moments, npt.NDArray[np.float64], bool]:
    """Sweep and keep, to the end or until interrupted with at least two draws."""
    kept: list[Summary] = []
    zero = jnp.zeros_like(chain.state.log_w)
    moments, accepted = _Moments(jnp.zeros((), jnp.float32), zero, zero), []
    complete = True
    try:
        for number in range(draws * thin):
            summary = chain.step(jax.random.fold_in(key, number))
            moments = _add(moments, chain.state.log_w)
            accepted.append(summary.accepted)
            if number % thin == thin - 1:
                kept.append(summary)
            tick()
    except KeyboardInterrupt:
        if len(kept) < 2:
            raise
        complete = False
    return kept, moments, np.mean(accepted, axis=0), complete


def _posterior(
    chain: Chain,
    mode: NmfMode,
    kept: list[Summary],
    moments: _Moments,
    accepted: npt.NDArray[np.float64],
    probs: tuple[float, ...],
    *,
    complete: bool,
) -> NmfPosterior:
    """Stack what was kept; quantiles, effective sample sizes and the status."""
    stacked = jax.tree.map(lambda *column: np.stack(column), *kept)
    mean = chain.blocks.join(moments.mean)
    sd = np.sqrt(chain.blocks.join(moments.squares) / max(float(moments.number) - 1.0, 1.0))
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
        _status(acceptance, effective, complete=complete),
        mode.n_fixed,
    )


def _status(acceptance: dict[str, float], effective: dict[str, npt.NDArray[np.float64]], *, complete: bool) -> Status:
    if not complete:
        return Status.INTERRUPTED
    if min(acceptance.values()) < FEWEST_ACCEPTED:
        return Status.LOW_ACCEPTANCE
    if min(float(values.min()) for values in effective.values()) < FEWEST_EFFECTIVE:
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


def _check(counts: npt.NDArray[Any], mode: NmfMode, draws: int, warmup: int, thin: int) -> None:
    if counts.shape != (len(mode.abundances), mode.spectra.shape[1]):
        raise InputError(
            f"counts of shape {counts.shape} and a mode of {len(mode.abundances)} x {mode.spectra.shape[1]}",
            "the counts that the mode was fitted to",
            "sample(counts, fit_mode(counts, rank, key=key), key=key)",
        )
    if draws < 2 or warmup < 0 or thin < 1:
        raise InputError(
            f"draws={draws}, warmup={warmup}, thin={thin}",
            "at least two draws, no negative warmup, thin of one or more, or None",
            "draws=300, warmup=100, thin=1",
        )
