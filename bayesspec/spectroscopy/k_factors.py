"""k-factors from theory: what a beam ionises, what the vacancies emit, what a detector counts."""

from __future__ import annotations

from collections.abc import Sequence

import lazy_loader
import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, real
from bayesspec.spectroscopy.composition import KFactors
from bayesspec.spectroscopy.detector_efficiency import LAYER_SD, Detector
from bayesspec.spectroscopy.ionisation import emission_cross_section, emission_uncertainty
from bayesspec.spectroscopy.xray_lines import xray_line

xraydb = lazy_loader.load("xraydb")

DRAWS = 2000
"""Draws of cross sections and detector layers, from which the standard deviations come: these are known to 2 %."""


@checked_arguments(beam_energy_kev=real("beam_energy_kev", 0.0, open_ends=True), detector=(Detector, type(None)))
def k_factors(
    lines: Sequence[str],
    *,
    beam_energy_kev: float,
    detector: Detector | None = None,
    reference: str | None = None,
    seed: int = 0,
) -> KFactors:
    """Weight-based k-factors for a thin film from theory, with their uncertainty.

    Parameters
    ----------
    lines : sequence of str
        Names of lines, as a fit names its families.
    beam_energy_kev : float
        Beam energy in keV.
    detector : Detector or None
        Window and thickness; ``None`` takes one with a polymer window.
    reference : str or None
        Line whose factor is 1; ``None`` takes the first.
    seed : int
        Seed of the draws.

    Returns
    -------
    KFactors
        Value and standard deviation by line, with joint draws: 10 % for K lines, 15 % for L, 25 % for M lines and edges
        above 20 keV, and 20 % of the thickness of the detector's layers; the reference is exact by definition.

    Raises
    ------
    InputError
        When a line is not known, or the beam does not excite it.

    Notes
    -----
    k = A / (Q w a e): atomic mass over cross section, fluorescence yield, share of the line and efficiency. Source:
    Williams and Carter, Transmission Electron Microscopy (2009), doi:10.1007/978-0-387-76501-3, equation 35.11; cross
    sections of Casnati, Tartari and Baraldi (1982), doi:10.1088/0022-3700/15/1/022; yields and shares of Elam, Ravel
    and Sieber (2002), doi:10.1016/S0969-806X(01)00227-4; absorption of Chantler (1995), doi:10.1063/1.555974.

    Examples
    --------
    >>> found = k_factors(["Si_Ka", "Fe_Ka"], beam_energy_kev=200.0, detector=Detector("none"))
    >>> bool(1.3 < found["Fe_Ka"][0] < 1.7)
    True
    """
    names = list(dict.fromkeys(lines))
    if not names:
        raise InputError("no lines", "the lines to quantify", "bs.k_factors(fit.lines, beam_energy_kev=200.0)")
    against = reference or names[0]
    every = list(dict.fromkeys([*names, against]))
    rng = np.random.default_rng(seed)
    mass = np.array([xraydb.atomic_mass(xray_line(line).element) for line in every])
    emission = np.array([emission_cross_section(line, float(beam_energy_kev)) for line in every])
    sd = np.array([emission_uncertainty(line) for line in every])
    layers = np.maximum(1 + LAYER_SD * rng.standard_normal((DRAWS, 1)), 0.0)
    energies = np.array([xray_line(line).energy_kev for line in every])
    counted = (detector or Detector()).efficiency(energies, layers)
    emitted = emission * np.exp(sd * rng.standard_normal((DRAWS, len(every))) - 0.5 * sd**2)
    factors = mass / (emitted * counted)
    factors = factors / factors[:, [every.index(against)]]
    draws = xr.DataArray(factors, dims=("draw", "line"), coords={"line": every}).sel(line=names)
    what = (detector or Detector()).window
    source = f"theory, {beam_energy_kev:g} keV, window: {what}{'' if detector else ' (assumed)'}"
    return KFactors(draws, source)
