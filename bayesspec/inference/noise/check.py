"""What is wrong with the noise of counts, in numbers and in words, and what it does to their rank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bayesspec.image.counts import Counts
from bayesspec.inference.counting_noise import NOISY, low_noise_words, named_flags
from bayesspec.inference.noise.dispersion import NoiseLevel, noise_level
from bayesspec.inference.noise.singular_values import SpectralRank, tracy_widom_rank
from bayesspec.inference.outliers import outliers

if TYPE_CHECKING:
    from bayesspec.inference.noise.drift import Drift

OVERDISPERSED_SIGMAS = 3.0
"""Standard errors that the dispersion must be above 1 for the counts to be called noisier than Poisson counts
(``python benchmarks/selection.py --case noise``)."""
LEAST_DISPERSION = 0.02
"""How far the dispersion must be above 1 besides (python benchmarks/selection.py --case noise)."""
LEVEL = 0.01
"""Probability that pure noise exceeds the threshold of the Tracy-Widom test of the number of components."""


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


def check_noise(counts: Counts, channels: npt.NDArray[np.int8]) -> NoiseCheck:
    """Test the noise of the counts of an image, and find the rank with what was found.

    Parameters
    ----------
    counts : Counts
        Counts.
    channels : numpy.ndarray (energy,), int8
        Dead and hot channels, as `odd_channels` finds them.

    Returns
    -------
    NoiseCheck
        What was found; no drift was sought.

    Raises
    ------
    InputError
        When there are no counts.
    """
    sums = np.zeros(counts.valid.shape, np.int64)
    sums[counts.valid] = counts.matrix.sum(axis=1, dtype=np.int64)
    pixels = outliers(sums, counts.valid)
    raw = tracy_widom_rank(counts, level=LEVEL)
    clean = clean_counts(counts, channels, pixels)
    noise = noise_level(clean)
    cleaned = tracy_widom_rank(clean, level=LEVEL)
    nowhere = np.full(counts.valid.shape, np.nan)
    found = NoiseCheck(noise, None, nowhere, channels, pixels, raw, cleaned, cleaned.rank)
    if found.overdispersed:
        corrected = tracy_widom_rank(clean, level=LEVEL, dispersion=noise.gain, scatter=noise.scatter)
        found = replace(found, corrected=corrected)
    return found


def clean_counts(counts: Counts, channels: npt.NDArray[np.int8], pixels: npt.NDArray[np.int8]) -> Counts:
    """Counts without odd channels and pixels; all of them where nothing would be left."""
    kept = counts.without(pixels != 0, channels != 0)
    return kept if kept.largest else counts
