"""From the posterior of a factorisation to a labelled result, with what the counts cannot tell."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.nmf.feasible_set import FeasibleSet, extreme_transforms, fractions
from bayesspec.inference.nmf.pixel_groups import group_pixels
from bayesspec.inference.nmf.posterior import NmfPosterior
from bayesspec.results.dataset import attributes, pixel_coords
from bayesspec.results.unmixing import Unmixing
from bayesspec.workflows.unmixing.known_spectra import KnownSpectra
from bayesspec.workflows.unmixing.sampling import UnmixingFit

NOISE_WIDTH = 1.96
"""Standard deviations of its own noise by which the band of an entry of a spectrum is widened."""
SHARE = {"units": "share of the component's counts per channel"}
COUNTS = {"units": "counts"}
Variables = dict[str, Any]


def unmixing_result(
    image: SpectrumImage,
    fit: UnmixingFit,
    table: xr.Dataset,
    verdict: str,
    prob: float,
) -> Unmixing:
    """Label a posterior, and find what is feasible beside it.

    Parameters
    ----------
    image : SpectrumImage
        The image that was unmixed.
    fit : UnmixingFit
        Posterior, the spectra of the background last, and what belongs to it.
    table : xarray.Dataset
        Scores of the ranks.
    verdict : str
        The number of components in words.
    prob : float
        Probability of the intervals.

    Returns
    -------
    Unmixing
        The result.
    """
    mode, posterior, known, settings = fit.mode, fit.posterior, fit.known, fit.settings
    n = posterior.spectra.shape[1] - len(known.background)
    moments = _moments(posterior, n, fit.maps)
    variables = _spectra(image, posterior.spectra[:, :n], prob) | _abundances(image, moments, n)
    variables |= _background(image, posterior, moments, known) | _feasible(
        image, posterior, known, int(settings["seed"])
    )
    variables["total_draws"] = (("draw", "component"), posterior.totals[:, :n], COUNTS)
    variables["sum_spectrum"] = (("energy",), image.sum_spectrum(), COUNTS)
    variables["effective_draws"] = (("component",), _least_effective(posterior)[:n])
    if mode.stability is not None:
        variables["stability"] = (("component",), mode.stability[:n])
    coords = pixel_coords(image.shape[:2], image.pixel_size, image.pixel_unit) | {
        "energy": ("energy", image.energy, {"units": image.energy_unit}),
        "component": np.arange(n),
    }
    selection = {f"selection_{name}": values for name, values in table.data_vars.items()}
    data = xr.Dataset(variables, coords=coords).assign(selection)
    both = mode.status if not mode.status.ok else posterior.status
    settings = settings | {
        "model": "poisson_nmf",
        "counts_per_pixel": image.counts_per_pixel,
        "divergence": mode.divergence,
        "acceptance": posterior.acceptance,
        "background": known.what or "none",
        "known spectra": len(known.components),
        "acquisition": asdict(image.acquisition),
    }
    attrs = attributes(name=image.name, method="Poisson NMF", status=str(both), converged=both.ok, settings=settings)
    attrs |= {
        "verdict": verdict,
        "prob": prob,
        "interval": "equal-tailed",
        "energy_unit": image.energy_unit,
        "elements": json.dumps(list(image.elements)),
        "acquisition": json.dumps(asdict(image.acquisition)),
    }
    result = Unmixing(data.assign_attrs(attrs))
    return Unmixing(_widened(result, posterior, image).assign_attrs(verdict=verdict + _identified_note(result)))


def _widened(result: Unmixing, posterior: NmfPosterior, image: SpectrumImage) -> xr.Dataset:
    """Let the intervals of components that are not identified span what is feasible."""
    data, known = result.data, result.identifiability["identified"]
    if bool(known.all()):
        return data
    limits = dict(zip(("lower", "upper"), _feasible_abundances(data, posterior), strict=True))
    wider: Variables = {}
    for end, outer in (("lower", np.minimum), ("upper", np.maximum)):
        spectra, abundances = data[f"spectra_{end}"], data[f"abundances_{end}"]
        wider[f"spectra_{end}"] = spectra.where(known, outer(spectra, data[f"feasible_spectra_{end}"]))
        feasible = abundances.copy(data=_grid(image, limits[end].astype(np.float32)))
        wider[f"abundances_{end}"] = abundances.where(known, outer(abundances, feasible))
    return data.assign(wider).assign_attrs(interval="equal-tailed; feasible band where not identified")


def _feasible_abundances(
    data: xr.Dataset, posterior: NmfPosterior
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Smallest and largest mean abundance over the feasible factorisations, not below zero."""
    transforms, n = data["feasible_transforms"].values, data.sizes["component"]
    mean = posterior.abundance_mean[:, : transforms.shape[1]]
    low, high = mean[:, :n].copy(), mean[:, :n].copy()
    for matrix in transforms:
        moved = mean @ np.linalg.inv(matrix)[:, :n].astype(np.float32)
        np.minimum(low, moved, out=low)
        np.maximum(high, moved, out=high)
    return np.maximum(low, 0.0), high


