"""Calibration of the Poisson factorisation: how often nominal 90 % intervals hold the truth.

Run: ``python benchmarks/unmixing_coverage.py --case {prior,known,smooth,all} --replicates 30``.

Three components, 32 x 32 pixels x 100 channels, truth drawn from the prior. `prior`: the sampler itself, at 100, 500
and 5000 counts a pixel. `known` and `smooth`: 35 % of the counts are a background that all pixels share, of known
shape, or a mixture of four smooth shapes of unknown shares; through `bs.unmix`, at 500 counts a pixel. Its amount in a
pixel is a draw from the prior as well, or with ``--amount proportional`` the same part of the counts in all pixels,
which no background at all would describe as well.
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np
from scipy.optimize import linear_sum_assignment

import bayesspec as bs
from bayesspec.inference.nmf.mode import fit_mode
from bayesspec.inference.nmf.posterior import gamma_quantiles
from bayesspec.inference.nmf.sampler import sample

SIDE, CHANNELS = 32, 100
WINDOW, OTHER = slice(0, 50), slice(50, 100)
BACKGROUND = 0.35
DECAYS = (15.0, 30.0, 60.0, 240.0)
"""Channels over which the smooth shapes fall."""


def covered(truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Share of the truths inside their interval; NaN of none."""
    return float(np.mean((truth >= low) & (truth <= high))) if truth.size else np.nan


def truth_of(rng: np.random.Generator, counts: float) -> tuple[np.ndarray, np.ndarray]:
    """Spectra (component, channel) and abundances (pixel, component) from the prior."""
    spectra = rng.dirichlet(np.full(CHANNELS, 0.5), 3)
    abundances = rng.gamma(rng.uniform(0.5, 2.0, 3), 1.0, (SIDE * SIDE, 3))
    return spectra, abundances * (counts / abundances.sum(axis=1).mean())


def replicate(counts: float, seed: int, draws: int) -> dict[str, float]:
    """Coverage of the sampler's intervals in one data set."""
    rng = np.random.default_rng(seed)
    spectra, abundances = truth_of(rng, counts)
    data, key = rng.poisson(abundances @ spectra), jax.random.key(seed)
    fit = sample(data, fit_mode(data, 3, key=key), key=key, draws=draws, warmup=300, thin=1, probs=(0.05, 0.95))
    order = linear_sum_assignment(-(fit.spectra.mean(axis=0) @ spectra.T))[1]
    spectra, abundances = spectra[order], abundances[:, order]
    low, high = np.quantile(fit.spectra, (0.05, 0.95), axis=0)
    big = spectra * abundances.sum(axis=0)[:, None] > 10
    ratios = fit.spectra[:, :, WINDOW].sum(axis=2) / fit.spectra[:, :, OTHER].sum(axis=2)
    fractions = (abundances / abundances.sum(axis=1, keepdims=True)).mean(axis=0)
    return {
        "spectra": covered(spectra[big], low[big], high[big]),
        "abundances": covered(abundances, *fit.abundance_quantiles),
        "ratio": covered(
            spectra[:, WINDOW].sum(axis=1) / spectra[:, OTHER].sum(axis=1), *np.quantile(ratios, (0.05, 0.95), axis=0)
        ),
        "fraction": covered(fractions, *np.quantile(fit.fractions, (0.05, 0.95), axis=0)),
        "least effective": min(float(size.min()) for size in fit.effective.values()),
    }


def with_background(case: str, amount: str, seed: int, counts: float = 500.0) -> dict[str, float]:
    """Coverage of what `bs.unmix` reports beside a shared background, in one data set."""
    rng = np.random.default_rng(seed)
    spectra, abundances = truth_of(rng, counts * (1 - BACKGROUND))
    own = rng.gamma(rng.uniform(0.5, 2.0), 1.0, (SIDE * SIDE, 1))
    sizes = own if amount == "own" else abundances.sum(axis=1, keepdims=True)
    smooth = np.exp(-np.arange(CHANNELS) / np.array(DECAYS)[:, None])
    smooth /= smooth.sum(axis=1, keepdims=True)
    shape = rng.dirichlet(np.ones(len(smooth))) @ smooth
    data = rng.poisson(abundances @ spectra + BACKGROUND * counts * sizes / sizes.mean() * shape)
    image = bs.SpectrumImage(data.reshape(SIDE, SIDE, -1), energy=1.0 + 0.1 * np.arange(CHANNELS))
    shapes = shape[None] if case == "known" else smooth
    fit = bs.unmix(image, 3, background=shapes, neighbours=False, seed=seed, prob=0.9)
    order = linear_sum_assignment(-(fit.spectra["mean"].values @ spectra.T))[1]
    spectra, abundances = spectra[order], abundances[:, order]
    big = spectra * abundances.sum(axis=0)[:, None] > 10
    drawn = fit.data["spectra_draws"].values
    ratio = spectra[:, WINDOW].sum(axis=1) / spectra[:, OTHER].sum(axis=1)
    ratios, feasible = (
        values[:, :, WINDOW].sum("energy") / np.maximum(values[:, :, OTHER].sum("energy"), 1e-9)
        for values in (fit.spectra_draws(), fit._feasible_spectra)
    )
    low, high = (fit.spectra[end].values for end in ("lower", "upper"))
    low_drawn, high_drawn = np.quantile(drawn, (0.05, 0.95), axis=0)
    sides = [fit.abundances[end].values.reshape(-1, 3) for end in ("lower", "upper")]
    moments = [fit.abundances[name].values.reshape(-1, 3) for name in ("mean", "sd")]
    return {
        "spectra": covered(spectra[big], low[big], high[big]),
        "abundances": covered(abundances, *sides),
        "spectra from the draws": covered(spectra[big], low_drawn[big], high_drawn[big]),
        "abundances from the draws": covered(abundances, *gamma_quantiles(*moments, (0.05, 0.95))),
        "ratio": covered(ratio, *(end.values for end in fit._banded(ratios, "ratio", feasible).interval(0.9))),
        "ratio from the draws": covered(ratio, *np.quantile(ratios, (0.05, 0.95), axis=0)),
        "identified": float(fit.identifiability["identified"].values.mean()),
        "effective": float(fit.data["effective_draws"].min()),
    }


def show(name: str, rows: list[dict[str, float]], seconds: float) -> None:
    """Print the mean of every figure."""
    table = {figure: np.array([row[figure] for row in rows]) for figure in rows[0]}
    known = {figure: values[np.isfinite(values)] for figure, values in table.items()}
    figures = ", ".join(f"{figure} {v.mean():.3g}" if len(v) else f"{figure} none" for figure, v in known.items())
    print(f"{name}, {len(rows)} replicates: {figures}; {seconds / len(rows):.1f} s each", flush=True)


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=["prior", "known", "smooth", "all"], default="all")
    parser.add_argument("--amount", choices=["own", "proportional"], default="own", help="of background in a pixel")
    parser.add_argument("--replicates", type=int, default=30)
    parser.add_argument("--draws", type=int, default=1000)
    options = parser.parse_args()
    for counts in (100, 500, 5000) if options.case in ("prior", "all") else ():
        started = time.perf_counter()
        rows = [replicate(counts, seed, options.draws) for seed in range(options.replicates)]
        show(f"truth from the prior, {counts} counts", rows, time.perf_counter() - started)
    for case in ("known", "smooth"):
        if options.case in (case, "all"):
            started = time.perf_counter()
            rows = [with_background(case, options.amount, seed) for seed in range(options.replicates)]
            show(f"{case} background, {options.amount} amounts", rows, time.perf_counter() - started)


if __name__ == "__main__":
    main()
