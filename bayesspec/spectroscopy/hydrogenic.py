"""Core-loss cross sections of K and L shells from hydrogenic generalised oscillator strengths."""

from __future__ import annotations

from functools import cache

import lazy_loader
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.spectroscopy.transitions import subshells

xraydb = lazy_loader.load("xraydb")

Floats = npt.NDArray[np.float64]
RYDBERG_EV = 13.6057
"""Rydberg energy, in eV."""
REST_ENERGY_EV = 510999.0
"""Rest energy of the electron, in eV."""
BOHR_RADIUS_NM = 0.0529177
"""Bohr radius, in nm."""
K_SCREENING = 0.5
"""Screening of the nucleus, in elementary charges, by the other K electron."""
L_SCREENING = 1.7 + 0.35 * 7
"""Screening of the nucleus by the other K electron, and by K and L electrons (Slater)."""
L_EXPONENTS = {
    13: 0.52, 14: 0.42, 15: 0.30, 16: 0.29, 17: 0.22, 18: 0.30, 19: 0.22, 20: 0.16, 21: 0.12, 22: 0.13, 23: 0.13,
    24: 0.14, 25: 0.16, 26: 0.18, 27: 0.19, 28: 0.22, 29: 0.14, 30: 0.11, 31: 0.12, 32: 0.12, 33: 0.12, 34: 0.10,
    35: 0.10, 36: 0.10,
}  # fmt: skip
"""Exponents of Egerton's correction of L cross sections by atomic number, from measured photoabsorption."""
LIGHT_EXPONENT, HEAVY_EXPONENT = 0.52, 0.10
"""Below and above the elements for which it is tabulated."""
UNCERTAINTY = {"K": 0.10, "L": 0.15}
"""Relative standard deviation of a cross section by shell: Egerton, Electron Energy-Loss Spectroscopy in the Electron
Microscope (2011), doi:10.1007/978-1-4419-9583-4, section 3.6.1, against measurements and Hartree-Slater values."""
ANGLES = 128
"""Scattering angles over which a cross section is summed: 0.1 % against adaptive quadrature."""
LEAST_ROOT = 0.01
"""Momentum of the ejected electron next to the threshold, where the formula is 0 / 0."""


def oscillator_strength(
    element: str, shell: str, energy_ev: npt.ArrayLike, momentum: npt.ArrayLike, *, onset_ev: float | None = None
) -> Floats:
    """Generalised oscillator strength of all electrons of a shell.

    Parameters
    ----------
    element : str
        Chemical symbol.
    shell : {"K", "L"}
        The shell.
    energy_ev : array, shape (...)
        Energy losses in eV.
    momentum : array, shape (...)
        (q a0)^2, squared momentum transfer in units of the inverse Bohr radius.
    onset_ev : float or None
        Onset of the edge in eV; ``None`` takes the element's. Zero below it.

    Returns
    -------
    array, shape (...), float64
        Per eV and atom.

    Raises
    ------
    InputError
        When the element has no such edge, or another shell is asked for.

    Notes
    -----
    Source: Egerton, Ultramicroscopy 4 (1979) 169, doi:10.1016/S0304-3991(79)80006-X (K: SIGMAK) and Egerton, EMSA Proc.
    39 (1981) 198 (L: SIGMAL); equations 3.125 to 3.135 of Electron Energy-Loss Spectroscopy in the Electron Microscope.
    """
    if shell not in ("K", "L"):
        raise InputError(f"the {shell} shell of {element}", "a K or L edge: cross sections are hydrogenic", "'O_K'")
    energy, q2 = np.broadcast_arrays(np.asarray(energy_ev, np.float64), np.asarray(momentum, np.float64))
    levels = _levels(element, shell)
    first = levels["K" if shell == "K" else "L3"]
    shift = 0.0 if onset_ev is None else onset_ev - first
    z = xraydb.atomic_number(element)
    inside = np.where(energy >= first + shift, energy, first + shift)
    if shell == "K":
        found = _k_strength(z, inside, q2)
    else:
        found = _l_strength(z, inside, q2, first + shift, levels["L1"] + shift)
    return np.where(energy >= first + shift, found, 0.0)


