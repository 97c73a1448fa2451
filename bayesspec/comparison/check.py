"""Posterior predictive checks: where in spectrum, image and components the counts contradict a result."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.files.public_arguments import checked_arguments, image_or_none
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.deviance import deviance, expected_deviance
from bayesspec.results.result import Result

Array = npt.NDArray[np.float64]
SIGMAS = 5.0
"""Standard deviations above its expectation from which on a deviance is called too large: false alarms and power,
``python benchmarks/decisions.py check``."""
LEAST_EXCESS = 0.03
"""Share by which a deviance must be above its expectation besides, as less does little harm, however certain it is:
``python benchmarks/decisions.py check``."""
PIXEL_SIGMAS = 6.0
"""Standard deviations for single pixels, more as there are many: ``python benchmarks/decisions.py check``."""
INTERIOR_SIGMAS = 4.0
"""Standard deviations between a ratio of a phase and that of its interior from which on they disagree: false alarms and
power, ``python benchmarks/decisions.py interior``."""
TILE = 8
"""Side of the squares of the image that are judged, in pixels."""


@checked_arguments(result=Result, image=image_or_none)
def check(result: Result, image: SpectrumImage | None = None) -> xr.Dataset:
    """Compare the counts with what a result predicts, channel by channel, pixel by pixel, component by component.

    The deviance of the counts from the rates of the result is compared with that of Poisson counts, less what the fit
    itself takes up. Where it is larger the model fails: a component is missing, the axis drifts, phases are mixed, or
    the noise is not that of counts.

    Parameters
    ----------
    result : Segmentation, Unmixing, PrincipalComponents or another that expects counts in every pixel
        What to check; with two phases or more a segmentation is checked on the lines that it was made from.
    image : SpectrumImage or None
        The image that was unmixed; a segmentation holds its own counts.

    Returns
    -------
    xarray.Dataset
        ``channel_excess`` (energy or line), ``pixel_excess`` (y, x) and ``component_excess`` (component or phase):
        deviance over what is expected, 1 where the model holds. ``channel_sigmas``, ``pixel_sigmas`` and
        ``component_sigmas``: how many standard deviations it is above that. Of a segmentation also ``interior_ratio``
        and ``fitted_ratio`` (phase, ratio), line ratios of the pixels whose neighbours are all of the same phase and
        those that were fitted, ``interior_sigmas``, how many standard deviations they are apart, and
        ``interior_pixels`` (phase). Attributes: ``excess`` and ``sigmas`` of
        everything, ``ok``, and ``verdict`` in words.

    Raises
    ------
    InputError
        When the image is missing or has another shape.

    Notes
    -----
    Source: Gelman, Meng & Stern (1996), Statistica Sinica 6, 733 (realised discrepancies); McCullagh & Nelder (1989),
    doi:10.1007/978-1-4899-3242-6 (deviance and leverage).

    Examples
    --------
    >>> import bayesspec as bs
    >>> si = bs.simulate.iron_oxides(300, (12, 12), seed=0)
    >>> found = bs.check(bs.classical.nmf(si, 1), si)
    >>> found.attrs["verdict"][:10]
    'the counts'
    """
    shape, axis, parts = result.counts_shape, result.axis, result.part or "part"
    channels, pixels = np.zeros((3, shape[2])), np.zeros((3, shape[0] * shape[1]))
    components = np.zeros((3, result.number))
    for block in result.predictions(image):
        expected, variance = expected_deviance(block.rates)
        left = np.maximum(1.0 - block.leverage, 0.0)
        terms = np.stack([deviance(block.counts, block.rates), expected * left, variance * left])
        channels += terms.sum(axis=1)
        pixels[:, block.places] = terms.sum(axis=2)
        components += np.einsum("tpc,pkc->tk", terms, block.shares, optimize=True)
    table: dict[str, tuple[tuple[str, ...], Array]] = {}
    for name, sums, dims in (
        ("channel", channels, (axis,)),
        ("pixel", pixels.reshape(3, *shape[:2]), ("y", "x")),
        ("component", components, (parts,)),
    ):
        excess, sigmas = _against(sums)
        table |= {f"{name}_excess": (dims, excess), f"{name}_sigmas": (dims, sigmas)}
    coords = {name: result.data.coords[name] for name in (axis, "y", "x", parts) if name in result.data.coords}
    found = xr.Dataset(table, coords=coords).merge(result.baseline())
    whole = [float(value) for value in _against(channels.sum(axis=1))]
    words = _words(found, axis, parts, whole, _tiles(pixels.reshape(3, *shape[:2]))) + _interior_words(found)
    verdict = "; ".join(words) or "the counts agree with the result everywhere, as far as their noise tells"
    return found.assign_attrs(excess=whole[0], sigmas=whole[1], ok=int(not words), verdict=verdict, name=result.name)


def _against(sums: Array) -> tuple[Array, Array]:
    """Deviance over its expectation, and how far above it in standard deviations of a normal; NaN without either.

    A sum of deviances is close to a gamma variable, whose cube root is close to normal: Wilson & Hilferty (1931),
    doi:10.1073/pnas.17.12.684.
    """
    seen, expected, variance = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (expected > 0) & (variance > 0)
        excess = np.where(known, seen / expected, np.nan)
        narrow = variance / (9.0 * np.square(expected))
        return excess, np.where(known, (np.cbrt(excess) - 1.0 + narrow) / np.sqrt(narrow), np.nan)


def _tiles(pixels: Array) -> list[tuple[str, float, float]]:
    """Squares of the image whose deviance is too large: place, excess, standard deviations."""
    found = []
    for y in range(0, pixels.shape[1], TILE):
        for x in range(0, pixels.shape[2], TILE):
            part = pixels[:, y : y + TILE, x : x + TILE]
            excess, sigmas = _against(part.sum(axis=(1, 2)))
            if sigmas > SIGMAS and excess > 1 + LEAST_EXCESS:
                place = f"y {y}-{y + part.shape[1] - 1}, x {x}-{x + part.shape[2] - 1}"
                found.append((place, float(excess), float(sigmas)))
    return sorted(found, key=lambda tile: -tile[2])


def _words(
    found: xr.Dataset, axis: str, parts: str, whole: list[float], tiles: list[tuple[str, float, float]]
) -> list[str]:
    """Say where the model fails, the worst first."""
    words = []
    if whole[1] > SIGMAS and whole[0] > 1 + LEAST_EXCESS:
        words.append(f"the deviance of all counts is {whole[0]:.3g} times what is expected")
    for name, dim in (("channel", axis), ("component", parts)):
        over, by = found[f"{name}_sigmas"].values, found[f"{name}_excess"].values
        bad = np.flatnonzero((over > SIGMAS) & (by > 1 + LEAST_EXCESS))
        if len(bad):
            worst = bad[np.argmax(over[bad])]
            value = found[dim].values[worst] if dim in found.coords else worst
            unit = f" {found[dim].attrs['units']}" if dim == "energy" and "units" in found[dim].attrs else ""
            label = f"{value:.4g}{unit}" if dim == "energy" else str(value)
            what = {"energy": "channel", "line": "line"}.get(dim, dim)
            counted = f"{len(bad)} {what}{'s' if len(bad) > 1 else ''}"
            words.append(f"{counted} deviate, most of all {label}: {by[worst]:.3g} times, {over[worst]:.0f} sigmas")
    over = found["pixel_sigmas"].values
    single = int((over > PIXEL_SIGMAS).sum())
    if single:
        y, x = np.unravel_index(int(np.nanargmax(over)), over.shape)
        words.append(f"{single} single pixels deviate, most of all y {y}, x {x}")
    if tiles:
        place, by_tile, sigma = tiles[0]
        words.append(
            f"{len(tiles)} parts of the image deviate, most of all {place}: {by_tile:.3g} times, {sigma:.0f} sigmas"
        )
    return words


def _interior_words(found: xr.Dataset) -> list[str]:
    """Say where the ratios of phases are not those of their interior, the worst."""
    if "interior_sigmas" not in found or not np.isfinite(found["interior_sigmas"]).any():
        return []
    sigmas = np.abs(found["interior_sigmas"].values)
    if not np.nanmax(sigmas) > INTERIOR_SIGMAS:
        return []
    phase, place = np.unravel_index(int(np.nanargmax(sigmas)), sigmas.shape)
    fitted, inside = (float(found[name].values[phase, place]) for name in ("fitted_ratio", "interior_ratio"))
    name, pixels = found["ratio"].values[place], int(found["interior_pixels"].values[phase])
    return [
        f"the interior of phase {phase}, {pixels} pixels whose neighbours are of the same phase, has another "
        f"{name} of counts than was fitted: {inside:.4g} in place of {fitted:.4g}, {sigmas[phase, place]:.0f} sigmas"
    ]
