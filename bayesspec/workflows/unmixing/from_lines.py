"""Unmixing with the physics of the spectra: components are line families and continuum, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import ndtri
from threadpoolctl import threadpool_limits

from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.after_sampling import Step, with_steps
from bayesspec.inference.linear_poisson.every_pixel import fit_pixels
from bayesspec.inference.linear_poisson.mixing_distribution import (
    Functional,
    MixingDistribution,
    MixingLikelihood,
    component_parts,
    fit_mixing_distribution,
    posterior_shares,
)
from bayesspec.inference.linear_poisson.profile_likelihood import ProfileEnd, allowed_drop, profile_ends
from bayesspec.inference.status import Status
from bayesspec.results.line_unmixing import LineUnmixing
from bayesspec.spectroscopy.line_families import LineFamily
from bayesspec.workflows.condensed_design import CondensedDesign, condensed_design

Floats = npt.NDArray[np.float64]
WIDE_OPEN = 0.1
"""Range of an element's share of the line counts above which the verdict names it: verdict, ranges and how
often these hold, ``python benchmarks/lamella.py``."""
PRIOR = (
    "None. Shares of lines and continuum in a component are not negative; shares of the components in a pixel have any "
    "distribution, its most likely points are found along with the components."
)
MOST_PIXELS = 1600
"""Blocks of pixels that the fit is made of, at most about: cost."""
MOST_PLACES = 2000
"""Blocks of pixels at most among which starts are sought: cost."""
COUNTS_OF_PLACE = 2000
"""Counts that such a block holds on average, at least."""
STARTS = 2
"""Starts of the fit: the places farthest apart, and a random draw of such places."""

# From a fit of components and the ends of its ranges to a labelled result


def principal_columns(families: Sequence[LineFamily]) -> list[int]:
    """Place of the first line of every element, the one it is quantified with."""
    elements = [family.element for family in families]
    return [elements.index(element) for element in dict.fromkeys(elements)]


def line_shares(rank: int, families: Sequence[LineFamily], columns: int) -> list[Functional]:
    """Share of each element's line in the line counts of each component, as functions of the weights.

    Parameters
    ----------
    rank : int
        Number of components.
    families : sequence of LineFamily
        Lines, the first columns.
    columns : int
        Number of all columns.

    Returns
    -------
    list of callable
        Value and derivatives (component, column); component by component.
    """
    principal = principal_columns(families)

    def share(k: int, j: int) -> Functional:
        def of(weights: Floats) -> tuple[float, Floats]:
            total = max(float(weights[k, principal].sum()), 1e-12)
            value, slope = float(weights[k, j]) / total, np.zeros((rank, columns))
            slope[k, principal] = -value / total
            slope[k, j] += 1.0 / total
            return value, slope

        return of

    return [share(k, j) for k in range(rank) for j in principal]


def line_unmixing_result(
    image: SpectrumImage,
    condensed: CondensedDesign,
    summed: Floats,
    best: MixingDistribution,
    ends: Sequence[tuple[ProfileEnd, ProfileEnd]],
    verdict: str,
    settings: dict[str, Any],
) -> LineUnmixing:
    """Label components, ranges and abundances.

    Parameters
    ----------
    image : SpectrumImage
        The image.
    condensed : CondensedDesign
        Columns.
    summed : array, shape (block, bin), float64
        Counts that the components were fitted to.
    best : MixingDistribution
        Most likely components.
    ends : sequence of (ProfileEnd, ProfileEnd)
        Ends of the ranges, as ``line_shares`` orders them.
    verdict : str
        How the number of components was chosen.
    settings : dict
        ``seed``, ``prob`` and ``block``, the size of the blocks of pixels that were summed.

    Returns
    -------
    LineUnmixing
        Components, largest first.
    """
    in_pixel = condensed.counts()[image.valid]
    each = in_pixel.sum(axis=1, dtype=np.float64)
    share = posterior_shares(in_pixel, condensed.matrix, best)
    order = np.argsort(-(share * each[:, None]).sum(axis=0))
    fits = [best, *(end.fit for pair in ends for end in pair)]
    weights = np.stack([fit.weights[order] for fit in fits])
    parts, sds = zip(*(component_parts(summed, condensed.matrix, fit) for fit in fits), strict=True)
    totals = each.sum() * np.stack(parts)[:, order]
    intensities = weights * totals[..., None] / condensed.matrix.sum(axis=0)
    reach = np.sqrt(2 * allowed_drop(best.weights, settings["prob"])) * (sds[0] / parts[0])[order]
    families = condensed.design.families[: len(condensed.lines)]
    shown = principal_columns(families)
    return LineUnmixing.from_draws(
        image,
        **_components(image, condensed, intensities, reach, settings["prob"]),
        abundances={"mean": share[:, order] * each[:, None]},
        method="Poisson line unmixing",
        status=Status.CONVERGED if best.converged else Status.ITERATION_LIMIT,
        verdict=verdict + condensed.remarks + _open_questions(intensities[..., shown], families),
        prob=settings["prob"],
        interval="joint likelihood ranges",
        selection=xr.Dataset({"verdict": ("candidate", ["as asked"])}, coords={"candidate": [len(order)]}),
        settings=with_steps({}, Step.AMOUNTS)
        | {
            "seed": settings["seed"],
            "model": "line_mixture",
            "prior": PRIOR,
            "pixels summed": f"{settings['block']} x {settings['block']}",
            "points of the distribution of the shares": len(best.probabilities),
            "calibration": condensed.note,
            "acquisition": asdict(condensed.image.acquisition),
        },
        coords={"line": list(condensed.lines)},
        elements=list(dict.fromkeys(family.element for family in families)),
    )


def _components(
    image: SpectrumImage, condensed: CondensedDesign, intensities: Floats, reach: Floats, prob: float
) -> dict[str, Any]:
    """Arguments of ``from_draws``: the most likely lines, totals and spectra as the only draw, and what ranges hold.

    Counts and fractions at the ends reach further by the uncertainty of each component's amount, relative to it, and
    counts of lines by what axis and resolution leave open of them.
    """
    design, n = condensed.design, len(condensed.lines)
    spectra = np.zeros((*intensities.shape[:2], image.shape[2]), np.float32)
    curves = intensities @ design.matrix.T
    totals = curves.sum(axis=2)
    spectra[:, :, design.channels] = curves / np.maximum(totals, 1e-300)[..., None]
    amounts = np.stack([np.maximum(1 - reach, 0.0), np.ones_like(reach), 1 + reach])
    ranged = (amounts[:, None, :, None] * intensities[:, :, :n]).reshape(-1, len(reach), n)
    others = _calibrations(condensed, prob)[:, None, None]
    ranged = (others * ranged).reshape(-1, len(reach), n)
    ranged[:, :, np.setdiff1d(np.arange(n), principal_columns(design.families[:n]))] = np.nan
    fractions = amounts[:, None] * totals / totals.sum(axis=1, keepdims=True)
    return {
        "spectra_draws": spectra[:1],
        "total_draws": totals[:1],
        "variables": {
            "line_draws": intensities[:1, :, :n],
            "continuum_draws": intensities[:1, :, n:].sum(axis=2),
            "feasible_lines": ranged,
            "feasible_fractions": np.tile(np.minimum(fractions, 1.0).reshape(-1, len(reach)), (len(others), 1)),
            "spectra_lower": spectra.min(axis=0),
            "spectra_upper": spectra.max(axis=0),
        },
    }


def _calibrations(condensed: CondensedDesign, prob: float) -> Floats:
    """Counts of the lines at other calibrations, relative to those at the likeliest (calibration, line)."""
    n = len(condensed.lines)
    reach = ndtri(0.5 + prob / 2) * condensed.changes[:, :n] / np.maximum(condensed.intensities[:n], 1.0)
    return np.maximum(np.concatenate([np.ones((1, n)), 1 + reach, 1 - reach]), 0.0)


def _open_questions(intensities: Floats, families: Sequence[LineFamily]) -> str:
    """Name the elements whose part in a component the counts leave wide open."""
    shares = intensities / np.maximum(intensities.sum(axis=2, keepdims=True), 1e-300)
    wide = np.ptp(shares, axis=0) > WIDE_OPEN
    names = list(dict.fromkeys(family.element for family in families))
    found = [f"{names[j]} in component {k}" for k, j in np.argwhere(wide)]
    return f"; the counts leave wide open: {', '.join(found)}; see the ranges" if found else ""


def unmix_lines(
    image: SpectrumImage,
    rank: int,
    elements: Sequence[str],
    *,
    seed: int,
    verdict: str,
    prob: float,
    calibrate: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> LineUnmixing:
    """Find components made of the lines of given elements.

    Parameters
    ----------
    image : SpectrumImage
        An EDS or EELS image.
    rank : int
        Number of components.
    elements : sequence of str
        Elements of the sample.
    seed : int
        Seed of the starts.
    verdict : str
        How the number of components was chosen, in words.
    prob : float
        Probability of the ranges.
    calibrate : bool
        Refine energy axis and resolution first.
    progress : callable (done, total), optional
        Called after each step.

    Returns
    -------
    LineUnmixing
        Components, largest first, with likelihood ranges; ``verdict`` names what the counts leave open.

    Raises
    ------
    InputError
        When an element is not known or not recorded, or there are fewer pixels than components.
    """
    condensed = condensed_design(image, elements, calibrate=calibrate, continua=2)
    rng = np.random.default_rng(seed)
    whole = condensed.counts()
    summed, block = _summed(whole, image)
    if not 1 <= rank <= min(len(summed), len(condensed.lines)):
        raise InputError(
            f"rank={rank} for {len(summed)} pixels and {len(condensed.lines)} lines",
            "no more components than pixels or lines",
            "bs.unmix(si, rank=3, elements=[...])",
        )
    problem = MixingLikelihood(summed, condensed.matrix)
    shares = line_shares(rank, condensed.design.families[: len(condensed.lines)], condensed.matrix.shape[1])
    with threadpool_limits(limits=1, user_api="blas"):  # thousands of small products, whose threads wait for each other
        starts = _starts(whole, condensed, rank, rng)
        fits = [fit_mixing_distribution(problem, start, progress=progress) for start in starts]
        likeliest = max(fits, key=lambda fit: fit.log_likelihood)
        best, ends = profile_ends(problem, likeliest, shares, prob, progress=progress)
    return line_unmixing_result(
        image, condensed, summed, best, ends, verdict, {"seed": seed, "prob": prob, "block": block}
    )


def _summed(counts: npt.NDArray[Any], image: SpectrumImage, most: int = MOST_PIXELS) -> tuple[Floats, int]:
    """Counts of blocks of pixels, few enough to be fast; excluded pixels leave out their block."""
    block = max(int(np.ceil(np.sqrt(image.valid.sum() / max(most, 50)))), 1)
    ny, nx = (n // block for n in image.shape[:2])
    cut = counts[: ny * block, : nx * block].reshape(ny, block, nx, block, -1).sum(axis=(1, 3))
    valid = image.valid[: ny * block, : nx * block].reshape(ny, block, nx, block).all(axis=(1, 3))
    return cut[valid].astype(np.float64), block


def _starts(whole: npt.NDArray[Any], condensed: CondensedDesign, rank: int, rng: np.random.Generator) -> list[Floats]:
    """Spectra of places that lie far apart: the successive projections, and two draws of places far from each other."""
    counts = _summed(whole, condensed.image, most=min(MOST_PLACES, int(whole.sum() / COUNTS_OF_PLACE)))[0]
    intensities = np.asarray(fit_pixels(counts, condensed.matrix, kept=0)[0], np.float64)
    totals = intensities.sum(axis=1, keepdims=True)
    kept = intensities[(totals[:, 0] >= np.quantile(totals, 0.3)) & (totals[:, 0] > 0)]
    if not len(kept):
        found = f"{int(whole.sum())} counts in the channels of the lines"
        raise InputError(found, "pixels with counts of the elements", "elements=[...] that are in the sample")
    shares = kept / kept.sum(axis=1, keepdims=True)
    spread = shares / np.sqrt(shares.mean(axis=0) + 1e-3)
    starts = []
    for attempt in range(STARTS):
        chosen, left = [], spread - spread.mean(axis=0)
        for _ in range(rank):
            size = np.square(left).sum(axis=1)
            weights = size**2 / (size**2).sum() if size.any() else None  # places that are all alike
            best = int(size.argmax()) if attempt == 0 else int(rng.choice(len(size), p=weights))
            near = np.argsort(np.square(spread - spread[best]).sum(axis=1))[: max(len(spread) // 12, 2)]
            chosen.append(shares[near].mean(axis=0))
            axis = left[best] / max(float(np.linalg.norm(left[best])), 1e-12)
            left = left - np.outer(left @ axis, axis)
        mixed = 0.7 * np.stack(chosen) + 0.3 * shares.mean(axis=0)
        starts.append(mixed * totals.mean() / rank)
    return starts
