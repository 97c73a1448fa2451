"""Lines in the spectrum that the fit does not explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV, fwhm_kev, gaussian_shares
from bayesspec.spectroscopy.line_families import COMMON_ELEMENTS, LineFamily, element_families

SIGNIFICANT = 6.0
SHAPE_ERROR = 0.03
REACH_FWHM = 5.0
ARTEFACT_SHARE = 0.02
SILICON_KA_KEV = 1.74
LEAST_SHARE = 0.02
SMOOTH_ABOVE_KEV = 0.7


@dataclass(frozen=True)
class ResidualLine:
    """A peak that the fit leaves over.

    Parameters
    ----------
    energy_kev : float
        Where it is, in keV.
    counts : float
        Counts in it.
    significance : float
        Counts over their standard deviation, errors of the line shapes included.
    candidates : tuple of str
        Lines of common elements that lie there, nearest first, four at most; or the sum or escape peak that does.
    """

    energy_kev: float
    counts: float
    significance: float
    candidates: tuple[str, ...]


def residual_lines(
    counts: npt.NDArray[Any],
    rate: npt.NDArray[np.float64],
    energy_kev: npt.NDArray[np.float64],
    image: SpectrumImage,
    families: Sequence[LineFamily],
) -> list[ResidualLine]:
    """Find peaks of the detector's width in the residual.

    Parameters
    ----------
    counts : array, shape (channel,)
        Counts.
    rate : array, shape (channel,), float64
        Fitted counts.
    energy_kev : array, shape (channel,), float64
        Channel centres in keV.
    image : SpectrumImage
        Detector and beam.
    families : sequence of LineFamily
        What was fitted: near a fitted line a residual is put down to its shape.

    Returns
    -------
    list of ResidualLine
        Peaks above 6 standard deviations and above 0.7 keV, the most significant first. Below, tails and edges of
        the continuum leave peaks that are no lines.
    """
    resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
    height, peak = _filtered(counts - rate, rate, energy_kev, resolution)
    far = energy_kev > SMOOTH_ABOVE_KEV
    for family in families:
        for energy, weight in zip(family.energies_kev, family.weights, strict=True):
            if weight > LEAST_SHARE:
                far &= np.abs(energy_kev - energy) > 1.2 * float(fwhm_kev(energy, resolution))
    score = np.where(far, height, 0.0)
    found: list[ResidualLine] = []
    step = float(np.median(np.diff(energy_kev)))
    while len(found) < 8 and score.max() > SIGNIFICANT:
        top = int(score.argmax())
        energy = float(energy_kev[top])
        width = float(fwhm_kev(energy, resolution))
        around = np.abs(energy_kev - energy) < REACH_FWHM * width
        if peak[top] > SHAPE_ERROR * (rate * around).max() * width / step:
            names = _artefacts(energy, width, rate, energy_kev, families) or _candidates(energy, width, image)
            found.append(ResidualLine(energy, float(peak[top]), float(score[top]), names))
        score = np.where(np.abs(energy_kev - energy) < 2 * width, 0.0, score)
    return found


def _artefacts(
    energy_kev: float,
    width_kev: float,
    rate: npt.NDArray[np.float64],
    axis_kev: npt.NDArray[np.float64],
    families: Sequence[LineFamily],
) -> tuple[str, ...]:
    """Two photons counted as one, and photons that left silicon's behind, of the strong lines."""
    heights = np.array([np.interp(_strongest(family), axis_kev, rate) for family in families])
    strong = [f for f, height in zip(families, heights, strict=True) if height > ARTEFACT_SHARE * heights.max()]
    sums = [
        (abs(_strongest(a) + _strongest(b) - energy_kev), f"{a.name} + {b.name} counted as one")
        for a in strong
        for b in strong
    ]
    escapes = [(abs(_strongest(a) - SILICON_KA_KEV - energy_kev), f"escape peak of {a.name}") for a in strong]
    return tuple(name for distance, name in sorted(sums + escapes) if distance < 0.4 * width_kev)[:1]


def _strongest(family: LineFamily) -> float:
    return float(np.array(family.energies_kev)[np.argmax(family.weights)])


def _filtered(
    residual: npt.NDArray[np.float64],
    rate: npt.NDArray[np.float64],
    energy_kev: npt.NDArray[np.float64],
    resolution: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Significance and counts of a peak at every channel, over what is left and right of it."""
    shapes = np.stack([gaussian_shares(np.array([e]), np.ones(1), energy_kev, resolution) for e in energy_kev])
    widths = fwhm_kev(energy_kev, resolution)
    distance = np.abs(energy_kev[None] - energy_kev[:, None]) / widths[:, None]
    near = distance < 2.0
    mean = (shapes * near).sum(axis=1) / near.sum(axis=1)
    kernel = np.where(near, shapes - mean[:, None], 0.0)
    peak = kernel @ residual / np.maximum((kernel * shapes).sum(axis=1), 1e-300)
    excess = np.median(np.square(residual) / np.maximum(rate, 1.0)) / 0.455
    variance = np.maximum(rate, 1.0) * max(excess, 1.0)
    sd = np.sqrt(np.square(kernel) @ variance) / np.maximum((kernel * shapes).sum(axis=1), 1e-300)
    return peak / sd, peak


def _candidates(energy_kev: float, width_kev: float, image: SpectrumImage) -> tuple[str, ...]:
    beam = image.acquisition.beam_energy_kev
    found: list[tuple[float, str]] = []
    for element in COMMON_ELEMENTS:
        for family in element_families(element, float(image.energy[0]), float(image.energy[-1]), beam):
            distance = abs(_strongest(family) - energy_kev)
            if distance < 0.4 * width_kev:
                found.append((distance, family.name))
    return tuple(name for _, name in sorted(found)[:4])
