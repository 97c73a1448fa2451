"""Calibration of composition segmentation on two simulated iron oxides, Fe/O 0.783 and 0.698.

Prints for each dose, kind of dose (even, or smooth by +-40 %), grain size (blur of the random field that is cut into
blobs) and form of the mixing weights: bias, root mean square error and coverage of the nominal intervals of both
ratios, accuracy of the labels beside that of the Bayes-optimal labels of single pixels, and how often BIC finds two
phases. Weights: `constant`; `quadratic` in the log of the local dose; `steps`, eight steps of the local dose;
`neighbours`, these and the smoothed residuals of the other pixels, with the covariance of blocks, which is what
`bayesspec.segment` measures two clear phases by: only fits that it would call clear count.

    python benchmarks/segmentation.py --replicates 100 --dose 200 600 2000
"""

import argparse
import itertools
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from bayesspec.inference.mixture import fit_path, with_covariates
from bayesspec.inference.mixture_fit import MixtureFit
from bayesspec.inference.neighbours import CLEAR_BIC, neighbour_covariates, widened
from bayesspec.inference.phase_scores import dose_covariates

RATIOS = np.array([0.783, 0.698])
SHARES = np.stack([RATIOS / (1 + RATIOS), 1 / (1 + RATIOS)], axis=1)
AREAS = np.array([0.6, 0.4])
HEADER = (
    "  dose kind   blur weights    | bias %       rmse %     sd %       "
    "| cover 90 %  95 %      | label best  | BIC 2 (replicates)"
)


class Replicate(NamedTuple):
    """Errors of both log ratios, their standard deviations, accuracy, Bayes-optimal accuracy, two phases by BIC."""

    error: np.ndarray
    sd: np.ndarray
    accuracy: float
    optimal: float
    two: bool


def oxides(
    rng: np.random.Generator, *, dose: float, kind: str, blur: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts (y, x, line) and labels (y, x): blobs over 60 and 40 % of the area."""
    field = gaussian_filter(rng.normal(size=(size, size)), blur, mode="wrap")
    labels = (field > np.quantile(field, AREAS[0])).astype(int)
    thickness = np.ones((size, size))
    if kind == "uneven":
        smooth = gaussian_filter(rng.normal(size=(size, size)), 20, mode="wrap")
        smooth -= smooth.mean()
        thickness = 1 + 0.4 * smooth / np.abs(smooth).max()
    return rng.poisson(dose * (thickness / thickness.mean())[:, :, None] * SHARES[labels]), labels


def quadratic(totals: np.ndarray) -> np.ndarray:
    """Standardised log of the local dose and its square (y, x, 2)."""
    smooth = [gaussian_filter(image, 2, mode="constant") for image in (totals.astype(float), np.ones(totals.shape))]
    x = np.log(smooth[0] / smooth[1])
    x = (x - x.mean()) / x.std()
    return np.stack([x, (x**2 - 1) / (x**2).std()], axis=2)


def with_neighbours(one: MixtureFit, two: MixtureFit, counts: np.ndarray) -> MixtureFit | None:
    """Fit as `bayesspec.segment` does where two phases are clear; None where they are not."""
    covariates = np.concatenate([neighbour_covariates(counts, two), dose_covariates(counts.sum(axis=2))], axis=2)
    fit = with_covariates(two, counts, covariates)
    return widened(fit, counts, covariates) if one.bic - fit.bic > CLEAR_BIC else None


WEIGHTS: dict[str, Callable[[MixtureFit, MixtureFit, np.ndarray], MixtureFit | None]] = {
    "constant": lambda one, two, counts: two,
    "quadratic": lambda one, two, counts: with_covariates(two, counts, quadratic(counts.sum(axis=2))),
    "steps": lambda one, two, counts: with_covariates(two, counts, dose_covariates(counts.sum(axis=2))),
    "neighbours": with_neighbours,
}


def log_ratios(fit: MixtureFit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log ratios, largest first, their standard deviations, and the order of the phases."""
    mean = fit.log_composition[:, 0] - fit.log_composition[:, 1]
    order = np.argsort(-mean)
    contrast = np.zeros((2, len(fit.information)))
    contrast[[0, 1, 0, 1], [0, 2, 1, 3]] = [1, 1, -1, -1]
    sd = np.sqrt(np.diag(contrast @ fit.covariance @ contrast.T))
    return mean[order], sd[order], order


def replicates(
    dose: float, kind: str, blur: float, names: list[str], *, number: int, size: int, seed: int
) -> dict[str, list[Replicate]]:
    """Fits to simulated images, by the form of the weights; fits without a covariance are left out."""
    found: dict[str, list[Replicate]] = {name: [] for name in names}
    for k in range(number):
        rng = np.random.default_rng([seed, k, int(10 * blur), int(dose), kind == "even"])
        counts, labels = oxides(rng, dose=dose, kind=kind, blur=blur, size=size)
        one, two = fit_path(counts, 2)
        optimal = float(((counts @ np.log(SHARES).T + np.log(AREAS)).argmax(axis=2) == labels).mean())
        for name in names:
            fit = WEIGHTS[name](one, two, counts)
            if fit is None or not (fit.status.definite and fit.status.converged):
                continue
            mean, sd, order = log_ratios(fit)
            accuracy = float((fit.responsibilities[:, order].argmax(axis=1) == labels.ravel()).mean())
            found[name].append(Replicate(mean - np.log(RATIOS), sd, accuracy, optimal, two.bic < one.bic))
    return found


def row(cells: list[Replicate]) -> str:
    """One line of figures: both ratios each, the largest first."""
    error, sd = np.array([c.error for c in cells]), np.array([c.sd for c in cells])
    inside = [(np.abs(error) < norm.ppf(0.5 + mass / 2) * sd).mean(axis=0) for mass in (0.9, 0.95)]
    percent = [100 * error.mean(axis=0), 100 * np.sqrt((error**2).mean(axis=0)), 100 * np.median(sd, axis=0)]
    figures = "{:+.2f}/{:+.2f}  ".format(*percent[0]) + "  ".join("{:.2f}/{:.2f}".format(*v) for v in percent[1:])
    cover = "  ".join("{:.2f}/{:.2f}".format(*value) for value in inside)
    accuracy, optimal, two = (np.mean([getattr(c, name) for c in cells]) for name in ("accuracy", "optimal", "two"))
    return f"| {figures} | {cover} | {accuracy:.3f} {optimal:.3f} | {two:.2f} ({len(cells)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=40)
    parser.add_argument("--dose", type=float, nargs="+", default=[200.0, 600.0, 2000.0], help="mean counts per pixel")
    parser.add_argument("--kind", nargs="+", default=["even", "uneven"], choices=["even", "uneven"])
    parser.add_argument("--blur", type=float, nargs="+", default=[2.5, 6.0], help="grain size, pixels")
    parser.add_argument("--weights", nargs="+", default=["neighbours"], choices=list(WEIGHTS))
    parser.add_argument("--size", type=int, default=128, help="pixels along each side")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(HEADER)
    for dose, kind, blur in itertools.product(chosen.dose, chosen.kind, chosen.blur):
        begun = time.perf_counter()
        options = {"number": chosen.replicates, "size": chosen.size, "seed": chosen.seed}
        for name, cells in replicates(dose, kind, blur, chosen.weights, **options).items():
            begin = f"{dose:6.0f} {kind:6s} {blur:4.1f} {name:10s} "
            print(begin + (row(cells) if cells else "| none is clear"), flush=True)
        print(f"       {(time.perf_counter() - begun) / chosen.replicates:.2f} s a replicate", flush=True)


if __name__ == "__main__":
    main()
