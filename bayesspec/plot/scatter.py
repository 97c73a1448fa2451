"""The counts of two lines in every pixel, which the ratios of the phases come from."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesspec.files.public_arguments import checked_arguments
from bayesspec.plot.style import COLUMN_IN, axes_or_new, colours, line_label, paper, root
from bayesspec.results.segmentation import Segmentation

_MOST_POINTS = 6000
"""Pixels that are drawn, at most."""


@checked_arguments(result=Segmentation)
def count_scatter(
    result: Segmentation,
    *,
    numerator: str | None = None,
    denominator: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the counts of two lines in every pixel, coloured by phase, with each phase's ratio as a line.

    Parameters
    ----------
    result : Segmentation
        Phases of an image.
    numerator, denominator : str or None
        Lines along y and x; ``None`` for the first and the last line.
    ax : matplotlib.axes.Axes or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        One panel; of more than 6000 pixels an evenly spaced part is drawn.

    Raises
    ------
    InputError
        When a line was not mapped.
    """
    above, below = numerator or result.lines[0], denominator or result.lines[-1]
    ratio = result.ratio(above, below).mean.values
    net = result.data["net" if "net" in result.data else "counts"]
    y, x = (net.sel(line=line).values.ravel() for line in (above, below))
    labels = result.labels.values.ravel()
    kept = np.flatnonzero(labels >= 0)
    kept = kept[:: -(-len(kept) // _MOST_POINTS)]
    with paper():
        ax = axes_or_new(ax, COLUMN_IN, 2.6)
        shades = np.array(colours(result.n_phases))
        size = float(np.clip(20000 / max(len(kept), 1), 1.5, 12))
        ax.scatter(x[kept], y[kept], s=size, c=shades[labels[kept]], alpha=0.35, linewidths=0, rasterized=True)
        top = np.array([0.0, np.percentile(x[kept], 99.9) * 1.05])
        for phase in np.flatnonzero(np.isfinite(ratio)):
            colour = shades[phase]
            ax.plot(top, ratio[phase] * top, color="white", linewidth=2.2, gid="edge")
            ax.plot(top, ratio[phase] * top, color=colour, linewidth=1.1, label=f"phase {phase}", gid="ratio")
        ax.set_xlim(min(0.0, np.percentile(x[kept], 0.1)), top[1])
        ax.set_ylim(min(0.0, np.percentile(y[kept], 0.1)), np.percentile(y[kept], 99.9) * 1.1)
        ax.set_xlabel(f"{line_label(below)} (counts per pixel)")
        ax.set_ylabel(f"{line_label(above)} (counts per pixel)")
        if np.isfinite(ratio).any():
            ax.legend(loc="upper left")
    return root(ax.figure)
