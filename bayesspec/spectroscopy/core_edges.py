"""Core-loss edges: which are recorded, and which are asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.spectroscopy.transitions import subshells

LEVELS = {"K": "K", "L": "L3", "M": "M5"}
BEFORE_EV, AFTER_EV = 30.0, 20.0
"""Range, in eV, that must be recorded below an onset for the background and above it for the edge."""


def edge_name(name: str) -> str:
    """Name of an edge by its shell, however its subshells are written.

    Parameters
    ----------
    name : str
        Such as ``"Ti_L23"``, ``"Ti_L2,3"``, ``"Ti_L3"``, ``"La_M45"`` or ``"O_K"``.

    Returns
    -------
    str
        ``"Ti_L"``, ``"La_M"``, ``"O_K"``; a name that is none of these as it is.

    Examples
    --------
    >>> edge_name("Ti_L2,3")
    'Ti_L'
    """
    match = re.fullmatch(r"([A-Z][a-z]?)_(?:(K)1?|(L)(?:2,?3|3|2)?|(M)(?:4,?5|5|4)?)", str(name))
    return f"{match[1]}_{match[2] or match[3] or match[4]}" if match else str(name)


def edges_in_range(element: str, low_ev: float, high_ev: float) -> dict[str, float]:
    """Major edges of an element with room for a background below and for the edge above.

    Parameters
    ----------
    element : str
        Chemical symbol.
    low_ev, high_ev : float
        Energy losses that are recorded, in eV.

    Returns
    -------
    dict of str to float
        Onset in eV by name, such as ``{"Ti_L": 453.8}``: K, L3 or M5.

    Raises
    ------
    InputError
        When there is no such element.

    Notes
    -----
    Source: Elam, Ravel and Sieber, Radiat. Phys. Chem. 63 (2002) 121, doi:10.1016/S0969-806X(01)00227-4, through
    xraydb.
    """
    table = subshells(element)
    if not table:
        raise InputError(f"the element {element!r}, which has no edges", "another one", "elements=['C', 'O']")
    onsets = {f"{element}_{shell}": float(table[level].energy) for shell, level in LEVELS.items() if level in table}
    return {name: e for name, e in onsets.items() if low_ev + BEFORE_EV <= e <= high_ev - AFTER_EV}


def chosen_edges(image: SpectrumImage, elements: Sequence[str] | None, edges: Sequence[str] = ()) -> dict[str, float]:
    """Edges to fit.

    Parameters
    ----------
    image : SpectrumImage
        An EELS image.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    edges : sequence of str
        Edges asked for by name, ``"Ti_L"`` or ``"Ti_L23"``; with `elements` left out, these alone.

    Returns
    -------
    dict of str to float
        Onset in eV by name, in the order of their onsets.

    Raises
    ------
    InputError
        When the image is not EELS in eV, nothing is named, or an edge is not known or not recorded.
    """
    if image.acquisition.technique != "EELS" or image.energy_unit != "eV":
        raise InputError(
            f"an {image.acquisition.technique} image in {image.energy_unit}", "an EELS image in eV", "bs.fit_lines(si)"
        )
    names = list(elements) if elements is not None else [] if edges else list(image.elements)
    used = image.energy[image.valid_channels]
    low, high = float(max(used.min(), 1.0)), float(used.max())
    found: dict[str, float] = {}
    for element in names:
        inside = edges_in_range(element, low, high)
        if not inside:
            onsets = edges_in_range(element, 0.0, np.inf)
            raise InputError(
                f"{element} has no edge between {low:.4g} and {high:.4g} eV",
                f"an axis from {BEFORE_EV:.0f} eV below to {AFTER_EV:.0f} eV above one of "
                f"{', '.join(f'{name} ({e:.0f} eV)' for name, e in onsets.items())}",
                f"elements=[...] without {element}",
            )
        found |= inside
    for name in edges:
        known = edge_name(name)
        inside = edges_in_range(known.split("_")[0], low, high)
        if known not in inside:
            raise InputError(f"the edge {name!r}", f"one that is recorded: {', '.join(inside)}", "edges=['Ti_L']")
        found[known] = inside[known]
    if not found:
        raise InputError("neither elements nor edges", "the elements of the sample", "elements=['Ti', 'O']")
    return dict(sorted(found.items(), key=lambda pair: pair[1]))
