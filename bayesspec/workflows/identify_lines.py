"""Which elements are there: proposed from the lines of the summed spectrum and of parts of the image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.files.saved import Saved, SavedPart
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.deviance import model_error
from bayesspec.inference.linear_poisson.one_spectrum import PoissonLineFit, fit_intensities
from bayesspec.spectroscopy.bremsstrahlung import background_basis
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV
from bayesspec.spectroscopy.line_design import LOWEST_KEV, family_shape, pile_up, tail_shape
from bayesspec.spectroscopy.line_families import COMMON_ELEMENTS, LineFamily, element_families
from bayesspec.workflows.calibrate_energy import calibrate_energy

Floats = npt.NDArray[np.float64]
LEAST_GAIN = 9.0
FIRST_ERROR = 0.03
CORRELATED_CHANNELS = 12.0
"""Errors of a line shape are alike over about its width: they weigh as much as those of so many channels do."""
MOST_ELEMENTS = 30
SOFT_KEV = 0.25
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

# The search for the elements of a spectrum: added where the likelihood gains, taken out where it misses nothing


class ElementSearch:
    """A spectrum, the columns of all candidates, and the fit of some of them.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image in keV with counts.
    """

    def __init__(self, image: SpectrumImage) -> None:
        beam = image.acquisition.beam_energy_kev
        resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        top = float(image.energy[-1]) if beam is None else min(float(image.energy[-1]), beam)
        self.channels = np.flatnonzero((image.energy >= LOWEST_KEV) & (image.energy <= top) & image.valid_channels)
        energy = image.energy[self.channels]
        self.counts = image.sum_spectrum()[self.channels].astype(np.float64)
        continuum = background_basis(energy, beam)[0]
        self.background = np.column_stack([continuum, pile_up(image.energy, image.sum_spectrum())[self.channels]])
        self.columns: dict[str, Floats] = {}
        self.main: dict[str, LineFamily] = {}
        self.position: dict[str, int] = {}
        for element in COMMON_ELEMENTS:
            families = [f for f in element_families(element, LOWEST_KEV, top, beam) if max(f.energies_kev) > SOFT_KEV]
            if not families:
                continue
            shapes = [family_shape(f, image.energy, resolution)[self.channels] for f in families]
            if families[0].name.endswith("_Ka") and max(families[0].energies_kev) < 2.0:
                shapes.append(tail_shape(families[0], image.energy, resolution)[self.channels])
            self.columns[element] = np.column_stack(shapes)
            self.main[element] = families[0]

    def fit(self, elements: Iterable[str], error: float, counts: Floats | None = None) -> tuple[PoissonLineFit, Floats]:
        """Fit some elements, channels weighted down by a relative error of the model; fit and weights."""
        design = self.design(elements)
        y = self.counts if counts is None else counts
        weights = np.ones(len(y))
        for _ in range(2 if error else 1):
            fit = fit_intensities(design * weights[:, None], y * weights)
            weights = 1.0 / (1.0 + CORRELATED_CHANNELS * error**2 * np.maximum(fit.rate / weights, 1.0))
        return fit_intensities(design * weights[:, None], y * weights, fit.intensities), weights

    def design(self, elements: Iterable[str]) -> Floats:
        """Columns of the background and of some elements, shape (channel, column)."""
        return np.column_stack([self.background, *(self.columns[e] for e in elements)])

    def main_counts(self, elements: list[str], counts: Floats | None = None) -> dict[str, float]:
        """Counts of the line that each element must show, in the sum or in other counts (channel,)."""
        fit, _ = self.fit(elements, 0.0, counts)
        places = np.cumsum([self.background.shape[1], *(self.columns[e].shape[1] for e in elements)])
        return {e: float(fit.intensities[p]) for e, p in zip(elements, places, strict=False)}

    def score_gains(self, elements: list[str], fit: PoissonLineFit, weights: Floats, y: Floats) -> dict[str, float]:
        """Log likelihood that adding the main line of each other element would gain, to second order, in nats."""
        rest = [e for e in self.columns if e not in elements]
        candidates = np.column_stack([self.columns[e][:, 0] for e in rest]) * weights[:, None]
        active = (self.design(elements) * weights[:, None])[:, fit.intensities > 0]
        gradient = candidates.T @ (y * weights / fit.rate - 1.0)
        own = np.square(candidates / np.sqrt(fit.rate)[:, None]).sum(axis=0)
        scale = 1.0 / np.sqrt(np.square(active / np.sqrt(fit.rate)[:, None]).sum(axis=0))
        active = active * scale
        inner = active.T @ (active / fit.rate[:, None]) + 1e-6 * np.eye(active.shape[1])
        cross = active.T @ (candidates / fit.rate[:, None])
        free = own - (cross * np.linalg.solve(inner, cross)).sum(axis=0)
        gain = np.where(free > 1e-3 * own, np.maximum(gradient, 0) ** 2 / (2 * np.maximum(free, 1e-3 * own)), 0.0)
        return dict(zip(rest, gain.tolist(), strict=True))

    def grow(self, elements: list[str]) -> list[str]:
        """Add elements as long as one gains."""
        chosen = list(elements)
        while len(chosen) < MOST_ELEMENTS:
            fit, weights = self.fit(chosen, FIRST_ERROR)
            gains = self.score_gains(chosen, fit, weights, self.counts)
            best = max(gains, key=lambda e: gains[e])
            if gains[best] < LEAST_GAIN:
                break
            chosen.append(best)
        return chosen

    def prune(self, elements: list[str]) -> tuple[list[str], dict[str, float]]:
        """Take out what the likelihood does not miss; the rest with what it would lose."""
        chosen, gains = list(elements), {}
        while chosen:
            plain, _ = self.fit(chosen, 0.0)
            error = model_error(self.counts, plain.rate)
            full, weights = self.fit(chosen, error)
            gains = {e: self._loss(chosen, e, weights) - full.deviance / 2 for e in chosen}
            worst = min(gains, key=lambda e: gains[e])
            if gains[worst] > LEAST_GAIN:
                break
            chosen.remove(worst)
        return chosen, gains

    def _loss(self, elements: list[str], without: str, weights: Floats) -> float:
        """Half the deviance when the main line of an element is taken out and its other shells stay."""
        parts = [self.columns[e][:, 1:] if e == without else self.columns[e] for e in elements]
        design = np.column_stack([self.background, *parts]) * weights[:, None]
        return fit_intensities(design, self.counts * weights).deviance / 2


@dataclass(frozen=True)
class FoundElement(SavedPart):
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
class Identification(Saved):
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


@checked_arguments()
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

    Examples
    --------
    >>> import bayesspec as bs
    >>> found = bs.identify_lines(bs.simulate.iron_oxides(500, (16, 16), seed=0))
    >>> {"Fe", "O"} <= set(found.elements)
    True
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
