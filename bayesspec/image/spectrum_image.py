"""SpectrumImage: counts with their calibrated energy axis, pixel size, mask and acquisition metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.image.acquisition import Acquisition as Acquisition
from bayesspec.image.arguments import checked_range
from bayesspec.image.checks import checked_fields, checked_mask, pixel_range
from bayesspec.image.checksum import checksum
from bayesspec.image.counts import frozen_state
from bayesspec.image.rebinning import any_in_block, block_sum, blocks, checked_steps, truth_of_channels
from bayesspec.image.sparse_counts import SparseCounts


@dataclass(frozen=True, eq=False)
class SpectrumImage:
    """Counts of a spectrum image and what they mean. Immutable: methods return new objects.

    Parameters
    ----------
    counts : array, shape (y, x, energy)
        Number of counts; integers, or floats that hold integers. Stored in the smallest unsigned dtype,
        read-only and copied: the caller's array may change later.
        A spectrum (energy,) becomes a 1 x 1 image and a line scan (x, energy) a 1 x x image.
        A sparse array of scipy or sparse stays sparse where that saves memory: then ``si.counts`` is made when it is
        asked for, and crops, sums and line maps do not ask.
    energy : array, shape (energy,)
        Energy of the channel centres, strictly increasing, in `energy_unit`. float64.
    energy_unit : {"keV", "eV", "nm"}
        keV for EDS, eV for EELS, nm for wavelengths.
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
    made_from : tuple of str
        Checksums of the images that this one was cropped or summed from.

    Raises
    ------
    InputError
        When the counts are negative, fractional, not finite or empty, or when anything else does not fit.
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
    made_from: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        fields = vars(self)
        fields |= checked_fields(fields)
        if isinstance(fields["counts"], SparseCounts):
            fields["sparse"] = fields.pop("counts")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            sparse = vars(self).get("sparse") if name == "counts" else None
            if sparse is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            return vars(self).setdefault(name, sparse.todense())

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(frozen_state(state))

    @property
    def stored(self) -> npt.NDArray[Any] | SparseCounts:
        """Counts as they are kept: (y, x, energy), an array or sparse."""
        sparse: SparseCounts | None = vars(self).get("sparse")
        return self.counts if sparse is None else sparse

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of rows, columns and channels (y, x, energy)."""
        ny, nx, channels = self.stored.shape
        return ny, nx, channels

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Pixels that are not excluded, shape (y, x), bool."""
        return np.ones(self.shape[:2], bool) if self.mask is None else ~self.mask

    @property
    def valid_channels(self) -> npt.NDArray[np.bool_]:
        """Channels that are not excluded, shape (energy,), bool."""
        return np.ones(self.shape[2], bool) if self.energy_mask is None else ~self.energy_mask

    @cached_property
    def checksum(self) -> str:
        """Checksum of the counts, str: results carry it, and know by it the image they are of."""
        return self.stored.checksum() if isinstance(self.stored, SparseCounts) else checksum("image", self.counts)

    @property
    def energy_step(self) -> float:
        """Mean width of a channel in `energy_unit`."""
        return float((self.energy[-1] - self.energy[0]) / max(len(self.energy) - 1, 1))

    @property
    def counts_per_pixel(self) -> float:
        """Mean number of counts in a pixel that is not excluded."""
        return float(self.sum_spectrum().sum()) / max(int(self.valid.sum()), 1)

    def sum_spectrum(self) -> npt.NDArray[np.int64]:
        """Sum the counts over the pixels that are not excluded.

        Returns
        -------
        array, shape (energy,), int64
            Counts per channel; 0 in excluded channels.
        """
        if isinstance(self.stored, SparseCounts):
            return np.where(self.valid_channels, self.stored.sum_spectrum(self.valid), 0)
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
        if isinstance(self.stored, SparseCounts):
            return self.stored.sums(self.valid_channels[None])[..., 0]
        if self.energy_mask is None:
            return self.counts.sum(axis=2, dtype=np.int64)
        return self.counts[:, :, ~self.energy_mask].sum(axis=2, dtype=np.int64)

    def changed(self, **fields: Any) -> SpectrumImage:
        """Make the same image with other fields.

        Parameters
        ----------
        **fields : object
            Fields by name.

        Returns
        -------
        SpectrumImage
            The other image; the counts are shared where they are not among the fields.
        """
        return replace(self, **{"counts": self.stored, **fields})

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
            The part; it shares memory with the whole unless its largest count fits a smaller dtype.

        Raises
        ------
        InputError
            When a range is none, or nothing is left.
        """
        low, high = -np.inf, np.inf
        if energy is not None:
            low, high = checked_range("energy", energy, "si.crop(energy=(0.2, 12))")
        channels = np.flatnonzero((self.energy >= low) & (self.energy <= high))
        rows, columns = pixel_range("y", y), pixel_range("x", x)
        if not len(channels) or not self.valid[rows, columns].size:
            raise InputError(
                f"crop(energy={energy}, y={y}, x={x}) leaves nothing of {self}",
                "a range that overlaps the image",
                f"si.crop(energy=({self.energy[0]:.4g}, {self.energy[-1]:.4g}))",
            )
        kept = slice(int(channels[0]), int(channels[-1]) + 1)
        sparse = self.stored if isinstance(self.stored, SparseCounts) else None
        return self.changed(
            counts=self.counts[rows, columns, kept] if sparse is None else sparse.part(rows, columns, kept),
            energy=self.energy[kept],
            mask=None if self.mask is None else self.mask[rows, columns],
            energy_mask=None if self.energy_mask is None else self.energy_mask[kept],
            truth=truth_of_channels(self.truth, kept) if y is None and x is None else None,
            made_from=(*self.made_from, self.checksum),
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
            Counts summed over blocks; they stay integers. A simulated truth is kept where all pixels are.

        Raises
        ------
        InputError
            When a block is larger than the image or not a positive integer.
        """
        steps = checked_steps((y, x, energy), self.shape)
        size = None if self.pixel_size is None else (self.pixel_size[0] * y, self.pixel_size[1] * x)
        sparse = self.stored if isinstance(self.stored, SparseCounts) else None
        return self.changed(
            counts=block_sum(self.counts, steps) if sparse is None else sparse.block_sum(steps),
            energy=blocks(self.energy, (energy,)).mean(axis=1),
            pixel_size=size,
            mask=any_in_block(self.mask, (y, x)),
            energy_mask=any_in_block(self.energy_mask, (energy,)),
            truth=truth_of_channels(self.truth, slice(None), energy) if y == x == 1 else None,
            made_from=(*self.made_from, self.checksum),
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
            channels = checked_mask("mask", array, self.shape[2:])
            return self.changed(energy_mask=channels | ~self.valid_channels)
        return self.changed(mask=checked_mask("mask", array, self.shape[:2]) | ~self.valid)

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
        kind = f"{self.stored.dtype}{', sparse' if isinstance(self.stored, SparseCounts) else ''}"
        return f"<SpectrumImage {self.name!r}: {ny} x {nx} pixels, {span}, {kind}>"
