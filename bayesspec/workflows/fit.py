"""Fit of any NumPyro model of counts: by the engine that knows it, by NUTS, or by variational inference."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import numpy.typing as npt
import xarray as xr
from numpyro.infer import autoguide
from tqdm import tqdm

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import as_image, checked_arguments
from bayesspec.image.checksum import checksum
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.after_sampling import Step, with_steps
from bayesspec.inference.model_sites import ModelSites, model_sites
from bayesspec.inference.nuts import run_nuts
from bayesspec.inference.predictive import deterministic_draws, log_likelihoods, observed_values, simulated
from bayesspec.inference.random_keys import random_key, seed_for
from bayesspec.inference.status import Status
from bayesspec.inference.svi import run_svi
from bayesspec.models import composition_mixture, poisson_nmf, poisson_pca
from bayesspec.results.dataset import Frame, pixel_coords
from bayesspec.results.model_fit import WIDEST_PARETO_K, ModelFit, pareto_k
from bayesspec.results.result import Result, as_it_ended
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.line_maps import LineMaps
from bayesspec.workflows.pca import pca
from bayesspec.workflows.segment import segment
from bayesspec.workflows.unmixing.unmix import unmix

GUIDES: Mapping[str, Callable[..., Any]] = {
    "svi": autoguide.AutoNormal,
    "low-rank": autoguide.AutoLowRankMultivariateNormal,
    "full-rank": autoguide.AutoMultivariateNormal,
    "flow": autoguide.AutoBNAFNormal,
    "laplace": autoguide.AutoLaplaceApproximation,
}
"""Families of variational inference by name, NumPyro's own."""
METHODS = {
    "svi": "variational inference, mean-field normal",
    "low-rank": "variational inference, normal of low rank",
    "full-rank": "variational inference, normal",
    "flow": "variational inference, normalising flow",
    "laplace": "Laplace approximation",
    "guide": "variational inference, guide of the caller",
    "nuts": "NUTS",
}
INFERENCE = ("auto", "engine", "nuts", *GUIDES)
NUTS_LARGEST = 300
"""Unknown numbers up to which `auto` samples with NUTS: exact, and then in a minute or less
(`python benchmarks/framework.py hierarchical`)."""
NUTS_MOST_VALUES = 1_000_000
"""Values of the data up to which it does."""
STARTS = 4
"""Starts of a variational fit: from one, two of three Poisson factorisations end in a wrong optimum."""
MOST_PREDICTED = 2**26
"""Most counts that are predicted for ArviZ, all draws together: of more draws some are left out, evenly. A quarter of a
GiB."""
MEMORY_SHARE = 0.5
"""Share of the machine's memory that the draws may take."""


class Model(Protocol):
    """A module or object that holds a generative model.

    Attributes
    ----------
    DIMS : mapping of str to sequence of str
        Names of the dims of every site. Of ``pixel``, ``y``, ``x``, ``energy``, ``line`` and ``window`` the coordinates
        are those of the data. A model that asks for its counts as (y, x, energy) says so: ``"counts": ("y", "x",
        "energy")``; else they come as (pixel, energy), the pixels and channels that are not excluded.
    model : callable
        The NumPyro program; its first argument is the counts.
    """

    DIMS: Mapping[str, Sequence[str]]
    model: Callable[..., Any]


