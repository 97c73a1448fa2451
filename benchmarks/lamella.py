"""A simulated lamella of three minerals that overlap along the beam: at.% of unmixing into lines."""

import contextlib
import io
import sys
import time
from itertools import permutations

import numpy as np
import xraydb
from scipy.ndimage import gaussian_filter

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.workflows.condensed_design import condensed_design

AXIS = 0.15 + 0.01 * np.arange(1200)
ELEMENTS = ["O", "Mg", "Al", "Si", "Ca", "Fe"]
MINERALS = {
    "bridgmanite": {"Mg": 0.445, "Si": 0.419, "Al": 0.074, "Fe": 0.035, "Ca": 0.031, "O": 1.4},
    "ferropericlase": {"Mg": 0.522, "Fe": 0.104, "O": 0.626},
    "Ca-perovskite": {"Ca": 0.188, "Si": 0.173, "O": 0.534},
}
YIELD = {"O": 0.6, "Mg": 0.9, "Al": 1.0, "Si": 1.0, "Ca": 1.0, "Fe": 0.9}
CONTINUUM = 0.2


def atoms(mineral: str) -> np.ndarray:
    values = np.array([MINERALS[mineral].get(e, 0.0) for e in ELEMENTS])
    return 100 * values / values.sum()


def spectra() -> np.ndarray:
    rows = []
    for mineral in MINERALS:
        shares = dict(zip(ELEMENTS, atoms(mineral), strict=True))
        lines = sum(share * YIELD[e] * line_profile(f"{e}_Ka", AXIS) for e, share in shares.items())
        rows.append((1 - CONTINUUM) * lines / lines.sum() + CONTINUUM * bremsstrahlung(AXIS, 200.0))
    return np.stack(rows)


def sample(dose: float, size: int, seed: int) -> tuple[bs.SpectrumImage, np.ndarray]:
    """Grains that taper off along the beam in a matrix, under uneven thickness; no pixel holds one mineral alone."""
    rng = np.random.default_rng(seed)
    second, third = (gaussian_filter(rng.normal(size=(size, size)), 5, mode="wrap") for _ in range(2))
    second, third = (0.9 / (1 + np.exp(-6 * (g / g.std() - 1.0))) for g in (second, third))
    share = np.stack([np.clip(1 - second - third, 0.03, None), second + 0.002, third + 0.002], axis=2)
    thickness = gaussian_filter(rng.normal(size=(size, size)), size / 6, mode="wrap")
    abundance = share / share.sum(axis=2, keepdims=True) * (1 + 0.25 * thickness / np.abs(thickness).max())[..., None]
    counts = rng.poisson(dose * abundance / abundance.sum(axis=2).mean() @ spectra()).astype(np.uint16)
    image = bs.SpectrumImage(
        counts, energy=AXIS, elements=tuple(ELEMENTS), acquisition=bs.Acquisition("EDS", 200.0, 130.0), name="lamella"
    )
    return image, dose * abundance / abundance.sum(axis=2).mean()


def line_counts(abundance: np.ndarray) -> np.ndarray:
    """Expected counts of each element's line from each mineral (mineral, element)."""
    weights = np.stack([atoms(m) / 100 * [YIELD[e] for e in ELEMENTS] for m in MINERALS])
    peaks = np.array([line_profile(f"{e}_Ka", AXIS).sum() for e in ELEMENTS])
    lines = (1 - CONTINUUM) * weights / (weights @ peaks)[:, None]
    return abundance.sum(axis=(0, 1))[:, None] * lines


def k_factors() -> dict[str, float]:
    """Weight-based factors of the simulated yields."""
    return {f"{e}_Ka": xraydb.atomic_mass(e) / YIELD[e] for e in ELEMENTS}


def matched(found: np.ndarray, truth: np.ndarray) -> list[int]:
    """Order of the found components that is nearest to the truth."""
    orders = permutations(range(len(truth)))
    return list(min(orders, key=lambda order: float(np.abs(found[list(order)] - truth).sum())))


