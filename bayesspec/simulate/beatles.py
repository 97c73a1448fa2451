"""Many random mixtures of four pictures: the problem of linear mixing, where the answer can be looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayesspec.files.public_arguments import checked_arguments, integer, real
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.simulate.counting import check_sample, count
from bayesspec.simulate.pictures import PICTURES, pictures


@checked_arguments()
def beatles(
    counts_per_mixture: float = 40960,
    shape: tuple[int, int] = (100, 100),
    *,
    seed: int,
    size: int = 64,
    noise: str = "poisson",
) -> SpectrumImage:
    """Simulate 10,000 random mixtures of four pictures of 64 x 64: a guitar, drums, a piano and a microphone.

    It stands for any linear mixing: a mixture takes the place of a pixel, and the 4096 picture points take the
    place of the channels (the "energy" of a point is its number, in reading order). Unmixing must give the four
    pictures back; whether it does can be seen.

    Parameters
    ----------
    counts_per_mixture : float
        Mean number of counts of a mixture; with 4096 counts a point holds one on average.
    shape : tuple of int
        The mixtures, arranged in rows and columns without any order.
    seed : int
        Seed of the weights and the noise.
    size : int
        Number of points along each side of a picture, at least 16.
    noise : {"poisson", "none"}
        Poisson counts, or clean: the expected counts rounded to whole counts. Gaussian noise makes values that
        are no counts; `beatles_gaussian` gives them as an array.

    Returns
    -------
    SpectrumImage
        Counts, shape (y, x, size * size); ``truth`` holds ``abundances`` (y, x, component) in expected counts,
        ``spectra`` (component, energy), the pictures summing to 1, ``pictures`` (component, size, size), and
        ``components``.

    Raises
    ------
    InputError
        When the dose is not positive, the shape below 2 x 2, the size below 16 or the noise not known.
    """
    check_sample("beatles", counts_per_mixture, shape, noise)
    rng = np.random.default_rng(seed)
    drawn = pictures(size)
    flat = drawn.reshape(len(drawn), -1)
    weights = rng.uniform(size=(*shape, len(drawn)))
    brightness = flat.sum(axis=1)
    abundances = weights * brightness
    abundances *= counts_per_mixture / abundances.sum(axis=2).mean()
    truth: dict[str, Any] = {
        "abundances": abundances,
        "spectra": flat / brightness[:, None],
        "pictures": drawn,
        "components": PICTURES,
    }
    return SpectrumImage(
        count(rng, abundances, truth["spectra"], noise),
        energy=np.arange(1.0, flat.shape[1] + 1),
        energy_unit="eV",
        name=f"mixed pictures, {counts_per_mixture:g} counts/mixture",
        truth=truth,
    )


@checked_arguments(snr=real("snr", 0.0, open_ends=True, optional=True), mixtures=integer("mixtures", 1))
def beatles_gaussian(snr: float | None = None, mixtures: int = 10_000, *, seed: int, size: int = 64) -> xr.Dataset:
    """Simulate the same mixtures as numbers that are no counts: clean, or with Gaussian noise.

    Parameters
    ----------
    snr : float or None
        Root mean square of the clean mixtures over the standard deviation of the noise; ``None`` for clean.
    mixtures : int
        Number of mixtures (trials).
    seed : int
        Seed of the weights and the noise.
    size : int
        Number of points along each side of a picture, at least 16.

    Returns
    -------
    xarray.Dataset
        ``values`` (mixture, point), float64, unit grey levels; ``clean`` (mixture, point) without the noise;
        ``weights`` (mixture, picture), uniform from 0 to 1; ``pictures`` (picture, point); and ``noise_sd`` ().

    Raises
    ------
    InputError
        When there is no mixture, or the ratio is not positive, or the size is below 16.
    """
    rng = np.random.default_rng(seed)
    flat = pictures(size).reshape(len(PICTURES), -1)
    weights = rng.uniform(size=(mixtures, len(flat)))
    clean = weights @ flat
    sd = 0.0 if snr is None else float(np.sqrt(np.mean(clean**2)) / snr)
    values = clean + sd * rng.normal(size=clean.shape) if sd else clean
    return xr.Dataset(
        {
            "values": (("mixture", "point"), values),
            "clean": (("mixture", "point"), clean),
            "weights": (("mixture", "picture"), weights),
            "pictures": (("picture", "point"), flat),
            "noise_sd": ((), sd),
        },
        coords={"picture": list(PICTURES)},
    )
