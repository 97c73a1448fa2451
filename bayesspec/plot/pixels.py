"""Pixels and their size: extent of an image, and its scale bar."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from bayesspec.results.result import Result


def pixel_size_of(result: Result) -> tuple[float, float, str]:
    """Read the size of the pixels off the coordinates.

    Parameters
    ----------
    result : Result
        A result with pixels.

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


def extent(shape: tuple[int, ...], size: tuple[float, float, str]) -> tuple[float, float, float, float]:
    """Edges of an image in the unit of its pixels.

    Parameters
    ----------
    shape : tuple of int
        Number of pixels (y, x).
    size : tuple of (float, float, str)
        Pixel size along (y, x), and its unit.

    Returns
    -------
    tuple of float
        Left, right, bottom and top.
    """
    return 0.0, shape[1] * size[1], shape[0] * size[0], 0.0


def bare(ax: Axes) -> None:
    """Take off ticks and frame: the scale bar says it all.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes of an image.
    """
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
