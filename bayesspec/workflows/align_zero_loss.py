"""Zero-loss alignment of energy-loss spectrum images, the core loss recorded with it moved along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import uniform_filter1d

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import as_image, checked_arguments, image_or_none
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.results.dataset import pixel_coords

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
SMOOTHED = 3
"""Channels over which a spectrum is averaged to find its highest."""
PASSES = 5
"""Times the centre is taken about the last one."""
FEWEST_COUNTS = 20
"""Counts of a zero loss whose place is known to a quarter of its width."""
REACH_EV = 1.5
"""Least distance from the zero loss over which its centre is taken, in eV."""


@dataclass(frozen=True, eq=False)
class ZeroLossAlignment:
    """Images whose zero loss lies at 0 eV in every pixel.

    Parameters
    ----------
    low_loss : SpectrumImage
        The low loss, moved by whole channels: counts stay counts.
    core_loss : SpectrumImage or None
        What was recorded with it, moved by the same energy in whole channels of its own.
    shifts : xarray.DataArray, dims (y, x), float64
        Where the zero loss was, in eV; NaN where a pixel is excluded or has no zero loss.
    """

    low_loss: SpectrumImage
    core_loss: SpectrumImage | None
    shifts: xr.DataArray

    def __repr__(self) -> str:
        spread = float(self.shifts.max() - self.shifts.min())
        return f"<ZeroLossAlignment: zero loss at {float(self.shifts.median()):.3g} eV, over {spread:.3g} eV>"


@checked_arguments(low_loss=as_image, core_loss=image_or_none)
def align_zero_loss(low_loss: SpectrumImage, core_loss: SpectrumImage | None = None) -> ZeroLossAlignment:
    """Bring the zero loss to 0 eV in every pixel, by whole channels.

    Parameters
    ----------
    low_loss : SpectrumImage
        EELS image with the zero loss, in eV.
    core_loss : SpectrumImage or None
        Image of the same pixels recorded with it: it is moved along.

    Returns
    -------
    ZeroLossAlignment
        Aligned images, without the channels at the ends that not every pixel has, and where the zero loss was. What is
        left of the shift within a pixel is at most half a channel; the mean of it goes into the energy axis.

    Raises
    ------
    InputError
        When the image has no zero loss, or the two have different pixels.

    Notes
    -----
    The zero loss of a pixel is the centre of its counts around the highest channel, over twice its width; pixels with
    less than 20 counts there move as the median does.

    Examples
    --------
    >>> aligned = bs.align_zero_loss(low_loss, core_loss)  # doctest: +SKIP
    >>> fit = bs.fit_edges(aligned.core_loss, ["Ti", "O"], low_loss=aligned.low_loss)  # doctest: +SKIP
    """
    _check(low_loss, core_loss)
    positions, counts = _positions(low_loss)
    known = (counts >= FEWEST_COUNTS) & low_loss.valid
    if not known.any():
        raise InputError(
            f"{int(counts.max())} counts in the zero loss of the best pixel of {low_loss.name!r}",
            f"{FEWEST_COUNTS} or more in some pixel",
            "si.rebin(y=2, x=2) first",
        )
    typical = float(np.median(positions[known]))
    positions = np.where(known, positions, typical)
    moved = _moved(low_loss, positions, positions[known])
    other = None if core_loss is None else _moved(core_loss, positions, positions[known])
    shifts = np.where(known, positions, np.nan)
    coords = pixel_coords(low_loss.shape[:2], low_loss.pixel_size, low_loss.pixel_unit)
    return ZeroLossAlignment(moved, other, xr.DataArray(shifts, dims=("y", "x"), coords=coords, attrs={"units": "eV"}))


def _check(low_loss: SpectrumImage, core_loss: SpectrumImage | None) -> None:
    low, high = float(low_loss.energy[0]), float(low_loss.energy[-1])
    if low_loss.energy_unit != "eV" or not low < 0 < high:
        raise InputError(
            f"{low_loss.name!r} over {low:.4g}..{high:.4g} {low_loss.energy_unit}",
            "an EELS image in eV with the zero loss",
            "bs.align_zero_loss(low_loss, core_loss): the low loss first",
        )
    if core_loss is not None and core_loss.shape[:2] != low_loss.shape[:2]:
        raise InputError(
            f"{low_loss.shape[:2]} pixels of low loss and {core_loss.shape[:2]} of core loss",
            "the same pixels in both",
            "crop or rebin both alike",
        )


def _positions(image: SpectrumImage) -> tuple[Floats, Integers]:
    """Centre of the zero loss in every pixel in eV, and the counts around it, shapes (y, x)."""
    used = np.where(image.valid_channels, image.counts, 0)
    smooth = uniform_filter1d(used.astype(np.float64), min(SMOOTHED, used.shape[2]), axis=2, mode="constant")
    energy = image.energy
    centre = energy[smooth.argmax(axis=2)]
    reach = max(REACH_EV, 2 * _width(image), 2.5 * image.energy_step)
    for _ in range(PASSES):
        near = np.where(np.abs(energy - centre[..., None]) <= reach, used, 0)
        counts = near.sum(axis=2, dtype=np.int64)
        centre = np.where(counts > 0, (near * energy).sum(axis=2) / np.maximum(counts, 1), centre)
    return centre, counts


def _width(image: SpectrumImage) -> float:
    """Full width at half maximum of the zero loss in the brightest pixel, in eV."""
    pixel = np.unravel_index(np.argmax(image.intensity()), image.shape[:2])
    spectrum = uniform_filter1d(image.counts[pixel].astype(np.float64), min(SMOOTHED, image.shape[2]))
    top = int(spectrum.argmax())
    low = spectrum < 0.5 * spectrum[top]
    left = np.flatnonzero(low[:top])
    right = np.flatnonzero(low[top:])
    first = left[-1] if left.size else 0
    last = top + right[0] if right.size else image.shape[2] - 1
    return float(image.energy[last] - image.energy[first])


def _moved(image: SpectrumImage, positions: Floats, known: Floats) -> SpectrumImage:
    """Move every pixel by whole channels, cut to the channels that all have, and put the zero loss at 0 eV."""
    step = image.energy_step
    channels = np.rint(positions / step).astype(np.int64)
    low, high = int(channels.min()), int(channels.max())
    n = image.shape[2] - (high - low)
    if n < 2:
        raise InputError(
            f"zero losses over {(high - low) * step:.4g} eV in {image.name!r} of {image.shape[2] * step:.4g} eV",
            "shifts that leave channels that all pixels have",
            "si.with_mask(mask) for the pixels that are off",
        )
    starts = channels - low
    places = starts[..., None] + np.arange(n)
    counts = np.take_along_axis(image.counts, places, axis=2)
    rest = float(np.mean(known - step * np.rint(known / step)))
    mask = None
    if image.energy_mask is not None:
        mask = np.any([image.energy_mask[start : start + n] for start in np.unique(starts)], axis=0)
    energy = image.energy[:n] - rest - step * low
    return image.changed(counts=counts, energy=energy, energy_mask=mask, truth=None)
