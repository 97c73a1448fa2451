"""Unmixing with the physics of the spectra: components are line families and continuum, nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.condensed_design import CondensedDesign, condensed_design
from bayesspec.errors import InputError
from bayesspec.inference.line_maps import fit_pixels
from bayesspec.inference.nonnegative_poisson import PoissonLineFit, draw_intensities
from bayesspec.inference.simplex_mixture import SimplexMixture, fit_simplex, improved, share_moments
from bayesspec.line_components import LineUnmixing
from bayesspec.results import attributes, pixel_coords
from bayesspec.spectrum_image import SpectrumImage

Floats = npt.NDArray[np.float64]
TRIAL_DRAWS = 200
POINTS_ONLY = (
    "Values without intervals: how much of one another the components hold is known less well than any formula for "
    "intervals that was tried says, so none is given; do not rely on the last digits."
)
MOST_PIXELS = 2500
MOST_PLACES = 2000
COUNTS_OF_PLACE = 2000
STARTS = 2
PURE = 0.02
PRIOR = (
    "Share of each line and of the continuum in a component: flat where they are not negative. Shares of the "
    "components in a pixel: any distribution, estimated along on a grid and integrated out."
)


def unmix_lines(
    image: SpectrumImage,
    rank: int,
    elements: Sequence[str],
    *,
    seed: int,
    verdict: str,
    progress: Callable[[int, int], None] | None = None,
) -> LineUnmixing:
    """Find components made of the lines of given elements.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.
    rank : int
        Number of components.
    elements : sequence of str
        Elements of the sample.
    seed : int
        Seed of the starts.
    verdict : str
        How the number of components was chosen, in words.
    progress : callable (done, total), optional
        Called after each step.

    Returns
    -------
    LineUnmixing
        Components, largest first, without intervals; ``verdict`` names what the data leave open.

    Raises
    ------
    InputError
        When an element is not known or not recorded, or there are fewer pixels than components.
    """
    condensed = condensed_design(image, elements, continua=2)
    rng = np.random.default_rng(seed)
    whole = condensed.counts()
    summed, block = _summed(whole, image)
    if not 1 <= rank <= min(len(summed), condensed.design.n_lines):
        raise InputError(
            f"rank={rank} for {len(summed)} pixels and {condensed.design.n_lines} lines",
            "no more components than pixels or lines",
            "bs.unmix(si, rank=3, elements=[...])",
        )
    matrix = condensed.matrix
    fits = [fit_simplex(summed, matrix, s, progress=progress) for s in _starts(whole, condensed, rank, rng)]
    best = improved(summed, matrix, max(fits, key=lambda fit: fit.log_likelihood), progress=progress)
    share, _ = share_moments(whole[image.valid], matrix, best)
    in_pixel = whole[image.valid].sum(axis=1, dtype=np.float64)
    totals = (share * in_pixel[:, None]).sum(axis=0)
    order = np.argsort(-totals)
    weights = _draws(best, rng, TRIAL_DRAWS)[:, order]
    seen = share_moments(summed, matrix, best)[0][:, order]
    verdict += _open_questions(weights, seen, condensed)
    table = _abundance_table(image, share[:, order], in_pixel)
    found = best.weights[order][None] * totals[order][:, None] / matrix.sum(axis=0)
    return _result(image, condensed, found, best, table, verdict, seed, block)


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
    intensities = np.asarray(fit_pixels(counts, condensed.matrix)[0], np.float64)
    totals = intensities.sum(axis=1, keepdims=True)
    kept = intensities[totals[:, 0] > np.quantile(totals, 0.3)]
    shares = kept / kept.sum(axis=1, keepdims=True)
    spread = shares / np.sqrt(shares.mean(axis=0) + 1e-3)
    starts = []
    for attempt in range(STARTS):
        chosen, left = [], spread - spread.mean(axis=0)
        for _ in range(rank):
            size = np.square(left).sum(axis=1)
            best = int(size.argmax()) if attempt == 0 else int(rng.choice(len(size), p=size**2 / (size**2).sum()))
            near = np.argsort(np.square(spread - spread[best]).sum(axis=1))[: max(len(spread) // 12, 2)]
            chosen.append(shares[near].mean(axis=0))
            axis = left[best] / max(float(np.linalg.norm(left[best])), 1e-12)
            left = left - np.outer(left @ axis, axis)
        mixed = 0.7 * np.stack(chosen) + 0.3 * shares.mean(axis=0)
        starts.append(mixed * totals.mean() / rank)
    return starts


def _draws(fit: SimplexMixture, rng: np.random.Generator, n: int) -> Floats:
    """Draws of the shares of the columns (draw, component, column), rows summing to 1."""
    quadratic = PoissonLineFit(
        fit.weights.ravel(), np.zeros(0), fit.gradient, fit.information, 0.0, converged=fit.status.ok
    )
    drawn = draw_intensities(quadratic, rng, n).reshape(n, *fit.weights.shape)
    return drawn / drawn.sum(axis=2, keepdims=True)


def _open_questions(drawn: Floats, shares: Floats, condensed: CondensedDesign) -> str:
    """Name the pairs of components that the data could still exchange: the likelihood does not see it."""
    n = condensed.design.n_lines
    mean, sd = drawn[:, :, :n].mean(axis=0), drawn[:, :, :n].std(axis=0)
    part = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    open_pairs = []
    for k in range(len(mean)):
        for j in range(len(mean)):
            absent = (mean[k] < 2.5 * sd[k]) & (mean[j] > 5 * sd[j])
            alone = (part[:, j] < PURE) & (part[:, k] > 0.5)
            if j != k and not absent.any():
                open_pairs.append(f"component {k} may hold some of component {j}: no line tells")
            if j != k and not alone.any():
                open_pairs.append(
                    f"component {k} may be purer in what component {j} is made of: no pixel is without {j}"
                )
    return f"; not identified: {'; '.join(open_pairs)}" if open_pairs else ""


def _abundance_table(image: SpectrumImage, share: Floats, totals: Floats) -> dict[str, Any]:
    """Counts of each component in every pixel, on the whole image; no intervals."""
    dims, units = ("y", "x", "component"), {"units": "counts"}
    grid = np.full((*image.shape[:2], share.shape[1]), np.nan, np.float32)
    unknown = {f"abundances_{name}": (dims, grid, units) for name in ("sd", "lower", "upper")}
    mean = grid.copy()
    mean[image.valid] = share * totals[:, None]
    return unknown | {"abundances_mean": (dims, mean, units)}


def _result(
    image: SpectrumImage,
    condensed: CondensedDesign,
    drawn: Floats,
    fit: SimplexMixture,
    table: dict[str, Any],
    verdict: str,
    seed: int,
    block: int,
) -> LineUnmixing:
    design, n = condensed.design, condensed.design.n_lines
    spectra = np.zeros((*drawn.shape[:2], image.shape[2]), np.float32)
    curves = drawn @ design.matrix.T
    spectra[:, :, design.channels] = curves / np.maximum(curves.sum(axis=2, keepdims=True), 1e-300)
    unknown = np.full(spectra.shape[1:], np.nan, np.float32)
    dims, units = ("component", "energy"), {"units": "share of the component's counts per channel"}
    variables = table | {
        "line_draws": (("draw", "component", "line"), drawn[:, :, :n], {"units": "counts"}),
        "continuum_draws": (("draw", "component"), drawn[:, :, n:].sum(axis=2), {"units": "counts"}),
        "total_draws": (("draw", "component"), curves.sum(axis=2), {"units": "counts"}),
        "spectra_draws": (("draw", *dims), spectra, units),
        "spectra_mean": (dims, spectra.mean(axis=0), units),
        "spectra_sd": (dims, unknown, units),
        "spectra_lower": (dims, unknown, units),
        "spectra_upper": (dims, unknown, units),
        "sum_spectrum": (("energy",), image.sum_spectrum(), {"units": "counts"}),
        "selection_verdict": (("candidate",), ["as asked"]),
    }
    coords = pixel_coords(image.shape[:2], image.pixel_size, image.pixel_unit) | {
        "energy": ("energy", image.energy, {"units": image.energy_unit}),
        "component": np.arange(drawn.shape[1]),
        "line": list(design.lines),
        "candidate": [drawn.shape[1]],
    }
    settings = {
        "seed": seed,
        "model": "line families and continuum, shares integrated out",
        "prior": PRIOR,
        "pixels summed": f"{block} x {block}",
        "points of the distribution of the shares": int((fit.probabilities > 1e-4).sum()),
        "acquisition": asdict(image.acquisition),
    }
    attrs = attributes(
        name=image.name,
        method="Poisson line unmixing",
        status=POINTS_ONLY if fit.status.ok else str(fit.status),
        converged=False,
        settings=settings,
    )
    attrs |= {
        "verdict": verdict,
        "energy_unit": image.energy_unit,
        "elements": json.dumps(list(dict.fromkeys(f.element for f in design.families))),
        "acquisition": json.dumps(asdict(image.acquisition)),
    }
    return LineUnmixing(xr.Dataset(variables, coords=coords).assign_attrs(attrs))
