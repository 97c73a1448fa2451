"""Tables of a report: the numbers of a result as strings, with their intervals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from bayesspec.comparison.table import Table, cells
from bayesspec.results.estimate import PROB, Estimate
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.result import Result
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.unmixing import Unmixing

_NONE = "–"
Reported = Segmentation | Unmixing | PrincipalComponents


def phase_table(result: Segmentation, reference: str | None = None) -> Table:
    """Area and line ratios of every phase.

    Parameters
    ----------
    result : Segmentation
        Phases of an image.
    reference : str or None
        Line below the ratios; ``None`` for the last one.

    Returns
    -------
    Table
        One row a phase, or one row a ratio where there are several.

    Raises
    ------
    InputError
        When the reference was not mapped.
    """
    below = reference or result.lines[-1]
    above = [line for line in result.lines if line != below] or [below]
    ratios = {f"{line}/{below}": cells(result.ratio(line, below)) for line in above}
    area = cells(_percent(result.fractions))
    if len(ratios) == 1:
        name, values = next(iter(ratios.items()))
        rows: list[tuple[str, ...]] = [(str(phase), area[phase][0], *values[phase]) for phase in range(result.n_phases)]
        columns = ["phase", "area (%)", name, f"{100 * PROB:.0f} % interval"]
    else:
        rows = [(name, *("\n".join(c) for c in values)) for name, values in {"area (%)": area, **ratios}.items()]
        columns = ["", *(f"phase {phase}" for phase in range(result.n_phases))]
    doubt = f" Areas: {result.area_note}." if result.area_note else ""
    return Table("Phases and line ratios", tuple(columns), tuple(rows), _note(result) + doubt)


def component_table(result: Unmixing) -> Table:
    """Share of the counts of every component.

    Parameters
    ----------
    result : Unmixing
        Components of an image.

    Returns
    -------
    Table
        One row a component; with the effective number of draws where it is known.
    """
    share = cells(_percent(result.fractions))
    columns = ["component", "share of counts (%)", f"{100 * PROB:.0f} % interval (%)"]
    effective = result.data.get("effective_draws")
    if effective is not None:
        columns.append("effective draws")
    rows = []
    for component, (value, interval) in enumerate(share):
        row = [str(component), value, interval]
        row += [] if effective is None else [f"{float(effective[component]):.0f}"]
        rows.append(tuple(row))
    return Table("Components", tuple(columns), tuple(rows), _note(result))


def principal_table(result: PrincipalComponents) -> Table:
    """Strength and reliability of every principal component.

    Parameters
    ----------
    result : PrincipalComponents
        Components of an image.

    Returns
    -------
    Table
        One row a component.
    """
    spread = np.sqrt(np.nanmean(np.square(result.scores["mean"].values), axis=(0, 1)))
    unit = str(result.data["scores_mean"].attrs["units"])
    columns = ("component", f"size of the scores ({unit})", "signal in the scores (%)")
    shares = 100 * result.reliability.values
    rows = tuple((str(k), f"{spread[k]:.3g}", f"{shares[k]:.1f}") for k in range(result.rank))
    note = (
        "Size: root mean square over the pixels. Signal: share of the variance of the scores that is not noise. "
        "Components have no meaning of their own: their span has, and the denoised rates have."
    )
    return Table("Principal components", columns, rows, note)


def selection_table(result: Reported) -> Table | None:
    """Scores of every number of phases or components.

    Parameters
    ----------
    result : Segmentation, Unmixing or PrincipalComponents
        A result.

    Returns
    -------
    Table or None
        One row a candidate; ``None`` where nothing was chosen.
    """
    table = result.selection
    if "score" not in table or table.sizes["candidate"] < 2:
        return None
    what = "phases" if isinstance(result, Segmentation) else "components"
    columns = [what, "held-out log likelihood (nats)", "standard error (nats)"]
    columns += [name for name in ("BIC",) if "bic" in table] + ["verdict"]
    rows = [_candidate(table.isel(candidate=i)) for i in range(table.sizes["candidate"])]
    note = (
        "Log likelihood of counts that were held out, relative to the best candidate; the standard error is that of "
        "the difference to the best."
    )
    if "bic" in table:
        note += " BIC: Bayesian information criterion relative to the smallest; it decides on the phases."
    return Table(f"Choice of the number of {what}", tuple(columns), tuple(rows), note)


def _candidate(row: xr.Dataset) -> tuple[str, ...]:
    shown = [str(int(row["candidate"])), f"{float(row['score']):.1f}", f"{float(row['error']):.1f}"]
    shown += [f"{float(row['bic']):.1f}"] if "bic" in row else []
    return (*shown, str(row["verdict"].values) if "verdict" in row else _NONE)


def settings_table(result: Result) -> Table:
    """Seed, priors, settings and versions.

    Parameters
    ----------
    result : Result
        A result.

    Returns
    -------
    Table
        One row a setting.
    """
    flat = {"method": result.method, "status": result.status}
    for name, value in result.provenance.items():
        if isinstance(value, dict):
            flat |= {f"{name}: {key}": _shown(inner) for key, inner in value.items() if inner is not None}
        else:
            flat[name] = _shown(value)
    rows = tuple((name.replace("_", " "), text) for name, text in flat.items())
    return Table(f"Settings of {result.method}", ("setting", "value"), rows)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(_shown(v) for v in value)
    return value if isinstance(value, str) else json.dumps(value)


def _percent(estimate: Estimate) -> Estimate:
    return estimate.scaled(100.0, f"{estimate.name} (%)")


def _note(result: Reported) -> str:
    draws = number_of_draws(result)
    if draws <= 1:
        return f"{result.method} gives no uncertainty."
    doubt = "" if result.converged else "The fit did not end as it should: do not rely on these intervals. "
    return (
        f"{doubt}In parentheses one standard deviation, in units of the last digits; intervals are equal-tailed and "
        f"hold {100 * PROB:.0f} % of {draws} joint draws, so that covariances count."
    )


def number_of_draws(result: Reported) -> int:
    """Count the joint draws of a result.

    Parameters
    ----------
    result : Segmentation, Unmixing or PrincipalComponents
        A result.

    Returns
    -------
    int
        Draws; 1 where a method gives no uncertainty.
    """
    if isinstance(result, Segmentation):
        name = "intensity_draws"
    else:
        name = "spectra_draws" if isinstance(result, Unmixing) else "components_draws"
    return int(result.data[name].sizes["draw"])


def total_counts(result: Reported) -> int:
    """Sum of the counts that a result was made from.

    Parameters
    ----------
    result : Segmentation, Unmixing or PrincipalComponents
        A result.

    Returns
    -------
    int
        Counts in the windows of the lines, or in the channels, of the pixels that are not excluded.
    """
    if not isinstance(result, Segmentation):
        return int(result.data["sum_spectrum"].sum())
    used = result.labels.values >= 0
    return int(np.asarray(result.data["counts"].values)[used].sum())
