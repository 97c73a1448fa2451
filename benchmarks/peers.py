"""bayesspec beside the methods in use: ratios, labels, spectra, maps, time, memory, and whether intervals cover.

    pip install -e '.[bench]' && pip install --no-deps espm && python benchmarks/peers.py --seeds 10

(espm runs beside today's HyperSpy, but its declared dependencies would bring an older one.)

(pyPLNmodels needs torch and a setuptools that still has pkg_resources: pip install pyPLNmodels 'setuptools<70'.)

Every method runs in a process of its own; times include compilation the first time it is needed, and memory is the peak
of the process. Prints one Markdown table a case: median over the seeds, and the range in parentheses. A method that is
not installed, or fails, says so in its row. ``--rows FILE`` keeps the row of every image as it comes: runs add to what
is there, and the tables show all of it; ``--seeds 0`` only shows it.
"""

import argparse
import json
import multiprocessing as mp
import resource
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from peer_methods import APART, SEGMENTING, SPECTRA, UNMIXING, Components, Phases
from scipy.optimize import linear_sum_assignment

import bayesspec as bs
from bayesspec.labels import match_phases

SEGMENTED = ("iron_oxides", "compounds")
WHOLE = "bayesspec, whole spectra"
SIX_LINES = ("C_Ka", "Cr_Ka", "Fe_Ka", "Mg_Ka", "Mn_Kb", "O_Ka")
DOSES = {
    "iron_oxides": (20, 60, 200, 600, 2000, 6000, 20000),
    "compounds": (500, 5000),
    "eels_edges": (200, 2000, 20000),
    "sparse": (60,),
}
TITLES = {
    "iron_oxides": "Two iron oxides, 128 x 128, line counts per pixel",
    "compounds": "Five compounds, six lines, 128 x 128, counts per pixel",
    "eels_edges": "EELS edges, 134 x 134 x 1024, counts per pixel",
    "sparse": "Particles in a matrix, 128 x 128 x 1000, counts per pixel",
}
PHASE_COLUMNS = ("worst ratio error %", "labels right %", "phases", "90 % covers", "s", "GB")
COMPONENT_COLUMNS = ("spectral angle", "map correlation", "rank", "90 % covers", "s", "GB")
OWN = ("black", "tab:red")
Row = dict[str, float]
Found = dict[str, list[tuple[float, Row | str]]]


def sample(case: str, method: str, dose: float, seed: int) -> bs.LineMaps | bs.SpectrumImage:
    """One image of a case: spectra for methods that take them whole, else line counts."""
    if case == "iron_oxides":
        return bs.simulate.iron_oxide_lines(dose, seed=seed)
    if case == "compounds":
        image = bs.simulate.compounds(dose, seed=seed)
        return image if method == WHOLE else bs.element_maps(image, SIX_LINES)
    if case == "eels_edges":
        return bs.simulate.eels_edges(dose, seed=seed)
    return bs.simulate.particles(dose, seed=seed)


def phase_row(found: Phases, maps: bs.LineMaps | bs.SpectrumImage) -> Row:
    """Scores of a segmentation."""
    truth = maps.truth
    partner = match_phases(found.labels, truth["labels"])
    right = np.where(found.labels >= 0, partner[np.maximum(found.labels, 0)], -1) == truth["labels"]
    kept = [k for k in range(found.number) if partner[k] >= 0 and np.isfinite(truth["ratio"][partner[k]])]
    true = np.array([truth["ratio"][partner[k]] for k in kept])
    error = np.abs(found.ratios[kept] / true - 1)
    complete = len(kept) == np.isfinite(truth["ratio"]).sum() and np.isfinite(error).all()
    inside = (found.lower[kept] <= true) & (true <= found.upper[kept])
    known = np.isfinite(found.lower[kept])
    return {
        "worst ratio error %": 100 * error.max() if complete else np.nan,
        "labels right %": 100 * right.mean(),
        "phases": found.number,
        "90 % covers": inside[known].mean() if known.any() else np.nan,
    }


def component_row(found: Components, image: bs.SpectrumImage, part: str) -> Row:
    """Scores of an unmixing against the true spectra, or the part of them above the background.

    A true component that was not found counts as 90 degrees and no correlation.
    """
    if not len(found.spectra):
        return {"rank": found.rank}
    true = image.truth[part] / image.truth[part].sum(axis=1, keepdims=True)
    maps = image.truth["abundances"].reshape(-1, len(true))
    unit = [s / np.maximum(np.linalg.norm(s, axis=1, keepdims=True), 1e-300) for s in (found.spectra, true)]
    cosine = np.clip(unit[0] @ unit[1].T, -1, 1)
    rows, columns = linear_sum_assignment(-cosine)
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = [np.corrcoef(found.maps[:, i], maps[:, j])[0, 1] for i, j in zip(rows, columns, strict=True)]
    seen = true[columns] * maps.sum(axis=0)[columns, None] > 10
    inside = (found.lower[rows] <= true[columns]) & (true[columns] <= found.upper[rows])
    lost = len(true) - len(rows)
    known = seen & np.isfinite(found.lower[rows])
    return {
        "spectral angle": float((np.degrees(np.arccos(cosine[rows, columns])).sum() + 90.0 * lost) / len(true)),
        "map correlation": float(np.sum(alike) / len(true)),
        "rank": found.rank,
        "90 % covers": inside[known].mean() if known.any() else np.nan,
    }


