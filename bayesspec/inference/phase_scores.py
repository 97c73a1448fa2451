"""Scores of smoothed counts: is there more than one phase, and what is the local dose?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from bayesspec.errors import InputError

Floats = NDArray[np.float64]

SCALES = (0.7, 1.5, 3.0, 5.0)


@dataclass(frozen=True, eq=False)
class PhaseScore:
    """Evidence that a map holds more than one phase.

    Parameters
    ----------
    scales : ndarray of float64, (scale,)
        Widths of the Gaussians, standard deviation in pixels.
    z : ndarray of float64, (scale,)
        Score at each width, dimensionless: about N(0, 1) under one phase for two channels, the largest eigenvalue
        of a matrix of such scores for more.
    threshold : float
        The largest score exceeds it in at most 5 % of maps of one phase.
    """

    scales: Floats
    z: Floats
    threshold: float

    @property
    def significant(self) -> bool:
        """Whether one phase is refused."""
        return bool(self.z.max() > self.threshold)


def phase_score(counts: NDArray[np.integer], *, mask: NDArray[np.bool_] | None = None) -> PhaseScore:
    """Test one phase against more by the likeness of neighbouring residuals.

    Under one phase the residuals e[n, c] = (y[n, c] - N[n] s[c]) / sqrt(s[c]) of different pixels are independent,
    with covariance N[n] (1 - sqrt(s) sqrt(s)T). In an orthonormal basis of the channels orthogonal to sqrt(s), the
    matrix Z = sum_(n != m) G(n - m) e[n] e[m]T / sqrt(2 sum_(n != m) G(n - m)^2 N[n] N[m]), with G a Gaussian of
    width s, has diagonal entries of variance 1 and others of variance 1/2. Its largest eigenvalue is the score: a
    second phase adds a matrix of rank one. The pixel itself is left out, so Poisson noise does not count.

    Parameters
    ----------
    counts : ndarray of int, (y, x, channel)
        Counts.
    mask : ndarray of bool, (y, x), optional
        True = excluded.

    Returns
    -------
    PhaseScore
        Scores at widths 0.7, 1.5, 3 and 5 pixels.

    Raises
    ------
    InputError
        For fewer than two channels with counts.

    Notes
    -----
    The score is that of a random-effects alternative with spatial covariance G, as in Moran (1950),
    doi:10.1093/biomet/37.1-2.17, for the case of two channels.
    """
    kept = np.asarray(counts, dtype=np.float64)
    kept = kept if mask is None else np.where(mask[:, :, None], 0.0, kept)
    pooled = kept.sum(axis=(0, 1))
    if (pooled > 0).sum() < 2:
        raise InputError(f"{int((pooled > 0).sum())} channels with counts", "two or more", "lines=[...]")
    kept, share = kept[:, :, pooled > 0], pooled[pooled > 0] / pooled.sum()
    totals = kept.sum(axis=2)
    residuals = (kept - totals[:, :, None] * share) / np.sqrt(share)
    contrasts = residuals @ _complement(np.sqrt(share))
    z = np.array([_score(contrasts, totals, scale) for scale in SCALES])
    return PhaseScore(np.array(SCALES), z, threshold(len(share)))


def threshold(channels: int) -> float:
    """Score that the largest of the four widths exceeds in at most 5 % of maps of one phase.

    Parameters
    ----------
    channels : int
        Channels with counts, 2 or more.

    Returns
    -------
    float
        Threshold, dimensionless: the edge sqrt(2 d) of the eigenvalues, d = channels - 1, plus a margin fitted to
        simulated maps.
    """
    d = channels - 1
    return float(np.sqrt(2.0 * d) + 0.9 * d ** (-1.0 / 6.0))


def dose_covariates(totals: NDArray[np.integer], *, mask: NDArray[np.bool_] | None = None, blur: float = 2.0) -> Floats:
    """Standardised logarithm of the local dose and its square, as covariates of the mixing weights.

    Phases and thickness are both smooth, so over a finite map they are correlated by accident. Weights that depend
    on the local dose take that up; weights that do not make the intervals of the compositions too short.

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
    ndarray of float64, (y, x, 2)
        x and x^2, each of mean 0 and variance 1 over the pixels that are not excluded, and 0 in those that are.
    """
    here = np.ones(np.shape(totals), bool) if mask is None else ~np.asarray(mask)
    dose = _smooth(np.where(here, totals, 0.0), blur) / np.maximum(_smooth(here.astype(float), blur), 1e-12)
    floor = 1e-3 * dose[here].mean() + 1e-12
    x = _standardised(np.log(np.maximum(dose, floor)), here)
    return np.stack([x, _standardised(x**2, here)], axis=2)


def _standardised(values: Floats, here: NDArray[np.bool_]) -> Floats:
    centred = values - values[here].mean()
    spread = centred[here].std()
    return np.where(here, centred / spread if spread > 1e-9 else 0.0, 0.0)


def _kernel(scale: float) -> Floats:
    reach = np.arange(-int(4 * scale + 1), int(4 * scale + 1) + 1)
    weight = np.exp(-0.5 * (reach / scale) ** 2)
    return weight / weight.sum()


def _convolved(image: Floats, kernel: Floats) -> Floats:
    """Separable convolution over y and x; nothing lies outside the map."""
    along_y = correlate1d(image, kernel, axis=0, mode="constant")
    return correlate1d(along_y, kernel, axis=1, mode="constant")


def _smooth(image: Floats, scale: float) -> Floats:
    return _convolved(image, _kernel(scale))


def _complement(direction: Floats) -> Floats:
    """Orthonormal basis (channel, channel - 1) of what is orthogonal to a unit vector."""
    basis, _ = np.linalg.qr(np.column_stack([direction, np.eye(len(direction))]))
    return basis[:, 1 : len(direction)]


def _score(contrasts: Floats, totals: Floats, scale: float) -> float:
    """Largest eigenvalue of Z at one width: contrasts (y, x, channel - 1), totals (y, x)."""
    kernel = _kernel(scale)
    centre = kernel.max() ** 2
    others = _convolved(contrasts, kernel) - centre * contrasts
    product = np.einsum("yxc,yxd->cd", contrasts, others)
    of_noise = _convolved(totals, kernel**2) - centre**2 * totals
    variance = 2.0 * (totals * of_noise).sum()
    if variance <= 0.0:
        return 0.0
    return float(np.linalg.eigvalsh(0.5 * (product + product.T))[-1] / np.sqrt(variance))
