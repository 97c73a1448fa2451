"""The classical methods, through scikit-learn: k-means, SVD, NMF and ICA. None of them knows its error."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, text
from bayesspec.image.count_matrix import counts_matrix, weighted_svd
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.status import Status
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.line_maps import LineMaps, default_lines, window_maps

FEATURES = {"ratio": "ratios", "normalised": "normalised counts", "counts": "counts"}
_EMPTY_BELOW = 0.1
"""Share of entries that are not zero below which a factorisation starts from NNDSVDa instead of at random."""
_RESTARTS = 10
"""Starts of k-means, of which the best is kept."""


@checked_arguments()
def kmeans(
    data: LineMaps | SpectrumImage, n: int, *, seed: int = 0, of: str = "ratio", smooth: float = 0.0
) -> Segmentation:
    """Cluster the pixels by k-means.

    Parameters
    ----------
    data : LineMaps or SpectrumImage
        Line counts; of an image, those of its elements' default lines.
    n : int
        Number of phases.
    seed : int
        Seed of the starts, of which the best of 10 is kept.
    of : {"ratio", "normalised", "counts"}
        What is clustered: the net counts of each line over those of the last line, over those of all lines,
        or as they are. A pixel where the division is not possible gets the label -1.
    smooth : float
        Standard deviation in pixels of a Gaussian blur of the counts before anything else; 0 for none.

    Returns
    -------
    Segmentation
        Labels, and the intensities of the pooled counts of each phase, without an uncertainty.

    Raises
    ------
    InputError
        When `n` is not between 1 and the number of different pixels, or `of` or `smooth` is not possible.
    """
    from sklearn.cluster import KMeans

    if not isinstance(of, str) or of not in FEATURES or not smooth >= 0:
        needed = f"of one of {list(FEATURES)} and smooth >= 0"
        raise InputError(f"of={of!r}, smooth={smooth}", needed, "bs.classical.kmeans(maps, 2, of='ratio')")
    maps = window_maps(data, default_lines(data)) if isinstance(data, SpectrumImage) else data
    features = _features(maps, of, smooth)
    use = maps.valid & np.isfinite(features).all(axis=2)
    different = len(np.unique(features[use], axis=0))
    if not isinstance(n, int | np.integer) or not 1 <= n <= different:
        needed = f"an integer from 1 to {different}, the number of different pixels"
        raise InputError(f"n={n!r} phases", needed, "bs.classical.kmeans(maps, 2)")
    labels = np.full(use.shape, -1, np.int64)
    labels[use] = KMeans(int(n), n_init=_RESTARTS, random_state=seed).fit_predict(features[use])
    blurred = f", {smooth:g} px blur" if smooth else ""
    settings = {"seed": seed, "n": int(n), "of": of, "smooth_px": smooth, "starts": _RESTARTS}
    return _phases(maps, labels, f"k-means, {FEATURES[of]}{blurred}", settings)


def _phases(maps: LineMaps, labels: npt.NDArray[np.int64], method: str, settings: Mapping[str, Any]) -> Segmentation:
    """Phases of labels alone, in order of area; their compositions are those of the counts pooled over their pixels."""
    area = np.bincount(labels[labels >= 0])
    order = np.argsort(-area, kind="stable")
    labels = np.append(np.argsort(order, kind="stable"), -1)[labels]
    counts, n = maps.window_counts(), len(order)
    pooled = np.stack([counts[labels == phase].sum(axis=0, dtype=np.float64) for phase in range(n)])
    hard = np.eye(n)[np.maximum(labels, 0)]
    hard[labels < 0] = np.nan
    return Segmentation.from_draws(
        maps,
        pooled / pooled.sum(axis=1, keepdims=True),
        hard,
        method=method,
        status=Status.CLASSICAL,
        verdict=f"{n} {'phase' if n == 1 else 'phases'}, as asked for",
        settings=settings,
    )


def _features(maps: LineMaps, of: str, smooth: float) -> npt.NDArray[np.float64]:
    counts = maps.window_counts().astype(np.float64)
    if smooth:
        seen = maps.valid[..., None]
        near = gaussian_filter(counts * seen, (smooth, smooth, 0))
        with np.errstate(invalid="ignore", divide="ignore"):
            counts = near / gaussian_filter(seen * 1.0, (smooth, smooth, 0))
    net = counts @ np.asarray(maps.response).T
    if of == "counts":
        return net
    below = net[..., -1:] if of == "ratio" else net.sum(axis=2, keepdims=True)
    kept = net[..., :-1] if of == "ratio" and net.shape[2] > 1 else net
    return kept / np.where(below > 0, below, np.nan)


def _run(fit: Callable[[], object]) -> Status:
    """Fit, and say how it ended."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        fit()
    stopped = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return Status.CLASSICAL_LIMIT if stopped else Status.CLASSICAL


def _components(
    image: SpectrumImage, spectra: npt.NDArray[np.float64], abundances: npt.NDArray[np.float64], **found: Any
) -> Unmixing:
    """Components without an uncertainty."""
    verdict = f"{len(spectra)} {'component' if len(spectra) == 1 else 'components'}, as asked for"
    return Unmixing.from_draws(image, spectra, abundances, verdict=verdict, interval="none", **found)


