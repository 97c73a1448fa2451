"""The design of a spectral model: what one count of each line, and of background, adds to every channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import lazy_loader
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError, warn
from bayesspec.files.saved import SavedPart
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.spectroscopy.bremsstrahlung import background_basis
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV, gaussian_shares
from bayesspec.spectroscopy.line_families import LineFamily, families_of

xraydb = lazy_loader.load("xraydb")

Floats = npt.NDArray[np.float64]
LOWEST_KEV = 0.2
"""Energy, in keV, from which on channels are fitted, unless a line asked for is softer: below it is detector noise."""
LOWEST_LINE_KEV = 0.17
"""Energy, in keV, of the softest line that is fitted."""
MARGIN_KEV = 0.07
"""Range, in keV, that is fitted below the softest line."""
TAIL_BELOW_KEV = 2.0
"""Energy, in keV, below which a Ka line has a tail of charge collected in part."""
TAIL_KEV = 0.08
"""Mean energy, in keV, that events of the tail have lost: it falls exponentially."""
FEWEST_FOR_TAIL = 1000.0
"""Counts of a line in the summed spectrum from which on the tail found there becomes part of its shape."""
LARGEST_TAIL = 1.5
"""Counts of a tail over those of its line, at most."""
TAIL_POINTS = 24
"""Quantiles of the loss by which the tail is summed: numerical accuracy."""
SILICON_KA_KEV = 1.740
"""Energy of Si Ka, in keV, by which an escape peak lies below its line."""
SILICON_EDGE_KEV = 1.839
"""K edge of silicon, in keV, above which photons make escape peaks."""
SILICON_K_YIELD = 0.047
"""Fluorescence yield of silicon's K shell, the w of Reed and Ware's formula."""
K_SHARE = 0.92
"""Share of the absorption in silicon above its K edge that ionises the K shell."""


@dataclass(frozen=True, eq=False)
class LineDesign(SavedPart):
    """Columns of lines and background over the channels that are fitted.

    Parameters
    ----------
    families : tuple of LineFamily
        One a line column.
    backgrounds : tuple of str
        One name a column that is no line: tails of soft lines, and the continuum.
    matrix : array, shape (channel, column), float64
        Counts per channel of one count in the named line, or in the background; lines first.
    channels : array, shape (channel,), int64
        Places of the channels on the image's energy axis.
    energy : array, shape (channel,), float64
        Their centres in keV.
    unnamed : int
        Number of the families, the last ones, whose elements nobody named.
    """

    families: tuple[LineFamily, ...]
    backgrounds: tuple[str, ...]
    matrix: Floats
    channels: npt.NDArray[np.int64]
    energy: Floats
    unnamed: int = 0

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the line columns, tuple of str."""
        return tuple(family.name for family in self.families)

    @property
    def n_lines(self) -> int:
        """Number of line columns, int."""
        return len(self.families)

    @property
    def n_named(self) -> int:
        """Number of line columns of the named elements, the first ones, int."""
        return len(self.families) - self.unnamed


def line_design(
    image: SpectrumImage,
    elements: Sequence[str] | None = None,
    lines: Sequence[str] = (),
    *,
    resolution_mn_ka_ev: float | None = None,
) -> LineDesign:
    """Build the columns of the elements' lines and of the background.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image: energy axis, detector, beam.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    lines : sequence of str
        Lines that are columns of their own, such as ``"Fe_Kb"``.
    resolution_mn_ka_ev : float or None
        Detector resolution in eV; ``None`` takes the image's.

    Returns
    -------
    LineDesign
        Columns over the channels from 0.2 keV, or 70 eV below the lowest line asked for, to the beam energy.

    Raises
    ------
    InputError
        When the image is not EDS in keV, no element is named, or an element or line is not known or not recorded.
    """
    names = list(elements) if elements is not None else list(image.elements)
    _check(image, names, lines)
    beam, resolution = image.acquisition.beam_energy_kev, resolution_mn_ka_ev or resolution_of(image)
    top = float(image.energy[-1]) if beam is None else min(float(image.energy[-1]), beam)
    families = families_of(names, lines, max(float(image.energy[0]), LOWEST_LINE_KEV), top, beam)
    lowest = min(min(e for e in family.energies_kev if e > LOWEST_LINE_KEV) for family in families)
    bottom = min(LOWEST_KEV, max(lowest - MARGIN_KEV, LOWEST_LINE_KEV - MARGIN_KEV))
    channels = np.flatnonzero((image.energy >= bottom) & (image.energy <= top) & image.valid_channels)
    shapes = [family_shape(family, image.energy, resolution)[channels] for family in families]
    soft = [family for family in families if has_tail(family)]
    tails = [tail_shape(family, image.energy, resolution)[channels] for family in soft]
    background, curves = background_basis(image.energy[channels], beam)
    double = pile_up(image.energy, image.sum_spectrum())[channels]
    columns = (*(f"tail of {family.name}" for family in soft), *curves)
    matrix = np.column_stack([*shapes, *tails, background])
    if double.any():
        columns, matrix = (*columns, "pile-up"), np.column_stack([matrix, double])
    return LineDesign(families, columns, matrix, channels, image.energy[channels])


