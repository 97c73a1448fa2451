"""Which elements an energy axis shows a line or an edge of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.spectroscopy.core_edges import edges_in_range
from bayesspec.spectroscopy.line_design import LOWEST_LINE_KEV
from bayesspec.spectroscopy.line_families import element_families
from bayesspec.spectroscopy.xray_lines import lines_in_range

LOWEST_EDGE_EV = 1.0
"""Energy loss, in eV, below which there is no edge."""


def recorded_elements(
    image: SpectrumImage, elements: Iterable[str], *, alpha: bool = False
) -> tuple[list[str], list[str]]:
    """Divide elements into those that have a line or an edge on the axis of an image, and the others.

    Parameters
    ----------
    image : SpectrumImage
        Energy axis and beam; energy losses are asked for edges, all else for X-ray lines.
    elements : iterable of str
        Chemical symbols.
    alpha : bool
        Whether it must be an alpha line, by which elements are mapped; else any family of lines will do.

    Returns
    -------
    recorded, others : list of str
        Each element once, in order.

    Raises
    ------
    InputError
        When there is no such element.
    """
    low, high, beam = float(image.energy[0]), float(image.energy[-1]), image.acquisition.beam_energy_kev

    def seen(element: str) -> bool:
        if image.acquisition.technique == "EELS":
            return bool(edges_in_range(element, max(low, LOWEST_EDGE_EV), high))
        if alpha:
            return bool(lines_in_range(element, low, high, beam))
        top = high if beam is None else min(high, beam)
        return bool(element_families(element, max(low, LOWEST_LINE_KEV), top, beam))

    asked = list(dict.fromkeys(elements))
    recorded = [element for element in asked if seen(element)]
    return recorded, [element for element in asked if element not in recorded]


def left_out(image: SpectrumImage, elements: Sequence[str]) -> str:
    """Say which elements are left out, and why.

    Parameters
    ----------
    image : SpectrumImage
        Energy axis and beam.
    elements : sequence of str
        Chemical symbols.

    Returns
    -------
    str
        Words for a verdict and a warning.
    """
    beam = image.acquisition.beam_energy_kev
    if image.acquisition.technique == "EELS":
        what, beam = "edge", None
    else:
        what = "line"
    axis = f"{image.energy[0]:.3g} and {image.energy[-1]:.4g} {image.energy_unit}"
    excited = "" if beam is None else f" that {beam:g} keV excite"
    return f"no {what} of {', '.join(elements)} between {axis}{excited}: left out"
