"""What is wrong with the noise of an image, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesspec.inference.dispersion import NoiseLevel
from bayesspec.inference.drift import Drift
from bayesspec.inference.spectral_rank import SpectralRank

SIGMAS = 3.0
LEAST_DISPERSION = 0.02


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
        return self.noise.significance > SIGMAS and self.noise.dispersion > 1.0 + LEAST_DISPERSION

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
