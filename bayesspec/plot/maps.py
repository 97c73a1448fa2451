"""Maps: line counts, phases, abundances; each with the size of the pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from bayesspec.components import Unmixing
from bayesspec.element_maps import LineMaps
from bayesspec.errors import InputError
from bayesspec.phases import Segmentation
from bayesspec.plot.style import (
    COLUMN_IN,
    EXCLUDED,
    PAGE_IN,
    axes_or_new,
    colours,
    line_label,
    new_figure,
    paper,
    root,
)
from bayesspec.posterior import format_uncertain
from bayesspec.results import pixel_coords

_PERCENTILES = (0.5, 99.5)
_COLUMNS = 4


def element_maps(data: LineMaps | Segmentation, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw the map of every line: intensities in counts, background and overlap taken off.

    Parameters
    ----------
    data : LineMaps or Segmentation
        Line counts.
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
            _image(canvas, ax, net[..., i], size, label="counts", zero=True)
            ax.set_title(line_label(name))
    return root(canvas)


def phase_map(
    result: Segmentation,
    *,
    numerator: str | None = None,
    denominator: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the phases, with their areas and one ratio in the legend.

    Parameters
    ----------
    result : Segmentation
        Phases of an image.
    numerator, denominator : str or None
        Lines of the ratio in the legend; ``None`` for the first and the last line.
    ax : matplotlib.axes.Axes or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        The map, with excluded pixels in grey.

    Raises
    ------
    InputError
        When a line was not mapped.
    """
    with paper():
        shape = result.labels.shape
        height = 0.62 * COLUMN_IN * min(1.6, shape[0] / shape[1]) + 0.35 + 0.16 * result.n_phases
        ax = axes_or_new(ax, COLUMN_IN, height)
        label_image(ax, result.labels.values, result.n_phases, pixel_size_of(result))
        entries = _legend(result, numerator or result.lines[0], denominator or result.lines[-1])
        ax.legend(handles=entries, loc="upper center", bbox_to_anchor=(0.5, -0.02))
    return root(ax.figure)


def _legend(result: Segmentation, numerator: str, denominator: str) -> list[Patch]:
    names = [f"phase {phase}" for phase in range(result.n_phases)]
    area = 100 * result.fractions.draws
    shown = [name for name in names]
    mean, sd = area.mean("draw").values, area.std("draw", ddof=min(1, area.sizes["draw"] - 1)).values
    shown = [f"{n}, {format_uncertain(m, s)} % of area" for n, m, s in zip(shown, mean, sd, strict=True)]
    if numerator != denominator:
        ratio = result.ratio(numerator, denominator)
        name = line_label(ratio.name)
        values = [text for _, text in ratio.rows()]
        shown = [f"{text}, {name} {value}" for text, value in zip(shown, values, strict=True)]
    patches = [Patch(color=c, label=t) for c, t in zip(colours(len(shown)), shown, strict=True)]
    if (result.labels.values < 0).any():
        patches.append(Patch(color=EXCLUDED, label="excluded or without counts"))
    return patches


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
    across = len(rows) if result.rank == 1 else min(result.rank, _COLUMNS)
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
            _image(canvas, ax, values, pixel_size_of(result), label=label, zero=True, cmap=cmap)
            ax.set_title(f"component {component}" + ("" if sure else ", sd"))
    return root(canvas)


def _rows_of(rank: int, across: int, rows: tuple[str, ...]) -> list[tuple[int, str] | None]:
    if rank == 1:
        return [(0, row) for row in rows]
    order: list[tuple[int, str] | None] = []
    for first in range(0, rank, across):
        own = list(range(first, min(first + across, rank)))
        for row in rows:
            order += [(component, row) for component in own] + [None] * (across - len(own))
    return order


