"""What an EDS detector records: lines with their satellites, and bremsstrahlung."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, line_name, real, values
from bayesspec.image.spectrum_image import Acquisition
from bayesspec.spectroscopy.detector import gaussian_shares
from bayesspec.spectroscopy.xray_lines import xray_line

ENERGY_KEV: npt.NDArray[np.float64] = np.asarray(0.1 + 0.01 * np.arange(1000), np.float64)
"""Channels of the simulated detector, in keV: 1000 of 10 eV."""
ACQUISITION = Acquisition("EDS", beam_energy_kev=200.0, resolution_mn_ka_ev=130.0, elevation_deg=22.0)
AXIS = "energy_kev=np.arange(0.1, 10.1, 0.01)"
FE_L_PER_KA = 0.25
"""Intensity of La over that of Ka, of iron and its neighbours."""


def emission(lines: Mapping[str, float], background: float) -> npt.NDArray[np.float64]:
    """Spectrum of a compound: its lines with what the same vacancies emit, on bremsstrahlung.

    Parameters
    ----------
    lines : mapping of str to float
        Intensity of each line, such as ``{"Fe_Ka": 3.1, "O_Ka": 4.0}``, in any unit.
    background : float
        Share of the bremsstrahlung in all counts, from 0 to 1.

    Returns
    -------
    array, shape (energy,), float64
        Share of the counts per channel of `ENERGY_KEV`, summing to 1.

    Raises
    ------
    InputError
        When a line is not known.
    """
    total = sum((value * line_profile(name, ENERGY_KEV) for name, value in lines.items()), np.zeros(len(ENERGY_KEV)))
    spectrum = (1 - background) * total / total.sum() + background * bremsstrahlung(ENERGY_KEV, 200.0)
    return spectrum / spectrum.sum()


@checked_arguments(
    line=line_name, energy_kev=values("energy_kev", AXIS), resolution_mn_ka_ev=real("resolution_mn_ka_ev", 1.0, 1e4)
)
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
        When the line is not known, or the channels are not in a row.
    """
    if energy_kev.ndim != 1:
        raise InputError(f"energy_kev of shape {energy_kev.shape}", "one energy a channel", AXIS)
    found = xray_line(line)
    parts = list(found.members) + [(energy, weight) for _, energy, weight in found.satellites]
    energies, weights = np.array(parts).T
    return gaussian_shares(energies, weights, energy_kev, resolution_mn_ka_ev)


@checked_arguments(energy_kev=values("energy_kev", AXIS), beam_energy_kev=real("beam_energy_kev", 0.0, open_ends=True))
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

    Raises
    ------
    InputError
        When channels are not above 0, or none lies below the beam's energy.

    Notes
    -----
    Source: Kramers, Phil. Mag. 46 (1923) 836, doi:10.1080/14786442308565244: intensity per energy
    ~ (E0 - E) / E. The window's transmission exp(-(0.35 keV / E)^3) stands for a light-element detector.
    """
    if not energy_kev.size or not (energy_kev > 0).all() or energy_kev.min() >= beam_energy_kev:
        found = f"channels from {np.min(energy_kev, initial=np.inf):g} keV, a beam of {beam_energy_kev:g} keV"
        raise InputError(found, "channels above 0, some of them below the beam's energy", AXIS)
    kramers = np.clip(beam_energy_kev - energy_kev, 0, None) / energy_kev
    kramers = kramers * np.exp(-((0.35 / energy_kev) ** 3))
    return kramers / kramers.sum()
