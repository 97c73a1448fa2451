"""NUTS for any NumPyro model: draws, and whether its chains agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS, init_to_median

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
    """

    draws: dict[str, npt.NDArray[Any]]
    r_hat: float
    effective: float
    divergences: int
    status: Status


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
        Number of draws, all chains together.
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
    kernel = NUTS(model, init_strategy=init_to_median(num_samples=15))
    sampler = MCMC(
        kernel,
        num_warmup=warmup,
        num_samples=-(-draws // chains),
        num_chains=chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    sampler.run(jax.random.key_data(key), *args, extra_fields=("diverging",), **dict(kwargs or {}))
    found = {name: np.asarray(values) for name, values in sampler.get_samples(group_by_chain=True).items()}
    r_hat = max(float(np.nanmax(split_gelman_rubin(values))) for values in found.values())
    effective = min(float(np.nanmin(effective_sample_size(values))) for values in found.values())
    agree = r_hat <= LARGEST_R_HAT and effective >= FEWEST_INDEPENDENT
    divergences = int(np.asarray(sampler.get_extra_fields()["diverging"]).sum())
    joined = {name: values.reshape(-1, *values.shape[2:])[:draws] for name, values in found.items()}
    return NutsResult(joined, r_hat, effective, divergences, Status.CONVERGED if agree else Status.CHAINS_DISAGREE)
