"""Transitions of an element, and the photons that a vacancy of each subshell gives, from tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import lazy_loader

from bayesspec.errors import InputError

xraydb = lazy_loader.load("xraydb")

KB_PER_KA = {11: 0.0, 12: 0.003, 13: 0.013, 14: 0.027, 15: 0.045, 16: 0.063, 17: 0.083, 18: 0.105, 19: 0.117}
"""Measured Kb/Ka where the 3p shell fills up: the tables' 0.12 to 0.13 holds from calcium on only."""
MINOR_M = {"Mz": ("M5", "N3", 0.06), "M2N4": ("M2", "N4", 0.01)}
"""Minor M lines that the tables give too weak or not at all: levels, and photons relative to those of Ma."""
PLACES = {"K": 2, "L1": 2, "L2": 2, "L3": 4, "M1": 2, "M2": 2, "M3": 4, "M4": 4, "M5": 6}
LEAST_YIELD = 1e-6
"""Smallest fluorescence yield of a subshell, so that one that is 0 in the table divides nothing by zero."""


@cache
def subshells(element: str) -> Mapping[str, Any]:
    """Absorption edges of an element, one a subshell.

    Parameters
    ----------
    element : str
        Chemical symbol.

    Returns
    -------
    mapping of str to xraydb.XrayEdge
        Subshell, ``"L3"``, to energy in eV, fluorescence yield and jump ratio; empty where the tables have none.

    Raises
    ------
    InputError
        When there is no such element.
    """
    try:
        return MappingProxyType(dict(xraydb.xray_edges(element) or {}))
    except (ValueError, KeyError) as error:
        raise InputError(
            f"the element {element!r}", "a chemical symbol such as 'Fe' or 'O'", "elements=['Fe', 'O']"
        ) from error


@cache
def transitions(element: str) -> dict[str, Any]:
    """Transitions of an element, with the measured Kb where the tables extrapolate, and minor M lines.

    Parameters
    ----------
    element : str
        Chemical symbol.

    Returns
    -------
    dict of str to xraydb.XrayLine
        Label, such as ``"Ka1"``, to energy in eV, intensity from one vacancy and level of the vacancy.

    Raises
    ------
    InputError
        When there is no such element, or it has no lines.

    Notes
    -----
    Source: Elam, Ravel and Sieber, Radiat. Phys. Chem. 63 (2002) 121, doi:10.1016/S0969-806X(01)00227-4; Kb/Ka below
    calcium rounded from Salem, Panossian and Krause, At. Data Nucl. Data Tables 14 (1974) 91,
    doi:10.1016/S0092-640X(74)80017-3; weights of the minor M lines: Goldstein et al., Scanning Electron Microscopy and
    X-ray Microanalysis, 3rd ed. (2003), doi:10.1007/978-1-4615-0215-9, with energies from the levels.
    """
    try:
        table = dict(xraydb.xray_lines(element))
    except ValueError as error:
        raise InputError(
            f"the element {element!r}", "a chemical symbol such as 'Fe' or 'O'", "elements=['Fe', 'O']"
        ) from error
    if not table:
        raise InputError(
            f"{element}, which has no line between 0 and 100 keV", "another element", f"leave {element} out"
        )
    if "Ma" in table:
        table |= _minor_m(element, table)
    ratio = KB_PER_KA.get(xraydb.atomic_number(element))
    alpha, beta = (sum(t.intensity for label, t in table.items() if family_of(label) == f) for f in ("Ka", "Kb"))
    if ratio is None or not beta:
        return table
    factors = {"Ka": (alpha + beta) / (alpha * (1 + ratio))}
    factors["Kb"] = factors["Ka"] * ratio * alpha / beta
    return {
        label: t._replace(intensity=t.intensity * factors.get(family_of(label), 1.0))
        for label, t in table.items()
        if factors.get(family_of(label), 1.0) > 0
    }


def _minor_m(element: str, table: dict[str, Any]) -> dict[str, Any]:
    """Minor M lines of an element as transitions from the levels."""
    edges, found = subshells(element), {}
    of_ma = photons(element, table["Ma"].initial_level) * table["Ma"].intensity
    for label, (vacancy, filled, weight) in MINOR_M.items():
        if vacancy in edges and filled in edges:
            energy = edges[vacancy].energy - edges[filled].energy
            intensity = weight * of_ma / photons(element, vacancy)
            found[label] = table["Ma"]._replace(
                energy=energy, intensity=intensity, initial_level=vacancy, final_level=filled
            )
    return found


def photons(element: str, level: str) -> float:
    """Photons from a subshell, if every electron of the shell is as likely to be struck.

    Parameters
    ----------
    element : str
        Chemical symbol.
    level : str
        Subshell, ``"L3"``.

    Returns
    -------
    float
        Electrons times fluorescence yield.
    """
    return PLACES[level] * max(float(subshells(element)[level].fyield), LEAST_YIELD)


def family_of(label: str) -> str:
    """Family of a transition.

    Parameters
    ----------
    label : str
        Siegbahn label, ``"Ka1"``.

    Returns
    -------
    str
        Name of the family, ``"Ka"``.
    """
    return label[:2]
