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
from bayesspec.inference.noise.dispersion import NoiseLevel, dispersion, noise_level
from bayesspec.inference.noise.drift import Drift, find_drift
from bayesspec.inference.noise.outliers import outliers
from bayesspec.inference.noise.pixel_pairs import pair_noise
from bayesspec.inference.noise.singular_values import SpectralRank, tracy_widom_rank
from bayesspec.results.dataset import pixel_coords
from bayesspec.spectroscopy.line_maps import LineMaps
from bayesspec.spectroscopy.window_background import line_fwhm

OVERDISPERSED_SIGMAS = 3.0
"""Standard errors that the dispersion must be above 1 for the counts to be called noisier than Poisson counts
(``python benchmarks/selection.py --case noise``)."""
LEAST_DISPERSION = 0.02
"""How far the dispersion must be above 1 besides (python benchmarks/selection.py --case noise)."""
WIDE = 0.5
"""Channel width, in full widths of the softest line, above which a single channel may hold most of a line."""
LEVEL = 0.01
"""Probability that pure noise exceeds the threshold of the Tracy-Widom test of the number of components."""
NOISY = 1.2
"""Variance over mean from which on a fit warns and counts are divided by their gain: warnings of clean counts and of a
gain, ``python benchmarks/selection.py --case noise``."""
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
            _named(self.channels, "channel"),
            _named(self.pixels, "pixel"),
        ]

    @property
    def dispersion_words(self) -> str:
        """What the dispersion is, empty where it is that of Poisson counts."""
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


def _named(flags: npt.NDArray[np.int8], what: str) -> str:
    words = []
    for sign, name in ((1, "hot"), (-1, "dead")):
        places = np.argwhere(flags == sign)
        if len(places):
            listed = ", ".join(str(tuple(map(int, p))) if len(p) > 1 else str(int(p[0])) for p in places[:5])
            more = ", ..." if len(places) > 5 else ""
            words.append(f"{len(places)} {name} {what}{'s' if len(places) > 1 else ''}: {listed}{more}")
    return "; ".join(words)


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
        When the variance is more than 1.2 times that of Poisson counts.
    """
    gain = dispersion(counts)
    if gain < NOISY:
        return ""
    note = f"the noise has {gain:.2g} times the variance of Poisson counts (a gain, or correlated noise)"
    warn(f"{note}: the intervals are too short by about {np.sqrt(gain):.2g}")
    return f"; not Poisson: {note}, so the intervals are too short and components may be spurious"


def without_hot_channels(image: SpectrumImage) -> tuple[SpectrumImage, str]:
    """Leave hot channels out, by the test of `poisson_check`.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    tuple of SpectrumImage and str
        The image with these channels excluded, and a clause that names them; empty where there are none.

    Warns
    -----
    UserWarning
        When there are some.
    """
    hot = odd_channels(image) == 1
    if not hot.any():
        return image, ""
    note = f"left out: {_named(hot.astype(np.int8), 'channel')}"
    warn(note)
    return image.with_mask(hot), f"; {note}"


def counting_maps(maps: LineMaps) -> tuple[LineMaps, str]:
    """Bring maps to Poisson counts: leave hot pixels out, divide by a gain.

    Parameters
    ----------
    maps : LineMaps
        Counts in windows.

    Returns
    -------
    tuple of LineMaps and str
        Maps for Poisson models, and a clause that says what was done or is wrong; empty where nothing is.

    Warns
    -----
    UserWarning
        When there is something to say.
    """
    counts = maps.window_counts()
    hot = outliers(counts.sum(axis=2, dtype=np.int64), maps.valid) == 1
    note = f"; left out: {_named(hot.astype(np.int8), 'pixel')}" if hot.any() else ""
    maps = replace(maps, mask=np.asarray(maps.mask) | hot) if hot.any() else maps
    gain = pair_noise(counts, maps.valid).gain
    if gain > NOISY:
        lines, sides = (np.rint(part / gain).astype(np.int64) for part in (maps.counts, np.asarray(maps.side_counts)))
        maps = replace(maps, counts=lines, side_counts=sides)
        note += f"; counts divided by the gain of {gain:.2g} that their noise shows"
    elif gain < 1.0 / NOISY:
        note += (
            f"; the noise has {gain:.2g} times the variance of Poisson counts, as of averaged or interpolated frames: "
            f"intervals are too wide by up to {1.0 / np.sqrt(gain):.2g}"
        )
    if note:
        warn(note.removeprefix("; "))
    return maps, note


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


def odd_channels(image: SpectrumImage) -> npt.NDArray[np.int8]:
    """Find dead and hot channels; none are sought where channels are so wide that one may hold most of a line.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    numpy.ndarray (energy,), int8
        1 where a channel is hot, -1 where it is dead.
    """
    found = outliers(image.sum_spectrum(), image.valid_channels)
    if image.acquisition.technique != "EDS" or image.energy_unit != "keV":
        return found
    wide = image.energy_step > WIDE * line_fwhm(image, max(float(image.energy[0]), 0.0))
    return np.zeros_like(found) if wide else found


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
