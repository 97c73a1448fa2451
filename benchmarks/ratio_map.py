"""Coverage and error of ratio maps and profiles beside plain division and blurred division; all samples are simulated.

Counts of two lines, Fe/O about 0.75, under an uneven thickness; counts a pixel are those of both lines together, on
average. `map`: zoning along the image (`ramp`) or in patches of 8 pixels (`patches`), by 10 and 30 %; grains of 8 and
26 pixels whose sharp edges cross pixels, 11 % apart (`grains`); one straight edge (`edge`); and samples that break what
Gaussian fields are made for: particles of 6 pixels with three times the ratio (`particles`), a ratio from 0.01 to 1
over the image (`steep`). --holes excludes a share of the pixels. It prints the share of pixels whose 90 % interval
holds the truth, over all images, that which nine in ten images reach, and the share among pixels within one of an edge;
the RMSE in per cent of the ratio, that of plain division (half a count added to both lines), of division after blurs of
1 and 2 pixels, and of the blur that suits the image best, which nobody knows; how often the 90 % interval of the spread
over the pixels holds; how often the verdict says that the ratio varies; and how often the sampler's draws are enough.

`profile`: an interface of a width of 0, 2 and 8 pixels, 12 % and a factor of 3, along a path of 48 pixels in any
direction, 20 pixels summed across. `even`: how often a variation is claimed where there is none. `background`: two
oxides as spectra with a continuum, a tenth of the pixels excluded. `time`: seconds.

    python benchmarks/ratio_map.py --replicates 20
    python benchmarks/ratio_map.py --case profile --replicates 40
    python benchmarks/ratio_map.py --case even --replicates 40
    python benchmarks/ratio_map.py --case background --replicates 10 --counts 30 300
    python benchmarks/ratio_map.py --case time
"""

import argparse
import time
import warnings

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

import bayesspec as bs

LINES = ("Fe_Ka", "O_Ka")
BLURS = (0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12, 20)
KINDS = ("ramp 10", "ramp 30", "patches 10", "patches 30", "grains 8", "grains 26", "edge 11", "particles 6", "steep 0")
FINE = 4
"""Points a pixel along a side, of which a pixel is the mean."""


def smooth(rng: np.random.Generator, shape: tuple[int, int], width: float) -> np.ndarray:
    """Gaussian random field, mean 0 and standard deviation 1."""
    field = gaussian_filter(rng.normal(size=shape), width, mode="wrap")
    return (field - field.mean()) / field.std()


def ratios(kind: str, rng: np.random.Generator, side: int) -> np.ndarray:
    """Ratio (y, x) at FINE points a pixel along a side."""
    name, size = kind.split()
    n = side * FINE
    y, x = np.mgrid[:n, :n] / FINE
    if name == "ramp":
        angle = rng.uniform(0, 2 * np.pi)
        along = np.cos(angle) * x + np.sin(angle) * y
        return 0.75 * np.exp(float(size) / 100 * (along - along.min()) / np.ptp(along))
    if name == "patches":
        return 0.75 * np.exp(float(size) / 100 * np.clip(0.5 + smooth(rng, (n, n), 8 * FINE) / 4, 0, 1))
    if name == "steep":
        return 10 ** (-2 + 2 * x / side)
    if name == "edge":
        angle, shift = rng.uniform(0, 2 * np.pi), rng.uniform(-side / 5, side / 5)
        return np.where(np.cos(angle) * (x - side / 2) + np.sin(angle) * (y - side / 2) > shift, 0.783, 0.698)
    if name == "particles":
        centres = rng.uniform(0, side, (6, 2))
        near = min((np.hypot(y - a, x - b) for a, b in centres), key=lambda d: d.min())
        for a, b in centres:
            near = np.minimum(near, np.hypot(y - a, x - b))
        return np.where(near < float(size) / 2, 2.1, 0.7)
    seeds = rng.uniform(0, side, (max(2, round((side / float(size)) ** 2)), 2))
    owner = np.argmin([(y - a) ** 2 + (x - b) ** 2 for a, b in seeds], axis=0)
    return np.array([0.783, 0.698])[np.arange(len(seeds)) % 2][owner]


def sample(
    kind: str, counts: float, seed: int, side: int, holes: float = 0.0
) -> tuple[bs.LineMaps, np.ndarray, np.ndarray]:
    """Maps, expected counts (y, x, line), and pixels within one of an edge."""
    rng = np.random.default_rng(seed)
    fine = ratios(kind, rng, side)
    dose = np.exp(0.25 * smooth(rng, (side, side), side / 6))
    share = (fine / (1 + fine)).reshape(side, FINE, side, FINE).mean(axis=(1, 3))
    expected = counts * (dose / dose.mean())[..., None] * np.stack([share, 1 - share], axis=-1)
    ratio = share / (1 - share)
    edge = maximum_filter(ratio, 3) / minimum_filter(ratio, 3) > 1.05 if kind[:4] in ("grai", "edge", "part") else None
    mask = rng.random((side, side)) < holes
    maps = bs.LineMaps(rng.poisson(expected), LINES, mask=mask)
    return maps, expected, np.zeros((side, side), bool) if edge is None else edge