@checked_arguments(guide=None)
def fit(
    model: Model,
    counts: Any,
    *,
    inference: str = "auto",
    guide: Any = None,
    seed: int = 0,
    draws: int = 1000,
    max_steps: int = 20_000,
    starts: int = STARTS,
    batch_size: int | None = None,
    strict: bool = False,
    **hyperparameters: Any,
) -> Any:
    """Fit a NumPyro model to counts.

    Parameters
    ----------
    model : module or object with ``DIMS`` and ``model``
        The generative model.
    counts : SpectrumImage, LineMaps, HyperSpy signal, or array
        What the model gets as its first argument: the counts of an image in the shape that its DIMS ask for, an array
        as it is.
    inference : {"auto", "engine", "nuts", "svi", "low-rank", "full-rank", "flow", "laplace"}
        How: by the engine of a built-in model, by NUTS, or by variational inference with the family of this name
        (``"svi"``: mean-field normal). ``"auto"`` takes the engine where there is one, NUTS for small models and
        ``"svi"`` for others; ``fit.provenance["inference"]`` says why.
    guide : NumPyro guide or None
        A guide of your own, for variational inference.
    seed : int
        Seed of the fit and of the draws.
    draws : int
        Number of posterior draws.
    max_steps : int
        Largest number of optimisation steps of a start.
    starts : int
        Starts of a variational fit; where the best bound is that of one alone the status says so.
    batch_size : int or None
        Pixels that one step of a variational fit looks at, for images whose rates do not fit into the memory;
        ``None`` for all. The model needs ``with numpyro.plate("pixel", len(counts))`` around what belongs to single
        pixels. The bound and its gradient are on average those of all pixels; Pareto-k is not known.
    strict : bool
        Raise when the fit did not converge.
    **hyperparameters
        Further arguments of the model.

    Returns
    -------
    ModelFit, Unmixing, Segmentation or PrincipalComponents
        Draws of every site, with dims and coordinates. A model of an image with sites ``spectra`` and ``abundances``
        comes back as an `Unmixing`, a built-in one as what its workflow returns.

    Raises
    ------
    InputError
        When `model` lacks ``DIMS`` or ``model``, DIMS does not fit a site, a site is discrete, data lie outside the
        support of their distribution, the model raises, the draws do not fit into the memory, or `batch_size` is
        given for a model that cannot be divided or an inference that takes all pixels at once.
    FitError
        When `strict` and the fit did not converge.
    Interrupted
        When Ctrl-C ends it (a KeyboardInterrupt); `error.partial` is what was found by then, or None.

    Examples
    --------
    >>> import numpy as np, numpyro, numpyro.distributions as dist
    >>> import bayesspec as bs
    >>> class Rate:
    ...     DIMS = {"rate": ()}
    ...     @staticmethod
    ...     def model(counts):
    ...         rate = numpyro.sample("rate", dist.LogNormal(3.0, 2.0))
    ...         numpyro.sample("counts", dist.Poisson(rate), obs=counts)
    >>> found = bs.fit(Rate, np.array([19, 22, 20, 23]))
    >>> found.method
    'NUTS'
    >>> 19 < float(found["rate"].mean) < 23
    True
    """
    _check_model(model)
    if inference not in INFERENCE:
        raise InputError(f"inference={inference!r}", f"one of {', '.join(INFERENCE)}", "bs.fit(model, si)")
    data = _data(model, counts)
    batch = _batch(batch_size, inference, guide, data)
    own = guide is None and batch is None and inference in ("auto", "engine")
    engine = _engine(model, data.image, hyperparameters) if own else None
    if engine is not None:
        return engine(hyperparameters, seed=seed, draws=draws, strict=strict)
    if inference == "engine":
        raise InputError(
            f"inference='engine' for {_name(model)}",
            "a built-in model with an image, and the number of components or phases alone",
            "inference='auto'",
        )
    key = random_key(seed_for(seed, data.frame.checksum))
    with _own_model(model):
        sites = model_sites(model.model, (data.counts,), hyperparameters, key=key, batch=batch)
    _check_dims(model, sites, data)
    _check_memory(sites, draws)
    how, why = _chosen(inference, guide, sites, data) if batch is None else ("svi", f"{batch[1]:,} pixels at a time")
    options = {"draws": draws, "max_steps": max_steps, "starts": starts}
    with _own_model(model):
        found = _posterior(model, data, hyperparameters, how, guide, key, options, batch)
    with _own_model(model):
        more = deterministic_draws(
            model.model, (data.counts,), hyperparameters, found.draws, tuple(sites.deterministic)
        )
    settings = {"seed": seed, "draws": draws, "inference": f"{how}: {why}", **found.settings}
    result = _result(model, data, found, {**found.draws, **more}, METHODS[how], settings)
    result.model_groups = _groups(model, data, hyperparameters, sites, found, seed)
    return as_it_ended(result, strict=strict)


# The data: what the model gets, and where it lies


class _Data(NamedTuple):
    """Counts as the model gets them, coordinates by dim, and the image where there is one."""

    counts: npt.NDArray[Any]
    frame: Frame
    name: str
    image: SpectrumImage | LineMaps | None


