"""Magnetite beside haematite: the two iron oxides whose line ratios are hard to tell apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.simulate.counting import check_sample, narrowed, uneven_thickness
from bayesspec.simulate.detector import ACQUISITION, ENERGY_KEV, FE_L_PER_KA, bremsstrahlung, line_profile
from bayesspec.spectroscopy.line_maps import LineMaps

OXIDES = ("magnetite", "haematite")
OXIDE_RATIOS = (0.783, 0.698)
"""Counts of Fe Ka over those of O Ka in the two oxides."""
_BACKGROUND_SHARE = 0.10
"""Share of the counts that is bremsstrahlung."""


@checked_arguments()
def iron_oxides(
    counts_per_pixel: float = 200,
    shape: tuple[int, int] = (128, 128),
    *,
    seed: int,
    blur: float = 6.0,
    uneven: float = 0.4,
) -> SpectrumImage:
    """Simulate magnetite beside haematite: two phases whose Fe Ka / O Ka line ratios are 0.783 and 0.698.

    A sample of smooth grains (three fifths magnetite) under a smoothly varying thickness, with Fe Ka and Kb,
    Fe L, O Ka and bremsstrahlung, in channels of 10 eV.

    Parameters
    ----------
    counts_per_pixel : float
        Mean number of counts of a pixel's spectrum; nine tenths of them are lines.
    shape : tuple of int
        Number of pixels (y, x).
    seed : int
        Seed of sample and noise.
    blur : float
        Size of the grains: standard deviation, in pixels, of the blur that makes them.
    uneven : float
        Largest relative deviation of the thickness from its mean; 0 for a flat sample.

    Returns
    -------
    SpectrumImage
        Counts; ``truth`` holds ``labels`` (y, x), ``thickness`` (y, x), ``spectra`` (phase, energy) summing
        to 1, ``ratio`` (phase,) of the lines ``ratio_lines``, and ``phases``.

    Raises
    ------
    InputError
        When the dose is not positive or the shape is smaller than 2 x 2.
    """
    check_sample("iron_oxides", counts_per_pixel, shape)
    rng = np.random.default_rng(seed)
    truth = _oxide_sample(rng, shape, blur, uneven)
    truth["spectra"] = np.stack([_oxide_spectrum(ratio) for ratio in OXIDE_RATIOS])
    dose = counts_per_pixel * truth["thickness"]
    expected = (dose[row, :, None] * truth["spectra"][truth["labels"][row]] for row in range(shape[0]))
    counts = np.stack([narrowed(rng.poisson(rates)) for rates in expected])
    return SpectrumImage(
        counts,
        energy=ENERGY_KEV,
        pixel_size=(1.0, 1.0),
        pixel_unit="nm",
        elements=("Fe", "O"),
        acquisition=ACQUISITION,
        name=f"iron oxides, {counts_per_pixel:g} counts/pixel",
        truth=truth,
    )


@checked_arguments()
def iron_oxide_lines(
    counts_per_pixel: float = 200,
    shape: tuple[int, int] = (128, 128),
    *,
    seed: int,
    blur: float = 6.0,
    uneven: float = 0.4,
) -> LineMaps:
    """Simulate the line counts of the iron oxides alone: Fe Ka and O Ka, without background.

    Parameters
    ----------
    counts_per_pixel : float
        Mean number of Fe Ka and O Ka counts together.
    shape, seed, blur, uneven
        As for `iron_oxides`.

    Returns
    -------
    LineMaps
        Counts; ``truth`` as for `iron_oxides`, without ``spectra``.

    Raises
    ------
    InputError
        When the dose is not positive or the shape is smaller than 2 x 2.
    """
    check_sample("iron_oxides", counts_per_pixel, shape)
    rng = np.random.default_rng(seed)
    truth = _oxide_sample(rng, shape, blur, uneven)
    ratio = truth["ratio"][truth["labels"]]
    shares = np.stack([ratio, np.ones(shape)], axis=-1) / (1 + ratio)[..., None]
    counts = rng.poisson(counts_per_pixel * truth["thickness"][..., None] * shares)
    name = f"iron oxides, {counts_per_pixel:g} line counts/pixel"
    return LineMaps(counts, lines=("Fe_Ka", "O_Ka"), acquisition=ACQUISITION, name=name, truth=truth)


def _oxide_sample(rng: np.random.Generator, shape: tuple[int, int], blur: float, uneven: float) -> dict[str, Any]:
    grains = gaussian_filter(rng.normal(size=shape), blur, mode="wrap")
    labels = (grains > np.quantile(grains, 0.6)).astype(np.int64)
    return {
        "labels": labels,
        "thickness": uneven_thickness(rng, shape, uneven),
        "ratio": np.array(OXIDE_RATIOS),
        "ratio_lines": ("Fe_Ka", "O_Ka"),
        "phases": OXIDES,
    }


def _oxide_spectrum(ratio: float) -> npt.NDArray[np.float64]:
    lines = ratio * line_profile("Fe_Ka", ENERGY_KEV) + line_profile("O_Ka", ENERGY_KEV)
    lines = lines + ratio * FE_L_PER_KA * line_profile("Fe_La", ENERGY_KEV)
    background = bremsstrahlung(ENERGY_KEV, 200.0)
    spectrum = (1 - _BACKGROUND_SHARE) * lines / lines.sum() + _BACKGROUND_SHARE * background
    return spectrum / spectrum.sum()
