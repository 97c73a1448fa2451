"""Are the counts of an image Poisson counts on one energy axis? What is not, and what it does to the rank."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import warn
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.count_matrix import counts_of
from bayesspec.image.counts import Counts
from bayesspec.image.pixel_blocks import summed
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.counting_noise import NOISY, low_noise_words, named_flags
from bayesspec.inference.noise.dispersion import NoiseLevel, dispersion, noise_level
from bayesspec.inference.noise.drift import Drift, find_drift
from bayesspec.inference.noise.singular_values import SpectralRank, tracy_widom_rank
from bayesspec.inference.outliers import outliers
from bayesspec.results.dataset import pixel_coords
from bayesspec.spectroscopy.odd_channels import odd_channels

OVERDISPERSED_SIGMAS = 3.0
"""Standard errors that the dispersion must be above 1 for the counts to be called noisier than Poisson counts
(``python benchmarks/selection.py --case noise``)."""
LEAST_DISPERSION = 0.02
"""How far the dispersion must be above 1 besides (python benchmarks/selection.py --case noise)."""
LEVEL = 0.01
"""Probability that pure noise exceeds the threshold of the Tracy-Widom test of the number of components."""
LARGEST = 4_000_000
"""Entries of the image in which a drift is sought; larger images are summed over blocks of pixels."""
TESTS = ("dispersion", "drift", "channels", "pixels")

# What is wrong with the noise of an image, in numbers and in words


@dataclass(frozen=True)
class NoiseCheck:
    """What the noise of an image is, and the rank with and without what is wrong with it.

    Parameters
    ----------
    noise : NoiseLevel
        Dispersion of the counts.
    drift : Drift or None
        Drift of the energy axis, if there is one.
    drift_map : numpy.ndarray (y, x), float64
        Shift of every pixel in channels; NaN where none was found.
    channels : numpy.ndarray (energy,), int8
        1 where a channel is hot, -1 where it is dead.
    pixels : numpy.ndarray (y, x), int8
        The same for pixels.
    raw : SpectralRank
        Singular values and rank of the counts if they were Poisson.
    corrected : SpectralRank
        The same with the dispersion that was found, and without dead and hot channels and pixels.
    cleaned : int
        Rank without dead and hot channels and pixels alone.
    """

    noise: NoiseLevel
    drift: Drift | None
    drift_map: npt.NDArray[np.float64]
    channels: npt.NDArray[np.int8]
    pixels: npt.NDArray[np.int8]
    raw: SpectralRank
    corrected: SpectralRank
    cleaned: int

    @property
    def overdispersed(self) -> bool:
        """Whether the counts are noisier than Poisson counts."""
        return self.noise.significance > OVERDISPERSED_SIGMAS and self.noise.dispersion > 1.0 + LEAST_DISPERSION

    @property
    def underdispersed(self) -> bool:
        """Whether the counts are clearly less noisy than Poisson counts."""
        return -self.noise.significance > OVERDISPERSED_SIGMAS and self.noise.dispersion < 1.0 / NOISY

    @property
    def rank(self) -> int:
        """Number of components once all that was found is modelled."""
        return self.corrected.rank if self.drift is None else self.drift.rank

    @property
    def problems(self) -> list[str]:
        """What is wrong, each in words; empty where nothing is."""
        return [words for words in self.words if words]

    @property
    def words(self) -> list[str]:
        """What each test found, in the order of `TESTS`; empty where it found nothing."""
        return [
            self.dispersion_words,
            self.drift_words,
            named_flags(self.channels, "channel"),
            named_flags(self.pixels, "pixel"),
        ]

    @property
    def dispersion_words(self) -> str:
        """What the dispersion is, empty where it is that of Poisson counts."""
        if self.underdispersed:
            return low_noise_words(self.noise.dispersion)
        if not self.overdispersed:
            return ""
        words = f"the noise has {self.noise.dispersion:.3g} times the variance of Poisson counts"
        if self.noise.scatter:
            return f"{words}: rates scatter by {100 * self.noise.scatter:.0f} % from entry to entry"
        return f"{words} (a gain, or correlated noise)"

    @property
    def drift_words(self) -> str:
        """What the drift is, empty where there is none."""
        if self.drift is None:
            return ""
        spurious = self.drift.raw_rank - self.drift.rank
        words = f"the energy axis drifts by {self.drift.size:.2g} channels (root mean square)"
        if not spurious:
            return f"{words}, too little to show as a component"
        return f"{words}, which shows as {spurious} spurious component{'s' if spurious > 1 else ''}"


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


def check_noise(counts: Counts, channels: npt.NDArray[np.int8], *, drift: bool = True) -> NoiseCheck:
    """Test the counts of an image, and find the rank with what was found.

    Parameters
    ----------
    counts : Counts
        Counts.
    channels : numpy.ndarray (energy,), int8
        Dead and hot channels, as `odd_channels` finds them.
    drift : bool
        Whether to look for a drift of the energy axis, which takes several fits.

    Returns
    -------
    NoiseCheck
        What was found.

    Raises
    ------
    InputError
        When there are no counts.
    """
    sums = np.zeros(counts.valid.shape, np.int64)
    sums[counts.valid] = counts.matrix.sum(axis=1, dtype=np.int64)
    pixels = outliers(sums, counts.valid)
    raw = tracy_widom_rank(counts, level=LEVEL)
    kept = counts.without(pixels != 0, channels != 0)
    clean = kept if kept.largest else counts
    noise = noise_level(clean)
    cleaned = tracy_widom_rank(clean, level=LEVEL)
    nowhere = np.full(counts.valid.shape, np.nan)
    found = NoiseCheck(noise, None, nowhere, channels, pixels, raw, cleaned, cleaned.rank)
    if found.overdispersed:
        corrected = tracy_widom_rank(clean, level=LEVEL, dispersion=noise.gain, scatter=noise.scatter)
        found = replace(found, corrected=corrected)
    if not drift or found.corrected.rank < 1:
        return found
    shifts, where = _drift(clean, found)
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
    found = check_noise(counts_of(image), odd_channels(image))
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
