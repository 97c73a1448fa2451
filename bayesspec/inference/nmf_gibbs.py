"""Posterior of the Poisson factorisation by blocked Newton-Metropolis Gibbs sampling, started at the mode.

The abundances are sampled together with the spectra and with the shape and rate of their own prior, so that the
intervals of the spectra are those with the abundances integrated out. Each sweep takes two passes over the
counts. Abundances are streamed into moments; spectra are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv

from bayesspec.errors import InputError
from bayesspec.inference.effective_sample_size import effective_sample_size
from bayesspec.inference.nmf import NmfMode
from bayesspec.inference.nmf_blocks import (
    CountBlocks,
    check_counts,
    cut,
    merge_counts,
    product,
    row_divergences,
)
from bayesspec.inference.nmf_coupling import Factors, Noise, Step, Target, directions, slopes
from bayesspec.inference.nmf_moves import Runs, choose_runs
from bayesspec.inference.nmf_prior import NmfPrior, count_constant
from bayesspec.inference.nmf_sweep import Data, Plan, State, Summary, sweep
from bayesspec.inference.status import Status
from bayesspec.models.poisson_nmf import RATE_FLOOR

FEWEST_EFFECTIVE = 20.0
"""Fewer effective draws of a global quantity than this are reported."""
FEWEST_ACCEPTED = 0.15
LEAST_ABUNDANCE = 0.05
"""Abundance, in counts, at which an empty one starts."""


COUPLING_MOVES = 4
"""Coupling moves in a sweep."""
COUPLING_ACCEPTANCE = 0.574
"""Acceptance that the warmup steers to: the best for Langevin moves, Roberts & Rosenthal (1998)."""


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
    thin: int = 1,
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
    thin : int
        Sweeps per kept draw; the moments of the abundances use every sweep.
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
    _check(matrix, mode, draws, warmup, thin)
    prior = prior or NmfPrior()
    with jax.enable_x64(True):
        chain = _Chain(matrix, mode, prior)
        kept, moments, accepted, interrupted = chain.run(key, draws, warmup, thin, progress)
    return _posterior(chain.blocks, mode, kept, moments, accepted, probs, interrupted)


def _noise(counts: jax.Array, state: State, runs: Runs) -> Noise:
    """Noise of each abundance and spectrum entry, the others known, at the start of the chain."""

    def visit(total: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        w = jnp.exp(block[1])
        inverse = 1.0 / (product(w, state.spectra) + RATE_FLOOR)
        total = total + product(jnp.square(w).T, inverse)
        return total, product(inverse, jnp.square(state.spectra).T)

    start = jnp.zeros_like(state.spectra)
    by_channel, by_pixel = jax.jit(lambda *c: jax.lax.scan(visit, start, c))(counts, state.log_w)
    return Noise(1.0 / jnp.sqrt(jnp.maximum(by_pixel, 1e-12)), 1.0 / jnp.sqrt(jnp.maximum(by_channel, 1e-12)))


@partial(jax.jit, static_argnames=("plan",))
def _outer(target: Target, factors: Factors, plan: Plan) -> jax.Array:
    pairs = directions(plan.free, factors.spectra.shape[0])
    return slopes(target, plan.merged, factors, pairs, plan.prior.concentration).outer


class _Chain:
    """The counts in blocks, and the state of the chain over them."""

    def __init__(self, counts: npt.NDArray[Any], mode: NmfMode, prior: NmfPrior) -> None:
        self.blocks, self.prior = cut(counts), prior
        self.free = len(mode.spectra) - mode.n_fixed
        rows = self.blocks.counts.shape[1]
        runs = choose_runs(*counts.shape, rows)
        merged = merge_counts(counts, runs.channels)
        self.valid = self.blocks.split(np.ones((len(counts), 1)))
        self.state = self._begin(counts, mode)
        noise = _noise(self.blocks.counts, self.state, runs)
        self.data = Data(self.blocks.counts, self.blocks.cut_alike(merged), self.valid, noise)
        self.plan = Plan(self.free, len(counts), runs, runs.channels, COUPLING_MOVES, prior)
        self.pairs = directions(self.free, len(mode.spectra))
        self.log_size, self.root = 0.0, np.eye(len(self.pairs))

    def _begin(self, counts: npt.NDArray[Any], mode: NmfMode) -> State:
        """Start at the mode, off the boundary."""
        w = np.maximum(mode.abundances.astype(np.float64), LEAST_ABUNDANCE)
        totals = w.sum(axis=0)
        h = mode.spectra.astype(np.float64).copy()
        loose = h[: self.free] * totals[: self.free, None] + self.prior.concentration
        h[: self.free] = loose / loose.sum(axis=1, keepdims=True)
        low, high = self.prior.shape_range
        shape = np.clip(w.mean(axis=0) ** 2 / np.maximum(w.var(axis=0), 1e-9), 1.01 * low, 0.99 * high)
        blocked, spectra = self.blocks.split(w), jnp.asarray(h, jnp.float32)
        rows = np.asarray(row_divergences(self.blocks.counts, blocked, spectra), np.float64)
        return State(
            jnp.log(jnp.where(self.valid > 0, blocked, 1.0)),
            spectra,
            jnp.asarray(shape, jnp.float64),
            jnp.asarray(shape / w.mean(axis=0), jnp.float64),
            jnp.asarray(count_constant(counts) - rows.sum(), jnp.float64),
        )

    def step(self, key: jax.Array, adapt: float = 0.0) -> Summary:
        """Sweep once; change the size of the coupling moves towards their acceptance when told to."""
        step = Step(jnp.asarray(np.exp(self.log_size), jnp.float64), jnp.asarray(self.root, jnp.float64))
        self.state, summary = sweep(self.data, self.state, step, key, plan=self.plan)
        kept = jax.tree.map(np.asarray, summary)
        self.log_size += adapt * float(kept.accepted[2] * kept.accepted[3] - COUPLING_ACCEPTANCE)
        return kept

    def learn(self) -> None:
        """Take the information along the coupling directions from where the chain is."""
        if len(self.pairs) == 0:
            return
        target = Target(self.data.merged, self.valid, self.data.noise, self.state.shape)
        factors = Factors(self.state.log_w, self.state.spectra)
        outer = np.asarray(_outer(target, factors, self.plan))
        scale = np.sqrt(np.maximum(np.diag(outer), 1e-12))
        correlation = outer / np.outer(scale, scale)
        covariance = np.linalg.inv(correlation + 0.01 * np.eye(len(outer))) / np.outer(scale, scale)
        self.root = np.linalg.cholesky(covariance)

    def run(
        self,
        key: jax.Array,
        draws: int,
        warmup: int,
        thin: int,
        progress: Callable[[int, int], None] | None,
    ) -> tuple[list[Summary], _Moments, npt.NDArray[np.float64], bool]:
        """Sweep to the end, or until interrupted with at least two draws."""
        kept: list[Summary] = []
        zero = jnp.zeros_like(self.state.log_w)
        moments = _Moments(jnp.zeros((), jnp.float32), zero, zero)
        accepted, total = np.zeros(4), warmup + draws * thin
        for number in range(total):
            try:
                if number in (0, warmup // 5, warmup // 2):
                    self.learn()
                adapt = 1.0 / (1.0 + 0.1 * number) if number < warmup else 0.0
                summary = self.step(jax.random.fold_in(key, number), adapt)
            except KeyboardInterrupt:
                if len(kept) < 2:
                    raise
                return kept, moments, accepted / (number - warmup), True
            if number >= warmup:
                moments, accepted = _add(moments, self.state.log_w), accepted + summary.accepted
                if (number - warmup) % thin == thin - 1:
                    kept.append(summary)
            if progress is not None:
                progress(number + 1, total)
        return kept, moments, accepted / (draws * thin), False


def _posterior(
    blocks: CountBlocks,
    mode: NmfMode,
    kept: list[Summary],
    moments: _Moments,
    accepted: npt.NDArray[np.float64],
    probs: tuple[float, ...],
    interrupted: bool,
) -> NmfPosterior:
    """Stack what was kept; quantiles, effective sample sizes and the status."""
    stacked = Summary(*(np.stack(column) for column in zip(*kept, strict=True)))
    mean = blocks.join(moments.mean)
    sd = np.sqrt(blocks.join(moments.squares) / max(float(moments.number) - 1.0, 1.0))
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
        _status(acceptance, effective, interrupted),
        mode.n_fixed,
    )


def _status(
    acceptance: dict[str, float], effective: dict[str, npt.NDArray[np.float64]], interrupted: bool
) -> Status:
    if interrupted:
        return Status.INTERRUPTED
    if min(acceptance.values()) < FEWEST_ACCEPTED:
        return Status.LOW_ACCEPTANCE
    if min(float(values.min()) for values in effective.values()) < FEWEST_EFFECTIVE:
        return Status.LOW_EFFECTIVE_SAMPLE_SIZE
    return Status.CONVERGED


def gamma_quantiles(
    mean: npt.ArrayLike, sd: npt.ArrayLike, probs: tuple[float, ...]
) -> npt.NDArray[np.float32]:
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
            "at least two draws, no negative warmup, thin of one or more",
            "draws=300, warmup=100, thin=1",
        )
