"""Calibration of composition segmentation; the samples are simulated, but for the last case.

`--case coverage` (two iron oxides, Fe/O 0.783 and 0.698) prints for each dose, kind of dose (even, or smooth by
+-40 %) and grains (blobs of a blur of 2.5 or 6 pixels, blocks of 8 x 8 pixels, or iid pixels): bias, root mean square
error and coverage of the nominal 90 and 95 % intervals of both ratios, coverage of the nominal 90 % interval of the
share of the image, accuracy of the labels beside the Bayes-optimal one of single pixels, calibration error of the
probabilities, and how often two phases are claimed with their ratios; only these count. The other cases are described
in `segmentation_cases.py`: one | minor | number | four | scatter | zoned | mixed | time | large | doses | dacite.

    python benchmarks/segmentation.py --replicates 100 --dose 200 600 2000
    python benchmarks/segmentation.py --case number --replicates 40
"""

import argparse
import itertools
import time
from typing import NamedTuple

import jax
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import norm
from segmentation_cases import CASES

from bayesspec.inference.mixture.area_fractions import area_fraction_draws
from bayesspec.inference.mixture.fit import MixtureFit
from bayesspec.inference.mixture.path import fit_path
from bayesspec.inference.mixture.search import PhaseFits, find_phases

RATIOS = np.array([0.783, 0.698])
SHARES = np.stack([RATIOS / (1 + RATIOS), 1 / (1 + RATIOS)], axis=1)
AREAS = np.array([0.6, 0.4])
HEADER = (
    "  dose kind   grains | bias %       rmse %     sd %       | cover 90 %  95 %      area  "
    "| label best   ece  | claimed"
)


class Replicate(NamedTuple):
    """Errors of both log ratios, their sds, whether the area is covered, label accuracy, the best one, ECE."""

    error: np.ndarray
    sd: np.ndarray
    area: bool
    accuracy: float
    optimal: float
    ece: float


