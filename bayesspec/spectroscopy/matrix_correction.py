"""From k-ratios to mass fractions of a thick sample: stopping, backscatter, absorption and fluorescence, by draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesspec.spectroscopy.fluorescence import CONTINUUM_UNCERTAINTY, LINES_UNCERTAINTY, fluorescence
from bayesspec.spectroscopy.mass_absorption import mass_absorption, mass_absorption_sd
from bayesspec.spectroscopy.phi_rho_z import ModelFactors, atomic_masses, depth_distribution
from bayesspec.spectroscopy.xray_lines import xray_line

Floats = npt.NDArray[np.float64]
DEPTH_SD, STOPPING_SD, BACKSCATTER_SD = 0.03, 0.05, 0.03
"""Relative standard deviations of the mean depth, the mean ionisation potential and the backscatter coefficient that
the model takes from measurements. Chosen by ``python benchmarks/quantification.py k412``."""
SHARED = 0.5
"""Share of the variance of a mass absorption coefficient that it has in common with those of the absorber for other
lines: a table that is off is off over a range of energies."""
ITERATIONS = 60
"""Iterations at most between composition and emission."""
SETTLED = 1e-6
"""Change of a mass fraction at which the composition has settled."""
LEAST_K = 1e-12
"""Floor of a k-ratio, so that a draw without counts has a composition."""


@dataclass(frozen=True, eq=False)
class Physics:
    """Everything that the correction takes from tables and models, one value a draw.

    Parameters
    ----------
    beam_energy_kev : float
        Beam energy in keV.
    absorption : dict of (str, str) to array, shape (draw,), float64
        Mass absorption coefficient by absorber and line, in cm^2/g.
    factors : ModelFactors
        Factors on parts of phi(rho z), shape (draw,).
    by_lines, by_continuum : array, shape (draw,), float64
        Factors on the two parts of the fluorescence.
    """

    beam_energy_kev: float
    absorption: Mapping[tuple[str, str], Floats]
    factors: ModelFactors
    by_lines: Floats
    by_continuum: Floats


def drawn_physics(
    elements: Sequence[str],
    lines: Sequence[str],
    beam_energy_kev: float,
    rng: np.random.Generator,
    n: int,
    sources: Sequence[str] = ("absorption", "depth model", "fluorescence"),
) -> Physics:
    """Draw coefficients and factors from what is known of them.

    Parameters
    ----------
    elements : sequence of str
        Absorbers: the elements of sample and standards.
    lines : sequence of str
        Names of the lines.
    beam_energy_kev : float
        Beam energy in keV.
    rng : numpy.random.Generator
        Source of randomness.
    n : int
        Number of draws.
    sources : sequence of str
        What is uncertain: ``"absorption"``, ``"depth model"``, ``"fluorescence"``.

    Returns
    -------
    Physics
        Draws; what is not among the sources is the same in all.

    Raises
    ------
    InputError
        When an element or line is not known.
    """

    def spread(sd: float, source: str) -> Floats:
        noise = rng.standard_normal(n)
        return np.maximum(1 + sd * noise * (source in sources), 0.1)

    common = {element: rng.standard_normal(n) for element in elements}
    absorption = {}
    for line in lines:
        for element in elements:
            noise = np.sqrt(SHARED) * common[element] + np.sqrt(1 - SHARED) * rng.standard_normal(n)
            sd = mass_absorption_sd(element, line) * ("absorption" in sources)
            absorption[element, line] = mass_absorption(element, line) * np.exp(sd * noise)
    factors = ModelFactors(*(spread(sd, "depth model") for sd in (DEPTH_SD, STOPPING_SD, BACKSCATTER_SD)))
    return Physics(
        beam_energy_kev,
        absorption,
        factors,
        spread(LINES_UNCERTAINTY, "fluorescence"),
        spread(CONTINUUM_UNCERTAINTY, "fluorescence"),
    )


def emitted(fractions: Floats, elements: tuple[str, ...], line: str, elevation_deg: float, physics: Physics) -> Floats:
    """X-rays of a line that leave a sample, for a unit of the element's mass fraction.

    Parameters
    ----------
    fractions : array, shape (draw, element), float64
        Mass fractions; they are brought to a sum of 1.
    elements : tuple of str
        Chemical symbols, the line's among them.
    line : str
        Name of the line.
    elevation_deg : float
        Take-off angle in degrees.
    physics : Physics
        Coefficients and factors.

    Returns
    -------
    array, shape (draw,), float64
        In units that are the same for all samples.

    Raises
    ------
    InputError
        When the beam does not excite the line.
    """
    shares = fractions / np.maximum(fractions.sum(axis=1, keepdims=True), 1e-300)
    coefficients = np.stack([physics.absorption[element, line] for element in elements], axis=1)
    chi = (shares * coefficients).sum(axis=1) / np.sin(np.radians(elevation_deg))
    primary = depth_distribution(shares, elements, line, physics.beam_energy_kev, physics.factors).emitted(chi)
    by_lines, by_continuum = fluorescence(shares, elements, line, physics.beam_energy_kev, chi)
    return np.asarray(primary * (1 + physics.by_lines * by_lines + physics.by_continuum * by_continuum), np.float64)


def corrected_fractions(
    k: Floats,
    lines: Sequence[str],
    of_standards: Floats,
    elevation_deg: float,
    physics: Physics,
    *,
    oxygen: Mapping[str, float] | None = None,
    normalise: bool = False,
) -> tuple[Floats, bool]:
    """Find the mass fractions that give the k-ratios.

    Parameters
    ----------
    k : array, shape (draw, line), float64
        k-ratios, one line an element.
    lines : sequence of str
        Names of the lines.
    of_standards : array, shape (draw, line), float64
        Emission of the standards: mass fraction times `emitted`.
    elevation_deg : float
        Take-off angle of the sample in degrees.
    physics : Physics
        Coefficients and factors, the same as of the standards.
    oxygen : mapping of str to float or None
        Mass of oxygen to that of each element, where oxygen comes by stoichiometry; it is the last element then.
    normalise : bool
        Bring the sum to 1 in every step: the k-ratios have a common factor that is not known.

    Returns
    -------
    fractions : array, shape (draw, element), float64
        Mass fractions, in the order of the lines.
    converged : bool
        Whether the last step changed less than 1e-6.

    Notes
    -----
    Simple iteration c <- k c_std I_std / I(c), which contracts as emission per mass fraction changes little with c.
    Source: Pouchou and Pichoir (1991), doi:10.1007/978-1-4899-2617-3_4; emission as in `emitted`.
    """
    elements = tuple(xray_line(line).element for line in lines)
    every = elements if oxygen is None else (*elements, "O")
    fractions = _completed(np.maximum(k, LEAST_K), elements, oxygen)
    moved = np.inf
    for _ in range(ITERATIONS):
        unit = np.stack([emitted(fractions, every, line, elevation_deg, physics) for line in lines], axis=1)
        new = _completed(np.maximum(k, LEAST_K) * of_standards / unit, elements, oxygen)
        if normalise:
            new = new / np.maximum(new.sum(axis=1, keepdims=True), 1e-300)
        moved, fractions = float(np.abs(new - fractions).max()), new
        if moved < SETTLED:
            break
    return fractions, moved < SETTLED


def standards_emission(
    compositions: Sequence[Mapping[str, float]],
    lines: Sequence[str],
    elevations_deg: Sequence[float],
    physics: Physics,
    deviations: Sequence[Mapping[str, Floats]],
) -> Floats:
    """Emission of each line from its standard.

    Parameters
    ----------
    compositions : sequence of mapping of str to float
        Mass fractions of the standard of each line.
    lines : sequence of str
        Names of the lines.
    elevations_deg : sequence of float
        Take-off angle of each standard in degrees.
    physics : Physics
        Coefficients and factors.
    deviations : sequence of mapping of str to array, shape (draw,)
        What the draws of each mass fraction deviate from it.

    Returns
    -------
    array, shape (draw, line), float64
        Mass fraction times `emitted`.

    Raises
    ------
    InputError
        When the beam does not excite a line.
    """
    n, found = len(physics.by_lines), []
    for line, composition, elevation, deviation in zip(lines, compositions, elevations_deg, deviations, strict=True):
        elements = tuple(composition)
        shift = np.stack([np.broadcast_to(deviation.get(e, np.zeros(n)), (n,)) for e in elements], axis=1)
        fractions = np.maximum(np.array([composition[e] for e in elements]) + shift, 1e-9)
        own = fractions[:, elements.index(xray_line(line).element)]
        found.append(own * emitted(fractions, elements, line, elevation, physics))
    return np.stack(found, axis=1)


def atomic_fractions(fractions: Floats, elements: Sequence[str]) -> Floats:
    """Atomic fractions of mass fractions.

    Parameters
    ----------
    fractions : array, shape (..., element), float64
        Mass fractions.
    elements : sequence of str
        Chemical symbols.

    Returns
    -------
    array, shape (..., element), float64
        They sum to 1.
    """
    atoms = fractions / atomic_masses(tuple(elements))
    return np.asarray(atoms / np.maximum(atoms.sum(axis=-1, keepdims=True), 1e-300), np.float64)


def _completed(fractions: Floats, elements: tuple[str, ...], oxygen: Mapping[str, float] | None) -> Floats:
    """Add the oxygen that goes with the other elements."""
    if oxygen is None:
        return fractions
    weights = np.array([oxygen.get(element, 0.0) for element in elements])
    return np.column_stack([fractions, fractions @ weights])
