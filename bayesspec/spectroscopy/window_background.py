"""Windows free of lines beside each peak, and what they say about the background under it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.spectroscopy.continuum import ContinuumCurve, continuum_curve
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV, fwhm_kev
from bayesspec.spectroscopy.xray_lines import XrayLine, lines_in_range, xray_line

REACH_FWHM = 5.0
"""Distance from a line, in full widths, within which a window of background must lie."""
CLEAN_FWHM = 2.0
"""Distance from every line, in full widths, of the channels that the continuum is fitted to."""
FIT_RANGE = 2.5
"""Factor on the energies of the softest and the hardest peak between which the continuum is fitted."""
DUANE_HUNT = 0.9  # of the beam energy: beyond it pile-up, and the edge that the detector blurs, are all there is
Channels = npt.NDArray[np.int64]


def resolution(image: SpectrumImage) -> float:
    """Full width at half maximum of the image's detector at Mn Ka, in eV; 130 where it is not known.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.

    Returns
    -------
    float
        Resolution in eV.
    """
    return image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV


def line_fwhm(image: SpectrumImage, energy_kev: float) -> float:
    """Width of the image's detector at an energy.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.
    energy_kev : float
        Photon energy in keV.

    Returns
    -------
    float
        Full width at half maximum in keV.

    Raises
    ------
    InputError
        When the image's resolution is not between 60 and 400 eV.
    """
    return float(fwhm_kev(energy_kev, resolution(image)))


def side_windows(
    image: SpectrumImage, peaks: list[XrayLine], own: list[Channels], fwhm: npt.NDArray[np.float64]
) -> tuple[list[Channels], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Place background windows on both sides of each peak.

    The background's shape is a smooth curve through the line-free channels of the summed spectrum; its level in a
    pixel or phase is left to the windows' own counts.

    Parameters
    ----------
    image : SpectrumImage
        Counts, energy axis, elements and detector.
    peaks : list of XrayLine
        Lines that have windows.
    own : list of array, each of shape (n,), int64
        Channels of each peak.
    fwhm : array, shape (peak,), float64
        Full width at half maximum of each peak in keV.

    Returns
    -------
    sides : list of array, each of shape (n,), int64
        Channels of each background window; disjoint.
    weights : array, shape (peak, side), float64
        Background counts under a peak per count in a side window.
    errors : array, shape (factor, peak, side), float64
        Changes of `weights`, one standard deviation each and independent of each other, that the curve leaves open.

    Raises
    ------
    InputError
        When the image's resolution is not between 60 and 400 eV.
    """
    free, clean = _line_free(image, peaks, 1.0), _line_free(image, peaks, CLEAN_FWHM)
    found: list[list[Channels]] = [
        [w for side in (-1, 1) if (w := _side_window(image.energy, free, line.energy_kev, width, side)) is not None]
        for line, width in zip(peaks, fwhm.tolist(), strict=True)
    ]
    sides = _merged([window for pair in found for window in pair])
    curve = _curve(image, peaks, clean)
    weights = np.zeros((len(peaks), len(sides)))
    errors = np.zeros((curve.factors.shape[1], len(peaks), len(sides)))
    for i, (channels, pair) in enumerate(zip(own, found, strict=True)):
        used = [j for j, side in enumerate(sides) if any(np.isin(w, side).any() for w in pair)]
        _interpolate(weights[i], image.energy, curve.rate, channels, sides, used)
        for j in np.flatnonzero(weights[i]):
            errors[:, i, j] = weights[i, j] * (curve.log_share(channels) - curve.log_share(sides[j]))
    return sides, weights, errors


def _curve(image: SpectrumImage, peaks: list[XrayLine], clean: npt.NDArray[np.bool_]) -> ContinuumCurve:
    """The continuum around the peaks."""
    low, high = (f(line.energy_kev for line in peaks) for f in (min, max))
    beam = image.acquisition.beam_energy_kev
    top = high * FIT_RANGE if beam is None else min(high * FIT_RANGE, DUANE_HUNT * beam)
    used = image.valid_channels & (image.energy > low / FIT_RANGE) & (image.energy < max(top, high))
    return continuum_curve(image.energy, image.sum_spectrum(), clean, used, beam_energy_kev=beam)


def _line_free(image: SpectrumImage, peaks: list[XrayLine], distance: float) -> npt.NDArray[np.bool_]:
    """Channels further than `distance` full widths from every line of the named elements."""
    low, high = float(image.energy[0]), float(image.energy[-1])
    named = {line.name: line for line in peaks}
    for element in image.elements:
        for name in lines_in_range(element, low, high, image.acquisition.beam_energy_kev):
            named.setdefault(name, xray_line(name))
    free = image.valid_channels.copy()
    for line in named.values():
        strong = [e for e, w in line.members if w > 0.01] + [e for _, e, w in line.satellites if w > 0.01]
        for energy in strong:
            free &= np.abs(image.energy - energy) > distance * line_fwhm(image, energy)
    return free


def _side_window(
    energy: npt.NDArray[np.float64], free: npt.NDArray[np.bool_], centre: float, fwhm: float, side: int
) -> Channels | None:
    """Return the nearest run of free channels on one side, at most one full width long."""
    offset = side * (energy - centre)
    near = np.flatnonzero(free & (offset > fwhm) & (offset < REACH_FWHM * fwhm))[::side]
    if not len(near):
        return None
    longest = max(round(fwhm / float(np.median(np.diff(energy)))), 2)
    runs = np.split(near, np.flatnonzero(np.abs(np.diff(near)) > 1) + 1)
    run = next((r for r in runs if len(r) >= max(longest // 3, 1)), None)
    return None if run is None else np.sort(run[:longest])


def _merged(windows: list[Channels]) -> list[Channels]:
    """Unite windows that share channels, so that no count is used twice."""
    merged: list[Channels] = []
    for window in sorted(windows, key=lambda w: int(w[0])):
        if merged and window[0] <= merged[-1][-1]:
            merged[-1] = np.union1d(merged[-1], window)
        else:
            merged.append(window)
    return merged


def _interpolate(
    row: npt.NDArray[np.float64],
    energy: npt.NDArray[np.float64],
    curve: npt.NDArray[np.float64],
    channels: Channels,
    sides: list[Channels],
    used: list[int],
) -> None:
    """Scale the curve to the windows on both sides, with a tilt that is linear in energy."""
    centre = float(energy[channels].mean())
    middles = {j: float(energy[sides[j]].mean()) for j in used}
    per_count = {j: curve[channels].sum() / curve[sides[j]].sum() for j in used}
    left = max((j for j in used if middles[j] < centre), default=None)
    right = min((j for j in used if middles[j] >= centre), default=None)
    if left is not None and right is not None:
        share = (centre - middles[left]) / (middles[right] - middles[left])
        row[left], row[right] = (1 - share) * per_count[left], share * per_count[right]
    elif used:
        row[used[0]] = per_count[used[0]]
