"""From a signal to a spectrum image: which axis is energy and in which unit, pixels, beam and detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.camera import countable
from bayesspec.files.frames import Frames, summed_frames
from bayesspec.files.hyperspy_signal import LUMINESCENCE, WAVELENGTH_UNIT, Axis, Signal, computed, loaded
from bayesspec.files.nested_metadata import dig
from bayesspec.files.stated import Stated, in_unit
from bayesspec.image.acquisition import Acquisition
from bayesspec.image.checks import UNITS, known_elements
from bayesspec.image.counts import as_counts, owned
from bayesspec.image.sparse_counts import SparseCounts, sparse_counts
from bayesspec.image.spectrum_image import SpectrumImage

_MN_KA_KEV = 5.895
"""Energy of Mn Ka, in keV, at which resolutions of detectors are stated."""
LONGEST_IN_KEV = 100.0
"""End of an axis without unit up to which it is taken to be in keV, unless it is one of energy losses."""
_LONGEST_EELS_EV = 5000.0
"""End of an axis, in eV, up to which it is taken for one of energy losses where the technique is not stated."""
_METRES = {"m": 1.0, "mm": 1e-3, "\N{MICRO SIGN}m": 1e-6, "nm": 1e-9, "\N{ANGSTROM SIGN}": 1e-10, "pm": 1e-12}
_NO_TITLE = ("", "edx", "eds", "eels", "unnamed", "unnamed__0")
_FWHM = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a normal distribution over its standard deviation."""


def spectrum_image(signal: Signal, *, name: str, stated: Stated | None = None) -> tuple[SpectrumImage, list[str]]:
    """Make the spectrum image of a signal.

    Parameters
    ----------
    signal : Signal
        Data with axes and metadata; one axis is energy.
    name : str
        What to call it where the signal has no title of its own.
    stated : Stated or None
        What the caller knows better.

    Returns
    -------
    image : SpectrumImage
        Counts (y, x, energy), energy in keV (EDS) or eV (EELS), wavelengths in nm (luminescence).
    guesses : list of str
        Sentences that say what was guessed.

    Raises
    ------
    InputError
        When there is no energy axis, more than two navigation axes, or the values are no counts.
    """
    stated = stated or Stated()
    data, navigation, axis, notes = _arranged(signal, stated.frames)
    energy, unit, technique, guesses = calibrated(
        stated.axis(axis), signal.technique, stated=stated.energy_unit is not None
    )
    found = countable(data, technique, stated)
    counts = found.counts
    if isinstance(counts, np.ndarray) and not (isinstance(data, np.ndarray) and np.may_share_memory(counts, data)):
        counts = owned(counts)
    guesses += [*notes, *([found.note] if found.note else [])]
    size, pixel_unit = _pixel(navigation)
    elements, unknown = known_elements(_elements(signal))
    guesses += unknown_elements(unknown)
    image = SpectrumImage(
        counts,  # type: ignore[arg-type]
        energy=energy,
        energy_unit=unit,
        pixel_size=size,
        pixel_unit=pixel_unit,
        elements=elements,
        acquisition=replace(_acquisition(signal, technique), **found.acquired),  # type: ignore[arg-type]
        energy_mask=found.excluded,
        name=name if signal.title.strip("_").lower() in _NO_TITLE else signal.title,
    )
    return stated.completed(image), guesses


def calibrated(axis: Axis, technique: str, *, stated: bool) -> tuple[npt.NDArray[np.float64], str, str, list[str]]:
    """Bring energies to the unit of the technique; what is not stated is guessed, and said.

    Parameters
    ----------
    axis : Axis
        The energy axis, its unit perhaps undefined.
    technique : str
        ``"EDS"``, ``"EELS"``, ``"CL"``, or empty where unknown.
    stated : bool
        Whether the user says what the unit is.

    Returns
    -------
    energy : array, shape (energy,), float64
        Energies in `unit`.
    unit : str
        ``"keV"`` for EDS, ``"eV"`` for EELS, ``"nm"`` for wavelengths.
    technique : str
        ``"EDS"``, ``"EELS"`` or ``"CL"``.
    guesses : list of str
        Sentences that say what was guessed.

    Raises
    ------
    InputError
        When the axis has no unit and its values are like channel numbers, or the unit is none of the technique.
    """
    guesses: list[str] = []
    top = float(np.abs(axis.values).max())
    unit = axis.unit
    if unit == WAVELENGTH_UNIT and technique in ("", LUMINESCENCE):
        return axis.values, unit, LUMINESCENCE, guesses
    if unit not in UNITS:
        if _numbered(axis.values):
            raise InputError(
                f"an energy axis with {f'the unit {unit!r}' if unit else 'no unit'} and the values "
                f"{axis.values[0]:g}, {axis.values[1]:g} ... {axis.values[-1]:g}: like channel numbers",
                "the width of a channel and the energy of the first one, or the unit of these values",
                "energy_scale=0.01, energy_offset=0.0, energy_unit='keV'",
            )
        unit = "keV" if technique != "EELS" and top <= LONGEST_IN_KEV else "eV"
        found = f"the unit {axis.unit!r}" if axis.unit else "no unit"
        guesses.append(
            f"The energy axis {axis.values[0]:.6g} to {axis.values[-1]:.6g} has {found}: read as {unit}. "
            "Where that is wrong, give energy_unit='keV' or energy_unit='eV'."
        )
    if not technique:
        technique = "EDS" if unit == "keV" or top > _LONGEST_EELS_EV else "EELS"
        if guesses or (unit == "eV" and not stated):
            guesses.append(f"The signal type is not stated: taken as {technique}.")
    target = "keV" if technique == "EDS" else "eV"
    return in_unit(replace(axis, unit=unit), target), target, technique, guesses