def differential_cross_section(
    element: str,
    shell: str,
    energy_ev: Floats,
    *,
    beam_energy_kev: float,
    collection_mrad: float,
    convergence_mrad: float = 0.0,
    onset_ev: float | None = None,
) -> Floats:
    """Cross section per energy loss for scattering into a collection aperture.

    Parameters
    ----------
    element : str
        Chemical symbol.
    shell : {"K", "L"}
        The shell.
    energy_ev : array, shape (energy,), float64
        Energy losses in eV.
    beam_energy_kev : float
        Beam energy in keV.
    collection_mrad, convergence_mrad : float
        Semi-angles of the aperture and of the evenly filled beam, in mrad.
    onset_ev : float or None
        Onset of the edge in eV; ``None`` takes the element's.

    Returns
    -------
    array, shape (energy,), float64
        In nm^2/eV; zero below the onset.

    Raises
    ------
    InputError
        When the element has no such edge, or an angle or the beam energy is not possible.

    Notes
    -----
    Source: Egerton (2011), doi:10.1007/978-1-4419-9583-4, equations 3.146 to 3.151: 4 pi a0^2 R^2 / (E T) times the
    oscillator strength over d ln (q a0)^2, with relativistic kinematics. A convergent beam: each angle counts by the
    share of the cone that reaches the aperture.

    Examples
    --------
    >>> energy = np.arange(284.0, 384.0)
    >>> section = differential_cross_section("C", "K", energy, beam_energy_kev=200.0, collection_mrad=10.0)
    >>> bool(5e-7 < section.sum() < 2e-6)
    True
    """
    if not (beam_energy_kev > 0 and 0 < collection_mrad < 500 and 0 <= convergence_mrad < 500):
        raise InputError(
            f"beam {beam_energy_kev} keV, collection {collection_mrad} mrad, convergence {convergence_mrad} mrad",
            "positive values, angles below 500 mrad",
            "bs.Acquisition('EELS', beam_energy_kev=200.0, collection_mrad=20.0, convergence_mrad=10.0)",
        )
    energy = np.maximum(np.asarray(energy_ev, np.float64), 1.0)
    gamma = 1 + 1e3 * beam_energy_kev / REST_ENERGY_EV
    t = 0.5 * REST_ENERGY_EV * (1 - gamma**-2)
    least = energy**2 / (4 * RYDBERG_EV * t) + energy**3 / (8 * gamma**3 * RYDBERG_EV * t**2)
    before = t / (RYDBERG_EV * (1 - 2 * t / REST_ENERGY_EV))
    after = np.maximum(before - energy / RYDBERG_EV * (gamma - energy / (2 * REST_ENERGY_EV)), 0.0)
    widest = 1e-3 * (collection_mrad + convergence_mrad)
    steps = (np.arange(ANGLES) + 0.5) / ANGLES
    most = least + 4 * np.sqrt(before * after) * np.sin(widest / 2) ** 2
    spread = np.log(most / least)[:, None]
    q2 = least[:, None] * np.exp(spread * steps)
    angle = 2 * np.arcsin(np.sqrt(np.clip((q2 - least[:, None]) / (4 * np.sqrt(before * after)[:, None]), 0.0, 1.0)))
    reached = _collected(1e3 * angle, collection_mrad, convergence_mrad)
    strength = oscillator_strength(element, shell, energy[:, None], q2, onset_ev=onset_ev)
    integral = (strength * reached).mean(axis=1) * spread[:, 0]
    unit = 4 * np.pi * BOHR_RADIUS_NM**2 * RYDBERG_EV**2
    return np.asarray(unit / (energy * t) * integral * (np.asarray(energy_ev) > 0), np.float64)


