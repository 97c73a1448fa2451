"""Segmentation of an image into phases of one composition each, with intervals on their ratios."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.after_sampling import Step, with_steps
from bayesspec.inference.mixture.area_fractions import area_fraction_draws
from bayesspec.inference.mixture.boundary_fit import NeighbourFit
from bayesspec.inference.mixture.dark_pixels import dark_pixels
from bayesspec.inference.mixture.fit import MixtureFit
from bayesspec.inference.mixture.path import fit_path, held_out_scores
from bayesspec.inference.mixture.scattered_fit import ScatteredFit
from bayesspec.inference.mixture.search import PhaseFits, find_phases
from bayesspec.inference.mixture.settings import SETTINGS
from bayesspec.inference.nmf.held_out import thin
from bayesspec.inference.random_keys import generator, seed_for
from bayesspec.labels import interior as inner
from bayesspec.results.result import as_it_ended
from bayesspec.results.segmentation import BOUNDARIES, Segmentation
from bayesspec.results.selection import candidates, held_out_table, limit_note, with_verdicts
from bayesspec.spectroscopy.line_maps import LineMaps, counting_maps
from bayesspec.workflows.spectral_maps import maps_of

IMPURE = "their ratios are not those of pure phases; use bs.unmix, or bs.ratio_map, which asks for no phases"
VARIES = "use bs.ratio_map, which asks for no phases, or bs.unmix"
HIDDEN = (
    "at least two phases: neighbouring pixels deviate together, but at this dose the ratios of the phases cannot be "
    "resolved; sum pixels or count longer"
)
Counts = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]
FITTED_SHARE = 0.8
"""Share of the counts that is fitted when numbers of phases are scored; the rest is held out."""
PRIOR = (
    "Compositions: flat Dirichlet over the windows. Log mixing weights: normal with standard deviation 3 for the "
    "intercept and for the slopes on eight steps of the local dose and on the smoothed residuals of the other pixels. "
    "Thickness: 1/t, which drops out."
)

# The verdict of a segmentation in words: how many phases, what they do, what cannot be said


def phase_verdict(
    fits: PhaseFits, path: Sequence[MixtureFit], numbers: Sequence[int], order: npt.NDArray[np.intp]
) -> str:
    """Say what was found.

    Parameters
    ----------
    fits : PhaseFits
        The fits that are reported.
    path : sequence of MixtureFit
        Fits of 1, 2, ... phases.
    numbers : sequence of int
        The numbers of phases to choose from.
    order : ndarray of int, (phase,)
        Phases of the fits in the order in which they are reported.

    Returns
    -------
    str
        Such as "2 phases".
    """
    if fits.hidden:
        return HIDDEN
    found = fits.measured.n_phases
    words = (f"{found} phase" if found == 1 else f"{found} phases") + _scatter_note(fits)
    if len(numbers) == 1:
        words += ", as asked"
    if fits.boundary_share > SETTINGS.most_boundary:
        return f"the composition varies from pixel to pixel: of {words}, {_mixed_note(fits)}; {VARIES}"
    if fits.blurred:
        return f"{words}, but {_mixed_note(fits)}: {IMPURE}"
    if not fits.resolved:
        return f"{words}, but at this dose their ratios cannot be resolved"
    if fits.unresolved:
        places = np.flatnonzero(np.isin(order, fits.unresolved))
        words += f", but at this dose the ratios of {_named(places)} cannot be resolved"
    words += limit_note(found, numbers, "phases")
    fewer = min(path[:found], key=lambda other: other.bic).n_phases
    if len(numbers) == 1 and fewer < found:
        words += f"; pixel by pixel the counts support {fewer}"
    if fits.uneven:
        named = _named(np.flatnonzero(np.isin(order, fits.uneven)))
        words += f"; neighbouring pixels of {named} deviate together: there may be more than this dose resolves"
    if fits.boundary_share:
        words += f"; {_mixed_note(fits)}, whose shares are fitted"
        if fits.boundary_probability < 1 - SETTINGS.two_phases_unlikely:
            words += f"; that they do is not certain at this dose, probability {fits.boundary_probability:.2f}"
    if fits.mixed.found:
        words += f"; {_mixed_note(fits)}, which pulls their ratios together: compare with bs.unmix"
    return words


def _scatter_note(fits: PhaseFits) -> str:
    """Name the scatter, where there is any: the largest standard deviation of a log ratio, in percent."""
    if not isinstance(fits.measured, ScatteredFit):
        return ""
    size = f" whose compositions scatter from pixel to pixel by up to {100 * fits.measured.scatter_sd.max():.2g} %"
    unknown = " or overlap within pixels, which two lines cannot tell apart"
    return size + (unknown if fits.measured.log_composition.shape[1] == 2 and fits.measured.n_phases > 1 else "")


def _named(phases: npt.NDArray[np.intp]) -> str:
    names = [str(phase) for phase in phases]
    return f"phases {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"phase {names[0]}"


def _mixed_note(fits: PhaseFits) -> str:
    if fits.boundary_share:
        return f"{100 * fits.boundary_share:.0f} % of the pixels hold two phases"
    return f"phases overlap within {100 * fits.mixed.share:.0f} % of the pixels"


@checked_arguments()
def segment(
    data: LineMaps | SpectrumImage,
    phases: int | Iterable[int] = range(1, 7),
    *,
    lines: Sequence[str] | None = None,
    elements: Sequence[str] | None = None,
    method: str = "windows",
    calibrate: bool = True,
    seed: int = 0,
    draws: int = 1000,
    strict: bool = False,
    interior: bool = False,
) -> Segmentation:
    """Find the phases of an image, how many there are, and their line ratios with intervals.

    Every pixel belongs to one phase, and its counts are Poisson with a rate of thickness times the phase's
    composition, background included. The number of phases has the smallest BIC; held-out counts are scored
    beside it. Which phase a pixel belongs to is judged by its own counts and by the other pixels around it.
    The noise is asked first: hot channels and pixels are left out and a gain is divided out, and the verdict says so.
    Pixels that are dark beside the others, such as holes, have no phase; areas are shares of the other pixels.
    Where phases meet within pixels, a pixel may hold two, in shares that are fitted: then the probabilities are
    shares, areas are sums of shares, and the verdict names the share of such pixels.
    Compositions that scatter within the phases are fitted so where the counts say so; where pixels hold more than one
    phase the verdict says it, and ratios are not given where these are many.

    Parameters
    ----------
    data : LineMaps or SpectrumImage
        Line counts, or an EDS image to count lines in.
    phases : int or iterable of int
        Number of phases, or the numbers to choose from.
    lines, elements : sequence of str or None
        For a SpectrumImage: the lines to count, or the elements whose main lines to count.
    method : {"windows", "spectra"}
        For a SpectrumImage: count in windows around the lines (``bs.element_maps``), or fit the line families of
        the elements and a continuum to the whole spectrum (``bs.spectral_maps``), which tells overlapping lines apart.
    calibrate : bool
        For a SpectrumImage: refine energy axis and resolution on the summed spectrum first, as ``bs.fit_lines`` does;
        what the lines leave open of them is part of every interval, and the verdict names corrections that matter.
    seed : int
        Seed of the posterior draws and of the division into fitted and held-out counts.
    draws : int
        Number of posterior draws.
    strict : bool
        Raise when the fit did not end as it should, in place of saying so in ``status``.
    interior : bool
        Take the ratios of the phases from their interior alone: the summed counts of the pixels whose neighbours are
        all of the same phase (``bayesspec.labels.interior``), with Poisson errors. A simple figure to compare with;
        where many labels are wrong its intervals are too short.

    Returns
    -------
    Segmentation
        Labels, probabilities, ratios with draws, verdict and selection. Where neighbours show two phases whose ratios
        the dose does not resolve, their labels come without ratios.

    Raises
    ------
    InputError
        When there are fewer than two lines, no counts, more phases than pixels, or fewer than two draws.
    FitError
        When `strict` and the fit did not converge or has no covariance.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesspec as bs
    >>> maps = bs.simulate.iron_oxide_lines(1000, (32, 32), seed=0)
    >>> seg = bs.segment(maps, phases=2, seed=0)
    >>> ratio = seg.ratio("Fe_Ka", "O_Ka")
    >>> ratio.mean.dims
    ('phase',)
    >>> bool((abs(sorted(ratio.mean.values) - np.array([0.698, 0.783])) < 0.02).all())
    True
    """
    maps = maps_of(data, lines, elements, method, calibrate=calibrate) if isinstance(data, SpectrumImage) else data
    if not isinstance(maps, LineMaps):
        raise InputError(f"a {type(data).__name__}", "line maps or an image", "bs.LineMaps(counts, lines=[...])")
    _check(maps)
    maps, dark = _without_dark_pixels(counting_maps(maps))
    counts = maps.window_counts()
    numbers = candidates(phases, "phases", _check(maps))
    mask = np.asarray(maps.mask)
    with tqdm(total=numbers[-1], desc="phases", disable=None, leave=False) as bar:
        path = fit_path(counts, numbers[-1], mask=mask, candidates=numbers, progress=lambda *_: bar.update())
    own = seed_for(seed, maps.checksum)
    table = _scores(path, counts, mask, numbers, own)
    fits = find_phases(path, numbers, counts, mask, seed=own, lines=len(maps.lines))
    table = with_verdicts(table, fits.measured.n_phases)
    result = _result(maps, fits, table, path, draws, seed, interior=interior, dark=dark)
    return as_it_ended(result, strict=strict)


def _without_dark_pixels(maps: LineMaps) -> tuple[LineMaps, str]:
    """Leave out what is no part of the sample, and say so."""
    totals = maps.window_counts().sum(axis=2, dtype=np.int64)
    dark = dark_pixels(totals, maps.valid)
    if not dark.any():
        return maps, ""
    share = 100 * dark.sum() / maps.valid.sum()
    words = f"; {share:.2g} % of the pixels are dark, {totals[dark].mean():.2g} counts in the mean, and of no phase"
    return replace(maps, mask=np.asarray(maps.mask) | dark), words


def _check(maps: LineMaps) -> int:
    """Count the pixels with counts; refuse fewer than two lines, or no counts."""
    if len(maps.lines) < 2:
        raise InputError(
            f"the line(s) {list(maps.lines)}",
            "two lines or more: a composition is a ratio",
            "bs.element_maps(si, lines=['Fe_Ka', 'O_Ka'])",
        )
    measured = int((maps.counts.sum(axis=2, dtype=np.int64)[maps.valid] > 0).sum())
    if not measured:
        raise InputError(
            f"no counts in {int(maps.valid.sum())} pixels that are not excluded",
            "pixels with counts in the line windows",
            "maps.mask = None, or lines=[...] that are in the sample",
        )
    return measured


def _scores(
    path: list[MixtureFit],
    counts: Counts,
    mask: npt.NDArray[np.bool_],
    numbers: list[int],
    seed: int,
) -> xr.Dataset:
    """Held-out log likelihood and BIC of every candidate."""
    train, test = thin(counts, FITTED_SHARE, key=seed)
    scores = held_out_scores([path[n - 1] for n in numbers], train, test, mask)
    bic = np.array([path[n - 1].bic for n in numbers])
    table = held_out_table(numbers, scores[:, ~mask.ravel()])
    about = {"long_name": "Bayesian information criterion, relative to the best", "units": "nats times two"}
    return table.assign(bic=("candidate", bic - bic.min(), about))


def _result(
    maps: LineMaps,
    fits: PhaseFits,
    table: xr.Dataset,
    path: Sequence[MixtureFit],
    draws: int,
    seed: int,
    *,
    interior: bool,
    dark: str,
) -> Segmentation:
    shape = maps.counts.shape[:2]
    measured = maps.valid & (maps.window_counts().sum(axis=2, dtype=np.int64) > 0)
    fit = fits.measured
    probabilities = fits.labelled.responsibilities.reshape(*shape, -1)
    own = seed_for(seed, maps.checksum)
    drawn = _draws(fits, maps.window_counts(), measured, draws, own)
    order = _order(drawn.shares, probabilities[measured])
    probabilities = np.where(measured[..., None], probabilities[..., order], np.nan).astype(np.float32)
    compositions = drawn.compositions[:, order]
    verdict = phase_verdict(fits, path, table["candidate"].values.tolist(), order)
    if interior:
        inside = inner(np.where(measured, probabilities.argmax(axis=2), -1))
        compositions = _of_interior(compositions, maps.window_counts(), probabilities, inside, own)
        verdict += f"; ratios from the {int(inside.sum())} pixels whose neighbours are of the same phase"
    verdict += dark + maps.remarks + (f"; {maps.noise}" if maps.noise else "")
    return Segmentation.from_draws(
        maps,
        compositions,
        probabilities,
        method="composition mixture" + (", interior" if interior else ""),
        fraction_draws=drawn.shares[:, order],
        scatter=_scatter(fit)[order],
        status=fit.status,
        verdict=verdict,
        resolved=fits.resolved,
        mixed_share=fits.boundary_share or fits.mixed.share,
        selection=table,
        settings=with_steps({}, *_steps(fits, interior=interior))
        | {
            "seed": seed,
            "draws": draws,
            "model": BOUNDARIES if fits.boundary_share else "composition_mixture",
            "interior": interior,
            "prior": PRIOR,
            "Newton steps": fit.convergence.iterations,
        },
        seed=own,
    )


def _steps(fits: PhaseFits, *, interior: bool) -> list[Step]:
    """What is done to the draws of the compositions."""
    unresolved = not fits.resolved or bool(fits.unresolved)
    return [Step.UNRESOLVED] * unresolved + [Step.INTERIOR] * interior


def _order(shares: Floats, probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Phases by the area that is printed, the largest first; by their labels where it is not resolved."""
    labels = np.bincount(probabilities.argmax(axis=1), minlength=shares.shape[1]) / max(len(probabilities), 1)
    mean = shares.mean(axis=0)
    return np.argsort(-np.where(np.isfinite(mean), mean, labels), kind="stable")


