"""Escape peaks: photons whose silicon fluorescence left the detector are recorded that much too low."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import xraydb

from bayesspec.line_design import LineDesign
from bayesspec.spectrum_image import SpectrumImage

Floats = npt.NDArray[np.float64]
SILICON_KA_KEV = 1.740
SILICON_EDGE_KEV = 1.839
SILICON_K_YIELD = 0.047
K_SHARE = 0.92
"""Share of the absorption in silicon above its K edge that ionises the K shell."""


def escape_probability(energy_kev: Floats) -> Floats:
    """Probability that the fluorescence of silicon escapes through the front of a detector.

    Parameters
    ----------
    energy_kev : array, shape (energy,), float64
        Photon energy in keV.

    Returns
    -------
    array, shape (energy,), float64
        Escape events per absorbed photon; 0 below silicon's K edge.

    Notes
    -----
    Source: Reed and Ware, J. Phys. E 5 (1972) 582, doi:10.1088/0022-3735/5/6/029, with attenuation from Elam's tables:
    0.5 w p (1 - m / M log(1 + M / m)), m and M the coefficients of silicon for its own line and for the photon.
    """
    energy = np.asarray(energy_kev, np.float64)
    found = np.zeros(energy.shape)
    above = energy > SILICON_EDGE_KEV
    own = float(xraydb.mu_elam("Si", 1e3 * SILICON_KA_KEV))
    ratio = xraydb.mu_elam("Si", 1e3 * energy[above]) / own
    found[above] = 0.5 * SILICON_K_YIELD * K_SHARE * (1.0 - np.log1p(ratio) / ratio)
    return found


def with_escape(design: LineDesign, image: SpectrumImage) -> LineDesign:
    """Add the escape peaks of the whole spectrum as a column.

    Parameters
    ----------
    design : LineDesign
        Lines and background.
    image : SpectrumImage
        The image whose summed spectrum is shifted.

    Returns
    -------
    LineDesign
        With one more column, ``"escape"``, of free intensity; the same one where nothing can escape.
    """
    spectrum = image.sum_spectrum() * escape_probability(image.energy)
    moved = np.interp(design.energy + SILICON_KA_KEV, image.energy, spectrum, left=0.0, right=0.0)
    if not moved.sum() > 0:
        return design
    column = moved / moved.sum()
    return replace(design, backgrounds=(*design.backgrounds, "escape"), matrix=np.column_stack([design.matrix, column]))