def _numbered(values: npt.NDArray[np.float64]) -> bool:
    """Whether these are the numbers of the channels, from 0 or 1."""
    return len(values) > 1 and values[0] in (0.0, 1.0) and bool((np.diff(values) == 1.0).all())


def unknown_elements(symbols: Sequence[str]) -> list[str]:
    """Say that a file names what is no element.

    Parameters
    ----------
    symbols : sequence of str
        What it names.

    Returns
    -------
    list of str
        A sentence, or none.
    """
    named = ", ".join(map(repr, symbols))
    return [f"{named}, named among the elements, is left out: there is no such element."] if symbols else []


def _arranged(
    signal: Signal, frames: Frames
) -> tuple[npt.NDArray[Any] | SparseCounts, list[Axis], Axis, tuple[str, ...]]:
    dimension = signal.energy_dimension
    if dimension is None:
        raise InputError(
            f"no energy axis in {signal.describe()}",
            "a signal with one energy axis, in eV or keV",
            "s.axes_manager[-1].units = 'keV'; bs.from_hyperspy(s)",
        )
    axis, navigation = signal.axes[dimension], [axis for i, axis in enumerate(signal.axes) if i != dimension]
    values = loaded(signal.data)
    sparse = sparse_counts(values) if dimension == len(signal.axes) - 1 and len(navigation) == 2 else None
    if sparse is not None and (np.diff(axis.values) > 0).all():
        return sparse, navigation, axis, signal.notes
    data = np.moveaxis(computed(values), dimension, -1)
    if len(axis.values) > 1 and (np.diff(axis.values) < 0).all():
        data, axis = data[..., ::-1], replace(axis, values=axis.values[::-1])
    notes = signal.notes
    if len(navigation) > 2:
        navigation = _wide_axes(navigation, frames)
        data = data.reshape([*(len(axis.values) for axis in navigation), data.shape[-1]])
        if len(navigation) == 3:
            data, note = summed_frames(as_counts(data), frames)
            navigation, notes = _shortened(navigation[1:], data.shape), (*notes, note)
    return np.ascontiguousarray(data), navigation, axis, notes


def _shortened(axes: Sequence[Axis], shape: tuple[int, ...]) -> list[Axis]:
    return [replace(axis, values=axis.values[:n]) for axis, n in zip(axes, shape, strict=False)]


def _wide_axes(navigation: Sequence[Axis], frames: Frames) -> list[Axis]:
    """Axes of more than one value: two of pixels, and one of frames where frames were asked for."""
    wide = [axis for axis in navigation if len(axis.values) > 1]
    if len(wide) > (2 if frames is None else 3):
        axes = ", ".join(f"{axis.name or 'unnamed'} ({len(axis.values)})" for axis in wide)
        raise InputError(
            f"{len(wide)} navigation axes: {axes}",
            "at most two, (y, x), and one of frames before them",
            "frames='all' to sum all, or frames=0, frames=slice(0, 5), frames=[0, 2] for some",
        )
    return wide


def _pixel(navigation: Sequence[Axis]) -> tuple[tuple[float, float] | None, str]:
    """Size of a pixel and its unit; unknown unless both axes have a unit and these can be compared."""
    known = [(axis.step, axis.unit) for axis in navigation if axis.step is not None and axis.unit]
    if not known or len(known) < sum(len(axis.values) > 1 for axis in navigation):
        return None, "px"
    (y, unit_y), (x, unit) = known[0], known[-1]
    if unit_y != unit:
        if not {unit_y, unit} <= set(_METRES):
            return None, "px"
        y = (y or 0) * _METRES[unit_y] / _METRES[unit]
    return (float(y or 0), float(x or 0)), unit


def _elements(signal: Signal) -> tuple[str, ...]:
    stated = dig(signal.metadata, "Sample.elements")
    if stated is not None and np.size(stated):
        return tuple(str(symbol) for symbol in np.atleast_1d(stated))
    lines = dig(signal.metadata, "Sample.xray_lines")
    symbols = [str(line).split("_")[0] for line in np.atleast_1d(lines)] if lines is not None else []
    return tuple(dict.fromkeys(symbols))


def _acquisition(signal: Signal, technique: str) -> Acquisition:
    found = (dig(signal.metadata, f"Acquisition_instrument.{kind}") for kind in ("TEM", "SEM"))
    instrument: Any = next((branch for branch in found if branch), {})
    return Acquisition(
        technique=technique,
        beam_energy_kev=_positive(dig(instrument, "beam_energy")),
        resolution_mn_ka_ev=_positive(dig(instrument, "Detector.EDS.energy_resolution_MnKa"))
        or _bruker_resolution(signal),
        live_time_s=_positive(dig(instrument, "Detector.EDS.live_time")),
        elevation_deg=_finite(dig(instrument, "Detector.EDS.elevation_angle")),
        real_time_s=_positive(dig(instrument, "Detector.EDS.real_time")),
        beam_current_na=_positive(dig(instrument, "beam_current")),
        convergence_mrad=_positive(dig(instrument, "convergence_angle")),
        collection_mrad=_positive(dig(instrument, "Detector.EELS.collection_angle")),
    )


def _bruker_resolution(signal: Signal) -> float | None:
    """Bruker states the peaks' variance in keV^2 as SigmaAbs + SigmaLin * energy."""
    offset = _positive(dig(signal.original, "Spectrum.SigmaAbs"))
    slope = _positive(dig(signal.original, "Spectrum.SigmaLin"))
    if offset is None or slope is None:
        return None
    return round(1e3 * _FWHM * math.sqrt(offset + slope * _MN_KA_KEV), 1)


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _positive(value: Any) -> float | None:
    number = _finite(value)
    return number if number is not None and number > 0 else None