def measure(case: str, method: str, doses: list[float], seeds: range, out: Connection) -> None:
    """Run one method on all images of a case, in a process of its own."""
    run = (SEGMENTING | SPECTRA)[method] if case in SEGMENTED else (UNMIXING | APART)[method]
    for dose in doses:
        for seed in seeds:
            data = sample(case, method, dose, seed)
            number = len(data.truth["ratio" if case in SEGMENTED else "spectra"])
            begun = time.perf_counter()
            try:
                found = run(data, number, seed)
            except Exception as error:  # a peer that fails is a row of the table
                out.send((dose, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:60]}"))
                return
            seconds = time.perf_counter() - begun
            part = "edges" if method in APART else "spectra"
            row = phase_row(found, data) if isinstance(found, Phases) else component_row(found, data, part)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            out.send((dose, row | {"s": seconds, "GB": memory}))


def results(
    case: str, method: str, doses: list[float], seeds: range, limit: float
) -> Iterator[tuple[float, Row | str]]:
    """Rows from the process of a method; it is ended after `limit` seconds."""
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(case, method, doses, seeds, theirs), daemon=True)
    process.start()
    theirs.close()
    begun = time.perf_counter()
    try:
        while ours.poll(max(0.0, limit - (time.perf_counter() - begun))):
            yield ours.recv()
        yield doses[-1], f"stopped after {limit:.0f} s"
    except EOFError:
        pass
    finally:
        process.kill()


def cell(values: list[float]) -> str:
    """Median and range."""
    known = np.array([v for v in values if np.isfinite(v)])
    if not len(known):
        return "-"
    middle = f"{np.median(known):.3g}"
    return middle if known.min() == known.max() else f"{middle} ({known.min():.3g}-{known.max():.3g})"


def table(case: str, found: Found, columns: tuple[str, ...]) -> None:
    print(f"\n### {TITLES[case]}\n\n| counts | method | " + " | ".join(columns) + " |")
    print("|" + "---|" * (2 + len(columns)))
    for dose in DOSES[case]:
        for method, rows in found.items():
            here = [row for at, row in rows if at == dose]
            failed = [row for row in here if isinstance(row, str)]
            scored = [row for row in here if not isinstance(row, str)]
            cells = [cell([row.get(name, np.nan) for row in scored]) for name in columns] if scored else failed[:1]
            if cells:
                print(f"| {dose:g} | {method} | " + " | ".join(cells) + " |")


def draw(found: dict[str, Found], path: Path) -> None:
    """Ratio error and spectral angle against dose, every method one line."""
    panels = [("iron_oxides", "worst ratio error %"), ("eels_edges", "spectral angle")]
    rcParams["font.size"] = 8
    figure = Figure(figsize=(7.2, 3.7), layout="constrained")
    for ax, (case, name) in zip(figure.subplots(1, 2), panels, strict=True):
        own = [method for method in found.get(case, {}) if method.startswith("bayesspec")]
        for method, rows in found.get(case, {}).items():
            known = [(at, r[name]) for at, r in rows if not isinstance(r, str) and np.isfinite(r.get(name, np.nan))]
            doses = sorted({at for at, _ in known})
            values = [np.median([value for at, value in known if at == dose]) for dose in doses]
            style = {"lw": 2.0, "color": OWN[own.index(method)], "zorder": 3} if method in own else {"lw": 0.9}
            if doses:
                ax.loglog(doses, values, "o-", ms=3, label=method, **style)
        ax.set(title=TITLES[case].split(",")[0], xlabel="counts per pixel", ylabel=name.replace("angle", "angle (deg)"))
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if name.endswith("angle") else (1,)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)
        ax.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)


def methods(case: str) -> list[str]:
    """Names of the methods of a case, in the order of the table."""
    names = [*(SEGMENTING if case in SEGMENTED else UNMIXING)]
    return names + {"compounds": [*SPECTRA], "eels_edges": [*APART]}.get(case, [])


def keep(path: Path | None, line: dict[str, object]) -> None:
    """Add one row to the file."""
    if path:
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def kept(path: Path | None) -> dict[str, Found]:
    """Rows of earlier runs, methods in the order of the table."""
    everything: dict[str, Found] = {}
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path and path.exists() else []
    for line in sorted(lines, key=lambda one: methods(one["case"]).index(one["method"])):
        everything.setdefault(line["case"], {}).setdefault(line["method"], []).append((line["dose"], line["row"]))
    return everything


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--case", nargs="+", default=list(DOSES), choices=list(DOSES))
    parser.add_argument("--doses", type=float, nargs="+", help="only these counts per pixel")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds for one method on one case")
    parser.add_argument("--only", nargs="*", default=[], help="methods to run")
    parser.add_argument("--without", nargs="*", default=[], help="methods to leave out")
    parser.add_argument("--rows", type=Path, help="file that keeps the row of every image")
    parser.add_argument("--figure", type=Path)
    chosen = parser.parse_args()
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    everything = kept(chosen.rows)
    for case in chosen.case:
        doses = [float(d) for d in DOSES[case] if not chosen.doses or d in chosen.doses]
        found = everything.setdefault(case, {})
        for name in methods(case):
            if name in chosen.without or (chosen.only and name not in chosen.only) or not seeds:
                continue
            for at, row in results(case, name, doses, seeds, chosen.limit):
                found.setdefault(name, []).append((at, row))
                keep(chosen.rows, {"case": case, "method": name, "dose": at, "row": row})
        table(case, found, PHASE_COLUMNS if case in SEGMENTED else COMPONENT_COLUMNS)
    if chosen.figure:
        draw(everything, chosen.figure)


if __name__ == "__main__":
    main()