def _data(model: Model, counts: Any) -> _Data:
    if hasattr(counts, "axes_manager") or (isinstance(counts, xr.DataArray) and "energy" in counts.coords):
        counts = as_image(counts)
    if not isinstance(counts, SpectrumImage | LineMaps):
        values = np.asarray(counts)
        if values.dtype == object or values.size == 0:
            found = f"counts of type {type(counts).__name__}, shape {values.shape}"
            raise InputError(found, "an image, line maps, or an array of counts", "bs.fit(model, si)")
        return _Data(values, Frame(checksum=checksum("array", values)), _name(model), None)
    maps = isinstance(counts, LineMaps)
    values = counts.window_counts() if isinstance(counts, LineMaps) else counts.counts
    channels = np.ones(values.shape[2], bool) if isinstance(counts, LineMaps) else counts.valid_channels
    frame = Frame.of(counts)
    last: dict[str, Any] = {dim: frame.coords[dim] for dim in (("window", "line") if maps else ())}
    if isinstance(counts, SpectrumImage):
        last = {"energy": ("energy", counts.energy[channels], {"units": counts.energy_unit})}
    pixels = pixel_coords(values.shape[:2], counts.pixel_size, counts.pixel_unit)
    if len(model.DIMS.get("counts", ())) == 3:
        if not counts.valid.all():
            raise InputError(
                f"{int((~counts.valid).sum()):,} excluded pixels for a model of (y, x, ...)",
                "a model of (pixel, ...), or an image without excluded pixels",
                "si.crop(y=..., x=...)",
            )
        return _Data(values[..., channels], Frame({**pixels, **last}, checksum=frame.checksum), counts.name, counts)
    rows, columns = np.nonzero(counts.valid)
    places = {"y": ("pixel", pixels["y"][1][rows]), "x": ("pixel", pixels["x"][1][columns])}
    matrix = np.ascontiguousarray(values[counts.valid][:, channels])
    return _Data(matrix, Frame({**places, **last}, checksum=frame.checksum), counts.name, counts)


def _name(model: Any) -> str:
    return str(getattr(model, "__name__", type(model).__name__)).rsplit(".", 1)[-1]


# How: an engine, NUTS or variational inference

Engine = Callable[..., Result]


def _engine(model: Any, image: SpectrumImage | LineMaps | None, hyperparameters: Mapping[str, Any]) -> Engine | None:
    """The workflow whose engine samples this very model, where no hyperparameter is changed."""
    if model is poisson_nmf and isinstance(image, SpectrumImage) and set(hyperparameters) == {"rank"}:
        return lambda given, **more: unmix(image, given["rank"], neighbours=False, **more)
    if model is composition_mixture and isinstance(image, LineMaps) and set(hyperparameters) == {"phases"}:
        return lambda given, **more: segment(image, given["phases"], **more)
    if model is poisson_pca and isinstance(image, SpectrumImage) and set(hyperparameters) == {"rank"}:
        return lambda given, **more: pca(image, given["rank"], link="log", **more)
    return None


def _batch(batch_size: int | None, inference: str, guide: Any, data: _Data) -> tuple[int, int] | None:
    """Pixels of the image and of a batch; None where all are looked at."""
    if batch_size is None:
        return None
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size={batch_size!r}", "a number of pixels, 1 or more, or None", "batch_size=4096")
    if guide is not None or inference not in ("auto", "svi"):
        found = "a guide of your own" if guide is not None else f"inference={inference!r}"
        raise InputError(f"batch_size={batch_size} with {found}", "mean-field variational inference", "inference='svi'")
    pixels = len(data.counts)
    return (pixels, batch_size) if batch_size < pixels else None


def _chosen(inference: str, guide: Any, sites: ModelSites, data: _Data) -> tuple[str, str]:
    """Name of the inference, and why."""
    if guide is not None:
        return "guide", "given"
    if inference != "auto":
        return inference, "as asked"
    size = f"{sites.size:,} unknown numbers, {data.counts.size:,} values"
    if sites.parameters:
        return "svi", f"parameters without a prior ({', '.join(sites.parameters)})"
    if sites.size <= NUTS_LARGEST and data.counts.size <= NUTS_MOST_VALUES:
        return "nuts", f"a small model ({size})"
    return "svi", f"too large for NUTS ({size})"


