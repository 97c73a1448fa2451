"""Ratios of the phases with their intervals, and the counts of the pixels that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayesspec.errors import InputError
from bayesspec.phases import Segmentation
from bayesspec.plot.style import COLUMN_IN, INK, axes_or_new, colours, line_label, paper, root
from bayesspec.posterior import PROB

_MOST_POINTS = 6000
_WIDE = 20.0
_LABEL_CHARACTERS = 20


def ratios(
    results: Segmentation | Sequence[Segmentation],
    *,
    numerator: str | None = None,
    denominator: str | None = None,
    truth: npt.ArrayLike | None = None,
    prob: float = PROB,
    ax: Axes | None = None,
) -> Figure:
    """Draw the ratio of every phase with its interval, methods under each other.

    Parameters
    ----------
    results : Segmentation or sequence of Segmentation
        What to draw; points without a bar have no uncertainty.
    numerator : str or None
        Line above; ``None`` for one row for each line.
    denominator : str or None
        Line below; ``None`` for the last one.
    truth : array, shape (phase,), float64, or None
        True ratios, drawn as vertical lines; of one numerator only.
    prob : float
        Probability of the intervals.
    ax : matplotlib.axes.Axes or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        One panel; on a logarithmic axis where the ratios span more than a factor of 20.

    Raises
    ------
    InputError
        When there is no result or a line was not mapped.
    """
    shown = [results] if isinstance(results, Segmentation) else list(results)
    if not shown:
        raise InputError("no results", "one or more segmentations", "bs.plot.ratios([seg])")
    below = denominator or shown[0].lines[-1]
    above = [numerator] if numerator else [line for line in shown[0].lines if line != below]
    rows = [(line, result) for line in above for result in shown]
    most = max(result.n_phases for result in shown)
    with paper():
        ax = axes_or_new(ax, COLUMN_IN, 0.85 + 0.14 * len(rows) * max(most, 2))
        if truth is not None and len(above) == 1:
            for value in np.atleast_1d(np.asarray(truth, np.float64)):
                ax.axvline(value, color=INK, linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
        for row, (line, result) in enumerate(rows):
            _row(ax, row, result, line, below, prob)
        _finish(ax, rows, above, below, most, prob=prob, true=truth is not None)
    return root(ax.figure)


def _row(ax: Axes, row: int, result: Segmentation, above: str, below: str, prob: float) -> None:
    table = result.ratio(above, below).summary(prob)
    for phase, colour in enumerate(colours(result.n_phases)):
        mean, lower, upper = (float(table[s].values[phase]) for s in ("mean", "lower", "upper"))
        y = row + 0.6 * ((phase + 0.5) / result.n_phases - 0.5)
        if np.isfinite(lower) and np.isfinite(upper):
            ax.plot([lower, upper], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt", gid="interval")
        face = colour if np.isfinite(lower) else "white"
        ax.plot([mean], [y], "o", color=colour, markerfacecolor=face, markersize=3.5, gid="ratio")


def _finish(
    ax: Axes,
    rows: Sequence[tuple[str, Segmentation]],
    above: Sequence[str],
    below: str,
    most: int,
    *,
    prob: float,
    true: bool,
) -> None:
    several = len({id(result) for _, result in rows}) > 1
    names = [result.method if len(above) == 1 else line_label(line) for line, result in rows]
    if several and len(above) > 1:
        names = [f"{line_label(line)}, {result.method}" for line, result in rows]
    wrapped = ["\n".join(wrap(name, _LABEL_CHARACTERS)) for name in names]
    ax.set_yticks(range(len(rows)), wrapped if len(rows) > 1 else [""])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    what = line_label(f"{above[0]}/{below}") if len(above) == 1 else f"line / {line_label(below)}"
    ax.set_xlabel(f"{what} intensity ratio (no unit)")
    seen = np.concatenate([line.get_xdata() for line in ax.lines if line.get_gid() == "ratio"])
    positive = seen[np.isfinite(seen) & (seen > 0)]
    if len(positive) and len(positive) == len(seen) and positive.max() > _WIDE * positive.min():
        ax.set_xscale("log")
    marks = [Line2D([], [], color=c, marker="o", markersize=3.5) for c in colours(most)]
    labels = [f"phase {phase}" for phase in range(most)]
    if any(line.get_gid() == "interval" for line in ax.lines):
        marks.append(Line2D([], [], color="#777777", linewidth=1.6))
        labels.append(f"{100 * prob:.0f} % interval")
    if true:
        marks.append(Line2D([], [], color=INK, linewidth=0.7, linestyle=(0, (4, 2))))
        labels.append("truth")
    ax.legend(marks, labels, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(marks) if len(marks) < 5 else 3)


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
        for phase, colour in enumerate(shades):
            ax.plot(top, ratio[phase] * top, color="white", linewidth=2.2, gid="edge")
            ax.plot(top, ratio[phase] * top, color=colour, linewidth=1.1, label=f"phase {phase}", gid="ratio")
        ax.set_xlim(min(0.0, np.percentile(x[kept], 0.1)), top[1])
        ax.set_ylim(min(0.0, np.percentile(y[kept], 0.1)), np.percentile(y[kept], 99.9) * 1.1)
        ax.set_xlabel(f"{line_label(below)} (counts per pixel)")
        ax.set_ylabel(f"{line_label(above)} (counts per pixel)")
        ax.legend(loc="upper left")
    return root(ax.figure)