def with_families(
    design: LineDesign, families: Sequence[LineFamily], image: SpectrumImage, resolution_mn_ka_ev: float
) -> LineDesign:
    """Add lines that nobody named, and the tails of the soft ones.

    Parameters
    ----------
    design : LineDesign
        Lines and background.
    families : sequence of LineFamily
        What to add.
    image : SpectrumImage
        The image, whose energy axis the shapes are made on.
    resolution_mn_ka_ev : float
        Full width at half maximum at Mn Ka, in eV.

    Returns
    -------
    LineDesign
        With the families as its last lines and their tails as the first of its backgrounds.
    """
    soft = [family for family in families if has_tail(family)]
    shapes = [family_shape(family, image.energy, resolution_mn_ka_ev)[design.channels] for family in families]
    tails = [tail_shape(family, image.energy, resolution_mn_ka_ev)[design.channels] for family in soft]
    n = design.n_lines
    return replace(
        design,
        families=(*design.families, *families),
        backgrounds=(*(f"tail of {family.name}" for family in soft), *design.backgrounds),
        matrix=np.column_stack([design.matrix[:, :n], *shapes, *tails, design.matrix[:, n:]]),
        unnamed=design.unnamed + len(families),
    )


def lines_with_tails(design: LineDesign, intensities: Floats) -> Floats:
    """Columns of the lines, each with its tail as the summed spectrum shows it.

    Parameters
    ----------
    design : LineDesign
        Lines, tails and continuum.
    intensities : array, shape (column,), float64
        Their intensities in the summed spectrum.

    Returns
    -------
    array, shape (channel, line), float64
        Counts per channel of one count in the named line.
    """
    places = {name: design.n_lines + i for i, name in enumerate(design.backgrounds)}
    matrix = design.matrix[:, : design.n_lines].copy()
    for column, line in enumerate(design.lines):
        tail = places.get(f"tail of {line}")
        if tail is not None and intensities[column] > FEWEST_FOR_TAIL:
            matrix[:, column] += min(intensities[tail] / intensities[column], LARGEST_TAIL) * design.matrix[:, tail]
    return matrix


def has_tail(family: LineFamily) -> bool:
    """Whether a tail is fitted along with a line: K lines below 2 keV.

    Parameters
    ----------
    family : LineFamily
        Transitions.

    Returns
    -------
    bool
        Whether it is one of them.
    """
    return family.name.endswith("_Ka") and family.energies_kev[-1] < TAIL_BELOW_KEV


def pile_up(energy_kev: Floats, spectrum: npt.NDArray[Any]) -> Floats:
    """Two photons counted as one: the spectrum folded with itself.

    Parameters
    ----------
    energy_kev : array, shape (energy,), float64
        Channel centres in keV.
    spectrum : array, shape (energy,)
        Counts.

    Returns
    -------
    array, shape (energy,), float64
        Share per channel; it sums to 1 where there is anything.
    """
    from scipy.signal import fftconvolve

    photons = np.where(energy_kev > LOWEST_KEV, np.asarray(spectrum, np.float64), 0.0)
    step = (energy_kev[-1] - energy_kev[0]) / max(len(energy_kev) - 1, 1)
    both = np.maximum(fftconvolve(photons, photons), 0.0)
    folded = np.interp(energy_kev, 2 * energy_kev[0] + step * np.arange(len(both)), both, left=0.0, right=0.0)
    return np.asarray(folded / max(folded.sum(), 1e-300), np.float64)


