"""Results of a small fit of every workflow, bit by bit, so that a change that should move no number can show it.

Prints a checksum of each workflow's numbers and how many bytes they are. `--save` keeps the numbers, and `--against`
compares with those of another checkout on the same machine: "same bits", or the largest difference as a share of the
largest value.

    python benchmarks/checksums.py --save before.npz
    python benchmarks/checksums.py --against before.npz
"""

import argparse
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import bayesspec as bs

Numbers = dict[str, np.ndarray]


def of_dataset(data: xr.Dataset) -> Numbers:
    """Every variable and number of a Dataset; text apart."""
    values = {str(name): np.asarray(data[name].values) for name in data.variables}
    return {name: value for name, value in sorted(values.items()) if value.dtype.kind in "biuf"}


def two_phases() -> bs.LineMaps:
    return bs.simulate.iron_oxide_lines(600, (40, 44), blur=3, seed=1)


def four_phases() -> bs.LineMaps:
    image = bs.simulate.compounds(600, (32, 34), seed=2)
    return bs.element_maps(image, ["C_Ka", "Cr_Ka", "Fe_Ka", "Mg_Ka", "O_Ka"])


def particles() -> bs.SpectrumImage:
    return bs.simulate.particles(400, (16, 18), seed=3).rebin(energy=4)


def edges() -> bs.SpectrumImage:
    return bs.simulate.eels_edges(1000, 16, seed=4).rebin(energy=8)


def prior_from() -> Numbers:
    first = bs.unmix(edges(), rank=3, seed=0, draws=30, warmup=10, neighbours=False)
    other = bs.simulate.eels_edges(1500, 17, seed=5).rebin(energy=8)
    second = bs.unmix(other, rank=3, prior_from=first.component(0), seed=1, draws=30, warmup=10, neighbours=False)
    return of_dataset(second.data)


def identified() -> Numbers:
    found = bs.identify_lines(bs.simulate.compounds(2000, (8, 8), seed=6))
    names = "".join(e.element for e in found.found).encode()
    return {"elements": np.frombuffer(names, np.uint8)}


def calibrated() -> Numbers:
    found = bs.calibrate_energy(bs.simulate.iron_oxides(2000, (8, 8), seed=7), ["Fe", "O"])
    values = (*found.offset_ev, *found.gain, *found.resolution_mn_ka_ev, *found.slope_ev)
    return {"calibration": np.array(values)}


def compounds() -> bs.SpectrumImage:
    return bs.simulate.compounds(1500, (8, 9), seed=8)


CASES: Mapping[str, Callable[[], Numbers]] = {
    "segment, 2 phases": lambda: of_dataset(bs.segment(two_phases(), range(1, 4), seed=0).data),
    "segment, compounds": lambda: of_dataset(bs.segment(four_phases(), range(1, 7), seed=0).data),
    "segment, spectra": lambda: of_dataset(
        bs.segment(
            bs.simulate.iron_oxides(600, (24, 26), seed=9),
            range(1, 3),
            elements=["Fe", "O"],
            method="spectra",
            seed=0,
        ).data
    ),
    "unmix, rank found": lambda: of_dataset(bs.unmix(particles(), range(1, 5), seed=0, draws=30, warmup=10).data),
    "unmix, background": lambda: of_dataset(
        bs.unmix(edges(), rank=4, background="power_law", seed=0, draws=30, warmup=10).data
    ),
    "unmix, elements": lambda: of_dataset(
        bs.unmix(bs.simulate.iron_oxides(800, (12, 14), seed=10), rank=2, elements=["Fe", "O"], seed=0).data
    ),
    "unmix, prior_from": prior_from,
    "pca, log": lambda: of_dataset(bs.pca(edges(), range(1, 6), seed=0, draws=20).data),
    "pca, linear": lambda: of_dataset(bs.pca(edges(), 4, link="linear", seed=0, draws=20).data),
    "fit_lines": lambda: of_dataset(bs.fit_lines(compounds(), ["C", "Cr", "Fe", "Mg", "Mn", "O"], seed=0).data),
    "fit_edges": lambda: of_dataset(
        bs.fit_edges(bs.simulate.eels_edges(3000, 16, seed=11), ["C", "Ti", "O"], seed=0).data
    ),
    "model_maps": lambda: of_dataset(bs.model_maps(compounds(), ["C", "Cr", "Fe", "Mg", "Mn", "O"]).data),
    "identify_lines": identified,
    "calibrate_energy": calibrated,
    "select_rank": lambda: of_dataset(bs.select_rank(particles(), range(1, 6), seed=0)),
    "poisson_check": lambda: of_dataset(bs.poisson_check(particles(), seed=0)),
    "check": lambda: of_dataset(bs.check(bs.pca(edges(), 3, seed=0, draws=20), edges())),
}


def checksum(numbers: Numbers) -> str:
    digest = hashlib.sha256()
    for name, value in numbers.items():
        digest.update(f"{name}{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def difference(before: np.ndarray, after: np.ndarray) -> float:
    """Largest difference as a share of the largest value; infinite where shapes or missing values differ."""
    if before.shape != after.shape or not np.array_equal(np.isnan(before * 1.0), np.isnan(after * 1.0)):
        return np.inf
    if not before.size or np.isnan(before * 1.0).all():
        return 0.0
    with np.errstate(invalid="ignore"):
        apart = np.where(before == after, 0.0, np.abs(before * 1.0 - after * 1.0))
    finite = np.abs(before[np.isfinite(before)] * 1.0)
    return float(np.nanmax(apart)) / max(float(finite.max(initial=0.0)), 1e-300)


def compared(before: Numbers, after: Numbers) -> str:
    if checksum(before) == checksum(after):
        return "same bits"
    missing, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    apart = {name: difference(before[name], after[name]) for name in before.keys() & after.keys()}
    worst = max(apart, key=lambda name: apart[name])
    names = "".join(f"; {word}: {', '.join(which)}" for word, which in (("gone", missing), ("new", new)) if which)
    if not apart[worst]:
        return f"same bits of what both have{names}"
    return f"off by {apart[worst]:.1e} in {worst} ({sum(a > 0 for a in apart.values())} of {len(apart)}){names}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--save", type=Path, help="an .npz file to keep the numbers in")
    parser.add_argument("--against", type=Path, help="an .npz file to compare with")
    options = parser.parse_args()
    kept: dict[str, Any] = {}
    before = dict(np.load(options.against)) if options.against else {}
    for case in options.only:
        numbers = CASES[case]()
        kept |= {f"{case}/{name}": value for name, value in numbers.items()}
        old = {key.removeprefix(f"{case}/"): v for key, v in before.items() if key.startswith(f"{case}/")}
        size = sum(value.nbytes for value in numbers.values())
        print(f"{case:<20} {checksum(numbers)} {size:>9} bytes  {compared(old, numbers) if old else ''}", flush=True)
    if options.save:
        np.savez_compressed(options.save, **kept)


if __name__ == "__main__":
    main()