def divided(counts: np.ndarray, sigma: float) -> np.ndarray:
    above, below = (gaussian_filter(counts[..., i].astype(float), sigma) if sigma else counts[..., i] for i in (0, 1))
    return (above + (0.5 if not sigma else 1e-9)) / (below + (0.5 if not sigma else 1e-9))


def map_row(kind: str, counts: float, seed: int, side: int, holes: float) -> dict[str, float]:
    maps, expected, edge = sample(kind, counts, seed, side, holes)
    truth, used = expected[..., 0] / expected[..., 1], maps.valid
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = bs.ratio_map(maps, *LINES, seed=seed)
    low, high = (end.values for end in found.ratio.interval(0.9))
    inside = (low <= truth) & (truth <= high)
    ends = [float(end) for end in found.spread.interval(0.9)]

    def error(guess: np.ndarray) -> float:
        return 100 * float(np.sqrt(np.mean((guess / truth - 1)[used] ** 2)))

    blurred = {s: error(divided(np.where(used[..., None], maps.counts, 0), s)) for s in (0, *BLURS)}
    return {
        "coverage": float(inside[used].mean()),
        "at edges": float(inside[used & edge].mean()) if (used & edge).any() else np.nan,
        "rmse": error(found.ratio.mean.values),
        "division": blurred[0],
        "blur 1": blurred[1],
        "blur 2": blurred[2],
        "best blur": min(blurred.values()),
        "varies": float("varies," in found.verdict),
        "spread": float(ends[0] <= np.log(truth[used]).std() <= ends[1]),
        "settled": float(found.converged),
    }


def of_maps(chosen: argparse.Namespace) -> None:
    print("kind, counts: coverage (tenth percentile over images; at edges); RMSE %: field, division, blur 1, blur 2, "
          "best blur; spread held; said to vary; enough draws")  # fmt: skip
    for kind in chosen.kinds:
        for counts in chosen.counts:
            rows = [map_row(kind, counts, 1000 + r, chosen.side, chosen.holes) for r in range(chosen.replicates)]
            m = {key: np.mean([row[key] for row in rows]) for key in rows[0]}
            tenth = np.quantile([row["coverage"] for row in rows], 0.1)
            print(f"{kind:12s} {counts:6g}: {m['coverage']:.3f} ({tenth:.2f}; {m['at edges']:.2f});  {m['rmse']:6.2f} "
                  f"{m['division']:7.1f} {m['blur 1']:7.2f} {m['blur 2']:7.2f} {m['best blur']:7.2f};  "
                  f"{m['spread']:.2f}; {m['varies']:.2f}; {m['settled']:.2f}", flush=True)  # fmt: skip