def tail_shape(family: LineFamily, energy_kev: Floats, resolution_mn_ka_ev: float) -> Floats:
    """Events of a soft line whose charge was collected in part: an exponential below the line.

    Parameters
    ----------
    family : LineFamily
        Transitions with their intensities.
    energy_kev : array, shape (energy,), float64
        Channel centres in keV.
    resolution_mn_ka_ev : float
        Full width at half maximum at Mn Ka, in eV.

    Returns
    -------
    array, shape (energy,), float64
        Share per channel.

    Raises
    ------
    InputError
        When the resolution is not between 60 and 400 eV.
    """
    levels = (np.arange(TAIL_POINTS) + 0.5) / TAIL_POINTS
    losses = -TAIL_KEV * np.log1p(-levels)
    energies, weights = np.array(family.energies_kev), np.array(family.weights)
    spread = (energies[:, None] - losses).ravel(), np.repeat(weights / weights.sum() / TAIL_POINTS, TAIL_POINTS)
    kept = spread[0] > LOWEST_LINE_KEV / 2
    return gaussian_shares(spread[0][kept], spread[1][kept], energy_kev, resolution_mn_ka_ev)


def family_shape(family: LineFamily, energy_kev: Floats, resolution_mn_ka_ev: float) -> Floats:
    """Spectrum of a family as the detector records it.

    Parameters
    ----------
    family : LineFamily
        Transitions with their intensities.
    energy_kev : array, shape (energy,), float64
        Channel centres in keV.
    resolution_mn_ka_ev : float
        Full width at half maximum at Mn Ka, in eV.

    Returns
    -------
    array, shape (energy,), float64
        Counts per channel for one count in the named line.

    Raises
    ------
    InputError
        When the resolution is not between 60 and 400 eV.
    """
    return gaussian_shares(np.array(family.energies_kev), np.array(family.weights), energy_kev, resolution_mn_ka_ev)


def resolution_of(image: SpectrumImage) -> float:
    """Detector resolution of an image, with a warning where 130 eV has to be assumed.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.

    Returns
    -------
    float
        Full width at half maximum at Mn Ka, in eV.
    """
    found = image.acquisition.resolution_mn_ka_ev
    if found is None:
        warn(
            f"the detector's resolution is not known: {ASSUMED_RESOLUTION_EV:.0f} eV at Mn Ka is assumed; "
            "give bs.load(..., resolution_mn_ka_ev=...), or find it with bs.calibrate_energy(si, elements=[...])"
        )
        return ASSUMED_RESOLUTION_EV
    return found


def _check(image: SpectrumImage, elements: Sequence[str], lines: Sequence[str]) -> None:
    if image.acquisition.technique != "EDS" or image.energy_unit != "keV":
        raise InputError(
            f"an {image.acquisition.technique} image in {image.energy_unit}",
            "an EDS image in keV: X-ray lines are fitted",
            "bs.unmix(bs.divide_gain(si).image, rank=4) for energy losses",
        )
    if not elements and not lines:
        raise InputError(
            "neither elements nor lines, and the file names none",
            "the elements of the sample",
            "elements=['Fe', 'O'], or bs.identify_lines(si), which proposes them",
        )


# Escape peaks: photons whose silicon fluorescence left the detector are recorded that much too low


def escape_probability(energy_kev: Floats) -> Floats:
    """Probability that the fluorescence of silicon escapes through the front of a detector.

    Parameters
    ----------
    energy_kev : array, shape (energy,), float64
        Photon energy in keV.

    Returns
    -------
    array, shape (energy,), float64
        Escape events per absorbed photon; 0 below silicon's K edge.

    Notes
    -----
    Source: Reed and Ware, J. Phys. E 5 (1972) 582, doi:10.1088/0022-3735/5/6/029, with attenuation from Elam's tables:
    0.5 w p (1 - m / M log(1 + M / m)), m and M the coefficients of silicon for its own line and for the photon.
    """
    energy = np.asarray(energy_kev, np.float64)
    found = np.zeros(energy.shape)
    above = energy > SILICON_EDGE_KEV
    own = float(xraydb.mu_elam("Si", 1e3 * SILICON_KA_KEV))
    ratio = xraydb.mu_elam("Si", 1e3 * energy[above]) / own
    found[above] = 0.5 * SILICON_K_YIELD * K_SHARE * (1.0 - np.log1p(ratio) / ratio)
    return found


def with_escape(design: LineDesign, image: SpectrumImage) -> LineDesign:
    """Add the escape peaks of the whole spectrum as a column.

    Parameters
    ----------
    design : LineDesign
        Lines and background.
    image : SpectrumImage
        The image whose summed spectrum is shifted.

    Returns
    -------
    LineDesign
        With one more column, ``"escape"``, of free intensity; the same one where nothing can escape.
    """
    spectrum = image.sum_spectrum() * escape_probability(image.energy)
    moved = np.interp(design.energy + SILICON_KA_KEV, image.energy, spectrum, left=0.0, right=0.0)
    if not moved.sum() > 0:
        return design
    column = moved / moved.sum()
    return replace(design, backgrounds=(*design.backgrounds, "escape"), matrix=np.column_stack([design.matrix, column]))
