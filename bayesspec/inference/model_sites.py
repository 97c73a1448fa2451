"""What a NumPyro model holds: its sites and their shapes, found by running it once, and what cannot be fitted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpyro import handlers

from bayesspec.errors import InputError


@dataclass(frozen=True)
class ModelSites:
    """Shapes of the sites of a model.

    Parameters
    ----------
    latent : dict of str to tuple of int
        What is not known.
    deterministic : dict of str to tuple of int
        What the model computes of it.
    parameters : tuple of str
        Parameters without a prior, which are optimised.
    observed : dict of str to tuple of int
        The data.
    """

    latent: dict[str, tuple[int, ...]]
    deterministic: dict[str, tuple[int, ...]]
    parameters: tuple[str, ...]
    observed: dict[str, tuple[int, ...]]

    @property
    def size(self) -> int:
        """Number of unknown numbers."""
        return sum(math.prod(shape) for shape in self.latent.values())


def model_sites(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], *, key: jax.Array
) -> ModelSites:
    """Run a model once, from its prior, and refuse what cannot be fitted.

    Parameters
    ----------
    model : callable
        NumPyro program.
    args, kwargs : tuple, mapping
        Its arguments.
    key : jax.Array
        Random key.

    Returns
    -------
    ModelSites
        Its sites.

    Raises
    ------
    InputError
        When a site that is not observed is discrete, nothing is observed or nothing unknown, data lie outside the
        support of their distribution, or a probability is not finite.
    """
    trace = handlers.trace(handlers.seed(model, jax.random.key_data(key))).get_trace(*args, **dict(kwargs))
    sampled = {name: site for name, site in trace.items() if site["type"] == "sample"}
    latent = {name: site for name, site in sampled.items() if not site["is_observed"]}
    observed = {name: site for name, site in sampled.items() if site["is_observed"]}
    for name, site in latent.items():
        if site["fn"].support.is_discrete:
            raise InputError(
                f"the discrete site {name!r}, which gradients cannot follow",
                "a model in which it is summed out",
                "numpyro.distributions.MixtureGeneral(dist.Categorical(probs), [...]) in its place",
            )
    if not latent or not observed:
        missing = "no unknown site" if not latent else "no observed site"
        raise InputError(f"a model with {missing}", "both", "numpyro.sample('counts', ..., obs=counts)")
    for name, site in observed.items():
        _check_data(name, site)
    return ModelSites(
        {name: np.shape(site["value"]) for name, site in latent.items()},
        {name: np.shape(site["value"]) for name, site in trace.items() if site["type"] == "deterministic"},
        tuple(name for name, site in trace.items() if site["type"] == "param"),
        {name: np.shape(site["value"]) for name, site in observed.items()},
    )


def _check_data(name: str, site: Mapping[str, Any]) -> None:
    """Refuse data that the distribution cannot produce."""
    inside = np.asarray(site["fn"].support(site["value"]))
    if not inside.all():
        raise InputError(
            f"{int((~inside).sum()):,} values of the site {name!r} outside the support of its distribution",
            "data that it can produce, such as counts for a Poisson",
            "another distribution, or a mask: numpyro.handlers.mask(mask=valid)",
        )
    density = np.asarray(site["fn"].log_prob(site["value"]))
    if not np.isfinite(density).any():
        raise InputError(
            f"no finite probability of the site {name!r} at a draw from the prior",
            "a model under which the data are possible",
            "a floor below rates, such as rate + 1e-10, or priors nearer to the data",
        )
