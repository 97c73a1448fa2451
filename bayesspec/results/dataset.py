"""What the Dataset of a result carries beside its numbers: provenance, places of pixels, summed spectrum."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import Acquisition, SpectrumImage
from bayesspec.inference.after_sampling import with_steps
from bayesspec.inference.status import Status
from bayesspec.spectroscopy.line_maps import LineMaps

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


def image_attributes(image: SpectrumImage, elements: Iterable[str] | None = None) -> dict[str, Any]:
    """Collect the attributes that `summed_image` needs.

    Parameters
    ----------
    image : SpectrumImage
        The image that a result was made of.
    elements : iterable of str or None
        Elements of the result; ``None`` for those of the image.

    Returns
    -------
    dict
        ``energy_unit``, ``elements`` and ``acquisition``.
    """
    return {
        "energy_unit": image.energy_unit,
        "elements": json.dumps(list(image.elements if elements is None else elements)),
        "acquisition": json.dumps(asdict(image.acquisition)),
    }


def attributes(
    *, name: str, method: str, status: Status | str, converged: bool | None = None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Collect the attributes that every result carries.

    Parameters
    ----------
    name : str
        Name of the sample or file.
    method : str
        How the result was obtained.
    status : Status or str
        How the fit ended: an outcome, or a sentence.
    converged : bool or None
        Whether it ended as it should; ``None`` for what the outcome says.
    settings : mapping
        Seed, priors and options; values that JSON can hold.

    Returns
    -------
    dict
        Attributes for the Dataset; versions are added.

    Raises
    ------
    InputError
        When a sentence comes without `converged`.
    """
    provenance = json.dumps({**with_steps(settings), "versions": _versions()}, default=str)
    if isinstance(status, Status):
        converged = status.ok if converged is None else converged
    if converged is None:
        raise InputError(f"status={status!r} alone", "whether the fit ended as it should", "status=..., converged=True")
    return {
        "name": name,
        "method": method,
        "status": str(status),
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


@dataclass(frozen=True, eq=False)
class Frame:
    """Coordinates, and which pixels and channels are in use.

    Parameters
    ----------
    coords : mapping
        Coordinates as xarray takes them.
    valid : array, shape (y, x), bool, or None
        Pixels that are not excluded; ``None`` where there are no pixels.
    channels : array, shape (energy,), bool, or None
        Channels that are not excluded; ``None`` where there are no channels.
    checksum : str
        Checksum of the counts that the result is of; empty where there is none.
    """

    coords: Mapping[str, Any] = field(default_factory=dict)
    valid: npt.NDArray[np.bool_] | None = None
    channels: npt.NDArray[np.bool_] | None = None
    checksum: str = ""

    @staticmethod
    def of(data: SpectrumImage | LineMaps) -> Frame:
        """Frame of an image or of line maps.

        Parameters
        ----------
        data : SpectrumImage or LineMaps
            Counts.

        Returns
        -------
        Frame
            Coordinates y and x, and energy, or line and window.
        """
        shape = (data.counts.shape[0], data.counts.shape[1])
        coords: dict[str, Any] = dict(pixel_coords(shape, data.pixel_size, data.pixel_unit))
        if isinstance(data, LineMaps):
            coords |= {"line": list(data.lines), "window": list(data.windows)}
            return Frame(coords, data.valid, checksum=data.image_checksum or data.checksum)
        energy = ("energy", data.energy, {"units": data.energy_unit})
        return Frame(coords | {"energy": energy}, data.valid, data.valid_channels, data.checksum)

    def with_coords(self, **coords: Any) -> Frame:
        """Add coordinates.

        Parameters
        ----------
        **coords
            Coordinates as xarray takes them.

        Returns
        -------
        Frame
            With them.
        """
        return replace(self, coords={**self.coords, **coords})

    def placed(self, values: npt.NDArray[Any], dims: tuple[str, ...], outside: float = np.nan) -> npt.NDArray[Any]:
        """Put values of the pixels, or of the channels, in use in their places.

        Parameters
        ----------
        values : array
            Of `dims`, or with one axis of the pixels in use in place of (y, x), or with the channels in use alone.
        dims : tuple of str
            Dims of the whole.
        outside : float
            Value of what is excluded.

        Returns
        -------
        array
            Of `dims`, the same object where all is in its place.
        """
        if self.valid is not None and dims[:2] == ("y", "x"):
            values = self._of_pixels(values, len(dims), outside)
        if self.channels is not None and "energy" in dims and values.ndim == len(dims):
            values = self._of_channels(values, dims.index("energy"), outside)
        return values

    def _of_pixels(self, values: npt.NDArray[Any], ndim: int, outside: float) -> npt.NDArray[Any]:
        valid = np.asarray(self.valid)
        if values.ndim != ndim - 1 or values.shape[:1] != (int(valid.sum()),):
            return values
        whole = np.full((*valid.shape, *values.shape[1:]), outside, values.dtype)
        whole[valid] = values
        return whole

    def _of_channels(self, values: npt.NDArray[Any], axis: int, outside: float) -> npt.NDArray[Any]:
        channels = np.asarray(self.channels)
        if values.shape[axis] == len(channels) or values.shape[axis] != int(channels.sum()):
            return values
        shape = list(values.shape)
        shape[axis] = len(channels)
        whole = np.full(shape, outside, values.dtype)
        whole[(slice(None),) * axis + (channels,)] = values
        return whole
