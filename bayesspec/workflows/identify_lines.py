"""Which elements are there: proposed from the lines of the summed spectrum and of parts of the image."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.files.saved import Saved, SavedPart
from bayesspec.image.acquisition import Acquisition
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV, fwhm_kev
from bayesspec.spectroscopy.element_search import ElementSearch, Weighed, averaged
from bayesspec.spectroscopy.line_catalogue import ASSUMED_BEAM_KEV, near
from bayesspec.spectroscopy.line_design import with_families
from bayesspec.spectroscopy.shape_errors import AS_FILED, REFINED
from bayesspec.workflows.calibrate_energy import axis_at, robust_calibration
from bayesspec.workflows.line_model import ASSUMED_WIDTH_EV, NO_BEAM, axis_prior

Floats = npt.NDArray[np.float64]
LEAST_LOCAL_GAIN = 16.0
"""Log likelihood, in nats, that an element must gain in one block, as there are many blocks to find one in: ``python
benchmarks/spectra.py elements``."""
BLOCKS = 8
"""Blocks along y and along x in which elements are sought that the sum hides."""
LEAST_BLOCK_COUNTS = 100.0
"""Counts from which on a block is searched."""
MOST_LOCAL = 4
"""Elements that are found in blocks at most: cost."""
LEAST_SHARED = 0.02
"""Alternatives of a lower probability are not named: ``python benchmarks/spectra.py elements``."""
CERTAIN = 0.95
"""Probability from which on no alternatives are named: ``python benchmarks/spectra.py elements``."""
SOFTEST_KEV, CHANNELS_A_LINE = 0.5, 5.0
"""Channels are summed to no fewer than so many in the full width of a line of that energy, in keV: cost."""
DOUBTFUL = 0.5
"""Probability that is claimed at most for an element whose line the shape of a stronger one may explain: ``python
benchmarks/spectra.py elements``."""
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
        Log likelihood that is lost without the element, in nats: other elements take its place, and errors of the line
        shapes are allowed for.
    local : bool
        Whether it shows in a part of the image only.
    probability : float
        Probability that the element is there, its prior odds and the search over all elements counted.
    alternatives : tuple of (str, float)
        Other elements that may explain its lines in its place, with their probabilities, the likeliest first.
    """

    element: str
    line: str
    counts: float
    gain: float
    local: bool
    probability: float = 1.0
    alternatives: tuple[tuple[str, float], ...] = ()

    @property
    def outside(self) -> str | None:
        """What it may come from other than the sample, such as ``"grid or holder"``, or ``None``."""
        return OUTSIDE.get(self.element)

    def __str__(self) -> str:
        place = " in one part" if self.local else ""
        other = f", or {self.outside}" if self.outside else ""
        other += "".join(f", or {element}: p = {p:.2g}" for element, p in self.alternatives)
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
    probabilities : dict of str to float
        Probability of every element that was weighed, those that were not proposed among them.
    unexplained : tuple of float
        Energies of peaks that no element explains, in keV: lines that tables lack, sum and escape peaks.
    remarks : str
        What the file does not state and was assumed; empty where it states all.
    """

    found: tuple[FoundElement, ...]
    image: SpectrumImage
    probabilities: dict[str, float] = field(default_factory=dict)
    unexplained: tuple[float, ...] = ()
    remarks: str = ""

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols, tuple of str."""
        return tuple(one.element for one in self.found)

    def __repr__(self) -> str:
        peaks = "".join(f"; a peak at {energy:.2f} keV that no element explains" for energy in self.unexplained)
        elements = ", ".join(map(str, self.found)) or "no element"
        return f"<Identification {self.image.name!r}: {elements}{peaks}{self.remarks}>"


