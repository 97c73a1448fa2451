"""From the posterior of a factorisation to a labelled result, with what the counts cannot tell."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.nmf.feasible_set import FeasibleSet, extreme_transforms, fractions
from bayesspec.inference.nmf.pixel_groups import group_pixels
from bayesspec.inference.nmf.posterior import NmfPosterior
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame
from bayesspec.results.estimate import BANDED
from bayesspec.results.unmixing import Unmixing
from bayesspec.workflows.unmixing.known_spectra import KnownSpectra
from bayesspec.workflows.unmixing.sampling import UnmixingFit

NOISE_WIDTH = 1.96
"""Standard deviations of its own noise by which the band of an entry of a spectrum is widened."""
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
    mode, posterior, known = fit.mode, fit.posterior, fit.known
    complete = posterior.status is not Status.INTERRUPTED
    n = posterior.spectra.shape[1] - len(known.background)
    moments = _moments(posterior, n, fit.maps)
    result = Unmixing.from_draws(
        image,
        posterior.spectra[:, :n],
        {name: values[:, :n] for name, values in moments.items()},
        method="Poisson NMF",
        total_draws=posterior.totals[:, :n],
        status=posterior.status if mode.status.ok or not complete else mode.status,
        verdict=verdict,
        prob=prob,
        selection=table,
        settings=fit.settings
        | {
            "model": "poisson_nmf",
            "counts_per_pixel": image.counts_per_pixel,
            "divergence": mode.divergence,
            "acceptance": posterior.acceptance,
            "background": known.what or "none",
            "known spectra": len(known.components),
            "acquisition": asdict(image.acquisition),
        },
        variables={
            "effective_draws": _least_effective(posterior)[:n],
            **({} if mode.stability is None else {"stability": mode.stability[:n]}),
            **_background(posterior, moments, known),
            **(_feasible(image, posterior, known, int(fit.settings["seed"])) if complete else {}),
        },
    )
    if not complete:
        return result
    return Unmixing(_widened(result, posterior, image).assign_attrs(verdict=verdict + _identified_note(result)))


def _widened(result: Unmixing, posterior: NmfPosterior, image: SpectrumImage) -> xr.Dataset:
    """Let the intervals span what is feasible: what sampling leaves open and what the factorisation leaves open."""
    data = result.data
    if "feasible_spectra_lower" not in data:
        return data
    limits = dict(zip(("lower", "upper"), _feasible_abundances(data, posterior), strict=True))
    frame = Frame.of(image)
    wider: Variables = {}
    for end, outer in (("lower", np.minimum), ("upper", np.maximum)):
        spectra, abundances = data[f"spectra_{end}"], data[f"abundances_{end}"]
        wider[f"spectra_{end}"] = outer(spectra, data[f"feasible_spectra_{end}"])
        feasible = abundances.copy(data=frame.placed(limits[end].astype(np.float32), ("y", "x", "component")))
        wider[f"abundances_{end}"] = outer(abundances, feasible)
    return data.assign(wider).assign_attrs(interval=BANDED)


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


def _background(
    posterior: NmfPosterior, statistics: dict[str, npt.NDArray[np.float32]], known: KnownSpectra
) -> Variables:
    """Shapes and totals of the background; its counts in every pixel, all shapes together."""
    if not len(known.background):
        return {}
    return {f"background_{name}": values[:, -1] for name, values in statistics.items()} | {
        "background_shapes": known.background,
        "background_total_draws": posterior.totals[:, -len(known.background) :],
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
        "feasible_transforms": transforms,
        "feasible_fractions": fractions(feasible, transforms)[:, :n],
        "feasible_spectra_lower": low,
        "feasible_spectra_upper": high,
    }
