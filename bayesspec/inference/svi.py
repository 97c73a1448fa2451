"""Stochastic variational inference of any NumPyro model: one compiled loop and a stopping rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
        Its arguments.
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
    kwargs = dict(kwargs or {})
    guide = AutoNormal(model) if guide is None else guide
    svi = SVI(model, guide, Adam(learning_rate), Trace_ELBO())
    start_key, draw_key = jax.random.split(key)
    state = svi.init(start_key, *args, **kwargs)

    @jax.jit
    def advance(current: Any) -> tuple[Any, tuple[jax.Array, Any]]:
        def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], jax.Array]:
            state, sums = carry
            state, loss = svi.stable_update(state, *args, **kwargs)
            return (state, jax.tree.map(jnp.add, sums, svi.optim.get_params(state.optim_state))), loss

        zeros = jax.tree.map(jnp.zeros_like, svi.optim.get_params(current.optim_state))
        (state, sums), losses = jax.lax.scan(step, (current, zeros), length=chunk)
        return state, (losses, svi.constrain_fn(jax.tree.map(lambda total: total / chunk, sums)))

    params, losses, status = _loop(advance, state, svi.get_params(state), chunk, max_steps, tolerance, progress)
    sites = _draw(guide, model, params, draw_key, draws, args, kwargs)
    return SviResult(_to_numpy(params), losses, sites, status)


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


def _draw(
    guide: Callable[..., Any],
    model: Callable[..., Any],
    params: dict[str, Any],
    key: jax.Array,
    draws: int,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> dict[str, npt.NDArray[Any]]:
    """Draw every latent site, and what the model computes from them."""
    if isinstance(guide, AutoGuide):
        return _to_numpy(guide.sample_posterior(key, params, sample_shape=(draws,)))
    sites = Predictive(guide, params=params, num_samples=draws)(key, *args, **kwargs)
    return _to_numpy(sites)


def _to_numpy(tree: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    return {name: np.asarray(jnp.asarray(value)) for name, value in tree.items()}
