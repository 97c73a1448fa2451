"""From what is expected to what is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from bayesspec.errors import InputError
from bayesspec.image.counts import count_dtype

NOISES = ("poisson", "none")


def check_sample(phantom: str, counts_per_pixel: float, shape: tuple[int, ...], noise: str = "poisson") -> None:
    """Refuse a phantom that cannot be made.

    Parameters
    ----------
    phantom : str
        Name of the phantom, for the message.
    counts_per_pixel : float
        Mean number of counts in a pixel.
    shape : tuple of int
        Number of pixels (y, x).
    noise : {"poisson", "none"}
        Kind of noise.

    Raises
    ------
    InputError
        When the dose is not positive and finite, the shape is smaller than 2 x 2 or the noise not known.
    """
    if not 0 < counts_per_pixel < np.inf or len(shape) != 2 or min(shape) < 2 or noise not in NOISES:
        raise InputError(
            f"counts of {counts_per_pixel}, shape={shape}, noise={noise!r}",
            f"a positive dose, at least 2 x 2 pixels, and noise one of {NOISES}",
            f"bs.simulate.{phantom}(2000, seed=0)",
        )


def count(
    rng: np.random.Generator,
    abundances: npt.NDArray[np.float64],
    spectra: npt.NDArray[np.float64],
    noise: str = "poisson",
) -> npt.NDArray[np.unsignedinteger]:
    """Count what abundances times spectra lead one to expect, a row of pixels at a time.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    abundances : array, shape (y, x, component), float64
        Expected counts.
    spectra : array, shape (component, energy), float64
        Share of a component's counts per channel.
    noise : {"poisson", "none"}
        Poisson counts, or the expected counts rounded to whole counts.

    Returns
    -------
    array, shape (y, x, energy), uint8, uint16 or uint32
        Counts in the smallest dtype that holds them.

    Raises
    ------
    InputError
        When a count exceeds 2**31 - 1.
    """
    rows = []
    for row in abundances:
        expected = row @ spectra
        counted = rng.poisson(expected) if noise == "poisson" else np.rint(expected)
        rows.append(narrowed(counted))
    return np.stack(rows)


def narrowed(counts: npt.NDArray[Any]) -> npt.NDArray[np.unsignedinteger]:
    """Hold whole numbers in the smallest dtype that does.

    Parameters
    ----------
    counts : array, shape (...), int64 or float64
        Whole numbers.

    Returns
    -------
    array, shape (...), uint8, uint16 or uint32
        The same.

    Raises
    ------
    InputError
        When one exceeds 2**31 - 1.
    """
    return counts.astype(count_dtype(int(counts.max())))


def uneven_thickness(rng: np.random.Generator, shape: tuple[int, int], uneven: float) -> npt.NDArray[np.float64]:
    """Draw a smooth thickness.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    shape : tuple of int
        Number of pixels (y, x).
    uneven : float
        Largest relative deviation from the mean.

    Returns
    -------
    array, shape (y, x), float64
        Thickness relative to its mean.
    """
    field = gaussian_filter(rng.normal(size=shape), max(shape) / 6, mode="wrap")
    field = field - field.mean()
    thickness = 1 + uneven * field / max(float(np.abs(field).max()), 1e-300)
    return thickness / thickness.mean()
