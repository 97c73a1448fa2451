"""Results without an uncertainty: what a classical method finds, in the shape of the Bayesian results."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.results.dataset import attributes, pixel_coords
from bayesspec.results.estimate import PROB
from bayesspec.results.result import STATISTICS
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.line_maps import LineMaps

DONE = "Finished: a classical method, which gives no uncertainty."


def point_segmentation(
    maps: LineMaps,
    labels: npt.NDArray[np.int64],
    *,
    method: str,
    settings: Mapping[str, Any],
    status: str = DONE,
    converged: bool = True,
) -> Segmentation:
    """Make a segmentation from labels alone; the phases are put in order of area.

    Parameters
    ----------
    maps : LineMaps
        The counts that were segmented.
    labels : array, shape (y, x), int64
        Phase of each pixel, every number from 0 to the largest in use; -1 where a pixel has none.
    method : str
        How the labels were found.
    settings : mapping
        Options and seed.
    status : str
        How the method ended.
    converged : bool
        Whether it ended as it should.

    Returns
    -------
    Segmentation
        One draw: the intensities are those of the counts pooled over a phase's pixels.
    """
    area = np.bincount(labels[labels >= 0])
    order = np.argsort(-area, kind="stable")
    labels = np.append(np.argsort(order, kind="stable"), -1)[labels]
    pooled = _pooled(maps, labels, len(order))
    shares = (pooled @ np.asarray(maps.response).T) / pooled.sum(axis=1, keepdims=True)
    hard = np.eye(len(order), dtype=np.float32)[np.maximum(labels, 0)]
    hard[labels < 0] = np.nan
    plural = "phase" if len(order) == 1 else "phases"
    variables: dict[str, Any] = {
        "labels": (("y", "x"), labels.astype(np.int64)),
        "probabilities": (("y", "x", "phase"), hard),
        "intensity_draws": (("draw", "phase", "line"), shares[None]),
        "fraction_draws": (("draw", "phase"), area[order][None] / area.sum()),
        "counts": (("y", "x", "line"), np.asarray(maps.counts)),
        "net": (("y", "x", "line"), maps.net()),
        "scatter": (("phase",), np.zeros(len(order))),
    }
    coords = {
        **pixel_coords(maps.counts.shape[:2], maps.pixel_size, maps.pixel_unit),
        "phase": np.arange(len(order)),
        "line": list(maps.lines),
    }
    attrs = attributes(name=maps.name, method=method, status=status, converged=converged, settings=settings)
    attrs |= {"verdict": f"{len(order)} {plural}, as asked for", "resolved": 1}
    return Segmentation(xr.Dataset(variables, coords=coords, attrs=attrs))


def _pooled(maps: LineMaps, labels: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.float64]:
    counts = maps.window_counts()
    return np.stack([counts[labels == phase].sum(axis=0, dtype=np.float64) for phase in range(n)])


def point_unmixing(
    image: SpectrumImage,
    spectra: npt.NDArray[np.float64],
    abundances: npt.NDArray[np.float64],
    *,
    method: str,
    settings: Mapping[str, Any],
    status: str = DONE,
    converged: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> Unmixing:
    """Make an unmixing from spectra and abundances alone.

    Parameters
    ----------
    image : SpectrumImage
        The image that was unmixed.
    spectra : array, shape (component, energy), float64
        Spectra, their absolute values summing to 1; 0 in excluded channels.
    abundances : array, shape (y, x, component), float64
        Abundances in counts; NaN in excluded pixels.
    method : str
        How they were found.
    settings : mapping
        Options and seed.
    status : str
        How the method ended.
    converged : bool
        Whether it ended as it should.
    extra : mapping or None
        Further variables for the Dataset.

    Returns
    -------
    Unmixing
        One draw; standard deviations and intervals are NaN.
    """
    rank = len(spectra)
    variables: dict[str, Any] = {}
    for key, dims, mean in (
        ("spectra", ("component", "energy"), spectra),
        ("abundances", ("y", "x", "component"), abundances),
    ):
        mean = mean.astype(np.float32)
        unknown = np.full_like(mean, np.nan)
        variables |= {f"{key}_{s}": (dims, mean if s == "mean" else unknown) for s in STATISTICS}
    variables["spectra_draws"] = (("draw", "component", "energy"), spectra[None].astype(np.float32))
    variables["total_draws"] = (("draw", "component"), np.nansum(abundances, axis=(0, 1))[None])
    variables["sum_spectrum"] = (("energy",), image.sum_spectrum())
    coords = {
        **pixel_coords(image.shape[:2], image.pixel_size, image.pixel_unit),
        "component": np.arange(rank),
        "energy": ("energy", image.energy, {"units": image.energy_unit}),
    }
    attrs = attributes(name=image.name, method=method, status=status, converged=converged, settings=settings)
    attrs |= {
        "verdict": f"{rank} {'component' if rank == 1 else 'components'}, as asked for",
        "energy_unit": image.energy_unit,
        "elements": json.dumps(image.elements),
        "acquisition": json.dumps(dataclasses.asdict(image.acquisition)),
        "prob": PROB,
        "interval": "none",
    }
    return Unmixing(xr.Dataset({**variables, **dict(extra or {})}, coords=coords, attrs=attrs))
