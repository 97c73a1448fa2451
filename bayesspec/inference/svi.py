"""Stochastic variational inference of any NumPyro model: one compiled loop and a stopping rule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from numpyro.infer import SVI, Predictive, Trace_ELBO
from numpyro.infer.autoguide import AutoGuide, AutoLaplaceApproximation, AutoNormal
from numpyro.optim import Adam

from bayesspec.errors import InputError
from bayesspec.inference.minibatches import Minibatch, batch_at
from bayesspec.inference.model_arguments import VALUES_ASKED, Arguments, divided
from bayesspec.inference.status import Status

STAGES = 4
"""Stages of a fit, each with a smaller step than the one before."""
STEP_RATIO = 0.25
"""Step size of a stage over that of the one before."""
PARTICLES = 256
"""Draws with which the bounds before and after a chunk are compared, the same for both: most of their noise cancels."""
PROGRAMS = 16
"""Models whose compiled programs are kept."""


@dataclass(frozen=True)
class Settings:
    """When a fit by stochastic variational inference is settled: the numbers that decide it."""

    standard_errors: float = 2.0
    """Standard errors of the difference of two bounds that a chunk must gain for a stage to go on: bounds of fits
    beside those of longer ones, ``python benchmarks/framework.py stopping``."""
    least_gain: float = 0.01
    """Gain of a chunk that is none in any case, nats: ``python benchmarks/framework.py stopping``."""
    patience: int = 2
    """Chunks in a row that gain too little, after which a stage ends: ``python benchmarks/framework.py stopping``."""
    agreement: float = 0.1
    """Difference of the bounds of two starts that found the same optimum, at most, nats per parameter of the guide:
    ``python benchmarks/framework.py stopping``."""
    fewest_finite: float = 0.5
    """Share of the steps of a chunk that must have a finite gradient, as the others are not taken; with fewer the fit
    has diverged: ``python benchmarks/framework.py stopping``."""


SETTINGS = Settings()
"""The settings that all fits have."""


@dataclass(frozen=True)
class SviResult:
    """Outcome of a variational fit.

    Parameters
    ----------
    params : dict of str to numpy.ndarray
        Parameters of the guide (and of the model), by name; trees of them where a flow has networks.
    losses : numpy.ndarray (step,), float64
        Negative evidence lower bound at each step of the start that was followed, nats; not finite where the step
        was left out.
    bounds : numpy.ndarray (start,), float64
        Evidence lower bound that every start reached in the first stage, nats, the best first.
    bound, error : float
        Evidence lower bound of the parameters, and its standard error, nats.
    draws : dict of str to numpy.ndarray (draw, ...)
        Draws of every latent site from the guide.
    log_weights : numpy.ndarray (particle,), float64
        Log density of the posterior, up to a constant, less that of the guide, at draws from the guide, nats.
    status : Status
        How the fit ended.
    """

    params: dict[str, npt.NDArray[Any]]
    losses: npt.NDArray[np.float64]
    bounds: npt.NDArray[np.float64]
    bound: float
    error: float
    draws: dict[str, npt.NDArray[Any]]
    log_weights: npt.NDArray[np.float64]
    status: Status


def run_svi(
    model: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    key: jax.Array,
    guide: Callable[..., Any] | None = None,
    learning_rate: float = 0.01,
    chunk: int = 250,
    max_steps: int = 20_000,
    starts: int = 1,
    draws: int = 300,
    batch: tuple[int, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SviResult:
    """Fit a guide to the posterior of a NumPyro model.

    The steps are taken in stages of falling step size. After every chunk of steps the bound of its mean parameters is
    compared with the best so far, at the same draws from the guide, so that the noise of the difference is small and
    known. A stage ends when two chunks in a row gain less than two standard errors of it: no tolerance, and no part
    that the first losses play. Of several starts the one with the best bound after the first stage is followed; where
    no other start comes near it the status says so. Steps whose gradient is not finite are left out.

    Parameters
    ----------
    model : callable
        NumPyro model.
    args, kwargs : tuple, mapping
        Its arguments. Arrays among them are data: other values of the same shapes run the same compiled programs,
        unless the model asks for the values while it is traced.
    key : jax.Array
        Random key.
    guide : callable, optional
        NumPyro guide, or a class of NumPyro's guides, of which one is made of the model: a class compiles once for all
        fits, a guide of its own once each. A mean-field normal one when not given.
    learning_rate : float
        Step size of Adam in the first stage.
    chunk : int
        Steps per compiled call.
    max_steps : int
        Most steps of one start.
    starts : int
        Number of starts, run at once, from values drawn by the guide's own rule.
    draws : int
        Number of draws from the guide.
    batch : tuple of two int, or None
        Pixels of the model's plate named ``pixel``, and how many of them a step looks at; None for all. The bound is
        that of all pixels: the draws it is the mean of take turns in the batches that the pixels make up.
    progress : callable (done, total), optional
        Called after each chunk.

    Returns
    -------
    SviResult
        Parameters, losses, draws and status.

    Raises
    ------
    InputError
        When chunk, max_steps or draws is not positive.

    Notes
    -----
    Source: Kucukelbir et al. (2017), arXiv:1603.00788; Polyak & Juditsky (1992), doi:10.1137/0330046 (averaging).
    """
    if min(chunk, max_steps, draws, starts) < 1:
        raise InputError(
            f"chunk={chunk}, max_steps={max_steps}, starts={starts}, draws={draws}",
            "positive numbers",
            "chunk=250, max_steps=20_000, starts=4, draws=300",
        )
    given, arrays = divided(args, kwargs)
    problem = _Problem(model, guide, chunk, draws, given, batch)
    # NumPyro uses a key again where it looks at the structure of a model: JAX does not follow untyped keys
    start_key, draw_key, compare_key = jax.random.split(key, 3)
    start_keys = jax.random.key_data(jax.random.split(start_key, starts))
    try:
        programs = _kept_programs(problem) if given.hashable else _programs(problem)
        begun = programs.begin(start_keys, arrays)
    except VALUES_ASKED:  # a program of its own for these values, and these alone
        programs, arrays = _programs(replace(problem, given=given.with_values(arrays))), ()
        begun = programs.begin(start_keys, arrays)
    run = _Run(programs, arrays, jax.random.key_data(compare_key), max_steps, chunk, progress)
    try:
        state = begun
        for stage in range(STAGES):
            state = run.stage(state, learning_rate * STEP_RATIO**stage)
    except KeyboardInterrupt:
        if not run.losses:
            raise
        run.status = Status.INTERRUPTED
    run.compare_starts()
    sites = programs.draw(jax.random.key_data(draw_key), run.params, arrays)
    log_weights = -run.kept
    if isinstance(guide, type) and issubclass(guide, AutoLaplaceApproximation):  # fitted as a point, drawn as a normal
        log_weights = np.asarray(programs.weights(jax.random.key_data(draw_key), run.params, arrays), np.float64)
    return SviResult(
        params=_to_numpy(run.params),
        losses=np.concatenate(run.losses),
        bounds=run.bounds,
        bound=run.bound,
        error=run.error,
        draws=_to_numpy(sites),
        log_weights=log_weights,
        status=run.status,
    )


@dataclass(frozen=True)
class _Problem:
    """What programs are compiled for: everything but the values of the arrays among the arguments; 1 is not 1.0."""

    model: Callable[..., Any]
    guide: Callable[..., Any] | None
    chunk: int
    draws: int
    given: Arguments
    batch: tuple[int, int] | None

    def part(self, start: Any) -> AbstractContextManager[Any]:
        """Where a model and its guide see a batch of the pixels alone."""
        return nullcontext() if self.batch is None else Minibatch(batch_at(start, *self.batch))

    def starts(self, number: int) -> jax.Array:
        """Places of batches that together hold all pixels as often as one another, as far as that is possible."""
        batches = 1.0 if self.batch is None else self.batch[0] / self.batch[1]
        return jnp.asarray(np.floor(np.arange(number) % batches), jnp.int32)

    def prepared(self, key: jax.Array, arrays: tuple[Any, ...], rate: jax.Array | float = 0.0) -> tuple[SVI, Any]:
        """A guide that knows the model, and the state at the start; within a program what is not used costs nothing."""
        kind = AutoNormal if self.guide is None else self.guide
        guide = kind(self.model) if isinstance(kind, type) else copy.deepcopy(kind)
        svi = SVI(self.model, guide, Adam(rate), Trace_ELBO())
        args, kwargs = self.given.joined(arrays)
        with self.part(0):
            return svi, svi.init(key, *args, **kwargs)


class _Programs(NamedTuple):
    """Compiled once a shape of the arrays: starts, a chunk of steps of all, losses, draws, weights of a Laplace fit."""

    begin: Callable[..., Any]
    advance: Callable[..., Any]
    losses: Callable[..., Any]
    draw: Callable[..., Any]
    weights: Callable[..., Any]


def _programs(problem: _Problem) -> _Programs:
    any_key = jax.random.key_data(jax.random.key(0))

    @jax.jit
    def begin(keys: jax.Array, arrays: tuple[Any, ...]) -> Any:
        return jax.vmap(lambda key: problem.prepared(key, arrays)[1])(keys)

    @jax.jit
    def advance(current: Any, rate: jax.Array, arrays: tuple[Any, ...]) -> tuple[Any, tuple[jax.Array, Any]]:
        svi, (args, kwargs) = problem.prepared(any_key, arrays, rate)[0], problem.given.joined(arrays)

        def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], jax.Array]:
            state, sums = carry
            with problem.part(_any_place(state.rng_key, problem.batch)):
                state, loss = svi.stable_update(state, *args, **kwargs)
            return (state, jax.tree.map(jnp.add, sums, svi.optim.get_params(state.optim_state))), loss

        def steps(one: Any) -> tuple[Any, tuple[jax.Array, Any]]:
            zeros = jax.tree.map(jnp.zeros_like, svi.optim.get_params(one.optim_state))
            (state, sums), losses = jax.lax.scan(step, (one, zeros), length=problem.chunk)
            return state, (losses, svi.constrain_fn(jax.tree.map(lambda total: total / problem.chunk, sums)))

        return jax.vmap(steps)(current)

    @jax.jit
    def losses(key: jax.Array, params: dict[str, Any], arrays: tuple[Any, ...]) -> jax.Array:
        svi, (args, kwargs) = problem.prepared(any_key, arrays)[0], problem.given.joined(arrays)
        keys = jax.random.key_data(jax.random.split(jax.random.wrap_key_data(key), PARTICLES))

        def of(one: dict[str, Any]) -> jax.Array:
            def at(each: tuple[jax.Array, jax.Array]) -> jax.Array:
                with problem.part(each[1]):
                    return svi.loss.loss(each[0], one, svi.model, svi.guide, *args, **kwargs)

            return jax.lax.map(at, (keys, problem.starts(PARTICLES)))

        return jax.vmap(of)(params)

    @jax.jit
    def weights(key: jax.Array, params: dict[str, Any], arrays: tuple[Any, ...]) -> jax.Array:
        svi, (args, kwargs) = problem.prepared(any_key, arrays)[0], problem.given.joined(arrays)
        normal, place = svi.guide.get_posterior(params), f"{svi.guide.prefix}_loc"
        points = normal.sample(jax.random.wrap_key_data(key), (PARTICLES,))

        def density(point: jax.Array) -> jax.Array:
            return -svi.loss.loss(any_key, {**params, place: point}, svi.model, svi.guide, *args, **kwargs)

        return jax.lax.map(density, points) - normal.log_prob(points)

    @jax.jit
    def draw(key: jax.Array, params: dict[str, Any], arrays: tuple[Any, ...]) -> dict[str, Any]:
        svi, (args, kwargs) = problem.prepared(any_key, arrays)[0], problem.given.joined(arrays)
        if isinstance(svi.guide, AutoGuide):
            sites = svi.guide.sample_posterior(key, params, sample_shape=(problem.draws,))
        else:
            sites = Predictive(svi.guide, params=params, num_samples=problem.draws)(key, *args, **kwargs)
        return dict(sites)

    return _Programs(begin, advance, losses, draw, weights)


_kept_programs = lru_cache(PROGRAMS)(_programs)


def _any_place(key: Any, batch: tuple[int, int] | None) -> Any:
    """Where the batch of a step begins, by the key of the step."""
    if batch is None:
        return 0
    return jax.random.randint(jax.random.fold_in(jax.random.wrap_key_data(key), 1), (), 0, batch[0])


class _Run:
    """One fit: its budget of steps, the losses so far, the best parameters with theirs, and how it ended."""

    def __init__(
        self,
        programs: _Programs,
        arrays: tuple[Any, ...],
        key: jax.Array,
        max_steps: int,
        chunk: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.programs, self.arrays, self.key, self.progress = programs, arrays, key, progress
        self.max_steps, self.chunk = max_steps, chunk
        self.losses: list[npt.NDArray[np.float64]] = []
        self.params: dict[str, Any] = {}
        self.kept = self.bounds = np.empty(0)
        self.bound, self.error = -np.inf, np.inf
        self.status = Status.CONVERGED

    def stage(self, state: Any, rate: float) -> Any:
        """Chunks until two in a row gain next to nothing in any start; the state of the best start goes on."""
        if not self.status.ok:
            return state
        done, flat = len(self.losses), 0
        best = jax.tree.map(lambda leaf: leaf[None], self.params) if self.params else None
        reached = self.kept[None] if best is not None else np.empty(0)
        leader = 0
        try:
            while flat < SETTINGS.patience and self.status.ok:
                state, (part, params) = self.programs.advance(state, jnp.float32(rate), self.arrays)
                self.losses.append(np.asarray(part, np.float64))
                found = self._evaluated(params)
                gained = np.ones(len(found), bool) if best is None else _gained(reached, found)
                best = params if best is None else _chosen(gained, params, best)
                reached = found if not len(reached) else np.where(gained[:, None], found, reached)
                flat = 0 if gained.any() else flat + 1
                leader = int(np.argmin(_means(reached)))
                self._tick()
        finally:
            self.losses[done:] = [part[leader] for part in self.losses[done:]]
            if best is not None and len(reached):
                self._keep(best, reached, leader)
        return jax.tree.map(lambda leaf: leaf[leader : leader + 1], state)

    def compare_starts(self) -> None:
        """Say so where one start alone found the best bound."""
        if self.status.ok and len(self.bounds) > 1:
            apart = SETTINGS.agreement * _size(self.params) + SETTINGS.standard_errors * self.error
            if self.bounds[0] - self.bounds[1] > apart:
                self.status = Status.STARTS_DISAGREE

    def _evaluated(self, params: Any) -> npt.NDArray[np.float64]:
        """Losses of every start at the same draws, (start, particle)."""
        return np.asarray(self.programs.losses(self.key, params, self.arrays), np.float64)

    def _keep(self, best: Any, reached: npt.NDArray[np.float64], leader: int) -> None:
        self.params = jax.tree.map(lambda leaf: leaf[leader], best)
        self.kept = reached[leader]
        own = self.kept[np.isfinite(self.kept)]
        if len(own) > 1:
            self.bound, self.error = -float(own.mean()), float(own.std(ddof=1) / np.sqrt(len(own)))
        self.bounds = self.bounds if len(self.bounds) else -np.sort(_means(reached))

    def _tick(self) -> None:
        """Say how far the fit is, and end it where nothing can be done or no steps are left."""
        done = len(self.losses) * self.chunk
        if (np.isfinite(self.losses[-1]).mean(axis=1) < SETTINGS.fewest_finite).all():
            self.status = Status.DIVERGED
        elif done >= self.max_steps:
            self.status = Status.STEP_LIMIT
        if self.progress is not None:
            self.progress(min(done, self.max_steps), self.max_steps)


def _means(losses: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean loss of every start, infinite where too few draws have a finite one."""
    finite = np.isfinite(losses)
    sums = np.where(finite, losses, 0.0).sum(axis=1) / np.maximum(finite.sum(axis=1), 1)
    return np.where(finite.mean(axis=1) >= SETTINGS.fewest_finite, sums, np.inf)


def _gained(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which starts gained more than the noise of the difference, draw by draw."""
    finite = np.isfinite(before) & np.isfinite(after)
    number = np.maximum(finite.sum(axis=1), 2)
    gains = np.where(finite, np.where(finite, before, 0.0) - np.where(finite, after, 0.0), 0.0)
    mean = gains.sum(axis=1) / number
    variance = np.where(finite, np.square(gains - mean[:, None]), 0.0).sum(axis=1) / (number - 1)
    enough = mean > np.maximum(SETTINGS.standard_errors * np.sqrt(variance / number), SETTINGS.least_gain)
    return enough | (np.isinf(_means(before)) & np.isfinite(_means(after)))


def _chosen(which: npt.NDArray[np.bool_], new: Any, old: Any) -> Any:
    """The new values of some starts, the old ones of the others."""
    return jax.tree.map(lambda a, b: jnp.where(which.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, old)


def _size(params: Mapping[str, Any]) -> int:
    return sum(int(np.size(value)) for value in jax.tree.leaves(dict(params)))


def _to_numpy(tree: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    return dict(jax.tree.map(np.asarray, dict(tree)))