def grains(rng: np.random.Generator, kind: str, size: int) -> np.ndarray:
    """Labels (y, x): two phases over 60 and 40 % of the area."""
    if kind == "iid":
        field = rng.normal(size=(size, size))
    elif kind == "blocks":
        field = np.kron(rng.normal(size=(size // 8, size // 8)), np.ones((8, 8)))
    else:
        field = gaussian_filter(rng.normal(size=(size, size)), float(kind), mode="wrap")
    return (field > np.quantile(field, AREAS[0])).astype(int)


def oxides(rng: np.random.Generator, *, dose: float, kind: str, grain: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts (y, x, line) and labels (y, x)."""
    labels = grains(rng, grain, size)
    thickness = np.ones((size, size))
    if kind == "uneven":
        smooth = gaussian_filter(rng.normal(size=(size, size)), 20, mode="wrap")
        smooth -= smooth.mean()
        thickness = 1 + 0.4 * smooth / np.abs(smooth).max()
    return rng.poisson(dose * (thickness / thickness.mean())[:, :, None] * SHARES[labels]), labels


def reported(counts: np.ndarray, seed: int, largest: int = 2) -> PhaseFits:
    """The fits that `bayesspec.workflows.segment` reports."""
    numbers = range(1, largest + 1)
    path = fit_path(counts, largest, candidates=numbers)
    return find_phases(path, numbers, counts, np.zeros(counts.shape[:2], bool), seed=seed)


def calibration_error(probability: np.ndarray, hit: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the probability of the label: mean over bins of |accuracy - confidence|."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    gap = np.bincount(place, weights=hit - probability, minlength=bins)
    return float(np.abs(gap).sum() / len(probability))


def judged(fits: PhaseFits, counts: np.ndarray, labels: np.ndarray, seed: int) -> Replicate:
    """Compare with the truth."""
    fit = fits.measured
    mean = fit.log_composition[:, 0] - fit.log_composition[:, 1]
    order = np.argsort(-mean)
    contrast = np.zeros((2, len(fit.covariance)))
    contrast[[0, 1, 0, 1], [0, 2, 1, 3]] = [1, 1, -1, -1]
    sd = np.sqrt(np.diag(contrast @ fit.covariance @ contrast.T))
    compositions, shares = fit.draws(jax.random.key(seed), 400)
    if isinstance(fit, MixtureFit):
        options = {"measured": counts.sum(axis=2) > 0, "key": jax.random.key(seed + 1)}
        shares = area_fraction_draws(fit, compositions, shares, counts, fits.covariates, **options)
    low, high = np.quantile(shares[:, order[0]], [0.05, 0.95])
    own = fits.labelled.responsibilities[:, order]
    hit = own.argmax(axis=1) == labels.ravel()
    optimal = (counts @ np.log(SHARES).T + np.log(AREAS)).argmax(axis=2) == labels
    area = low <= (labels == 0).mean() <= high
    error = mean[order] - np.log(RATIOS)
    ece = calibration_error(own.max(axis=1), hit)
    return Replicate(error, sd[order], bool(area), float(hit.mean()), float(optimal.mean()), ece)


def row(cells: list[Replicate], number: int) -> str:
    """One line of figures: both ratios each, the largest first."""
    error, sd = np.array([c.error for c in cells]), np.array([c.sd for c in cells])
    inside = [(np.abs(error) < norm.ppf(0.5 + mass / 2) * sd).mean(axis=0) for mass in (0.9, 0.95)]
    percent = [100 * error.mean(axis=0), 100 * np.sqrt((error**2).mean(axis=0)), 100 * np.median(sd, axis=0)]
    figures = "{:+.2f}/{:+.2f}  ".format(*percent[0]) + "  ".join("{:.2f}/{:.2f}".format(*v) for v in percent[1:])
    cover = "  ".join("{:.2f}/{:.2f}".format(*value) for value in inside)
    area, accuracy, optimal, ece = (np.mean([c[k] for c in cells]) for k in range(2, 6))
    labels = f"{accuracy:.3f} {optimal:.3f} {ece:.3f}"
    return f"| {figures} | {cover}  {area:.2f}  | {labels} | {len(cells)} of {number}"


def coverage(chosen: argparse.Namespace) -> None:
    """Print a line a cell."""
    print(HEADER)
    for dose, kind, grain in itertools.product(chosen.dose, chosen.kind, chosen.grains):
        begun, cells = time.perf_counter(), []
        for k in range(chosen.replicates):
            rng = np.random.default_rng([chosen.seed, k, sum(map(ord, grain)), int(dose), kind == "even"])
            counts, labels = oxides(rng, dose=dose, kind=kind, grain=grain, size=chosen.size)
            fits = reported(counts, k)
            if fits.measured.n_phases == 2 and fits.resolved and fits.measured.convergence.converged:
                cells.append(judged(fits, counts, labels, k))
        seconds = (time.perf_counter() - begun) / chosen.replicates
        begin = f"{dose:6.0f} {kind:6s} {grain:6s} "
        print(
            begin + (row(cells, chosen.replicates) if cells else "| none is claimed") + f"  {seconds:.2f} s", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="coverage", choices=["coverage", *CASES])
    parser.add_argument("--replicates", type=int, default=40)
    parser.add_argument("--dose", type=float, nargs="+", help="mean counts per pixel")
    parser.add_argument("--kind", nargs="+", default=["even", "uneven"], choices=["even", "uneven"])
    parser.add_argument("--grains", nargs="+", default=["2.5", "6"], help="a blur in pixels, 'blocks' or 'iid'")
    parser.add_argument("--size", type=int, default=128, help="pixels along each side")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.case == "coverage":
        chosen.dose = chosen.dose or [200.0, 600.0, 2000.0]
        coverage(chosen)
    else:
        CASES[chosen.case](chosen)


if __name__ == "__main__":
    main()