def main(runs: int, dose: float = 175.0, size: int = 72, prob: float = 0.9) -> None:
    truth = np.stack([atoms(m) for m in MINERALS])
    errors, widths, covered, amounts, seconds = [], [], [], [], []
    for seed in range(runs):
        image, abundance = sample(dose, size, seed)
        start = time.perf_counter()
        fit = bs.unmix(image, rank=3, elements=ELEMENTS, seed=seed, prob=prob)
        seconds.append(time.perf_counter() - start)
        found = fit.composition(k_factors())["atomic_percent"]
        order = matched(found.mean.values, truth)
        low, high = (end.values[order] for end in found.interval(prob))
        errors.append(found.mean.values[order] - truth)
        widths.append(high - low)
        covered.append((low - 0.01 <= truth) & (truth <= high + 0.01))
        low, high = (end.values[order] for end in fit.fractions.interval(prob))
        part = abundance.sum(axis=(0, 1)) / abundance.sum()
        counted = fit.line_counts.interval(prob)
        least, most = (end.sel(line=[f"{e}_Ka" for e in ELEMENTS]).values[order] for end in counted)
        true = line_counts(abundance)
        amounts.append([((low <= part) & (part <= high)).all(), ((least <= true + 1) & (true <= most + 1)).all()])
    share, counts = np.mean(amounts, axis=0)
    all_at_once = np.mean([one.all() for one in covered])
    print(f"{runs} lamellae of {size} x {size} pixels, {dose:g} counts/pixel, {np.median(seconds):.1f} s each")
    print(f"  mean error {np.abs(errors).mean():.2f} at.%; rms by mineral and element:")
    print(np.sqrt(np.square(errors).mean(axis=0)).round(2))
    print(
        f"  joint {100 * prob:.0f} % ranges hold all {truth.size} values in {all_at_once:.2f} of the runs, each one in"
    )
    print(f"  {np.mean(covered):.3f}; all fractions in {share:.2f}, all line counts in {counts:.2f} of them")
    print("  mean width by mineral and element:")
    print(np.mean(widths, axis=0).round(2))
    print(f"  verdict of the last: {fit.verdict}")


def peer(runs: int, dose: float = 175.0, size: int = 72) -> None:
    """Espm's NMF with the same lines, continuum and bins as columns of its matrix G."""
    try:
        from espm.estimators import SmoothNMF
    except ImportError as missing:
        print(f"espm is left out: {missing}; pip install --no-deps espm")
        return
    truth, factors = np.stack([atoms(m) for m in MINERALS]), k_factors()
    for name, options in {"as it comes": {}, "smooth maps": {"lambda_L": 1.0}}.items():
        errors, seconds = [], []
        for seed in range(runs):
            image, _ = sample(dose, size, seed)
            condensed = condensed_design(image, ELEMENTS, continua=2)
            counts = condensed.counts().reshape(-1, len(condensed.starts)).T.astype(float)
            start = time.perf_counter()
            model = SmoothNMF(
                n_components=3, G=condensed.matrix, shape_2d=(size, size), tol=1e-6, max_iter=1000, random_state=seed,
                verbose=0, **options,
            )  # fmt: skip
            with contextlib.redirect_stdout(io.StringIO()):
                model.fit_transform(counts)
            seconds.append(time.perf_counter() - start)
            places = [condensed.design.lines.index(line) for line in factors]
            found = model.W_[places].T / np.array([YIELD[e] for e in ELEMENTS])
            found = 100 * found / found.sum(axis=1, keepdims=True)
            errors.append(np.abs(found[matched(found, truth)] - truth).mean())
        print(f"espm, {name}: mean error {np.mean(errors):.2f} at.% over {runs} runs, {np.median(seconds):.1f} s each")


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    main(number)
    peer(min(number, 5))
