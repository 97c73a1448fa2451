"""Tables that every report has: the choice of the number of parts, and the settings."""

from __future__ import annotations

import json
from typing import Any

import xarray as xr

from bayesspec.results.result import Result
from bayesspec.results.table import Table

_NONE = "–"


def selection_table(result: Result) -> Table | None:
    """Scores of every number of phases or components.

    Parameters
    ----------
    result : Result
        A result.

    Returns
    -------
    Table or None
        One row a candidate; ``None`` where nothing was chosen.
    """
    table = result.selection
    if "score" not in table or table.sizes["candidate"] < 2:
        return None
    what = f"{result.part}s"
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
