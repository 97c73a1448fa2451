"""X-ray lines and their energies, keyed by names such as ``"Fe_Ka"``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import lazy_loader
import numpy as np

from bayesspec.errors import InputError
from bayesspec.spectroscopy.detector import fwhm_kev
from bayesspec.spectroscopy.transitions import family_of, photons, subshells, transitions

xraydb = lazy_loader.load("xraydb")

FAMILIES = ("Ka", "Kb", "La", "Lb", "Lg", "Ma", "Mb")


@dataclass(frozen=True)
class XrayLine:
    """A line such as Fe_Ka with everything that comes along with it: from the same vacancy, or the shell if unresolved.

    Parameters
    ----------
    name : str
        Element and family, ``"Fe_Ka"``.
    element : str
        Chemical symbol.
    energy_kev : float
        Intensity-weighted energy of the family, in keV.
    edge_kev : float
        Energy of the absorption edge that must be ionised, in keV.
    members : tuple of (float, float)
        Energy in keV and intensity of every transition of the family, intensities sum to 1.
    satellites : tuple of (str, float, float)
        Family, energy in keV and intensity relative to the whole line of the other transitions from the same
        vacancy; of an La line that no detector tells from Lb, those of all L vacancies.
    """

    name: str
    element: str
    energy_kev: float
    edge_kev: float
    members: tuple[tuple[float, float], ...]
    satellites: tuple[tuple[str, float, float], ...]


def known_lines(element: str) -> tuple[str, ...]:
    """Names of the lines of an element.

    Parameters
    ----------
    element : str
        Chemical symbol.

    Returns
    -------
    tuple of str
        Names such as ``"Fe_Ka"``, by shell.

    Raises
    ------
    InputError
        When there is no such element.
    """
    table = transitions(element)
    present = {family_of(label) for label in table}
    return tuple(f"{element}_{family}" for family in FAMILIES if family in present)


@cache
def xray_line(name: str) -> XrayLine:
    """Look up a line.

    Parameters
    ----------
    name : str
        Element and family, ``"Fe_Ka"``.

    Returns
    -------
    XrayLine
        Energies and intensities from the Elam tables.

    Raises
    ------
    InputError
        When the element or the family is not known.

    Notes
    -----
    Source: Elam, Ravel and Sieber, Radiat. Phys. Chem. 63 (2002) 121,
    doi:10.1016/S0969-806X(01)00227-4, through xraydb.
    """
    element = re.split(r"[_\s-]", str(name).strip())[0].capitalize()
    known = known_lines(element)
    if name not in known:
        meant = next((line for line in known if line.lower() == _letters(name)), known[0])
        raise InputError(f"the line {name!r}", f"a line of {element}: {', '.join(known)}", f"lines=[{meant!r}]")
    table = transitions(element)
    family = name.split("_")[1]
    own = {label: line for label, line in table.items() if family_of(label) == family}
    level = max(own.values(), key=lambda line: line.intensity).initial_level
    own = {label: line for label, line in own.items() if line.initial_level == level}
    total = sum(line.intensity for line in own.values())
    members = tuple((line.energy / 1e3, line.intensity / total) for line in own.values())
    satellites = [
        (family_of(label), line.energy / 1e3, line.intensity / total)
        for label, line in table.items()
        if line.initial_level == level and label not in own
    ]
    if family == "La" and not _resolved(table):
        satellites += _other_subshells(element, table, own)
    edge = subshells(element)[level].energy / 1e3
    energy = sum(e * w for e, w in members)
    return XrayLine(name, element, energy, edge, members, tuple(satellites))


def _letters(name: str) -> str:
    """A name as it is often typed: in small letters, Greek or with other joints."""
    plain = str(name).strip().lower().translate(str.maketrans("αβγ", "abg"))
    return re.sub(r"[\s\-]+", "_", plain)


def _resolved(table: dict[str, Any]) -> bool:
    """Whether the detector tells the strongest lines of L2 from those of L3."""
    strongest = {}
    for level in ("L3", "L2"):
        own = [line for line in table.values() if line.initial_level == level]
        if not own:
            return True
        strongest[level] = max(own, key=lambda line: line.intensity).energy / 1e3
    return bool(abs(strongest["L2"] - strongest["L3"]) > 0.8 * float(fwhm_kev(strongest["L3"])))


def _other_subshells(element: str, table: dict[str, Any], own: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Lines of L2 and L1 relative to the own line, where no detector tells them apart."""
    unit = photons(element, "L3") * sum(line.intensity for line in own.values())
    edges = subshells(element)
    return [
        (family_of(label), line.energy / 1e3, photons(element, line.initial_level) * line.intensity / unit)
        for label, line in table.items()
        if line.initial_level in ("L1", "L2") and line.initial_level in edges
    ]


def lines_in_range(element: str, low_kev: float, high_kev: float, beam_energy_kev: float | None) -> tuple[str, ...]:
    """Lines of an element that the beam excites and the detector records, strongest shell first.

    Parameters
    ----------
    element : str
        Chemical symbol.
    low_kev, high_kev : float
        Energies that are recorded, in keV.
    beam_energy_kev : float or None
        Beam energy in keV; ``None`` does not restrict.

    Returns
    -------
    tuple of str
        Names of alpha lines (Ka, La, Ma) inside the range.

    Raises
    ------
    InputError
        When there is no such element.
    """
    alphas = [xray_line(name) for name in known_lines(element) if name.endswith("a")]
    beam = np.inf if beam_energy_kev is None else beam_energy_kev
    return tuple(line.name for line in alphas if low_kev <= line.energy_kev <= high_kev and line.edge_kev < beam)


def default_line(element: str, low_kev: float, high_kev: float, beam_energy_kev: float | None = None) -> str:
    """Choose the line to quantify an element with: the highest shell that is recorded.

    Parameters
    ----------
    element : str
        Chemical symbol.
    low_kev, high_kev : float
        Energies that are recorded, in keV.
    beam_energy_kev : float or None
        Beam energy in keV.

    Returns
    -------
    str
        Name of the line.

    Raises
    ------
    InputError
        When the element has no line in the range.
    """
    inside = lines_in_range(element, low_kev, high_kev, beam_energy_kev)
    if not inside:
        raise InputError(
            f"{element} has no line between {low_kev:.3g} and {high_kev:.3g} keV (beam energy {beam_energy_kev} keV)",
            f"an energy range that holds one of {', '.join(known_lines(element))}",
            f"leave {element} out of elements=[...] or lines=[...]",
        )
    return inside[0]
