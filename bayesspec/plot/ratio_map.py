"""Ratio of two lines as a map and as a profile, each with its error."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bayesspec.files.public_arguments import checked_arguments
from bayesspec.plot.maps import draw_map
from bayesspec.plot.pixels import pixel_size_of
from bayesspec.plot.style import COLUMN_IN, INK, PAGE_IN, axes_or_new, colours, line_label, new_figure, paper, root
from bayesspec.results.estimate import PROB
from bayesspec.results.ratio_map import Profile, RatioMap


@checked_arguments(result=RatioMap)
def ratio_map(result: RatioMap, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw the ratio at every pixel, and beside it the error of every pixel.

    Parameters
    ----------
    result : RatioMap
        A map of a ratio.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Posterior mean, and half the interval in per cent of it, each with a colour bar and a scale bar.
    """
    mean, low, high = (result.data[f"ratio_{end}"].values for end in ("mean", "lower", "upper"))
    half = 100 * (high - low) / 2 / mean
    with paper():
        canvas = figure or new_figure(PAGE_IN, 0.25 + 0.4 * PAGE_IN * min(1.8, mean.shape[0] / mean.shape[1]))
        left, right = canvas.subplots(1, 2)
        size = pixel_size_of(result)
        draw_map(canvas, left, mean, size, label="ratio", signed=False, from_zero=False)
        left.set_title(line_label(result.ratio_name))
        draw_map(canvas, right, half, size, label="± % of the ratio", signed=False, cmap="magma")
        right.set_title(f"half the {100 * PROB:.0f} % interval")
    return root(canvas)


@checked_arguments(result=Profile)
def profile(result: Profile, *, ax: Axes | None = None) -> Figure:
    """Draw the ratio along a path with its interval.

    Parameters
    ----------
    result : Profile
        A profile of a ratio.
    ax : matplotlib.axes.Axes or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Posterior mean as a line, the interval of every point as a band.
    """
    found, colour = result.data, colours(1)[0]
    x = found["distance"].values
    with paper():
        ax = axes_or_new(ax, COLUMN_IN, 0.7 * COLUMN_IN)
        low, high = (found[f"ratio_{end}"].values for end in ("lower", "upper"))
        ax.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0, label=f"{100 * PROB:.0f} % interval")
        ax.plot(x, found["ratio_mean"].values, color=colour, label="mean")
        ax.set_xlabel(f"distance ({found['distance'].attrs.get('units', 'px')})", color=INK)
        ax.set_ylabel(line_label(result.ratio_name), color=INK)
        ax.set_xlim(float(np.min(x)), float(np.max(x)))
        ax.legend(frameon=False)
    return root(ax.figure)
