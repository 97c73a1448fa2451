"""Unmixing of an image into components with intervals on spectra, abundances and ratios."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from bayesspec.components import Unmixing
from bayesspec.errors import InputError
from bayesspec.inference.dispersion import dispersion
from bayesspec.inference.nmf import NmfMode, fit_mode
from bayesspec.inference.nmf_conditional import sample_abundances
from bayesspec.inference.nmf_gibbs import NmfPosterior, sample
from bayesspec.inference.status import Status
from bayesspec.line_unmixing import unmix_lines
from bayesspec.pca import pca
from bayesspec.posterior import PROB, check_prob
from bayesspec.principal_components import PrincipalComponents
from bayesspec.rank_selection import choose_rank, count_matrix_of, pixel_block
from bayesspec.results import FitError, attributes, pixel_coords
from bayesspec.selection import candidates
from bayesspec.spectrum_image import SpectrumImage

NOISY = 1.2
PRIOR = (
    "Spectra: Dirichlet, concentration 1/2 a channel. Abundances: Gamma, whose shape and rate are learned "
    "for every component under log-uniform priors."
)
Progress = Callable[[int, int], None]


def unmix(
    image: SpectrumImage,
    rank: int | Iterable[int] = range(1, 9),
    *,
    elements: Sequence[str] | None = None,
    model: str = "nmf",
    seed: int = 0,
    draws: int = 200,
    warmup: int = 60,
    prob: float = PROB,
    strict: bool = False,
) -> Unmixing | PrincipalComponents:
    """Find component spectra and their abundances, how many there are, and their uncertainty.

    Counts are Poisson with a rate of abundances times spectra. The rank is the smallest whose fit predicts
    held-out counts within one standard error of the best. Intervals come from a sampler that draws the
    abundances along with the spectra, so that the spectra's intervals have the abundances integrated out. Where
    pixels hold fewer than 500 counts the spectra are sampled on sums over blocks of pixels.

    Parameters
    ----------
    image : SpectrumImage
        Counts of an EDS or EELS image.
    rank : int or iterable of int
        Number of components, or the numbers to choose from.
    elements : sequence of str or None
        Elements of the sample, for EDS: components are combinations of their lines and a continuum, and nothing else
        (a ``LineUnmixing``); few numbers in place of a value for each channel, with the abundances integrated out.
        Values come without intervals: ``status`` says why.
    model : {"nmf", "pca"}
        Poisson non-negative matrix factorisation, or Poisson principal components as `bs.pca` finds them.
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
    Unmixing or PrincipalComponents
        Spectra, abundances, draws, verdict and selection; with ``model="pca"`` components, scores and denoised rates.

    Raises
    ------
    InputError
        When the model is not known, or the rank exceeds what the data allow, or there are no counts.
    FitError
        When `strict` and the fit did not end as it should.
    """
    check_prob(prob)
    if model == "pca":
        return pca(image, rank, seed=seed, draws=draws, prob=prob, strict=strict)
    if model != "nmf":
        known = "a model that bs.unmix knows: 'nmf' or 'pca'"
        raise InputError(f"model={model!r}", known, "bs.unmix(si, rank=4, model='nmf')")
    counts = count_matrix_of(image)
    numbers = candidates(rank, "rank", min(counts.shape))
    key, select_key = jax.random.split(jax.random.key(seed))
    table, verdict, chosen = choose_rank(image, numbers, select_key)
    verdict += _noise_note(counts)
    if elements is not None:
        with _bar(f"components, rank {chosen}") as progress:
            lines = unmix_lines(image, chosen, elements, seed=seed, verdict=verdict, progress=progress)
        if strict and not lines.converged:
            raise FitError(lines.status)
        return lines
    block = pixel_block(image)
    summed = counts if block == 1 else count_matrix_of(image.rebin(y=block, x=block))
    mode = fit_mode(summed, chosen, key=key)
    if mode.status is Status.INTERRUPTED:
        raise KeyboardInterrupt  # a mode cut short is no place to sample from, and the user wants to stop
    tails = ((1 - prob) / 2, (1 + prob) / 2)
    with _bar(f"spectra, rank {chosen}") as progress:
        posterior = sample(summed, mode, key=key, draws=draws, warmup=warmup, probs=tails, progress=progress)
    if block > 1:
        with _bar("abundances") as progress:
            posterior = sample_abundances(counts, posterior, key=key, progress=progress)
    settings = {"seed": seed, "draws": draws, "warmup": warmup, "pixels summed for the spectra": f"{block} x {block}"}
    result = _result(image, mode, posterior, table, verdict, prob, settings)
    if strict and not result.converged:
        raise FitError(result.status)
    return result


def _noise_note(counts: npt.NDArray[Any]) -> str:
    """Warn where the noise is not that of counts; a clause for the verdict, empty where it is."""
    gain = dispersion(counts)
    if gain < NOISY:
        return ""
    note = f"the noise has {gain:.2g} times the variance of Poisson counts (a gain, or correlated noise)"
    warnings.warn(f"{note}: the intervals are too short by about {np.sqrt(gain):.2g}", stacklevel=3)
    return f"; not Poisson: {note}, so the intervals are too short and components may be spurious"


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    """Show how much is done of what takes long."""
    with tqdm(desc=what, disable=None, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


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
