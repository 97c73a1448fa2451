"""FePt cores in iron-oxide shells: what is said of the core, without and with bare cores measured before.

Run: ``python benchmarks/core_shell.py``, with BAYESSPEC_DATA naming the folder of the data.

Published for the bare cores: Fe Ka over Pt La 0.188 (sums over windows) and 14 to 17 at.% Fe with these k-factors.
"""

import os
import time
import warnings
from pathlib import Path

import numpy as np

import bayesspec as bs

FOLDER = Path(os.environ.get("BAYESSPEC_DATA", "data")) / "fept_core_shell"
LINES = ("Fe_Ka", "Pt_La")
K_FACTORS = {"Fe_Ka": 1.450226, "Pt_La": 5.075602}


def unmixed(name: str, rank: int, prior: bs.Component | None = None) -> bs.Unmixing:
    """Unmix one of the two images; print the ratio, interval, band and composition of its richest component in Pt."""
    image, started = bs.load(FOLDER / name).crop(energy=(0.3, 12.0)).rebin(energy=2), time.perf_counter()
    fit = bs.unmix(image, rank, seed=0, prior_from=prior)
    core, ratio, band = richest(fit), fit.ratio(*LINES), fit.band(*LINES)
    lower, upper = (float(end[core]) for end in ratio.interval())
    table = fit.composition(K_FACTORS)["atomic_percent"]
    print(f"{name}, rank {rank}, {'with' if prior else 'without'} a prior: {time.perf_counter() - started:.0f} s")
    print(f"  {fit.status}")
    print(f"  core: ratio {float(ratio.mean[core]):.3f}, 95 % interval {lower:.3f} to {upper:.3f}, band ", end="")
    print(f"{float(band.lower[core]):.3f} to {float(band.upper[core]):.3f}, identified: {bool(band.identified[core])}")
    for row, value in table.rows():
        if f"component {core}," in row:
            print(f"  {row}: {value} at.%", flush=True)
    return fit


def richest(fit: bs.Unmixing) -> int:
    """Component with the largest share of Pt La among its counts."""
    return int(np.argmax(fit.intensities_of(["Pt_La"]).mean.values[:, 0]))


def main() -> None:
    """Run the three fits."""
    bare = unmixed("bare_core.hspy", 2)
    unmixed("core_shell.hspy", 3)
    unmixed("core_shell.hspy", 3, bare.component(richest(bare)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
