"""Absorption of X-rays on their way out of a film."""

from __future__ import annotations

from functools import cache

import lazy_loader
import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.spectroscopy.xray_lines import xray_line

xraydb = lazy_loader.load("xraydb")

M2_PER_KG = 0.1
"""Square metres per kilogram in one square centimetre per gram."""


def absorption_factors(
    weight_fractions: xr.DataArray, lines: list[str], mass_thickness: xr.DataArray, elevation_deg: float
) -> xr.DataArray:
    """Photons generated per photon that leaves a film.

    Parameters
    ----------
    weight_fractions : xarray.DataArray, dims (..., element)
        Composition of the film, summing to 1.
    lines : list of str
        Lines.
    mass_thickness : xarray.DataArray, dims (...) or (..., line)
        In kg/m^2.
    elevation_deg : float
        Take-off angle in degrees.

    Returns
    -------
    xarray.DataArray, dims (..., line), float64
        Factors of 1 or more.

    Raises
    ------
    InputError
        When the angle is not between 0 and 90 degrees.

    Notes
    -----
    Source: Goldstein, Costley, Lorimer and Reed, SEM/1977 vol. 1, 315: generation even over the depth gives
    chi / (1 - exp(-chi)) with chi = (mu/rho) x mass thickness / sin(elevation). Coefficients: Elam through xraydb.
    """
    if not 0 < elevation_deg <= 90:
        raise InputError(f"elevation_deg={elevation_deg}", "an angle above 0 and up to 90 degrees", "elevation_deg=22")
    elements = [str(element) for element in weight_fractions["element"].values]
    table = np.array([[_attenuation(element, line) for element in elements] for line in lines])
    coefficients = xr.DataArray(table, dims=("line", "element"), coords={"line": lines, "element": elements})
    chi = xr.dot(weight_fractions, coefficients, dim="element") * mass_thickness / np.sin(np.radians(elevation_deg))
    return xr.where(chi > 1e-8, chi / -np.expm1(-chi.clip(min=1e-8)), 1.0)


@cache
def _attenuation(element: str, line: str) -> float:
    """Mass attenuation coefficient of an element for a line, in m^2/kg."""
    return M2_PER_KG * float(xraydb.mu_elam(element, 1e3 * xray_line(line).energy_kev))
