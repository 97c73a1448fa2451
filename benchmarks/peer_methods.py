"""The methods that `benchmarks/peers.py` compares: each takes an image and a seed, and returns what it found.

Peers run with the settings of their documentation; what needs a choice gets the right number of phases or components.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from sklearn.decomposition import NMF
from sklearn.mixture import GaussianMixture

import bayesspec as bs


class Phases(NamedTuple):
    """Labels (y, x), ratios (phase,) with the ends of their 90 % intervals, NaN where there are none; how many."""

    labels: np.ndarray
    ratios: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    number: int


class Components(NamedTuple):
    """Spectra (component, energy) summing to 1, maps (pixel, component), ends of the spectra's 90 % intervals.

    The rank is what the method itself would choose, NaN where it does not; the peers are given the right one.
    """

    spectra: np.ndarray
    maps: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    rank: float = np.nan


def hard(labels: np.ndarray, maps: bs.LineMaps) -> Phases:
    """Ratios of the summed counts of each label."""
    sums = np.array([maps.net()[labels == k].sum(axis=0) for k in range(int(labels.max()) + 1)])
    lines = [maps.lines.index(line) for line in maps.truth["ratio_lines"]]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = sums[:, lines[0]] / sums[:, lines[1]]
    none = np.full(len(ratios), np.nan)
    return Phases(labels, ratios, none, none, len(ratios))


def kmeans(of: str, smooth: float) -> Callable[[bs.LineMaps, int, int], Phases]:
    """KMeans as the talk uses it, on ratios or shares, as they are or smoothed."""

    def run(maps: bs.LineMaps, n: int, seed: int) -> Phases:
        found = bs.classical.kmeans(maps, n, seed=seed, of=of, smooth=smooth)
        return hard(found.labels.values, maps)

    return run


def gaussian_mixture(maps: bs.LineMaps, n: int, seed: int) -> Phases:
    """scikit-learn's GaussianMixture on log shares."""
    counts = maps.counts.reshape(-1, len(maps.lines)) + 0.5
    shares = np.log(counts[:, :-1] / counts[:, -1:])
    labels = GaussianMixture(n, n_init=3, random_state=seed).fit_predict(shares)
    return hard(labels.reshape(maps.counts.shape[:2]), maps)


def hyperspy_clusters(maps: bs.LineMaps, n: int, seed: int) -> Phases:
    """HyperSpy's cluster_analysis on spectra that are scaled to the same norm."""
    import hyperspy.api as hs

    signal = hs.signals.Signal1D(maps.counts.astype(np.float64))
    signal.cluster_analysis("signal", n_clusters=n, preprocessing="norm", random_state=seed)
    return hard(np.asarray(signal.get_cluster_labels(merged=True).data, int), maps)


def segmentation(data: bs.LineMaps | bs.SpectrumImage, n: int, seed: int) -> Phases:
    """bayesspec, on line counts or whole spectra; it chooses the number of phases itself."""
    options = {} if isinstance(data, bs.LineMaps) else {"method": "spectra"}
    seg = bs.segment(data, phases=range(1, n + 2), seed=seed, **options)
    ratio = seg.ratio(*data.truth["ratio_lines"])
    lower, upper = (end.values for end in ratio.interval(0.9))
    return Phases(seg.labels.values, ratio.mean.values, lower, upper, seg.n_phases)


def point(spectra: np.ndarray, maps: np.ndarray) -> Components:
    """Spectra and maps turned to positive sums, without intervals."""
    sign = np.where(spectra.sum(axis=1) < 0, -1.0, 1.0)
    scale = np.maximum(np.abs(spectra.sum(axis=1)), 1e-300) * sign
    none = np.full(spectra.shape, np.nan)
    return Components(spectra / scale[:, None], maps.reshape(-1, len(spectra)) * scale, none, none)


def hyperspy_unmixing(algorithm: str, rotation: str | None) -> Callable[[bs.SpectrumImage, int, int], Components]:
    """HyperSpy's decomposition, scaled for Poisson noise; with a rotation, blind source separation after it."""

    def run(image: bs.SpectrumImage, rank: int, seed: int) -> Components:
        import hyperspy.api as hs

        signal = hs.signals.Signal1D(image.counts.astype(np.float64))
        options = {"output_dimension": rank} if algorithm == "NMF" else {}
        signal.decomposition(True, algorithm=algorithm, print_info=False, **options)
        elbow = np.nan if algorithm == "NMF" else float(signal.estimate_elbow_position()) + 1
        if rotation is None:
            return point(
                np.asarray(signal.get_decomposition_factors().data)[:rank],
                np.moveaxis(np.asarray(signal.get_decomposition_loadings().data)[:rank], 0, -1),
            )
        options = {"random_state": seed} if rotation == "sklearn_fastica" else {}
        signal.blind_source_separation(rank, algorithm=rotation, print_info=False, **options)
        loadings = np.moveaxis(np.asarray(signal.get_bss_loadings().data), 0, -1)
        return point(np.asarray(signal.get_bss_factors().data), loadings)._replace(rank=elbow)

    return run


