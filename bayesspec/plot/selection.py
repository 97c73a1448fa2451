"""The choice of the number of phases or components: the score of every candidate with its error."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.plot.style import ACCENT, COLUMN_IN, INK, PAGE_IN, new_figure, paper, root
from bayesspec.results.result import Result


@checked_arguments(result=Result)
def selection(result: Result, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw the score of every number of phases or components; the chosen one is marked.

    Parameters
    ----------
    result : Segmentation, Unmixing or PrincipalComponents
        A result whose number of phases or components was chosen.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Held-out log likelihood with its standard error; for phases also the information criterion.

    Raises
    ------
    InputError
        When nothing was chosen, as in a classical result.
    """
    table = result.selection
    if "score" not in table:
        raise InputError(
            f"a result of {result.method!r} without a choice",
            "a result whose number of phases or components was chosen",
            "bs.segment(maps, phases=range(1, 7)) or bs.unmix(si, rank=range(1, 9))",
        )
    scores = ("score", "bic") if "bic" in table else ("score",)
    with paper():
        canvas = figure or new_figure(PAGE_IN if len(scores) == 2 else COLUMN_IN, 2.1)
        axes = canvas.subplots(1, len(scores), squeeze=False).ravel()
        for ax, score in zip(axes, scores, strict=True):
            _panel(ax, table, score, result.number)
            ax.set_xlabel(f"number of {result.part}s")
    return root(canvas)


@checked_arguments(evidence=(xr.Dataset, Result))
def scree(evidence: xr.Dataset | Result, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw the scree plot with the edge of the noise, and the held-out counts beside it.

    Parameters
    ----------
    evidence : xarray.Dataset, Unmixing or PrincipalComponents
        What `select_rank` returned, or a result whose rank was chosen.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Singular values in units of the noise with the edge of the noise and the classical elbow; held-out log
        likelihood with its standard error.

    Raises
    ------
    InputError
        When nothing was chosen.
    """
    table = evidence if isinstance(evidence, xr.Dataset) else evidence.selection
    if "singular_value" not in table:
        needed = "the table of bs.select_rank, or a result whose rank was chosen"
        raise InputError("no singular values", needed, "bs.plot.scree(bs.select_rank(si))")
    chosen = int(table["candidate"].values[table["verdict"].values == "chosen"][0])
    with paper():
        canvas = figure or new_figure(PAGE_IN, 2.1)
        left, right = canvas.subplots(1, 2)
        _scree(left, table, chosen)
        _panel(right, table, "score", chosen)
        for ax in (left, right):
            ax.set_xlabel("number of components")
    return root(canvas)


def _scree(ax: Axes, table: xr.Dataset, chosen: int) -> None:
    numbers, values = table["candidate"].values, table["singular_value"].values
    ax.plot(numbers, values, "o-", color=INK, mfc="white", linewidth=0.8)
    ax.axhline(float(table["threshold"]), color="#bbbbbb", linestyle="--", linewidth=0.9, label="edge of the noise")
    elbow = int(table["elbow"])
    if elbow in numbers:
        ax.axvline(elbow, color="#bbbbbb", linewidth=0.9, label=f"classical elbow: {elbow}")
    ax.plot(chosen, values[numbers == chosen], "o", color=ACCENT, markersize=6, zorder=3)
    ax.set_yscale("log")
    ax.set_xticks(numbers)
    ax.set_ylabel("singular value (noise = 1)")
    ax.set_title(f"chosen: {chosen}", color=ACCENT)
    ax.legend()


def _panel(ax: Axes, table: xr.Dataset, score: str, chosen: int) -> None:
    numbers, values = table["candidate"].values, table[score].values.astype(np.float64)
    errors = table["error"].values if score == "score" else np.zeros(len(values))
    ax.grid(axis="y")
    ax.plot(numbers, values, color="#bbbbbb", linewidth=0.8, zorder=1)
    ax.errorbar(numbers, values, yerr=errors, fmt="o", color=INK, mfc="white", elinewidth=0.9, zorder=2)
    here = numbers == chosen
    ax.plot(numbers[here], values[here], "o", color=ACCENT, markersize=6, zorder=3)
    ax.set_title(f"chosen: {chosen}", color=ACCENT)
    ax.set_xticks(numbers)
    ax.set_xlim(numbers.min() - 0.5, numbers.max() + 0.5)
    if np.abs(values).max() > 0:
        linear = max(float(np.median(errors[errors > 0])) if (errors > 0).any() else 1.0, 1.0)
        straight = 10.0 ** np.ceil(np.log10(linear))
        ax.set_yscale("symlog", linthresh=straight)
        reach = 2.5 * max(float(np.abs(values).max()), straight)
        sign = -1 if score == "score" else 1
        decades = straight * 10.0 ** np.arange(0, max(1, np.ceil(np.log10(reach / straight))))
        ax.set_yticks([0.0, *(sign * decades)])
        ax.set_ylim((-reach, 0.6 * straight) if score == "score" else (-0.6 * straight, reach))
    if score == "score":
        ax.set_ylabel("held-out log likelihood\nrelative to the best (nats)")
    else:
        ax.set_ylabel("BIC relative to the best")
