"""Compositions as people write them: a formula, or mass per cent of elements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import lazy_loader
import numpy as np

from bayesspec.errors import InputError

xraydb = lazy_loader.load("xraydb")

Percent = float | tuple[float, float]
OXIDES = {
    "Li": "Li2O", "Be": "BeO", "B": "B2O3", "C": "CO2", "Na": "Na2O", "Mg": "MgO", "Al": "Al2O3", "Si": "SiO2",
    "P": "P2O5", "S": "SO3", "K": "K2O", "Ca": "CaO", "Sc": "Sc2O3", "Ti": "TiO2", "V": "V2O5", "Cr": "Cr2O3",
    "Mn": "MnO", "Fe": "FeO", "Co": "CoO", "Ni": "NiO", "Cu": "CuO", "Zn": "ZnO", "Ga": "Ga2O3", "Ge": "GeO2",
    "As": "As2O3", "Rb": "Rb2O", "Sr": "SrO", "Y": "Y2O3", "Zr": "ZrO2", "Nb": "Nb2O5", "Mo": "MoO3", "Ag": "Ag2O",
    "Cd": "CdO", "In": "In2O3", "Sn": "SnO2", "Sb": "Sb2O3", "Te": "TeO2", "Cs": "Cs2O", "Ba": "BaO", "La": "La2O3",
    "Ce": "CeO2", "Pr": "Pr2O3", "Nd": "Nd2O3", "Sm": "Sm2O3", "Eu": "Eu2O3", "Gd": "Gd2O3", "Tb": "Tb2O3",
    "Dy": "Dy2O3", "Ho": "Ho2O3", "Er": "Er2O3", "Tm": "Tm2O3", "Yb": "Yb2O3", "Lu": "Lu2O3", "Hf": "HfO2",
    "Ta": "Ta2O5", "W": "WO3", "Pb": "PbO", "Bi": "Bi2O3", "Th": "ThO2", "U": "UO2",
}  # fmt: skip
"""The oxide of each element that minerals and glasses are usually told in."""


def mass_fractions(composition: str | Mapping[str, Percent]) -> tuple[dict[str, float], dict[str, float]]:
    """Mass fractions of a compound or of a certified material.

    Parameters
    ----------
    composition : str or mapping of str to float or (float, float)
        A formula such as ``"Al2O3"``, or mass per cent by element, with standard deviation or without; they may sum to
        less than 100.

    Returns
    -------
    fractions, sd : dict of str to float
        Mass fractions by element and their standard deviations; those of a formula sum to 1 and are exact.

    Raises
    ------
    InputError
        When it is no formula, or mass per cent are negative or sum to more than 110.

    Examples
    --------
    >>> mass_fractions("MgO")[0]["Mg"].__round__(3)
    0.603
    """
    if isinstance(composition, str):
        return _of_formula(composition), dict.fromkeys(_of_formula(composition), 0.0)
    if not isinstance(composition, Mapping) or not all(map(_is_percent, composition.values())):
        raise InputError(
            f"the composition {composition!r}",
            "a formula, or mass per cent by element, with standard deviation or without",
            "'Fe2O3', or {'Si': 46.7, 'O': (53.3, 0.2)}",
        )
    pairs = {e: value if isinstance(value, tuple) else (value, 0.0) for e, value in composition.items()}
    total = sum(mean for mean, _ in pairs.values())
    known = all(mean >= 0 and sd >= 0 for mean, sd in pairs.values())
    if not pairs or not known or not 0 < total <= 110:
        raise InputError(
            f"mass per cent {dict(composition)}, sum {total:g}",
            "positive values up to 100 in all",
            '{"Si": 46.7, "O": (53.3, 0.2)}',
        )
    for element in pairs:
        _mass(element)
    return {e: mean / 100 for e, (mean, _) in pairs.items()}, {e: sd / 100 for e, (_, sd) in pairs.items()}


def oxygen_per_mass(element: str, oxide: str | None = None) -> float:
    """Mass of oxygen that goes with a unit of mass of an element in its oxide.

    Parameters
    ----------
    element : str
        Chemical symbol.
    oxide : str or None
        Formula of the oxide; ``None`` takes the usual one.

    Returns
    -------
    float
        0 for an element without a usual oxide: halogens, noble metals.

    Raises
    ------
    InputError
        When the formula is not an oxide of the element.
    """
    formula = oxide or OXIDES.get(element)
    if formula is None:
        return 0.0
    parts = _of_formula(formula)
    if set(parts) != {element, "O"}:
        raise InputError(f"the oxide {formula!r} of {element}", f"a formula of {element} and O", '{"Fe": "Fe2O3"}')
    return parts["O"] / parts[element]


def _of_formula(formula: str) -> dict[str, float]:
    try:
        atoms = xraydb.chemparse(formula)
    except ValueError as error:
        raise InputError(f"the formula {formula!r}", "one such as 'Al2O3' or 'CaF2'", "{'Al2O3': image}") from error
    masses = {element: number * _mass(element) for element, number in atoms.items()}
    total = float(np.sum(list(masses.values())))
    return {element: mass / total for element, mass in masses.items()}


def _is_percent(value: Any) -> bool:
    parts = value if isinstance(value, tuple) else (value, 0.0)
    return len(parts) == 2 and all(isinstance(part, Real) and math.isfinite(part) for part in parts)


def _mass(element: str) -> float:
    try:
        return float(xraydb.atomic_mass(element))
    except (ValueError, KeyError) as error:
        raise InputError(f"the element {element!r}", "a chemical symbol such as 'Fe'", '{"Fe": 100.0}') from error
