"""The chain of the sampler over one set of counts: where it starts, how it warms up, how it is tuned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bayesspec.inference.nmf_blocks import cut, merge_counts, product, row_divergences
from bayesspec.inference.nmf_coupling import Step
from bayesspec.inference.nmf_density import Factors, Noise, Target, directions, slopes
from bayesspec.inference.nmf_merging import choose_runs
from bayesspec.inference.nmf_prior import NmfPrior, count_constant
from bayesspec.inference.nmf_shape import shapes_of, with_steps
from bayesspec.inference.nmf_state import Data, Plan, State, Summary
from bayesspec.inference.nmf_sweep import sweep
from bayesspec.models.poisson_nmf import RATE_FLOOR

COUPLING_MOVES = (4, 2)
"""Coupling moves in a sweep on few and on many counts, where each costs as much as the rest."""
MANY_ENTRIES = 1_500_000
COUPLING_ACCEPTANCE = 0.574
"""Acceptance that the warmup steers to: the best for Langevin moves, Roberts & Rosenthal (1998)."""
SETTLING_STEPS = 30
"""Steps of expectation maximisation that fit abundances to given spectra."""


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
    return slopes(target, plan.merged, factors, pairs, concentration).outer


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
    counts : numpy.ndarray (pixel, channel), unsigned integer
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
        counts: npt.NDArray[Any],
        start: Start,
        free: int,
        prior: NmfPrior,
        *,
        coupled: bool = True,
        shapes: npt.ArrayLike | None = None,
    ) -> None:
        self.counts, self.blocks = counts, cut(counts)
        runs = choose_runs(len(counts), counts.shape[1], self.blocks.counts.shape[1])
        runs = runs if coupled else replace(runs, coupling=1)
        merged = self.blocks.counts
        if runs.coupling > 1:
            merged = self.blocks.cut_alike(merge_counts(counts, runs.coupling))
        valid = self.blocks.split(np.ones((len(counts), 1)))
        spectra = jnp.asarray(start.spectra, jnp.float32)
        log_w = jnp.log(jnp.where(valid > 0, self.blocks.split(start.abundances), 1.0))
        shape, rate = (jnp.asarray(v, jnp.float64) for v in (start.shape, start.rate))
        state = State(log_w, spectra, shape, rate, jnp.zeros((), jnp.float64))
        moves = COUPLING_MOVES[counts.size > MANY_ENTRIES]
        self.plan = Plan(free, len(counts), runs, runs.coupling, moves, prior)
        empty = Noise(jnp.ones_like(log_w), jnp.ones_like(spectra))
        concentration = prior.concentrations(free, counts.shape[1])
        mixed = None if shapes is None else shapes_of(shapes)
        self.data = Data(self.blocks.counts, merged, valid, empty, jnp.asarray(concentration), mixed)
        self.state = self._with_likelihood(_settle(self.data.counts, state))
        self.directions = len(directions(free, len(start.spectra)))
        self.log_size, self.root = 0.0, np.eye(self.directions)

    def _with_likelihood(self, state: State) -> State:
        rows = row_divergences(self.blocks.counts, jnp.exp(state.log_w) * self.data.valid, state.spectra)
        value = count_constant(self.counts) - float(np.asarray(rows, np.float64).sum())
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
        scaled = self.plan.prior.scaled(self.state.shape)
        target = Target(self.data.merged, self.data.valid, self.data.noise, self.state.shape, scaled)
        factors = Factors(self.state.log_w, self.state.spectra)
        outer = np.asarray(_information(target, factors, self.data.concentration, self.plan))
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
