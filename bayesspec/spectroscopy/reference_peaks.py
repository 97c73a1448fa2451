"""Peaks as a detector records them, taken from the spectrum of a standard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from bayesspec.image.rebinning import channel_borders
from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.inference.linear_poisson.variance_parts import variance_parts
from bayesspec.spectroscopy.line_design import LineDesign

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ReferencePeak:
    """Counts of a line in the spectrum of a standard.

    Parameters
    ----------
    line : str
        Name of the line.
    counts : float
        Counts in the named line.
    sd : float
        Relative standard deviation of the counts: shot noise, background and overlap.
    energy : array, shape (channel,), float64
        Centres of the channels in keV.
    spectrum : array, shape (channel,), float64
        Counts of the whole family per channel.
    """

    line: str
    counts: float
    sd: float
    energy: Floats
    spectrum: Floats

    def on(self, energy_kev: Floats, shift_kev: float = 0.0) -> Floats:
        """The peak on another axis.

        Parameters
        ----------
        energy_kev : array, shape (energy,), float64
            Centres of the channels in keV, evenly spaced but for rounding.
        shift_kev : float
            How much higher it lies there, in keV.

        Returns
        -------
        array, shape (energy,), float64
            Counts per channel.
        """
        own, target = (channel_borders(axis) for axis in (self.energy + shift_kev, energy_kev))
        cumulative = PchipInterpolator(own, np.concatenate([[0.0], np.cumsum(self.spectrum)]), extrapolate=False)
        inside = np.clip(target, own[0], own[-1])
        return np.asarray(np.maximum(np.diff(cumulative(inside)), 0.0), np.float64)


def reference_peaks(design: LineDesign, counts: npt.NDArray[np.int64], lines: Sequence[str]) -> list[ReferencePeak]:
    """Tell the counts of lines from the rest of a standard's spectrum.

    The model of lines and continuum is fitted, and the counts of every channel are shared among its parts as the fitted
    rates are. What the counts deviate from the model by more than noise can do stays in the peaks: their shape is the
    detector's.

    Parameters
    ----------
    design : LineDesign
        Lines and continuum of the standard.
    counts : array, shape (channel,), int64
        Its counts over the channels of the design.
    lines : sequence of str
        Lines to take; they are among those of the design.

    Returns
    -------
    list of ReferencePeak
        One a line, in their order; a line without counts has a relative standard deviation that is infinite.

    Notes
    -----
    Deviations are shrunk towards the model by James and Stein's factor, 1 - channels / chi-square over the peak:
    Proc. 4th Berkeley Symp. 1 (1961) 361. Counts shared in proportion to rates: the expectation step of Shepp and
    Vardi, IEEE Trans. Med. Imaging 1 (1982) 113, doi:10.1109/TMI.1982.4307558.
    """
    fit = fit_intensities(design.matrix, counts)
    parts = variance_parts(design.matrix, fit.intensities, design.n_lines)
    found = []
    for line in lines:
        place = design.lines.index(line)
        columns = [
            place,
            *(design.n_lines + k for k, name in enumerate(design.backgrounds) if name == f"tail of {line}"),
        ]
        model = design.matrix[:, columns] @ fit.intensities[columns]
        spectrum = model * (1 + _shrinkage(counts, fit.rate, model) * (counts / fit.rate - 1))
        number = float(fit.intensities[place])
        number *= float(spectrum.sum() / max(model.sum(), 1e-300))
        variance = float(parts[:, place, place].sum())
        sd = np.sqrt(max(variance, 0.0)) / number if number > 0 else np.inf
        found.append(ReferencePeak(line, number, float(sd), design.energy, spectrum))
    return found


def _shrinkage(counts: npt.NDArray[np.int64], rate: Floats, model: Floats) -> float:
    """Share of the deviations from the model in a peak that is no noise."""
    inside = model > 0.01 * model.max()
    chi_square = float(((counts - rate) ** 2 / np.maximum(rate, 1.0))[inside].sum())
    return max(1.0 - inside.sum() / max(chi_square, 1e-300), 0.0)
