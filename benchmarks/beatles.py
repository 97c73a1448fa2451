"""Four pictures back from 10,000 mixtures of 64 x 64 points: correlation with the truth, against counts per point."""

import argparse
import time
import warnings

import numpy as np

import bayesspec as bs

POINTS = 64 * 64
METHODS = {
    "SVD + ICA": lambda image: bs.classical.ica(image, 4, seed=0),
    "NMF": lambda image: bs.classical.nmf(image, 4, seed=0),
    "bayesspec": lambda image: bs.unmix(image, rank=4, seed=0, draws=50),
}


def correlations(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Correlation of each found picture with its own, best assignment."""
    table = np.corrcoef(found, true)[: len(found), len(found) :]
    return table[np.arange(len(found)), bs.labels.match_components(found, true)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--levels", nargs="+", type=float, default=[0.3, 3.0, 30.0, 3e4], help="counts per point")
    parser.add_argument("--side", type=int, default=100, help="side x side mixtures")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("counts per point | method | mean correlation | worst | seconds")
    for level in options.levels:
        image = bs.simulate.beatles(level * POINTS, (options.side, options.side), seed=1)
        for name, method in METHODS.items():
            start = time.perf_counter()
            found = method(image).spectra["mean"].values
            seconds, right = time.perf_counter() - start, correlations(found, image.truth["spectra"])
            print(f"{level:g} | {name} | {right.mean():.5f} | {right.min():.5f} | {seconds:.0f}", flush=True)


if __name__ == "__main__":
    main()
