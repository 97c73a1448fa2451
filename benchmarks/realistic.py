"""Coverage of segmentations of samples as they are: boundaries of phases run through pixels.

Grains (a Voronoi diagram on a grid four times as fine as the pixels) are averaged over the pixels and seen through a
probe of Gaussian shape. `--case oxides`: two iron oxides, Fe/O 0.783 and 0.698, equal areas. `--case lines`: three or
five phases of five lines whose log intensities differ by 10 % (standard deviation).

A row prints, for each size of the grains, width of the probe (standard deviation, pixels) and mean counts a pixel, for
`bs.segment` at its defaults: how often the number of phases is right with ratios of all of them, and for those how
often nominal 90 % intervals of the ratios and of the areas hold, the root mean square error of a log ratio in percent,
and the mean share of pixels said to hold two phases. Beside it, the interior of the phases: pixels of the same
labels whose neighbours are of the same phase (`interior=True`), coverage and error; the error relative to that of the
interior of the *true* labels, of `bs.segment` and of KMeans on shares of counts with the number of phases given. A
phase of which the true labels have no interior is left out of both.

`--noise` changes what the file does to the counts: a gain of 1.5 or 2, columns interpolated by half a pixel, the mean
of 4 or 16 frames, or three pixels with 500 to 60,000 counts more. A row then ends with how often the number of phases
is right, and how often the verdict names the noise.

    python benchmarks/realistic.py --images 20
    python benchmarks/realistic.py --case oxides --grains 8 --blur 0.3 --counts 1000 --noise gain1.5 spikes
    python benchmarks/realistic.py --case lines --grains 8 --blur 0 --counts 1000
"""

import argparse
import itertools
import time
import warnings
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm
from sklearn.cluster import KMeans

import bayesspec as bs
from bayesspec.labels import interior

OXIDES = np.array([[1.0, 0.783], [1.0, 0.698]])
LINES = ("O_Ka", "Fe_Ka", "Si_Ka", "Mg_Ka", "Al_Ka")
FINE = 4
THICKNESS = 0.25
HOLES, DARKNESS = 0.9, 0.003
HEADER = (
    "case  phases grain blur counts | claimed  ratio  area  rmse %   two | interior: cover  rmse % "
    "| rmse / true interior: ours KMeans | s"
)


NOISE = {
    "poisson": "",
    "gain1.5": "gain of",
    "gain2": "gain of",
    "interpolated": "interpolated",
    "mean4": "averaged",
    "mean16": "averaged",
    "spikes": "hot pixel",
}
"""What a verdict must say, by the kind of noise."""


class Sample(NamedTuple):
    """Counts and rates (y, x, line), compositions (phase, line) and shares of the phases (y, x, phase)."""

    counts: np.ndarray
    rates: np.ndarray
    compositions: np.ndarray
    shares: np.ndarray


class Judged(NamedTuple):
    """Errors of log ratios to the first line (phase, ratio); whether intervals of ratios and areas hold, or None."""

    error: np.ndarray
    holds: np.ndarray
    areas: np.ndarray
    two: float
    interior_error: np.ndarray
    interior_holds: np.ndarray


def grains(rng: np.random.Generator, phases: int, size: int, width: float) -> np.ndarray:
    """Labels (y, x) of Voronoi grains of a mean width in pixels; each goes to the phase that lacks most area."""
    number = max(phases, round((size / width) ** 2))
    y, x = np.indices((size * FINE, size * FINE)) / FINE
    middles = rng.uniform(0, size, (number, 2))
    owner = np.argmin([(y - v) ** 2 + (x - h) ** 2 for v, h in middles], axis=0)
    area, phase = np.zeros(phases), np.zeros(number, int)
    for grain in rng.permutation(number):
        phase[grain] = area.argmin()
        area[phase[grain]] += (owner == grain).sum()
    return phase[owner]


