"""Families of X-ray lines: what an element emits from one shell, with relative intensities that do not vary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from bayesspec.errors import InputError
from bayesspec.files.saved import SavedPart
from bayesspec.spectroscopy.detector import fwhm_kev
from bayesspec.spectroscopy.transitions import photons, subshells, transitions
from bayesspec.spectroscopy.xray_lines import known_lines, xray_line

LEAST_SHARE = 0.02
"""Share of a family's photons that must lie within the range for the family to be listed."""
SHELLS = {"K": ("Ka",), "L": ("La", "Lb"), "M": ("Ma",)}
COMMON_ELEMENTS = tuple(
    re.findall(
        "[A-Z][a-z]?",
        "B C N O F Na Mg Al Si P S Cl K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Rb Sr Y Zr Nb Mo Ru Rh Pd Ag Cd "
        "In Sn Sb Te I Cs Ba La Ce Pr Nd Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Th U",
    )
)

"""Elements that a solid sample may hold: no noble gases, nothing short-lived, nothing lighter than boron."""


@dataclass(frozen=True)
class LineFamily(SavedPart):
    """Transitions whose intensities are in a known ratio: one column of a spectral model.

    Parameters
    ----------
    name : str
        The line whose counts are the family's intensity, ``"Fe_Ka"``.
    element : str
        Chemical symbol.
    energies_kev : tuple of float
        Energy of every transition, in keV.
    weights : tuple of float
        Intensity of every transition relative to the named line; those of the line itself sum to 1.
    """

    name: str
    element: str
    energies_kev: tuple[float, ...]
    weights: tuple[float, ...]

    def share_between(self, low_kev: float, high_kev: float) -> float:
        """Share of the family's intensity between two energies.

        Parameters
        ----------
        low_kev, high_kev : float
            Energies in keV.

        Returns
        -------
        float
            Between 0 and 1.
        """
        energies, weights = np.array(self.energies_kev), np.array(self.weights)
        return float(weights[(energies > low_kev) & (energies < high_kev)].sum() / weights.sum())

    def without(self, others: Sequence[LineFamily]) -> LineFamily:
        """Leave out what other families of the element describe.

        Parameters
        ----------
        others : sequence of LineFamily
            Families with columns of their own.

        Returns
        -------
        LineFamily
            The rest.
        """
        taken = {round(e, 6) for other in others for e in other.energies_kev}
        kept = [(e, w) for e, w in zip(self.energies_kev, self.weights, strict=True) if round(e, 6) not in taken]
        energies, weights = zip(*kept, strict=True)
        return LineFamily(self.name, self.element, energies, weights)


@cache
def element_families(
    element: str, low_kev: float, high_kev: float, beam_energy_kev: float | None = None
) -> tuple[LineFamily, ...]:
    """Families of an element that the beam excites and the detector records.

    K lines are one family. So are the L lines, unless the detector resolves those of the L3 vacancy (La) from
    those of L2 and L1 (Lb): their ratio depends on the beam and is left free then. M lines are one family.

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
    tuple of LineFamily
        Of the K, L and M shells, in this order; empty where nothing is recorded.

    Raises
    ------
    InputError
        When there is no such element.

    Notes
    -----
    Source: Elam, Ravel and Sieber, Radiat. Phys. Chem. 63 (2002) 121, doi:10.1016/S0969-806X(01)00227-4, through
    xraydb: energies, intensities from one vacancy, fluorescence yields. Vacancies of subshells that no resolution
    separates are taken in proportion to their electrons.
    """
    beam = np.inf if beam_energy_kev is None else beam_energy_kev
    found = [
        family
        for shell in SHELLS
        for family in _shell_families(element, shell, beam)
        if family.share_between(low_kev, high_kev) > LEAST_SHARE
    ]
    return tuple(found)


