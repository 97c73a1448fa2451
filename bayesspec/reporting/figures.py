"""Figures of a report: drawn, and packed into the page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from bayesspec import plot
from bayesspec.comparison.side_by_side import Comparison
from bayesspec.files.writing import in_memory
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.unmixing import Unmixing

DPI = 200
Drawing = tuple[str, Callable[[], Figure], str]


@dataclass(frozen=True)
class Picture:
    """A figure inside a page.

    Parameters
    ----------
    name : str
        What a file of it would be called.
    source : str
        A ``data:`` address that holds the picture itself.
    caption : str
        What it shows.
    width_in : float
        Its natural width in inches.
    """

    name: str
    source: str
    caption: str
    width_in: float


def drawn(figure: Figure, kind: str, dpi: float | None = None) -> memoryview:
    """Draw a figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    kind : {"pdf", "svg", "png"}
        Kind of file.
    dpi : float or None
        Pixels per inch of a PNG; ``None`` for Matplotlib's setting.

    Returns
    -------
    memoryview
        The file.
    """
    return in_memory(lambda stream: figure.savefig(stream, format=kind, dpi=dpi))


def picture(name: str, figure: Figure, caption: str) -> Picture:
    """Pack a figure into a page.

    Parameters
    ----------
    name : str
        What a file of it would be called.
    figure : matplotlib.figure.Figure
        The figure.
    caption : str
        What it shows.

    Returns
    -------
    Picture
        The figure as PNG.
    """
    data = base64.b64encode(drawn(figure, "png", dpi=DPI)).decode("ascii")
    return Picture(name, f"data:image/png;base64,{data}", caption, float(figure.get_size_inches()[0]))


def phase_figures(result: Segmentation, reference: str | None = None) -> list[Drawing]:
    """List the figures of a segmentation.

    Parameters
    ----------
    result : Segmentation
        Phases of an image.
    reference : str or None
        Line below the ratios; ``None`` for the last one.

    Returns
    -------
    list of (str, callable, str)
        Name, function that draws it, and caption.
    """
    others = [line for line in result.lines if line != (reference or result.lines[-1])]
    above = others[0] if others else None
    maps = "Line intensities, background and overlap taken off; grey pixels are excluded."
    scatter = "Line intensities of the pixels, coloured by phase; the lines are the phases' ratios."
    ratio = "Line ratios of the phases; open circles have no interval, arrows mark ends that are open or off the axis."
    figures: dict[str, Drawing] = {
        "maps": ("element_maps", lambda: plot.element_maps(result), maps),
        "phases": ("phases", lambda: plot.phase_map(result), "Most probable phase of each pixel."),
        "counts": ("counts", lambda: plot.count_scatter(result, numerator=above, denominator=reference), scatter),
        "ratios": ("ratios", lambda: plot.ratios(result, denominator=reference), ratio),
    }
    orders = {1: ("maps", "phases"), 2: ("phases", "counts", "maps", "ratios")}  # figures of like height in pairs
    shown = orders.get(len(result.lines), ("maps", "phases", "ratios"))
    return [figures[name] for name in shown] + _selection_figure(result, "phase_selection")


def component_figures(result: Unmixing) -> list[Drawing]:
    """List the figures of an unmixing.

    Parameters
    ----------
    result : Unmixing
        Components of an image.

    Returns
    -------
    list of (str, callable, str)
        Name, function that draws it, and caption.
    """
    figures: list[Drawing] = [
        (
            "spectra",
            lambda: plot.component_spectra(result),
            "Spectra of the components, with the band of their intervals; dashed: X-ray lines of the elements.",
        ),
        (
            "abundances",
            lambda: plot.abundance_maps(result),
            "Abundances of the components, and their standard deviations.",
        ),
        ("sum_spectrum", lambda: plot.sum_spectrum(result), "Spectrum summed over the image."),
    ]
    return figures + _selection_figure(result, "rank_selection")


def principal_figures(result: PrincipalComponents) -> list[Drawing]:
    """List the figures of principal components.

    Parameters
    ----------
    result : PrincipalComponents
        Components of an image.

    Returns
    -------
    list of (str, callable, str)
        Name, function that draws it, and caption.
    """
    caption = "Principal components with the band of their intervals, and their scores; signs are arbitrary."
    spectrum = "Spectrum summed over the image."
    figures: list[Drawing] = [
        ("principal_components", lambda: plot.principal_components(result), caption),
        ("sum_spectrum", lambda: plot.sum_spectrum(result), spectrum),
    ]
    return figures + _selection_figure(result, "rank_selection")


def comparison_figures(comparison: Comparison) -> list[Drawing]:
    """List the figures of a comparison.

    Parameters
    ----------
    comparison : Comparison
        Methods side by side.

    Returns
    -------
    list of (str, callable, str)
        Name, function that draws it, and caption.
    """
    caption = "Methods side by side; open circles have no interval, colours are those of the truth where it is known."
    return [("comparison", lambda: plot.comparison(comparison), caption)]


def _selection_figure(result: Segmentation | Unmixing | PrincipalComponents, name: str) -> list[Drawing]:
    table = result.selection
    if "score" not in table or table.sizes["candidate"] < 2:
        return []
    caption = "Score of every candidate; bars are standard errors, the orange point is the choice."
    return [(name, lambda: plot.selection(result), caption)]
