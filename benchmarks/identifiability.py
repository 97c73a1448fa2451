"""What the counts cannot tell: do the reported bands hold the truth, and how near do the spectra come.

Run: ``python benchmarks/identifiability.py --case {purity,eels,minerals,seeds,all} --replicates 40``.

Purity: three components, 32 x 32 x 100, 500 counts a pixel, no pixel purer than 1, .8 or .6; whether the band of
every component's share of the counts holds the true one, how wide it is, and the coverage of the intervals that are
claimed. EELS: edges on a shared power law, 200, 2000 and 20000 counts a pixel; with ``--problems FILE`` the image is
that of the function ``p1(counts, seed)`` of that file: counts (pixel, channel), abundances, spectra and the sides.
Minerals: X-ray spectra that share lines and a continuum, 16 x 16 pixels; across an interface, in large pure areas,
mixed everywhere, as spots in a matrix. How often a line ratio is said to be identified, and how often its interval
holds. Seeds: whether fits of the sample of `bayesspec demo` end alike with every seed.
"""

from __future__ import annotations

import argparse
import runpy
import time
from collections.abc import Callable

import jax
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment
from unmixing_images import angle, divergence, eels, eels_truth

import bayesspec as bs
from bayesspec.inference.nmf.feasible_set import FeasibleSet, extreme_transforms, fractions
from bayesspec.inference.nmf.minimum_volume import compact
from bayesspec.inference.nmf.mode import fit_mode
from bayesspec.inference.nmf.pixel_groups import group_pixels
from bayesspec.inference.nmf.sampler import sample

Image = tuple[np.ndarray, np.ndarray, np.ndarray]


