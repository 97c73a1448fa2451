"""What a NumPyro model says draw by draw: its deterministic sites, data that it predicts, likelihoods of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import numpyro.distributions as dist
from numpyro import handlers

from bayesspec.inference.model_arguments import VALUES_ASKED, Arguments, divided

PROGRAMS = 32
"""Compiled programs that are kept."""
Draws = Mapping[str, npt.NDArray[Any]]
_Question = Callable[..., dict[str, Any]]


def deterministic_draws(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], draws: Draws, names: tuple[str, ...]
) -> dict[str, npt.NDArray[Any]]:
    """Compute the deterministic sites of every draw.

    Parameters
    ----------
    model : callable
        NumPyro program.
    args, kwargs : tuple, mapping
        Its arguments.
    draws : mapping of str to array (draw, ...)
        Draws of the unknown sites.
    names : tuple of str
        What to compute.

    Returns
    -------
    dict of str to numpy.ndarray (draw, ...)
        Draws of them.
    """
    if not names:
        return {}
    keys = np.zeros((len(next(iter(draws.values()))), 2), np.uint32)
    return _asked(_values, model, args, kwargs, keys, draws, names)


def simulated(
    model: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    names: tuple[str, ...],
    *,
    key: jax.Array,
    number: int,
    draws: Draws | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Draw sites of a model as if nothing had been observed.

    Parameters
    ----------
    model : callable
        NumPyro program.
    args, kwargs : tuple, mapping
        Its arguments; of the data only the shapes count, unless the model looks at their values.
    names : tuple of str
        What to return, observed sites among them.
    key : jax.Array
        Random key.
    number : int
        How many draws.
    draws : mapping of str to array (number, ...), or None
        Values of unknown sites, such as posterior draws; ``None`` to draw them from the prior.

    Returns
    -------
    dict of str to numpy.ndarray (number, ...)
        Draws.
    """
    keys = np.asarray(jax.random.key_data(jax.random.split(key, number)))
    return _asked(_unobserved, model, args, kwargs, keys, draws or {}, names)


def log_likelihoods(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], draws: Draws, names: tuple[str, ...]
) -> dict[str, npt.NDArray[Any]]:
    """Log likelihood of the data, entry by entry and draw by draw; by pixel where the model has (pixel, channel).

    Parameters
    ----------
    model : callable
        NumPyro program.
    args, kwargs : tuple, mapping
        Its arguments.
    draws : mapping of str to array (draw, ...)
        Draws of the unknown sites.
    names : tuple of str
        Observed sites.

    Returns
    -------
    dict of str to numpy.ndarray (draw, ...), float
        Nats, summed over the last dim of sites of two dims and more.
    """
    keys = np.zeros((len(next(iter(draws.values()))), 2), np.uint32)
    return _asked(_likelihoods, model, args, kwargs, keys, draws, names)


def observed_values(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], names: tuple[str, ...]
) -> dict[str, npt.NDArray[Any]]:
    """The data as the model observes them.

    Parameters
    ----------
    model : callable
        NumPyro program.
    args, kwargs : tuple, mapping
        Its arguments.
    names : tuple of str
        Observed sites.

    Returns
    -------
    dict of str to numpy.ndarray
        Their values.
    """
    found = _asked(_values, model, args, kwargs, np.zeros((1, 2), np.uint32), {}, names)
    return {name: values[0] for name, values in found.items()}


def _asked(
    question: _Question,
    model: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    keys: npt.NDArray[np.uint32],
    draws: Draws,
    names: tuple[str, ...],
) -> dict[str, npt.NDArray[Any]]:
    """Put one question to the model at every draw, by a program that is kept."""
    given, arrays = divided(args, kwargs)
    sites = {name: jnp.asarray(values) for name, values in draws.items()}
    try:
        program = (_kept_program if given.hashable else _program)(question, model, given, names)
        found = program(keys, sites, arrays)
    except VALUES_ASKED:  # a program of its own for these values, and these alone
        found = _program(question, model, given.with_values(arrays), names)(keys, sites, ())
    return {name: np.asarray(values) for name, values in found.items()}


def _program(
    question: _Question, model: Callable[..., Any], given: Arguments, names: tuple[str, ...]
) -> Callable[..., Any]:
    @jax.jit
    def compute(keys: jax.Array, draws: Mapping[str, jax.Array], arrays: tuple[Any, ...]) -> Any:
        args, kwargs = given.joined(arrays)

        def of(one: tuple[jax.Array, Mapping[str, jax.Array]]) -> dict[str, Any]:
            return question(model, args, kwargs, names, *one)

        return jax.lax.map(of, (keys, dict(draws)))

    return compute


_kept_program = lru_cache(PROGRAMS)(_program)


def _traced(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], key: jax.Array, values: Any
) -> Mapping[str, Any]:
    seeded = handlers.seed(handlers.condition(model, data=dict(values)), key)
    return dict(handlers.trace(seeded).get_trace(*args, **kwargs))


def _values(model: Any, args: Any, kwargs: Any, names: tuple[str, ...], key: Any, one: Any) -> dict[str, Any]:
    trace = _traced(model, args, kwargs, key, one)
    return {name: trace[name]["value"] for name in names}


def _unobserved(model: Any, args: Any, kwargs: Any, names: tuple[str, ...], key: Any, one: Any) -> dict[str, Any]:
    return _values(handlers.uncondition(model), args, kwargs, names, key, one)


def _likelihoods(model: Any, args: Any, kwargs: Any, names: tuple[str, ...], key: Any, one: Any) -> dict[str, Any]:
    trace = _traced(model, args, kwargs, key, one)
    return {name: _by_entry(trace[name]) for name in names}


def _by_entry(site: Mapping[str, Any]) -> jax.Array:
    distribution = site["fn"]
    while isinstance(distribution, dist.Independent):
        distribution = distribution.base_dist
    nats = distribution.log_prob(site["value"])
    dims = jnp.ndim(site["value"])
    return nats.sum(axis=-1) if dims > 1 and nats.ndim == dims else nats
