"""What the Dataset of a result carries beside its numbers: provenance, coordinates, the summed spectrum."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from bayesspec.image.spectrum_image import Acquisition, SpectrumImage

PACKAGES = ("bayesspec", "jax", "numpyro", "numpy", "scipy", "scikit-learn", "xarray")


def summed_image(data: xr.Dataset) -> SpectrumImage:
    """Read the summed spectrum off a result.

    Parameters
    ----------
    data : xarray.Dataset
        With ``sum_spectrum`` (energy,), and the attributes that go with it.

    Returns
    -------
    SpectrumImage
        1 x 1 pixel, with the detector and the elements of the image.
    """
    attrs = data.attrs
    return SpectrumImage(
        data["sum_spectrum"].values,
        energy=data["energy"].values,
        energy_unit=attrs["energy_unit"],
        elements=tuple(json.loads(attrs["elements"])),
        acquisition=Acquisition(**json.loads(attrs["acquisition"])),
        name=str(attrs["name"]),
    )


def attributes(*, name: str, method: str, status: str, converged: bool, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the attributes that every result carries.

    Parameters
    ----------
    name : str
        Name of the sample or file.
    method : str
        How the result was obtained.
    status : str
        How the fit ended.
    converged : bool
        Whether it ended as it should.
    settings : mapping
        Seed, priors and options; values that JSON can hold.

    Returns
    -------
    dict
        Attributes for the Dataset; versions are added.
    """
    provenance = json.dumps({**settings, "versions": _versions()}, default=str)
    return {
        "name": name,
        "method": method,
        "status": status,
        "converged": int(converged),
        "provenance": provenance,
    }


@cache
def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in PACKAGES}


def pixel_coords(
    shape: tuple[int, int], pixel_size: tuple[float, float] | None, pixel_unit: str
) -> dict[str, tuple[str, Any, dict[str, str]]]:
    """Coordinates of the pixels.

    Parameters
    ----------
    shape : tuple of int
        Number of pixels (y, x).
    pixel_size : tuple of float or None
        Size of a pixel along (y, x) in `pixel_unit`.
    pixel_unit : str
        Unit of `pixel_size`.

    Returns
    -------
    dict
        Coordinates ``y`` and ``x`` for xarray, float64, with units.
    """
    size = pixel_size or (1.0, 1.0)
    return {d: (d, np.arange(n) * s, {"units": pixel_unit}) for d, n, s in zip("yx", shape, size, strict=True)}