def _identified_note(result: Unmixing) -> str:
    """Name the components whose share the counts do not determine; a clause for the verdict."""
    unknown = np.flatnonzero(~result.identifiability["identified"].values)
    if not len(unknown):
        return ""
    who = ", ".join(map(str, unknown))
    what = f"component {who} is" if len(unknown) == 1 else f"components {who} are"
    return f"; {what} not identified by the counts alone: bands in place of intervals"


def _least_effective(posterior: NmfPosterior) -> npt.NDArray[np.float64]:
    """Effective draws of the worst of a component's total, share and mixing with the others."""
    least = np.minimum(posterior.effective["totals"], posterior.effective["fractions"])
    mixing = posterior.effective["mixing"].min(axis=1)
    return np.minimum(least, np.append(mixing, np.full(len(least) - len(mixing), np.inf)))


def _spectra(image: SpectrumImage, kept: npt.NDArray[np.float32], prob: float) -> Variables:
    """Draws and statistics of the spectra on the whole energy axis; zero in excluded channels."""
    draws = np.zeros((*kept.shape[:2], image.shape[2]), np.float32)
    draws[:, :, image.valid_channels] = kept
    lower, upper = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0).astype(np.float32)
    dims = ("component", "energy")
    return {
        "spectra_draws": (("draw", *dims), draws, SHARE),
        "spectra_mean": (dims, draws.mean(axis=0), SHARE),
        "spectra_sd": (dims, draws.std(axis=0, ddof=1), SHARE),
        "spectra_lower": (dims, lower, SHARE),
        "spectra_upper": (dims, upper, SHARE),
    }


def _moments(
    posterior: NmfPosterior, n: int, maps: npt.NDArray[np.float32] | None
) -> dict[str, npt.NDArray[np.float32]]:
    """Statistics of the abundances; the intervals of the pixels alone are widened to hold smoothed maps."""
    lower, upper = posterior.abundance_quantiles
    mean = posterior.abundance_mean
    if maps is not None:
        extra = mean.shape[1] - maps.shape[1]
        together = np.repeat(maps[:, n:].sum(axis=1, keepdims=True), extra, axis=1)
        mean = np.concatenate([maps, together], axis=1)
        lower, upper = np.minimum(lower, mean), np.maximum(upper, mean)
    return {"mean": mean, "sd": posterior.abundance_sd, "lower": lower, "upper": upper}


def _abundances(image: SpectrumImage, statistics: dict[str, npt.NDArray[np.float32]], n: int) -> Variables:
    """Statistics of the abundances on the whole image; NaN in excluded pixels."""
    return {
        f"abundances_{name}": (("y", "x", "component"), _grid(image, values[:, :n]), COUNTS)
        for name, values in statistics.items()
    }


def _grid(image: SpectrumImage, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    grid = np.full((*image.shape[:2], *values.shape[1:]), np.nan, np.float32)
    grid[image.valid] = values
    return grid


def _background(
    image: SpectrumImage,
    posterior: NmfPosterior,
    statistics: dict[str, npt.NDArray[np.float32]],
    known: KnownSpectra,
) -> Variables:
    """Shapes and totals of the background; its counts in every pixel, all shapes together."""
    if not len(known.background):
        return {}
    sums = {
        f"background_{name}": (("y", "x"), _grid(image, values[:, -1]), COUNTS) for name, values in statistics.items()
    }
    return sums | {
        "background_shapes": (("background", "energy"), known.background, {"units": "share per channel"}),
        "background_total_draws": (("draw", "background"), posterior.totals[:, -len(known.background) :], COUNTS),
    }


def _feasible(image: SpectrumImage, posterior: NmfPosterior, known: KnownSpectra, seed: int) -> Variables:
    """Factorisations at the limits of what fits as well, and the band of the spectra over them."""
    spectra = posterior.spectra.mean(axis=0, dtype=np.float64)
    components = len(spectra)
    groups = group_pixels(posterior.abundance_mean[:, :components], seed)
    background = len(known.background)
    feasible = FeasibleSet(groups, spectra, posterior.n_fixed, background, seen=known.counts)
    transforms, n = extreme_transforms(feasible, seed), components - background
    limits = transforms[:, :n] @ spectra
    noise = NOISE_WIDTH * feasible.spectra_noise[:n]
    noise[feasible.free :] = 0.0
    low, high = (np.zeros((n, image.shape[2]), np.float32) for _ in range(2))
    low[:, image.valid_channels] = np.maximum(limits.min(axis=0) - noise, 0.0)
    high[:, image.valid_channels] = np.maximum(limits.max(axis=0), 0.0) + noise
    return {
        "feasible_transforms": (("transform", "part", "from_part"), transforms),
        "feasible_fractions": (("transform", "component"), fractions(feasible, transforms)[:, :n]),
        "feasible_spectra_lower": (("component", "energy"), low, SHARE),
        "feasible_spectra_upper": (("component", "energy"), high, SHARE),
    }
