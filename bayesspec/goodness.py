"""How close a result is to the counts: deviances, in blocks of rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, xlogy

from bayesspec.components import Unmixing
from bayesspec.element_maps import LineMaps
from bayesspec.phases import Segmentation
from bayesspec.principal_components import PrincipalComponents
from bayesspec.spectrum_image import SpectrumImage

FLOOR = 1e-3
_BLOCK_VALUES = 2**22


def phase_deviance(maps: LineMaps, result: Segmentation) -> float:
    """Multinomial deviance per pixel of the window counts, given their total.

    Each phase has the composition of its pixels' counts, pooled with the phase probabilities, and each pixel
    is in a phase with probability equal to the area fraction: labels that follow the noise gain nothing.

    Parameters
    ----------
    maps : LineMaps
        The counts.
    result : Segmentation
        Probabilities and area fractions.

    Returns
    -------
    float
        Mean over the pixels with counts; about the number of windows less one where the phases explain all
        but the noise of many counts.
    """
    shares = result.probabilities.values
    use = maps.valid & np.isfinite(shares).all(axis=2)
    counts, shares = maps.window_counts()[use].astype(np.float64), shares[use].astype(np.float64)
    use_counts = counts.sum(axis=1) > 0
    counts, shares = counts[use_counts], shares[use_counts]
    pooled = shares.T @ counts
    kept = pooled.sum(axis=1) > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        composition = pooled[kept] / pooled[kept].sum(axis=1, keepdims=True)
        fractions = shares.mean(axis=0)[kept]
        terms = xlogy(counts[:, None], composition[None]).sum(axis=2) + np.log(fractions)
    mixture = logsumexp(terms, axis=1)
    saturated = xlogy(counts, counts / counts.sum(axis=1, keepdims=True)).sum(axis=1)
    return float(2 * np.mean(saturated - mixture))


def component_deviance(image: SpectrumImage, result: Unmixing | PrincipalComponents) -> tuple[float, float]:
    """Poisson deviance per entry of the reconstruction, and the share of entries that are negative.

    Parameters
    ----------
    image : SpectrumImage
        The counts.
    result : Unmixing or PrincipalComponents
        Abundances and spectra, of which the means are multiplied; or denoised rates.

    Returns
    -------
    deviance : float
        2 (x log(x / r) - x + r), averaged over the pixels and channels that are not excluded. Where r is below
        0.001 of what one component would give, that is put in its place: a negative r has no likelihood.
    negative : float
        Share of the entries with r < 0.
    """
    channels = image.valid_channels
    expected = image.sum_spectrum()[channels] / max(int(image.sum_spectrum().sum()), 1)
    step = max(1, _BLOCK_VALUES // max(1, image.shape[1] * image.shape[2]))
    total = negative = entries = 0.0
    for start in range(0, image.shape[0], step):
        rows = slice(start, start + step)
        expectation = _expectation(result, rows)[..., channels]
        use = image.valid[rows] & np.isfinite(expectation).all(axis=2)
        counts, rate = image.counts[rows][use][:, channels].astype(np.float64), expectation[use]
        total += _deviance(counts, rate, counts.sum(axis=1, keepdims=True) * expected)
        negative += float((rate < 0).sum())
        entries += rate.size
    return total / max(entries, 1), negative / max(entries, 1)


def _expectation(result: Unmixing | PrincipalComponents, rows: slice) -> npt.NDArray[np.float64]:
    """Expected counts (y, x, energy) of some rows of pixels."""
    if isinstance(result, PrincipalComponents):
        return result.denoise(y=rows)["mean"].values.astype(np.float64)
    abundances = result.abundances["mean"].values[rows].astype(np.float64)
    return np.asarray(abundances @ result.spectra["mean"].values.astype(np.float64), np.float64)


def _deviance(counts: npt.NDArray[np.float64], rate: npt.NDArray[np.float64], one: npt.NDArray[np.float64]) -> float:
    floored = np.maximum(rate, FLOOR * one)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(counts > 0, counts * np.log(counts / floored), 0.0)
    return float(2 * (logs - counts + floored).sum())
