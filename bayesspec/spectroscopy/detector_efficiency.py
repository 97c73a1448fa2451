"""Which share of the photons a detector counts: window, dead layer and thickness of the silicon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.image.arguments import checked_real
from bayesspec.spectroscopy.formula import mass_fractions
from bayesspec.spectroscopy.mass_absorption import attenuation

Floats = npt.NDArray[np.float64]
WINDOWS: dict[str, tuple[tuple[str, float], ...]] = {
    "none": (),
    "polymer": (("C22H10N2O5", 4.3e-5), ("Al", 1.1e-5)),
    "silicon nitride": (("Si3N4", 3.4e-5), ("Al", 8.0e-6)),
    "beryllium": (("Be", 1.5e-3),),
}
"""Layers of the windows in use: formula and g/cm^2. A polymer of 300 nm and 40 nm of aluminium; 100 nm of silicon
nitride and 30 nm of aluminium; 8 um of beryllium."""
GRID_OPEN, GRID_CM = 0.77, 0.038
"""Open share and thickness of the silicon grid that carries a polymer window."""
SILICON = 2.33
"""Density of silicon, in g/cm^3."""
LAYER_SD = 0.2
"""Relative standard deviation of the thickness of all layers: makers state them to within this."""


@dataclass(frozen=True)
class Detector:
    """What lies in front of a silicon detector, and how thick it is.

    Parameters
    ----------
    window : {"polymer", "silicon nitride", "beryllium", "none"}
        Its window; ``"none"`` for a windowless detector.
    dead_layer_nm : float
        Silicon at its surface whose photons are not counted, in nm.
    thickness_mm : float
        Thickness of its silicon in mm.

    Raises
    ------
    InputError
        When the window is not known or a thickness not possible.

    Examples
    --------
    >>> bool(Detector("none").efficiency(np.array([0.525]))[0] > Detector("polymer").efficiency(np.array([0.525]))[0])
    True
    """

    window: str = "polymer"
    dead_layer_nm: float = 50.0
    thickness_mm: float = 0.45

    def __post_init__(self) -> None:
        if not isinstance(self.window, str) or self.window not in WINDOWS:
            raise InputError(
                f"window={self.window!r}", f"one of {', '.join(map(repr, WINDOWS))}", "bs.Detector('none')"
            )
        checked_real("dead_layer_nm", self.dead_layer_nm, 0.0, do="bs.Detector('polymer', dead_layer_nm=50.0)")
        checked_real(
            "thickness_mm", self.thickness_mm, 0.0, open_ends=True, do="bs.Detector('polymer', thickness_mm=0.45)"
        )

    def efficiency(self, energy_kev: Floats, layers: float | Floats = 1.0) -> Floats:
        """Share of the photons that are counted.

        Parameters
        ----------
        energy_kev : array, shape (energy,), float64
            Photon energies in keV.
        layers : float or array, shape (draw, 1)
            Factor on the thickness of window and dead layer.

        Returns
        -------
        array, shape (energy,) or (draw, energy), float64
            Between 0 and 1.
        """
        energy = np.asarray(energy_kev, np.float64)
        depth = 1e-7 * self.dead_layer_nm * SILICON * attenuation("Si", energy)
        for formula, mass in WINDOWS[self.window]:
            parts = mass_fractions(formula)[0]
            depth = depth + mass * sum(share * attenuation(element, energy) for element, share in parts.items())
        silicon = SILICON * attenuation("Si", energy)
        open_share = np.ones(energy.shape)
        if self.window == "polymer":
            open_share = GRID_OPEN + (1 - GRID_OPEN) * np.exp(-GRID_CM * silicon)
        return np.asarray(
            open_share * np.exp(-layers * depth) * -np.expm1(-0.1 * self.thickness_mm * silicon), np.float64
        )