def label_image(ax: Axes, labels: npt.NDArray[np.integer[Any]], n: int, size: tuple[float, float, str]) -> None:
    """Draw phases in their colours.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    labels : array, shape (y, x), int
        Phase of each pixel, -1 where it has none.
    n : int
        Number of phases.
    size : tuple of (float, float, str)
        Pixel size along (y, x), and its unit.
    """
    cmap = ListedColormap([to_rgb(EXCLUDED), *colours(n)])
    ax.imshow(labels, cmap=cmap, vmin=-1.5, vmax=n - 0.5, extent=_extent(labels.shape, size))
    _bare(ax)
    scale_bar(ax, labels.shape, size)


def pixel_size_of(result: Segmentation | Unmixing) -> tuple[float, float, str]:
    """Read the size of the pixels off the coordinates.

    Parameters
    ----------
    result : Segmentation or Unmixing
        A result.

    Returns
    -------
    tuple of (float, float, str)
        Size along (y, x), and its unit.
    """
    steps = []
    for dim in "yx":
        values = result.data[dim].values
        steps.append(float(values[1] - values[0]) if len(values) > 1 else 0.0)
    y, x = (step or max(steps) or 1.0 for step in steps)
    return y, x, str(result.data["x"].attrs.get("units", "px"))


def scale_bar(ax: Axes, shape: tuple[int, ...], size: tuple[float, float, str]) -> None:
    """Draw a bar of a round length, about a quarter of the width.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes in the unit of `size`.
    shape : tuple of int
        Number of pixels (y, x).
    size : tuple of (float, float, str)
        Pixel size along (y, x), and its unit.
    """
    height, width = shape[0] * size[0], shape[1] * size[1]
    length = _round_down(width / 4)
    left, bottom, thick = 0.05 * width, 0.93 * height, 0.02 * height
    outline = [withStroke(linewidth=1.6, foreground="black")]
    ax.add_patch(Rectangle((left, bottom), length, thick, facecolor="white", edgecolor="black", linewidth=0.4))
    ax.text(
        left, bottom - 0.02 * height, f"{length:g} {size[2]}", color="white", path_effects=outline,
        ha="left", va="bottom", fontsize=7,
    )  # fmt: skip


def _round_down(length: float) -> float:
    exponent = 10.0 ** math.floor(math.log10(length))
    return max(step for step in (1, 2, 5) if step * exponent <= length * (1 + 1e-9)) * exponent


def _line_images(
    data: LineMaps | Segmentation,
) -> tuple[npt.NDArray[np.float64], tuple[str, ...], tuple[float, float, str]]:
    if isinstance(data, Segmentation):
        net = data.data["net" if "net" in data.data else "counts"].values.astype(np.float64)
        return np.where(data.labels.values[..., None] < 0, np.nan, net), data.lines, pixel_size_of(data)
    if not isinstance(data, LineMaps):
        raise InputError(f"a {type(data).__name__}", "line maps", "bs.plot.element_maps(bs.element_maps(si))")
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


def _image(
    figure: Figure | SubFigure,
    ax: Axes,
    values: npt.NDArray[np.floating[Any]],
    size: tuple[float, float, str],
    *,
    label: str,
    zero: bool,
    cmap: str = "viridis",
) -> None:
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, _PERCENTILES) if len(finite) else (0.0, 1.0)
    if zero and low < -0.25 * high:
        cmap, high = "RdBu_r", max(abs(low), abs(high))
        low = -high
    elif zero:
        low = 0.0
    shades = colormaps[cmap].with_extremes(bad=EXCLUDED)
    high = high if high > low else low + 1
    drawn = ax.imshow(values, cmap=shades, vmin=low, vmax=high, extent=_extent(values.shape, size))
    bar = figure.colorbar(drawn, cax=ax.inset_axes((1.03, 0.0, 0.05, 1.0)))
    bar.ax.yaxis.set_major_locator(MaxNLocator(4))
    bar.set_label(label)
    bar.outline.set_visible(False)
    _bare(ax)
    scale_bar(ax, values.shape, size)


def _extent(shape: tuple[int, ...], size: tuple[float, float, str]) -> tuple[float, float, float, float]:
    return 0.0, shape[1] * size[1], shape[0] * size[0], 0.0


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
