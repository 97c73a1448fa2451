"""Forecast standard errors of two oxides' Fe/O ratios against the scatter of fits to simulated images.

For each dose and grain size: the standard errors that `bayesspec.plan_dose` forecasts, and the root mean square error
of `bayesspec.workflows.segment` over the images whose phases it claims.

    python benchmarks/planning.py --replicates 100
"""

import argparse
import itertools

import numpy as np
from segmentation import RATIOS, oxides, reported

from bayesspec import plan_dose


def fitted(counts: np.ndarray, seed: int) -> np.ndarray | None:
    """Errors of both log ratios as `bayesspec.workflows.segment` measures them; None where it claims no two phases."""
    fits = reported(counts, seed)
    if not fits.resolved or fits.measured.n_phases != 2:
        return None
    log_ratios = fits.measured.log_composition[:, 0] - fits.measured.log_composition[:, 1]
    return np.sort(log_ratios)[::-1] - np.log(RATIOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=60)
    parser.add_argument("--dose", type=float, nargs="+", default=[60.0, 200.0, 600.0, 2000.0, 6000.0, 20000.0])
    parser.add_argument("--blur", type=float, nargs="+", default=[2.5, 6.0], help="grain size, pixels")
    parser.add_argument("--size", type=int, default=128)
    chosen = parser.parse_args()
    print("  dose blur | forecast %      rmse %         forecast/rmse | claimed forecast, simulated")
    for blur, dose in itertools.product(chosen.blur, chosen.dose):
        size = (chosen.size, chosen.size)
        plan = plan_dose(RATIOS, areas=(0.6, 0.4), shape=size, blur=blur, doses=[dose]).table
        found = []
        for k in range(chosen.replicates):
            rng = np.random.default_rng([k, int(dose), int(10 * blur)])
            found.append(fitted(oxides(rng, dose=dose, kind="even", grain=str(blur), size=chosen.size)[0], k))
        errors = np.array([e for e in found if e is not None]).reshape(-1, 2)
        rmse = 100 * np.sqrt((errors**2).mean(axis=0)) if len(errors) else np.full(2, np.nan)
        forecast = 100 * (plan["sd"].values[0] / plan["ratio"].values)
        shown = "  ".join("{:6.3f}/{:6.3f}".format(*v) for v in (forecast, rmse, forecast / rmse))
        share = f"{float(plan['claimed'][0]):.2f}, {len(errors) / len(found):.2f}"
        print(f"{dose:6.0f} {blur:4.1f} | {shown} | {share}", flush=True)


if __name__ == "__main__":
    main()