def sample(
    rng: np.random.Generator, compositions: np.ndarray, counts: float, width: float, blur: float, *, dark: bool = False
) -> Sample:
    """Draw an image of 64 x 64 pixels."""
    size, phases = 64, len(compositions)
    shares = compositions / compositions.sum(axis=1, keepdims=True)
    inside = np.eye(phases)[grains(rng, phases, size, width)]
    inside = inside.reshape(size, FINE, size, FINE, phases).mean(axis=(1, 3))
    field = gaussian_filter(rng.normal(size=(size, size)), size / 6, mode="wrap")
    dose = np.exp(THICKNESS * (field - field.mean()) / field.std())
    if dark:
        holes = gaussian_filter(rng.normal(size=(size, size)), 4, mode="wrap")
        dose[(holes - holes.mean()) / holes.std() > HOLES] = DARKNESS
    rate = counts * (dose / dose.mean())[:, :, None] * (inside @ shares)
    if blur:
        rate = gaussian_filter(rate, (blur, blur, 0), mode="wrap", truncate=6)
    return Sample(rng.poisson(rate), rate, shares, inside)


def recorded(given: Sample, noise: str, rng: np.random.Generator) -> np.ndarray:
    """Counts as a file holds them (y, x, line)."""
    counts = given.counts.copy()
    if noise.startswith("gain"):
        gain = float(noise.removeprefix("gain"))
        return np.rint(gain * rng.poisson(given.rates / gain)).astype(np.int64)
    if noise == "interpolated":
        return np.rint(0.5 * (counts + np.roll(counts, 1, axis=1))).astype(np.int64)
    if noise.startswith("mean"):
        frames = int(noise.removeprefix("mean"))
        return np.rint(rng.poisson(frames * given.rates) / frames).astype(np.int64)
    if noise == "spikes":
        for more in np.exp(rng.uniform(np.log(500), np.log(60_000), 3)):
            counts[tuple(rng.integers(0, counts.shape[:2]))] += rng.multinomial(int(more), given.compositions[0])
    return counts


def compositions_of(case: str, phases: int, rng: np.random.Generator) -> np.ndarray:
    if case == "oxides":
        return OXIDES
    return rng.dirichlet(np.full(5, 4.0)) * np.exp(0.1 * rng.normal(size=(phases, 5)))


