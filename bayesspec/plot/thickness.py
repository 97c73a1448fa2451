"""Thickness of a sample as a map, with its error."""

from __future__ import annotations

from matplotlib.figure import Figure, SubFigure

from bayesspec.files.public_arguments import checked_arguments
from bayesspec.plot.maps import draw_map
from bayesspec.plot.pixels import pixel_size_of
from bayesspec.plot.style import PAGE_IN, new_figure, paper, root
from bayesspec.results.thickness import Thickness


@checked_arguments(result=Thickness)
def thickness(result: Thickness, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw the thickness over the mean free path at every pixel, and beside it its error.

    Parameters
    ----------
    result : Thickness
        Thickness of every pixel.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Two maps, each with a colour bar and a scale bar.

    Raises
    ------
    InputError
        When `result` is another kind of result.
    """
    values, sd = (result.data[name].values for name in ("t_over_lambda", "sd"))
    with paper():
        canvas = figure or new_figure(PAGE_IN, 0.25 + 0.4 * PAGE_IN * min(1.8, values.shape[0] / values.shape[1]))
        left, right = canvas.subplots(1, 2)
        size = pixel_size_of(result)
        draw_map(canvas, left, values, size, label="t/λ", signed=False, from_zero=False)
        draw_map(canvas, right, sd, size, label="standard deviation", signed=False, cmap="magma")
        canvas.suptitle("Thickness over mean free path", fontsize=8)
    return root(canvas)
