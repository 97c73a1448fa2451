"""Phantoms: simulated spectrum images that know their truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from bayesspec.element_maps import LineMaps
from bayesspec.errors import InputError
from bayesspec.spectrum_image import Acquisition, SpectrumImage
from bayesspec.xray import gaussian_shares, xray_line

OXIDES = ("magnetite", "haematite")
OXIDE_RATIOS = (0.783, 0.698)
_ENERGY_KEV: npt.NDArray[np.float64] = np.asarray(0.1 + 0.01 * np.arange(1000), np.float64)
_ACQUISITION = Acquisition("EDS", beam_energy_kev=200.0, resolution_mn_ka_ev=130.0, elevation_deg=22.0)
_BACKGROUND_SHARE = 0.10
_FE_L_PER_KA = 0.25


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
    _check(counts_per_pixel, shape)
    rng = np.random.default_rng(seed)
    truth = _oxide_sample(rng, shape, blur, uneven)
    truth["spectra"] = np.stack([_oxide_spectrum(ratio) for ratio in OXIDE_RATIOS])
    dose = counts_per_pixel * truth["thickness"]
    counts = np.empty((*shape, len(_ENERGY_KEV)), np.uint16)
    for row in range(shape[0]):
        counts[row] = rng.poisson(dose[row, :, None] * truth["spectra"][truth["labels"][row]])
    return SpectrumImage(
        counts,
        energy=_ENERGY_KEV,
        pixel_size=(1.0, 1.0),
        pixel_unit="nm",
        elements=("Fe", "O"),
        acquisition=_ACQUISITION,
        name=f"iron oxides, {counts_per_pixel:g} counts/pixel",
        truth=truth,
    )


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
    _check(counts_per_pixel, shape)
    rng = np.random.default_rng(seed)
    truth = _oxide_sample(rng, shape, blur, uneven)
    ratio = truth["ratio"][truth["labels"]]
    shares = np.stack([ratio, np.ones(shape)], axis=-1) / (1 + ratio)[..., None]
    counts = rng.poisson(counts_per_pixel * truth["thickness"][..., None] * shares)
    name = f"iron oxides, {counts_per_pixel:g} line counts/pixel"
    return LineMaps(counts, lines=("Fe_Ka", "O_Ka"), acquisition=_ACQUISITION, name=name, truth=truth)


def _check(counts_per_pixel: float, shape: tuple[int, int]) -> None:
    if not counts_per_pixel > 0 or len(shape) != 2 or min(shape) < 2:
        raise InputError(
            f"counts_per_pixel={counts_per_pixel}, shape={shape}",
            "a positive dose and at least 2 x 2 pixels",
            "bs.simulate.iron_oxides(counts_per_pixel=200, shape=(128, 128), seed=0)",
        )


def _oxide_sample(rng: np.random.Generator, shape: tuple[int, int], blur: float, uneven: float) -> dict[str, Any]:
    grains = gaussian_filter(rng.normal(size=shape), blur, mode="wrap")
    labels = (grains > np.quantile(grains, 0.6)).astype(np.int64)
    return {
        "labels": labels,
        "thickness": _thickness(rng, shape, uneven),
        "ratio": np.array(OXIDE_RATIOS),
        "ratio_lines": ("Fe_Ka", "O_Ka"),
        "phases": OXIDES,
    }


def _thickness(rng: np.random.Generator, shape: tuple[int, int], uneven: float) -> npt.NDArray[np.float64]:
    field = gaussian_filter(rng.normal(size=shape), max(shape) / 6, mode="wrap")
    field = field - field.mean()
    thickness = 1 + uneven * field / max(float(np.abs(field).max()), 1e-300)
    return thickness / thickness.mean()


def _oxide_spectrum(ratio: float) -> npt.NDArray[np.float64]:
    lines = ratio * line_profile("Fe_Ka", _ENERGY_KEV) + line_profile("O_Ka", _ENERGY_KEV)
    lines = lines + ratio * _FE_L_PER_KA * line_profile("Fe_La", _ENERGY_KEV)
    background = bremsstrahlung(_ENERGY_KEV, 200.0)
    spectrum = (1 - _BACKGROUND_SHARE) * lines / lines.sum() + _BACKGROUND_SHARE * background
    return spectrum / spectrum.sum()


def line_profile(
    line: str, energy_kev: npt.NDArray[np.float64], resolution_mn_ka_ev: float = 130.0
) -> npt.NDArray[np.float64]:
    """Spectrum of a line and of what the same vacancy emits along with it.

    Parameters
    ----------
    line : str
        Name such as ``"Fe_Ka"``; the line itself has intensity 1, its satellites come on top.
    energy_kev : array, shape (energy,)
        Evenly spaced channel centres in keV.
    resolution_mn_ka_ev : float
        Detector resolution at Mn Ka in eV.

    Returns
    -------
    array, shape (energy,), float64
        Intensity per channel.

    Raises
    ------
    InputError
        When the line is not known.
    """
    found = xray_line(line)
    parts = list(found.members) + [(energy, weight) for _, energy, weight in found.satellites]
    energies, weights = np.array(parts).T
    return gaussian_shares(energies, weights, energy_kev, resolution_mn_ka_ev)


def bremsstrahlung(energy_kev: npt.NDArray[np.float64], beam_energy_kev: float) -> npt.NDArray[np.float64]:
    """Kramers' background with a detector window that absorbs soft X-rays.

    Parameters
    ----------
    energy_kev : array, shape (energy,)
        Channel centres in keV, positive.
    beam_energy_kev : float
        Beam energy in keV.

    Returns
    -------
    array, shape (energy,), float64
        Share per channel, summing to 1.

    Notes
    -----
    Source: Kramers, Phil. Mag. 46 (1923) 836, doi:10.1080/14786442308565244: intensity per energy
    ~ (E0 - E) / E. The window's transmission exp(-(0.35 keV / E)^3) stands for a light-element detector.
    """
    kramers = np.clip(beam_energy_kev - energy_kev, 0, None) / energy_kev
    kramers = kramers * np.exp(-((0.35 / energy_kev) ** 3))
    return kramers / kramers.sum()
