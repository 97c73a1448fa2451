"""Posterior of the Poisson factorisation by blocked Newton-Metropolis Gibbs sampling, started at the mode.

The abundances are sampled together with the spectra and with the shape and rate of their own prior, so that the
intervals of the spectra are those with the abundances integrated out. Each sweep takes two passes over the
counts. Abundances are streamed into moments; spectra are kept.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.image.counts import Counts, merge_counts
from bayesspec.inference.blocks import choose_runs, product, row_divergences
from bayesspec.inference.nmf.background_moves import shapes_of, with_steps
from bayesspec.inference.nmf.mixing_moves import Factors, Noise, Step, Target, directions, slopes
from bayesspec.inference.nmf.mode import NmfMode
from bayesspec.inference.nmf.posterior import Moments, NmfPosterior, add_draw, no_moments, summarise
from bayesspec.inference.nmf.prior import NmfPrior, count_constant
from bayesspec.inference.nmf.state import Data, Plan, State, Summary
from bayesspec.inference.nmf.sweep import sweep
from bayesspec.inference.random_keys import generator
from bayesspec.models.poisson_nmf import RATE_FLOOR

COUPLING_MOVES = (4, 2)
"""Coupling moves in a sweep on few and on many counts, where each costs as much as the rest."""
FEW_MOVES_FROM = 1_500_000
"""Entries of the counts from which a sweep makes the smaller number of coupling moves."""
COUPLING_ACCEPTANCE = 0.574
"""Acceptance that the warmup steers to: the best for Langevin moves, Roberts & Rosenthal (1998)."""
SETTLING_STEPS = 30
"""Steps of expectation maximisation that fit abundances to given spectra."""
LEAST_ABUNDANCE = 0.05
"""Abundance, in counts, at which an empty one starts."""
FEWEST_PIXELS = 1000
"""Pixels that the first stage of the warmup sees at least."""
THINNED_ENTRIES = 2_000_000
"""Entries of the counts below which more than one sweep is made for a draw."""
MANY_ENTRIES = 20_000_000
"""Entries of the counts up to which sweeps over all of them cost less than preparing those over a part."""
FIRST_WARMUP = 3
"""Sweeps over the smallest part of the pixels per sweep of the warmup over all."""

# The chain of the sampler over one set of counts: where it starts, how it warms up, how it is tuned


@dataclass(frozen=True)
class Start:
    """Where a chain starts.

    Parameters
    ----------
    abundances : numpy.ndarray (pixel, component), float
        Positive, counts.
    spectra : numpy.ndarray (component, channel), float
        Positive; each row sums to one; free components first.
    shape, rate : numpy.ndarray (component,), float
        Gamma prior of the abundances; dimensionless, 1 / counts.
    """

    abundances: npt.NDArray[Any]
    spectra: npt.NDArray[Any]
    shape: npt.NDArray[Any]
    rate: npt.NDArray[Any]


@jax.jit
def _noise(counts: jax.Array, state: State) -> Noise:
    """Noise of each abundance and spectrum entry, the others known."""

    def visit(total: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        w = jnp.exp(block[1])
        inverse = 1.0 / (product(w, state.spectra) + RATE_FLOOR)
        total = total + product(jnp.square(w).T, inverse)
        return total, product(inverse, jnp.square(state.spectra).T)

    start = jnp.zeros_like(state.spectra)
    by_channel, by_pixel = jax.lax.scan(visit, start, (counts, state.log_w))
    return Noise(1.0 / jnp.sqrt(jnp.maximum(by_pixel, 1e-12)), 1.0 / jnp.sqrt(jnp.maximum(by_channel, 1e-12)))


@partial(jax.jit, static_argnames=("plan",))
def _information(target: Target, factors: Factors, concentration: jax.Array, plan: Plan) -> jax.Array:
    pairs = directions(plan.free, factors.spectra.shape[0])
    return slopes(target, plan.runs.coupling, factors, pairs, concentration).outer


@jax.jit
def _settle(counts: jax.Array, state: State) -> State:
    """Fit the abundances to the spectra."""
    sums = state.spectra.sum(axis=1)[None]
    shape, rate = state.shape.astype(jnp.float32)[None], state.rate.astype(jnp.float32)[None]

    def visit(_: None, block: tuple[jax.Array, jax.Array]) -> tuple[None, jax.Array]:
        x, w = block[0].astype(jnp.float32), jnp.exp(block[1])
        quotient = x / (product(w, state.spectra) + RATE_FLOOR)
        return None, jnp.log((w * product(quotient, state.spectra.T) + shape) / (sums + rate))

    def expect(log_w: jax.Array, _: None) -> tuple[jax.Array, None]:
        return jax.lax.scan(visit, None, (counts, log_w))[1], None

    return state._replace(log_w=jax.lax.scan(expect, state.log_w, length=SETTLING_STEPS)[0])


class Chain:
    """Counts in blocks, the state of the chain over them, and the size of its coupling moves.

    Parameters
    ----------
    counts : Counts
        Counts.
    start : Start
        Where to start.
    free : int
        Number of components with a free spectrum.
    prior : NmfPrior
        Constants of the prior.
    coupled : bool
        Whether there will be coupling moves; without them no counts are merged for them.
    shapes : array (shape, channel), float, optional
        Those that the last spectrum is a mixture of, where its weights are not known.
    """

    def __init__(
        self,
        counts: Counts,
        start: Start,
        free: int,
        prior: NmfPrior,
        *,
        coupled: bool = True,
        shapes: npt.ArrayLike | None = None,
    ) -> None:
        self.counts, self.blocks = counts, counts.blocks
        runs = choose_runs(counts.filled, counts.shape[1], self.blocks.counts.shape[1])
        runs = runs if coupled else replace(runs, coupling=1)
        merged = self.blocks.counts
        if runs.coupling > 1:
            merged = self.blocks.cut_alike(merge_counts(counts.matrix, runs.coupling))
        valid = self.blocks.split(np.ones((counts.shape[0], 1)))
        spectra = jnp.asarray(start.spectra, jnp.float32)
        log_w = jnp.log(jnp.where(valid > 0, self.blocks.split(start.abundances), 1.0))
        shape, rate = (jnp.asarray(v, jnp.float64) for v in (start.shape, start.rate))
        state = State(log_w, spectra, shape, rate, jnp.zeros((), jnp.float64))
        moves = COUPLING_MOVES[self.blocks.counts.size > FEW_MOVES_FROM]
        self.plan = Plan(free, runs, moves)
        empty = Noise(jnp.ones_like(log_w), jnp.ones_like(spectra))
        constants = prior.arrays(free, *start.spectra.shape)
        pixels = jnp.asarray(counts.shape[0], jnp.float64)
        mixed = None if shapes is None else shapes_of(shapes)
        self.data = Data(self.blocks.counts, merged, valid, pixels, empty, constants, mixed)
        self.state = self._with_likelihood(_settle(self.data.counts, state))
        self.directions = len(directions(free, len(start.spectra)))
        self.log_size, self.root = 0.0, np.eye(self.directions)

    def _with_likelihood(self, state: State) -> State:
        rows = row_divergences(self.blocks.counts, jnp.exp(state.log_w) * self.data.valid, state.spectra)
        value = count_constant(self.counts.matrix) - float(np.asarray(rows, np.float64).sum())
        return state._replace(log_likelihood=jnp.asarray(value, jnp.float64))

    def step(self, key: jax.Array, adapt: float = 0.0) -> Summary:
        """Sweep once; when told to, change the size of the coupling moves towards their best acceptance.

        Parameters
        ----------
        key : jax.Array
            Random key.
        adapt : float
            Strength of the change; zero once draws are kept.

        Returns
        -------
        Summary
            What is kept of the sweep, as numpy arrays.
        """
        step = Step(jnp.asarray(np.exp(self.log_size), jnp.float64), jnp.asarray(self.root, jnp.float64))
        self.state, summary = sweep(self.data, self.state, step, key, plan=self.plan)
        kept: Summary = jax.tree.map(np.asarray, summary)
        self.log_size += adapt * float(kept.accepted[2] * kept.accepted[3] - COUPLING_ACCEPTANCE)
        return kept

    def learn(self) -> None:
        """Take noise, and information along the coupling directions, from where the chain is."""
        noise, shapes = _noise(self.data.counts, self.state), self.data.shapes
        shapes = None if shapes is None else with_steps(shapes, np.asarray(noise.spectra[-1]))
        self.data = self.data._replace(noise=noise, shapes=shapes)
        if self.directions == 0:
            return
        scaled = self.data.prior.scaled(self.state.shape)
        target = Target(self.data.merged, self.data.valid, self.data.noise, self.state.shape, scaled)
        factors = Factors(self.state.log_w, self.state.spectra)
        outer = np.asarray(_information(target, factors, self.data.prior.concentration, self.plan))
        scale = np.sqrt(np.maximum(np.diag(outer), 1e-12))
        correlation = outer / np.outer(scale, scale) + 0.01 * np.eye(len(outer))
        self.root = np.linalg.cholesky(np.linalg.inv(correlation) / np.outer(scale, scale))

    def warm(self, sweeps: int, key: jax.Array, progress: Callable[[], None]) -> None:
        """Sweep and tune without keeping anything.

        Parameters
        ----------
        sweeps : int
            Number of sweeps.
        key : jax.Array
            Random key.
        progress : callable
            Called after each sweep.
        """
        for number in range(sweeps):
            if number in (0, sweeps // 8, sweeps // 3, sweeps // 3 * 2):
                self.learn()
            self.step(jax.random.fold_in(key, number), 1.0 / (1.0 + 0.1 * number))
            progress()
        if sweeps == 0:
            self.learn()


def sample(
    counts: npt.ArrayLike | Counts,
    mode: NmfMode,
    *,
    key: jax.Array,
    draws: int = 300,
    warmup: int = 100,
    thin: int | None = None,
    probs: tuple[float, ...] = (0.025, 0.975),
    prior: NmfPrior | None = None,
    shapes: npt.ArrayLike | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NmfPosterior:
    """Sample the posterior of spectra, abundances and their prior, from the mode on.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        The counts that the mode was fitted to.
    mode : NmfMode
        Where to start; its fixed spectra stay fixed.
    key : jax.Array
        Random key.
    draws : int
        Number of draws kept.
    warmup : int
        Sweeps over all pixels before the first draw; there are more over part of the pixels when they are many.
    thin : int, optional
        Sweeps per kept draw, five on small counts and one on large when not given; the moments of the abundances
        use every sweep.
    probs : tuple of float
        Probabilities of the quantiles of the abundances.
    prior : NmfPrior, optional
        Constants of the prior.
    shapes : array (shape, channel), float, optional
        The last spectrum of the mode is a mixture of these, two or more, each summing to one, and its weights are not
        known: their prior is flat.
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
    known = Counts.of(counts)
    thin = sweeps_per_draw(known) if thin is None else thin
    _check(known.shape, mode, draws, warmup, thin)
    prior, stages = prior or NmfPrior(), warmup_stages((known.filled, known.shape[1]), warmup)
    total = sum(sweeps for _, sweeps in stages) + draws * thin
    tick = _ticker(total, progress)
    with jax.enable_x64(True):
        warm_key, draw_key = jax.random.split(key)
        chain = _warm_up(known, mode, prior, shapes, stages, warm_key, tick)
        kept, moments, accepted, complete = _keep(chain, draws, thin, draw_key, tick)
    return summarise(chain.blocks.join, mode, kept, moments, accepted, probs, complete=complete)


