"""The summary of a result in plain words, with its warnings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesspec.comparison.table import cells
from bayesspec.reporting.tables import Reported, number_of_draws, total_counts
from bayesspec.results.estimate import PROB, Estimate
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.unmixing import Unmixing


@dataclass(frozen=True)
class Summary:
    """What a reader must take away.

    Parameters
    ----------
    verdict : str
        How many phases or components, in words.
    facts : tuple of str
        Sentences with the numbers.
    warnings : tuple of str
        Sentences on what must not be concluded.
    """

    verdict: str
    facts: tuple[str, ...]
    warnings: tuple[str, ...]


def summary_of(result: Reported, reference: str | None = None) -> Summary:
    """Say what was found.

    Parameters
    ----------
    result : Segmentation, Unmixing or PrincipalComponents
        A result.
    reference : str or None
        Line below the ratios; ``None`` for the last one.

    Returns
    -------
    Summary
        Verdict, facts and warnings.
    """
    size = result.data.sizes
    facts = [f"{size['y']} × {size['x']} pixels, {total_counts(result):,} counts."]
    if isinstance(result, Segmentation):
        facts += _phases(result, reference)
    else:
        facts += _components(result) if isinstance(result, Unmixing) else _principal(result)
    return Summary(result.verdict, tuple(facts), tuple(_warnings(result)))


def _phases(result: Segmentation, reference: str | None) -> list[str]:
    below = reference or result.lines[-1]
    above = [line for line in result.lines if line != below]
    area = [text for _, text in Estimate(100 * result.fractions.draws, "area").rows()]
    facts = [f"Phase {phase} covers {text} % of the area" for phase, text in enumerate(area)]
    if len(above) != 1:
        return [f"{fact}." for fact in facts] + ["The line ratios of the phases are in the table below."]
    ratio = result.ratio(above[0], below)
    found = []
    for fact, (value, interval) in zip(facts, cells(ratio), strict=True):
        known = f", {100 * PROB:.0f} % interval {interval}" if ratio.known_error else ""
        found.append(f"{fact}; {above[0]}/{below} = {value}{known}.")
    return found


def _components(result: Unmixing) -> list[str]:
    share = 100 * result.fractions.draws.mean("draw").values
    if (result.spectra["mean"].values < 0).any():
        return []
    return [f"Component {i} holds {s:.1f} % of the counts." for i, s in enumerate(share)]


def _principal(result: PrincipalComponents) -> list[str]:
    shares = 100 * result.reliability.values
    return [f"{s:.0f} % of the variance of the scores of component {k} is signal." for k, s in enumerate(shares)]


def _warnings(result: Reported) -> list[str]:
    found = [] if result.converged else [f"The fit did not end as it should. {result.status}"]
    if isinstance(result, Segmentation):
        found += _phase_warnings(result)
    elif isinstance(result, Unmixing) and (result.spectra["mean"].values < 0).any():
        found.append("Spectra or abundances are negative in places: they are no spectra of substances.")
    if number_of_draws(result) <= 1:
        found.append(f"{result.method} gives no uncertainty: differences cannot be judged from these numbers alone.")
    return found


def _phase_warnings(result: Segmentation) -> list[str]:
    found = []
    if "overlap within" in result.verdict and not result.data.attrs.get("resolved", 1):
        found.append("Pixels hold more than one phase: their ratios are not those of pure phases. Unmix instead.")
    elif "cannot be resolved" in result.verdict or not result.data.attrs.get("resolved", 1):
        known = np.isfinite(result.intensities.values)
        given = ": the ratio given is that of the mixture" if known.all() else ""
        which = "some" if known.any() and not known.all() else "the"
        found.append(f"The ratios of {which} phases cannot be resolved at this dose{given}.")
    if not np.isfinite(result.intensities.values).any():
        found.append("No standard errors exist for this fit: ratios are not resolved.")
    empty = int((result.labels.values < 0).sum())
    if empty:
        found.append(f"{empty:,} pixels are excluded or hold no counts, and have no phase.")
    return found
