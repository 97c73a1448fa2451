"""From a fit of components and the ends of its ranges to a labelled result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.condensed_design import CondensedDesign
from bayesspec.inference.profile_ranges import ProfileEnd, allowed_drop
from bayesspec.inference.share_points import Functional
from bayesspec.inference.share_problem import SharePoints, component_parts, share_means
from bayesspec.line_components import LineUnmixing
from bayesspec.line_families import LineFamily
from bayesspec.result_labels import attributes, pixel_coords
from bayesspec.spectrum_image import SpectrumImage

Floats = npt.NDArray[np.float64]
WIDE = 0.1
"""Range of an element's share of the line counts above which the verdict names it."""
PRIOR = (
    "None. Shares of lines and continuum in a component are not negative; shares of the components in a pixel have any "
    "distribution, its most likely points are found along with the components."
)
STATUS = "converged"
NOT_CONVERGED = (
    "the likelihood was still rising when the search ended; do not rely on the ranges: sum pixels with si.rebin, "
    "or ask for fewer components"
)


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
    best: SharePoints,
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
    best : SharePoints
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
    share = share_means(in_pixel, condensed.matrix, best)
    order = np.argsort(-(share * each[:, None]).sum(axis=0))
    fits = [best, *(end.fit for pair in ends for end in pair)]
    weights = np.stack([fit.weights[order] for fit in fits])
    parts, sds = zip(*(component_parts(summed, condensed.matrix, fit) for fit in fits), strict=True)
    totals = each.sum() * np.stack(parts)[:, order]
    intensities = weights * totals[..., None] / condensed.matrix.sum(axis=0)
    reach = np.sqrt(2 * allowed_drop(best.weights, settings["prob"])) * (sds[0] / parts[0])[order]
    variables = _components(image, condensed, intensities, reach) | _abundances(image, share[:, order] * each[:, None])
    families = condensed.design.families
    coords = pixel_coords(image.shape[:2], image.pixel_size, image.pixel_unit) | {
        "energy": ("energy", image.energy, {"units": image.energy_unit}),
        "component": np.arange(len(order)),
        "line": list(condensed.design.lines),
        "candidate": [len(order)],
    }
    attrs = attributes(
        name=image.name,
        method="Poisson line unmixing",
        status=STATUS if best.converged else NOT_CONVERGED,
        converged=best.converged,
        settings={
            "seed": settings["seed"],
            "model": "line families and continuum, shares integrated out",
            "prior": PRIOR,
            "pixels summed": f"{settings['block']} x {settings['block']}",
            "points of the distribution of the shares": len(best.probabilities),
            "acquisition": asdict(image.acquisition),
        },
    )
    attrs |= {
        "verdict": verdict + _open_questions(intensities[..., principal_columns(families)], families),
        "energy_unit": image.energy_unit,
        "elements": json.dumps(list(dict.fromkeys(family.element for family in families))),
        "acquisition": json.dumps(asdict(image.acquisition)),
        "prob": settings["prob"],
        "interval": "joint likelihood ranges",
    }
    return LineUnmixing(xr.Dataset(variables, coords=coords).assign_attrs(attrs))


def _components(image: SpectrumImage, condensed: CondensedDesign, intensities: Floats, reach: Floats) -> dict[str, Any]:
    """Lines, totals and spectra: the most likely ones first, as the only draw, then those at the ends of ranges.

    Counts and fractions at the ends reach further by the uncertainty of each component's amount, relative to it.
    """
    design, n = condensed.design, condensed.design.n_lines
    spectra = np.zeros((*intensities.shape[:2], image.shape[2]), np.float32)
    curves = intensities @ design.matrix.T
    totals = curves.sum(axis=2)
    spectra[:, :, design.channels] = curves / np.maximum(totals, 1e-300)[..., None]
    dims, units = ("component", "energy"), {"units": "share of the component's counts per channel"}
    counts = {"units": "counts"}
    amounts = np.stack([np.maximum(1 - reach, 0.0), np.ones_like(reach), 1 + reach])
    ranged = (amounts[:, None, :, None] * intensities[:, :, :n]).reshape(-1, len(reach), n)
    ranged[:, :, np.setdiff1d(np.arange(n), principal_columns(design.families))] = np.nan
    fractions = amounts[:, None] * totals / totals.sum(axis=1, keepdims=True)
    return {
        "line_draws": (("draw", "component", "line"), intensities[:1, :, :n], counts),
        "continuum_draws": (("draw", "component"), intensities[:1, :, n:].sum(axis=2), counts),
        "total_draws": (("draw", "component"), totals[:1], counts),
        "spectra_draws": (("draw", *dims), spectra[:1], units),
        "feasible_lines": (("transform", "component", "line"), ranged, counts),
        "feasible_fractions": (("transform", "component"), np.minimum(fractions, 1.0).reshape(-1, len(reach))),
        "spectra_mean": (dims, spectra[0], units),
        "spectra_sd": (dims, np.full_like(spectra[0], np.nan), units),
        "spectra_lower": (dims, spectra.min(axis=0), units),
        "spectra_upper": (dims, spectra.max(axis=0), units),
        "sum_spectrum": (("energy",), image.sum_spectrum(), counts),
        "selection_verdict": (("candidate",), ["as asked"]),
    }


def _abundances(image: SpectrumImage, counts: Floats) -> dict[str, Any]:
    """Counts of each component in every pixel, on the whole image; without ranges."""
    dims, units = ("y", "x", "component"), {"units": "counts"}
    grid = np.full((*image.shape[:2], counts.shape[1]), np.nan, np.float32)
    unknown = {f"abundances_{name}": (dims, grid, units) for name in ("sd", "lower", "upper")}
    mean = grid.copy()
    mean[image.valid] = counts
    return unknown | {"abundances_mean": (dims, mean, units)}


def _open_questions(intensities: Floats, families: Sequence[LineFamily]) -> str:
    """Name the elements whose part in a component the counts leave wide open."""
    shares = intensities / np.maximum(intensities.sum(axis=2, keepdims=True), 1e-300)
    wide = np.ptp(shares, axis=0) > WIDE
    names = list(dict.fromkeys(family.element for family in families))
    found = [f"{names[j]} in component {k}" for k, j in np.argwhere(wide)]
    return f"; the counts leave wide open: {', '.join(found)}; see the ranges" if found else ""
