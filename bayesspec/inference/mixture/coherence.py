"""Scores of smoothed counts: is there more than one phase, and what is the local dose?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from bayesspec.errors import InputError
from bayesspec.inference.mixture.settings import SETTINGS

Floats = NDArray[np.float64]

SCALES = (0.7, 1.5, 3.0, 5.0, 8.0)
"""Widths of the Gaussians, pixels (standard deviation)."""
DOSE_STEPS = 8
"""Steps of the local dose. The coverage with them, where the dose is uneven:
``python benchmarks/segmentation.py --kind uneven``."""


@dataclass(frozen=True, eq=False)
class PhaseScore:
    """Evidence that a map holds more than one phase.

    Parameters
    ----------
    scales : ndarray of float64, (scale,)
        Widths of the Gaussians, standard deviation in pixels.
    z : ndarray of float64, (scale,)
        Score at each width, dimensionless, about N(0, 1) under one phase.
    """

    scales: Floats
    z: Floats

    @property
    def significant(self) -> bool:
        """Whether one phase is refused; so it is, wrongly, in about 4 % of maps of one phase."""
        return bool(self.z.max() > SETTINGS.uneven_map)


def coherence_score(counts: NDArray[np.integer], *, mask: NDArray[np.bool_] | None = None) -> PhaseScore:
    """Test one phase against more by the likeness of neighbouring residuals.

    Under one phase the residuals e[n, c] = (y[n, c] - N[n] s[c]) / sqrt(s[c]) of different pixels are independent,
    with covariance N[n] (1 - sqrt(s) sqrt(s)T). With G a Gaussian of width s,

        z = sum_(n != m) G(n - m) e[n] . e[m] / sqrt(2 (C - 1) sum_(n != m) G(n - m)^2 N[n] N[m])

    for C channels. The pixel itself is left out, so that Poisson noise does not count. The largest of five widths is
    compared with one threshold. Widths above an eighth of the shorter side of the map are left out: so few
    independent patches do not make the score normal.

    Parameters
    ----------
    counts : ndarray of int, (y, x, channel)
        Counts.
    mask : ndarray of bool, (y, x), optional
        True = excluded.

    Returns
    -------
    PhaseScore
        Scores at widths of 0.7, 1.5, 3, 5 and 8 pixels.

    Raises
    ------
    InputError
        For fewer than two channels with counts.

    Notes
    -----
    Source: spatial correlation of residuals, Moran (1950), doi:10.1093/biomet/37.1-2.17, with Gaussian weights and
    summed over channels.
    """
    kept = np.asarray(counts, dtype=np.float64)
    kept = kept if mask is None else np.where(mask[:, :, None], 0.0, kept)
    pooled = kept.sum(axis=(0, 1))
    if (pooled > 0).sum() < 2:
        raise InputError(f"{int((pooled > 0).sum())} channel(s) with counts", "two or more", "lines=['Fe_Ka', 'O_Ka']")
    kept, share = kept[:, :, pooled > 0], pooled[pooled > 0] / pooled.sum()
    totals = kept.sum(axis=2)
    residuals = (kept - totals[:, :, None] * share) / np.sqrt(share)
    scales = scales_of(totals.shape)
    return PhaseScore(np.array(scales), np.array([coherence(residuals, totals, scale) for scale in scales]))


def dose_covariates(totals: NDArray[np.integer], *, mask: NDArray[np.bool_] | None = None, blur: float = 2.0) -> Floats:
    """Which of eight steps the local dose falls on, as covariates of the mixing weights.

    Phases and thickness are both smooth, so over a finite map they are correlated by accident. Weights that are free
    on each step of the local dose take that up, whatever its form; weights that ignore it, or follow it by a
    polynomial, make the intervals of the compositions too short.

    Parameters
    ----------
    totals : ndarray of int, (y, x)
        Counts of each pixel summed over channels.
    mask : ndarray of bool, (y, x), optional
        True = excluded.
    blur : float
        Width of the Gaussian that takes the local mean, standard deviation in pixels.

    Returns
    -------
    ndarray of float64, (y, x, 8)
        Indicators of the eight steps, bounded by quantiles of the local dose, each shifted and scaled to mean 0 and
        variance 1 over the pixels that are not excluded; 0 in those that are, and where all pixels are on one step.

    Raises
    ------
    InputError
        If every pixel is excluded.
    """
    here = np.ones(np.shape(totals), bool) if mask is None else ~np.asarray(mask)
    if not here.any():
        raise InputError("a mask that excludes every pixel", "one pixel or more to keep", "mask=None")
    dose = _smooth(np.where(here, totals, 0.0), blur) / np.maximum(_smooth(here.astype(float), blur), 1e-12)
    dose = np.round(dose / dose[here].mean(), 9)
    bounds = np.quantile(dose[here], np.linspace(0.0, 1.0, DOSE_STEPS + 1)[1:-1])
    step = np.searchsorted(bounds, dose, side="right")
    return np.stack([_standardised(step == k, here) for k in range(DOSE_STEPS)], axis=2)


def _standardised(values: NDArray[np.bool_], here: NDArray[np.bool_]) -> Floats:
    centred = values - values[here].mean()
    spread = centred[here].std()
    return np.where(here & (spread > 0.0), centred / max(spread, 1e-12), 0.0)


def gaussian(scale: float) -> Floats:
    """Weights of a Gaussian over four standard deviations on both sides, (weight,), summing to 1.

    Parameters
    ----------
    scale : float
        Standard deviation in pixels.

    Returns
    -------
    ndarray of float64, (weight,)
        Weights of the offsets.
    """
    reach = np.arange(-int(4 * scale + 1), int(4 * scale + 1) + 1)
    weight = np.exp(-0.5 * (reach / scale) ** 2)
    return weight / weight.sum()


def convolved(image: Floats, kernel: Floats) -> Floats:
    """Convolve over y and x; nothing lies outside the map.

    Parameters
    ----------
    image : ndarray of float64, (y, x) or (y, x, channel)
        What to convolve.
    kernel : ndarray of float64, (weight,)
        Weights along either axis.

    Returns
    -------
    ndarray of float64, shape of the image
        The convolution.
    """
    along_y = correlate1d(image, kernel, axis=0, mode="constant")
    return correlate1d(along_y, kernel, axis=1, mode="constant")


def of_others(image: Floats, kernel: Floats) -> Floats:
    """Convolve over y and x, each pixel itself left out.

    Parameters
    ----------
    image : ndarray of float64, (y, x) or (y, x, channel)
        What to convolve.
    kernel : ndarray of float64, (weight,)
        Weights along either axis, the largest in the middle.

    Returns
    -------
    ndarray of float64, shape of the image
        The sum over the other pixels around.
    """
    return convolved(image, kernel) - kernel.max() ** 2 * image


def _smooth(image: Floats, scale: float) -> Floats:
    return convolved(image, gaussian(scale))


def coherence(residuals: Floats, totals: Floats, scale: float) -> float:
    """Score at one width.

    Parameters
    ----------
    residuals : ndarray of float64, (y, x, channel)
        Standardised residuals of one phase.
    totals : ndarray of float64, (y, x)
        Their variance in the pixel, summed over channels but for one, counts.
    scale : float
        Width of the Gaussian, standard deviation in pixels.

    Returns
    -------
    float
        About N(0, 1) where the residuals of different pixels are independent.
    """
    kernel = gaussian(scale)
    likeness = (residuals * of_others(residuals, kernel)).sum()
    variance = 2.0 * (residuals.shape[2] - 1) * (totals * of_others(totals, kernel**2)).sum()
    return float(likeness / np.sqrt(variance)) if variance > 0.0 else 0.0


def scales_of(shape: tuple[int, ...]) -> list[float]:
    """Widths of the scores that fit into a map.

    Parameters
    ----------
    shape : tuple of int
        Pixels along y and x.

    Returns
    -------
    list of float
        Those of 0.7, 1.5, 3, 5 and 8 pixels that are at most an eighth of the shorter side, or the first.
    """
    return [scale for scale in SCALES if scale <= min(shape) / 8] or [SCALES[0]]
