"""Fe/O ratios of two iron oxides against dose: KMeans in three forms beside bayesspec, same images, several seeds.

Prints a table (median ratio over the seeds; the larger relative error of the two, its median and its worst; how often
the verdict resolves two phases; coverage of the 95 % intervals, and of both at once) and draws the README's figure.

    python benchmarks/dose.py --seeds 10 --figure docs/iron_oxides_dose.png
    python benchmarks/dose.py --spectra --seeds 100 --doses 2000
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bayesspec as bs

DOSES = (20, 60, 200, 600, 2000, 6000, 20000)
TRUTH = np.array(bs.simulate.OXIDE_RATIOS)
KMEANS = {
    "KMeans, counts": {"of": "counts"},
    "KMeans, ratio": {"of": "ratio"},
    "KMeans, 2-pixel blur": {"of": "normalised", "smooth": 2.0},
}
TOP = 0.92
Row = tuple[np.ndarray, np.ndarray, np.ndarray]


def kmeans_ratios(maps: bs.LineMaps, options: dict[str, object], seed: int) -> np.ndarray:
    found = bs.classical.kmeans(maps, 2, seed=seed, **options)
    return np.sort(found.ratio("Fe_Ka", "O_Ka").mean.values)[::-1]


def bayes_ratios(maps: bs.LineMaps, seed: int) -> Row | None:
    seg = bs.segment(maps, phases=range(1, 5), seed=seed)
    if seg.n_phases != 2:
        return None
    ratio = seg.ratio("Fe_Ka", "O_Ka")
    if not np.isfinite(ratio.mean).all():
        return None
    order = np.argsort(-ratio.mean.values)
    lower, upper = (end.values[order] for end in ratio.interval(0.95))
    return ratio.mean.values[order], lower, upper


def sample(dose: float, seed: int, *, spectra: bool) -> bs.LineMaps:
    if spectra:
        return bs.element_maps(bs.simulate.iron_oxides(dose, seed=seed), ["Fe_Ka", "O_Ka"])
    return bs.simulate.iron_oxide_lines(dose, seed=seed)


def measure(dose: float, seeds: range, *, spectra: bool) -> dict[str, list[Row | None]]:
    rows: dict[str, list[Row | None]] = {name: [] for name in (*KMEANS, "bayesspec")}
    for seed in seeds:
        maps = sample(dose, seed, spectra=spectra)
        for name, options in KMEANS.items():
            ratios = kmeans_ratios(maps, options, seed)
            rows[name].append((ratios, ratios, ratios))
        rows["bayesspec"].append(bayes_ratios(maps, seed))
    return rows


def table(results: dict[float, dict[str, list[Row | None]]], seeds: int) -> None:
    print(f"{'dose':>6} {'method':<22} {'median ratios':<15}  error %  worst % resolved  covered  both")
    for dose, rows in results.items():
        for name, found in rows.items():
            kept = [row for row in found if row is not None]
            if not kept:
                print(f"{dose:6g} {name:<22} {'not resolved':<15} {'':>17} {0:>6}/{seeds}")
                continue
            means = np.array([row[0] for row in kept])
            errors = 100 * np.abs(means / TRUTH - 1).max(axis=1)
            inside = np.array([(row[1] <= TRUTH) & (row[2] >= TRUTH) for row in kept])
            covered = f"{inside.mean():8.2f} {inside.all(axis=1).mean():5.2f}" if name == "bayesspec" else "    none"
            middle = "/".join(f"{m:.3f}" for m in np.median(means, axis=0))
            error = f"{np.median(errors):8.2f} {errors.max():8.2f}"
            print(f"{dose:6g} {name:<22} {middle:<15} {error} {len(kept):>6}/{seeds} {covered}")


def draw(results: dict[float, dict[str, list[Row | None]]], path: Path) -> None:
    figure = Figure(figsize=(7.0, 2.9), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for ax, name in zip(axes, ("KMeans, ratio", "KMeans, 2-pixel blur", "bayesspec"), strict=True):
        panel(ax, {dose: rows[name][0] for dose, rows in results.items()})
        ax.set_title(name, fontsize=10)
    axes[0].set_ylabel("Fe Kα / O Kα of the two phases")
    axes[1].set_xlabel("Fe and O counts per pixel")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)


def panel(ax: Axes, found: dict[float, Row | None]) -> None:
    for truth, colour in zip(TRUTH, ("#0072B2", "#E69F00"), strict=True):
        ax.axhline(truth, color=colour, linewidth=0.8, linestyle="--")
    for dose, row in found.items():
        if row is None:
            ax.annotate("not\nresolved", (0.7 * dose, 0.61), ha="left", fontsize=7, color="#666666")
            continue
        for phase, colour in enumerate(("#0072B2", "#E69F00")):
            middle, lower, upper = (values[phase] for values in row)
            if middle > TOP:
                ax.plot(dose, TOP - 0.006, "^", ms=4, color=colour)
                continue
            ax.errorbar(dose, middle, [[middle - lower], [upper - middle]], fmt="o", ms=3.5, color=colour, capsize=2)
    ax.set(xscale="log", xlim=(12, 33_000), ylim=(0.58, TOP))
    ax.spines[["top", "right"]].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--doses", type=float, nargs="+", default=DOSES)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--spectra", action="store_true", help="count the lines in simulated spectra")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    results = {dose: measure(dose, seeds, spectra=options.spectra) for dose in options.doses}
    table(results, options.seeds)
    if options.figure:
        draw(results, options.figure)


if __name__ == "__main__":
    main()
