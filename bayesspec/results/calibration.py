"""Whether intervals hold as often as they claim, on data like one's own: what simulated repeats showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.stats import binomtest, kstest, norm

from bayesspec.results.drawing import Drawing
from bayesspec.results.estimate import Estimate, format_uncertain
from bayesspec.results.result import Result
from bayesspec.results.schema import Schema, Variable
from bayesspec.results.table import Table

MOST_ENTRIES = 12
"""Entries of a quantity up to which each is judged alone; those of larger ones, such as maps, together."""
KEPT_ENTRIES = 200
"""Entries of a large quantity that are kept of every repeat, at random: their mean coverage is then known to 2 %."""
SIGNIFICANT = 0.01
"""Probability that one of several well-calibrated quantities is called otherwise, divided by their number (Bonferroni):
`python benchmarks/framework.py calibrate`."""
UNEVEN = 0.001
"""The same for ranks: `python benchmarks/framework.py calibrate`."""
WIDE = 0.95
"""Factor below which it is said by how much intervals are too wide: a coverage above the claim can come of values at
the end of what is possible, such as zeros in a spectrum. Which intervals are called too wide: ``python
benchmarks/framework.py calibrate``."""
FEWEST = 10
"""Repeats with an answer below which a quantity is not judged."""
Floats = npt.NDArray[np.float64]


class Calibration(Result):
    """Simulated repeats: how often intervals of every reported quantity hold the truth, and its rank in the draws."""

    kind = "calibration"
    heading = "Calibration"
    schema = Schema(
        {
            "deviation": Variable(
                ("replicate", "entry"),
                "truth less the median, over the half of the interval on its side: within -1 and 1 where the interval "
                "holds the truth; NaN where there is no answer",
            ),
            "rank": Variable(
                ("replicate", "entry"), "share of the draws below the truth; NaN where there are none", low=0, high=1
            ),
            "nominal": Variable(("entry",), "what the intervals claim to hold", low=0.0, high=1.0),
            "ended": Variable(("replicate",), "1 where the fit ended as it should, else 0", low=0, high=1),
            "paired": Variable(
                ("replicate",), "1 where as many phases or components were found as there are, else 0", low=0, high=1
            ),
            "seconds": Variable(("replicate",), "duration of the fit", "s", low=0.0),
        },
        coords=("entry",),
        attributes={"failures": "how many repeats raised an error"},
    )

    @property
    def uncertain(self) -> bool:
        """Whether the numbers come with an uncertainty, bool: they do, that of the number of repeats."""
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """What was judged, tuple of str."""
        return tuple(dict.fromkeys(str(name) for name in self.data["entry"].values))

    @cached_property
    def coverage(self) -> xr.Dataset:
        """How the intervals of every quantity did, dims (quantity,).

        ``nominal``: what they claim to hold; ``coverage``: share of the answers whose interval holds the truth, and
        ``error``, its standard error by the number of repeats; ``answers``: share of the repeats with an answer of a
        fit that ended as it should; ``factor``: what the intervals would have to be multiplied by to hold as often as
        they claim; ``shift``: mean deviation of the truth from the median, in units of half an interval; ``p_short``,
        ``p_wide``: probability of a coverage as low, or as high, where they hold as often as they claim; ``p_rank``:
        probability of ranks as uneven (Kolmogorov and Smirnov), NaN where there are no draws.
        """
        rows = [_judged(self.data, name) for name in self.names]
        table = {key: ("quantity", np.array([row[key] for row in rows], np.float64)) for key in rows[0]}
        return xr.Dataset(table, coords={"quantity": list(self.names)})

    @property
    def short(self) -> tuple[str, ...]:
        """Quantities whose intervals are too short, tuple of str."""
        return self._called("p_short", SIGNIFICANT)

    @property
    def wide(self) -> tuple[str, ...]:
        """Quantities whose intervals are wider than they claim, tuple of str."""
        return self._called("p_wide", SIGNIFICANT)

    @property
    def uneven(self) -> tuple[str, ...]:
        """Quantities whose ranks are not uniform, tuple of str."""
        return self._called("p_rank", UNEVEN)

    def _called(self, p: str, limit: float) -> tuple[str, ...]:
        values = self.coverage[p].values
        return tuple(name for name, v in zip(self.names, values, strict=True) if v * len(values) < limit)

    def table(self, reference: str | None = None) -> Table:
        """Coverage of every quantity.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        Table
            One row a quantity.
        """
        found, rows = self.coverage, []
        words = {name: "too short" for name in self.short} | {name: "wider than it claims" for name in self.wide}
        for name in self.names:
            row = found.sel(quantity=name)
            said = [words[name]] if name in words else []
            said += ["ranks not uniform"] if name in self.uneven else []
            held = 100 * float(row["coverage"]), 100 * float(row["error"])
            rank = float(row["p_rank"])
            rows.append(
                (
                    name,
                    f"{100 * float(row['nominal']):.0f} %",
                    f"{format_uncertain(*held)} %" if np.isfinite(held[0]) else "–",
                    f"{float(row['factor']):.2f}" if np.isfinite(row["factor"]) else "–",
                    f"{float(row['shift']):+.2f}" if np.isfinite(row["shift"]) else "–",
                    f"{rank:.2g}" if np.isfinite(rank) else "–",
                    f"{100 * float(row['answers']):.0f} %",
                    ", ".join(said) or ("holds" if np.isfinite(held[0]) else "no answer"),
                )
            )
        columns = ("quantity", "claimed", "held", "factor", "shift", "p of ranks", "answers", "")
        return Table(f"Calibration of {self.name}", columns, tuple(rows), self.note())

    def note(self) -> str:
        """Say how the columns are to be read.

        Returns
        -------
        str
            Sentences.
        """
        return (
            f"{self.data.sizes['replicate']} simulated repeats; in parentheses the standard error by their number. "
            "Factor: what intervals would have to be multiplied by to hold as often as they claim. Shift: mean of "
            "truth less median, in half intervals. Answers: repeats whose fit ended as it should and gave an interval."
        )

    def facts(self, reference: str | None = None) -> list[str]:
        """The verdict, and how the repeats ended.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        list of str
            Sentences.
        """
        return [f"{self.verdict}.", f"{self.data.sizes['replicate']} simulated repeats by {self.method}."]

    def doubts(self) -> list[str]:
        """Intervals that do not hold.

        Returns
        -------
        list of str
            Sentences.
        """
        return [f"The intervals of {name} are too short." for name in self.short]

    def figures(self, reference: str | None = None) -> list[Drawing]:
        """Rank histograms.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        list of Drawing
            One.
        """
        caption = (
            "Ranks of the true values among the posterior draws, and what share of the intervals hold them. Grey: "
            "where 99 % of the bars lie if intervals hold as often as they claim. A valley is intervals that are too "
            "short, a hill intervals that are too wide, a slope a bias."
        )
        return [Drawing("calibration", "calibration", caption)]

    def __repr__(self) -> str:
        return f"<Calibration of {self.name!r}: {self.verdict}>"


def _judged(data: xr.Dataset, name: str) -> dict[str, float]:
    """One row of the table of coverages."""
    part = data.isel(entry=np.flatnonzero(data["entry"].values == name))
    used = (part["ended"].values == 1) & (part["paired"].values == 1)
    deviation, rank = part["deviation"].values[used], part["rank"].values[used]
    nominal, asked = float(part["nominal"].values[0]), data.sizes["replicate"] + int(data.attrs["failures"])
    given = np.isfinite(deviation).any(axis=1) | np.isinf(deviation).any(axis=1)
    answers = int(given.sum())
    found = {"nominal": nominal, "answers": answers / max(asked, 1)}
    unknown = dict.fromkeys(("coverage", "error", "factor", "shift", "p_short", "p_wide", "p_rank"), np.nan)
    if answers < FEWEST:
        return found | unknown
    known = ~np.isnan(deviation[given])
    held = np.where(known, np.abs(deviation[given]) <= 1.0, False).sum(axis=1) / known.sum(axis=1)
    flat = deviation[given][known]
    least = np.sqrt(nominal * (1 - nominal) / answers)
    if deviation.shape[1] == 1:
        error = max(float(np.sqrt(held.mean() * (1 - held.mean()) / answers)), least / np.sqrt(answers))
        tests = [binomtest(int(held.sum()), answers, nominal, side).pvalue for side in ("less", "greater")]
    else:  # entries of one repeat are not independent: repeats are
        error = max(float(held.std(ddof=1) / np.sqrt(answers)), least / np.sqrt(deviation.shape[1]))
        tests = [float(norm.cdf(sign * (held.mean() - nominal) / error)) for sign in (1, -1)]
    return found | {
        "coverage": float(held.mean()),
        "error": error,
        "factor": float(np.quantile(np.abs(flat), nominal, method="lower")),
        "shift": float(np.clip(flat, -3.0, 3.0).mean()),
        "p_short": float(tests[0]),
        "p_wide": float(tests[1]),
        "p_rank": _evenness(rank[given]),
    }


def _evenness(rank: Floats) -> float:
    """Probability of ranks as uneven, one entry of every repeat: another one in each."""
    picked = [row[np.isfinite(row)] for row in rank]
    alone = [row[i % len(row)] for i, row in enumerate(picked) if len(row)]
    return float(kstest(alone, "uniform").pvalue) if len(alone) >= FEWEST else float("nan")


def compared(
    found: Mapping[str, Estimate | xr.Dataset],
    truth: Mapping[str, Estimate | xr.Dataset],
    prob: float,
    rng: np.random.Generator,
) -> dict[str, tuple[float, Floats, Floats]]:
    """Compare what one repeat reports with its truth.

    Parameters
    ----------
    found, truth : mapping of str to Estimate or xarray.Dataset
        Quantities of the repeat and their true values; Datasets have ``mean``, ``lower`` and ``upper``.
    prob : float
        Probability of the intervals of Estimates; those of Datasets are as they stand.
    rng : numpy.random.Generator
        For ranks of equal values, and which entries of large quantities are kept.

    Returns
    -------
    dict of str to (float, array (entry,), array (entry,))
        By label: what the intervals claim, deviations and ranks.
    """
    rows: dict[str, tuple[float, Floats, Floats]] = {}
    for name, given in found.items():
        if name not in truth:
            continue
        nominal, places, deviation, rank = _one(given, truth[name], prob, rng)
        if len(deviation) <= MOST_ENTRIES:
            for i, place in enumerate(places):
                rows[f"{name}, {place}" if place else name] = nominal, deviation[i : i + 1], rank[i : i + 1]
            continue
        answered = np.flatnonzero(~np.isnan(deviation))
        chosen = (
            rng.choice(answered, KEPT_ENTRIES, replace=len(answered) < KEPT_ENTRIES)
            if len(answered)
            else np.zeros(0, int)
        )
        missing = np.full(KEPT_ENTRIES if not len(answered) else 0, np.nan)
        rows[name] = nominal, np.append(deviation[chosen], missing), np.append(rank[chosen], missing)
    return rows


def _one(
    found: Estimate | xr.Dataset, truth: Estimate | xr.Dataset, prob: float, rng: np.random.Generator
) -> tuple[float, list[str], Floats, Floats]:
    """Probability of the intervals, labels of the entries, deviations and ranks."""
    if isinstance(found, xr.Dataset):
        centre, lower, upper, true = (
            np.asarray(v, np.float64).ravel()
            for v in (found["mean"], found["lower"], found["upper"], _means(truth).transpose(*found["mean"].dims))
        )
        nominal = float(found.attrs.get("prob", prob))
        return nominal, [""] * len(true), _deviation(true, centre, lower, upper), np.full(len(true), np.nan)
    ends = found.interval(prob)
    dims = ends[0].dims
    true = np.asarray(_means(truth).transpose(*dims), np.float64).ravel()
    draws = np.asarray(found.draws.transpose("draw", *dims), np.float64).reshape(found.draws.sizes["draw"], -1)
    lower, upper = (np.asarray(end, np.float64).ravel() for end in ends)
    with np.errstate(invalid="ignore"):
        centre = np.median(draws, axis=0)
        below, same = (draws < true).mean(axis=0), (draws == true).mean(axis=0)
    own = np.isfinite(true) & np.isfinite(centre) & (len(draws) > 1)
    if hasattr(found, "identified"):
        own &= np.asarray(found.identified).ravel()
    rank = np.where(own, np.clip(below + rng.uniform(size=len(true)) * same, 0.0, 1.0), np.nan)
    places = list(found.entries()) if len(true) <= MOST_ENTRIES else []
    nominal = float(ends[0].attrs.get("prob", prob))
    return nominal, places, _deviation(true, centre, lower, upper), rank


def _means(truth: Estimate | xr.Dataset) -> xr.DataArray:
    return truth["mean"] if isinstance(truth, xr.Dataset) else truth.mean


def _deviation(true: Floats, centre: Floats, lower: Floats, upper: Floats) -> Floats:
    """Truth less centre over the half of the interval on its side; NaN where there is no interval."""
    centre = np.clip(centre, lower, upper)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = np.where(true >= centre, upper - centre, centre - lower)
        apart = np.where(true == centre, 0.0, (true - centre) / half)
    inside = (true >= lower) & (true <= upper)
    apart = np.where(inside, np.clip(np.nan_to_num(apart), -1.0, 1.0), np.where(np.isnan(apart), np.sign(true), apart))
    return np.where(np.isnan(lower) | np.isnan(upper) | np.isnan(true), np.nan, apart)


def calibration_verdict(found: Calibration, messages: Sequence[str] = ()) -> str:
    """Say whether the intervals hold.

    Parameters
    ----------
    found : Calibration
        The repeats.
    messages : sequence of str
        What failed repeats raised.

    Returns
    -------
    str
        Such as "90 % intervals of area, phase 0 hold 71(5) %: too short, by a factor of 1.6".
    """
    table, words = found.coverage, []
    for name in found.short:
        row = table.sel(quantity=name)
        held = format_uncertain(100 * float(row["coverage"]), 100 * float(row["error"]))
        words.append(
            f"{100 * float(row['nominal']):.0f} % intervals of {name} hold {held} %: too short, by a factor of "
            f"{float(row['factor']):.2g}"
        )
    for name in found.wide:
        row = table.sel(quantity=name)
        held = format_uncertain(100 * float(row["coverage"]), 100 * float(row["error"]))
        by = f", by a factor of {1 / float(row['factor']):.2g}" if 0 < float(row["factor"]) < WIDE else ""
        words.append(
            f"{100 * float(row['nominal']):.0f} % intervals of {name} hold {held} %: wider than they claim{by}"
        )
    words += [f"ranks of {name} are not uniform" for name in found.uneven if name not in (*found.short, *found.wide)]
    judged, repeats = int(np.isfinite(table["coverage"]).sum()), found.data.sizes["replicate"]
    if not judged:
        words.append(f"too few answers in {repeats} repeats to judge any interval")
    elif not words:
        words.append(
            f"intervals of all {judged} quantities hold as often as they claim, as far as {repeats} repeats tell"
        )
    apart = int((found.data["paired"].values == 0).sum())
    ended = int((found.data["ended"].values == 0).sum())
    words += [f"in {apart} of them another number of phases or components was found"] if apart else []
    words += [f"in {ended} of them the fit did not end as it should"] if ended else []
    words += [f"{len(messages)} more raised an error: {messages[0].splitlines()[0][:160]}"] if messages else []
    return "; ".join(words)


def collected(records: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Collect the variables of repeats.

    Parameters
    ----------
    records : sequence of mapping
        ``rows``, by label what `compared` returns; ``ended``, ``paired``, ``seconds``.

    Returns
    -------
    dict, list of str
        Values by the names of the schema, and labels of the entries.
    """
    sizes: dict[str, tuple[int, float]] = {}
    for record in records:
        for label, (nominal, deviation, _) in record["rows"].items():
            sizes.setdefault(label, (len(deviation), nominal))
    labels = [label for label, (size, _) in sizes.items() for _ in range(size)]
    found: dict[str, Any] = {key: np.full((len(records), len(labels)), np.nan) for key in ("deviation", "rank")}
    starts = dict(zip(sizes, np.cumsum([0, *(size for size, _ in sizes.values())]), strict=False))
    for i, record in enumerate(records):
        for label, (_, deviation, rank) in record["rows"].items():
            place = slice(starts[label], starts[label] + len(deviation))
            found["deviation"][i, place], found["rank"][i, place] = deviation, rank
    found["nominal"] = [sizes[label][1] for label in labels]
    for key in ("ended", "paired", "seconds"):
        found[key] = [float(record[key]) for record in records]
    return found, labels
