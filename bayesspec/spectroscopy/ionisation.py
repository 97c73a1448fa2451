"""How often electrons ionise an inner shell, and how many photons of a line follow."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import lazy_loader
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.spectroscopy.line_families import element_families
from bayesspec.spectroscopy.transitions import subshells, transitions
from bayesspec.spectroscopy.xray_lines import xray_line

xraydb = lazy_loader.load("xraydb")

RYDBERG_KEV = 13.6057e-3
"""Rydberg energy, in keV."""
REST_ENERGY_KEV = 510.999
"""Rest energy of the electron, in keV."""
BOHR_RADIUS_CM = 5.29177e-9
"""Bohr radius, in cm."""
ELECTRONS = {"K": 2, "L1": 2, "L2": 2, "L3": 4, "M1": 2, "M2": 2, "M3": 4, "M4": 4, "M5": 6}
UNCERTAINTY = {"K": 0.10, "L": 0.15, "M": 0.25}
HARD_KEV, HARD_UNCERTAINTY = 20.0, 0.25
"""Relative standard deviation of what a line emits for an electron by shell, and for edges above 20 keV: cross section,
yield and share together.
Chosen by ``python benchmarks/quantification.py k_factors``, against published factors."""
Floats = npt.NDArray[np.float64]


def ionisation_cross_section(element: str, level: str, beam_energy_kev: npt.ArrayLike) -> Floats:
    """Cross section for the ionisation of a subshell by electrons.

    Parameters
    ----------
    element : str
        Chemical symbol.
    level : str
        Subshell, ``"K"``, ``"L3"``...
    beam_energy_kev : array, any shape
        Energy of the electrons in keV.

    Returns
    -------
    array, same shape, float64
        In cm^2 for an atom; 0 below the edge.

    Raises
    ------
    InputError
        When element or subshell are not known.

    Notes
    -----
    Source: Casnati, Tartari and Baraldi, J. Phys. B 15 (1982) 155, doi:10.1088/0022-3700/15/1/022, equations 5 to 7,
    for K shells; the same form, which starts from the binding energy and the number of electrons, stands for L and M.

    Examples
    --------
    >>> float(round(1e21 * ionisation_cross_section("Fe", "K", 20.0), 2))
    0.71
    """
    edges = _edges(element)
    if level not in edges or level not in ELECTRONS:
        raise InputError(f"the subshell {level!r} of {element}", f"one of {', '.join(edges)}", "'K'")
    edge = edges[level].energy / 1e3
    beam = np.maximum(np.asarray(beam_energy_kev, np.float64), edge)
    u, kinetic, binding = beam / edge, beam / REST_ENERGY_KEV, edge / REST_ENERGY_KEV
    relativistic = (2 + binding) / (2 + kinetic) * ((1 + kinetic) / (1 + binding)) ** 2
    slowed = (binding + kinetic) * (2 + kinetic) * (1 + binding) ** 2
    relativistic *= (slowed / (kinetic * (2 + kinetic) * (1 + binding) ** 2 + binding * (2 + binding))) ** 1.5
    phi = 10.57 * np.exp(-1.736 / u + 0.317 / u**2)
    psi = (edge / RYDBERG_KEV) ** (-0.0318 + 0.3160 / u - 0.1135 / u**2)
    unit = ELECTRONS[level] * BOHR_RADIUS_CM**2 * (RYDBERG_KEV / edge) ** 2
    return np.asarray(unit * relativistic * phi * psi * np.log(u) / u, np.float64)


def vacancies(element: str, shell: str, beam_energy_kev: float) -> dict[str, float]:
    """Vacancies that decay in every subshell of a shell, for one electron and one atom to the square centimetre.

    Parameters
    ----------
    element : str
        Chemical symbol.
    shell : str
        ``"K"``, ``"L"`` or ``"M"``.
    beam_energy_kev : float
        Energy of the electrons in keV.

    Returns
    -------
    dict of str to float
        By subshell, in cm^2: those struck, and those that Coster and Kronig's transitions move down to it.

    Raises
    ------
    InputError
        When there is no such element.

    Notes
    -----
    Source: Elam, Ravel and Sieber, Radiat. Phys. Chem. 63 (2002) 121, doi:10.1016/S0969-806X(01)00227-4, through
    xraydb, for the transitions within a shell.
    """
    levels = [level for level in ELECTRONS if level[0] == shell and level in _edges(element)]
    struck = {level: float(ionisation_cross_section(element, level, beam_energy_kev)) for level in levels}
    return {
        level: struck[level]
        + sum(struck[upper] * _moved(element, upper, level) for upper in levels[: levels.index(level)])
        for level in levels
    }


@cache
def emission_cross_section(line: str, beam_energy_kev: float) -> float:
    """Photons of a line for one electron and one atom to the square centimetre, in all directions.

    Parameters
    ----------
    line : str
        Name of a family, ``"Fe_Ka"``: where no detector tells subshells apart it stands for the unit in which the
        family's counts are told.
    beam_energy_kev : float
        Energy of the electrons in keV.

    Returns
    -------
    float
        In cm^2.

    Raises
    ------
    InputError
        When the line is not known or the beam does not excite it.

    Notes
    -----
    Cross sections, vacancies and fluorescence yields as in `ionisation_cross_section` and `vacancies`; shares of the
    transitions from Elam's tables.
    """
    known = xray_line(line)
    if not known.edge_kev < beam_energy_kev:
        raise InputError(
            f"{line}, edge {known.edge_kev:.4g} keV, and a beam of {beam_energy_kev:g} keV",
            "a line that the beam excites",
            "another line of the element",
        )
    levels = vacancies(known.element, line.split("_")[1][0], beam_energy_kev)
    families = element_families(known.element, 0.0, np.inf, beam_energy_kev)
    family = next((one for one in families if one.name == line), None)
    energies = [e for e, _ in known.members] if family is None else family.energies_kev
    inside = {round(energy, 6) for energy in energies}
    photons = sum(
        levels[t.initial_level] * float(_edges(known.element)[t.initial_level].fyield) * t.intensity
        for t in transitions(known.element).values()
        if t.initial_level in levels and round(t.energy / 1e3, 6) in inside
    )
    return photons / (1.0 if family is None else sum(family.weights))


def emission_uncertainty(line: str) -> float:
    """Relative standard deviation of the emission of a line.

    Parameters
    ----------
    line : str
        Name of a line.

    Returns
    -------
    float
        By its shell: K 0.10, L 0.15, M 0.25; 0.25 for edges above 20 keV, where the cross section is up to 30 % too
        large.

    Raises
    ------
    InputError
        When the line is not known.
    """
    soft = UNCERTAINTY[line.split("_")[1][0]]
    return max(soft, HARD_UNCERTAINTY) if xray_line(line).edge_kev > HARD_KEV else soft


def _edges(element: str) -> Mapping[str, Any]:
    table = subshells(element)
    if not table:
        raise InputError(f"the element {element!r}", "a chemical symbol", "'Fe'")
    return table


def _moved(element: str, upper: str, lower: str) -> float:
    """Share of the vacancies of a subshell that move to a lower one before they are filled."""
    try:
        found = xraydb.ck_probability(element, upper, lower)
    except (ValueError, KeyError):
        return 0.0
    return float(found or 0.0)