def _ordered(
    image: SpectrumImage, spectra: npt.NDArray[np.float64], abundances: npt.NDArray[np.float64], **found: Any
) -> Unmixing:
    """Components without an uncertainty, those of most counts first."""
    order = np.argsort(-np.nansum(np.abs(abundances), axis=(0, 1)), kind="stable")
    return _components(image, spectra[order], abundances[..., order], **found)


@checked_arguments()
def svd(image: SpectrumImage, rank: int) -> Unmixing:
    """Decompose the counts by a singular value decomposition, weighted for Poisson noise.

    Parameters
    ----------
    image : SpectrumImage
        Counts.
    rank : int
        Number of components.

    Returns
    -------
    Unmixing
        Components in order of singular value. Spectra and abundances may be negative and the spectra do not sum to 1:
        their absolute values do, and their largest excursion points up. The Dataset also holds ``singular_values``
        (component,), in units of the noise: noise alone stays below about sqrt(pixels) + sqrt(channels).

    Raises
    ------
    InputError
        When the rank is not possible.

    Notes
    -----
    Source: Keenan and Kotula, Surf. Interface Anal. 36 (2004) 203, doi:10.1002/sia.1657: counts are divided by the
    square root of (pixel sum x channel sum / total) before, and multiplied by it after.
    """
    seen = counts_matrix(image, rank, np.float64)
    spectra, abundances, values = weighted_svd(seen, int(rank))
    return _components(
        image,
        *seen.spread(spectra, abundances, image),
        method="SVD, Poisson-weighted",
        status=Status.CLASSICAL,
        settings={"rank": int(rank)},
        variables={"singular_values": values},
    )


@checked_arguments()
def ica(image: SpectrumImage, rank: int, *, seed: int = 0, max_iterations: int = 1000) -> Unmixing:
    """Rotate the weighted SVD so that the slopes of the spectra become independent.

    Parameters
    ----------
    image : SpectrumImage
        Counts.
    rank : int
        Number of components.
    seed : int
        Seed of the start.
    max_iterations : int
        Most iterations.

    Returns
    -------
    Unmixing
        Components in order of their counts. Spectra and abundances may be negative and the spectra do not
        sum to 1: their absolute values do, and their largest excursion points up.

    Raises
    ------
    InputError
        When the rank is not possible.

    Notes
    -----
    Source: Hyvarinen, IEEE Trans. Neural Netw. 10 (1999) 626, doi:10.1109/72.761722 (FastICA), applied to
    the channel-to-channel differences of the components of the weighted SVD (see `svd`).
    """
    from sklearn.decomposition import FastICA

    seen = counts_matrix(image, rank, np.float64)
    spectra, abundances, _ = weighted_svd(seen, int(rank))
    length = np.linalg.norm(spectra, axis=1)
    spectra, abundances = spectra / length[:, None], abundances * length
    solver = FastICA(int(rank), whiten="unit-variance", random_state=seed, max_iter=max_iterations, tol=1e-6)
    status = _run(lambda: solver.fit(np.diff(spectra, axis=1).T))
    unmix = solver.components_
    found = seen.spread(unmix @ spectra, abundances @ np.linalg.inv(unmix), image)
    settings = {"rank": int(rank), "seed": seed, "max_iterations": max_iterations}
    return _ordered(image, *found, method="ICA", settings=settings, status=status)


@checked_arguments(start=text("start", "start='random'"))
def nmf(
    image: SpectrumImage,
    rank: int,
    *,
    seed: int = 0,
    start: str | None = None,
    max_iterations: int = 200,
    tolerance: float = 1e-4,
) -> Unmixing:
    """Factor the counts into non-negative spectra and abundances by Kullback-Leibler divergence.

    Parameters
    ----------
    image : SpectrumImage
        Counts.
    rank : int
        Number of components.
    seed : int
        Seed of the start.
    start : {"random", "nndsvda"} or None
        Where to start; ``None`` takes ``"nndsvda"`` where fewer than one entry in ten holds counts.
    max_iterations : int
        Most multiplicative updates.
    tolerance : float
        Relative fall of the divergence over ten updates, measured against the start, that ends the fit.

    Returns
    -------
    Unmixing
        Components in order of their counts; spectra sum to 1, abundances are counts.

    Raises
    ------
    InputError
        When the rank or the start is not possible.

    Notes
    -----
    Source: Lee and Seung, Nature 401 (1999) 788, doi:10.1038/44565, with the multiplicative updates of
    Fevotte and Idier, Neural Comput. 23 (2011) 2421, doi:10.1162/NECO_a_00168.
    """
    from sklearn.decomposition import NMF

    if start not in (None, "random", "nndsvda"):
        raise InputError(f"start={start!r}", "'random', 'nndsvda' or None", "bs.classical.nmf(si, 4)")
    seen = counts_matrix(image, rank, np.float32)
    begin = start or ("nndsvda" if seen.filled < _EMPTY_BELOW else "random")
    solver = NMF(
        int(rank),
        init=begin,
        solver="mu",
        beta_loss="kullback-leibler",
        random_state=seed,
        max_iter=max_iterations,
        tol=tolerance,
    )
    weights: list[npt.NDArray[np.float64]] = []
    status = _run(lambda: weights.append(solver.fit_transform(seen.matrix).astype(np.float64)))
    found = seen.spread(solver.components_.astype(np.float64), weights[0], image)
    settings = {"rank": int(rank), "seed": seed, "start": begin, "max_iterations": max_iterations}
    return _ordered(image, *found, method="NMF", settings=settings, status=status)
