"""The flat sample of six lines: two phases, Mn Kb under Fe Ka; ratios, coverage and labels against their best."""

import sys
import time

import numpy as np
from scipy.ndimage import gaussian_filter

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile

AXIS = 0.15 + 0.01 * np.arange(790)
ELEMENTS = ("C", "Cr", "Fe", "Mg", "Mn", "O")
FIRST = {"C_Ka": 0.25, "Cr_Ka": 0.10, "Fe_Ka": 0.783, "Mg_Ka": 0.30, "Mn_Ka": 0.060, "O_Ka": 1.0}
SECOND = {"C_Ka": 0.25, "Cr_Ka": 0.08, "Fe_Ka": 0.698, "Mg_Ka": 0.36, "Mn_Ka": 0.048, "O_Ka": 1.0}
CONTINUUM = 0.3
RATIOS = (("Fe_Ka", "O_Ka"), ("Mn_Ka", "Fe_Ka"))


def spectrum(lines: dict[str, float]) -> np.ndarray:
    peaks = sum(weight * line_profile(name, AXIS) for name, weight in lines.items())
    return (1 - CONTINUUM) * peaks / peaks.sum() + CONTINUUM * bremsstrahlung(AXIS, 200.0)


def sample(dose: float, size: int, seed: int) -> tuple[bs.SpectrumImage, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    grains = gaussian_filter(rng.normal(size=(size, size)), 6, mode="wrap")
    labels = (grains > np.quantile(grains, 0.6)).astype(int)
    spectra = np.stack([spectrum(FIRST), spectrum(SECOND)])
    counts = np.stack([rng.poisson(dose * spectra[row]) for row in labels])
    image = bs.SpectrumImage(
        counts, energy=AXIS, elements=ELEMENTS, acquisition=bs.Acquisition("EDS", 200.0, 130.0), name="flat sample"
    )
    return image, labels, spectra


def best_accuracy(image: bs.SpectrumImage, labels: np.ndarray, spectra: np.ndarray) -> float:
    score = np.asarray(image.counts, np.float64) @ np.log(spectra.T) + np.log([0.6, 0.4])
    return float((score.argmax(axis=2) == labels).mean())


def run(dose: float, runs: int, size: int = 96) -> None:
    rows, inside, accuracy = [], [], []
    start = time.perf_counter()
    for seed in range(runs):
        image, labels, spectra = sample(dose, size, seed)
        seg = bs.segment(image, phases=2, method="spectra", seed=seed)
        first = float(seg.ratio("Fe_Ka", "O_Ka").mean[0]) > float(seg.ratio("Fe_Ka", "O_Ka").mean[1])
        order = [0, 1] if first else [1, 0]
        truth = np.array([[phase[a] / phase[b] for phase in (FIRST, SECOND)] for a, b in RATIOS])
        found = [seg.ratio(a, b) for a, b in RATIOS]
        mean = np.stack([r.mean.values[order] for r in found])
        low, high = (np.stack([r.interval(0.9)[i].values[order] for r in found]) for i in (0, 1))
        rows.append(mean / truth - 1)
        inside.append((low <= truth) & (truth <= high))
        here = np.array(order).argsort()[seg.labels.values] if not first else seg.labels.values
        accuracy.append((float((here == labels).mean()), best_accuracy(image, labels, spectra)))
    rms, cover = 100 * np.sqrt(np.square(rows).mean(axis=0)), np.mean(inside, axis=0)
    print(f"{dose:g} counts/pixel, {runs} runs of {size} x {size}, {(time.perf_counter() - start) / runs:.1f} s a run")
    for (a, b), error, share, bias in zip(RATIOS, rms, cover, 100 * np.mean(rows, axis=0), strict=True):
        print(f"  {a}/{b}: rms {error.round(2)} %, bias {bias.round(2)} %, 90 % intervals cover {share.round(2)}")
    ours, best = np.mean(accuracy, axis=0)
    print(f"  labels right {ours:.4f}, best from a pixel's own counts {best:.4f}")


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    for dose in (500.0, 5000.0):
        run(dose, runs)
