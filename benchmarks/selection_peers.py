"""The peers of the choice of the rank: each takes counts (pixel, channel) and a seed, and returns a rank."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np


def scaled(counts: np.ndarray) -> np.ndarray:
    """Counts in units of their noise by the product of row and column sums, as HyperSpy scales them."""
    rows, columns = np.maximum(counts.sum(axis=1, keepdims=True), 0.5), np.maximum(counts.sum(axis=0), 0.5)
    return counts / np.sqrt(rows * columns / counts.sum())


def truncated_svd(counts: np.ndarray, rank: int) -> np.ndarray:
    """Rates by the weighted decomposition, truncated."""
    whitened = scaled(counts)
    u, s, v = np.linalg.svd(whitened, full_matrices=False)
    rows, columns = np.maximum(counts.sum(axis=1, keepdims=True), 0.5), np.maximum(counts.sum(axis=0), 0.5)
    return (u[:, :rank] * s[:rank]) @ v[:rank] * np.sqrt(rows * columns / counts.sum())


def hyperspy_elbow(counts: np.ndarray, seed: int) -> int:
    """HyperSpy's number of significant components, on its Poisson-scaled decomposition."""
    import hyperspy.api as hs

    ratios = np.square(np.linalg.svd(scaled(counts), compute_uv=False))
    return int(hs.signals.Signal1D(np.zeros(2)).estimate_elbow_position(ratios / ratios.sum())) + 1


def minka(counts: np.ndarray, seed: int) -> int:
    """scikit-learn's PCA(n_components="mle") on scaled counts, its mean counted as a component."""
    from sklearn.decomposition import PCA

    return int(PCA(n_components="mle", svd_solver="full").fit(scaled(counts)).n_components_) + 1


def parallel_analysis(counts: np.ndarray, seed: int, shuffles: int = 20) -> int:
    """Singular values above those of counts whose pixels are shuffled channel by channel."""
    rng, whitened = np.random.default_rng(seed), scaled(counts)
    own = np.linalg.svd(whitened, compute_uv=False)
    null = [np.linalg.svd(rng.permuted(whitened, axis=0), compute_uv=False) for _ in range(shuffles)]
    above = own > np.quantile(null, 0.95, axis=0)
    return max(1, int(np.argmin(np.append(above, False))))


def bic(counts: np.ndarray, seed: int) -> int:
    """Bayesian information criterion of unit noise on scaled counts."""
    pixels, channels = counts.shape
    squares = np.square(np.linalg.svd(scaled(counts), compute_uv=False))
    ranks = np.arange(len(squares) + 1)
    misfit = squares.sum() - np.concatenate([[0.0], np.cumsum(squares)])
    return max(1, int(np.argmin(misfit + ranks * (pixels + channels - ranks) * np.log(pixels * channels))))


def log_normal_bic(counts: np.ndarray, seed: int) -> int:
    """Rank that pyPLNmodels takes by BIC, on half of the pixels."""
    from pyPLNmodels import PlnPCACollection

    part = np.random.default_rng(seed).permutation(counts)[: len(counts) // 2].astype(float)
    models = PlnPCACollection(part[part.sum(axis=1) > 0][:, part.sum(axis=0) > 0], ranks=list(range(1, 9)))
    models.fit(maxiter=200, verbose=False)
    return int(models.best_model("BIC").rank)


PEERS = {
    "HyperSpy elbow": hyperspy_elbow,
    "elbow less one": lambda counts, seed: max(1, hyperspy_elbow(counts, seed) - 1),
    "PCA mle": minka,
    "parallel analysis": parallel_analysis,
    "BIC": bic,
}
if find_spec("pyPLNmodels"):  # it wants an environment of its own
    PEERS["pyPLNmodels"] = log_normal_bic


def pln_run(file: str, rank: int, limit: float) -> None:
    """Print the CPU seconds that pyPLNmodels takes to 1e-4 of its best bound; run in its own environment."""
    import torch
    from pyPLNmodels import PlnPCA

    torch.set_num_threads(1)
    model = PlnPCA(np.load(file).astype(float), rank=rank, add_const=True)
    seconds, bounds, start = [], [], time.process_time()
    while time.process_time() - start < limit:
        model.fit(maxiter=25, tol=0, verbose=False)
        seconds.append(time.process_time() - start)
        bounds.append(float(model.elbo))
    best = max(bounds)
    reached = int(np.argmax(best - np.array(bounds) <= 1e-4 * abs(best)))
    print(f"pyPLNmodels: {seconds[reached]:.1f} CPU s to 1e-4 of its best bound {best:.0f} in {seconds[-1]:.0f} s")
