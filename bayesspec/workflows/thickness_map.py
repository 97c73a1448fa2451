"""Thickness of a sample in inelastic mean free paths, from its low loss."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.ndimage import uniform_filter1d

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import as_image, checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.results.dataset import pixel_coords

SMOOTHED = 3
"""Channels over which the summed spectrum is averaged to find where the zero loss ends."""


@checked_arguments(low_loss=as_image)
def thickness_map(low_loss: SpectrumImage) -> xr.Dataset:
    """Thickness over the inelastic mean free path, pixel by pixel, from the share of electrons in the zero loss.

    Parameters
    ----------
    low_loss : SpectrumImage
        EELS image with the zero loss at 0 eV, aligned by ``bs.align_zero_loss``.

    Returns
    -------
    xarray.Dataset, dims (y, x)
        ``t_over_lambda`` and ``sd``, float64; NaN where a pixel is excluded or has no zero loss. Attribute
        ``zero_loss_end_ev``: where the zero loss is taken to end, the minimum behind it in the summed spectrum.

    Raises
    ------
    InputError
        When the image has no zero loss at 0 eV, or ends with it.

    Notes
    -----
    t / lambda = ln(I / I0), Poisson statistics of single scattering: Egerton (2011), doi:10.1007/978-1-4419-9583-4,
    equation 5.1. Variance 1 / I0 - 1 / I, as I0 of I counts are binomial.

    Examples
    --------
    >>> thickness = bs.thickness_map(bs.align_zero_loss(low_loss).low_loss)  # doctest: +SKIP
    >>> thickness["t_over_lambda"].plot()  # doctest: +SKIP
    """
    low, high = float(low_loss.energy[0]), float(low_loss.energy[-1])
    if low_loss.energy_unit != "eV" or not low < 0 < high:
        raise InputError(
            f"{low_loss.name!r} over {low:.4g}..{high:.4g} {low_loss.energy_unit}",
            "an EELS image in eV with the zero loss",
            "bs.thickness_map(bs.align_zero_loss(low_loss).low_loss)",
        )
    end = _zero_loss_end(low_loss)
    used = low_loss.valid_channels
    counts = low_loss.counts
    zero = counts[..., used & (low_loss.energy <= low_loss.energy[end])].sum(axis=2, dtype=np.int64)
    every = counts[..., used].sum(axis=2, dtype=np.int64)
    seen = (zero > 0) & low_loss.valid
    ratio = np.where(seen, every / np.maximum(zero, 1), np.nan)
    sd = np.where(seen, np.sqrt(np.maximum(1 / np.maximum(zero, 1) - 1 / np.maximum(every, 1), 0.0)), np.nan)
    coords = pixel_coords(low_loss.shape[:2], low_loss.pixel_size, low_loss.pixel_unit)
    return xr.Dataset(
        {"t_over_lambda": (("y", "x"), np.log(ratio)), "sd": (("y", "x"), sd)},
        coords=coords,
        attrs={"zero_loss_end_ev": float(low_loss.energy[end]), "name": low_loss.name},
    )


def _zero_loss_end(image: SpectrumImage) -> int:
    """Channel with the minimum between the zero loss and what follows it, in the summed spectrum."""
    spectrum = uniform_filter1d(image.sum_spectrum().astype(np.float64), min(SMOOTHED, image.shape[2]))
    top = int(np.argmin(np.abs(image.energy)))
    near = slice(max(top - 2 * SMOOTHED, 0), top + 2 * SMOOTHED + 1)
    top = near.start + int(spectrum[near].argmax())
    falling = np.flatnonzero(np.diff(spectrum[top:]) >= 0)
    if not falling.size or top + falling[0] >= len(spectrum) - 2:
        raise InputError(
            f"{image.name!r}, whose counts fall from the zero loss to {image.energy[-1]:.4g} eV",
            "the plasmons behind the zero loss",
            "a low loss up to 50 eV or more",
        )
    return top + int(falling[0])
