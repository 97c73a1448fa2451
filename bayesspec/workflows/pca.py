"""Principal components of an image under Poisson noise, and the image without its noise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import ndtri
from tqdm import tqdm

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, flag
from bayesspec.image.count_matrix import counts_of
from bayesspec.image.counts import Counts
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.pca.linear_link import fit_linear
from bayesspec.inference.pca.log_link import fit_pca
from bayesspec.inference.pca.settings import SETTINGS
from bayesspec.inference.random_keys import random_key, seed_for
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame, image_attributes
from bayesspec.results.estimate import PROB, check_prob
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.result import as_it_ended
from bayesspec.results.selection import candidates
from bayesspec.spectroscopy.odd_channels import odd_channels
from bayesspec.workflows.poisson_check import noise_note
from bayesspec.workflows.select_rank import choose_rank

LINKS = ("log", "linear")
MODELS = {"log": "poisson_pca", "linear": "linear_pca"}
"""The model of each link, a file of `bayesspec.models`."""
PRIORS = {
    "log": "Scores: standard normal. Loadings: normal, with a standard deviation learned for every component.",
    "linear": "Scores: normal, with a power spectrum over the image learned for every component. Loadings: flat.",
}


@dataclass(frozen=True)
class _Parts:
    """A fit of either link."""

    components: npt.NDArray[Any]
    mean_log: npt.NDArray[Any]
    channel_covariance: npt.NDArray[Any]
    scores: npt.NDArray[Any]
    score_covariance: npt.NDArray[Any]
    status: Status
    bound: float


@checked_arguments(neighbours=flag("neighbours"))
def pca(
    image: SpectrumImage,
    rank: int | Iterable[int] = range(1, 9),
    *,
    link: str = "log",
    neighbours: bool = True,
    seed: int = 0,
    draws: int = 200,
    prob: float = PROB,
    strict: bool = False,
) -> PrincipalComponents:
    """Decompose an image into principal components under Poisson noise, with errors on all that comes out.

    Parameters
    ----------
    image : SpectrumImage
        Counts of an EDS or EELS image.
    rank : int or iterable of int
        Number of components, or the numbers to choose from.
    link : {"log", "linear"}
        How components combine: as factors of the rates (Poisson log-normal), or as parts of them, as the spectra of
        what the beam crosses do. To remove the noise from an image, ``"linear"``.
    neighbours : bool
        With the linear link: whether a pixel's neighbours say something about it. How much is learned from the image.
    seed : int
        Seed of the choice of the rank and of the draws.
    draws : int
        Number of draws of the components.
    prob : float
        Probability of the intervals.
    strict : bool
        Raise when the fit did not end as it should, in place of saying so in ``status``.

    Returns
    -------
    PrincipalComponents
        Components, scores, denoised rates, verdict and selection.

    Raises
    ------
    InputError
        When the link is not known, the rank exceeds what the data allow, or there are no counts.
    FitError
        When `strict` and the fit did not end as it should.
    Interrupted
        When Ctrl-C ends it (a KeyboardInterrupt); `error.partial` is what was found by then, or None.

    Notes
    -----
    Source: Chiquet, Mariadassou & Robin (2018), doi:10.1214/18-AOAS1177; Tipping & Bishop (1999),
    doi:10.1111/1467-9868.00196; Keenan & Kotula (2004), doi:10.1002/sia.1657.

    Examples
    --------
    >>> import bayesspec as bs
    >>> si = bs.simulate.iron_oxides(300, (12, 12), seed=0).rebin(energy=8)
    >>> bs.pca(si, 2).denoise()["mean"].dims
    ('y', 'x', 'energy')
    """
    check_prob(prob)
    if link not in LINKS:
        raise InputError(f"link={link!r}", f"one of {list(LINKS)}", "bs.pca(si, rank=4, link='linear')")
    counts = counts_of(image)
    numbers = candidates(rank, "rank", min(counts.shape))
    table, verdict, chosen = choose_rank(
        counts, odd_channels(image), numbers, random_key(seed_for(seed, image.checksum))
    )
    verdict += noise_note(counts)
    with tqdm(desc=f"components, rank {chosen}", disable=None, leave=False) as bar:
        parts = _fit(counts, chosen, link, bar, neighbours=neighbours)
    result = _result(image, parts, table, verdict, prob, draws, {"seed": seed, "link": link, "neighbours": neighbours})
    return as_it_ended(result, strict=strict)


def _fit(counts: Counts, rank: int, link: str, bar: tqdm, *, neighbours: bool) -> _Parts:
    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    if link == "linear":
        sums = fit_linear(counts, rank, neighbours=neighbours, progress=progress)
        empty, bound = np.full(counts.shape[1], np.nan), float("nan")
        covariances = sums.channel_covariance, sums.scores, sums.score_covariance
        return _Parts(sums.loadings, empty, *covariances, sums.status, bound)
    found = fit_pca(counts, rank, progress=progress)
    parts = found.channel_covariance, found.scores, found.score_covariance
    return _Parts(found.components, found.mean_log, *parts, found.status, found.bound)


def _result(
    image: SpectrumImage,
    parts: _Parts,
    table: xr.Dataset,
    verdict: str,
    prob: float,
    draws: int,
    settings: dict[str, Any],
) -> PrincipalComponents:
    link, rank = settings["link"], len(parts.components)
    reach = float(ndtri((1 + prob) / 2))
    own = parts.channel_covariance[:, -rank:, -rank:]
    widths = np.sqrt(np.maximum(own.diagonal(axis1=1, axis2=2).T, 0.0))
    noise = parts.score_covariance.diagonal(axis1=1, axis2=2)
    power = np.square(parts.scores).mean(axis=0)
    reliability = power / np.maximum(power + noise.mean(axis=0), 1e-20)
    unit = {"units": "log counts" if link == "log" else "counts"}
    log_sd = np.sqrt(np.maximum(parts.channel_covariance[:, 0, 0], 0.0))
    scores = _statistics("scores", parts.scores, np.sqrt(np.maximum(noise, 0.0)), reach)
    sampled = np.random.default_rng(seed_for(settings["seed"], image.checksum)).standard_normal(
        (draws, *parts.components.shape)
    )
    return PrincipalComponents.from_values(
        {
            **_statistics("components", parts.components, widths, reach),
            **_statistics("mean_log", parts.mean_log, log_sd, reach),
            **{name: (values, unit) for name, values in scores.items()},
            "score_covariance": (parts.score_covariance.astype(np.float32), {"units": f"{unit['units']} squared"}),
            "channel_covariance": parts.channel_covariance.astype(np.float32),
            "components_draws": np.einsum("cij,djc->dic", _roots(own), sampled) + parts.components,
            "reliability": reliability,
            "sum_spectrum": image.sum_spectrum(),
        },
        Frame.of(image).with_coords(component=np.arange(rank)),
        name=image.name,
        method=f"Poisson PCA, {link} link",
        verdict=verdict + _weak(reliability),
        status=parts.status,
        settings=settings
        | {
            "model": MODELS[link],
            "prior": PRIORS[link],
            "bound": parts.bound,
            "counts_per_pixel": image.counts_per_pixel,
        },
        selection=table,
        attrs={"link": link, "prob": prob, "interval": "equal-tailed", **image_attributes(image)},
    )


def _weak(reliability: npt.NDArray[np.float64]) -> str:
    """Name the components whose maps are mostly noise."""
    weak = [str(k) for k in np.flatnonzero(reliability < SETTINGS.unreliable)]
    if not weak:
        return ""
    named = f"component {weak[0]} is" if len(weak) == 1 else f"components {', '.join(weak)} are"
    return f"; {named} not resolved pixel by pixel: sum pixels or count longer before relying on intervals"


def _roots(covariance: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    values, vectors = np.linalg.eigh(covariance.astype(np.float64))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :], np.float64)


def _statistics(name: str, mean: npt.NDArray[Any], sd: npt.NDArray[Any], reach: float) -> dict[str, npt.NDArray[Any]]:
    """Mean, standard deviation and the normal interval of one quantity."""
    found = {"mean": mean, "sd": sd, "lower": mean - reach * sd, "upper": mean + reach * sd}
    return {f"{name}_{s}": values.astype(np.float32) for s, values in found.items()}
