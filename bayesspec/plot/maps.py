"""Maps: line counts, phases, abundances; each with the size of the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.plot.pixels import bare, extent, pixel_size_of, scale_bar
from bayesspec.plot.style import (
    COLUMN_IN,
    EXCLUDED,
    PAGE_IN,
    line_label,
    new_figure,
    paper,
    root,
)
from bayesspec.results.dataset import pixel_coords
from bayesspec.results.intensity_maps import IntensityMaps
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.line_maps import LineMaps

_PERCENTILES = (0.5, 99.5)
"""Percentiles of the values between which the colours run."""
_COLUMNS = 4
"""Maps beside each other, at most."""


@checked_arguments(data=(LineMaps, Segmentation, IntensityMaps))
def element_maps(data: LineMaps | Segmentation | IntensityMaps, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw the map of every line: intensities in counts, background and overlap taken off.

    Parameters
    ----------
    data : LineMaps, Segmentation or IntensityMaps
        Line counts, or a result with maps of lines.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a line, with a colour bar in counts and a scale bar.
    """
    net, names, size = _line_images(data)
    with paper():
        canvas, axes = _grid(figure, len(names), net.shape[:2])
        for i, (ax, name) in enumerate(zip(axes, names, strict=True)):
            draw_map(canvas, ax, net[..., i], size, label="counts", signed=False)
            ax.set_title(line_label(name))
    return root(canvas)


@checked_arguments(result=Unmixing)
def abundance_maps(result: Unmixing, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw the abundance of every component, and under it its standard deviation.

    Parameters
    ----------
    result : Unmixing
        Components of an image.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        One column a component, at most four beside each other; no second row where no error is known.
    """
    mean, sd = (result.abundances[s].values for s in ("mean", "sd"))
    rows = ("mean", "sd") if np.isfinite(sd).any() else ("mean",)
    across = len(rows) if result.rank == 1 else _across(result.rank)
    order = _rows_of(result.rank, across, rows)
    with paper():
        canvas, axes = _grid(figure, len(order), mean.shape[:2], columns=across)
        for ax, entry in zip(axes, order, strict=True):
            if entry is None:
                ax.remove()
                continue
            component, statistic = entry
            values = (mean if statistic == "mean" else sd)[..., component]
            sure = statistic == "mean"
            label = "counts" if sure else "sd (counts)"
            cmap = "viridis" if sure else "magma"
            draw_map(canvas, ax, values, pixel_size_of(result), label=label, signed=True, cmap=cmap)
            ax.set_title(f"component {component}" + ("" if sure else ", sd"))
    return root(canvas)


def _across(rank: int) -> int:
    """Number of columns: at most four, with rows as even as possible."""
    return -(-rank // -(-rank // _COLUMNS))


def _rows_of(rank: int, across: int, rows: tuple[str, ...]) -> list[tuple[int, str] | None]:
    if rank == 1:
        return [(0, row) for row in rows]
    order: list[tuple[int, str] | None] = []
    for first in range(0, rank, across):
        own = list(range(first, min(first + across, rank)))
        for row in rows:
            order += [(component, row) for component in own] + [None] * (across - len(own))
    return order


def _line_images(
    data: LineMaps | Segmentation | IntensityMaps,
) -> tuple[npt.NDArray[np.float64], tuple[str, ...], tuple[float, float, str]]:
    if not isinstance(data, LineMaps):
        if not hasattr(data, "line_images"):
            raise InputError(f"a {type(data).__name__}", "line maps", "bs.plot.element_maps(bs.element_maps(si))")
        return data.line_images(), data.lines, pixel_size_of(data)
    size = pixel_coords(data.counts.shape[:2], data.pixel_size, data.pixel_unit)
    y, x = data.pixel_size or (1.0, 1.0)
    return np.where(data.valid[..., None], data.net(), np.nan), data.lines, (y, x, size["x"][2]["units"])


def _grid(
    figure: Figure | SubFigure | None, n: int, shape: tuple[int, ...], *, columns: int | None = None
) -> tuple[Figure | SubFigure, list[Axes]]:
    across = columns or min(n, _COLUMNS)
    down = -(-n // across)
    if figure is None:
        width = COLUMN_IN if across <= 2 else PAGE_IN
        figure = new_figure(width, down * (0.8 * width / across * min(1.8, shape[0] / shape[1]) + 0.25))
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.remove()
    return figure, list(axes[:n])


def draw_map(
    figure: Figure | SubFigure,
    ax: Axes,
    values: npt.NDArray[np.floating[Any]],
    size: tuple[float, float, str],
    *,
    label: str,
    signed: bool,
    cmap: str = "viridis",
    from_zero: bool = True,
) -> None:
    """Draw one map with its colour bar and scale bar.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or SubFigure
        Where the colour bar goes.
    ax : matplotlib.axes.Axes
        Where the map goes.
    values : numpy.ndarray (y, x), floating
        The map; NaN in excluded pixels.
    size : tuple of (float, float, str)
        Size of a pixel along (y, x), and its unit.
    label : str
        Label of the colour bar.
    signed : bool
        Whether values below zero mean something: then zero is in the middle of the colours.
    cmap : str
        Colours of values that are not negative.
    from_zero : bool
        Whether the colours of values that are not negative begin at zero.
    """
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, _PERCENTILES) if len(finite) else (0.0, 1.0)
    if signed and low < -0.25 * high:
        cmap, high = "RdBu_r", max(abs(low), abs(high))
        low = -high
    elif from_zero:
        low = 0.0
    shades = colormaps[cmap].with_extremes(bad=EXCLUDED)
    high = high if high > low else low + 1
    drawn = ax.imshow(values, cmap=shades, vmin=low, vmax=high, extent=extent(values.shape, size))
    bar = figure.colorbar(drawn, cax=ax.inset_axes((1.03, 0.0, 0.05, 1.0)))
    bar.ax.yaxis.set_major_locator(MaxNLocator(4))
    bar.set_label(label)
    bar.outline.set_visible(False)
    bare(ax)
    scale_bar(ax, values.shape, size)
