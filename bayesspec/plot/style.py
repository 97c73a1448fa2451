"""What all figures share: the paper style, colours that everyone can tell apart, names of lines."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure

STYLE = Path(__file__).with_name("paper.mplstyle")
COLUMN_IN = 3.35
"""Width of a figure of one column, in inches."""
PAGE_IN = 7.0
"""Width of a figure of two columns, in inches."""
SCREEN_DPI = 150
"""Resolution in a notebook, in dots per inch."""
EXCLUDED = "#d9d9d9"
INK = "#222222"
ACCENT = "#D55E00"
# Okabe and Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
_GREEK = {"a": "α", "b": "β", "g": "γ"}
_TINT = 0.55
"""Share of white that is mixed into the colours each time they are used up."""


class PaperFigure(Figure):
    """A figure that shows itself in a notebook without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=SCREEN_DPI)
        return buffer.getvalue()


@contextmanager
def paper() -> Iterator[None]:
    """Use the paper style inside a ``with`` block, and nothing outside it."""
    with matplotlib.style.context(STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make a figure that belongs to nobody's global state.

    Parameters
    ----------
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure
        With constrained layout.
    """
    figure = PaperFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def axes_or_new(ax: Axes | None, width: float, height: float) -> Axes:
    """Take the axes given, or make a figure with one.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Axes to draw into.
    width, height : float
        Size in inches of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where to draw.
    """
    return new_figure(width, height).add_subplot() if ax is None else ax


def root(figure: Figure | SubFigure) -> Figure:
    """Find the figure that a part belongs to.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or SubFigure
        A figure or a part of one.

    Returns
    -------
    matplotlib.figure.Figure
        The whole.
    """
    whole = figure
    while isinstance(whole, SubFigure):
        whole = whole.figure
    return whole


def colours(n: int) -> list[tuple[float, float, float]]:
    """Colours of phases or components, the same in every figure.

    Parameters
    ----------
    n : int
        How many.

    Returns
    -------
    list of (float, float, float)
        Red, green and blue between 0 and 1: Okabe and Ito's eight, then paler ones.
    """
    made = []
    for i in range(n):
        tint = 1 - (1 - _TINT) ** (i // len(OKABE_ITO))
        red, green, blue = to_rgb(OKABE_ITO[i % len(OKABE_ITO)])
        made.append((red + (1 - red) * tint, green + (1 - green) * tint, blue + (1 - blue) * tint))
    return made


def line_label(name: str) -> str:
    """Print the name of a line or of a ratio as physicists do.

    Parameters
    ----------
    name : str
        Such as ``"Fe_Ka"`` or ``"Fe_Ka/O_Ka"``.

    Returns
    -------
    str
        Such as ``"Fe Kα"`` or ``"Fe Kα / O Kα"``.
    """
    return " / ".join(_one_label(part) for part in name.split("/"))


def _one_label(name: str) -> str:
    element, _, family = name.partition("_")
    if len(family) == 2 and family[1] in _GREEK:
        family = family[0] + _GREEK[family[1]]
    return f"{element} {family}".strip()
