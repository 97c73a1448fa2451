"""Posterior predictive checks: where in spectrum, image and components the counts contradict a result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, image_or_none
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.deviance import deviance, expected_deviance
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.unmixing import Unmixing

Array = npt.NDArray[np.float64]
SIGMAS = 5.0
LEAST_EXCESS = 0.03
PIXEL_SIGMAS = 6.0
FLOOR = 1e-3
TILE = 8
_BLOCK_ENTRIES = 2**21


class _Block(NamedTuple):
    """Pixels of a result with their rates."""

    places: npt.NDArray[np.intp]
    counts: Array
    rates: Array
    leverage: Array
    shares: Array


@checked_arguments(result=(Segmentation, Unmixing, PrincipalComponents), image=image_or_none)
def check(result: Segmentation | Unmixing | PrincipalComponents, image: SpectrumImage | None = None) -> xr.Dataset:
    """Compare the counts with what a result predicts, channel by channel, pixel by pixel, component by component.

    The deviance of the counts from the rates of the result is compared with that of Poisson counts, less what the fit
    itself takes up. Where it is larger the model fails: a component is missing, the axis drifts, phases are mixed, or
    the noise is not that of counts.

    Parameters
    ----------
    result : Segmentation or Unmixing or PrincipalComponents
        What to check; with two phases or more a segmentation is checked on the lines that it was made from.
    image : SpectrumImage or None
        The image that was unmixed; a segmentation holds its own counts.

    Returns
    -------
    xarray.Dataset
        ``channel_excess`` (energy or line), ``pixel_excess`` (y, x) and ``component_excess`` (component or phase):
        deviance over what is expected, 1 where the model holds. ``channel_sigmas``, ``pixel_sigmas`` and
        ``component_sigmas``: how many standard deviations it is above that. Attributes: ``excess`` and ``sigmas`` of
        everything, ``ok``, and ``verdict`` in words.

    Raises
    ------
    InputError
        When the image is missing or has another shape.

    Notes
    -----
    Source: Gelman, Meng & Stern (1996), Statistica Sinica 6, 733 (realised discrepancies); McCullagh & Nelder (1989),
    doi:10.1007/978-1-4899-3242-6 (deviance and leverage).
    """
    blocks, shape, axis, parts = _source(result, image)
    channels, pixels = np.zeros((3, shape[2])), np.zeros((3, shape[0] * shape[1]))
    components = np.zeros((3, result.data.sizes[parts]))
    for block in blocks:
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
    found = xr.Dataset(table, coords=coords)
    whole = [float(value) for value in _against(channels.sum(axis=1))]
    words = _words(found, axis, parts, whole, _tiles(pixels.reshape(3, *shape[:2])))
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


def _source(
    result: Segmentation | Unmixing | PrincipalComponents, image: SpectrumImage | None
) -> tuple[Iterator[_Block], tuple[int, int, int], str, str]:
    """Blocks of pixels, the shape of the counts, and the names of channels and components."""
    if isinstance(result, Segmentation):
        rows, columns, lines = result.data["counts"].shape
        return _of_phases(result), (rows, columns, lines), "line", "phase"
    wanted = tuple(result.data.sizes[d] for d in ("y", "x", "energy"))
    if image is None or image.shape != wanted:
        found = "no image" if image is None else f"an image of shape {image.shape}"
        raise InputError(found, f"the image of shape {wanted} that was decomposed", "bs.check(fit, si)")
    blocks = _of_components(result, image) if isinstance(result, Unmixing) else _of_scores(result, image)
    return blocks, image.shape, "energy", "component"


def _row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, _BLOCK_ENTRIES // max(1, shape[1] * shape[2]))
    yield from (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def _of_phases(result: Segmentation) -> Iterator[_Block]:
    """Pixels of the phase that each most probably is; their total is given and takes up one degree of freedom."""
    counts = result.data["counts"].values.astype(np.float64)
    shares = result.probabilities.values
    known = np.isfinite(shares).all(axis=2) & (counts.sum(axis=2) > 0)
    flat, labels = counts[known], shares[known].argmax(axis=1)
    weights = shares[known].astype(np.float64)
    pooled = weights.T @ flat
    composition = pooled / np.maximum(pooled.sum(axis=1, keepdims=True), 1e-12)
    share = np.maximum(composition[labels], 1e-9)
    rates = flat.sum(axis=1, keepdims=True) * share
    one = np.eye(len(pooled))[labels][:, :, None] * np.ones(flat.shape[1])
    yield _Block(np.flatnonzero(known.ravel()), flat, rates, share, one)


def _of_components(result: Unmixing, image: SpectrumImage) -> Iterator[_Block]:
    channels = image.valid_channels
    spectra = result.spectra["mean"].values[:, channels].astype(np.float64)
    maps = result.abundances["mean"].values
    mean = image.sum_spectrum()[channels] / max(int(image.valid.sum()), 1)
    for rows in _row_blocks(image.shape):
        known = image.valid[rows] & np.isfinite(maps[rows]).all(axis=2)
        weights = maps[rows][known].astype(np.float64)
        rates = np.maximum(weights @ spectra, FLOOR * np.maximum(mean, 1e-9))
        information = np.einsum("pc,ic,jc->pij", 1.0 / rates, spectra, spectra, optimize=True)
        information += 1e-9 * np.trace(information, axis1=1, axis2=2)[:, None, None] * np.eye(len(spectra))
        inverse = np.linalg.inv(information)
        leverage = np.einsum("pij,ic,jc->pc", inverse, spectra, spectra, optimize=True) / rates
        # components that a pixel does not hold are held at zero by the prior and take up nothing
        active = (weights > 0.5 * np.sqrt(inverse.diagonal(axis1=1, axis2=2))).sum(axis=1) / len(spectra)
        leverage = np.minimum(leverage * active[:, None], 0.9)
        shares = weights[:, :, None] * spectra / rates[:, None]
        yield _widened(image, rows, known, rates, leverage, shares)


def _of_scores(result: PrincipalComponents, image: SpectrumImage) -> Iterator[_Block]:
    channels = image.valid_channels
    weights = np.abs(result.components["mean"].values[:, channels].astype(np.float64))
    shares = weights / np.maximum(weights.sum(axis=0), 1e-12)
    mean = image.sum_spectrum()[channels] / max(int(image.valid.sum()), 1)
    for rows in _row_blocks(image.shape):
        found = result.denoise(y=rows)
        known = image.valid[rows] & np.isfinite(found["mean"].values[:, :, channels]).all(axis=2)
        rates = found["mean"].values[known][:, channels].astype(np.float64)
        rates = np.maximum(rates, FLOOR * np.maximum(mean, 1e-9))
        leverage = np.minimum(np.square(found["sd"].values[known][:, channels].astype(np.float64)) / rates, 0.9)
        yield _widened(image, rows, known, rates, leverage, np.broadcast_to(shares, (len(rates), *shares.shape)))


def _widened(
    image: SpectrumImage, rows: slice, known: npt.NDArray[np.bool_], rates: Array, leverage: Array, shares: Array
) -> _Block:
    """Put the channels that are in use into their places; the others expect nothing."""
    channels = image.valid_channels

    def wide(values: Array) -> Array:
        whole = np.zeros((*values.shape[:-1], len(channels)))
        whole[..., channels] = values
        return whole

    places = np.flatnonzero(known.ravel()) + rows.start * image.shape[1]
    full = wide(rates)
    full[:, ~channels] = 1e-30
    counts = image.counts[rows][known].astype(np.float64)
    counts[:, ~channels] = 0.0
    held = wide(leverage)
    held[:, ~channels] = 1.0
    return _Block(places, counts, full, held, wide(shares))


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
