"""X-rays generated in a thick sample and what leaves it: the distribution over depth phi(rho z) by the XPP model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import lazy_loader
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.spectroscopy.xray_lines import xray_line

xraydb = lazy_loader.load("xraydb")

Floats = npt.NDArray[np.float64]
LEAST_DIFFERENCE = 1e-6
"""Relative difference of the two exponentials, at least: where they are equal the formula is 0 / 0."""
EXPONENTS = {"L": 0.82, "M": 0.78}
"""Fall of the ionisation cross section with the overvoltage, of L and M shells."""


@dataclass(frozen=True, eq=False)
class ModelFactors:
    """Factors on what the model takes from measurements, one a draw; 1 is the model as published.

    Parameters
    ----------
    depth, stopping, backscatter : array, shape (draw,) or (), float64
        On the mean depth of ionisation, the mean ionisation potential and the backscatter coefficient.
    """

    depth: Floats
    stopping: Floats
    backscatter: Floats


PUBLISHED = ModelFactors(np.ones(()), np.ones(()), np.ones(()))


@dataclass(frozen=True, eq=False)
class DepthDistribution:
    """phi(rho z) = A exp(-a rho z) + (B rho z + phi(0) - A) exp(-b rho z), rho z in g/cm^2.

    Parameters
    ----------
    area : array, shape (...), float64
        Integral of phi, g/cm^2: ionisations in the sample over those in a film of 1 g/cm^2.
    surface : array, shape (...), float64
        phi(0).
    a, b, amplitude, slope : array, shape (...), float64
        a and b in cm^2/g, A, and B in cm^2/g.
    """

    area: Floats
    surface: Floats
    a: Floats
    b: Floats
    amplitude: Floats
    slope: Floats

    def at(self, mass_depth: npt.ArrayLike) -> Floats:
        """Ionisation at a depth over that in a thin film.

        Parameters
        ----------
        mass_depth : array, any shape that goes with (...)
            In g/cm^2.

        Returns
        -------
        array, float64
            phi.
        """
        x = np.asarray(mass_depth, np.float64)
        deep = (self.slope * x + self.surface - self.amplitude) * np.exp(-self.b * x)
        return np.asarray(self.amplitude * np.exp(-self.a * x) + deep, np.float64)

    def emitted(self, chi: npt.ArrayLike) -> Floats:
        """Integral of phi(rho z) exp(-chi rho z): what leaves the sample, in units of `area`.

        Parameters
        ----------
        chi : array, shape (...)
            Mass absorption coefficient over the sine of the take-off angle, in cm^2/g.

        Returns
        -------
        array, shape (...), float64
            In g/cm^2.
        """
        x = np.asarray(chi, np.float64)
        deep = (self.surface - self.amplitude) / (self.b + x) + self.slope / (self.b + x) ** 2
        return np.asarray(self.amplitude / (self.a + x) + deep, np.float64)


def depth_distribution(
    fractions: Floats, elements: tuple[str, ...], line: str, beam_energy_kev: float, factors: ModelFactors = PUBLISHED
) -> DepthDistribution:
    """Distribution over depth of the ionisations behind a line.

    Parameters
    ----------
    fractions : array, shape (..., element), float64
        Mass fractions; they are brought to a sum of 1.
    elements : tuple of str
        Chemical symbols.
    line : str
        Name of the line, ``"Fe_Ka"``.
    beam_energy_kev : float
        Beam energy in keV, 50 at most.
    factors : ModelFactors
        What the model's parts are multiplied by.

    Returns
    -------
    DepthDistribution
        Shape (...).

    Raises
    ------
    InputError
        When the beam does not excite the line, or is above 50 keV.

    Notes
    -----
    Source: Pouchou and Pichoir, in Heinrich and Newbury (eds), Electron Probe Quantitation (1991) 31,
    doi:10.1007/978-1-4899-2617-3_4: equations 5 to 13 and 28, appendices 1 to 4.

    Examples
    --------
    >>> found = depth_distribution(np.array([1.0]), ("Fe",), "Fe_Ka", 20.0)
    >>> round(float(found.surface), 2)
    1.55
    """
    known = xray_line(line)
    if not known.edge_kev < beam_energy_kev <= 50:
        raise InputError(
            f"a beam of {beam_energy_kev:g} keV for {line}, edge {known.edge_kev:.4g} keV",
            "a beam above the edge and up to 50 keV: thick samples in a scanning microscope",
            "composition(k_factors=...) for a thin film in a transmission microscope",
        )
    shares = np.maximum(fractions, 0.0) / np.maximum(np.maximum(fractions, 0.0).sum(axis=-1, keepdims=True), 1e-300)
    z = atomic_numbers(elements)
    u, exponent = beam_energy_kev / known.edge_kev, _exponent(line)
    mean_z = (shares @ np.sqrt(z)) ** 2
    stopping = _ionisations_to_rest(shares, elements, z, beam_energy_kev, u, exponent, factors.stopping)
    eta = factors.backscatter * (1.75e-3 * mean_z + 0.37 * -np.expm1(-0.015 * mean_z**1.3))
    area = _backscatter_factor(eta, u) * stopping * u**exponent * known.edge_kev**2 / np.log(u)
    surface = 1 + 3.3 * (1 - u ** -(2 - 2.3 * eta)) * eta**1.2
    return _shape(area, surface, mean_z, u, factors.depth)


@cache
def atomic_numbers(elements: tuple[str, ...]) -> Floats:
    """Atomic numbers.

    Parameters
    ----------
    elements : tuple of str
        Chemical symbols.

    Returns
    -------
    array, shape (element,), float64
        Numbers.
    """
    return np.array([float(xraydb.atomic_number(element)) for element in elements])


@cache
def atomic_masses(elements: tuple[str, ...]) -> Floats:
    """Atomic masses.

    Parameters
    ----------
    elements : tuple of str
        Chemical symbols.

    Returns
    -------
    array, shape (element,), float64
        In g/mol.
    """
    return np.array([float(xraydb.atomic_mass(element)) for element in elements])


@cache
def _exponent(line: str) -> float:
    element, family = line.split("_")
    if family[0] == "K":
        return float(0.86 + 0.12 * np.exp(-((xraydb.atomic_number(element) / 5) ** 2)))
    return EXPONENTS[family[0]]


def _ionisations_to_rest(
    shares: Floats,
    elements: tuple[str, ...],
    z: Floats,
    beam_kev: float,
    u: float,
    exponent: float,
    factor: Floats,
) -> Floats:
    """Integral of the cross section along the path of an electron that comes to rest, 1/S, g/cm^2."""
    per_gram = z / atomic_masses(elements)
    density = shares @ per_gram
    potentials = 1e-3 * z * (10.04 + 8.25 * np.exp(-z / 11.22))
    j = factor * np.exp(shares @ (per_gram * np.log(potentials)) / density)
    v = beam_kev / j
    one = np.ones(np.shape(j))
    weights: tuple[Floats, ...] = (6.6e-6 * one, 1.12e-5 * (1.35 - 0.45 * j**2), 2.2e-6 / j)
    powers: tuple[Floats, ...] = (0.78 * one, 0.1 * one, 0.25 * j - 0.5)
    total = np.zeros(np.shape(j))
    for weight, power in zip(weights, powers, strict=True):
        t = 1 + power - exponent
        total = total + weight * (v / u) ** power * (t * u**t * np.log(u) - u**t + 1) / t**2
    return np.asarray(u / (v * density) * total, np.float64)


def _backscatter_factor(eta: Floats, u: float) -> Floats:
    """Share of the ionisations that are left where electrons are scattered back, R."""
    energy = 0.595 + eta / 3.7 + eta**4.55
    q = (2 * energy - 1) / (1 - energy)
    loss = (u - 1 - (1 - u ** -(1 + q)) / (1 + q)) / ((2 + q) * (1 + u * (np.log(u) - 1)))
    return np.asarray(1 - eta * energy * (1 - loss), np.float64)


def _shape(area: Floats, surface: Floats, mean_z: Floats, u: float, depth: Floats) -> DepthDistribution:
    """The two exponentials with this area, surface value, mean depth and slope at the surface."""
    y = 0.2 + mean_z / 200
    ratio = 1 + (1 + 1.3 * np.log(mean_z)) * np.log(1 + y * (1 - u**-0.42)) / np.log(1 + y)
    mean_depth = np.minimum(depth * area / np.maximum(ratio, surface), area / surface)
    b = np.sqrt(2) * (1 + np.sqrt(np.maximum(1 - mean_depth * surface / area, 0.0))) / mean_depth
    g = 0.22 * np.log(4 * mean_z) * (1 - 2 * np.exp(-mean_z * (u - 1) / 15))
    h = 1 - 10 * (1 - 1 / (1 + u / 10)) / mean_z**2
    slope_0 = np.minimum(g * h**4, 0.9 * b * mean_depth**2 * (b - 2 * surface / area)) * area / mean_depth**2
    a = (slope_0 + b * (2 * surface - b * area)) / (b * area * (2 - b * mean_depth) - surface)
    difference = (a - b) / b
    small = np.abs(difference) < LEAST_DIFFERENCE
    difference = np.where(small, np.copysign(LEAST_DIFFERENCE, difference), difference)
    slope = (b**2 * area * (1 + difference) - slope_0 - surface * b * (2 + difference)) / difference
    amplitude = (slope / b + surface - b * area) * (1 + difference) / difference
    return DepthDistribution(area, surface, b * (1 + difference), b, amplitude, slope)