def families_of(
    elements: Iterable[str],
    lines: Iterable[str],
    low_kev: float,
    high_kev: float,
    beam_energy_kev: float | None = None,
) -> tuple[LineFamily, ...]:
    """Families of elements, with lines of their own where they are asked for.

    Parameters
    ----------
    elements : iterable of str
        Chemical symbols.
    lines : iterable of str
        Lines that must be columns of their own, such as ``"Fe_Kb"``.
    low_kev, high_kev : float
        Energies that are recorded, in keV.
    beam_energy_kev : float or None
        Beam energy in keV; ``None`` does not restrict.

    Returns
    -------
    tuple of LineFamily
        Families, each name once.

    Raises
    ------
    InputError
        When an element or line is not known, is not excited, or lies outside the energies.
    """
    asked = list(dict.fromkeys(lines or ()))
    symbols = list(dict.fromkeys([*elements, *(xray_line(line).element for line in asked)]))
    found: dict[str, LineFamily] = {}
    for element in symbols:
        own = element_families(element, low_kev, high_kev, beam_energy_kev)
        if not own:
            raise InputError(
                f"{element} has no line between {low_kev:.3g} and {high_kev:.3g} keV that {beam_energy_kev} keV excite",
                f"an energy range or beam that shows one of {', '.join(known_lines(element))}",
                f"leave {element} out",
            )
        found |= {family.name: family for family in own}
    for line in asked:
        if line not in found:
            found |= _with_line(found, line, low_kev, high_kev, beam_energy_kev)
    return tuple(found.values())


def _with_line(
    found: dict[str, LineFamily], name: str, low_kev: float, high_kev: float, beam_energy_kev: float | None
) -> dict[str, LineFamily]:
    """Give a line a column of its own; the families that held it keep the rest."""
    line = xray_line(name)
    beam = np.inf if beam_energy_kev is None else beam_energy_kev
    if not (low_kev < line.energy_kev < high_kev and line.edge_kev < beam):
        raise InputError(
            f"{name} at {line.energy_kev:.4g} keV (edge {line.edge_kev:.4g} keV)",
            f"a line between {low_kev:.4g} and {high_kev:.4g} keV whose edge is below the beam energy "
            f"({beam_energy_kev} keV)",
            f"one of {', '.join(f for f in found if f.startswith(line.element + '_'))}",
        )
    energies, weights = zip(*line.members, strict=True)
    own = LineFamily(name, line.element, energies, weights)
    rest = {
        other: family.without([own])
        for other, family in found.items()
        if family.element == line.element and set(energies) & set(family.energies_kev)
    }
    return {**rest, name: own}


def _shell_families(element: str, shell: str, beam: float) -> list[LineFamily]:
    present = known_lines(element)
    names = [f"{element}_{family}" for family in SHELLS[shell] if f"{element}_{family}" in present]
    if not names or xray_line(names[0]).edge_kev >= beam:
        return []
    by_level = _emission(element, shell, beam)
    if shell == "L" and len(names) == 2 and "L2" in by_level and _resolved(by_level):
        lower = {level: lines for level, lines in by_level.items() if level != "L3"}
        return [_family(names[0], element, {"L3": by_level["L3"]}), _family(names[1], element, lower)]
    return [_family(names[0], element, by_level)]


def _emission(element: str, shell: str, beam: float) -> dict[str, list[tuple[float, float]]]:
    """Energy in keV and photons of every transition, by the level that holds the vacancy."""
    edges = subshells(element)
    by_level: dict[str, list[tuple[float, float]]] = {}
    for line in transitions(element).values():
        level = line.initial_level
        if level.startswith(shell) and level in edges and edges[level].energy / 1e3 < beam:
            by_level.setdefault(level, []).append((line.energy / 1e3, photons(element, level) * line.intensity))
    return by_level


def _resolved(by_level: dict[str, list[tuple[float, float]]]) -> bool:
    first, second = (max(by_level[level], key=lambda line: line[1])[0] for level in ("L3", "L2"))
    return abs(second - first) > 0.8 * float(fwhm_kev(first))


def _family(name: str, element: str, by_level: dict[str, list[tuple[float, float]]]) -> LineFamily:
    lines = sorted(line for level in by_level.values() for line in level if line[1] > 0)
    members = {round(energy, 6) for energy, _ in xray_line(name).members}
    unit = sum(number for energy, number in lines if round(energy, 6) in members)
    return LineFamily(name, element, tuple(e for e, _ in lines), tuple(p / unit for _, p in lines))
