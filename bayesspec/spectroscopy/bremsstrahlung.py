"""Bremsstrahlung as a non-negative combination of few curves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError

_CHANNELS = "another mask, or a crop that keeps them"

CUT_OFFS_KEV = (0.15, 0.19, 0.24, 0.3, 0.36, 0.43, 0.52, 0.65, 0.85, 1.1, 1.5)
"""Cut-off energies, in keV, of the layers whose transmissions make up the soft part of the continuum."""
KNOTS_KEV = (1.4, 2.4, 4.0, 6.5, 10.0, 14.0, 20.0, 30.0, 50.0, 80.0)
"""Knots, in keV, of the splines that follow the continuum further up; those that the axis holds are used."""
HIGHEST_BEAM_KEV = 300.0
"""Beam energy, in keV, where none is known: far above the axis."""
LEAST_ENERGY_KEV = 0.02
"""Energy, in keV, below which there is no continuum, so that Kramers' 1 / E stays finite."""


def background_basis(
    energy_kev: npt.NDArray[np.float64], beam_energy_kev: float | None = None
) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Curves whose non-negative combinations follow the continuum of thin and thick samples.

    All are Kramers' continuum. Its soft part, up to a few keV, is multiplied by the transmission of layers that cut
    off at several energies s: exp(-(s / E)^3), the fall of photoelectric absorption with energy; sample, window and
    dead layer together are close to a mixture of such layers. Further up it is multiplied by overlapping quadratic
    splines in log E, whose sum follows anything smooth, such as the falling efficiency of the detector.

    Parameters
    ----------
    energy_kev : array, shape (energy,), float64
        Centres of the channels, in keV.
    beam_energy_kev : float or None
        Beam energy in keV; ``None`` for one far above the axis.

    Returns
    -------
    basis : array, shape (energy, curve), float64
        Share per channel; every column sums to 1.
    names : tuple of str
        One name a column.

    Notes
    -----
    Source: Kramers, Phil. Mag. 46 (1923) 836, doi:10.1080/14786442308565244: intensity per energy ~ (E0 - E) / E.
    """
    energy = np.maximum(np.asarray(energy_kev, np.float64), LEAST_ENERGY_KEV)
    beam = HIGHEST_BEAM_KEV if beam_energy_kev is None else float(beam_energy_kev)
    if not len(energy):
        raise InputError("no channel that can be used", "channels with X-rays below the beam energy", _CHANNELS)
    kramers = np.clip(beam - energy, 0.0, None) / energy * (np.asarray(energy_kev) >= LEAST_ENERGY_KEV)
    bumps = _bumps(energy)
    soft = kramers * bumps[:, 0]
    curves = {f"continuum, cut off at {s:g} keV": soft * np.exp(-((s / energy) ** 3)) for s in CUT_OFFS_KEV}
    for bump in bumps.T[1:]:
        curves[f"continuum at {energy[bump.argmax()]:.3g} keV"] = kramers * bump
    kept = {name: curve / curve.sum() for name, curve in curves.items() if curve.sum() > 0}
    return np.stack(list(kept.values()), axis=1), tuple(kept)


def _bumps(energy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Quadratic splines in log E that sum to 1, shape (energy, bump); the first is 1 below the first knot."""
    top = float(energy[-1])
    inner = [k for k in KNOTS_KEV if k < 0.85 * top]
    if not inner:
        return np.ones((len(energy), 1))
    knots = np.log([inner[0]] * 3 + inner[1:] + [1.001 * top] * 3)
    x = np.clip(np.log(energy), knots[0], np.log(top))
    from scipy.interpolate import BSpline

    return BSpline.design_matrix(x, knots, 2).toarray()
