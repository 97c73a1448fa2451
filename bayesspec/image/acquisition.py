"""Acquisition: the beam and the detector that a spectrum image was measured with."""

from __future__ import annotations

from dataclasses import dataclass

from bayesspec.errors import InputError

TECHNIQUES = ("EDS", "EELS")


@dataclass(frozen=True)
class Acquisition:
    """How the counts were acquired; ``None`` where the file does not say.

    Parameters
    ----------
    technique : {"EDS", "EELS"}
        What was measured: X-rays or energy losses.
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

    Raises
    ------
    InputError
        When the technique is neither.
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

    def __post_init__(self) -> None:
        if self.technique not in TECHNIQUES:
            raise InputError(f"technique={self.technique!r}", "'EDS' or 'EELS'", "bs.Acquisition(technique='EDS')")