def matched(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Place of each true phase among the found ones."""
    distance = (np.square(found[:, None] - truth[None]) / truth[None]).sum(axis=2)
    rows, columns = linear_sum_assignment(distance)
    return rows[np.argsort(columns)]


def log_ratios(shares: np.ndarray) -> np.ndarray:
    """Logarithm of every line's ratio to the first (phase, line - 1)."""
    return np.log(shares[:, 1:] / shares[:, :1])


def pooled(counts: np.ndarray, labels: np.ndarray, phases: int) -> np.ndarray:
    return np.stack([counts[labels == k].sum(axis=0) for k in range(phases)]).astype(float)


def of_interior(given: Sample, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the log ratios (phase, ratio) from the interior of labels, and whether Poisson intervals hold."""
    summed = pooled(given.counts, np.where(interior(labels), labels, -1), len(given.compositions))
    with np.errstate(all="ignore"):
        error = log_ratios(summed) - log_ratios(given.compositions)
        sd = np.sqrt(1 / summed[:, 1:] + 1 / summed[:, :1])
    error[~np.isfinite(error)] = np.nan
    return error, np.abs(error) < norm.ppf(0.95) * sd


def judged(seg: bs.Segmentation, given: Sample) -> Judged | None:
    """Compare a segmentation with the truth; None where it does not claim ratios of the right number of phases."""
    phases = len(given.compositions)
    draws = seg.data["intensity_draws"].values
    if seg.n_phases != phases or not np.isfinite(draws).all():
        return None
    place = matched(draws.mean(axis=0), given.compositions)
    logs = np.log(draws[:, place, 1:] / draws[:, place, :1])
    truth = log_ratios(given.compositions)
    low, high = np.quantile(logs, [0.05, 0.95], axis=0)
    area = given.shares[seg.labels.values >= 0].mean(axis=0)
    below, above = (end.values[place] for end in seg.fractions.interval(0.9))
    labels = np.argsort(place)[seg.labels.values]
    inside = of_interior(given, labels)
    return Judged(
        logs.mean(axis=0) - truth,
        (low <= truth) & (truth <= high),
        (below <= area) & (area <= above),
        seg.mixed_share if "hold two phases" in seg.verdict else 0.0,
        *inside,
    )


def kmeans_error(given: Sample) -> np.ndarray:
    """Errors of the log ratios (phase, ratio) of KMeans on each pixel's shares of counts."""
    rows = given.counts.reshape(-1, given.counts.shape[2]) / np.maximum(given.counts.sum(axis=2).reshape(-1, 1), 1)
    phases = len(given.compositions)
    labels = KMeans(phases, n_init=10, random_state=0).fit_predict(rows).reshape(given.counts.shape[:2])
    summed = pooled(given.counts, labels, phases)
    summed /= summed.sum(axis=1, keepdims=True)
    return log_ratios(summed[matched(summed, given.compositions)]) - log_ratios(given.compositions)


def rms(errors: list[np.ndarray] | np.ndarray) -> float:
    return 100 * float(np.sqrt(np.nanmean(np.square(errors)))) if len(errors) else np.nan


def row(
    case: str, phases: int, noise: str, width: float, blur: float, counts: float, chosen: argparse.Namespace
) -> None:
    """Print the figures of one kind of sample."""
    found, ours, truth, kmeans, said, right, begun = [], [], [], [], [], [], time.perf_counter()
    for k in range(chosen.images):
        rng = np.random.default_rng([chosen.seed, k, phases, int(10 * width), int(10 * blur), int(counts)])
        given = sample(rng, compositions_of(case, phases, rng), counts, width, blur, dark=chosen.dark)
        given = given._replace(counts=recorded(given, noise, rng))
        seg = bs.segment(bs.LineMaps(given.counts, lines=LINES[: given.counts.shape[2]]), seed=k)
        said.append(seg.verdict)
        right.append(seg.n_phases == phases)
        true = of_interior(given, given.shares.argmax(axis=2))[0]
        kmeans.append(np.where(np.isfinite(true), kmeans_error(given), np.nan))
        truth.append(true)
        one = judged(seg, given)
        if one is not None:
            found.append(one)
            ours.append(np.where(np.isfinite(true), one.error, np.nan))
    seconds = (time.perf_counter() - begun) / chosen.images
    begin = f"{case:6s} {phases:5d} {width:5g} {blur:4g} {counts:6g} | {len(found):3d}/{chosen.images:<3d} "
    if found:
        ratio, area, inside = (
            np.mean([getattr(j, name) for j in found]) for name in ("holds", "areas", "interior_holds")
        )
        begin += (
            f" {ratio:.2f}  {area:.2f}  {rms([j.error for j in found]):6.3f}  {np.mean([j.two for j in found]):.2f} "
            f"| {inside:14.2f} {rms([j.interior_error for j in found]):7.3f} "
            f"| {rms(ours) / rms(truth):24.2f} {rms(kmeans) / rms(truth):6.2f} "
        )
    begin += f"| {seconds:.1f}"
    if noise != "poisson":
        named = np.mean([NOISE[noise] in words for words in said])
        begin += f" | {noise}: number right {np.mean(right):.2f}, named {named:.2f}"
    print(begin, flush=True)
    if chosen.verdicts:
        print(*sorted(set(said)), sep="\n    ", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", default=["oxides", "lines"], choices=["oxides", "lines"])
    parser.add_argument("--phases", type=int, nargs="+", default=[3, 5], help="of the case 'lines'")
    parser.add_argument("--grains", type=float, nargs="+", default=[8.0, 26.0], help="mean width in pixels")
    parser.add_argument("--blur", type=float, nargs="+", default=[0.0, 0.3, 0.5, 1.0])
    parser.add_argument("--counts", type=float, nargs="+", default=[300.0, 1000.0, 3000.0, 10000.0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dark", action="store_true", help="with holes over 18 %% of the area, 0.3 %% of the dose")
    parser.add_argument("--noise", nargs="+", default=["poisson"], choices=list(NOISE))
    parser.add_argument("--verdicts", action="store_true", help="print what was said")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    print(HEADER)
    for case in chosen.case:
        numbers = [2] if case == "oxides" else chosen.phases
        for phases, noise, *cell in itertools.product(numbers, chosen.noise, chosen.grains, chosen.blur, chosen.counts):
            row(case, phases, noise, *cell, chosen)


if __name__ == "__main__":
    main()
