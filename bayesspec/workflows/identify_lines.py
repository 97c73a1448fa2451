"""Which elements are there: proposed from the lines of the summed spectrum and of parts of the image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayesspec.element_search import FIRST_ERROR, LEAST_GAIN, ElementSearch
from bayesspec.energy_calibration import calibrate_energy
from bayesspec.errors import InputError
from bayesspec.spectrum_image import SpectrumImage

LEAST_LOCAL_GAIN = 16.0
BLOCKS = 8
LEAST_BLOCK_COUNTS = 100.0
MOST_LOCAL = 4
STRONG_COUNTS = 1000.0
OUTSIDE = {
    "C": "support film or contamination",
    "Co": "pole piece",
    "Cu": "grid or holder",
    "Ga": "ion beam",
    "Mo": "grid or holder",
    "Pt": "protective layer",
    "Zr": "collimator",
}
"""Where the lines of an element come from when the sample holds none of it, in electron microscopes."""


@dataclass(frozen=True)
class FoundElement:
    """An element and why it is proposed.

    Parameters
    ----------
    element : str
        Chemical symbol.
    line : str
        The line that it must show, ``"Fe_Ka"``.
    counts : float
        Counts of that line in the summed spectrum, or in the part of the image where it shows.
    gain : float
        Log likelihood that is lost without the element, in nats, errors of the line shapes allowed for.
    local : bool
        Whether it shows in a part of the image only.
    """

    element: str
    line: str
    counts: float
    gain: float
    local: bool

    @property
    def probability(self) -> float:
        """Probability that the element is there, its prior odds and the search over all elements counted."""
        threshold = LEAST_LOCAL_GAIN if self.local else LEAST_GAIN
        return float(1.0 / (1.0 + np.exp(np.clip(threshold - self.gain, -50, 50))))

    @property
    def outside(self) -> str | None:
        """What it may come from other than the sample, such as ``"grid or holder"``, or ``None``."""
        return OUTSIDE.get(self.element)

    def __str__(self) -> str:
        place = " in one part" if self.local else ""
        other = f", or {self.outside}" if self.outside else ""
        return f"{self.element} ({self.line}, {self.counts:.3g} counts{place}, p = {self.probability:.2g}{other})"


@dataclass(frozen=True)
class Identification:
    """Elements proposed, the most certain first.

    Parameters
    ----------
    found : tuple of FoundElement
        Elements with a probability above one half.
    image : SpectrumImage
        The image with its axis refined on their lines, and they as its elements.
    """

    found: tuple[FoundElement, ...]
    image: SpectrumImage

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols, tuple of str."""
        return tuple(one.element for one in self.found)

    def __repr__(self) -> str:
        return f"<Identification {self.image.name!r}: {', '.join(map(str, self.found))}>"


def identify_lines(image: SpectrumImage) -> Identification:
    """Propose the elements of an image.

    Elements are added one by one to a model of the summed spectrum, the one that the likelihood gains most from first,
    and taken out again where the likelihood does not miss them. Then parts of the image are searched for elements
    that the sum hides. An element counts only by the line of its highest shell that beam and detector can show. The
    proposal is one to look at: lines that overlap entirely, such as S Ka and Mo La, cannot be told apart.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image, or a spectrum as a 1 x 1 image.

    Returns
    -------
    Identification
        Elements with probabilities.

    Raises
    ------
    InputError
        When the image is not EDS in keV, or holds no counts.
    """
    if image.acquisition.technique != "EDS" or image.energy_unit != "keV" or not image.sum_spectrum().any():
        raise InputError(
            f"{image!r} ({image.acquisition.technique}, {image.energy_unit})",
            "an EDS image in keV with counts",
            "bs.identify_lines(bs.load('scan.bcf'))",
        )
    chosen: list[str] = []
    gains: dict[str, float] = {}
    for _ in range(2):
        search = ElementSearch(image)
        chosen = search.grow(chosen)
        chosen, gains = search.prune(chosen)
        strong = [e for e in chosen if search.main_counts(chosen).get(e, 0.0) > STRONG_COUNTS]
        if strong:
            image = calibrate_energy(image, strong).image
    search = ElementSearch(image)
    chosen, gains = search.prune(chosen)
    counts = search.main_counts(chosen)
    found = [FoundElement(e, search.main[e].name, counts[e], gains[e], local=False) for e in chosen]
    found += _local(image, search, chosen)
    found = sorted((one for one in found if one.probability > 0.5), key=lambda one: -one.gain)
    return Identification(tuple(found), replace(image, elements=tuple(one.element for one in found)))


def _local(image: SpectrumImage, search: ElementSearch, chosen: list[str]) -> list[FoundElement]:
    """Elements that show in blocks of the image only, one after the other."""
    blocks = image.rebin(y=max(image.shape[0] // BLOCKS, 1), x=max(image.shape[1] // BLOCKS, 1))
    spectra = blocks.counts[blocks.valid][:, search.channels].astype(np.float64)
    spectra = spectra[spectra.sum(axis=1) > LEAST_BLOCK_COUNTS] if len(spectra) > 1 else spectra[:0]
    known, found = list(chosen), list[FoundElement]()
    while len(spectra) and len(found) < MOST_LOCAL:
        best: dict[str, tuple[float, int]] = {}
        for block, y in enumerate(spectra):
            fit, weights = search.fit(known, FIRST_ERROR, y)
            for element, gain in search.score_gains(known, fit, weights, y).items():
                best[element] = max(best.get(element, (0.0, 0)), (gain, block))
        element = max(best, key=lambda e: best[e])
        gain, block = best[element]
        if gain < LEAST_LOCAL_GAIN:
            break
        known.append(element)
        counts = search.main_counts(known, spectra[block])[element]
        found.append(FoundElement(element, search.main[element].name, counts, gain, local=True))
    return found
