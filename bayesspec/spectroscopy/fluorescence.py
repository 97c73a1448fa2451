"""X-rays that other X-rays of the sample excite: by its lines and by its continuum."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import lazy_loader
import numpy as np
import numpy.typing as npt

from bayesspec.spectroscopy.ionisation import ionisation_cross_section
from bayesspec.spectroscopy.mass_absorption import attenuation
from bayesspec.spectroscopy.phi_rho_z import atomic_numbers, depth_distribution
from bayesspec.spectroscopy.transitions import subshells, transitions
from bayesspec.spectroscopy.xray_lines import known_lines, xray_line

xraydb = lazy_loader.load("xraydb")

Floats = npt.NDArray[np.float64]
AVOGADRO = 6.02214e23
"""Avogadro's number, in 1/mol."""
CONTINUUM_PER_KEV = 2.2e-6
"""Photons of the continuum for an electron, a unit of atomic number and (E0 - E) / E keV: Green and Cosslett, J. Phys.
D 1 (1968) 425, doi:10.1088/0022-3727/1/4/302."""
STEPS = 24
"""Energies at which the continuum is taken."""
LEAST_INTENSITY = 0.02
"""Share of the photons of a vacancy below which a transition is left out."""
SOURCES = {"K": "Ka", "L1": "La", "L2": "La", "L3": "La", "M5": "Ma"}
"""Subshells whose lines excite others, and the line whose distribution over depth stands for theirs."""
LINES_UNCERTAINTY, CONTINUUM_UNCERTAINTY = 0.2, 0.5
"""Relative standard deviations of the two parts: the approximation of where the primary X-rays start, the yields, and
of the continuum its intensity, which authors give to within a factor of 1.5."""


class Source(NamedTuple):
    """X-rays that can excite a line: photons for an electron and mass fraction, and their energy.

    Attributes
    ----------
    element : str
        What emits them; empty for the continuum.
    line : str
        Name of the line whose distribution over depth they share; empty for the continuum.
    energy_kev, edge_kev : float
        Energy of the photons, and of the edge that had to be ionised.
    per_area : float
        Photons for an electron and g/cm^2 of ionisation; of the continuum, for an electron and unit of atomic number.
    """

    element: str
    line: str
    energy_kev: float
    edge_kev: float
    per_area: float


def fluorescence(
    fractions: Floats, elements: tuple[str, ...], line: str, beam_energy_kev: float, chi: Floats
) -> tuple[Floats, Floats]:
    """Ratio of the photons of a line that other X-rays excite to those that electrons excite, as they leave the sample.

    Parameters
    ----------
    fractions : array, shape (..., element), float64
        Mass fractions.
    elements : tuple of str
        Chemical symbols; the line's own is among them.
    line : str
        Name of the line.
    beam_energy_kev : float
        Beam energy in keV.
    chi : array, shape (...), float64
        Mass absorption coefficient of the sample for the line over the sine of the take-off angle, in cm^2/g.

    Returns
    -------
    lines, continuum : array, shape (...), float64
        Part excited by lines of other elements, and by the continuum.

    Raises
    ------
    InputError
        When the beam does not excite the line.

    Notes
    -----
    Source: Castaing (1951); Reed, Br. J. Appl. Phys. 16 (1965) 913, doi:10.1088/0508-3443/16/7/301, for the escape of
    both, with Heinrich's coefficient for the depth of the primary X-rays; their number from `ionisation_cross_section`
    and the area of phi(rho z), that of the continuum from Kramers' law.
    """
    known = xray_line(line)
    own = elements.index(known.element)
    total = np.maximum(fractions.sum(axis=-1), 1e-300)
    shares = fractions / total[..., None]
    primary = _ionisations(known.element, _level(line), beam_energy_kev)
    generated = primary * depth_distribution(fractions, elements, line, beam_energy_kev).area
    areas: dict[str, Floats] = {}
    by_lines = np.zeros(np.shape(chi))
    for source in _line_sources(elements, known.element, known.edge_kev, beam_energy_kev):
        if source.line not in areas:
            areas[source.line] = depth_distribution(fractions, elements, source.line, beam_energy_kev).area
        number = source.per_area * shares[..., elements.index(source.element)] * areas[source.line]
        by_lines = by_lines + number / generated * _excited(shares, elements, own, source, beam_energy_kev, chi)
    mean_z = shares @ atomic_numbers(elements)
    by_continuum = np.zeros(np.shape(chi))
    for source in _continuum(known.edge_kev, beam_energy_kev):
        number = source.per_area * mean_z
        by_continuum = by_continuum + number / generated * _excited(shares, elements, own, source, beam_energy_kev, chi)
    jump = _ionised_share(known.element, _level(line))
    return jump * by_lines, jump * by_continuum


def _excited(
    shares: Floats, elements: tuple[str, ...], own: int, source: Source, beam_kev: float, chi: Floats
) -> Floats:
    """Atoms of the element ionised per photon of a source and unit of mass fraction, in units of escape as primary."""
    coefficients = _attenuation(elements, source.energy_kev)
    mu = shares @ coefficients
    lenard = 4.5e5 / (beam_kev**1.65 - source.edge_kev**1.65)
    u, v = chi / mu, lenard / mu
    return np.asarray(0.5 * coefficients[own] / mu * (np.log1p(u) / u + np.log1p(v) / v), np.float64)


@cache
def _ionisations(element: str, level: str, beam_kev: float) -> float:
    """Ionisations for an electron, mass fraction and g/cm^2 of phi(rho z)."""
    return AVOGADRO / xraydb.atomic_mass(element) * float(ionisation_cross_section(element, level, beam_kev))


def _level(line: str) -> str:
    return {"K": "K", "L": "L3", "M": "M5"}[line.split("_")[1][0]]


@cache
def _line_sources(elements: tuple[str, ...], own: str, edge_kev: float, beam_kev: float) -> tuple[Source, ...]:
    found = []
    for element in elements:
        edges = subshells(element)
        for level, family in SOURCES.items():
            line = f"{element}_{family}"
            excited = level in edges and edge_kev < edges[level].energy / 1e3 < beam_kev
            if element == own or not excited or line not in known_lines(element):
                continue
            rate = _ionisations(element, level, beam_kev) * float(edges[level].fyield)
            found += [
                Source(element, line, t.energy / 1e3, edges[level].energy / 1e3, rate * t.intensity)
                for t in transitions(element).values()
                if t.initial_level == level and t.energy / 1e3 > edge_kev and t.intensity > LEAST_INTENSITY
            ]
    return tuple(found)


@cache
def _continuum(edge_kev: float, beam_kev: float) -> tuple[Source, ...]:
    borders = np.geomspace(edge_kev, beam_kev, STEPS + 1)
    middles, widths = np.sqrt(borders[1:] * borders[:-1]), np.diff(borders)
    photons = CONTINUUM_PER_KEV * (beam_kev - middles) / middles * widths
    return tuple(Source("", "", float(e), float(e), float(n)) for e, n in zip(middles, photons, strict=True))


@cache
def _attenuation(elements: tuple[str, ...], energy_kev: float) -> Floats:
    return np.array([float(attenuation(element, np.array([energy_kev]))[0]) for element in elements])


@cache
def _ionised_share(element: str, level: str) -> float:
    """Share of the photons absorbed in an element, above an edge, that ionise its subshell."""
    jump = float(subshells(element)[level].jump_ratio)
    return 1 - 1 / jump if jump > 1 else 0.0
