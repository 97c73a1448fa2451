"""How well methods did: scores of segmentations and unmixings, and their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.files.saved import SavedPart
from bayesspec.results.estimate import PROB, Estimate
from bayesspec.results.result import Result
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.table import Table, cells

TRUTH = "truth"


@dataclass(frozen=True, eq=False)
class PhaseScore(SavedPart):
    """What one segmentation found.

    Parameters
    ----------
    result : Segmentation
        The segmentation.
    ratios : mapping of str to Estimate, dims (phase,)
        Ratio of every line to the last one, by name such as ``"Fe_Ka/O_Ka"``.
    deviance : float
        Multinomial deviance per pixel of the window counts; smaller is closer to the counts.
    partners : array, shape (phase,), int64, or None
        The true phase of each phase, -1 for none; ``None`` where the truth is not known.
    accuracy : float or None
        Share of the pixels with the right label.
    ratio_errors : mapping of str to array, shape (phase,), float64
        Relative error of each ratio; empty where the truth is not known.
    """

    result: Segmentation
    ratios: Mapping[str, Estimate]
    deviance: float
    partners: npt.NDArray[np.int64] | None
    accuracy: float | None
    ratio_errors: Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class ComponentScore(SavedPart):
    """What one unmixing, or another result that expects counts in every channel, found.

    Parameters
    ----------
    result : Result
        The result.
    deviance : float
        Poisson deviance (twice the Kullback-Leibler divergence) per entry of the reconstruction.
    negative : float
        Share of the entries whose reconstruction is negative.
    partners : array, shape (component,), int64, or None
        The true component of each component, -1 for none; ``None`` where the truth is not known.
    angles : array, shape (component,), float64, or None
        Spectral angle to the true component in degrees; NaN without a partner.
    """

    result: Result
    deviance: float
    negative: float
    partners: npt.NDArray[np.int64] | None
    angles: npt.NDArray[np.float64] | None


def _cells(estimate: Estimate, order: npt.NDArray[np.int64]) -> str:
    printed = cells(estimate)
    values = ", ".join(printed[i][0] for i in order)
    return values + "\n" + ", ".join(printed[i][1] for i in order) if estimate.known_error else values


def phase_table(scores: Sequence[PhaseScore], truth: Mapping[str, Any] | None) -> Table:
    """Table of segmentations side by side.

    Parameters
    ----------
    scores : sequence of PhaseScore
        One for each segmentation.
    truth : mapping or None
        The simulated truth.

    Returns
    -------
    Table
        One row a method, and one for the truth.
    """
    truth = truth or {}
    known = any(score.accuracy is not None for score in scores)
    names = list(dict.fromkeys(name for score in scores for name in score.ratios))
    columns = ["method", "phases", *names, "deviance per pixel"]
    columns += ["labels right", "largest ratio error"] if known else []
    rows = []
    for score in scores:
        order = _order(score.partners, score.result.n_phases)
        cells = [score.result.method, str(score.result.n_phases)]
        cells += [_cells(score.ratios[n], order) if n in score.ratios else "" for n in names]
        cells.append(f"{score.deviance:.3f}")
        if known:
            errors = np.concatenate([*score.ratio_errors.values(), [np.nan]])
            worst = f"{100 * np.nanmax(np.abs(errors)):.2f} %" if np.isfinite(errors).any() else ""
            cells += ["" if score.accuracy is None else f"{100 * score.accuracy:.1f} %", worst]
        rows.append(tuple(cells))
    if known and "/".join(truth.get("ratio_lines", ())) in names:
        rows.append(tuple(_true_cells(columns, truth)))
    note = (
        f"Ratios with their standard deviation in parentheses and their {100 * PROB:.0f} % intervals where the method "
        "gives them. Deviance: of the window counts under the phases' compositions and area fractions, position "
        "ignored; smaller is closer."
    )
    return Table("Phases", tuple(columns), tuple(rows), note)


def _true_cells(columns: Sequence[str], truth: Mapping[str, Any]) -> list[str]:
    ratios = ", ".join(f"{r:.3f}" if np.isfinite(r) else "–" for r in np.asarray(truth["ratio"]))
    known = {
        "method": TRUTH,
        "phases": str(len(truth["ratio"])),
        "/".join(truth["ratio_lines"]): ratios,
    }
    return [known.get(column, "") for column in columns]


def _order(partners: npt.NDArray[np.int64] | None, n: int) -> npt.NDArray[np.int64]:
    """Phases in the order of the truth, those without a partner last."""
    if partners is None:
        return np.arange(n)
    return np.argsort(np.where(partners < 0, n + partners.max() + 1, partners), kind="stable")


def component_table(scores: Sequence[ComponentScore]) -> Table:
    """Table of unmixings side by side.

    Parameters
    ----------
    scores : sequence of ComponentScore
        One for each unmixing.

    Returns
    -------
    Table
        One row a method.
    """
    known = any(score.angles is not None for score in scores)
    columns = ["method", "components", "deviance per entry", "negative entries"]
    columns += ["spectral angles (degrees)"] if known else []
    rows = []
    for score in scores:
        cells = [score.result.method, str(score.result.number)]
        cells += [f"{score.deviance:.5f}", f"{100 * score.negative:.1f} %"]
        if known:
            cells.append(_angles(score))
        rows.append(tuple(cells))
    note = (
        "Deviance: Poisson, of the counts in every pixel and channel from abundances times spectra; smaller is closer, "
        "and more components always fit closer. Negative entries: expected counts below 0, which cannot be."
    )
    return Table("Components", tuple(columns), tuple(rows), note)


def _angles(score: ComponentScore) -> str:
    if score.angles is None:
        return ""
    order = _order(score.partners, score.result.number)
    return ", ".join(f"{score.angles[i]:.1f}" for i in order if np.isfinite(score.angles[i]))
