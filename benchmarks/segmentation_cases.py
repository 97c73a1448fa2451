"""Further cases of `segmentation.py`, all through `bayesspec.workflows.segment` unless said.

one      one phase of even composition: how often more is claimed; two oxides at 5 and 10 counts: how often noticed
minor    five lines, a second phase 10 % apart over 1 % of the area, one grain: how often missed, coverage of its ratios
number   1, 2, 3 and 6 phases of six elements at random: how often the number is right
four     four phases on six lines, two of them the oxides: Fe/O and area of every phase that is resolved, labels
scatter  two oxides whose log ratio scatters within the phases by 0.04: number of phases, coverage
zoned    five lines whose ratios change by 10 or 30 % along the image: how often said to vary, how often to be phases
mixed    three distinct phases in projection, and one phase a pixel: how often pixels are said to be mixed
time     K = 1..6 with intervals beside KMeans(n_init=10) for the same K, warm, 128 x 128; `large`: 512 x 512, memory
doses    four phases, two of them 10 % apart in one line, at 30 and at 1000 counts: how often the two are said to be one
         phase of the short image, and the ratios of phases of both within 2 combined standard deviations
dacite   measured: the short file beside the long one; BAYESSPEC_DATA names the folder of the files
"""

import argparse
import itertools
import os
import resource
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.cluster import KMeans

import bayesspec as bs
from bayesspec.labels import match_compositions

RATIOS = np.array([0.783, 0.698])
LINES = ("O_Ka", "Fe_Ka", "Si_Ka", "Mg_Ka", "Al_Ka", "Ca_Ka")
ELEMENTS = ("Na", "Mg", "Al", "K", "Ca", "Fe")
DACITE = ("P45_the_default_job.bcf", "P45_12bit_packed_8bit_compressed.bcf")
ROUNDING = 1e-9


def fields(rng: np.random.Generator, number: int, size: int, blur: float = 6.0) -> np.ndarray:
    """Smooth fields of unit variance (y, x, field)."""
    smooth = [gaussian_filter(rng.normal(size=(size, size)), blur, mode="wrap") for _ in range(number)]
    return np.stack([field / field.std() for field in smooth], axis=2)


