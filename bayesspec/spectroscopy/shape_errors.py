"""How far the recorded shape of a line family may be from the tabulated one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayesspec.spectroscopy.detector import fwhm_kev, gaussian_shares
from bayesspec.spectroscopy.line_design import LineDesign, has_tail, tail_shape
from bayesspec.spectroscopy.line_families import LineFamily

Floats = npt.NDArray[np.float64]
REFINED = (1.5, 0.01)
"""Error of a line's energy in eV and relative error of its width, axis refined (python benchmarks/spectra.py oxide)."""
AS_FILED = (8.0, 0.05)
"""The same on the axis of a file."""
TABULATED = (0.0, 0.0)
"""Lines where the axis has them, as wide as the detector's resolution says."""
SOFT_PEAK_KEV = 1.0
"""Energy, in keV, below which a minor peak is known less well: binding and self-absorption change the L lines of 3d
metals (python benchmarks/spectra.py oxide)."""
VALENCE_KEV = 3.7
"""Energy, in keV, below which Kb comes from the valence shell: K and lighter elements, whose bonds change it."""


class PeakErrors(NamedTuple):
    """Relative errors of the minor peaks of a family.

    Parameters
    ----------
    k, valence : float
        Of Kb; of Kb from the valence shell.
    lm : float
        Of L and M lines, and of any far softer than their family's hardest.
    soft : float
        Of all below 1 keV.
    """

    k: float
    valence: float
    lm: float
    soft: float


MEASURED = PeakErrors(0.05, 0.3, 0.5, 1.0)
"""Where counts are measured: no minor peak must bend a ratio (python benchmarks/spectra.py oxide silicates)."""
TOLD_APART = PeakErrors(0.05, 0.3, 0.25, 0.5)
"""Where elements are told apart: what tables and samples leave open as a rule (python benchmarks/spectra.py elements
measured)."""
SOFT_TAIL_ERROR = 0.03
"""Share of a soft line in its tail within which no tail is told from a fitted one."""
TAIL_ERROR = 0.01
"""Share of a line that charge collected in part may spread down to zero energy."""
CONTINUUM_ERROR = 0.01
"""Relative error of a smooth continuum over about a tenth of its energy."""
CONTINUUM_LENGTH = 0.12
"""Standard deviation of such an error in the logarithm of the energy."""
LEAST_COUNTS = 30.0
"""Counts below which the shape of a family is taken as it is: its noise is larger than these errors."""
SAME_PEAK_FWHM = 0.15
"""Transitions nearer than this share of the width to each other are one peak, whose shape tables know well enough."""
STEP_KEV = 1e-3
"""Step, in keV, of the difference that stands for the derivative by the energy of a line."""
LEAST_FACTOR = 0.1
"""Size of a change of the shapes, in standard deviations of the spectrum's noise, below which it is left out: cost."""
LEAST_WEIGHT = 1e-3
"""Transitions below this share of the strongest one of a family are left out of its errors: cost."""