@dataclass(frozen=True)
class _Posterior:
    """Draws of the unknown sites, and how they were found."""

    draws: dict[str, npt.NDArray[Any]]
    status: Status
    settings: dict[str, Any]
    statistics: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


def _posterior(
    model: Model,
    data: _Data,
    hyperparameters: Mapping[str, Any],
    how: str,
    guide: Any,
    key: Any,
    options: Mapping[str, int],
    batch: tuple[int, int] | None,
) -> _Posterior:
    if how == "nuts":
        sampled = run_nuts(model.model, (data.counts,), hyperparameters, key=key, draws=options["draws"])
        diagnostics = {"R-hat": sampled.r_hat, "effective draws": sampled.effective, "divergences": sampled.divergences}
        return _Posterior(sampled.draws, sampled.status, diagnostics | {"chains": sampled.chains}, sampled.statistics)
    family = guide if how == "guide" else GUIDES[how]
    with tqdm(total=options["max_steps"], desc=f"fit, {how}", disable=None, leave=False) as bar:
        found = run_svi(
            model.model,
            (data.counts,),
            hyperparameters,
            key=key,
            guide=family,
            draws=options["draws"],
            max_steps=options["max_steps"],
            starts=options["starts"],
            batch=batch,
            progress=lambda done, _: bar.update(done - bar.n),
        )
    diagnostics = {"steps": len(found.losses), "bound": found.bound, "bounds of the starts": found.bounds.tolist()}
    if batch is not None:  # weights of single batches say nothing about the family
        return _Posterior(found.draws, found.status, diagnostics | {"batch_size": batch[1]})
    k = pareto_k(found.log_weights)
    status = Status.FAMILY_DOES_NOT_FIT if found.status.ok and k > WIDEST_PARETO_K else found.status
    return _Posterior(found.draws, status, diagnostics | {"Pareto-k": k})


# The result


def _result(
    model: Model,
    data: _Data,
    found: _Posterior,
    draws: Mapping[str, npt.NDArray[Any]],
    method: str,
    settings: dict[str, Any],
) -> Result:
    image = data.image
    if isinstance(image, SpectrumImage) and _is_factorisation(draws, data):
        spectra, abundances = np.asarray(draws["spectra"], np.float64), np.asarray(draws["abundances"], np.float64)
        total = spectra.sum(axis=2)
        number = spectra.shape[1]
        return Unmixing.from_draws(
            image,
            spectra / total[..., None],
            abundances * total[:, None],
            method=f"{_name(model)}, {method}",
            status=found.status,
            verdict=f"{number} component{'s' if number > 1 else ''}, as the model has it",
            settings=with_steps(settings, Step.NORMALISED) | {"model": _name(model)},
        )
    sites = {name: _labelled(name, values, model.DIMS) for name, values in draws.items()}
    coords = {name: value for name, value in data.frame.coords.items() if _used(value, name, sites)}
    return ModelFit.from_values(
        sites,
        Frame(coords, checksum=data.frame.checksum),
        name=data.name if image is not None else _name(model),
        method=method,
        verdict=f"draws of {', '.join(sites)}",
        status=found.status,
        settings=settings | {"model": _name(model)},
    )


