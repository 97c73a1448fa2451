"""Are the counts of an image Poisson counts on one energy axis? What is not, and what it does to the rank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import warn
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.count_matrix import counts_of
from bayesspec.image.counts import Counts
from bayesspec.image.pixel_blocks import summed
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.counting_noise import NOISY, low_noise_words
from bayesspec.inference.noise.check import NoiseCheck, check_noise, clean_counts
from bayesspec.inference.noise.dispersion import dispersion
from bayesspec.inference.noise.drift import Drift, find_drift
from bayesspec.results.dataset import pixel_coords
from bayesspec.spectroscopy.odd_channels import odd_channels

LARGEST = 4_000_000
"""Entries of the image in which a drift is sought; larger images are summed over blocks of pixels."""
TESTS = ("dispersion", "drift", "channels", "pixels")


def noise_note(counts: Counts) -> str:
    """Warn where the noise is clearly not that of counts.

    Parameters
    ----------
    counts : Counts
        Counts.

    Returns
    -------
    str
        A clause to append to a verdict, empty where there is nothing to say.

    Warns
    -----
    UserWarning
        When the variance is more than 1.2 times that of Poisson counts, or less than that part of it.
    """
    gain = dispersion(counts)
    if gain < 1.0 / NOISY:
        note = low_noise_words(gain)
        warn(note)
        return f"; not Poisson: {note}"
    if gain < NOISY:
        return ""
    note = f"the noise has {gain:.2g} times the variance of Poisson counts (a gain, or correlated noise)"
    warn(f"{note}: the intervals are too short by about {np.sqrt(gain):.2g}")
    return f"; not Poisson: {note}, so the intervals are too short and components may be spurious"


def check_noise_and_drift(counts: Counts, channels: npt.NDArray[np.int8]) -> NoiseCheck:
    """Test the noise of the counts and their energy axis, and find the rank with what was found.

    Parameters
    ----------
    counts : Counts
        Counts.
    channels : numpy.ndarray (energy,), int8
        Dead and hot channels, as `odd_channels` finds them.

    Returns
    -------
    NoiseCheck
        What was found.

    Raises
    ------
    InputError
        When there are no counts.
    """
    found = check_noise(counts, channels)
    if found.corrected.rank < 1:
        return found
    shifts, where = _drift(clean_counts(counts, channels, found.pixels), found)
    return replace(found, drift=shifts, drift_map=where)


def _drift(counts: Counts, found: NoiseCheck) -> tuple[Drift | None, npt.NDArray[np.float64]]:
    """Drift of the energy axis and its map, in blocks of pixels where the image is large."""
    size = int(np.ceil(np.sqrt(counts.matrix.size / LARGEST)))
    small, where = summed(counts, size), np.full(counts.valid.shape, np.nan)
    if not small.valid.any():
        return None, where
    noise = {"dispersion": found.noise.gain, "scatter": found.noise.scatter / size} if found.overdispersed else {}
    drift = find_drift(small, **noise)
    if drift is not None:
        shifts = np.full(small.valid.shape, np.nan)
        shifts[small.valid] = drift.shifts
        down, across = np.minimum(size, where.shape)
        whole = shifts.repeat(down, axis=0).repeat(across, axis=1)
        where[: whole.shape[0], : whole.shape[1]] = whole
    return drift, where


@checked_arguments()
def poisson_check(image: SpectrumImage, *, seed: int = 0) -> xr.Dataset:
    """Test whether the counts of an image are Poisson counts on one energy axis, and what it does to the rank.

    Parameters
    ----------
    image : SpectrumImage
        Counts of an EDS or EELS image.
    seed : int
        Of no effect: nothing is drawn. It is there because all workflows take one.

    Returns
    -------
    xarray.Dataset, dims (test,) and (y, x)
        For ``dispersion``, ``drift``, ``channels`` and ``pixels``: ``value`` (variance over mean; root-mean-square
        drift in channels; number of dead and hot ones), ``rank`` (components above the noise once this is modelled),
        ``ok`` and ``verdict`` in words. ``drift_map`` (y, x): the shift of every pixel in channels. Attributes:
        ``rank_as_poisson``, ``rank`` with everything modelled, ``verdict``.

    Raises
    ------
    InputError
        When there are no counts.

    Warns
    -----
    UserWarning
        When something is wrong.

    Notes
    -----
    Source: Landa, Zhang & Kluger (2022), doi:10.1137/21M1456807, for dispersion and rank.

    Examples
    --------
    >>> import bayesspec as bs
    >>> found = bs.poisson_check(bs.simulate.iron_oxides(300, (16, 16), seed=0))
    >>> "value" in found
    True
    """
    found = check_noise_and_drift(counts_of(image), odd_channels(image))
    if found.problems:
        warn("; ".join(found.problems))
    drift = found.drift
    words = found.words
    values = [
        found.noise.dispersion,
        drift.size if drift else 0.0,
        *(float(np.abs(f).sum()) for f in (found.channels, found.pixels)),
    ]
    ranks = [found.corrected.rank, drift.rank if drift else found.corrected.rank, found.cleaned, found.cleaned]
    return xr.Dataset(
        {
            "value": ("test", values),
            "rank": ("test", ranks),
            "ok": ("test", [not w for w in words]),
            "verdict": ("test", [w or "nothing found" for w in words]),
            "drift_map": (("y", "x"), found.drift_map, {"units": "channels"}),
        },
        coords={"test": list(TESTS), **pixel_coords(image.shape[:2], image.pixel_size, image.pixel_unit)},
        attrs={
            "rank_as_poisson": found.raw.rank,
            "rank": found.rank,
            "verdict": "; ".join(found.problems) or "Poisson counts on one energy axis, as far as these counts tell",
        },
    )
