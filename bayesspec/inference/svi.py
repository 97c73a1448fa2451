"""Stochastic variational inference of any NumPyro model: one compiled loop and a stopping rule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from numpyro.infer import SVI, Predictive, Trace_ELBO
from numpyro.infer.autoguide import AutoGuide, AutoNormal
from numpyro.optim import Adam

from bayesspec.errors import InputError
from bayesspec.inference.status import Status

PATIENCE = 3
"""Chunks without a better mean loss after which the fit stops."""
FEWEST_TAKEN = 0.5
"""Share of the steps of a chunk that must have a finite gradient; the others are not taken."""
PROGRAMS = 16
"""Models whose compiled programs are kept."""
VALUES_ASKED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
"""What JAX raises where a program asks for the values of an array, and not for its shape alone."""
_ARRAY = object()


@dataclass(frozen=True)
class SviResult:
    """Outcome of a variational fit.

    Parameters
    ----------
    params : dict of str to numpy.ndarray
        Parameters of the guide (and of the model), by name.
    losses : numpy.ndarray (step,), float64
        Negative evidence lower bound at each step, nats; not finite where the step was left out.
    draws : dict of str to numpy.ndarray (draw, ...)
        Draws of every latent site from the guide.
    status : Status
        How the fit ended.
    """

    params: dict[str, npt.NDArray[Any]]
    losses: npt.NDArray[np.float64]
    draws: dict[str, npt.NDArray[Any]]
    status: Status


def run_svi(
    model: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    key: jax.Array,
    guide: Callable[..., Any] | None = None,
    learning_rate: float = 0.01,
    chunk: int = 500,
    max_steps: int = 20_000,
    tolerance: float = 1e-4,
    draws: int = 300,
    progress: Callable[[int, int], None] | None = None,
) -> SviResult:
    """Fit a guide to the posterior of a NumPyro model.

    The mean loss of each chunk of steps is compared with the best so far; the fit stops after three chunks that
    improve it by less than the tolerance. The parameters are the mean over these chunks, which
    takes out the jitter of the stochastic gradient. Steps whose gradient is not finite are left out.

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
        NumPyro guide; a mean-field normal one when not given.
    learning_rate : float
        Step size of Adam.
    chunk : int
        Steps per compiled call.
    max_steps : int
        Most steps.
    tolerance : float
        Improvement of the mean loss that counts, in parts of the range of mean losses so far.
    draws : int
        Number of draws from the guide.
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
    if min(chunk, max_steps, draws) < 1:
        raise InputError(
            f"chunk={chunk}, max_steps={max_steps}, draws={draws}", "positive numbers", "chunk=500, draws=300"
        )
    leaves, tree = jax.tree.flatten((args, dict(kwargs or {})))
    arrays = tuple(leaf for leaf in leaves if _is_array(leaf))
    fixed = tuple(_ARRAY if _is_array(leaf) else leaf for leaf in leaves)
    kinds = tuple(type(leaf) for leaf in leaves)
    problem = _Problem(model, guide, learning_rate, chunk, draws, tree, fixed, kinds)
    # NumPyro uses a key again where it looks at the structure of a model: JAX does not follow untyped keys
    start_key, draw_key = (jax.random.key_data(each) for each in jax.random.split(key))
    try:
        programs = _kept_programs(problem) if _hashable(problem) else _programs(problem)
        state, first = programs.begin(start_key, arrays)
    except VALUES_ASKED:  # a program of its own for these values, and these alone
        programs, arrays = _programs(replace(problem, fixed=tuple(leaves))), ()
        state, first = programs.begin(start_key, arrays)

    def advance(current: Any) -> tuple[Any, tuple[jax.Array, Any]]:
        return programs.advance(current, arrays)

    params, losses, status = _loop(advance, state, first, chunk, max_steps, tolerance, progress)
    sites = programs.draw(draw_key, params, arrays)
    return SviResult(_to_numpy(params), losses, _to_numpy(sites), status)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | jax.Array)


def _hashable(problem: _Problem) -> bool:
    try:
        hash(problem)
    except TypeError:
        return False
    return True


