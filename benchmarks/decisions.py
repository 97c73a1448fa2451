"""Numbers that decide what is said: how often it is said where it is false, and how often where it is true.

Run: ``python benchmarks/decisions.py {lines,unnamed,edges,check,interior,gain,outliers,maps,uneven,settled}
--replicates 20``. Every row is a sample and the share of its replicates of which the statement is made; the first rows
of a case are samples of which it is false.

lines: "the deviations are larger than those of Poisson counts", of a spectrum with the resolution that the file
states, and with one that is off by 5, 10 and 20 eV. unnamed: "a line that nobody named", of iron oxide and with
chromium in it, whose line is so many standard deviations of what is under it. edges: the same of energy losses, with
ripples of 1, 3 and 10 %. check: `bs.check` of as many components as there are, and of one too few. interior: "the
interior of a phase has another ratio" (`bs.check`), of `bs.segment` on grains whose boundaries cross pixels and are
blurred by half a pixel (`realistic.py`), and of ratios from whole pixels, those of the boundaries among them, with
Poisson errors. gain: `bs.divide_gain` of counts, and of counts times a gain, of smooth maps and of grains; how far the
variances of totals and of their division over the channels are from the gain. outliers: hot and dead channels and
pixels, none there or one. maps: components "not resolved pixel by pixel", and the squared correlation of their maps
with the true ones. uneven: phases whose neighbouring pixels "deviate together", of two phases and of two of which one
is two that are 5 or 10 % apart. settled: how far fits that are said to have converged, of principal components with
either link, of the intensities of every pixel and of those of one spectrum, are from fits of a hundredth of the
tolerance.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from realistic import LINES, OXIDES, sample
from scipy.ndimage import gaussian_filter

import bayesspec as bs
from bayesspec.inference.linear_poisson import every_pixel, one_spectrum
from bayesspec.inference.linear_poisson.every_pixel import fit_pixels
from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.inference.linear_poisson.settings import Settings as LinearPoisson
from bayesspec.inference.outliers import outliers
from bayesspec.inference.pca import linear_link, log_link
from bayesspec.inference.pca.linear_link import fit_linear
from bayesspec.inference.pca.log_link import fit_pca
from bayesspec.inference.pca.settings import SETTINGS
from bayesspec.inference.pca.settings import Settings as PCA
from bayesspec.inference.pixel_pairs import pair_noise
from bayesspec.simulate import line_profile
from bayesspec.workflows.divide_gain import POISSON_RANGE, noise_gain

SIDE, CHANNELS = 16, 48
DOSES = (300, 1000, 3000, 10_000)
Fitted = tuple[np.ndarray, np.ndarray, bool]
"""Values, standard deviations of them, and whether the fit is said to have converged."""


def row(what: str, said: list[bool]) -> None:
    """Print the share of the replicates of which something is said."""
    print(f"{what}: {np.mean(said):.2f} of {len(said)}", flush=True)


def image_of(counts: np.ndarray) -> bs.SpectrumImage:
    """Counts (y, x, channel) as an X-ray image."""
    return bs.SpectrumImage(counts, energy=0.1 + 0.1 * np.arange(counts.shape[2]))


def parts(seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth maps (pixel, part) about 1 and spectra (part, channel) that sum to 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = [1 + np.sin(rng.uniform(2, 6) * y + rng.uniform(2, 6) * x + rng.uniform(0, 6)) for _ in range(number)]
    lines = [np.exp(-0.5 * ((np.arange(CHANNELS) - at) / 2.0) ** 2) + 0.02 for at in np.linspace(6, 42, number)]
    return np.stack(waves, axis=2).reshape(-1, number), np.stack([line / line.sum() for line in lines])


def drawn(seed: int, number: int, dose: float) -> tuple[np.ndarray, np.ndarray]:
    """Counts (y, x, channel) of a dose a pixel, and the true maps (pixel, part)."""
    maps, spectra = parts(seed, number)
    maps = dose * maps / maps.sum(axis=1).mean()
    return np.random.default_rng(seed + 1).poisson(maps @ spectra).reshape(SIDE, SIDE, CHANNELS), maps


def lines(replicates: int) -> None:
    for counts in (1e4, 1e5, 1e6):
        for off in (0.0, 5.0, 10.0, 20.0):
            said = []
            for seed in range(replicates):
                si = bs.simulate.iron_oxides(counts / SIDE**2, (SIDE, SIDE), seed=seed)
                si = replace(si, acquisition=replace(si.acquisition, resolution_mn_ka_ev=130.0 + off))
                fit = bs.fit_lines(si, ["Fe", "O"], calibrate=False, draws=2)
                said.append("deviations" in fit.verdict)
            row(f"lines, {counts:.0e} counts, resolution off by {off:.0f} eV", said)


def unnamed(replicates: int) -> None:
    for counts in (1e4, 1e5, 1e6):
        for sigmas in (0.0, 3.0, 5.0, 8.0, 12.0):
            said, named = [], []
            for seed in range(replicates):
                si = bs.simulate.iron_oxides(counts / SIDE**2, (SIDE, SIDE), seed=seed).rebin(y=SIDE, x=SIDE)
                shape = line_profile("Cr_Ka", si.energy)
                under = float(si.sum_spectrum()[shape > 0.1 * shape.max()].sum())
                more = np.random.default_rng(seed).poisson(sigmas * np.sqrt(max(under, 1.0)) * shape)
                verdict = bs.fit_lines(replace(si, counts=si.counts + more), ["Fe", "O"], draws=2).verdict
                said.append("nobody named" in verdict)
                named.append("Cr" in verdict)
            row(f"unnamed, {counts:.0e} counts, chromium of {sigmas:g} sd: called so {np.mean(named):.2f}, any", said)


def edges(replicates: int) -> None:
    for counts in (1e5, 1e6, 1e7):
        for ripple in (0.0, 0.01, 0.03, 0.1):
            said = []
            for seed in range(replicates):
                si = bs.simulate.eels_edges(counts / SIDE**2, SIDE, seed=seed).rebin(y=SIDE, x=SIDE)
                kept = (1 + ripple * np.sin(np.arange(len(si.energy)) / 3.0)) / (1 + ripple)
                si = replace(si, counts=np.random.default_rng(seed).binomial(si.counts, kept))  # Poisson as before
                said.append("deviations" in bs.fit_edges(si, ["C", "Ti", "Sr", "O"], draws=2).verdict)
            row(f"edges, {counts:.0e} counts, ripple {100 * ripple:.0f} %", said)


def check(replicates: int) -> None:
    for dose in (50, 500, 5000):
        for number in (2, 1):
            said = []
            for seed in range(replicates):
                si = image_of(drawn(seed, 2, dose)[0])
                said.append(not bs.check(bs.pca(si, number, link="linear", draws=2), si).attrs["ok"])
            row(f"check, {dose} counts a pixel, {number} of 2 components", said)


def interior(replicates: int) -> None:
    said: dict[tuple[int, bool], list[bool]] = {(dose, wrong): [] for wrong in (False, True) for dose in DOSES}
    for dose, seed in itertools.product(DOSES, range(replicates)):
        given = sample(np.random.default_rng([seed, dose]), OXIDES, dose, 8.0, 0.5)
        maps = bs.LineMaps(given.counts, lines=LINES[:2])
        seg = bs.segment(maps, phases=2, seed=seed)
        whole = np.eye(2)[seg.labels.values]
        summed = np.einsum("yxk,yxc->kc", whole, given.counts) + 1.0
        draws = np.stack([np.random.default_rng(seed).dirichlet(each, 500) for each in summed], axis=1)
        pooled = bs.Segmentation.from_draws(
            maps, draws, whole, method="whole pixels", fraction_draws=np.full((500, 2), 0.5)
        )
        for wrong, result in ((False, seg), (True, pooled)):
            said[dose, wrong].append("the interior of phase" in bs.check(result).attrs["verdict"])
    for (dose, wrong), each in said.items():
        row(f"interior, {dose} counts a pixel, ratios of {'whole pixels' if wrong else 'bs.segment'}", each)


def grains(seed: int, dose: float) -> np.ndarray:
    """Counts (y, x, channel) of grains of two phases, as long as the image of `drawn`."""
    _, spectra = parts(seed, 2)
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(SIDE, SIDE)), 1.5, mode="wrap")
    return np.random.default_rng(seed + 1).poisson(dose * spectra[(smooth > 0).astype(int)])


def gain(replicates: int) -> None:
    for dose in (200, 2000):
        for kind, make in (("smooth", lambda seed, dose: drawn(seed, 2, dose)[0]), ("grains", grains)):
            for factor in (1.0, 1.2, 1.5, 3.0):
                said, off = [], []
                for seed in range(replicates):
                    image = image_of(np.rint(factor * make(seed, dose)).astype(int))
                    said.append(noise_gain(image) > POISSON_RANGE[1])
                    noise = pair_noise(image.counts, np.ones((SIDE, SIDE), bool))
                    off.append(np.abs([noise.totals / factor - 1, noise.division / factor - 1]))
                totals, division = np.max(off, axis=0)
                row(
                    f"gain {factor}, {kind}, {dose} counts a pixel, totals within {totals:.2f}, division within "
                    f"{division:.2f}, called a gain",
                    said,
                )


def outlying(replicates: int) -> None:
    for mean in (3, 30, 300, 3000):
        for factor in (1.0, 3.0, 6.0, 12.0, 0.0):
            for shape in ((1024,), (64, 64)):
                said = []
                for seed in range(replicates):
                    rng = np.random.default_rng(seed)
                    rate = mean * np.exp(0.3 * np.cos(np.indices(shape).sum(axis=0) / 20))
                    rate[tuple(n // 3 for n in shape)] *= factor
                    said.append(bool(outliers(rng.poisson(rate), np.ones(shape, bool)).any()))
                what = "none" if factor == 1 else f"one times {factor:g}"
                row(f"outliers, {'channels' if len(shape) == 1 else 'pixels'}, {mean} counts, {what}", said)


def uneven(replicates: int) -> None:
    for dose in (200, 1000):
        for apart in (0.0, 0.03, 0.05):
            said = []
            for seed in range(replicates):
                rng = np.random.default_rng(seed)
                smooth = np.stack([gaussian_filter(rng.normal(size=(48, 48)), 4, mode="wrap") for _ in range(3)])
                shares = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.5 * (1 + apart), 0.3, 0.2 - 0.5 * apart]])
                counts = rng.poisson(dose * shares[smooth.argmax(axis=0)])
                seg = bs.segment(bs.LineMaps(counts, lines=("O_Ka", "Fe_Ka", "Si_Ka")), phases=2, draws=20)
                said.append("deviate together" in seg.verdict)
            row(f"uneven, {dose} counts a pixel, two phases, one of them two that are {100 * apart:.0f} % apart", said)


def maps(replicates: int) -> None:
    for dose in (2, 10, 50, 500):
        known: list[float] = []
        told: list[bool] = []
        for seed in range(replicates):
            counts, truth = drawn(seed, 2, dose)
            fit = bs.pca(image_of(counts), 2, link="linear", neighbours=False, draws=2)
            scores = fit.data["scores_mean"].values.reshape(-1, 2)
            design = np.column_stack([np.ones(len(truth)), truth])
            left = scores - design @ np.linalg.lstsq(design, scores, rcond=None)[0]
            known += (1 - left.var(axis=0) / scores.var(axis=0)).tolist()
            told += (fit.data["reliability"].values >= SETTINGS.unreliable).tolist()
        for said in (True, False):
            which = np.array(known)[np.array(told) == said]
            words = "said to be resolved" if said else "said to be not resolved"
            mean = f"{which.mean():.2f}" if len(which) else "-"
            print(f"maps, {dose} counts a pixel, {words}: {len(which)}, squared correlation {mean}", flush=True)


def settled(replicates: int) -> None:
    """Distances of fits that are said to have converged from longer ones, in posterior standard deviations."""
    longer = [
        patch.object(linear_link, "SETTINGS", PCA(settled_change=2e-5)),
        patch.object(linear_link, "SWEEPS", 160),
        patch.object(log_link, "SETTINGS", PCA(bound_rise=1e-8)),
        patch.object(every_pixel, "SETTINGS", LinearPoisson(pixel_gain=1e-6)),
        patch.object(every_pixel, "MOST_STEPS", 3200),
        patch.object(one_spectrum, "SETTINGS", LinearPoisson(spectrum_gain=1e-9)),
        patch.object(one_spectrum, "STEPS", 1200),
    ]

    def linear(counts: np.ndarray, _: np.ndarray) -> Fitted:
        fit = fit_linear(counts, 2)
        sd = np.sqrt(np.einsum("pij,ic,jc->pc", fit.score_covariance, fit.loadings, fit.loadings))
        return fit.scores @ fit.loadings, sd, fit.status.ok

    def log(counts: np.ndarray, _: np.ndarray) -> Fitted:
        fit = fit_pca(counts, 2, max_iterations=2000)
        sd = np.sqrt(np.einsum("pij,ic,jc->pc", fit.score_covariance, fit.components, fit.components))
        return fit.mean_log + fit.scores @ fit.components, sd, fit.status.ok

    def pixels(counts: np.ndarray, spectra: np.ndarray) -> Fitted:
        intensities, covariances, converged = fit_pixels(counts, spectra.T)
        return intensities, np.sqrt(np.diagonal(covariances, axis1=1, axis2=2)), converged

    def spectrum(counts: np.ndarray, spectra: np.ndarray) -> Fitted:
        fit = fit_intensities(spectra.T, counts.sum(axis=0))
        return fit.intensities, np.sqrt(np.diag(np.linalg.inv(fit.information))), fit.converged

    for fit in (linear, log, pixels, spectrum):
        for dose in (20, 200, 2000):
            said, off = [], []
            for seed in range(replicates):
                counts, spectra = drawn(seed, 2, dose)[0].reshape(-1, CHANNELS), parts(seed, 2)[1]
                found, sd, converged = fit(counts, spectra)
                with ExitStack() as stack:
                    for change in longer:
                        stack.enter_context(change)
                    beside = fit(counts, spectra)[0]
                said.append(converged)
                off += [np.sqrt(np.mean(np.square((found - beside) / sd)))] if converged else []
            far = f"{max(off):.3f}" if off else "-"
            row(
                f"settled, {fit.__name__}, {dose} counts a pixel, within {far} sd (rms) of longer fits, converged",
                said,
            )


CASES: dict[str, Callable[[int], None]] = {
    "lines": lines,
    "unnamed": unnamed,
    "edges": edges,
    "check": check,
    "interior": interior,
    "gain": gain,
    "outliers": outlying,
    "maps": maps,
    "uneven": uneven,
    "settled": settled,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="+", choices=list(CASES))
    parser.add_argument("--replicates", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in options.case:
        CASES[name](options.replicates)