def impure(purity: float, seed: int, counts: float = 500.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, spectra and shares of the counts; no pixel is purer than asked."""
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.full(100, 0.5), 3)
    mix = (purity - 1 / 3) / (1 - 1 / 3)
    shares = mix * rng.dirichlet(np.full(3, 0.5), 1024) + (1 - mix) / 3
    return rng.poisson(counts * shares @ spectra), spectra, shares.mean(axis=0)


def band(purity: float, seed: int, draws: int) -> np.ndarray:
    """Whether the band holds the truth, its width, whether an interval is claimed and holds; per component."""
    counts, spectra, truth = impure(purity, seed)
    key = jax.random.key(seed)
    fit = sample(counts, compact(fit_mode(counts, 3, key=key), 0, seed), key=key, draws=draws, warmup=100)
    mean = fit.spectra.mean(axis=0)
    truth = truth[linear_sum_assignment(-(mean @ spectra.T))[1]]
    feasible = FeasibleSet(group_pixels(fit.abundance_mean, seed), mean)
    shares = fractions(feasible, extreme_transforms(feasible, seed))
    low, high = shares.min(axis=0), shares.max(axis=0)
    left, right = np.quantile(fit.totals / fit.totals.sum(axis=1, keepdims=True), (0.025, 0.975), axis=0)
    claimed = (high - low) <= 2 * (right - left)
    return np.stack([(low <= truth) & (truth <= high), high - low, claimed, (left <= truth) & (truth <= right)])


def purity_case(replicates: int, draws: int) -> None:
    """Print how often the band holds the true share of the counts."""
    for purity in (1.0, 0.8, 0.6):
        started = time.perf_counter()
        rows = np.stack([band(purity, seed, draws) for seed in range(replicates)])
        inside, width, claimed, covered = np.moveaxis(rows, 1, 0)
        held = f"{covered[claimed > 0].mean():.2f}" if claimed.any() else "none claimed"
        print(
            f"purity {purity}: band holds {inside.mean():.3f} of the components' shares (all three in "
            f"{inside.all(axis=1).mean():.3f} of {replicates}), mean width {width.mean():.3f}; claimed "
            f"{claimed.mean():.2f}, of these 95 % intervals hold {held}; "
            f"{(time.perf_counter() - started) / replicates:.1f} s each",
            flush=True,
        )


def own_image(counts: float, seed: int) -> Image:
    """Edges on a shared power law: counts, abundances, spectra."""
    return eels(counts, seed=seed)[0], *eels_truth(counts, seed=seed)


def problem_of(file: str) -> Callable[[float, int], Image]:
    """The image that a file of problems makes: counts, abundances, spectra."""
    made = runpy.run_path(file)["p1"]

    def image(counts: float, seed: int) -> Image:
        data, abundances, spectra, _ = made(counts, seed)
        return data.astype(np.int64), abundances, spectra

    return image


def eels_case(make: Callable[[float, int], Image], seeds: int, draws: int, neighbours: bool) -> None:  # noqa: FBT001
    """Print angles, band coverage and divergence from the noise-free truth, and the means over the data sets."""
    for counts in (200.0, 2000.0, 20000.0):
        rows = []
        for seed in range(seeds):
            data, abundances, truth = make(counts, seed)
            image = bs.SpectrumImage(
                data.reshape(134, 134, -1), energy=200.0 + 2.0 * np.arange(data.shape[1]), energy_unit="eV"
            )
            started = time.perf_counter()
            fit = bs.unmix(image, 4, seed=seed, draws=draws, neighbours=neighbours)
            seconds = time.perf_counter() - started
            found = fit.spectra["mean"].values.astype(np.float64)
            cosines = found @ truth.T / np.linalg.norm(found, axis=1)[:, None] / np.linalg.norm(truth, axis=1)
            own = truth[linear_sum_assignment(-cosines)[1]]
            table = fit.identifiability
            held = (table["spectra_lower"].values <= own) & (own <= table["spectra_upper"].values)
            off = divergence(abundances @ truth, fit.abundances["mean"].values.reshape(-1, 4), found) / data.size
            rows.append((angle(found, truth), held.mean(), 1e3 * off))
            print(
                f"eels {counts:.0f} counts, seed {seed}: {told(*rows[-1])}, {seconds:.0f} s; {fit.verdict}", flush=True
            )
        print(f"eels {counts:.0f} counts, mean of {seeds}: {told(*np.mean(rows, axis=0))}", flush=True)


def told(degrees: float, held: float, off: float) -> str:
    """Say what was found."""
    return (
        f"angle {degrees:.2f} degrees, band holds {held:.3f} of the entries, "
        f"divergence from the noise-free truth {off:.2f}e-3 an entry"
    )


MINERALS = (
    {"O_Ka": 50.0, "Si_Ka": 25.0, "Mg_Ka": 22.0, "Fe_Ka": 4.0},
    {"O_Ka": 46.0, "Si_Ka": 23.0, "Al_Ka": 15.0, "Ca_Ka": 13.0},
    {"O_Ka": 42.0, "Ti_Ka": 25.0, "Fe_Ka": 28.0},
    {"O_Ka": 40.0, "P_Ka": 20.0, "Ca_Ka": 34.0},
)
"""Counts of the lines of four minerals, in any unit."""
LINE_KEV = {
    "O_Ka": 0.525, "Mg_Ka": 1.254, "Al_Ka": 1.487, "Si_Ka": 1.740, "P_Ka": 2.013, "Ca_Ka": 3.691,
    "Ti_Ka": 4.510, "Fe_Ka": 6.404,
}  # fmt: skip
KINDS = ("interface", "pure", "mixed", "spots")
CONTINUUM = 0.3
"""Share of the counts in the continuum."""


def mineral_spectra(rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Energies in keV (energy,), and spectra (component, energy) that each sum to one."""
    energy = 0.15 + 0.02 * np.arange(420)
    continuum = (15.0 - energy) / energy * np.exp(-0.3 / energy**2)
    found = []
    for mineral in MINERALS[:rank]:
        lines = np.zeros_like(energy)
        for line, counts in mineral.items():
            sigma = 1e-3 * np.sqrt(max(130.0**2 + 2500.0 * (LINE_KEV[line] - 5.895), 900.0)) / 2.3548
            lines += counts * np.exp(-0.5 * ((energy - LINE_KEV[line]) / sigma) ** 2) / sigma
        found.append((1 - CONTINUUM) * lines / lines.sum() + CONTINUUM * continuum / continuum.sum())
    return energy, np.array(found)


def mineral_shares(kind: str, rank: int, rng: np.random.Generator, side: int = 16) -> np.ndarray:
    """Shares of the minerals (y, x, component)."""
    fields = np.stack([gaussian_filter(rng.normal(size=(side, side)), 3, mode="wrap") for _ in range(rank)], axis=2)
    fields /= fields.std(axis=(0, 1))
    if kind == "interface":
        place = np.linspace(0, rank - 1, side)
        own = np.clip(1 - np.abs(place[:, None] - np.arange(rank)), 0, None)[None] * np.ones((side, 1, 1))
    elif kind == "pure":
        own = np.maximum(fields + 0.2, 0) + 1e-3
    elif kind == "mixed":
        own = np.clip(0.6 + 0.25 * fields, 0.05, None)
    else:
        own = np.where(fields > 1.3, 2 * fields, 0.0)
        own[..., 0] = 1.0
    return own / own.sum(axis=2, keepdims=True)


def minerals_case(kind: str, rank: int, counts: float, replicates: int) -> None:
    """Print how often ratios are said to be identified, and how often those hold, of free spectra at 90 %."""
    claimed, held, every, widths = [], [], [], []
    for seed in range(replicates):
        rng = np.random.default_rng([KINDS.index(kind), rank, seed])
        energy, spectra = mineral_spectra(rank)
        shares = mineral_shares(kind, rank, rng)
        elements = sorted({line.split("_")[0] for mineral in MINERALS[:rank] for line in mineral})
        beam = bs.Acquisition("EDS", 15.0, 130.0)
        image = bs.SpectrumImage(
            rng.poisson(counts * shares @ spectra), energy=energy, elements=elements, acquisition=beam
        )
        fit = bs.unmix(image, rank, seed=seed)
        found = fit.spectra["mean"].values.astype(np.float64)
        own = linear_sum_assignment(-(found @ spectra.T))[1]
        for component, true in enumerate(own):
            for line in MINERALS[true]:
                if line == "O_Ka":
                    continue
                ratio = fit.ratio(line, "O_Ka").sel(component=component)
                low, high = (float(end) for end in ratio.interval(0.9))
                truth = MINERALS[true][line] / MINERALS[true]["O_Ka"]
                claimed.append(bool(ratio.identified))
                every.append(low <= truth <= high)
                held += [every[-1]] if claimed[-1] else []
                widths += [(high - low) / truth] if claimed[-1] else []
    told = f"{np.mean(held):.3f} of {len(held)}, median width {np.median(widths):.2f}" if held else "none"
    print(
        f"minerals, {kind}, {rank} components, {counts:.0f} counts, {replicates} images: identified "
        f"{np.mean(claimed):.2f} of {len(claimed)} ratios, of these 90 % intervals hold {told}; "
        f"all hold {np.mean(every):.3f}",
        flush=True,
    )


def seeds_case(counts: float, side: int, seeds: int) -> None:
    """Print how the fits of one image end with different seeds: the sample of `bayesspec demo`, free spectra."""
    image = bs.simulate.iron_oxides(counts, (side, side), seed=0).crop(energy=(0.2, 10.0)).rebin(energy=2)
    for seed in range(seeds):
        started = time.perf_counter()
        fit = bs.unmix(image, 2, seed=seed)
        errors = ", ".join(f"{error:.3f}" for error in fit.data["interval_error"].values)
        print(
            f"seeds, {side} x {side}, {counts:.0f} counts, seed {seed}: {fit.status} "
            f"Errors of ends over widths {errors}; "
            f"Fe_Ka/O_Ka {fit.ratio('Fe_Ka', 'O_Ka')}; {time.perf_counter() - started:.0f} s",
            flush=True,
        )


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=["purity", "eels", "minerals", "seeds", "all"], default="all")
    parser.add_argument("--counts", type=float, nargs="+", default=[1000.0], help="counts a pixel of the minerals")
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 3], help="numbers of minerals")
    parser.add_argument("--replicates", type=int, default=40)
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=list(KINDS), help="how the minerals lie")
    parser.add_argument("--side", type=int, default=128, help="pixels along y and x of the sample of many seeds")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1, help="data sets of the EELS case")
    parser.add_argument("--problems", help="file with the image of the EELS case, in place of our own")
    parser.add_argument("--alone", action="store_true", help="pixels of the EELS case without their neighbours")
    options = parser.parse_args()
    if options.case in ("purity", "all"):
        purity_case(options.replicates, options.draws)
    if options.case in ("minerals", "all"):
        for kind in options.kinds:
            for rank in options.ranks:
                for counts in options.counts:
                    minerals_case(kind, rank, counts, options.replicates)
    if options.case in ("seeds", "all"):
        for counts in options.counts:
            seeds_case(counts, options.side, options.replicates)
    if options.case in ("eels", "all"):
        make = own_image if options.problems is None else problem_of(options.problems)
        eels_case(make, options.seeds, options.draws, not options.alone)


if __name__ == "__main__":
    main()