def shape_errors(
    families: Sequence[LineFamily],
    intensities: Floats,
    energy_kev: Floats,
    channels: npt.NDArray[np.int64],
    resolution_mn_ka_ev: float,
    errors: tuple[float, float] = REFINED,
    peaks: PeakErrors = MEASURED,
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Changes of the expected counts that the shapes of the families leave open.

    Parameters
    ----------
    families : sequence of LineFamily
        Fitted families.
    intensities : array, shape (family,), float64
        Counts in each.
    energy_kev : array, shape (energy,), float64
        Channel centres in keV.
    channels : array, shape (channel,), int64
        Channels that are fitted.
    resolution_mn_ka_ev : float
        Full width at half maximum at Mn Ka, in eV.
    errors : (float, float)
        Standard deviations of the energy of each line in eV, and of its width relative to it.
    peaks : PeakErrors
        Relative errors of minor peaks.

    Returns
    -------
    changes : array, shape (channel, error), float64
        One standard deviation each: shift, width, tail, and every peak but the strongest.
    owners : array, shape (error,), int64
        Place of the family whose shape each changes; -1 for the error of a soft tail, which is a column of its own.
    """
    found = []
    for place, (family, counts) in enumerate(zip(families, intensities, strict=True)):
        if counts > LEAST_COUNTS:
            own = _changes(family, float(counts), energy_kev, resolution_mn_ka_ev, errors, peaks)
            found += [(change, place) for change in own]
            if has_tail(family):
                found[-1] = found[-1][0], -1
    if not found:
        return np.zeros((len(channels), 0)), np.zeros(0, np.int64)
    changes, owners = zip(*found, strict=True)
    return np.column_stack(changes)[channels], np.array(owners)


def fitted_shapes(
    matrix: Floats,
    intensities: Floats,
    changes: Floats,
    deviates: Floats,
    covariance: Floats,
    rate: Floats,
) -> tuple[Floats, ...]:
    """Shapes of the families as a spectrum shows them, and what they may be instead.

    Parameters
    ----------
    matrix : array, shape (channel, family), float64
        Counts per channel of one count, by tables and calibration.
    intensities : array, shape (family,), float64
        Counts in each.
    changes : array, shape (error, channel, family), float64
        Changes of the expected counts, one prior standard deviation each.
    deviates : array, shape (error,), float64
        The changes that were found, in prior standard deviations, relative to the matrix.
    covariance : array, shape (error, error), float64
        Their posterior covariance.
    rate : array, shape (channel,), float64
        Expected counts.

    Returns
    -------
    tuple of array, each of shape (channel, family), float64
        The shapes, then one each with an independent factor of the covariance one standard deviation off; those that
        stay below a tenth of the noise of the spectrum are left out.
    """
    known = intensities > LEAST_COUNTS
    per_count = np.where(known, 1.0 / np.maximum(intensities, 1.0), 0.0)
    found = np.maximum(matrix + np.tensordot(deviates, changes, axes=1) * per_count, 0.0)
    values, vectors = np.linalg.eigh(covariance)
    factors = np.tensordot((vectors * np.sqrt(np.maximum(values, 0.0))).T, changes, axes=1)
    noise = factors / np.sqrt(np.maximum(rate, 1.0))[:, None]
    noise = noise.reshape(len(factors), -1)
    sizes, turns = np.linalg.eigh(noise @ noise.T)
    kept = np.tensordot(turns[:, sizes > LEAST_FACTOR**2].T, factors, axes=1)
    return (found, *(np.maximum(found + one * per_count, 0.0) for one in kept))


def continuum_errors(energy_kev: Floats, continuum: Floats) -> Floats:
    """Smooth changes of the continuum that its basis may not follow.

    Parameters
    ----------
    energy_kev : array, shape (channel,), float64
        Channel centres in keV, positive.
    continuum : array, shape (channel,), float64
        Counts of the continuum.

    Returns
    -------
    array, shape (channel, error), float64
        One standard deviation each.
    """
    place = np.log(np.maximum(energy_kev, 0.05))
    centres = np.arange(place[0], place[-1] + CONTINUUM_LENGTH, CONTINUUM_LENGTH)
    bumps = np.exp(-0.5 * ((place[:, None] - centres) / CONTINUUM_LENGTH) ** 2)
    return np.asarray(CONTINUUM_ERROR * continuum[:, None] * bumps, np.float64)


def design_errors(
    design: LineDesign,
    intensities: Floats,
    energy_kev: Floats,
    resolution_mn_ka_ev: float,
    errors: tuple[float, float] = REFINED,
    peaks: PeakErrors = MEASURED,
) -> Floats:
    """Changes of the expected counts that the shapes of lines and continuum leave open.

    Parameters
    ----------
    design : LineDesign
        Lines and background.
    intensities : array, shape (column,), float64
        Intensities of both.
    energy_kev : array, shape (energy,), float64
        Channel centres of the image in keV.
    resolution_mn_ka_ev : float
        Full width at half maximum at Mn Ka, in eV.
    errors : (float, float)
        Standard deviations of the energy of each line in eV, and of its width relative to it.
    peaks : PeakErrors
        Relative errors of minor peaks.

    Returns
    -------
    array, shape (channel, error), float64
        One standard deviation each.
    """
    n = design.n_lines
    smooth = [n + i for i, name in enumerate(design.backgrounds) if name.startswith("continuum")]
    continuum = design.matrix[:, smooth] @ intensities[smooth]
    of = design.families, intensities[:n], energy_kev, design.channels, resolution_mn_ka_ev
    lines, _ = shape_errors(*of, errors, peaks)
    return np.column_stack([lines, continuum_errors(energy_kev[design.channels], continuum)])


def _changes(
    family: LineFamily,
    counts: float,
    energy: Floats,
    resolution: float,
    errors: tuple[float, float],
    known: PeakErrors,
) -> list[Floats]:
    energies, weights = np.array(family.energies_kev), counts * np.array(family.weights)
    kept = weights > LEAST_WEIGHT * weights.max()
    energies, weights = energies[kept], weights[kept]

    def shape(at: Floats, of: Floats, width: float = resolution) -> Floats:
        return gaussian_shares(at, of, energy, width)

    def relative(peak: npt.NDArray[np.int64]) -> float:
        if energies[peak].max() < SOFT_PEAK_KEV:
            return known.soft
        return own if energies[peak].max() > 0.5 * hardest else known.lm

    here = shape(energies, weights)
    shift = (shape(energies + STEP_KEV, weights) - shape(energies - STEP_KEV, weights)) / (2e3 * STEP_KEV) * errors[0]
    wider = shape(energies, weights, min((1 + errors[1]) * resolution, 400.0)) - here
    shell, hardest = family.name.partition("_")[2][:1], float(energies.max())
    own = {"K": known.k if hardest > VALENCE_KEV else known.valence, "L": known.lm, "M": known.lm}.get(shell, 0.0)
    main, *minor = peaks_of(energies, weights, resolution)
    level = np.where((energy > 0) & (energy < energies[main].max()), 1.0, 0.0)
    tail = TAIL_ERROR * weights[main].sum() * level / max(level.sum(), 1.0)
    found = [shift, wider, tail, *(relative(peak) * shape(energies[peak], weights[peak]) for peak in minor)]
    if has_tail(family):
        found.append(SOFT_TAIL_ERROR * counts * tail_shape(family, energy, resolution))
    return found


def peaks_of(energies: Floats, weights: Floats, resolution: float) -> list[npt.NDArray[np.int64]]:
    """Transitions that a detector records as one peak, the strongest peak first.

    Parameters
    ----------
    energies, weights : array, shape (transition,), float64
        Energies in keV and intensities.
    resolution : float
        Full width at half maximum at Mn Ka, in eV.

    Returns
    -------
    list of array, each of shape (n,), int64
        Places of the transitions of each peak.
    """
    order = np.argsort(energies)
    apart = np.diff(energies[order]) > SAME_PEAK_FWHM * fwhm_kev(energies[order][1:], resolution)
    groups = np.split(order, np.flatnonzero(apart) + 1)
    return sorted(groups, key=lambda group: -float(weights[group].sum()))
