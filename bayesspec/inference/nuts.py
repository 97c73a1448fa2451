"""NUTS for any NumPyro model: draws, and whether its chains agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import NUTS, init_to_median

from bayesspec.inference.model_arguments import VALUES_ASKED, Arguments, divided
from bayesspec.inference.status import Status

CHAINS = 4
"""Chains, run at once."""
WARMUP = 500
"""Sweeps of a chain before its first draw."""
LARGEST_R_HAT = 1.05
"""Split R-hat above which the chains are said to disagree (1.01 for long runs: Vehtari et al. 2021,
doi:10.1214/20-BA1221; `python benchmarks/framework.py hierarchical` compares intervals with those of a long run)."""
FEWEST_INDEPENDENT = 100.0
"""Independent draws of the slowest site below which intervals are not given out as good: their ends then have a Monte
Carlo error of a quarter of a standard deviation (``python benchmarks/framework.py hierarchical``)."""
FEWEST_OF_A_CHAIN = 4
"""Draws of a chain: two halves are compared, and each needs two."""
PROGRAMS = 16
"""Models whose compiled samplers are kept."""
STATISTICS: Mapping[str, Callable[[Any], Any]] = {
    "diverging": lambda state: state.diverging,
    "step_size": lambda state: state.adapt_state.step_size,
    "n_steps": lambda state: state.num_steps,
    "energy": lambda state: state.energy,
    "lp": lambda state: -state.potential_energy,
    "acceptance_rate": lambda state: state.accept_prob,
}
"""What is kept of every draw beside it, by the names of ArviZ."""


@dataclass(frozen=True)
class NutsResult:
    """Outcome of a run.

    Parameters
    ----------
    draws : dict of str to numpy.ndarray (draw, ...)
        Draws of every unknown site, chain after chain.
    r_hat, effective : float
        Largest split R-hat and smallest effective sample size of any site.
    divergences : int
        Number of divergent transitions.
    status : Status
        How it ended.
    chains : int
        Chains, each of as many draws, all together as many as were asked for or a few more.
    statistics : dict of str to numpy.ndarray (draw,)
        Of every draw: whether it diverged, step size, steps, energy and log density.
    """

    draws: dict[str, npt.NDArray[Any]]
    r_hat: float
    effective: float
    divergences: int
    status: Status
    chains: int
    statistics: dict[str, npt.NDArray[Any]]


def run_nuts(
    model: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    key: jax.Array,
    draws: int = 1000,
    warmup: int = WARMUP,
    chains: int = CHAINS,
) -> NutsResult:
    """Sample the posterior of a NumPyro model.

    Parameters
    ----------
    model : callable
        NumPyro program without discrete unknown sites.
    args, kwargs : tuple, mapping
        Its arguments.
    key : jax.Array
        Random key.
    draws : int
        Number of draws, all chains together, rounded up to the same number in every chain.
    warmup, chains : int
        Sweeps before the first draw, and chains.

    Returns
    -------
    NutsResult
        Draws and diagnostics.

    Notes
    -----
    Source: Hoffman & Gelman (2014), J. Mach. Learn. Res. 15, 1593, as NumPyro implements it.
    """
    given, arrays = divided(args, kwargs)
    problem = _Problem(model, max(FEWEST_OF_A_CHAIN, -(-draws // chains)), warmup, given)
    keys = jax.random.key_data(jax.random.split(key, chains))
    try:
        found, statistics = (_kept_program if given.hashable else _program)(problem)(keys, arrays)
    except VALUES_ASKED:  # a program of its own for these values, and these alone
        found, statistics = _program(replace(problem, given=given.with_values(arrays)))(keys, ())
    found, statistics = ({name: np.asarray(v) for name, v in part.items()} for part in (found, statistics))
    r_hat, effective = _mixing(found)
    agree = r_hat <= LARGEST_R_HAT and effective >= FEWEST_INDEPENDENT
    divergences = int(statistics["diverging"].sum())
    status = Status.CONVERGED if agree else Status.CHAINS_DISAGREE
    return NutsResult(_in_line(found), r_hat, effective, divergences, status, chains, _in_line(statistics))


def _mixing(found: Mapping[str, npt.NDArray[Any]]) -> tuple[float, float]:
    """Largest split R-hat and fewest independent draws, of what is not the same in all draws."""
    moving = [values for values in found.values() if np.ptp(values) > 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        r_hat = max((float(np.nanmax(split_gelman_rubin(values))) for values in moving), default=np.inf)
        effective = min((float(np.nanmin(effective_sample_size(values))) for values in moving), default=0.0)
    return r_hat, effective


def _in_line(found: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """One chain after the other."""
    return {name: values.reshape(-1, *values.shape[2:]) for name, values in found.items()}


@dataclass(frozen=True)
class _Problem:
    """What a sampler is compiled for: everything but the values of the arrays among the arguments."""

    model: Callable[..., Any]
    draws: int
    warmup: int
    given: Arguments


def _program(problem: _Problem) -> Callable[..., Any]:
    """All chains, compiled: NumPyro's kernel, its adaptation included, in a loop that is kept."""

    def chain(key: jax.Array, arrays: tuple[Any, ...]) -> Any:
        args, kwargs = problem.given.joined(arrays)
        kernel = NUTS(problem.model, init_strategy=init_to_median(num_samples=15))
        state = kernel.init(key, problem.warmup, None, args, kwargs)

        def advance(state: Any, _: None) -> tuple[Any, tuple[Any, dict[str, Any]]]:
            state = kernel.sample(state, args, kwargs)
            kept = {name: getter(state) for name, getter in STATISTICS.items()}
            return state, (kernel.postprocess_fn(args, kwargs)(state.z), kept)

        state = jax.lax.fori_loop(0, problem.warmup, lambda _, state: kernel.sample(state, args, kwargs), state)
        return jax.lax.scan(advance, state, length=problem.draws)[1]

    return jax.jit(jax.vmap(chain, in_axes=(0, None)))


_kept_program = lru_cache(PROGRAMS)(_program)
