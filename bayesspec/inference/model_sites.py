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
from bayesspec.inference.minibatches import PLATE, Minibatch, batch_at, in_plate


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
    model: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    key: jax.Array,
    batch: tuple[int, int] | None = None,
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
    batch : tuple of two int, or None
        Pixels of the image, and of a batch that the model is run on; None to run it on all.

    Returns
    -------
    ModelSites
        Its sites, with the shapes that they have on all pixels.

    Raises
    ------
    InputError
        When a site that is not observed is discrete, nothing is observed or nothing unknown, data lie outside the
        support of their distribution, a probability is not finite, or a model of batches has no plate over its pixels.
    """
    seeded = handlers.trace(handlers.seed(model, jax.random.key_data(key)))
    trace = seeded.get_trace(*args, **dict(kwargs)) if batch is None else _of_batch(seeded, args, kwargs, batch)
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
        {name: _shape(site, batch) for name, site in latent.items()},
        {name: _shape(site, batch) for name, site in trace.items() if site["type"] == "deterministic"},
        tuple(name for name, site in trace.items() if site["type"] == "param"),
        {name: _shape(site, batch) for name, site in observed.items()},
    )


def _of_batch(model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], batch: tuple[int, int]) -> Any:
    """Run the model on a batch of its pixels; refuse one that cannot be divided."""
    pixels, size = batch
    try:
        with Minibatch(batch_at(0, pixels, size)):
            trace = model.get_trace(*args, **dict(kwargs))
    except (ValueError, TypeError, AssertionError) as error:
        reason = f"{type(error).__name__}: {str(error)[:120]}"
        raise InputError(
            f"a model that does not run on {size:,} of its {pixels:,} pixels ({reason})",
            f"inside the plate {PLATE!r} nothing that is as long as all pixels, but for the counts",
            "known = numpyro.subsample(known, event_dim=0), inside the plate",
        ) from error
    plate = trace.get(PLATE, {"type": ""})
    if plate["type"] != "plate" or plate["args"][0] != pixels:
        raise InputError(
            f"batch_size={size} for a model without a plate {PLATE!r} of its {pixels:,} pixels",
            "one around what belongs to single pixels, the counts among it",
            f"with numpyro.plate({PLATE!r}, len(counts)): ...",
        )
    if not any(site["type"] == "sample" and site["is_observed"] and in_plate(site) for site in trace.values()):
        raise InputError(
            f"batch_size={size} for a model that observes nothing inside the plate {PLATE!r}",
            "its counts there, pixel by pixel",
            f"with numpyro.plate({PLATE!r}, len(counts)): numpyro.sample('counts', ...to_event(1), obs=counts)",
        )
    return trace


def _shape(site: Mapping[str, Any], batch: tuple[int, int] | None) -> tuple[int, ...]:
    """Shape of a site on all pixels, whose model was run on a batch."""
    shape = list(np.shape(site["value"]))
    if batch is None:
        return tuple(shape)
    if site["type"] == "deterministic" and shape and shape[0] == batch[1]:
        shape[0] = batch[0]
    elif site["type"] == "sample":
        for frame in site["cond_indep_stack"]:
            if frame.name == PLATE:
                shape[frame.dim - site["fn"].event_dim] = batch[0]
    return tuple(shape)


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