def sklearn_nmf(loss: str, solver: str) -> Callable[[bs.SpectrumImage, int, int], Components]:
    """scikit-learn's NMF from random starts, to its default stop."""

    def run(image: bs.SpectrumImage, rank: int, seed: int) -> Components:
        counts = image.counts.reshape(-1, image.shape[2]).astype(np.float32)
        model = NMF(rank, init="random", beta_loss=loss, solver=solver, max_iter=200, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            maps = model.fit_transform(counts)
        return point(model.components_, maps)

    return run


def espm_nmf(image: bs.SpectrumImage, rank: int, seed: int) -> Components:
    """Espm's SmoothNMF."""
    from espm.estimators import SmoothNMF

    counts = image.counts.reshape(-1, image.shape[2]).astype(np.float64).T
    model = SmoothNMF(n_components=rank, lambda_L=1.0, max_iter=200, shape_2d=image.shape[:2], random_state=seed)
    spectra = model.fit_transform(counts)
    return point(np.asarray(spectra).T, np.asarray(model.H_).T)


def numpyro_svi(image: bs.SpectrumImage, rank: int, seed: int, steps: int = 3000) -> Components:
    """NumPyro's mean-field variational inference of the same model, started near the mean of the counts.

    From NumPyro's own random start it gets nowhere on images of this size.
    """
    from numpyro.infer import init_to_value
    from numpyro.infer.autoguide import AutoNormal

    from bayesspec.inference.svi import run_svi
    from bayesspec.models import poisson_nmf

    counts = image.counts.reshape(-1, image.shape[2])
    totals, summed = counts.sum(axis=1, dtype=float), counts.sum(axis=0, dtype=float) + 0.5
    spectra = summed * np.random.default_rng(seed).uniform(0.5, 1.5, (rank, len(summed)))
    start = {
        "spectra": spectra / spectra.sum(axis=1, keepdims=True),
        "abundances": np.repeat(np.maximum(totals, 1.0)[:, None] / rank, rank, axis=1),
        "shape": np.ones(rank),
        "rate": np.full(rank, rank / totals.mean()),
    }
    guide = AutoNormal(poisson_nmf.model, init_loc_fn=init_to_value(values=start), init_scale=0.05)
    draws = run_svi(
        poisson_nmf.model, (counts,), {"rank": rank}, key=jax.random.key(seed), guide=guide, learning_rate=0.05,
        max_steps=steps, draws=50,
    ).draws  # fmt: skip
    lower, upper = np.quantile(draws["spectra"], [0.05, 0.95], axis=0)
    return Components(draws["spectra"].mean(axis=0), draws["abundances"].mean(axis=0), lower, upper)


def pln_rank(image: bs.SpectrumImage, rank: int, seed: int, pixels: int = 500, channels: int = 64) -> Components:
    """Rank that pyPLNmodels takes by BIC on some pixels and coarse channels; its spectra are not linear parts."""
    from pyPLNmodels import PlnPCACollection

    coarse = image.rebin(energy=image.shape[2] // channels)
    counts = coarse.counts.reshape(-1, coarse.shape[2]).astype(np.float64)
    part = counts[np.random.default_rng(seed).choice(len(counts), pixels, replace=False)]
    models = PlnPCACollection(part[:, part.sum(axis=0) > 0], ranks=list(range(1, 8)))
    models.fit(maxiter=200, verbose=False)
    none = np.empty((0, 0))
    return Components(none, none, none, none, float(models.best_model("BIC").rank))


def unmixing(**options: object) -> Callable[[bs.SpectrumImage, int, int], Components]:
    """Bayesspec, which chooses the rank itself unless a background is asked for."""

    def run(image: bs.SpectrumImage, rank: int, seed: int) -> Components:
        fit = bs.unmix(image, rank if options else range(1, 9), seed=seed, prob=0.9, **options)
        spectra, maps = fit.spectra, fit.abundances["mean"].values
        return Components(
            spectra["mean"].values,
            maps.reshape(-1, fit.rank),
            spectra["lower"].values,
            spectra["upper"].values,
            float(fit.rank),
        )

    return run


SEGMENTING = {
    "KMeans, ratio map": kmeans("ratio", 0.0),
    "KMeans, shares": kmeans("normalised", 0.0),
    "KMeans, 2-pixel blur": kmeans("normalised", 2.0),
    "GaussianMixture": gaussian_mixture,
    "HyperSpy clusters": hyperspy_clusters,
    "bayesspec": segmentation,
}
UNMIXING = {
    "HyperSpy SVD + ICA": hyperspy_unmixing("SVD", "sklearn_fastica"),
    "HyperSpy SVD + orthomax": hyperspy_unmixing("SVD", "orthomax"),
    "HyperSpy NMF": hyperspy_unmixing("NMF", None),
    "sklearn NMF, KL": sklearn_nmf("kullback-leibler", "mu"),
    "sklearn NMF, Frobenius": sklearn_nmf("frobenius", "cd"),
    "espm SmoothNMF": espm_nmf,
    "pyPLNmodels": pln_rank,
    "NumPyro SVI": numpyro_svi,
    "bayesspec": unmixing(),
}
APART = {"bayesspec, background apart": unmixing(background="power_law")}
SPECTRA = {"bayesspec, whole spectra": segmentation}