def interface(
    width: float, contrast: float, counts: float, seed: int, side: int
) -> tuple[bs.LineMaps, list, np.ndarray]:
    """An interface in the middle, the path across it, and expected counts (y, x, line)."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.sin(angle), np.cos(angle)])
    y, x = np.mgrid[: side * FINE, : side * FINE] / FINE
    away = (y - side / 2) * along[0] + (x - side / 2) * along[1] + rng.uniform(-6, 6)
    rise = 1 / (1 + np.exp(-np.clip(4 * away / width, -50, 50))) if width else (away > 0).astype(float)
    ratio = 0.7 * contrast**rise
    share = (ratio / (1 + ratio)).reshape(side, FINE, side, FINE).mean(axis=(1, 3))
    dose = np.exp(0.25 * smooth(rng, (side, side), side / 6))
    expected = counts * (dose / dose.mean())[..., None] * np.stack([share, 1 - share], axis=-1)
    path = [tuple(side / 2 + s * 23.5 * along) for s in (-1, 1)]
    return bs.LineMaps(rng.poisson(expected), LINES), path, expected


def of_profiles(chosen: argparse.Namespace) -> None:
    print("width, contrast, counts a pixel: coverage (tenth percentile); near the interface; RMSE %: field, division")
    for width in (0, 2, 8):
        for contrast in (1.12, 3.0):
            for counts in chosen.counts:
                rows = [profile_row(width, contrast, counts, 1000 + r, chosen.side) for r in range(chosen.replicates)]
                cover, near, rmse, plain = np.nanmean(rows, axis=0)
                tenth = np.quantile([row[0] for row in rows], 0.1)
                print(f"{width:2d} px x{contrast:<5g}{counts:6g}: {cover:.3f} ({tenth:.2f}); {near:.2f};  {rmse:6.2f} "
                      f"{plain:6.2f}", flush=True)  # fmt: skip


def profile_row(width: float, contrast: float, counts: float, seed: int, side: int) -> tuple[float, ...]:
    maps, path, expected = interface(width, contrast, counts, seed, side)
    found = bs.profile(maps, *LINES, path, across=20, seed=seed)
    truth = expected_along(expected, path)
    low, high = (end.values for end in found.ratio.interval(0.9))
    inside, steps = (low <= truth) & (truth <= high), np.abs(np.gradient(np.log(truth)))
    near = np.abs(np.arange(len(truth)) - steps.argmax()) <= 3
    summed = along_path(maps.counts, path)
    plain = (summed[:, 0] + 0.5) / (summed[:, 1] + 0.5)
    errors = [100 * np.sqrt(np.mean((guess / truth - 1) ** 2)) for guess in (found.ratio.mean.values, plain)]
    return float(inside.mean()), float(inside[near].mean()), *errors


def along_path(values: np.ndarray, path: list) -> np.ndarray:
    """Sums (point, line) over the pixels of each point of a straight path, 20 pixels across."""
    start, end = np.array(path)
    unit = (end - start) / np.hypot(*(end - start))
    y, x = np.indices(values.shape[:2])
    along = (y - start[0]) * unit[0] + (x - start[1]) * unit[1]
    away = (y - start[0]) * unit[1] - (x - start[1]) * unit[0]
    points = int(np.hypot(*(end - start)) + 1e-9) + 1
    used = (np.abs(away) <= 10) & (along >= -0.5) & (along < np.hypot(*(end - start)) + 0.5)
    place = np.clip(np.rint(np.clip(along, 0, None)), 0, points - 1).astype(int)
    return np.stack([np.bincount(place[used], values[used][:, i], points) for i in (0, 1)], axis=1)


def expected_along(expected: np.ndarray, path: list) -> np.ndarray:
    summed = along_path(expected, path)
    return summed[:, 0] / summed[:, 1]


def of_even(chosen: argparse.Namespace) -> None:
    for counts in chosen.counts:
        rows = [map_row("ramp 0", counts, 1000 + r, chosen.side, chosen.holes) for r in range(chosen.replicates)]
        cover, varies, rmse = (np.mean([row[key] for row in rows]) for key in ("coverage", "varies", "rmse"))
        print(f"even {counts:6g}: said to vary {varies:.3f}; coverage {cover:.3f}; RMSE {rmse:.2f} %", flush=True)


def of_background(chosen: argparse.Namespace) -> None:
    for counts in chosen.counts:
        covers, errors, seconds = [], [], []
        for seed in range(chosen.replicates):
            image = bs.simulate.iron_oxides(counts, (chosen.side, chosen.side), seed=seed)
            image = image.with_mask(np.random.default_rng(seed).random(image.shape[:2]) < 0.1)
            truth = np.asarray(image.truth["ratio"])[image.truth["labels"]]
            start = time.perf_counter()
            found = bs.ratio_map(image, *LINES, seed=seed)
            seconds.append(time.perf_counter() - start)
            low, high = (end.values for end in found.ratio.interval(0.9))
            used = image.valid
            covers.append(((low <= truth) & (truth <= high))[used].mean())
            errors.append(100 * np.sqrt(np.mean((found.ratio.mean.values / truth - 1)[used] ** 2)))
        print(f"oxides, spectra {counts:6g}: coverage {np.mean(covers):.3f} (tenth percentile "
              f"{np.quantile(covers, 0.1):.2f}); RMSE {np.mean(errors):.2f} %; {np.median(seconds):.0f} s",
              flush=True)  # fmt: skip


def of_time(chosen: argparse.Namespace) -> None:
    for side in (64, 128, 256):
        maps = sample("grains 8", 100, 0, side)[0]
        for run in ("first", "again"):
            start = time.perf_counter()
            bs.ratio_map(maps, *LINES)
            print(f"{side} x {side}, {run}: {time.perf_counter() - start:.1f} s", flush=True)


CASES = {"map": of_maps, "profile": of_profiles, "even": of_even, "background": of_background, "time": of_time}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, default="map")
    parser.add_argument("--replicates", type=int, default=10)
    parser.add_argument("--counts", type=float, nargs="+", default=[3, 30, 300, 3000])
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--holes", type=float, default=0.0)
    options = parser.parse_args()
    CASES[options.case](options)
