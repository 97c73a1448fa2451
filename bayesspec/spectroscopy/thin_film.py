"""Thin films: compositions and mass thickness by zeta-factors, and absorption within the film."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.files.saved import Saved
from bayesspec.image.arguments import checked_real
from bayesspec.spectroscopy.absorption import absorption_factors
from bayesspec.spectroscopy.composition import KFactor, cliff_lorimer, weighted_intensities

ITERATIONS = 12
"""Times that composition and absorption are computed from each other."""


@dataclass(frozen=True)
class Film(Saved):
    """What is known of a film beyond the factors of its lines.

    Parameters
    ----------
    mass_thickness : float or (float, float), optional
        Density times thickness in kg/m^2 (100 nm of 5 g/cm^3: 5e-4), or value and standard deviation: absorption is
        corrected.
    dose_electrons : float, optional
        Electrons that hit what the counts come from, such as the whole image: the factors are zeta-factors, and the
        mass thickness is found.
    elevation_deg : float, optional
        Take-off angle of the detector in degrees; without it the file's. With zeta-factors and none, absorption is
        left out.
    absorption_sd : float
        Relative standard deviation of the mass absorption coefficient of the film for each line.
    """

    mass_thickness: KFactor | None = None
    dose_electrons: float | None = None
    elevation_deg: float | None = None
    absorption_sd: float = 0.05

    def __post_init__(self) -> None:
        if self.mass_thickness is not None:
            checked_thickness(self.mass_thickness)
        if self.dose_electrons is not None:
            checked_real("dose_electrons", self.dose_electrons, 0.0, open_ends=True, do="dose_electrons=4e11")
        if self.elevation_deg is not None:
            checked_real("elevation_deg", self.elevation_deg, -90.0, 90.0, do="elevation_deg=22")

    def exact(self) -> Film:
        """The film with thickness and absorption taken as exact."""
        thickness = self.mass_thickness
        return replace(
            self, mass_thickness=thickness[0] if isinstance(thickness, tuple) else thickness, absorption_sd=0.0
        )


def checked_thickness(value: Any) -> tuple[float, float]:
    """Return a mass thickness with its standard deviation, or refuse it.

    Parameters
    ----------
    value : float or (float, float)
        In kg/m^2.

    Returns
    -------
    mean, sd : float
        In kg/m^2; 0 where no standard deviation is given.

    Raises
    ------
    InputError
        When it is not positive, or no number.
    """
    do = "mass_thickness=(5e-4, 5e-5)"
    pair = value if isinstance(value, tuple | list) and len(value) == 2 else (value, 0.0)
    mean = checked_real("mass_thickness", pair[0], 0.0, open_ends=True, do=do)
    return mean, checked_real("mass_thickness", pair[1], 0.0, do=do)


def film_composition(
    intensities: xr.DataArray,
    factors: Mapping[str, KFactor],
    film: Film | None,
    *,
    elevation_deg: float | None,
    in_counts: bool,
    seed: int,
) -> xr.Dataset:
    """Turn line intensities into a composition by whichever method the film allows.

    Parameters
    ----------
    intensities : xarray.DataArray, dims (draw, ..., line)
        Joint draws of line intensities.
    factors : mapping of str to float or (float, float)
        k-factors, or zeta-factors where the film has a dose; with standard deviations or without.
    film : Film or None
        ``None`` for k-factors alone.
    elevation_deg : float or None
        Take-off angle that the file tells.
    in_counts : bool
        Whether the intensities are counts, not shares.
    seed : int
        Seed of the draws of uncertain factors.

    Returns
    -------
    xarray.Dataset, dims (draw, ..., element)
        ``weight_percent`` and ``atomic_percent``, and ``mass_thickness`` (draw, ...) in kg/m^2 where it is found.

    Raises
    ------
    InputError
        When the film holds both or neither of thickness and dose, the angle is not known, or intensities are shares.
    """
    if film is None:
        return cliff_lorimer(intensities, factors, seed=seed)
    angle = elevation_deg if film.elevation_deg is None else film.elevation_deg
    if (film.mass_thickness is None) == (film.dose_electrons is None):
        raise InputError(f"{film}", "a mass thickness or a dose, one of them", "bs.Film(mass_thickness=5e-4)")
    if film.dose_electrons is not None:
        if not in_counts:
            raise InputError("shares of the counts", "counts", "bs.unmix(si, elements=[...]) or bs.fit_lines(si)")
        return zeta_factors_composition(
            intensities,
            factors,
            dose_electrons=film.dose_electrons,
            elevation_deg=angle,
            absorption_sd=film.absorption_sd,
            seed=seed,
        )
    if angle is None or film.mass_thickness is None:
        raise InputError("no take-off angle in the file", "the detector's", "bs.Film(5e-4, elevation_deg=22)")
    return absorbed_composition(
        intensities,
        factors,
        mass_thickness=film.mass_thickness,
        elevation_deg=angle,
        absorption_sd=film.absorption_sd,
        seed=seed,
    )


@checked_arguments()
def zeta_factors_composition(
    intensities: xr.DataArray,
    zeta_factors: Mapping[str, KFactor],
    *,
    dose_electrons: float,
    elevation_deg: float | None = None,
    absorption_sd: float = 0.0,
    seed: int,
) -> xr.Dataset:
    """Turn line intensities in counts into composition and mass thickness.

    Parameters
    ----------
    intensities : xarray.DataArray, dims (draw, ..., line)
        Joint draws of line intensities, in counts.
    zeta_factors : mapping of str to float or (float, float)
        Zeta-factor of each line in kg electron / (m^2 photon): a value, or a value with its standard deviation.
    dose_electrons : float
        Number of electrons that hit what the counts come from: current x live time / elementary charge.
    elevation_deg : float or None
        Take-off angle of the detector in degrees; with it, absorption in the film is corrected.
    absorption_sd : float
        Relative standard deviation of the mass absorption coefficient of the film for each line.
    seed : int
        Seed of the draws of uncertain factors.

    Returns
    -------
    xarray.Dataset, dims (draw, ..., element)
        ``weight_percent``, ``atomic_percent`` and ``mass_thickness`` (draw, ...) in kg/m^2.

    Raises
    ------
    InputError
        When a factor belongs to no line that was measured or is not positive, or dose or angle are not possible.

    Notes
    -----
    Source: Watanabe and Williams, J. Microsc. 221 (2006) 89, doi:10.1111/j.1365-2818.2006.01549.x: the mass thickness
    is the sum of zeta x intensity over the dose, the weight fractions are its parts.

    Examples
    --------
    >>> import bayesspec as bs
    >>> fit = bs.fit_lines(bs.simulate.iron_oxides(500, (16, 16), seed=0), ["Fe", "O"])
    >>> draws, factors = fit.intensities.draws, {"Fe_Ka": 900.0, "O_Ka": 1200.0}
    >>> found = bs.zeta_factors_composition(draws, factors, dose_electrons=1e12, seed=0)
    >>> "atomic_percent" in found
    True
    """
    if not dose_electrons > 0:
        raise InputError(
            f"dose_electrons={dose_electrons}", "a positive number", "dose_electrons=1e-9 * 60 / 1.602e-19"
        )
    drawn = weighted_intensities(intensities, zeta_factors, seed=seed)

    def thickness_of(factor: xr.DataArray | float) -> xr.DataArray:
        return (drawn * factor).sum("line") / dose_electrons

    table, thickness = _absorbed(intensities, zeta_factors, thickness_of, elevation_deg, absorption_sd, seed)
    return table.assign(mass_thickness=thickness.assign_attrs(units="kg/m^2"))


@checked_arguments()
def absorbed_composition(
    intensities: xr.DataArray,
    k_factors: Mapping[str, KFactor],
    *,
    mass_thickness: KFactor,
    elevation_deg: float,
    absorption_sd: float = 0.0,
    seed: int,
) -> xr.Dataset:
    """Turn line intensities into a composition by k-factors, with absorption in a film of known mass thickness.

    Parameters
    ----------
    intensities : xarray.DataArray, dims (draw, ..., line)
        Joint draws of line intensities, in counts or any common unit.
    k_factors : mapping of str to float or (float, float)
        Weight-based k-factor of each line, or k-factor and its standard deviation.
    mass_thickness : float or (float, float)
        Density times thickness in kg/m^2 (100 nm of 5 g/cm^3: 5e-4), or value and standard deviation.
    elevation_deg : float
        Take-off angle of the detector in degrees.
    absorption_sd : float
        Relative standard deviation of the mass absorption coefficient of the film for each line.
    seed : int
        Seed of the draws of uncertain factors.

    Returns
    -------
    xarray.Dataset, dims (draw, ..., element)
        ``weight_percent`` and ``atomic_percent``.

    Raises
    ------
    InputError
        When a k-factor belongs to no line that was measured or is not positive, or thickness or angle are not possible.

    Examples
    --------
    >>> import bayesspec as bs
    >>> fit = bs.fit_lines(bs.simulate.iron_oxides(500, (16, 16), seed=0), ["Fe", "O"])
    >>> factors = {"Fe_Ka": 1.4, "O_Ka": 2.0}
    >>> draws, film = fit.intensities.draws, {"mass_thickness": 5e-5, "elevation_deg": 22.0}
    >>> found = bs.absorbed_composition(draws, factors, **film, seed=0)
    >>> "atomic_percent" in found
    True
    """
    mean, sd = checked_thickness(mass_thickness)
    rng = np.random.default_rng([seed, 1])
    thickness = xr.DataArray(np.abs(mean + sd * rng.standard_normal(intensities.sizes["draw"])), dims="draw")
    return _absorbed(intensities, k_factors, lambda _: thickness, elevation_deg, absorption_sd, seed)[0]


def _absorbed(
    intensities: xr.DataArray,
    factors: Mapping[str, KFactor],
    thickness_of: Callable[[xr.DataArray | float], xr.DataArray],
    elevation_deg: float | None,
    absorption_sd: float,
    seed: int,
) -> tuple[xr.Dataset, xr.DataArray]:
    """Alternate composition and absorption until they agree; without an angle nothing is absorbed."""
    factor: xr.DataArray | float = 1.0
    table, lines = cliff_lorimer(intensities, factors, seed=seed), list(factors)
    if elevation_deg is None:
        return table, thickness_of(factor)
    n = intensities.sizes["draw"]
    noise = np.random.default_rng([seed, 6]).standard_normal((n, len(lines))) * (n > 1)  # one draw: no uncertainty
    coefficient = xr.DataArray(
        np.maximum(1 + absorption_sd * noise, 0.0), dims=("draw", "line"), coords={"line": lines}
    )
    for _ in range(ITERATIONS):
        factor = absorption_factors(
            table["weight_percent"] / 100, lines, thickness_of(factor) * coefficient, elevation_deg
        )
        table = cliff_lorimer(intensities.sel(line=lines) * factor, factors, seed=seed)
    return table, thickness_of(factor)
