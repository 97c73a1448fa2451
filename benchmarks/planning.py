"""Forecast standard errors of two oxides' Fe/O ratios against the scatter of fits to simulated images.

For each dose and grain size: the standard errors that `bayesspec.plan_dose` forecasts, and the root mean square error
of `bayesspec.segment` over the images whose phases it claims.

    python benchmarks/planning.py --replicates 100
"""

import argparse
import itertools

import numpy as np
from segmentation import log_ratios, oxides

from bayesspec import plan_dose
from bayesspec.inference.mixture import fit_path, with_covariates
from bayesspec.inference.neighbours import CLEAR_BIC, neighbour_covariates
from bayesspec.inference.phase_scores import dose_covariates

RATIOS = (0.783, 0.698)


def fitted(counts: np.ndarray) -> np.ndarray | None:
    """Errors of both log ratios as `bayesspec.segment` measures them; None where it claims no two phases."""
    one, two = fit_path(counts, 2)
    dose = dose_covariates(counts.sum(axis=2))
    fit = with_covariates(two, counts, np.concatenate([neighbour_covariates(counts, two), dose], axis=2))
    if one.bic - fit.bic <= CLEAR_BIC:
        fit = with_covariates(two, counts, dose)
        if two.bic >= one.bic:
            return None
    return log_ratios(fit)[0] - np.log(RATIOS)


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
            found.append(fitted(oxides(rng, dose=dose, kind="even", blur=blur, size=chosen.size)[0]))
        errors = np.array([e for e in found if e is not None]).reshape(-1, 2)
        rmse = 100 * np.sqrt((errors**2).mean(axis=0)) if len(errors) else np.full(2, np.nan)
        forecast = 100 * (plan["sd"].values[0] / plan["ratio"].values)
        shown = "  ".join("{:6.3f}/{:6.3f}".format(*v) for v in (forecast, rmse, forecast / rmse))
        share = f"{float(plan['claimed'][0]):.2f}, {len(errors) / len(found):.2f}"
        print(f"{dose:6.0f} {blur:4.1f} | {shown} | {share}", flush=True)


if __name__ == "__main__":
    main()
