"""A detector's response: how wide a line is, and how it spreads over channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from bayesspec.errors import InputError

MN_KA_KEV = 5.895
"""Energy of Mn Ka, in keV, at which resolutions of detectors are stated."""
ASSUMED_RESOLUTION_EV = 130.0
"""Full width at half maximum at Mn Ka, in eV, where the file states none; a detector of 140 eV that is taken for one
of 130 eV is a row of ``python benchmarks/spectra.py oxide``."""
FANO_SLOPE_EV = 2.5
"""Growth of the squared width with the photon energy, in eV: Fiori and Newbury, Scanning Electron Microscopy 1
(1978) 401."""
FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
"""Full width at half maximum of a normal distribution over its standard deviation."""
LEAST_FWHM_EV = 30.0
"""Full width at half maximum, in eV, of the electronic noise where the formula of the width has none left."""
REACH_SIGMA = 8.5
"""Standard deviations beyond which less of a line is left than a float64 beside 1 can hold."""


def fwhm_kev(
    energy_kev: npt.ArrayLike,
    resolution_mn_ka_ev: npt.ArrayLike = ASSUMED_RESOLUTION_EV,
    *,
    slope_ev: npt.ArrayLike = FANO_SLOPE_EV,
) -> npt.NDArray[Any]:
    """Full width at half maximum of the detector's response.

    Parameters
    ----------
    energy_kev : array, any shape
        Photon energy in keV.
    resolution_mn_ka_ev : float, or array that broadcasts
        Full width at half maximum at Mn Ka, in eV.
    slope_ev : float, or array that broadcasts
        Growth of the squared width with the photon energy, in eV.

    Returns
    -------
    array, same shape, float64
        Full width at half maximum in keV.

    Raises
    ------
    InputError
        When the resolution is not between 60 and 400 eV.

    Notes
    -----
    Source: Fiori and Newbury, Scanning Electron Microscopy 1 (1978) 401:
    FWHM^2 = FWHM_Mn^2 + 2.5 (E - E_Mn), in eV.
    A floor of 30 eV stands for the electronic noise where the formula has none left.
    """
    resolution, slope = np.asarray(resolution_mn_ka_ev, np.float64), np.asarray(slope_ev, np.float64)
    if not (resolution.min() >= 60 and resolution.max() <= 400):
        raise InputError(
            f"a detector resolution of {resolution_mn_ka_ev!r} eV at Mn Ka",
            "60 to 400 eV",
            "bs.load(path, resolution_mn_ka_ev=130)",
        )
    squared = resolution**2 + 1e3 * slope * (np.asarray(energy_kev, dtype=np.float64) - MN_KA_KEV)
    return np.sqrt(np.maximum(squared, LEAST_FWHM_EV**2)) / 1e3


def gaussian_shares(
    energies_kev: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    axis_kev: npt.NDArray[np.float64],
    resolution_mn_ka_ev: float,
    *,
    slope_ev: float = FANO_SLOPE_EV,
) -> npt.NDArray[np.float64]:
    """Spread transitions over the channels of a detector: Gaussians, integrated over each channel.

    Parameters
    ----------
    energies_kev : array, shape (transition,), float64
        Energies in keV.
    weights : array, shape (transition,), float64
        Intensity of each transition.
    axis_kev : array, shape (energy,), float64
        Centres of the channels in keV.
    resolution_mn_ka_ev : float
        Full width at half maximum at Mn Ka, in eV.
    slope_ev : float
        Growth of the squared width with the photon energy, in eV.

    Returns
    -------
    array, shape (energy,), float64
        Intensity per channel, in the unit of `weights`.

    Raises
    ------
    InputError
        When the resolution is not between 60 and 400 eV, or there is but one channel.
    """
    if len(axis_kev) < 2:
        raise InputError("an energy axis of one channel", "two channels or more", "another crop")
    sigma = fwhm_kev(energies_kev, resolution_mn_ka_ev, slope_ev=slope_ev) / FWHM_PER_SIGMA
    return spread_gaussians(energies_kev, weights, sigma, axis_kev)


def spread_gaussians(
    energies_kev: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    sigma_kev: npt.NDArray[np.float64],
    axis_kev: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Spread transitions over channels, each with a width of its own.

    Parameters
    ----------
    energies_kev : array, shape (transition,), float64
        Energies in keV.
    weights : array, shape (transition,), float64
        Intensity of each transition.
    sigma_kev : array, shape (transition,), float64
        Standard deviation of each in keV.
    axis_kev : array, shape (energy,), float64
        Centres of the channels in keV, rising.

    Returns
    -------
    array, shape (energy,), float64
        Intensity per channel, in the unit of `weights`.
    """
    spread = np.zeros(len(axis_kev))
    reach = REACH_SIGMA * sigma_kev
    start = max(int(np.searchsorted(axis_kev, (energies_kev - reach).min())) - 2, 0)
    stop = min(int(np.searchsorted(axis_kev, (energies_kev + reach).max())) + 2, len(axis_kev))
    if stop - start < 2:
        return spread
    axis = axis_kev[start:stop]
    half = np.empty(len(axis))
    half[1:-1], half[0], half[-1] = (axis[2:] - axis[:-2]) / 4, (axis[1] - axis[0]) / 2, (axis[-1] - axis[-2]) / 2
    first = np.searchsorted(axis + half, energies_kev - reach)
    last = np.searchsorted(axis - half, energies_kev + reach)
    channels = first[:, None] + np.arange(max(int((last - first).max()), 1))
    inside = channels < last[:, None]
    channels = np.minimum(channels, len(axis) - 1)
    offset = axis[channels] - energies_kev[:, None]
    upper, lower = ((offset + sign * half[channels]) / sigma_kev[:, None] for sign in (1.0, -1.0))
    shares = np.where(inside, (ndtr(upper) - ndtr(lower)) * weights[:, None], 0.0)
    spread[start:stop] = np.bincount(channels.ravel(), shares.ravel(), minlength=len(axis))
    return spread