@dataclass(frozen=True)
class _Problem:
    """What programs are compiled for: everything but the values of the arrays among the arguments; 1 is not 1.0."""

    model: Callable[..., Any]
    guide: Callable[..., Any] | None
    learning_rate: float
    chunk: int
    draws: int
    tree: Any
    fixed: tuple[Any, ...]
    kinds: tuple[type, ...]

    def arguments(self, arrays: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and named arguments, the arrays in their places."""
        left = iter(arrays)
        return jax.tree.unflatten(self.tree, [next(left) if leaf is _ARRAY else leaf for leaf in self.fixed])

    def prepared(self, key: jax.Array, arrays: tuple[Any, ...]) -> tuple[SVI, Any]:
        """A guide that knows the model, and the state at the start; within a program what is not used costs nothing."""
        guide = AutoNormal(self.model) if self.guide is None else copy.deepcopy(self.guide)
        svi = SVI(self.model, guide, Adam(self.learning_rate), Trace_ELBO())
        args, kwargs = self.arguments(arrays)
        return svi, svi.init(key, *args, **kwargs)


class _Programs(NamedTuple):
    """Compiled once a shape of the arrays: the start, a chunk of steps, the draws."""

    begin: Callable[..., Any]
    advance: Callable[..., Any]
    draw: Callable[..., Any]


def _programs(problem: _Problem) -> _Programs:
    any_key = jax.random.key_data(jax.random.key(0))

    @jax.jit
    def begin(key: jax.Array, arrays: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
        svi, state = problem.prepared(key, arrays)
        return state, svi.get_params(state)

    @jax.jit
    def advance(current: Any, arrays: tuple[Any, ...]) -> tuple[Any, tuple[jax.Array, Any]]:
        svi, (args, kwargs) = problem.prepared(any_key, arrays)[0], problem.arguments(arrays)

        def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], jax.Array]:
            state, sums = carry
            state, loss = svi.stable_update(state, *args, **kwargs)
            return (state, jax.tree.map(jnp.add, sums, svi.optim.get_params(state.optim_state))), loss

        zeros = jax.tree.map(jnp.zeros_like, svi.optim.get_params(current.optim_state))
        (state, sums), losses = jax.lax.scan(step, (current, zeros), length=problem.chunk)
        return state, (losses, svi.constrain_fn(jax.tree.map(lambda total: total / problem.chunk, sums)))

    @jax.jit
    def draw(key: jax.Array, params: dict[str, Any], arrays: tuple[Any, ...]) -> dict[str, Any]:
        svi, (args, kwargs) = problem.prepared(any_key, arrays)[0], problem.arguments(arrays)
        if isinstance(svi.guide, AutoGuide):
            sites = svi.guide.sample_posterior(key, params, sample_shape=(problem.draws,))
        else:
            sites = Predictive(svi.guide, params=params, num_samples=problem.draws)(key, *args, **kwargs)
        return dict(sites)

    return _Programs(begin, advance, draw)


_kept_programs = lru_cache(PROGRAMS)(_programs)


def _loop(
    advance: Callable[[Any], tuple[Any, tuple[jax.Array, Any]]],
    state: Any,
    first: dict[str, Any],
    chunk: int,
    max_steps: int,
    tolerance: float,
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[str, Any], npt.NDArray[np.float64], Status]:
    """Advance by chunks until the mean loss of a chunk no longer falls."""
    best, highest, plateau, losses, done = np.inf, -np.inf, [first], [], 0
    status = Status.STEP_LIMIT
    try:
        while done < max_steps and status is Status.STEP_LIMIT:
            state, (part, params) = advance(state)
            losses.append(np.asarray(part, np.float64))
            taken = np.isfinite(losses[-1])
            if taken.mean() < FEWEST_TAKEN:
                status = Status.DIVERGED
                break
            done, mean = done + chunk, float(losses[-1][taken].mean())
            highest = max(highest, mean)
            fell = best - mean > tolerance * abs(highest - min(best, mean))
            plateau = [params] if fell or not np.isfinite(best) else [*plateau, params]
            best = min(best, mean)
            status = Status.CONVERGED if len(plateau) > PATIENCE else status
            if progress is not None:
                progress(min(done, max_steps), max_steps)
    except KeyboardInterrupt:
        if not losses:
            raise
        status = Status.INTERRUPTED
    means = jax.tree.map(lambda *each: sum(each) / len(each), *plateau)
    return means, np.concatenate(losses), status


def _to_numpy(tree: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    return {name: np.asarray(jnp.asarray(value)) for name, value in tree.items()}
