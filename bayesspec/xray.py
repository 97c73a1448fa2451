"""X-ray lines: energies, branching and detector broadening, keyed by names such as ``"Fe_Ka"``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import xraydb
from scipy.special import ndtr

from bayesspec.errors import InputError

MN_KA_KEV = 5.895
ASSUMED_RESOLUTION_EV = 130.0
FANO_SLOPE_EV = 2.5
FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
KB_PER_KA = {11: 0.0, 12: 0.003, 13: 0.013, 14: 0.027, 15: 0.045, 16: 0.063, 17: 0.083, 18: 0.105, 19: 0.117}
"""Measured Kb/Ka where the 3p shell fills up: the tables' 0.12 to 0.13 holds from calcium on only."""
PLACES = {"K": 2, "L1": 2, "L2": 2, "L3": 4, "M1": 2, "M2": 2, "M3": 4, "M4": 4, "M5": 6}
LEAST_YIELD = 1e-6
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
    present = {_family(label) for label in table}
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
    match = re.fullmatch(r"([A-Z][a-z]?)_([KLM][a-z])", str(name))
    element = match[1] if match else str(name).split("_")[0]
    known = known_lines(element)
    if name not in known:
        raise InputError(f"the line {name!r}", f"a line of {element}: {', '.join(known)}", f"lines=[{known[0]!r}]")
    table = transitions(element)
    family = name.split("_")[1]
    own = {label: line for label, line in table.items() if _family(label) == family}
    level = max(own.values(), key=lambda line: line.intensity).initial_level
    own = {label: line for label, line in own.items() if line.initial_level == level}
    total = sum(line.intensity for line in own.values())
    members = tuple((line.energy / 1e3, line.intensity / total) for line in own.values())
    satellites = [
        (_family(label), line.energy / 1e3, line.intensity / total)
        for label, line in table.items()
        if line.initial_level == level and label not in own
    ]
    if family == "La" and not _resolved(table):
        satellites += _other_subshells(element, table, own)
    edge = xraydb.xray_edges(element)[level].energy / 1e3
    energy = sum(e * w for e, w in members)
    return XrayLine(name, element, energy, edge, members, tuple(satellites))


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
    return PLACES[level] * max(float(xraydb.xray_edges(element)[level].fyield), LEAST_YIELD)


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
    edges = xraydb.xray_edges(element)
    return [
        (_family(label), line.energy / 1e3, photons(element, line.initial_level) * line.intensity / unit)
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


def fwhm_kev(
    energy_kev: npt.ArrayLike,
    resolution_mn_ka_ev: float = ASSUMED_RESOLUTION_EV,
    *,
    slope_ev: float = FANO_SLOPE_EV,
) -> npt.NDArray[Any]:
    """Full width at half maximum of the detector's response.

    Parameters
    ----------
    energy_kev : array, any shape
        Photon energy in keV.
    resolution_mn_ka_ev : float
        Full width at half maximum at Mn Ka, in eV.
    slope_ev : float
        Growth of the squared width with the photon energy, in eV.

    Returns
    -------
    array, same shape, float64
        Full width at half maximum in keV.

    Raises
    ------
    InputError
        When the resolution is not between 60 and 400 eV.

    Notes
    -----
    Source: Fiori and Newbury, Scanning Electron Microscopy 1 (1978) 401:
    FWHM^2 = FWHM_Mn^2 + 2.5 (E - E_Mn), in eV.
    A floor of 30 eV stands for the electronic noise where the formula has none left.
    """
    if not 60 <= resolution_mn_ka_ev <= 400:
        raise InputError(
            f"a detector resolution of {resolution_mn_ka_ev} eV at Mn Ka",
            "60 to 400 eV",
            "bs.load(path, resolution_mn_ka_ev=130)",
        )
    squared = resolution_mn_ka_ev**2 + 1e3 * slope_ev * (np.asarray(energy_kev, dtype=np.float64) - MN_KA_KEV)
    return np.sqrt(np.maximum(squared, 30.0**2)) / 1e3


def gaussian_shares(
    energies_kev: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    axis_kev: npt.NDArray[np.float64],
    resolution_mn_ka_ev: float,
    *,
    slope_ev: float = FANO_SLOPE_EV,
) -> npt.NDArray[np.float64]:
    """Spread transitions over the channels of a detector: Gaussians, integrated over each channel.

    Parameters
    ----------
    energies_kev : array, shape (transition,), float64
        Energies in keV.
    weights : array, shape (transition,), float64
        Intensity of each transition.
    axis_kev : array, shape (energy,), float64
        Centres of the channels in keV.
    resolution_mn_ka_ev : float
        Full width at half maximum at Mn Ka, in eV.
    slope_ev : float
        Growth of the squared width with the photon energy, in eV.

    Returns
    -------
    array, shape (energy,), float64
        Intensity per channel, in the unit of `weights`.

    Raises
    ------
    InputError
        When the resolution is not between 60 and 400 eV.
    """
    sigma = fwhm_kev(energies_kev, resolution_mn_ka_ev, slope_ev=slope_ev) / FWHM_PER_SIGMA
    half = np.gradient(axis_kev)[:, None] / 2
    offset = axis_kev[:, None] - energies_kev
    return (ndtr((offset + half) / sigma) - ndtr((offset - half) / sigma)) @ weights


@cache
def transitions(element: str) -> dict[str, Any]:
    """Transitions of an element, with the measured Kb where the tables extrapolate.

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
    doi:10.1016/S0092-640X(74)80017-3.
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
    ratio = KB_PER_KA.get(xraydb.atomic_number(element))
    alpha, beta = (sum(t.intensity for label, t in table.items() if _family(label) == f) for f in ("Ka", "Kb"))
    if ratio is None or not beta:
        return table
    factors = {"Ka": (alpha + beta) / (alpha * (1 + ratio))}
    factors["Kb"] = factors["Ka"] * ratio * alpha / beta
    return {
        label: t._replace(intensity=t.intensity * factors.get(_family(label), 1.0))
        for label, t in table.items()
        if factors.get(_family(label), 1.0) > 0
    }


def _family(label: str) -> str:
    return label[:2]