def gaussian_columns(
    lines: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    axis_kev: npt.NDArray[np.float64],
    resolution_mn_ka_ev: float,
) -> npt.NDArray[np.float64]:
    """Spread several lines over the channels of a detector.

    Parameters
    ----------
    lines : sequence of (array, array), each of shape (transition,)
        Energies in keV and intensities of the transitions of every line.
    axis_kev : array, shape (energy,), float64
        Centres of the channels in keV.
    resolution_mn_ka_ev : float
        Full width at half maximum at Mn Ka, in eV.

    Returns
    -------
    array, shape (energy, line), float64
        Intensity per channel, in the unit of the intensities.

    Raises
    ------
    InputError
        When the resolution is not between 60 and 400 eV.
    """
    if not lines:
        return np.zeros((len(axis_kev), 0))
    energies, weights = (np.concatenate([np.asarray(line[i], np.float64) for line in lines]) for i in (0, 1))
    owners = np.repeat(np.arange(len(lines)), [np.size(line[0]) for line in lines])
    sigma = fwhm_kev(energies, resolution_mn_ka_ev) / FWHM_PER_SIGMA
    return SpreadLines(energies, sigma, owners, len(lines), axis_kev).shares(weights)


class SpreadLines:
    """Transitions of several lines over the channels that each reaches, and how their shapes change.

    Parameters
    ----------
    energies_kev, sigma_kev : array, shape (transition,), float64
        Energy and standard deviation of each, in keV.
    owners : array, shape (transition,), int64
        Line that each belongs to.
    n_lines : int
        Number of lines.
    axis_kev : array, shape (energy,), float64
        Centres of the channels in keV, rising.
    """

    def __init__(
        self,
        energies_kev: npt.NDArray[np.float64],
        sigma_kev: npt.NDArray[np.float64],
        owners: npt.NDArray[np.int64],
        n_lines: int,
        axis_kev: npt.NDArray[np.float64],
    ) -> None:
        axis, reach = axis_kev, REACH_SIGMA * sigma_kev
        half = np.empty(len(axis))
        half[1:-1], half[0], half[-1] = (axis[2:] - axis[:-2]) / 4, (axis[1] - axis[0]) / 2, (axis[-1] - axis[-2]) / 2
        first = np.searchsorted(axis + half, energies_kev - reach)
        last = np.searchsorted(axis - half, energies_kev + reach)
        self.transition = np.repeat(np.arange(len(first)), last - first)
        start = np.concatenate([[0], np.cumsum(last - first)[:-1]]) - first
        self.channels = np.arange(len(self.transition)) - start[self.transition]
        self.centre, self.half = axis[self.channels], half[self.channels]
        self.sigma = sigma_kev[self.transition]
        offset = self.centre - energies_kev[self.transition]
        self.lower, self.upper = (offset - self.half) / self.sigma, (offset + self.half) / self.sigma
        self.place, self.shape = self.channels * n_lines + owners[self.transition], (len(axis), n_lines)

    def summed(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Add up values of transitions in channels, line by line.

        Parameters
        ----------
        values : array, shape (entry,), float64
            One for every channel that every transition reaches.

        Returns
        -------
        array, shape (energy, line), float64
            Sums.
        """
        found = np.bincount(self.place, values, minlength=self.shape[0] * self.shape[1])
        return np.asarray(found, np.float64).reshape(self.shape)

    def shares(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Spectrum of every line.

        Parameters
        ----------
        weights : array, shape (transition,), float64
            Intensity of each transition.

        Returns
        -------
        array, shape (energy, line), float64
            Intensity per channel, in the unit of `weights`.
        """
        return self.summed((ndtr(self.upper) - ndtr(self.lower)) * weights[self.transition])

    def derivatives(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Derivatives of every share by energy and width of its transition, and by the gain of the axis.

        Returns
        -------
        by_energy, by_sigma, by_gain : array, each of shape (entry,), float64
            Per keV, per keV, and for a relative change of all distances from zero energy.
        """
        below, above = (np.exp(-0.5 * np.square(u)) / np.sqrt(2 * np.pi) for u in (self.lower, self.upper))
        by_gain = (above * (self.centre + self.half) - below * (self.centre - self.half)) / self.sigma
        return -(above - below) / self.sigma, -(above * self.upper - below * self.lower) / self.sigma, by_gain
