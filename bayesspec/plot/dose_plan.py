"""Standard errors of ratios against dose, as forecast."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from bayesspec.files.public_arguments import checked_arguments
from bayesspec.plot.style import COLUMN_IN, EXCLUDED, INK, OKABE_ITO, axes_or_new, paper
from bayesspec.results.dose_plan import DosePlan

LOOKS = tuple(zip(OKABE_ITO, ("o-", "s--", "^-.", "D:") * 2, strict=True))


@checked_arguments(plan=DosePlan)
def dose_plan(plan: DosePlan, *, ax: Axes | None = None) -> Axes:
    """Draw the forecast standard error of every phase's ratio by dose; doses that do not resolve them are shaded.

    Parameters
    ----------
    plan : DosePlan
        From `bayesspec.plan_dose` or ``seg.plan``.
    ax : matplotlib.axes.Axes or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Relative standard errors, in per cent, over the mean counts per pixel.
    """
    ratios = plan.table["ratio"].values
    relative = 100 * plan.table["sd"].values / ratios
    with paper():
        axes = axes_or_new(ax, COLUMN_IN, 2.4)
        for values, ratio, (colour, marker) in zip(relative.T, ratios, cycle(LOOKS), strict=False):
            label = f"{plan.name} {ratio:.4g}"
            axes.loglog(plan.doses, values, marker, color=colour, mfc="none", markersize=4.5, label=label)
        enough = min(plan.counts_to_resolve, plan.doses.max())
        axes.set_xlim(plan.doses.min() / 1.2, plan.doses.max() * 1.2)
        if enough > plan.doses.min():
            axes.axvspan(plan.doses.min() / 1.2, enough / 1.1, color=EXCLUDED, zorder=0)
            middle = np.sqrt(plan.doses.min() / 1.2 * enough / 1.1)
            axes.text(
                middle,
                0.5,
                "not resolved",
                color=INK,
                rotation=90,
                ha="center",
                va="center",
                transform=axes.get_xaxis_transform(),
            )
        axes.set_xlabel("mean counts per pixel")
        axes.set_ylabel("standard error of the ratio (%)")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.legend(loc="upper right")
    return axes
