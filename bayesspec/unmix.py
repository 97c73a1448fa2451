"""Unmixing of an image into components with intervals on spectra, abundances and ratios."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from bayesspec.components import Unmixing
from bayesspec.errors import InputError
from bayesspec.inference.nmf import NmfMode, fit_mode
from bayesspec.inference.nmf_gibbs import NmfPosterior, sample
from bayesspec.inference.spectral_rank import tracy_widom_rank
from bayesspec.inference.thinning import held_out_score, thin
from bayesspec.posterior import PROB, check_prob
from bayesspec.results import FitError, attributes, pixel_coords
from bayesspec.selection import candidates, held_out_table, limit_note, one_standard_error, with_verdicts
from bayesspec.spectrum_image import SpectrumImage

FITTED_SHARE = 0.8
BLOCK_COUNTS = 500
FEWEST_CHANNELS = 128
COARSE_TOLERANCE = 1e-4
PRIOR = (
    "Spectra: Dirichlet, concentration 1/2 a channel. Abundances: Gamma, whose shape and rate are learned "
    "for every component under log-uniform priors."
)
Progress = Callable[[int, int], None]


def unmix(
    image: SpectrumImage,
    rank: int | Iterable[int] = range(1, 9),
    *,
    model: str = "nmf",
    seed: int = 0,
    draws: int = 300,
    warmup: int = 100,
    prob: float = PROB,
    strict: bool = False,
) -> Unmixing:
    """Find component spectra and their abundances, how many there are, and their uncertainty.

    Counts are Poisson with a rate of abundances times spectra. The rank is the smallest whose fit predicts
    held-out counts within one standard error of the best. Intervals come from a sampler that draws the
    abundances along with the spectra, so that the spectra's intervals have the abundances integrated out.

    Parameters
    ----------
    image : SpectrumImage
        Counts of an EDS or EELS image.
    rank : int or iterable of int
        Number of components, or the numbers to choose from.
    model : {"nmf"}
        Poisson non-negative matrix factorisation.
    seed : int
        Seed of starts, draws and the division into fitted and held-out counts.
    draws : int
        Number of posterior draws kept.
    warmup : int
        Sweeps of the sampler before the first draw.
    prob : float
        Probability of the intervals.
    strict : bool
        Raise when the fit did not end as it should, in place of saying so in ``status``.

    Returns
    -------
    Unmixing
        Spectra, abundances, draws, verdict and selection.

    Raises
    ------
    InputError
        When the model is not known, or the rank exceeds what the data allow, or there are no counts.
    FitError
        When `strict` and the fit did not end as it should.
    """
    check_prob(prob)
    if model != "nmf":
        raise InputError(f"model={model!r}", "a model that bs.unmix knows: 'nmf'", "bs.unmix(si, rank=4, model='nmf')")
    counts = _matrix(image)
    numbers = candidates(rank, "rank", min(counts.shape))
    key, select_key = jax.random.split(jax.random.key(seed))
    table, verdict, chosen = _choose(image, numbers, select_key)
    with tqdm(total=warmup + draws, desc=f"unmixing, rank {chosen}", disable=None, leave=False) as bar:
        mode = fit_mode(counts, chosen, key=key)
        tails = ((1 - prob) / 2, (1 + prob) / 2)
        posterior = sample(
            counts, mode, key=key, draws=draws, warmup=warmup, probs=tails, progress=lambda *_: bar.update()
        )
    result = _result(image, mode, posterior, table, verdict, prob, {"seed": seed, "draws": draws, "warmup": warmup})
    if strict and not result.converged:
        raise FitError(result.status)
    return result


def _matrix(image: SpectrumImage) -> npt.NDArray[Any]:
    """Return the counts (pixel, channel) of what is not excluded."""
    counts = image.counts.reshape(-1, image.shape[2])
    if image.mask is not None:
        counts = counts[image.valid.ravel()]
    if image.energy_mask is not None:
        counts = counts[:, image.valid_channels]
    if not counts.size or not counts.any():
        raise InputError(
            f"no counts in {counts.shape[0]} pixels x {counts.shape[1]} channels that are not excluded",
            "an image with counts",
            "another mask or crop(energy=...)",
        )
    return counts


def _choose(image: SpectrumImage, numbers: list[int], key: jax.Array) -> tuple[xr.Dataset, str, int]:
    """Score every rank on held-out counts of a coarser image, where there is a choice."""
    if len(numbers) == 1:
        table = held_out_table(numbers, np.zeros((1, 2)))
        return with_verdicts(table, numbers[0]), f"{_components(numbers[0])}, as asked", numbers[0]
    counts = _matrix(coarser(image))
    split_key, fit_key = jax.random.split(key)
    train, test = thin(counts, FITTED_SHARE, key=split_key)
    ratio = (1 - FITTED_SHARE) / FITTED_SHARE
    scores = []
    for number in tqdm([n for n in numbers if n <= min(counts.shape)], desc="rank", disable=None, leave=False):
        mode = fit_mode(train, number, key=fit_key, tolerance=COARSE_TOLERANCE)
        scores.append(held_out_score(test, mode, ratio=ratio))
    table = held_out_table(numbers[: len(scores)], np.stack(scores))
    chosen = one_standard_error(table)
    return with_verdicts(table, chosen), _verdict(counts, numbers, chosen), chosen


def coarser(image: SpectrumImage) -> SpectrumImage:
    """Sum pixels and channels until the abundances of a pixel are worth their noise, for choosing the rank.

    Maximum likelihood spends about half a nat of held-out likelihood per pixel and component; with few counts
    a pixel this hides components that the whole image shows clearly.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    SpectrumImage
        Blocks of pixels with at least 500 counts on average, an eighth of the image long at most; up to four
        channels together.
    """
    largest = max(1, min(image.shape[:2]) // 8)
    block = int(np.clip(np.ceil(np.sqrt(BLOCK_COUNTS / max(image.counts_per_pixel, 1e-9))), 1, largest))
    channels = int(np.clip(image.shape[2] // FEWEST_CHANNELS, 1, 4))
    for size in range(block, 0, -1):
        small = image.rebin(y=size, x=size, energy=channels)
        if small.valid.sum() * size**2 > 0.5 * image.valid.sum() and small.valid_channels.any():
            return small
    return image


def _components(number: int) -> str:
    return f"{number} component" if number == 1 else f"{number} components"


def _verdict(counts: npt.NDArray[Any], numbers: list[int], chosen: int) -> str:
    spectral = tracy_widom_rank(counts).rank
    text = f"{_components(chosen)}{limit_note(chosen, numbers, 'components')}"
    if spectral > chosen:
        text += (
            f"; the singular values show {spectral}: components that these counts cannot separate pixel by "
            "pixel, or counts that are not Poisson, or an energy axis that drifts"
        )
    return text


def _result(
    image: SpectrumImage,
    mode: NmfMode,
    posterior: NmfPosterior,
    table: xr.Dataset,
    verdict: str,
    prob: float,
    settings: dict[str, Any],
) -> Unmixing:
    variables = _spectra(image, posterior, prob) | _abundances(image, posterior)
    variables["total_draws"] = (("draw", "component"), posterior.totals, {"units": "counts"})
    variables["sum_spectrum"] = (("energy",), image.sum_spectrum(), {"units": "counts"})
    variables["effective_draws"] = (("component",), posterior.effective["totals"])
    coords = pixel_coords(image.shape[:2], image.pixel_size, image.pixel_unit) | {
        "energy": ("energy", image.energy, {"units": image.energy_unit}),
        "component": np.arange(posterior.spectra.shape[1]),
    }
    selection = {f"selection_{name}": values for name, values in table.data_vars.items()}
    data = xr.Dataset(variables, coords=coords).assign(selection)
    settings |= {
        "model": "poisson_nmf",
        "prior": PRIOR,
        "counts_per_pixel": image.counts_per_pixel,
        "divergence": mode.divergence,
        "acceptance": posterior.acceptance,
        "acquisition": asdict(image.acquisition),
    }
    both = mode.status if not mode.status.ok else posterior.status
    attrs = attributes(name=image.name, method="Poisson NMF", status=str(both), converged=both.ok, settings=settings)
    attrs |= {
        "verdict": verdict,
        "prob": prob,
        "interval": "equal-tailed",
        "energy_unit": image.energy_unit,
        "elements": json.dumps(list(image.elements)),
        "acquisition": json.dumps(asdict(image.acquisition)),
    }
    return Unmixing(data.assign_attrs(attrs))


def _spectra(image: SpectrumImage, posterior: NmfPosterior, prob: float) -> dict[str, Any]:
    """Draws and statistics of the spectra on the whole energy axis; zero in excluded channels."""
    draws = np.zeros((*posterior.spectra.shape[:2], image.shape[2]), np.float32)
    draws[:, :, image.valid_channels] = posterior.spectra
    lower, upper = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0).astype(np.float32)
    dims, attrs = ("component", "energy"), {"units": "share of the component's counts per channel"}
    return {
        "spectra_draws": (("draw", *dims), draws, attrs),
        "spectra_mean": (dims, draws.mean(axis=0), attrs),
        "spectra_sd": (dims, draws.std(axis=0, ddof=1), attrs),
        "spectra_lower": (dims, lower, attrs),
        "spectra_upper": (dims, upper, attrs),
    }


def _abundances(image: SpectrumImage, posterior: NmfPosterior) -> dict[str, Any]:
    """Statistics of the abundances on the whole image; NaN in excluded pixels."""
    lower, upper = posterior.abundance_quantiles
    statistics = {
        "mean": posterior.abundance_mean,
        "sd": posterior.abundance_sd,
        "lower": lower,
        "upper": upper,
    }
    whole = {}
    for name, values in statistics.items():
        grid = np.full((*image.shape[:2], values.shape[1]), np.nan, np.float32)
        grid[image.valid] = values
        whole[f"abundances_{name}"] = (("y", "x", "component"), grid, {"units": "counts"})
    return whole
