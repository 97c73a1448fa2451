"""Unmixing of an image into components with intervals on spectra, abundances and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import jax
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, text
from bayesspec.image.count_matrix import counts_of
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.random_keys import random_key, seed_for
from bayesspec.results.component import Component
from bayesspec.results.estimate import PROB, check_prob
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.result import as_it_ended
from bayesspec.results.selection import candidates
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.odd_channels import odd_channels
from bayesspec.workflows.pca import pca
from bayesspec.workflows.poisson_check import noise_note
from bayesspec.workflows.select_rank import choose_rank
from bayesspec.workflows.unmixing.from_lines import unmix_lines
from bayesspec.workflows.unmixing.known_spectra import KnownSpectra, known_spectra
from bayesspec.workflows.unmixing.result import unmixing_result
from bayesspec.workflows.unmixing.sampling import Sampling, fit_components, progress_bar


@checked_arguments(model=text("model", "model='nmf'"))
def unmix(
    image: SpectrumImage,
    rank: int | Iterable[int] = range(1, 9),
    *,
    elements: Sequence[str] | None = None,
    model: str = "nmf",
    background: str | npt.ArrayLike | None = None,
    spectra: npt.ArrayLike | None = None,
    prior_from: Component | Sequence[Component] | None = None,
    neighbours: bool | float = True,
    seed: int = 0,
    draws: int = 200,
    warmup: int = 60,
    prob: float = PROB,
    calibrate: bool = True,
    strict: bool = False,
) -> Unmixing | PrincipalComponents:
    """Find component spectra and their abundances, how many there are, and their uncertainty.

    Counts are Poisson with a rate of abundances times spectra. The rank is chosen
    as `bs.select_rank` does. Intervals come from a sampler that draws the
    abundances along with the spectra, so that the spectra's intervals have the abundances integrated out. Where
    pixels hold fewer than 500 counts, or are more than 4096, the spectra are sampled on sums over blocks of pixels.
    The sampling starts at the fit whose spectra lie closest together among all that are as good. What other spectra and
    abundances fit as well is found too: where the counts alone do not determine a component, the verdict says
    so and its band stands in place of an interval; ``identifiability`` says what would narrow it. Where the ends of
    intervals are not settled it samples again, four times as long.

    Parameters
    ----------
    image : SpectrumImage
        Counts of an EDS or EELS image.
    rank : int or iterable of int
        Number of components, those of known spectrum counted and the background not, or the numbers to choose
        from; one number where spectra or a background are given.
    elements : sequence of str or None
        Elements of the sample, for EDS: components are combinations of their lines and a continuum, and nothing else
        (a ``LineUnmixing``); few numbers in place of a value for each channel, with the abundances integrated out.
        Intervals are likelihood ranges that hold all at once with the probability `prob`.
    model : {"nmf", "pca"}
        Poisson non-negative matrix factorisation, or Poisson principal components as `bs.pca` finds them.
    background : {"power_law", "bremsstrahlung"}, array of shape (background, energy), or None
        A background apart from the components, with an abundance of its own in every pixel: mixtures of power laws
        (EELS), of Kramers' bremsstrahlung with several absorptions (EDS), or of given shapes. One mixture of unknown
        weights for all pixels where that fits as well and the background is somewhere weak beside the components,
        else one in every pixel. The total of a single shape that is nowhere absent comes out some percent too high.
    spectra : array, shape (n, energy), or None
        Spectra of components that are known, such as ``fit.spectra["mean"][0]``; they come last in the result.
    prior_from : Component, sequence of Component, or None
        Components of fits of other samples that are expected here too, ``fit.component(0)``: their spectra enter the
        prior with the weight of the counts that they are worth; they come first in the result.
    neighbours : bool or float
        How strongly the maps are smoothed over neighbouring pixels, edges excepted: ``True`` learns it from held-out
        counts, ``False`` or 0 is not at all. Smoothed maps are the mean of ``abundances``; its sd and interval are
        those of the pixel alone, the interval widened where the mean is outside. Not used with `elements`.
    seed : int
        Seed of starts, draws and the division into fitted and held-out counts.
    draws : int
        Number of posterior draws kept.
    warmup : int
        Sweeps of the sampler before the first draw.
    prob : float
        Probability of the intervals.
    calibrate : bool
        With `elements`, for EDS: refine energy axis and resolution on the summed spectrum first, as ``bs.fit_lines``
        does; what the lines leave open of them is part of the ranges.
    strict : bool
        Raise when the fit did not end as it should, in place of saying so in ``status``.

    Returns
    -------
    Unmixing or PrincipalComponents
        Spectra, abundances, draws, verdict and selection; with ``model="pca"`` components, scores and denoised rates.

    Raises
    ------
    InputError
        When the model is not known, the strength is not possible, or the rank exceeds what the data allow, or there
        are no counts.
    FitError
        When `strict` and the fit did not end as it should.
    Interrupted
        When Ctrl-C ends it (a KeyboardInterrupt); `error.partial` is what was found by then, or None.

    Examples
    --------
    >>> import bayesspec as bs
    >>> si = bs.simulate.iron_oxides(300, (12, 12), seed=0).rebin(energy=8)
    >>> fit = bs.unmix(si, rank=1, draws=60, warmup=20)
    >>> fit.spectra["mean"].dims
    ('component', 'energy')
    >>> round(float(fit.spectra["mean"].sum()), 3)
    1.0
    """
    check_prob(prob)
    _check_neighbours(neighbours)
    others = any(given is not None for given in (background, spectra, prior_from))
    if elements is not None and (model != "nmf" or others):
        raise InputError(
            f"elements={list(elements)} with model={model!r}, a background, known spectra or a prior",
            "elements alone: their lines and a continuum are all the spectra there can be",
            "bs.unmix(si, rank=3, elements=['Fe', 'O'])",
        )
    if model == "pca":
        return pca(image, rank, seed=seed, draws=draws, prob=prob, strict=strict)
    if model != "nmf":
        models = "a model that bs.unmix knows: 'nmf' or 'pca'"
        raise InputError(f"model={model!r}", models, "bs.unmix(si, rank=4, model='nmf')")
    counts = counts_of(image)
    known = known_spectra(image, spectra, background, prior_from)
    numbers = _numbers(rank, known, min(counts.shape))
    own = seed_for(seed, image.checksum)
    key, select_key = jax.random.split(random_key(own))
    table, verdict, chosen = choose_rank(counts, odd_channels(image), numbers, select_key)
    verdict += noise_note(counts)
    result: Unmixing
    if elements is not None:
        with progress_bar(f"components, rank {chosen}") as progress:
            result = unmix_lines(
                image,
                chosen,
                elements,
                seed=seed,
                verdict=verdict,
                prob=prob,
                calibrate=calibrate,
                progress=progress,
            )
    else:
        sampling = Sampling(seed, draws, warmup, prob, neighbours)
        fit = fit_components(counts, chosen, known, sampling, key)
        result = unmixing_result(image, fit, table, verdict, prob)
    return as_it_ended(result, strict=strict)


def _check_neighbours(neighbours: bool | float) -> None:  # noqa: FBT001
    if not isinstance(neighbours, bool | int | float | np.number) or not 0 <= neighbours < np.inf:
        raise InputError(f"neighbours={neighbours!r}", "True, False, or a strength from 0 on", "neighbours=0.5")


def _numbers(rank: int | Iterable[int], known: KnownSpectra, largest: int) -> list[int]:
    """Ranks to choose from; one, larger than the number of known components, where spectra are known."""
    numbers, given = candidates(rank, "rank", largest), len(known.components) + len(known.expected)
    one = len(numbers) == 1 and numbers[0] >= max(given, len(known.components) + 1)
    if given + len(known.background) and not one:
        raise InputError(
            f"rank={rank} with {given} known spectra and {len(known.background)} shapes of a background",
            f"one rank, above the number of known spectra ({given})",
            f"bs.unmix(si, rank={given + 2}, ...)",
        )
    return numbers
