"""Rank histograms of a calibration, and how often intervals hold."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from scipy.stats import binom

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.plot.style import ACCENT, INK, PAGE_IN, new_figure, paper, root
from bayesspec.results.calibration import Calibration
from bayesspec.results.estimate import format_uncertain

BARS = 10
"""Bars of a rank histogram."""
BAND = 0.99
"""Share of the bars that lie in the grey band where intervals hold as often as they claim."""
ACROSS = 4
"""Panels beside each other."""
MOST_PANELS = 24
"""Quantities that are drawn; those whose intervals are too short come first."""


@checked_arguments(found=Calibration)
def calibration(found: Calibration, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw the rank histogram of every quantity; without draws, where the truth lies in the intervals.

    Parameters
    ----------
    found : Calibration
        What `bayesspec.calibrate` returned.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a quantity; grey, where 99 % of the bars lie if intervals hold as often as they claim.

    Raises
    ------
    InputError
        When there is no answer to judge.
    """
    table = found.coverage
    known = [name for name in found.names if np.isfinite(float(table["coverage"].sel(quantity=name)))]
    if not known:
        raise InputError("a calibration without answers", "one with ten or more", "bs.calibrate(..., replicates=100)")
    shown = sorted(known, key=lambda name: name not in found.short)[:MOST_PANELS]
    rows = -(-len(shown) // ACROSS)
    with paper():
        canvas = figure or new_figure(PAGE_IN, 0.4 + 1.55 * rows)
        axes = canvas.subplots(rows, min(ACROSS, len(shown)), squeeze=False)
        for ax in axes.ravel()[len(shown) :]:
            ax.axis("off")
        for ax, name in zip(axes.ravel(), shown, strict=False):
            _panel(ax, found, name)
    return root(canvas)


def _panel(ax: Axes, found: Calibration, name: str) -> None:
    row = found.coverage.sel(quantity=name)
    part = found.data.isel(entry=np.flatnonzero(found.data["entry"].values == name))
    used = (part["ended"].values == 1) & (part["paired"].values == 1)
    values, ends, label = part["rank"].values[used], (0.0, 1.0), "rank among the draws"
    if not np.isfinite(values).any():
        values, ends, label = np.clip(part["deviation"].values[used], -2.0, 2.0), (-2.0, 2.0), "truth in the interval"
        ax.axvspan(-1.0, 1.0, color="#eeeeee", linewidth=0)
    told = np.isfinite(values)
    repeats = int(told.any(axis=1).sum())
    weights = np.repeat(1.0 / np.maximum(told.sum(axis=1), 1), told.sum(axis=1))  # entries of a repeat are one vote
    bad = name in found.short
    if label.startswith("rank"):
        low, high = binom.interval(BAND, repeats, 1.0 / BARS)
        ax.axhspan(low, high, color="#eeeeee", linewidth=0)
    ax.hist(values[told], bins=BARS, range=ends, weights=weights, color=ACCENT if bad else INK, rwidth=0.9)
    held = format_uncertain(100 * float(row["coverage"]), 100 * float(row["error"]))
    ax.set_title(f"{name}\n{100 * float(row['nominal']):.0f} % hold {held} %", color=ACCENT if bad else INK)
    ax.set_xlabel(label)
    ax.set_yticks([])
