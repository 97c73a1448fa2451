"""Fit of any NumPyro model by variational inference, with labelled draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import xarray as xr
from tqdm import tqdm

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.checksum import checksum
from bayesspec.inference.random_keys import random_key, seed_for
from bayesspec.inference.svi import run_svi
from bayesspec.results.dataset import Frame
from bayesspec.results.model_fit import ModelFit
from bayesspec.results.result import FitError


class Model(Protocol):
    """A module or object that holds a generative model.

    Attributes
    ----------
    DIMS : mapping of str to sequence of str
        Names of the dims of every site.
    model : callable
        The NumPyro program; its first argument is the counts.
    """

    DIMS: Mapping[str, Sequence[str]]
    model: Callable[..., Any]


@checked_arguments()
def fit(
    model: Model,
    counts: Any,
    *,
    seed: int = 0,
    draws: int = 1000,
    max_steps: int = 20_000,
    strict: bool = False,
    **hyperparameters: Any,
) -> ModelFit:
    """Fit a NumPyro model to counts by stochastic variational inference with a mean-field normal guide.

    Mean-field intervals ignore correlations and are as a rule too short; hand ``model.model`` to
    ``numpyro.infer.MCMC`` to check them. `segment` and `unmix` use engines without this defect.

    Parameters
    ----------
    model : module or object with ``DIMS`` and ``model``
        The generative model.
    counts : array
        Its first argument, of the shape that the model asks for.
    seed : int
        Seed of the fit and of the draws.
    draws : int
        Number of posterior draws.
    max_steps : int
        Largest number of optimisation steps.
    strict : bool
        Raise when the fit did not converge.
    **hyperparameters
        Further arguments of the model.

    Returns
    -------
    ModelFit
        Draws of every site, with the dims of ``DIMS``.

    Raises
    ------
    InputError
        When `model` lacks ``DIMS`` or ``model``, or DIMS does not fit a site.
    FitError
        When `strict` and the fit did not converge.
    """
    if not hasattr(model, "DIMS") or not callable(getattr(model, "model", None)):
        raise InputError(
            f"{model!r} without DIMS or without a function called model",
            "a module with DIMS and model(counts, ...)",
            "from bayesspec.models import poisson_nmf; bs.fit(poisson_nmf, counts, rank=3)",
        )
    counts = np.asarray(counts)
    data = checksum("array", counts)
    with _own_model(model), tqdm(total=max_steps, desc="fit", disable=None, leave=False) as bar:
        found = run_svi(
            model.model,
            (counts,),
            hyperparameters,
            key=random_key(seed_for(seed, data)),
            draws=draws,
            max_steps=max_steps,
            progress=lambda done, _: bar.update(done - bar.n),
        )
    if strict and not found.status.ok:
        raise FitError(str(found.status))
    sites = {name: _labelled(name, values, model.DIMS) for name, values in found.draws.items()}
    return ModelFit.from_values(
        sites,
        Frame(checksum=data),
        name=getattr(model, "__name__", type(model).__name__).rsplit(".", 1)[-1],
        method="stochastic variational inference, mean-field normal",
        verdict=f"draws of {', '.join(sites)}",
        status=found.status,
        settings={"seed": seed, "draws": draws, "steps": len(found.losses), "loss": float(found.losses[-1])},
    )


@contextmanager
def _own_model(model: Model) -> Iterator[None]:
    """Say that it was the user's model that raised."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        name = getattr(model, "__name__", type(model).__name__)
        raise InputError(
            f"the model {name}, which raised {type(error).__name__}: {str(error)[:200]}",
            "a model that takes these counts and hyperparameters",
            "numpyro.handlers.seed(model.model, 0)(counts, ...), to see where",
        ) from error


def _labelled(name: str, values: Any, dims: Mapping[str, Sequence[str]]) -> xr.DataArray:
    own = tuple(dims.get(name, ()))
    if np.ndim(values) != 1 + len(own):
        raise InputError(
            f"the site {name!r} of shape {np.shape(values)[1:]} with DIMS {own}",
            "one name in DIMS for every dimension of a site",
            f"DIMS = {{{name!r}: ({', '.join(repr(f'dim_{i}') for i in range(np.ndim(values) - 1))},)}}",
        )
    return xr.DataArray(values, dims=("draw", *own))