def sweeps_per_draw(counts: Counts) -> int:
    """Sweeps for a kept draw where none are asked for: five on small counts, one on large."""
    return int(np.clip(THINNED_ENTRIES // counts.matrix.size, 1, 5))


def _ticker(total: int, progress: Callable[[int, int], None] | None) -> Callable[[], None]:
    """Count sweeps for the caller."""
    done = itertools.count(1)
    return lambda: progress(next(done), total) if progress is not None else None


def warmup_stages(shape: tuple[int, ...], warmup: int) -> list[tuple[int, int]]:
    """Choose one in how many pixels each stage of the warmup sees, and for how many sweeps.

    Parameters
    ----------
    shape : tuple of int
        Pixels and channels.
    warmup : int
        Sweeps of the last stage, which sees all pixels.

    Returns
    -------
    list of (int, int)
        Stride, a falling power of four, and number of sweeps.
    """
    strides = [1]
    pixels, entries = shape[0], math.prod(shape)
    while entries > MANY_ENTRIES * strides[0] and pixels // (4 * strides[0]) >= FEWEST_PIXELS:
        strides.insert(0, 4 * strides[0])
    if len(strides) == 1:
        return [(1, warmup)]
    return [(strides[0], FIRST_WARMUP * warmup), *((stride, warmup) for stride in strides[1:])]


def _begin(mode: NmfMode, prior: NmfPrior) -> Start:
    """Start at the mode, off the boundary."""
    w = np.maximum(mode.abundances.astype(np.float64), LEAST_ABUNDANCE)
    free = len(mode.spectra) - mode.n_fixed
    h = mode.spectra.astype(np.float64).copy()
    unnormalised = h[:free] * w.sum(axis=0)[:free, None] + prior.concentrations(free, h.shape[1])
    h[:free] = unnormalised / unnormalised.sum(axis=1, keepdims=True)
    low, high = prior.shape_range
    shape = np.clip(w.mean(axis=0) ** 2 / np.maximum(w.var(axis=0), 1e-9), 1.01 * low, 0.5 * high)
    return Start(w, h, shape, shape / w.mean(axis=0))


def _warm_up(
    counts: Counts,
    mode: NmfMode,
    prior: NmfPrior,
    shapes: npt.ArrayLike | None,
    stages: list[tuple[int, int]],
    key: jax.Array,
    tick: Callable[[], None],
) -> Chain:
    """Warm up on ever more pixels: the way from the mode to the bulk is long, a sweep over few pixels is short."""
    start, free = _begin(mode, prior), len(mode.spectra) - mode.n_fixed
    order = generator(jax.random.fold_in(key, 0)).permutation(counts.shape[0])
    for stride, sweeps in stages:
        chosen = np.sort(order[::stride])
        part = replace(start, abundances=start.abundances[chosen])
        seen = counts if stride == 1 else Counts.in_one_column(counts.matrix[chosen])
        chain = Chain(seen, part, free, prior, shapes=shapes)
        chain.warm(sweeps, jax.random.fold_in(key, stride), tick)
        spectra, shape, rate = (np.asarray(v) for v in chain.state[1:4])
        start = Start(_carry(start, spectra), spectra, shape, rate)
    return chain


def _carry(start: Start, spectra: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Abundances that with new spectra give about the same means."""
    transform = start.spectra.astype(np.float64) @ np.linalg.pinv(spectra.astype(np.float64))
    return np.maximum(start.abundances @ transform, LEAST_ABUNDANCE)


def _keep(
    chain: Chain, draws: int, thin: int, key: jax.Array, tick: Callable[[], None]
) -> tuple[list[Summary], Moments, npt.NDArray[np.float64], bool]:
    """Sweep and keep, to the end or until interrupted with at least two draws."""
    kept: list[Summary] = []
    fixed = len(chain.state.spectra) - chain.plan.free
    moments, accepted = no_moments(chain.state.log_w, fixed), []
    complete = True
    try:
        for number in range(draws * thin):
            summary = chain.step(jax.random.fold_in(key, number))
            moments = add_draw(moments, chain.state.log_w, fixed)
            accepted.append(summary.accepted)
            if number % thin == thin - 1:
                kept.append(summary)
            tick()
    except KeyboardInterrupt:
        if len(kept) < 2:
            raise
        complete = False
    return kept, moments, np.mean(accepted, axis=0), complete


def _check(shape: tuple[int, int], mode: NmfMode, draws: int, warmup: int, thin: int) -> None:
    if shape != (len(mode.abundances), mode.spectra.shape[1]):
        raise InputError(
            f"counts of shape {shape} and a mode of {len(mode.abundances)} x {mode.spectra.shape[1]}",
            "the counts that the mode was fitted to",
            "sample(counts, fit_mode(counts, rank, key=key), key=key)",
        )
    if draws < 2 or warmup < 0 or thin < 1:
        raise InputError(
            f"draws={draws}, warmup={warmup}, thin={thin}",
            "at least two draws, no negative warmup, thin of one or more, or None",
            "draws=300, warmup=100, thin=1",
        )
