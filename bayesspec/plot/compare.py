"""The comparison in one figure: label maps, ratios, and distances from the counts and from the truth."""

from __future__ import annotations

from textwrap import wrap

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bayesspec.comparison.scores import PhaseScore
from bayesspec.comparison.side_by_side import Comparison
from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.labels import match_phases
from bayesspec.plot.phases import label_image
from bayesspec.plot.pixels import pixel_size_of
from bayesspec.plot.ratios import RatioRow, draw_ratios, ratio_height
from bayesspec.plot.style import INK, PAGE_IN, colours, line_label, new_figure, paper, root

_ACROSS = 4
"""Label maps beside each other."""
_LINE_IN = 0.21
"""Height of a row of the components, in inches."""


@checked_arguments(scores=Comparison)
def comparison(scores: Comparison, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw methods side by side.

    Parameters
    ----------
    scores : Comparison
        What `bs.compare` returns.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Of segmentations, the labels and the first ratio; of unmixings, the deviance and, where the truth is
        known, the spectral angles.

    Raises
    ------
    InputError
        When there is nothing to draw.
    """
    heights = _heights(scores)
    if not heights:
        raise InputError("an empty comparison", "results", "bs.compare(si, [seg, fit])")
    with paper():
        canvas = figure or new_figure(PAGE_IN, sum(heights.values()))
        parts = canvas.subfigures(len(heights), 1, squeeze=False, height_ratios=list(heights.values())).ravel()
        drawers = {"maps": _label_maps, "ratios": _ratios, "components": _components}
        for name, part in zip(heights, parts, strict=True):
            drawers[name](scores, part)
    return root(canvas)


def _heights(scores: Comparison) -> dict[str, float]:
    heights = {}
    if scores.phases:
        shape = scores.phases[0].result.labels.shape
        rows = -(-(len(scores.phases) + _has_labels(scores)) // _ACROSS)
        heights["maps"] = rows * (PAGE_IN / _ACROSS * min(1.6, shape[0] / shape[1]) + 0.65)
        if scores.phases[0].ratios:
            heights["ratios"] = ratio_height(_ratio_rows(scores)[0])
    if scores.components:
        heights["components"] = 0.7 + _LINE_IN * len(scores.components)
    return heights


def _has_labels(scores: Comparison) -> bool:
    return scores.truth is not None and "labels" in scores.truth


def _label_maps(scores: Comparison, part: SubFigure) -> None:
    n = len(scores.phases) + _has_labels(scores)
    axes = part.subplots(-(-n // _ACROSS), min(n, _ACROSS), squeeze=False).ravel()
    for ax in axes[n:]:
        ax.remove()
    size = pixel_size_of(scores.phases[0].result)
    if scores.truth is not None and _has_labels(scores):
        truth = np.asarray(scores.truth["labels"])
        label_image(axes[0], truth, int(truth.max()) + 1, size)
        axes[0].set_title("truth")
    for ax, score in zip(axes[n - len(scores.phases) : n], scores.phases, strict=True):
        names = np.array(_names(score, scores.phases[0]))
        label_image(ax, np.append(names, -1)[score.result.labels.values], int(names.max()) + 1, size)
        right = "" if score.accuracy is None else f"\n{100 * score.accuracy:.1f} % of labels right"
        ax.set_title(_wrapped(score.result.method) + right)


def _names(score: PhaseScore, first: PhaseScore) -> tuple[int, ...]:
    """Number of each phase in the truth or else in the first result, so that colours mean the same everywhere."""
    partners = score.partners
    if partners is None:
        partners = match_phases(score.result.labels, first.result.labels)
    names = partners.copy()
    alone = names < 0
    names[alone] = names.max() + 1 + np.arange(alone.sum())
    return tuple(int(name) for name in names)


def _ratio_rows(scores: Comparison) -> tuple[list[RatioRow], str]:
    """The ratio of the strongest line, of every result that has it."""
    first = scores.phases[0]
    strength = first.result.intensities.draws.mean(("draw", "phase"))
    name = max(first.ratios, key=lambda name: float(strength.sel(line=name.split("/")[0])))
    shown = [score for score in scores.phases if name in score.ratios]
    return [RatioRow(s.result.method, s.ratios[name], _names(s, first)) for s in shown], name


def _ratios(scores: Comparison, part: SubFigure) -> None:
    rows, name = _ratio_rows(scores)
    truth = scores.truth or {}
    known = truth.get("ratio") if "/".join(truth.get("ratio_lines", ())) == name else None
    draw_ratios(part.subplots(), rows, line_label(name), truth=known)


def _components(scores: Comparison, part: SubFigure) -> None:
    known = any(score.angles is not None for score in scores.components)
    axes = part.subplots(1, 2 if known else 1, squeeze=False, sharey=True).ravel()
    names = [f"{s.result.method}, rank {s.result.number}" for s in scores.components]
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    deviance = np.array([s.deviance for s in scores.components])
    axes[0].plot(1e3 * (deviance - deviance.min()), range(len(names)), "o", color=INK)
    axes[0].set_xlim(*_from_zero(1e3 * (deviance - deviance.min())))
    axes[0].set_xlabel("deviance per entry above the lowest (1/1000)")
    for ax in axes:
        _plain(ax)
    if known:
        for row, score in enumerate(scores.components):
            if score.angles is not None and score.partners is not None:
                shades = np.array(colours(max(int(score.partners.max()) + 1, 1)))
                paired = score.partners >= 0
                axes[1].scatter(
                    score.angles[paired], np.full(paired.sum(), row), s=16, c=shades[score.partners[paired]]
                )
        axes[1].set_xlabel("spectral angle to truth (degrees)")
        angles = [s.angles[np.isfinite(s.angles)] for s in scores.components if s.angles is not None]
        axes[1].set_xlim(*_from_zero(np.concatenate(angles)))


def _from_zero(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    top = float(values.max(initial=0.0)) or 1.0
    return -0.05 * top, 1.08 * top


def _plain(ax: Axes) -> None:
    ax.grid(axis="x")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _wrapped(text: str) -> str:
    return "\n".join(wrap(text, 26))
