"""Mass absorption coefficients of elements for X-ray lines, with their uncertainty."""

from __future__ import annotations

from functools import cache

import lazy_loader
import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.spectroscopy.xray_lines import xray_line

xraydb = lazy_loader.load("xraydb")

MEASURED = {
    "B_Ka": {
        "B": 3350, "C": 6450, "N": 10400, "O": 16500, "Al": 64000, "Si": 81400, "Ti": 15100, "V": 18250, "Cr": 20200,
        "Fe": 27000, "Co": 33000, "Ni": 41500, "Zr": 4330, "Nb": 4600, "Mo": 4400, "La": 2900, "Ta": 21800, "W": 20400,
        "U": 8000,
    },
    "C_Ka": {
        "B": 37000, "C": 2373, "Si": 36000, "Ti": 9000, "V": 9700, "Cr": 10700, "Fe": 13500, "Zr": 25500, "Nb": 24800,
        "Mo": 20600, "Ta": 17000, "W": 18600,
    },
    "N_Ka": {
        "B": 15800, "N": 1810, "Al": 13100, "Si": 17170, "Ti": 4360, "V": 4790, "Cr": 5630, "Fe": 7190, "Zr": 24000,
        "Nb": 25000, "Mo": 25000, "Hf": 14050, "Ta": 15000,
    },
    "O_Ka": {
        "B": 8550, "O": 1200, "Mg": 5170, "Al": 6720, "Si": 8790, "Ti": 19900, "Cr": 2900, "Mn": 3470, "Fe": 4000,
        "Co": 4500, "Ni": 5120, "Cu": 5920, "Zn": 6350, "Ga": 7090, "Y": 15100, "Zr": 16200, "Nb": 17100, "Mo": 18000,
        "Ru": 19700, "Sn": 15050, "Ba": 4560, "La": 3600, "Ta": 10600, "W": 11300, "Pb": 11000, "Bi": 12100,
    },
}  # fmt: skip
"""Coefficients in cm^2/g by line and absorber, found by comparing compounds of known composition: Bastin and
Heijligers, Scanning 12 (1990) 225, doi:10.1002/sca.4950120408 and their reports of 1988 to 1997. Theoretical tables are
off by 10 to 20 % here, and differ by as much among themselves."""
SOFT_KEV = 1.0
"""Energy, in keV, below which coefficients of tables are less certain."""
UNCERTAINTY = 0.05
"""Relative standard deviation of one coefficient above 1 keV, and of a measured one."""
SOFT_UNCERTAINTY = 0.10
"""Relative standard deviations of one coefficient: above 1 keV and where measured, and of tables below 1 keV. Chosen by
``python benchmarks/quantification.py k412``: the spread of the tables, and intervals that hold the certificate."""


@cache
def mass_absorption(absorber: str, line: str) -> float:
    """Mass absorption coefficient of an element for a line.

    Parameters
    ----------
    absorber : str
        Chemical symbol of what absorbs.
    line : str
        Name of the line, ``"O_Ka"``.

    Returns
    -------
    float
        In cm^2/g.

    Raises
    ------
    InputError
        When element or line are not known.

    Notes
    -----
    Source: Chantler, J. Phys. Chem. Ref. Data 24 (1995) 71, doi:10.1063/1.555974, through xraydb; K lines of boron to
    oxygen: Bastin and Heijligers, Scanning 12 (1990) 225, doi:10.1002/sca.4950120408.

    Examples
    --------
    >>> mass_absorption("Si", "O_Ka")
    8790.0
    """
    measured = MEASURED.get(line, {}).get(absorber)
    if measured is not None:
        return float(measured)
    return float(attenuation(absorber, np.array([xray_line(line).energy_kev]))[0])


def mass_absorption_sd(absorber: str, line: str) -> float:
    """Relative standard deviation of a mass absorption coefficient.

    Parameters
    ----------
    absorber : str
        Chemical symbol of what absorbs.
    line : str
        Name of the line.

    Returns
    -------
    float
        Such as 0.05.

    Raises
    ------
    InputError
        When the line is not known.
    """
    soft = xray_line(line).energy_kev < SOFT_KEV and absorber not in MEASURED.get(line, {})
    return SOFT_UNCERTAINTY if soft else UNCERTAINTY


def attenuation(absorber: str, energy_kev: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mass absorption coefficient of an element at any energies.

    Parameters
    ----------
    absorber : str
        Chemical symbol.
    energy_kev : array, shape (energy,), float64
        Photon energies in keV.

    Returns
    -------
    array, shape (energy,), float64
        In cm^2/g.

    Raises
    ------
    InputError
        When there is no such element, or no table of it.

    Notes
    -----
    Source: Chantler, J. Phys. Chem. Ref. Data 24 (1995) 71, doi:10.1063/1.555974, through xraydb; Elam's tables for the
    elements that are not among them.
    """
    try:
        found = xraydb.mu_chantler(absorber, 1e3 * energy_kev)
        if not np.all(np.isfinite(found)):
            found = xraydb.mu_elam(absorber, 1e3 * energy_kev)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"the element {absorber!r}", "a chemical symbol up to uranium", "'Fe'") from error
    return np.asarray(found, np.float64).reshape(np.shape(energy_kev))
