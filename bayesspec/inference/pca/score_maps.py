"""Posterior of score maps whose power spectrum is learned: how much do the neighbours of a pixel know about it?

The noise of the counts is independent between pixels, so its power is the same at all spatial frequencies; what exceeds
it is the map's. A power that falls with the frequency is fitted to every map, and the scores are pulled towards what
their neighbours say as far as that power allows. A map without structure is pulled towards its mean alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float
from scipy.fft import dctn, idctn
from scipy.optimize import isotonic_regression

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
CONJUGATE_STEPS = 40
"""Steps of conjugate gradients at most."""
CLOSE = 1e-5
"""Remainder, relative to the first, at which they end."""
GRID = 48
"""Information values for which the variance is computed; pixels between them are interpolated."""
LEAST_SPECTRUM = 1e-6
"""Least power of a map, in units of its noise."""


def map_of(
    values: Float[np.ndarray, " pixel"], valid: Bool[np.ndarray, "y x"], fill: float | Float[np.ndarray, "y x"] = 0.0
) -> Float[np.ndarray, "y x"]:
    """Put the values of pixels in their places in the image.

    Parameters
    ----------
    values : numpy.ndarray (pixel,), float64
        One value for each pixel in use.
    valid : numpy.ndarray (y, x), bool
        Pixels in use.
    fill : float or numpy.ndarray (y, x)
        Values of the other pixels.

    Returns
    -------
    numpy.ndarray (y, x), float64
        The map.
    """
    full = np.full(valid.shape, 0.0) + fill
    full[valid] = values
    return full


def power_spectrum(scores: Float[np.ndarray, "y x"], noise: float) -> Float[np.ndarray, "y x"]:
    """Power of a map beyond its noise, falling with the spatial frequency.

    Parameters
    ----------
    scores : numpy.ndarray (y, x), float64
        Scores with noise.
    noise : float
        Variance of the noise.

    Returns
    -------
    numpy.ndarray (y, x), float64
        Power at each frequency of the cosine transform, zero or more.

    Notes
    -----
    The maximum-likelihood spectrum among those that fall with the frequency: isotonic regression of the periodogram.
    Source: Barlow & Brunk (1972), doi:10.1080/01621459.1972.10481216.
    """
    fy, fx = np.meshgrid(*(np.arange(n) / n for n in scores.shape), indexing="ij")
    order = np.argsort(np.hypot(fy, fx).ravel(), kind="stable")
    power = np.empty(scores.size)
    power[order] = isotonic_regression(np.square(dctn(scores, norm="ortho")).ravel()[order], increasing=False).x
    return np.maximum(power.reshape(scores.shape) - noise, LEAST_SPECTRUM * noise)


def smooth_scores(
    information: Float[np.ndarray, "pixel component component"],
    pull: Float[np.ndarray, "pixel component"],
    valid: Bool[np.ndarray, "y x"] | None,
) -> tuple[Float[np.ndarray, "pixel component"], Float[np.ndarray, "pixel component component"]]:
    """Posterior means and covariances of the scores under learned priors.

    Parameters
    ----------
    information : numpy.ndarray (pixel, component, component), float64
        Precision of each pixel's own estimate.
    pull : numpy.ndarray (pixel, component), float64
        Precision times the estimate.
    valid : numpy.ndarray (y, x), bool, or None
        Where the pixels are, in row order; ``None`` to learn a variance for every map in place of its spectrum.

    Returns
    -------
    mean : numpy.ndarray (pixel, component), float64
        Posterior means.
    covariance : numpy.ndarray (pixel, component, component), float64
        Posterior covariances of each pixel.
    """
    size = information.shape[1]
    mean_information = information.mean(axis=0)
    values, axes = np.linalg.eigh(mean_information)
    back = axes / np.sqrt(np.maximum(values, 1e-12 * values.max()))  # unit mean information on the new axes
    own, target = back.T @ information @ back, pull @ back
    ridge = 1e-3 * np.eye(size)
    estimate = np.linalg.solve(own + ridge, target[..., None])[..., 0]
    noise = np.maximum(np.median(np.linalg.inv(own + ridge).diagonal(axis1=1, axis2=2), axis=0), 1e-6)
    place = np.ones((len(pull), 1), bool) if valid is None else valid
    if valid is None:
        beyond = np.maximum(np.square(estimate).mean(axis=0) - noise, LEAST_SPECTRUM)
        spectra = [np.full(place.shape, b) for b in beyond]
    else:
        spectra = [power_spectrum(_filled(place, e, n), n) for e, n in zip(estimate.T, noise, strict=True)]
    mean = _solve(own, target, spectra, place, estimate)
    covariance = _covariance(own, spectra)
    return mean @ back.T, back @ covariance @ back.T


def _filled(place: npt.NDArray[np.bool_], values: Array, noise: float) -> Array:
    """A map whose excluded pixels take the place of what their neighbours say."""
    whole = map_of(values, place, values.mean())
    for _ in range(0 if place.all() else 5):
        power = power_spectrum(whole, noise)
        whole = map_of(values, place, _filter(whole[None], power / (power + noise))[0])
    return whole


def _filter(maps: Array, gain: Array) -> Array:
    """Multiply the cosine transforms of maps (map, y, x) by a gain."""
    shaped = dctn(maps, axes=(1, 2), norm="ortho")
    return np.asarray(idctn(gain * shaped, axes=(1, 2), norm="ortho"), np.float64)


def _solve(own: Array, target: Array, spectra: list[Array], place: npt.NDArray[np.bool_], start: Array) -> Array:
    """Solve (S^-1 + P) a = q for the maps by conjugate gradients on S^(1/2) axes."""
    powers = np.stack(spectra)
    roots = np.sqrt(powers)

    def shaped(values: Array) -> Array:
        return _filter(np.stack([map_of(v, place) for v in values.T]), roots)

    def seen(maps: Array) -> Array:
        return _filter(maps, roots)[:, place].T

    def apply(maps: Array) -> Array:
        return maps + shaped(np.einsum("pij,pj->pi", own, seen(maps)))

    found = np.zeros((own.shape[1], *place.shape))
    rest = shaped(target)
    goal = CLOSE * np.sqrt(np.square(rest).sum())
    if not goal > 0:
        return seen(found)
    z = _filter(rest, 1.0 / (1.0 + powers))
    step, along = z, float((rest * z).sum())
    for _ in range(CONJUGATE_STEPS):
        pushed = apply(step)
        curvature = float((step * pushed).sum())
        if not curvature > 0:
            break
        length = along / curvature
        found, rest = found + length * step, rest - length * pushed
        if np.sqrt(np.square(rest).sum()) <= goal:
            break
        z = _filter(rest, 1.0 / (1.0 + powers))
        after = float((rest * z).sum())
        step, along = z + after / along * step, after
    return seen(found)


def _covariance(own: Array, spectra: list[Array]) -> Array:
    """Covariance of each pixel: its own information, and what the prior adds given the neighbours.

    For even noise n the posterior variance of a map is the mean over frequencies of S n / (S + n). It is taken at each
    pixel's own n, and the information beyond the pixel's own is put on the diagonal.
    """
    alone = own.diagonal(axis1=1, axis2=2)
    extra = np.empty(alone.shape)
    for k, power in enumerate(spectra):
        precision = np.maximum(alone[:, k], 1e-6)
        grid = np.geomspace(precision.min() * 0.99, precision.max() * 1.01, GRID)
        variance = np.array([(power / (1.0 + power * p)).mean() for p in grid])
        extra[:, k] = np.interp(precision, grid, 1.0 / variance - grid)
    size = own.shape[1]
    return np.asarray(np.linalg.inv(own + np.maximum(extra, 0.0)[:, :, None] * np.eye(size)), np.float64)