def pure(rng: np.random.Generator, shares: np.ndarray, dose: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts (y, x, line) and labels of one phase a pixel."""
    labels = fields(rng, len(shares), size).argmax(axis=2)
    return rng.poisson(dose * shares[labels]), labels


def found(counts: np.ndarray, seed: int, phases: range | int = range(1, 7)) -> bs.Segmentation:
    return bs.segment(bs.LineMaps(counts, lines=LINES[: counts.shape[2]]), phases=phases, seed=seed)


def spread(values: list[int]) -> str:
    return " ".join(f"{value}: {number}" for value, number in sorted(Counter(values).items()))


def one(chosen: argparse.Namespace) -> None:
    for dose in chosen.dose or (5.0, 10.0, 60.0, 600.0):
        noticed, alarms = 0, 0
        for k in range(chosen.replicates):
            rng = np.random.default_rng([1, chosen.seed, k, int(dose)])
            iron = RATIOS / (1 + RATIOS)
            share = np.stack([1 - iron, iron], axis=1)
            labels = (fields(rng, 1, chosen.size)[:, :, 0] > 0.25).astype(int)
            noticed += found(rng.poisson(dose * share[labels]), k, range(1, 3)).verdict != "1 phase"
            alarms += found(rng.poisson(dose * share[labels * 0]), k, range(1, 3)).verdict != "1 phase"
        rates = noticed / chosen.replicates, alarms / chosen.replicates
        print(f"{dose:6.0f} counts: two phases noticed {rates[0]:.2f}, false alarms {rates[1]:.2f}", flush=True)


def minor(chosen: argparse.Namespace) -> None:
    y, x = np.indices((chosen.size, chosen.size))
    radius = chosen.size * np.sqrt(0.01 / np.pi)
    for dose in chosen.dose or (2000.0,):
        counted, inside = [], []
        for k in range(chosen.replicates):
            rng = np.random.default_rng([7, chosen.seed, k, int(dose)])
            shares = rng.dirichlet(np.full(5, 4.0)) * np.exp(0.1 * np.outer([0, 1], rng.choice([-1, 1], 5)))
            shares /= shares.sum(axis=1, keepdims=True)
            middle = rng.uniform(radius, chosen.size - radius, 2)
            labels = (np.hypot(y - middle[0], x - middle[1]) < radius).astype(int)
            seg = found(rng.poisson(dose * shares[labels]), k)
            counted.append(seg.n_phases)
            if seg.n_phases == 2:
                inside += [held(seg.ratio(line, LINES[0]), shares[:, i] / shares[:, 0]) for i, line in
                           enumerate(LINES[1:5], 1)]  # fmt: skip
        missed = np.mean(np.array(counted) == 1)
        print(f"{dose:6.0f} counts: phases {spread(counted)}, missed {missed:.2f}; ratios cover 90 %, most, few:",
              *(covered(each) for each in np.array(inside).reshape(-1, 2).T), flush=True)  # fmt: skip


def number(chosen: argparse.Namespace) -> None:
    for dose in chosen.dose or (500.0, 5000.0):
        for phases in (1, 2, 3, 6):
            counted = []
            for k in range(chosen.replicates):
                rng = np.random.default_rng([2, chosen.seed, k, int(dose), phases])
                shares = rng.dirichlet(np.full(6, 2.0), phases)
                counted.append(found(pure(rng, shares, dose, chosen.size)[0], k, range(1, 9)).n_phases)
            right = np.mean(np.array(counted) == phases)
            print(f"{dose:6.0f} counts, {phases} phases: right {right:.2f} ({spread(counted)})", flush=True)


def four_phases() -> np.ndarray:
    iron = [[1.0, ratio, 0.05, 0.05, 0.05, 0.05] for ratio in RATIOS]
    shares = np.array([*iron, [1.0, 0.1, 0.9, 0.3, 0.1, 0.05], [0.6, 0.3, 0.1, 0.1, 0.8, 0.4]])
    return shares / shares.sum(axis=1, keepdims=True)


def four(chosen: argparse.Namespace) -> None:
    shares = four_phases()
    truth = shares[:, 1] / shares[:, 0]
    for dose in chosen.dose or (50.0, 200.0, 1000.0):
        inside: list[np.ndarray] = []
        areas: list[np.ndarray] = []
        accuracy, counted = [], []
        for k in range(chosen.replicates):
            rng = np.random.default_rng([3, chosen.seed, k, int(dose)])
            counts, labels = pure(rng, shares, dose, chosen.size)
            seg = found(counts, k)
            counted.append(seg.n_phases)
            if seg.n_phases != 4:
                continue
            to = match_compositions(pooled(seg, counts), shares)
            accuracy.append((to[seg.labels.values] == labels).mean())
            inside.append(held(seg.ratio("Fe_Ka", "O_Ka"), truth[to])[np.argsort(to)])
            areas.append(
                held(seg.fractions, np.bincount(labels.ravel(), minlength=4)[to] / labels.size)[np.argsort(to)]
            )
        labelled = f"{np.mean(accuracy):.3f}" if accuracy else "-"
        text = f"{dose:6.0f} counts: phases {spread(counted)}; labels {labelled}; Fe/O cover 90 %, resolved of found:"
        print(text, *(covered(phase) for phase in np.array(inside).T), flush=True)
        print("               areas:", *(covered(phase) for phase in np.array(areas).T), flush=True)


def held(estimate: bs.Estimate, truth: np.ndarray) -> np.ndarray:
    """1 where the 90 % interval holds the truth, 0 where not, NaN where there is none."""
    low, high = (end.values for end in estimate.interval(0.9))
    inside = (low - ROUNDING <= truth) & (truth <= high + ROUNDING)  # areas may be known to the pixel
    return np.where(np.isfinite(low), inside, np.nan)


def covered(hits: np.ndarray) -> str:
    known = hits[np.isfinite(hits)]
    return f"{known.mean():.2f} ({len(known)} of {len(hits)})" if len(known) else f"- (0 of {len(hits)})"


def pooled(seg: bs.Segmentation, counts: np.ndarray) -> np.ndarray:
    return np.stack([counts[seg.labels.values == k].sum(axis=0) for k in range(seg.n_phases)])


def scatter(chosen: argparse.Namespace) -> None:
    for dose in chosen.dose or (600.0, 2000.0, 6000.0):
        inside, counted, noticed = [], [], 0
        for k in range(chosen.replicates):
            rng = np.random.default_rng([4, chosen.seed, k, int(dose)])
            labels = (fields(rng, 1, chosen.size)[:, :, 0] > 0.25).astype(int)
            total = rng.poisson(dose, labels.shape)
            ratio = np.log(RATIOS)[labels] + 0.04 * rng.normal(size=labels.shape)
            iron = rng.binomial(total, 1 / (1 + np.exp(-ratio)))
            seg = found(np.stack([total - iron, iron], axis=2), k)
            counted.append(seg.n_phases)
            noticed += bool((seg.scatter > 0).any())
            if seg.n_phases == 2 and seg.data.attrs["resolved"]:
                low, high = (np.sort(end.values)[::-1] for end in seg.ratio("Fe_Ka", "O_Ka").interval(0.9))
                inside.append((low <= RATIOS) & (high >= RATIOS))
        cover = np.mean(inside, axis=0).round(2) if inside else "none resolved"
        rate = noticed / chosen.replicates
        print(f"{dose:6.0f} counts: phases {spread(counted)}; scatter found {rate:.2f}; cover 90 % {cover}", flush=True)


def zoned(chosen: argparse.Namespace) -> None:
    for span, dose in itertools.product((0.1, 0.3), chosen.dose or (100.0, 1000.0, 10_000.0)):
        said, claimed = [], []
        for k in range(chosen.replicates):
            rng = np.random.default_rng([8, chosen.seed, k, int(dose), int(100 * span)])
            ends = (rng.gamma(2.0, 1.0, 5) + 0.05) * np.exp(np.outer([0, span], rng.choice([-1, 1], 5)))
            ends /= ends.sum(axis=1, keepdims=True)
            place = np.linspace(0, 1, chosen.size)[None, :, None] * np.ones((chosen.size, 1, 1))
            seg = found(rng.poisson(dose * ((1 - place) * ends[0] + place * ends[1])), k)
            said.append("varies from pixel to pixel" in seg.verdict)
            claimed.append(seg.n_phases > 1 and bool(np.isfinite(seg.data["intensity_draws"].values).any()))
        rates = f"said to vary {np.mean(said):.2f}, ratios of phases claimed {np.mean(claimed):.2f}"
        print(f"{100 * span:3.0f} %, {dose:6.0f} counts: {rates}", flush=True)


def mixed(chosen: argparse.Namespace) -> None:
    for dose in chosen.dose or (200.0, 1000.0, 5000.0):
        said = np.zeros(2)
        for k in range(chosen.replicates):
            rng = np.random.default_rng([5, chosen.seed, k, int(dose)])
            shares = rng.dirichlet(np.full(6, 1.5), 3)
            amounts = np.clip(fields(rng, 3, chosen.size) + 0.3, 0, None) + 0.02
            projected = rng.poisson(dose * (amounts / amounts.sum(axis=2, keepdims=True)) @ shares)
            for place, counts in enumerate((projected, pure(rng, shares, dose, chosen.size)[0])):
                said[place] += "overlap within" in found(counts, k).verdict
        rates = said / chosen.replicates
        print(f"{dose:6.0f} counts: projected phases found {rates[0]:.2f}, false alarms {rates[1]:.2f}", flush=True)


def times(chosen: argparse.Namespace) -> None:
    timed(chosen.dose or (200.0, 2000.0), chosen.size)


def large(chosen: argparse.Namespace) -> None:
    timed(chosen.dose or (200.0,), 512)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"largest memory of the process {peak:.2f} GiB", flush=True)


def timed(doses: tuple[float, ...], size: int) -> None:
    for dose in doses:
        maps = bs.simulate.iron_oxide_lines(dose, shape=(size, size), seed=0)
        rows = maps.counts.reshape(-1, 2) / np.maximum(maps.counts.sum(axis=2).reshape(-1, 1), 1)

        def ours(maps: bs.LineMaps = maps) -> None:
            bs.segment(maps, phases=range(1, 7), seed=0)

        def kmeans(rows: np.ndarray = rows) -> None:
            for k in range(1, 7):
                KMeans(k, n_init=10, random_state=0).fit(rows)

        seconds = [shortest(run) for run in (ours, kmeans)]
        text = "{:.2f} s, KMeans {:.2f} s".format(*seconds)
        print(f"{size} x {size}, {dose:.0f} counts: {text}, {seconds[0] / seconds[1]:.1f} x", flush=True)


def shortest(run: Callable[[], None]) -> float:
    measured = []
    for _ in range(4):
        begun = time.perf_counter()
        run()
        measured.append(time.perf_counter() - begun)
    return min(measured[1:])


def doses(chosen: argparse.Namespace) -> None:
    """Print how often a phase of a short image is said to be several, and how its ratios agree with a long one's."""
    shares = four_phases()
    for dose in chosen.dose or (30.0, 100.0):
        counted, said, apart, close = [], 0, [], 0
        for k in range(chosen.replicates):
            rng = np.random.default_rng([6, chosen.seed, k, int(dose)])
            labels = fields(rng, 4, chosen.size).argmax(axis=2)
            short, long = (found(rng.poisson(of * shares[labels]), k) for of in (dose, 1000.0))
            counted.append(short.n_phases)
            close += short.n_phases == 3 and long.n_phases == 4
            text, distances = compared(short, long, LINES[1:], LINES[0])
            said += any("does not tell apart" in line for line in text) and short.n_phases == 3
            apart += distances
        words = f"{dose:6.0f} and 1000 counts: phases of the short {spread(counted)}; one for two {close}, said {said}"
        print(words, within(apart), sep="; ", flush=True)


def compared(
    short: bs.Segmentation, long: bs.Segmentation, above: tuple[str, ...], below: str
) -> tuple[list[str], list[float]]:
    """What is said of phases of the same pixels, and how many combined standard deviations their ratios are apart."""
    text: list[str] = []
    distances: list[float] = []
    for line in above:
        both = bs.compare_samples(short, long, line, below, same_pixels=True)
        text += [line for line in str(both).splitlines() if line not in text]
        known = (both.difference.mean / both.difference.sd).values if both.pairs else np.zeros(0)
        distances += known[np.isfinite(known)].tolist()
    return text, distances


def within(distances: list[float]) -> str:
    share = np.mean(np.abs(distances) < 2) if distances else np.nan
    return f"{share:.2f} of {len(distances)} ratios within 2 combined standard deviations"


def dacite(chosen: argparse.Namespace) -> None:
    """Print the ratios of phases that both files show, and phases of the one that are several of the other."""
    folder = Path(os.environ.get("BAYESSPEC_DATA", ".")) / "p45_dacite"
    warnings.simplefilter("ignore")
    short, long = (dacite_phases(folder / name, chosen.seed) for name in DACITE)
    text, distances = compared(short, long, tuple(f"{element}_Ka" for element in ELEMENTS), "Si_Ka")
    print(*text, within(distances), sep="\n")


def dacite_phases(path: Path, seed: int) -> bs.Segmentation:
    maps = bs.element_maps(bs.load(path), [f"{element}_Ka" for element in (*ELEMENTS, "Si")])
    seg = bs.segment(maps, phases=range(1, 7), seed=seed)
    print(f"{path.name}: {seg.verdict}")
    return seg


CASES = {
    "one": one,
    "minor": minor,
    "number": number,
    "four": four,
    "scatter": scatter,
    "zoned": zoned,
    "mixed": mixed,
    "time": times,
    "large": large,
    "doses": doses,
    "dacite": dacite,
}
