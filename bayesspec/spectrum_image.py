"""SpectrumImage: counts with their calibrated energy axis, pixel size, mask and acquisition metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.counts import as_counts, count_dtype
from bayesspec.errors import InputError

ENERGY_UNITS = ("keV", "eV")


@dataclass(frozen=True)
class Acquisition:
    """How the counts were acquired; ``None`` where the file does not say.

    Parameters
    ----------
    technique : str
        ``"EDS"`` or ``"EELS"``.
    beam_energy_kev : float or None
        Beam energy in keV.
    resolution_mn_ka_ev : float or None
        Full width at half maximum of the detector's response at Mn Ka, in eV.
    live_time_s : float or None
        Live time of the whole image, in s.
    elevation_deg : float or None
        Take-off (elevation) angle of the X-ray detector, in degrees.
    """

    technique: str = "EDS"
    beam_energy_kev: float | None = None
    resolution_mn_ka_ev: float | None = None
    live_time_s: float | None = None
    elevation_deg: float | None = None


@dataclass(frozen=True, eq=False)
class SpectrumImage:
    """Counts of a spectrum image and what they mean. Immutable: methods return new objects.

    Parameters
    ----------
    counts : array, shape (y, x, energy)
        Number of counts; integers, or floats that hold integers. Stored in the smallest unsigned dtype.
        A spectrum (energy,) becomes a 1 x 1 image and a line scan (x, energy) a 1 x x image.
    energy : array, shape (energy,)
        Energy of the channel centres, strictly increasing, in `energy_unit`. float64.
    energy_unit : {"keV", "eV"}
        keV for EDS, eV for EELS.
    pixel_size : tuple of float or None
        Size of a pixel along (y, x) in `pixel_unit`.
    pixel_unit : str
        Unit of `pixel_size`, ``"px"`` where unknown.
    mask : array, shape (y, x), or None
        ``True`` where a pixel is excluded. bool.
    energy_mask : array, shape (energy,), or None
        ``True`` where a channel is excluded. bool.
    elements : sequence of str
        Chemical symbols of the elements expected in the sample.
    acquisition : Acquisition
        Beam and detector.
    name : str
        What to call the image in figures and reports.
    truth : mapping or None
        The simulated truth (name to array); ``None`` for measured data.

    Raises
    ------
    InputError
        When the counts are negative, fractional, not finite or empty, or when shapes do not fit.
    """

    counts: npt.NDArray[Any]
    energy: npt.NDArray[np.float64]
    energy_unit: str = "keV"
    pixel_size: tuple[float, float] | None = None
    pixel_unit: str = "px"
    mask: npt.NDArray[np.bool_] | None = None
    energy_mask: npt.NDArray[np.bool_] | None = None
    elements: tuple[str, ...] = ()
    acquisition: Acquisition = field(default_factory=Acquisition)
    name: str = "spectrum image"
    truth: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        counts = as_counts(self.counts)
        if counts.ndim not in (1, 2, 3):
            raise InputError(
                f"counts of shape {counts.shape}, {counts.ndim} dimensions",
                "counts with dimensions (y, x, energy), (x, energy) or (energy,)",
                "bs.SpectrumImage(counts.reshape(ny, nx, n_channels), energy=energy)",
            )
        counts = counts.reshape((1,) * (3 - counts.ndim) + counts.shape)
        object.__setattr__(self, "counts", _read_only(counts))
        object.__setattr__(self, "energy", _read_only(_checked_energy(self.energy, counts.shape[2])))
        object.__setattr__(self, "elements", tuple(self.elements))
        _check_unit(self.energy_unit)
        for key, shape in (("mask", counts.shape[:2]), ("energy_mask", counts.shape[2:])):
            object.__setattr__(self, key, _checked_mask(key, getattr(self, key), shape))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of rows, columns and channels (y, x, energy)."""
        ny, nx, channels = self.counts.shape
        return ny, nx, channels

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Pixels that are not excluded, shape (y, x), bool."""
        return np.ones(self.shape[:2], bool) if self.mask is None else ~self.mask

    @property
    def valid_channels(self) -> npt.NDArray[np.bool_]:
        """Channels that are not excluded, shape (energy,), bool."""
        return np.ones(self.shape[2], bool) if self.energy_mask is None else ~self.energy_mask

    @property
    def energy_step(self) -> float:
        """Mean width of a channel in `energy_unit`."""
        return float((self.energy[-1] - self.energy[0]) / max(len(self.energy) - 1, 1))

    @property
    def counts_per_pixel(self) -> float:
        """Mean number of counts in a pixel that is not excluded."""
        return float(self.sum_spectrum().sum() / max(self.valid.sum(), 1))

    def sum_spectrum(self) -> npt.NDArray[np.int64]:
        """Sum the counts over the pixels that are not excluded.

        Returns
        -------
        array, shape (energy,), int64
            Counts per channel; 0 in excluded channels.
        """
        total = self.counts.sum(axis=(0, 1), dtype=np.int64)
        if self.mask is not None:
            total = total - self.counts[self.mask].sum(axis=0, dtype=np.int64)
        return np.where(self.valid_channels, total, 0)

    def intensity(self) -> npt.NDArray[np.int64]:
        """Sum the counts of each pixel over the channels that are not excluded.

        Returns
        -------
        array, shape (y, x), int64
            Counts per pixel, excluded pixels included.
        """
        if self.energy_mask is None:
            return self.counts.sum(axis=2, dtype=np.int64)
        return self.counts[:, :, ~self.energy_mask].sum(axis=2, dtype=np.int64)

    def crop(
        self,
        *,
        energy: tuple[float, float] | None = None,
        y: tuple[int, int] | None = None,
        x: tuple[int, int] | None = None,
    ) -> SpectrumImage:
        """Keep a range of energies (in `energy_unit`, both ends included) and of pixels (end excluded).

        Parameters
        ----------
        energy : tuple of float or None
            Lowest and highest energy to keep, in `energy_unit`.
        y, x : tuple of int or None
            First pixel, and the pixel after the last one.

        Returns
        -------
        SpectrumImage
            The part, as a view of the same counts.

        Raises
        ------
        InputError
            When nothing is left.
        """
        low, high = energy if energy is not None else (-np.inf, np.inf)
        channels = np.flatnonzero((self.energy >= low) & (self.energy <= high))
        rows, columns = slice(*(y or (None, None))), slice(*(x or (None, None)))
        if not len(channels) or 0 in self.counts[rows, columns, :1].shape:
            raise InputError(
                f"crop(energy={energy}, y={y}, x={x}) leaves nothing of {self}",
                "a range that overlaps the image",
                f"si.crop(energy=({self.energy[0]:.4g}, {self.energy[-1]:.4g}))",
            )
        kept = slice(int(channels[0]), int(channels[-1]) + 1)
        return replace(
            self,
            counts=self.counts[rows, columns, kept],
            energy=self.energy[kept],
            mask=None if self.mask is None else self.mask[rows, columns],
            energy_mask=None if self.energy_mask is None else self.energy_mask[kept],
            truth=None,
        )

    def rebin(self, *, y: int = 1, x: int = 1, energy: int = 1) -> SpectrumImage:
        """Sum blocks of pixels and channels; what does not fill a block at the end is left out.

        A block is excluded when any of its pixels (or channels) is: its counts would not be comparable.

        Parameters
        ----------
        y, x, energy : int
            Number of pixels and channels in a block.

        Returns
        -------
        SpectrumImage
            Counts summed over blocks; they stay integers.

        Raises
        ------
        InputError
            When a block is larger than the image or not a positive integer.
        """
        steps = (y, x, energy)
        if any(int(s) != s or s < 1 or s > n for s, n in zip(steps, self.shape, strict=True)):
            raise InputError(
                f"rebin(y={y}, x={x}, energy={energy}) of {self}",
                "positive integers that do not exceed the shape",
                "si.rebin(y=2, x=2)",
            )
        size = None if self.pixel_size is None else (self.pixel_size[0] * y, self.pixel_size[1] * x)
        return replace(
            self,
            counts=_block_sum(self.counts, steps),
            energy=_blocks(self.energy, (energy,)).mean(axis=1),
            pixel_size=size,
            mask=None if self.mask is None else _blocks(self.mask, (y, x)).any(axis=(1, 3)),
            energy_mask=None
            if self.energy_mask is None
            else _blocks(self.energy_mask, (energy,)).any(axis=1),
            truth=None,
        )

    def with_mask(self, mask: npt.ArrayLike) -> SpectrumImage:
        """Exclude pixels (y, x) or channels (energy,) in addition to those excluded already.

        Parameters
        ----------
        mask : array, shape (y, x) or (energy,), bool
            ``True`` where a pixel or channel is excluded.

        Returns
        -------
        SpectrumImage
            The same counts with more of them excluded.

        Raises
        ------
        InputError
            When the shape is neither.
        """
        array = np.asarray(mask)
        if array.ndim == 1:
            return replace(
                self, energy_mask=_checked_mask("mask", array, self.shape[2:]) | ~self.valid_channels
            )
        return replace(self, mask=_checked_mask("mask", array, self.shape[:2]) | ~self.valid)

    def to_xarray(self) -> xr.DataArray:
        """Return the counts as a labelled array.

        Returns
        -------
        xarray.DataArray, dims (y, x, energy)
            Counts, with coordinates in `pixel_unit` and `energy_unit`.
        """
        size = self.pixel_size or (1.0, 1.0)
        coords: dict[str, Any] = {"energy": ("energy", self.energy, {"units": self.energy_unit})}
        for dim, n, step in zip("yx", self.shape, size, strict=False):
            coords[dim] = (dim, np.arange(n) * step, {"units": self.pixel_unit})
        return xr.DataArray(
            self.counts, dims=("y", "x", "energy"), coords=coords, name="counts", attrs={"units": "counts"}
        )

    def __repr__(self) -> str:
        ny, nx, channels = self.shape
        span = f"{channels} channels {self.energy[0]:.4g}..{self.energy[-1]:.4g} {self.energy_unit}"
        return f"<SpectrumImage {self.name!r}: {ny} x {nx} pixels, {span}, {self.counts.dtype}>"


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _check_unit(unit: str) -> None:
    if unit not in ENERGY_UNITS:
        raise InputError(
            f"energy_unit={unit!r}", "'keV' (EDS) or 'eV' (EELS)", "bs.SpectrumImage(..., energy_unit='keV')"
        )


def _checked_energy(energy: npt.ArrayLike, channels: int) -> npt.NDArray[np.float64]:
    axis = np.asarray(energy, dtype=np.float64)
    if axis.shape != (channels,):
        raise InputError(
            f"an energy axis of shape {axis.shape} for counts of {channels} channels",
            f"one energy per channel, shape ({channels},)",
            "bs.SpectrumImage(counts, energy=offset + scale * np.arange(counts.shape[-1]))",
        )
    if not np.isfinite(axis).all() or (np.diff(axis) <= 0).any():
        where = (
            int(np.argmax(~np.isfinite(axis)))
            if not np.isfinite(axis).all()
            else int(np.argmax(np.diff(axis) <= 0))
        )
        raise InputError(
            f"an energy axis that does not increase at channel {where} (value {axis[where]})",
            "finite, strictly increasing energies",
            "bs.SpectrumImage(counts, energy=offset + scale * np.arange(counts.shape[-1]))",
        )
    return axis


def _checked_mask(
    name: str, mask: npt.ArrayLike | None, shape: tuple[int, ...]
) -> npt.NDArray[np.bool_] | None:
    if mask is None:
        return None
    array = np.asarray(mask)
    if array.shape != shape or array.dtype != bool:
        raise InputError(
            f"{name} of shape {array.shape} and dtype {array.dtype}",
            f"a boolean array of shape {shape}, True where excluded",
            f"{name}=np.zeros({shape}, bool)",
        )
    return _read_only(array)


def _blocks(array: npt.NDArray[Any], steps: tuple[int, ...]) -> npt.NDArray[Any]:
    kept = array[tuple(slice(0, n // s * s) for n, s in zip(array.shape, steps, strict=True))]
    return kept.reshape([m for n, s in zip(kept.shape, steps, strict=True) for m in (n // s, s)])


def _block_sum(counts: npt.NDArray[Any], steps: tuple[int, int, int]) -> npt.NDArray[Any]:
    ny = counts.shape[0] // steps[0]
    rows = [
        _blocks(counts[i * steps[0] : (i + 1) * steps[0]], steps).sum(axis=(1, 3, 5), dtype=np.int64)
        for i in range(ny)
    ]
    dtype = count_dtype(max(int(row.max()) for row in rows))
    return np.concatenate([row.astype(dtype) for row in rows])
