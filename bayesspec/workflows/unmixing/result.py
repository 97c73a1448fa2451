"""From the posterior of a factorisation to a labelled result, with what the counts cannot tell."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.nmf.posterior import LARGEST_ERROR, NmfPosterior
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame
from bayesspec.results.estimate import BANDED
from bayesspec.results.unmixing import Unmixing
from bayesspec.workflows.unmixing.bands import Band
from bayesspec.workflows.unmixing.known_spectra import KnownSpectra
from bayesspec.workflows.unmixing.sampling import UnmixingFit

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
    n = posterior.spectra.shape[1] - len(known.background)
    moments = _moments(posterior, n, fit.maps)
    result = Unmixing.from_draws(
        image,
        posterior.spectra[:, :n],
        {name: values[:, :n] for name, values in moments.items()},
        method="Poisson NMF",
        total_draws=posterior.totals[:, :n],
        status=_status(fit),
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
            **({} if fit.interval_errors is None else {"interval_error": fit.interval_errors}),
            **({} if mode.stability is None else {"stability": mode.stability[:n]}),
            **_background(posterior, moments, known),
            **(_feasible(image, fit.band) if fit.band is not None else {}),
        },
        coords={"knowledge": list(fit.band.narrowed)} if fit.band is not None and fit.band.narrowed else None,
    )
    if fit.band is None:
        return result
    return Unmixing(_widened(result, posterior, image).assign_attrs(verdict=verdict + _identified_note(result)))


def _status(fit: UnmixingFit) -> Status:
    """How mode and sampling ended; the ends of the intervals are settled when the band is counted in."""
    if fit.interval_errors is None:
        return fit.posterior.status
    for status in (fit.mode.status, fit.posterior.status):
        if not status.ok and status is not Status.LOW_EFFECTIVE_SAMPLE_SIZE:
            return status
    settled = fit.interval_errors.max() <= LARGEST_ERROR
    return Status.CONVERGED if settled else Status.LOW_EFFECTIVE_SAMPLE_SIZE


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
    """Name the components whose share the counts do not determine, and what would; a clause for the verdict."""
    unknown = np.flatnonzero(~result.identifiability["identified"].values)
    if not len(unknown):
        return ""
    who = ", ".join(map(str, unknown))
    what = f"component {who} is" if len(unknown) == 1 else f"components {who} are"
    return f"; {what} not identified by the counts alone: bands in place of intervals{_elements_note(result)}"


def _elements_note(result: Unmixing) -> str:
    """Say that lines of known elements leave less open than free spectra do; a clause for the verdict."""
    image = result.sum_image
    if image.acquisition.technique != "EDS" or image.energy_unit != "keV":
        return ""
    elements = list(image.elements) or "bs.identify_lines(si).elements"
    return (
        f"; made of the lines of known elements they leave less open: bs.unmix(si, {result.rank}, elements={elements})"
    )


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


def _feasible(image: SpectrumImage, band: Band) -> Variables:
    """Factorisations at the limits of what fits as well, and the band of the spectra over them."""
    low, high = (np.zeros((band.fractions.shape[1], image.shape[2]), np.float32) for _ in range(2))
    low[:, image.valid_channels] = band.spectra_lower
    high[:, image.valid_channels] = band.spectra_upper
    return {
        "feasible_transforms": band.transforms,
        "feasible_fractions": band.fractions,
        **({"narrowed_widths": np.stack(list(band.narrowed.values()))} if band.narrowed else {}),
        "feasible_spectra_lower": low,
        "feasible_spectra_upper": high,
    }