def _k_strength(z: int, energy: Floats, q2: Floats) -> Floats:
    screened = 1.0 if z == 1 else z - K_SCREENING
    electrons = 1 if z == 1 else 2
    q, k2 = q2 / screened**2, energy / (RYDBERG_EV * screened**2) - 1
    phase = _coulomb(2.0, q - k2 + 1, k2)
    shape = (q + k2 / 3 + 1 / 3) / ((q - k2 + 1) ** 2 + 4 * k2) ** 3
    return np.asarray(128 * electrons * energy * phase * shape / (RYDBERG_EV**2 * screened**4), np.float64)


def _l_strength(z: int, energy: Floats, q2: Floats, l3: float, l1: float) -> Floats:
    screened = z - L_SCREENING
    q, k2 = q2 / screened**2, energy / (RYDBERG_EV * screened**2) - 0.25
    phase = _coulomb(1.0, q - k2 + 0.25, k2)
    denominator = (q - k2 + 0.25) ** 2 + k2
    p_only = (
        2.25 * q**4
        - (0.75 + 3 * k2) * q**3
        + (0.59375 - 0.75 * k2 - 0.5 * k2**2) * q**2
        + (0.11146 + 0.85417 * k2 + 1.8833 * k2**2 + k2**3) * q
        + 0.0035807
        + k2 / 21.333
        + k2**2 / 4.5714
        + k2**3 / 2.4
        + k2**4 / 4
    ) / denominator**5
    both = (
        q**3
        - (5 / 3 * k2 + 11 / 12) * q**2
        + (k2**2 / 3 + 1.5 * k2 + 65 / 48) * q
        + k2**3 / 3
        + 0.75 * k2**2
        + 23 / 48 * k2
        + 5 / 64
    ) / denominator**4
    exponent = L_EXPONENTS.get(z, LIGHT_EXPONENT if z < 13 else HEAVY_EXPONENT)
    correction = ((energy + 0.1 - l3) / (1.8 * z**2)) ** exponent
    shape = np.where(energy > l1, both, p_only)
    return np.asarray(32 * correction * energy * phase * shape / (RYDBERG_EV**2 * screened**4), np.float64)


def _coulomb(order: float, distance: Floats, k2: Floats) -> Floats:
    """Exponential of the phase over the normalisation of the final state; below the hydrogenic threshold continued."""
    root = np.maximum(np.sqrt(np.abs(k2)), LEAST_ROOT)
    angle = np.arctan2(order * root, distance)
    above = np.exp(-2 / root * angle) / -np.expm1(-2 * np.pi / root)
    ratio = (distance + order * root) / np.where(k2 < 0, np.maximum(distance - order * root, 1e-300), 1.0)
    below = np.exp(-np.log(np.maximum(ratio, 1e-300)) / root)
    return np.where(k2 >= 0, above, below)


def _collected(angle_mrad: Floats, collection: float, convergence: float) -> Floats:
    """Share of a cone's electrons that reach the aperture after scattering by an angle: overlap of two discs."""
    if convergence <= 0:
        return np.asarray(angle_mrad <= collection, np.float64)
    large, small = max(collection, convergence), min(collection, convergence)
    d = np.clip(angle_mrad, large - small, large + small)
    first = np.arccos(np.clip((d**2 + large**2 - small**2) / (2 * d * large + 1e-300), -1, 1))
    second = np.arccos(np.clip((d**2 + small**2 - large**2) / (2 * d * small + 1e-300), -1, 1))
    sides = (-d + large + small) * (d + large - small) * (d - large + small) * (d + large + small)
    kite = np.sqrt(np.maximum(sides, 0.0))
    overlap = large**2 * first + small**2 * second - 0.5 * kite
    overlap = np.where(angle_mrad <= large - small, np.pi * small**2, overlap)
    return np.asarray(np.where(angle_mrad < large + small, overlap, 0.0) / (np.pi * convergence**2), np.float64)


@cache
def _levels(element: str, shell: str) -> dict[str, float]:
    table = {level: float(edge.energy) for level, edge in subshells(element).items()}
    needed = ("K",) if shell == "K" else ("L3", "L1")
    if any(level not in table for level in needed):
        raise InputError(f"the {shell} shell of {element}", "an edge that the element has", "'O_K'")
    return {level: table[level] for level in needed}
