"""How close results are to counts: deviances, of the counts that they were made from and of counts held out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, xlogy

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.results.result import Result
from bayesspec.spectroscopy.line_maps import AS_IN_FILE, LineMaps
from bayesspec.workflows.element_maps import element_maps

FLOOR = 1e-3
"""Smallest rate of an entry, as a share of what one component would give: a negative one has no likelihood."""
_BLOCK_VALUES = 2**22
"""Values of the counts that are worked on at a time: memory."""


def maps_like(data: SpectrumImage | LineMaps, result: Result) -> LineMaps:
    """Count lines as a segmentation did: at the energy axis that the lines show, or at that of the file.

    Parameters
    ----------
    data : SpectrumImage or LineMaps
        Counts; line maps are taken as they are.
    result : Result
        Lines, and where they were counted.

    Returns
    -------
    LineMaps
        Counts.
    """
    if isinstance(data, LineMaps):
        return data
    refined = result.provenance.get("calibration") not in (None, AS_IN_FILE)
    return element_maps(data, [str(line) for line in result.data["line"].values], calibrate=refined)


def phase_deviance(maps: LineMaps, result: Result) -> float:
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
    shares = result.data["probabilities"].values
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


def component_deviance(image: SpectrumImage, result: Result) -> tuple[float, float]:
    """Poisson deviance per entry of the reconstruction, and the share of entries that are negative.

    Parameters
    ----------
    image : SpectrumImage
        The counts.
    result : Result
        What expects counts in every pixel and channel.

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
        expectation = result.expected_counts(rows)[..., channels]
        use = image.valid[rows] & np.isfinite(expectation).all(axis=2)
        counts, rate = image.counts[rows][use][:, channels].astype(np.float64), expectation[use]
        total += _deviance(counts, rate, counts.sum(axis=1, keepdims=True) * expected)
        negative += float((rate < 0).sum())
        entries += rate.size
    return total / max(entries, 1), negative / max(entries, 1)


def _deviance(counts: npt.NDArray[np.float64], rate: npt.NDArray[np.float64], one: npt.NDArray[np.float64]) -> float:
    floored = np.maximum(rate, FLOOR * one)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(counts > 0, counts * np.log(counts / floored), 0.0)
    return float(2 * (logs - counts + floored).sum())


def held_out_phases(data: SpectrumImage | LineMaps, result: Result) -> float:
    """Multinomial deviance per pixel of counts that the labels have not seen.

    Parameters
    ----------
    data : SpectrumImage or LineMaps
        The counts held out.
    result : Segmentation
        Probabilities of the phases, from other counts of the same pixels.

    Returns
    -------
    float
        Each pixel's counts under the compositions of its phases, weighted with their probabilities. The
        compositions are pooled from the counts held out: labels that follow the noise of their own counts mix them.
    """
    maps = maps_like(data, result)
    shares = result.data["probabilities"].values
    counts = maps.window_counts().astype(np.float64)
    use = maps.valid & np.isfinite(shares).all(axis=2) & (counts.sum(axis=2) > 0)
    counts, shares = counts[use], shares[use].astype(np.float64)
    pooled = shares.T @ counts
    kept = pooled.sum(axis=1) > 0
    composition = pooled[kept] / pooled[kept].sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        terms = xlogy(counts[:, None], composition[None]).sum(axis=2) + np.log(shares[:, kept])
    best = xlogy(counts, counts / counts.sum(axis=1, keepdims=True)).sum(axis=1)
    return float(2 * np.mean(best - logsumexp(terms, axis=1)))