@checked_arguments()
def identify_lines(image: SpectrumImage) -> Identification:
    """Propose the elements of an image.

    Elements are added one by one to a model of the summed spectrum, the one that the likelihood gains most from first,
    by any family of lines of which most is recorded. Sets of elements near the one that is reached are weighed against
    each other: lines that several elements explain, such as S Ka, Mo La and Pb Ma, are shared between them. The softer
    lines of an element count as far as its harder ones, where they are recorded, let them be. Then parts of the image
    are searched for elements that the sum hides.

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
    source = image.acquisition
    first = ElementSearch(_joined(image), AS_FILED)
    chosen, _ = first.grow([])
    if chosen:
        image = _refined(image, first, chosen)
    search = ElementSearch(_joined(image), REFINED)
    chosen, peaks = search.grow([])
    cautious = search.weigh(chosen, peaks)
    shown = search.learn_shape_error(chosen, peaks)
    chosen, peaks = search.grow(chosen, peaks)
    weighed = search.weigh(chosen, peaks)
    if shown:
        weighed = averaged(cautious, weighed)
    likely = [e for e, p in weighed.probabilities.items() if p > 0.5]
    counts = search.main_counts(likely)
    chosen = search.stands(likely)
    doubtful = {e: DOUBTFUL for e in likely if e not in chosen}
    found = [_found(element, search, weighed, counts[element]) for element in chosen]
    found += _local(image, search, chosen)
    found = sorted(found, key=lambda one: -one.gain)
    elements = tuple(one.element for one in found)
    probabilities = weighed.probabilities | doubtful | {one.element: one.probability for one in found}
    unexplained = tuple(peak.energies_kev[0] for peak in peaks)
    image, remarks = image.changed(elements=elements), _assumed(source, image)
    return Identification(tuple(found), image, probabilities, unexplained, remarks)


def _assumed(stated: Acquisition, image: SpectrumImage) -> str:
    """What a file does not state, and what stands in its place."""
    remarks = ""
    if stated.beam_energy_kev is None:
        remarks += f"; {NO_BEAM}, as much as at {ASSUMED_BEAM_KEV:.0f} keV"
    if stated.resolution_mn_ka_ev is None:
        found = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        remarks += (
            f"; the file states no resolution: {found:.0f} eV at Mn Ka is taken, from {ASSUMED_RESOLUTION_EV:.0f} eV "
            f"to {ASSUMED_WIDTH_EV:.0f} eV and the lines"
        )
    return remarks


def _refined(image: SpectrumImage, search: ElementSearch, elements: list[str]) -> SpectrumImage:
    """The image with its axis refined on the lines of some elements."""
    families = [family for element in elements for family in search.families[element]]
    design = with_families(search.base, families, image, search.resolution)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theta = robust_calibration(search.image, design, np.array(axis_prior(image)[1])).theta
    acquisition = replace(image.acquisition, resolution_mn_ka_ev=float(theta[2]))
    return image.changed(energy=axis_at(image, theta), acquisition=acquisition)


def _joined(image: SpectrumImage) -> SpectrumImage:
    """The image with channels summed that are finer than its softest lines need."""
    step = float(np.median(np.diff(image.energy)))
    resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
    number = int(float(fwhm_kev(SOFTEST_KEV, resolution)) / CHANNELS_A_LINE / step)
    return image.rebin(energy=number) if number > 1 else image


def _found(element: str, search: ElementSearch, weighed: Weighed, counts: float) -> FoundElement:
    """An element with those that may be there in its place."""
    p = weighed.probabilities[element]
    own = [
        e
        for family in search.families[element]
        for e, w in zip(family.energies_kev, family.weights, strict=True)
        if w > 0.1
    ]
    others = [
        (other, q)
        for other, q in sorted(weighed.probabilities.items(), key=lambda item: -item[1])
        if other != element
        and other not in weighed.best
        and q > LEAST_SHARED
        and p < CERTAIN
        and any(near(e, np.array(own), 1.0, search.resolution).any() for e in search.energies[search.owner == other])
    ]
    gain = weighed.gains.get(element, 0.0)
    return FoundElement(element, search.main[element].name, counts, gain, False, p, tuple(others[:4]))


def _local(image: SpectrumImage, search: ElementSearch, chosen: list[str]) -> list[FoundElement]:
    """Elements that show in blocks of the image only, one after the other."""
    blocks = search.image.rebin(y=max(image.shape[0] // BLOCKS, 1), x=max(image.shape[1] // BLOCKS, 1))
    spectra = blocks.counts[blocks.valid][:, search.base.channels].astype(np.float64)
    spectra = spectra[spectra.sum(axis=1) > LEAST_BLOCK_COUNTS] if len(spectra) > 1 else spectra[:0]
    known, found = list(chosen), list[FoundElement]()
    while len(spectra) and len(found) < MOST_LOCAL:
        best: dict[str, tuple[float, int]] = {}
        design = search.design(known)
        for block, y in enumerate(spectra):
            fit = fit_intensities(design.matrix, y)
            for element, gain in search.gains(design, fit, y).items():
                best[element] = max(best.get(element, (0.0, 0)), (gain, block))
        element = max(best, key=lambda e: best[e])
        gain, block = best[element]
        if gain < LEAST_LOCAL_GAIN:
            break
        known.append(element)
        counts = search.main_counts(known, spectra[block])[element]
        p = float(1.0 / (1.0 + np.exp(np.clip(LEAST_LOCAL_GAIN - gain, -50, 50))))
        found.append(FoundElement(element, search.main[element].name, counts, gain, True, p))
    return found
