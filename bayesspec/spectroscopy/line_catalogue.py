"""All families of lines that a detector may record: their shapes, and what the elements must show besides."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.score_test import ScoreGains
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV, fwhm_kev, gaussian_columns
from bayesspec.spectroscopy.ionisation import emission_cross_section
from bayesspec.spectroscopy.line_families import COMMON_ELEMENTS, LineFamily, element_families

Floats = npt.NDArray[np.float64]
MOST = 0.5
"""Share of a family that must be recorded for the element to be told by it (``python benchmarks/spectra.py
elements``)."""
LEAST_OF_EXPECTED = 0.1
"""A harder line of an element must show this share of what a thin film would emit, as thick samples stop the beam
(``python benchmarks/spectra.py elements``)."""
ABSENT_SD = 3.0
"""Standard deviations above what was found of a harder line up to which it may still be there (``python
benchmarks/spectra.py elements``)."""
ASSUMED_BEAM_KEV = 200.0
"""Beam energy, in keV, by which relative emission is judged where the file states none."""


@dataclass(frozen=True, eq=False)
class LineCatalogue:
    """Families of many elements over the channels of a fit.

    Parameters
    ----------
    families : tuple of LineFamily
        Families of which anything is recorded, those of an element one after the other, the hardest first.
    shapes : array, shape (channel, family), float64
        Counts per channel of one count in the named line.
    energies : array, shape (family,), float64
        Energy of the strongest transition in keV.
    mostly : array, shape (family,), bool
        Whether most of the family is recorded.
    beam_energy_kev : float
        Beam energy in keV.
    """

    families: tuple[LineFamily, ...]
    shapes: Floats
    energies: Floats
    mostly: npt.NDArray[np.bool_]
    beam_energy_kev: float

    def places(self, element: str) -> list[int]:
        """Places of an element's families.

        Parameters
        ----------
        element : str
            Chemical symbol.

        Returns
        -------
        list of int
            The hardest first.
        """
        return [i for i, family in enumerate(self.families) if family.element == element]

    def contradicted(self, gains: ScoreGains) -> npt.NDArray[np.bool_]:
        """Families whose element should show a harder line as well, and does not.

        Parameters
        ----------
        gains : ScoreGains
            Of every family.

        Returns
        -------
        array, shape (family,), bool
            ``True`` where a harder line stays below a tenth of what a thin film would show.
        """
        missed = np.zeros(len(self.families), bool)
        limit = np.maximum(gains.intensity, 0.0) + ABSENT_SD * gains.sd
        for i, family in enumerate(self.families):
            if gains.gain[i] <= 0:
                continue
            for j in range(i - 1, -1, -1):
                if self.families[j].element != family.element:
                    break
                harder = self.families[j]
                if self.mostly[j] and harder.name[:-1] != family.name[:-1]:
                    expected = emission_ratio(harder.name, family.name, self.beam_energy_kev) * gains.intensity[i]
                    missed[i] |= limit[j] < LEAST_OF_EXPECTED * expected
        return missed


def line_catalogue(
    image: SpectrumImage, channels: npt.NDArray[np.int64], without: Collection[str] = ()
) -> LineCatalogue:
    """Collect the families that an image can show.

    Parameters
    ----------
    image : SpectrumImage
        Energy axis, detector, beam.
    channels : array, shape (channel,), int64
        Channels that are fitted.
    without : collection of str
        Elements to leave out.

    Returns
    -------
    LineCatalogue
        Families of all elements that a solid sample may hold.
    """
    beam, resolution = image.acquisition.beam_energy_kev, image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
    low, high = float(image.energy[channels[0]]), float(image.energy[channels[-1]])
    families = [f for e in COMMON_ELEMENTS if e not in without for f in element_families(e, low, high, beam)]
    lines = [(f.energies_kev, f.weights) for f in families]
    return LineCatalogue(
        tuple(families),
        gaussian_columns(lines, image.energy, resolution)[channels],
        np.array([strongest_kev(f) for f in families]),
        np.array([f.share_between(low, high) > MOST for f in families], bool),
        ASSUMED_BEAM_KEV if beam is None else beam,
    )


def strongest_kev(family: LineFamily) -> float:
    """Energy of the strongest transition.

    Parameters
    ----------
    family : LineFamily
        Transitions.

    Returns
    -------
    float
        In keV.
    """
    return float(np.array(family.energies_kev)[np.argmax(family.weights)])


@cache
def emission_ratio(harder: str, softer: str, beam_energy_kev: float) -> float:
    """Photons of one line over those of another of the same element, from a thin film.

    Parameters
    ----------
    harder, softer : str
        Names of lines.
    beam_energy_kev : float
        Beam energy in keV.

    Returns
    -------
    float
        Ratio; 0 where theory has none.
    """
    try:
        above, below = (emission_cross_section(line, beam_energy_kev) for line in (harder, softer))
    except (ValueError, KeyError):
        return 0.0
    return above / below if below > 0 else 0.0


def near(
    energy_kev: npt.ArrayLike, other_kev: npt.ArrayLike, widths: float, resolution: float
) -> npt.NDArray[np.bool_]:
    """Whether energies lie within some widths of the detector of each other.

    Parameters
    ----------
    energy_kev, other_kev : array, shapes that broadcast
        Energies in keV.
    widths : float
        In units of the full width at half maximum.
    resolution : float
        Full width at half maximum at Mn Ka, in eV.

    Returns
    -------
    array, bool
        ``True`` where they do.
    """
    first, second = np.asarray(energy_kev, np.float64), np.asarray(other_kev, np.float64)
    return np.asarray(np.abs(first - second) < widths * fwhm_kev(second, resolution))
