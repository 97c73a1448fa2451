"""Composition pixel by pixel, of maps and profiles of line intensities."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.results.estimate import PROB, check_prob
from bayesspec.results.result import Result
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.thin_film import Film, film_composition

BLOCK = 4096
"""Pixels whose draws are in memory at once."""


@checked_arguments(maps=Result)
def composition_maps(
    maps: Result,
    k_factors: Mapping[str, KFactor],
    *,
    film: Film | None = None,
    prob: float = PROB,
    draws: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Turn maps of line intensities into maps of composition, by k-factors or zeta-factors.

    A line scan is an image of one row: its profile comes out the same way.

    Parameters
    ----------
    maps : IntensityMaps
        What ``bs.model_maps`` gives: intensities with standard deviations, or with their covariance.
    k_factors : mapping of str to float or (float, float)
        k-factor of each line, or k-factor and its standard deviation; ``bs.k_factors`` gives those of theory. With a
        dose in `film` they are zeta-factors.
    film : Film or None
        What corrects absorption or finds the thickness. A dose is that of one pixel.
    prob : float
        Probability of the intervals.
    draws : int
        Number of draws of every pixel.
    seed : int
        Seed of the draws: factors are the same in all pixels.

    Returns
    -------
    xarray.Dataset, dims (y, x, element), float32
        ``weight_percent`` and ``atomic_percent`` with ``_sd``, ``_lower`` and ``_upper``, and ``mass_thickness`` (y, x)
        in kg/m^2 where a dose is given; NaN where a pixel is excluded or has no counts in the lines.

    Raises
    ------
    InputError
        When there are no intensities, a factor belongs to no line or is not positive, or the film is not possible.

    Examples
    --------
    >>> maps = bs.model_maps(si, ["Fe", "O"])  # doctest: +SKIP
    >>> found = bs.composition_maps(maps, bs.k_factors(maps.lines, beam_energy_kev=200.0))  # doctest: +SKIP
    >>> found["atomic_percent"].sel(element="Fe").plot()  # doctest: +SKIP
    """
    check_prob(prob)
    if "intensities" not in maps.data or "sd" not in maps.data or draws < 2:
        raise InputError(
            f"{type(maps).__name__} {maps.name!r}, draws={draws}",
            "maps of line intensities, and two draws or more",
            "bs.composition_maps(bs.model_maps(si, elements), k_factors)",
        )
    lines = list(k_factors)
    unknown = [line for line in lines if line not in maps.data["line"].values]
    if unknown:
        raise InputError(f"a k-factor of {unknown[0]}", f"lines among {list(maps.data['line'].values)}", "k_factors={}")
    intensity = maps.data["intensities"].sel(line=lines).transpose("y", "x", "line").values.reshape(-1, len(lines))
    roots = _roots(maps.data, lines)
    angle = json.loads(maps.data.attrs.get("acquisition", "{}")).get("elevation_deg")
    rng = np.random.default_rng([seed, 7])
    used = np.flatnonzero(np.isfinite(intensity).all(axis=1) & (intensity.sum(axis=1) > 0))
    found: dict[str, np.ndarray] = {}
    ends = ((1 - prob) / 2, (1 + prob) / 2)
    for start in range(0, len(used), BLOCK):
        block = used[start : start + BLOCK]
        noise = rng.standard_normal((draws, len(block), len(lines)))
        values = np.maximum(intensity[block] + np.einsum("pij,dpj->dpi", roots[block], noise), 0.0)
        drawn = xr.DataArray(values, dims=("draw", "pixel", "line"), coords={"line": lines})
        table = film_composition(drawn, k_factors, film, elevation_deg=angle, in_counts=True, seed=seed)
        for name, quantity in table.data_vars.items():
            ordered = quantity.transpose("draw", "pixel", ...).values
            low, high = np.nanquantile(ordered, ends, axis=0)
            summary = {"": np.nanmean(ordered, axis=0), "_sd": np.nanstd(ordered, axis=0, ddof=1)}
            for suffix, statistic in (summary | {"_lower": low, "_upper": high}).items():
                whole = found.setdefault(
                    f"{name}{suffix}", np.full((len(intensity), *statistic.shape[1:]), np.nan, np.float32)
                )
                whole[block] = statistic
    return _dataset(maps, found, [line.split("_")[0] for line in lines], prob)


def _roots(data: xr.Dataset, lines: list[str]) -> np.ndarray:
    """Square root of the covariance of every pixel, shape (pixel, line, line)."""
    if "covariance" in data:
        covariance = data["covariance"]
        other = next(str(dim) for dim in covariance.dims if dim not in ("y", "x", "line"))
        values = covariance.assign_coords({other: data["line"].values}).sel({"line": lines, other: lines})
        matrix = np.nan_to_num(values.transpose("y", "x", "line", other).values.reshape(-1, len(lines), len(lines)))
        size, vectors = np.linalg.eigh(matrix)
        return np.asarray(vectors * np.sqrt(np.maximum(size, 0.0))[:, None, :])
    sd = np.nan_to_num(data["sd"].sel(line=lines).transpose("y", "x", "line").values.reshape(-1, len(lines)))
    return np.asarray(sd[:, :, None] * np.eye(len(lines)))


def _dataset(maps: Result, found: dict[str, np.ndarray], elements: list[str], prob: float) -> xr.Dataset:
    shape = (maps.data.sizes["y"], maps.data.sizes["x"])
    table = {
        name: (("y", "x", "element")[: values.ndim + 1], values.reshape(*shape, *values.shape[1:]))
        for name, values in found.items()
    }
    coords = {dim: maps.data[dim] for dim in ("y", "x") if dim in maps.data.coords}
    attrs = {"prob": prob, "interval": "equal-tailed", "name": maps.name}
    return xr.Dataset(table, coords={**coords, "element": elements}, attrs=attrs)
