"""Ratios of the phases with their intervals, and the counts of the pixels that they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, values
from bayesspec.plot.style import COLUMN_IN, INK, axes_or_new, colours, line_label, paper, root
from bayesspec.results.estimate import PROB, Estimate
from bayesspec.results.segmentation import Segmentation

_WIDE = 20.0
"""Largest ratio over the smallest above which the axis is logarithmic."""
_LABEL_CHARACTERS = 20
"""Characters after which the name of a row is wrapped."""
_LEGEND_COLUMNS = 3
"""Columns of the legend."""


@checked_arguments(
    results=[Segmentation],
    truth=values("truth", "truth=[0.7, 0.8]", optional=True),
)
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
    shown = list(results) if isinstance(results, Iterable) else [results]
    if not shown:
        raise InputError("no results", "one or more segmentations", "bs.plot.ratios([seg])")
    below = denominator or shown[0].lines[-1]
    above = [numerator] if numerator else [line for line in shown[0].lines if line != below]
    rows = [
        RatioRow(
            _row_name(line, result, len(above), len(shown)), result.ratio(line, below), tuple(range(result.n_phases))
        )
        for line in above
        for result in shown
    ]
    what = line_label(f"{above[0]}/{below}") if len(above) == 1 else f"line / {line_label(below)}"
    with paper():
        ax = axes_or_new(ax, COLUMN_IN, ratio_height(rows))
        draw_ratios(ax, rows, what, truth=truth if len(above) == 1 else None, prob=prob)
    return root(ax.figure)


@dataclass(frozen=True, eq=False)
class RatioRow:
    """Ratios that are drawn on one line of the figure.

    Parameters
    ----------
    name : str
        What stands beside it.
    ratio : Estimate, dims (phase,)
        The ratios.
    shades : tuple of int
        Number of each phase's colour.
    """

    name: str
    ratio: Estimate
    shades: tuple[int, ...]


def ratio_height(rows: Sequence[RatioRow]) -> float:
    """Height in inches that `draw_ratios` needs.

    Parameters
    ----------
    rows : sequence of RatioRow
        What is drawn.

    Returns
    -------
    float
        Inches.
    """
    each = max(0.28, 0.09 * max(len(row.shades) for row in rows) + 0.06)
    shown = max(max(row.shades) for row in rows) + 3
    return 0.55 + 0.15 * -(-shown // _LEGEND_COLUMNS) + each * len(rows)


def draw_ratios(
    ax: Axes, rows: Sequence[RatioRow], what: str, *, truth: npt.ArrayLike | None = None, prob: float = PROB
) -> None:
    """Draw ratios with their intervals; an arrow stands for an end that is open or off the axis.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    rows : sequence of RatioRow
        What to draw, from the top.
    what : str
        Name of the ratio.
    truth : array, shape (phase,), float64, or None
        True ratios.
    prob : float
        Probability of the intervals.
    """
    tables = [row.ratio.summary(prob) for row in rows]
    low, high, log = _span(np.concatenate([table.to_array().values[[0, 2, 3]] for table in tables], axis=1))
    for position, (row, table) in enumerate(zip(rows, tables, strict=True)):
        palette = colours(max(row.shades) + 1)
        for phase, shade in enumerate(row.shades):
            mean, lower, upper = (float(table[s].values[phase]) for s in ("mean", "lower", "upper"))
            y = position + 0.7 * ((phase + 0.5) / len(row.shades) - 0.5)
            _one(ax, y, mean, (lower, upper), (low, high), palette[shade])
    for value in () if truth is None else np.atleast_1d(np.asarray(truth, np.float64)):
        ax.axvline(value, color=INK, linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
    ax.set_xscale("log" if log else "linear")
    ax.set_xlim(low, high)
    _finish(ax, rows, what, prob=prob, true=truth is not None)


def _span(values: npt.NDArray[np.float64]) -> tuple[float, float, bool]:
    """Limits of the axis, and whether it is logarithmic: means (row 0) and interval ends."""
    means, seen = values[0][np.isfinite(values[0])], values[np.isfinite(values)]
    positive = means[means > 0]
    if len(positive) and positive.max() > _WIDE * positive.min():
        ends = seen[seen > 0]
        return max(0.5 * ends.min(), 1e-4 * positive.max()), 2 * min(ends.max(), 5 * positive.max()), True
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin, False


def _one(
    ax: Axes,
    y: float,
    mean: float,
    interval: tuple[float, float],
    limits: tuple[float, float],
    colour: tuple[float, float, float],
) -> None:
    known = not np.isnan(interval).any()
    if known:
        ax.plot(interval, [y, y], color=colour, linewidth=1.6, solid_capstyle="butt", gid="interval")
        for end, limit, marker in zip(interval, limits, "<>", strict=True):
            if (end - limit) * (1 if marker == ">" else -1) > 0:
                ax.plot([limit], [y], marker, color=colour, markersize=3.5, clip_on=False, gid="open end")
        beyond = np.clip(np.nan_to_num(interval, posinf=limits[1], neginf=limits[0]), *limits)
        ax.plot(beyond, [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
    if np.isfinite(mean) and limits[0] <= mean <= limits[1]:
        ax.plot(
            [mean], [y], "o", color=colour, markerfacecolor=colour if known else "white", markersize=3.5, gid="ratio"
        )


def _row_name(line: str, result: Segmentation, n_lines: int, n_results: int) -> str:
    if n_lines == 1:
        return result.method
    return line_label(line) if n_results == 1 else f"{line_label(line)}, {result.method}"


def _finish(ax: Axes, rows: Sequence[RatioRow], what: str, *, prob: float, true: bool) -> None:
    wrapped = ["\n".join(wrap(row.name, _LABEL_CHARACTERS)) for row in rows]
    ax.set_yticks(range(len(rows)), wrapped if len(rows) > 1 else [""])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    ax.set_xlabel(f"{what} intensity ratio (no unit)")
    shown = sorted({shade for row in rows for shade in row.shades})
    palette = colours(shown[-1] + 1)
    marks = [Line2D([], [], color=palette[s], marker="o", markersize=3.5) for s in shown]
    labels = [f"phase {s}" for s in shown]
    if any(row.ratio.known_error for row in rows):
        marks.append(Line2D([], [], color="#777777", linewidth=1.6))
        labels.append(f"{100 * prob:.0f} % interval")
    if true:
        marks.append(Line2D([], [], color=INK, linewidth=0.7, linestyle=(0, (4, 2))))
        labels.append("truth")
    columns = len(marks) if len(marks) <= _LEGEND_COLUMNS + 1 else _LEGEND_COLUMNS
    ax.legend(marks, labels, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns)