def _scatter(fit: MixtureFit | NeighbourFit) -> npt.NDArray[np.float64]:
    return fit.scatter_sd if isinstance(fit, ScatteredFit) else np.zeros(fit.n_phases)


def _of_interior(
    compositions: Floats, counts: Counts, probabilities: Floats, inside: npt.NDArray[np.bool_], seed: int
) -> Floats:
    """Draws of the compositions by the pooled counts inside each phase; NaN where it is unknown or has no inside."""
    rng = np.random.default_rng(seed)
    labels = np.where(inside, probabilities.argmax(axis=2), -1)
    drawn = np.full(compositions.shape, np.nan)
    for k in range(probabilities.shape[2]):
        pooled = counts[labels == k].sum(axis=0, dtype=np.int64)
        if pooled.any() and np.isfinite(compositions[:, k]).all():
            drawn[:, k] = rng.dirichlet(pooled + 1.0, compositions.shape[0])
    return drawn


class _Draws(NamedTuple):
    """Joint draws: compositions (draw, phase, window) and shares of the image (draw, phase)."""

    compositions: Floats
    shares: Floats


def _draws(fits: PhaseFits, counts: Counts, measured: npt.NDArray[np.bool_], n: int, seed: int) -> _Draws:
    """Draw compositions and shares together; NaN where the data do not resolve the phases."""
    fit = fits.measured
    if not fits.resolved:
        return _Draws(np.full((n, *fit.log_composition.shape), np.nan), np.full((n, fit.n_phases), np.nan))
    rng = generator(seed)
    compositions, weights = fit.draws(rng, n)
    shares = np.ones((n, 1))
    if isinstance(fit, NeighbourFit):
        shares = weights
    elif fit.n_phases > 1:
        shares = area_fraction_draws(fit, compositions, weights, counts, fits.covariates, measured=measured, rng=rng)
    unknown = list(fits.unresolved)
    compositions[:, unknown] = shares[:, unknown] = np.nan
    return _Draws(compositions, shares)