def _groups(
    model: Model,
    data: _Data,
    hyperparameters: Mapping[str, Any],
    sites: ModelSites,
    found: _Posterior,
    seed: int,
) -> dict[str, Callable[[], xr.Dataset]]:
    """What ArviZ asks for beside the posterior, each made when it is asked for."""
    program, args = model.model, (data.counts,)
    observed, size = tuple(sites.observed), max(1, sum(math.prod(shape) for shape in sites.observed.values()))
    number, chains = len(next(iter(found.draws.values()))), int(found.settings.get("chains", 1))
    step = max(1, -(-number * size // MOST_PREDICTED))
    thinned = {
        name: values.reshape(chains, -1, *values.shape[1:])[:, ::step].reshape(-1, *values.shape[1:])
        for name, values in found.draws.items()
    }
    kept = len(next(iter(thinned.values())))

    def labelled(values: Mapping[str, npt.NDArray[Any]], *, drawn: bool = True) -> xr.Dataset:
        arrays = {name: _of_site(name, array, model, data, drawn=drawn) for name, array in values.items()}
        coords = {name: value for name, value in data.frame.coords.items() if _used(value, name, arrays)}
        return xr.Dataset(arrays, coords={name: value for name, value in coords.items() if _fits(value, name, arrays)})

    def predicted(names: tuple[str, ...], of: str, number: int, draws: Any = None) -> xr.Dataset:
        key = random_key(seed_for(seed, f"{data.frame.checksum} {of}"))
        return labelled(simulated(program, args, hyperparameters, names, key=key, number=number, draws=draws))

    groups: dict[str, Callable[[], xr.Dataset]] = {
        "observed_data": lambda: labelled(observed_values(program, args, hyperparameters, observed), drawn=False),
        "log_likelihood": lambda: labelled(log_likelihoods(program, args, hyperparameters, found.draws, observed)),
        "posterior_predictive": lambda: predicted(observed, "data", kept, thinned),
        "prior": lambda: predicted((*sites.latent, *sites.deterministic), "prior", number),
    }
    if found.statistics:
        groups["sample_stats"] = lambda: labelled(found.statistics)
    return groups


def _of_site(name: str, values: Any, model: Model, data: _Data, *, drawn: bool) -> xr.DataArray:
    """Label a site; one of the data by the dims of the counts, its last left out where it was summed over."""
    own: tuple[str, ...] = tuple(model.DIMS.get(name, ()))
    dims = np.ndim(values) - drawn
    if not own and data.image is not None:
        own = _dims_of(model, data)[:dims]
    if len(own) != dims:
        own = own[:dims] if len(own) > dims else tuple(f"{name}_dim_{i}" for i in range(dims))
    return xr.DataArray(values, dims=("draw", *own) if drawn else own)


def _fits(value: Any, name: str, arrays: Mapping[str, xr.DataArray]) -> bool:
    """Whether a coordinate is as long as the dim is in every array."""
    dim, length = (value[0], len(value[1])) if isinstance(value, tuple) else (name, len(value))
    return all(array.sizes.get(dim, length) == length for array in arrays.values())


def _is_factorisation(draws: Mapping[str, Any], data: _Data) -> bool:
    if not {"spectra", "abundances"} <= set(draws):
        return False
    spectra, abundances = np.shape(draws["spectra"]), np.shape(draws["abundances"])
    shaped = len(spectra) == len(abundances) == 3 and spectra[1] == abundances[2]
    return shaped and (abundances[1], spectra[2]) == data.counts.shape and bool(np.min(draws["spectra"]) >= 0)


def _used(value: Any, name: str, sites: Mapping[str, xr.DataArray]) -> bool:
    dim = value[0] if isinstance(value, tuple) else name
    return any(dim in site.dims for site in sites.values())


def _labelled(name: str, values: Any, dims: Mapping[str, Sequence[str]]) -> xr.DataArray:
    return xr.DataArray(values, dims=("draw", *dims.get(name, ())))


# Counts simulated from a model, with their truth


def replicate_of(
    model: Model,
    counts: Any,
    hyperparameters: Mapping[str, Any],
    *,
    key: jax.Array,
    sites: Mapping[str, Any] | None = None,
) -> tuple[Result, Any]:
    """Simulate counts from a model.

    Parameters
    ----------
    model : module or object with ``DIMS`` and ``model``
        The generative model.
    counts : SpectrumImage, LineMaps or array
        What the simulated counts shall be like.
    hyperparameters : mapping
        Further arguments of the model.
    key : jax.Array
        Random key.
    sites : mapping of str to array, or None
        True values of the unknown sites; ``None`` to draw them from the prior.

    Returns
    -------
    Result, SpectrumImage, LineMaps or array
        The truth, as a result of one draw, and the counts.

    Raises
    ------
    InputError
        When the model cannot be fitted, or no site, or more than one, has the shape of the counts.
    """
    _check_model(model)
    data = _data(model, counts)
    of_sites, of_data = jax.random.split(key)
    with _own_model(model):
        found = model_sites(model.model, (data.counts,), hyperparameters, key=of_sites)
        _check_dims(model, found, data)
        observed = [name for name, shape in found.observed.items() if shape == data.counts.shape]
        if len(observed) != 1:
            raise InputError(
                f"{len(observed)} observed sites of the shape {data.counts.shape} of the counts",
                "one, which simulated counts are taken from",
                "numpyro.sample('counts', ..., obs=counts)",
            )
        known = {name: np.asarray(sites[name])[None] for name in found.latent} if sites is not None else None
        names = (*found.latent, *found.deterministic, *observed)
        drawn = simulated(model.model, (data.counts,), hyperparameters, names, key=of_data, number=1, draws=known)
    made = drawn.pop(observed[0])[0]
    truth = _result(model, data, _Posterior({}, Status.CONVERGED, {}), drawn, "truth", {})
    return truth, _like(counts, data, made)


def _like(counts: Any, data: _Data, made: npt.NDArray[Any]) -> Any:
    """Simulated values in the place of the counts that the model was given."""
    if data.image is None:
        return made.astype(data.counts.dtype) if data.counts.dtype.kind == "f" else made
    image = data.image
    whole = np.array(image.counts if isinstance(image, SpectrumImage) else image.window_counts(), np.float64)
    channels = image.valid_channels if isinstance(image, SpectrumImage) else np.ones(whole.shape[2], bool)
    flat = made.reshape(-1, int(channels.sum()))
    part = whole[image.valid]
    part[:, channels] = flat
    whole[image.valid] = part
    if isinstance(image, SpectrumImage):
        return image.changed(counts=whole, truth=None, made_from=())
    return image.with_window_counts(whole)


# Models that cannot be fitted


def _check_model(model: Any) -> None:
    if not hasattr(model, "DIMS") or not callable(getattr(model, "model", None)):
        raise InputError(
            f"{model!r} without DIMS or without a function called model",
            "a module with DIMS and model(counts, ...)",
            "from bayesspec.models import poisson_nmf; bs.fit(poisson_nmf, counts, rank=3)",
        )


def _check_dims(model: Model, sites: ModelSites, data: _Data) -> None:
    """Refuse DIMS that do not name every dimension, or name one of another length than the data's."""
    lengths = {d: n for d, n in zip(_dims_of(model, data), data.counts.shape, strict=False) if data.image is not None}
    for name, shape in {**sites.latent, **sites.deterministic}.items():
        own = tuple(model.DIMS.get(name, ()))
        if len(shape) != len(own):
            raise InputError(
                f"the site {name!r} of shape {shape} with DIMS {own}",
                "one name in DIMS for every dimension of a site",
                f"DIMS = {{{name!r}: ({', '.join(repr(f'dim_{i}') for i in range(len(shape)))},)}}",
            )
        wrong = [f"{dim} {n}" for dim, n in zip(own, shape, strict=True) if lengths.get(dim, n) != n]
        if wrong:
            raise InputError(
                f"the site {name!r} with {', '.join(wrong)}",
                f"dims as long as those of the data: {', '.join(f'{d} {n}' for d, n in lengths.items())}",
                f"another name than {wrong[0].split()[0]!r} in DIMS of the site, or another shape",
            )


def _dims_of(model: Model, data: _Data) -> tuple[str, ...]:
    """Dims of the counts as the model gets them."""
    given = tuple(model.DIMS.get("counts", ()))
    return given or ("pixel", "window" if isinstance(data.image, LineMaps) else "energy")


def _check_memory(sites: ModelSites, draws: int) -> None:
    needed = 4 * draws * (sites.size + sum(int(np.prod(shape)) for shape in sites.deterministic.values()))
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**33
    if needed > MEMORY_SHARE * there:
        fewer = max(2, int(draws * MEMORY_SHARE * there / needed))
        raise InputError(
            f"{draws} draws of {sites.size:,} numbers, {needed / 2**30:.1f} GiB",
            f"no more than {MEMORY_SHARE * there / 2**30:.1f} GiB, half of the memory",
            f"bs.fit(..., draws={fewer})",
        )


@contextmanager
def _own_model(model: Model) -> Iterator[None]:
    """Say that it was the user's model that raised."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"the model {_name(model)}, which raised {type(error).__name__}: {str(error)[:200]}",
            "a model that takes these counts and hyperparameters",
            "numpyro.handlers.seed(model.model, 0)(counts, ...), to see where",
        ) from error
