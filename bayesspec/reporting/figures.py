"""Figures of a report: drawn, and packed into the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from bayesspec import plot
from bayesspec.files.writing import in_memory
from bayesspec.results.drawing import Drawing

DPI = 200
"""Resolution of a report's figures, in dots per inch."""


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


def drawn_by(drawing: Drawing, result: Any) -> Figure:
    """Draw a figure that a result asks for.

    Parameters
    ----------
    drawing : Drawing
        What to draw.
    result : Result or Comparison
        What it is drawn of.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    function = getattr(plot, drawing.by) if isinstance(drawing.by, str) else drawing.by
    figure: Figure = function(result, **drawing.options)
    return figure


COMPARISON = Drawing(
    "comparison",
    "comparison",
    "Methods side by side; open circles have no interval, colours are those of the truth where it is known.",
)
"""The figure of a comparison."""
