"""The map of the phases, with their areas and ratios."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bayesspec.files.public_arguments import checked_arguments
from bayesspec.plot.pixels import bare, extent, pixel_size_of, scale_bar
from bayesspec.plot.style import COLUMN_IN, EXCLUDED, axes_or_new, colours, line_label, paper, root
from bayesspec.results.segmentation import Segmentation

_NAMED = 2
"""Lines in the name of a phase."""


@checked_arguments(result=Segmentation)
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
        Lines of the ratio in the legend; ``None`` for the first and the last line. Where neither is given and
        there are more than two lines, the legend names those that are strong in each phase.
    ax : matplotlib.axes.Axes or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        The map, with excluded pixels in grey; pixels that hold two phases in a mixture of their colours.

    Raises
    ------
    InputError
        When a line was not mapped.
    """
    with paper():
        shape = result.labels.shape
        height = 0.62 * COLUMN_IN * min(1.6, shape[0] / shape[1]) + 0.35 + 0.16 * result.n_phases
        ax = axes_or_new(ax, COLUMN_IN, height)
        if result.has_shares:
            share_image(ax, result.probabilities.values, pixel_size_of(result))
        else:
            label_image(ax, result.labels.values, result.n_phases, pixel_size_of(result))
        entries = _legend(result, numerator, denominator)
        ax.legend(handles=entries, loc="upper center", bbox_to_anchor=(0.5, -0.02))
    return root(ax.figure)


def _legend(result: Segmentation, numerator: str | None, denominator: str | None) -> list[Patch]:
    area = result.fractions.scaled(100.0, "area")
    texts = zip(area.rows(), _labelled(result), strict=True)
    shown = [f"phase {i}, {text} % of area{more}" for i, ((_, text), more) in enumerate(texts)]
    if numerator or denominator or len(result.lines) == 2:
        ratio = result.ratio(numerator or result.lines[0], denominator or result.lines[-1])
        more = [f"{line_label(ratio.name)} {text}" for _, text in ratio.rows()]
    else:
        more = _strongest(result)
    patches = [
        Patch(color=colour, label=f"{text}, {rest}")
        for colour, text, rest in zip(colours(len(shown)), shown, more, strict=True)
    ]
    if (result.labels.values < 0).any():
        patches.append(Patch(color=EXCLUDED, label="excluded or without counts"))
    return patches


def _labelled(result: Segmentation) -> list[str]:
    """Say of a phase how many labels it has where they are not as many as its area: the map shows labels."""
    labels = result.labels.values[result.labels.values >= 0]
    share = np.bincount(labels, minlength=result.n_phases) / max(labels.size, 1)
    low, high = result.fractions.interval()
    apart = result.fractions.known_error & ((share < low.values) | (share > high.values))
    return [f" ({100 * one:.0f} % of labels)" if far else "" for one, far in zip(share, apart, strict=True)]


def _strongest(result: Segmentation) -> list[str]:
    """Name the lines that are strong in each phase compared with the whole image."""
    shares = np.clip(result.intensities.mean.transpose("phase", "line").values, 0, None)
    whole = result.fractions.mean.values @ shares
    order = np.argsort(-shares / np.where(whole > 0, whole, np.inf), axis=1, kind="stable")[:, :_NAMED]
    return ["rich in " + ", ".join(line_label(result.lines[i]) for i in row) for row in order]


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
    ax.imshow(labels, cmap=cmap, vmin=-1.5, vmax=n - 0.5, extent=extent(labels.shape, size))
    bare(ax)
    scale_bar(ax, labels.shape, size)


def share_image(ax: Axes, shares: npt.NDArray[np.floating[Any]], size: tuple[float, float, str]) -> None:
    """Draw pixels in their phases' colours, mixed in the shares that the phases have in them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    shares : array, shape (y, x, phase), float
        Share of each phase in each pixel, NaN where it has none.
    size : tuple of (float, float, str)
        Pixel size along (y, x), and its unit.
    """
    of_phases = np.array([to_rgb(colour) for colour in colours(shares.shape[2])])
    mixed = np.clip(np.nan_to_num(shares) @ of_phases, 0.0, 1.0)
    known = np.isfinite(shares).all(axis=2, keepdims=True)
    ax.imshow(np.where(known, mixed, to_rgb(EXCLUDED)), extent=extent(shares.shape[:2], size))
    bare(ax)
    scale_bar(ax, shares.shape[:2], size)
