"""Acquisition: the beam and the detector that a spectrum image was measured with."""

from __future__ import annotations

from dataclasses import dataclass

from bayesspec.errors import InputError
from bayesspec.image.arguments import checked_real

TECHNIQUES = ("EDS", "EELS", "CL")
_SMALLEST = 1e-6
"""Smallest beam energy, in keV, and live time, in s: more than zero."""
_RANGES = {
    "beam_energy_kev": (_SMALLEST, 1e4, 200),
    "resolution_mn_ka_ev": (1.0, 1e4, 130),
    "live_time_s": (_SMALLEST, 1e9, 60),
    "elevation_deg": (-90.0, 90.0, 22),
}
"""Smallest and largest value of each number, and an example; wide enough for instruments to come."""


@dataclass(frozen=True)
class Acquisition:
    """How the counts were acquired; ``None`` where the file does not say.

    Parameters
    ----------
    technique : {"EDS", "EELS", "CL"}
        What was measured: X-rays, energy losses or light.
    beam_energy_kev : float or None
        Beam energy in keV.
    resolution_mn_ka_ev : float or None
        Full width at half maximum of the detector's response at Mn Ka, in eV.
    live_time_s : float or None
        Live time of the whole image, in s.
    elevation_deg : float or None
        Take-off (elevation) angle of the X-ray detector, in degrees.
    real_time_s : float or None
        Real time of the whole image, in s: live time and dead time together.
    beam_current_na : float or None
        Beam current in nA.
    convergence_mrad : float or None
        Convergence semi-angle of the beam, in mrad.
    collection_mrad : float or None
        Collection semi-angle of the energy-loss spectrometer, in mrad.
    camera_gain, camera_offset, camera_read_noise : float or None
        What a camera made of electrons, in counts of the file; ``None`` where nothing was divided out.

    Raises
    ------
    InputError
        When the technique is none of these, or a number is none that a beam or a detector can have.
    """

    technique: str = "EDS"
    beam_energy_kev: float | None = None
    resolution_mn_ka_ev: float | None = None
    live_time_s: float | None = None
    elevation_deg: float | None = None
    real_time_s: float | None = None
    beam_current_na: float | None = None
    convergence_mrad: float | None = None
    collection_mrad: float | None = None
    camera_gain: float | None = None
    camera_offset: float | None = None
    camera_read_noise: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.technique, str) or self.technique not in TECHNIQUES:
            raise InputError(
                f"technique={self.technique!r}", "'EDS', 'EELS' or 'CL'", "bs.Acquisition(technique='EDS')"
            )
        for name, (low, high, example) in _RANGES.items():
            value = getattr(self, name)
            if value is not None:
                number = checked_real(name, value, low, high, do=f"{name}={example}, or None where not known")
                object.__setattr__(self, name, number)
