"""Which of a file's signals is the spectrum image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bayesspec.errors import InputError
from bayesspec.files.hyperspy_signal import Signal, computed

Picked = int | str | Sequence[int] | None
"""What picks a signal."""

_NO_SPECTRUM = "bs.SpectrumImage(array, energy=energy) where you know the energies"


def listed(signals: Sequence[Signal]) -> list[str]:
    """Describe signals, one line each.

    Parameters
    ----------
    signals : sequence of Signal
        The signals of a file.

    Returns
    -------
    list of str
        Index, title, pixels, channels with their energies, counts, signal type and dtype.
    """
    return [f"[{i}] {signal.describe()}" for i, signal in enumerate(signals)]


def choose(signals: Sequence[Signal], picked: Picked, file: str) -> Signal:
    """Choose the spectrum image among the signals of a file; those of several detectors of one scan are summed.

    Parameters
    ----------
    signals : sequence of Signal
        The signals of the file.
    picked : int, str, sequence of int, or None
        Index or title of the one to take, or indices of those to sum; ``None`` for the one with energies and the most
        pixel axes.
    file : str
        Name of the file, for the error.

    Returns
    -------
    Signal
        The spectrum image.

    Raises
    ------
    InputError
        When none or several qualify, or the picked one is missing or no spectrum.
    """
    if isinstance(picked, list | tuple):
        return _summed([choose(signals, number, file) for number in picked])
    spectra = [i for i, signal in enumerate(signals) if signal.energy_dimension is not None]
    if picked is None:
        best = max((signals[i].rank for i in spectra), default=None)
        able = [i for i in spectra if signals[i].rank == best]
    else:
        able = [i for i in spectra if picked in (i, signals[i].title)]
    if len(able) == 1:
        return signals[able[0]]
    if picked is None and able and _of_one_scan([signals[i] for i in able]):
        return _summed([signals[i] for i in able])
    asked = "" if picked is None else f"signal={picked!r}: "
    listing = "".join(f"\n  {line}" for line in listed(signals))
    remedy = f"bs.load(path, signal={(able or spectra)[0]})" if spectra else _NO_SPECTRUM
    raise InputError(
        f"{asked}{len(able) or 'no'} spectra to choose from in {file!r}, which holds:{listing}",
        "one signal with an energy axis",
        remedy,
    )


def as_detectors(signals: Sequence[Signal], file: str) -> list[Signal]:
    """Mark the spectrum images of a file as those of the detectors of one scan.

    Parameters
    ----------
    signals : sequence of Signal
        The signals of a file that holds one scan.
    file : str
        Its name.

    Returns
    -------
    list of Signal
        The same; where there are several with an energy axis, these know their detector.
    """
    spectra = [i for i, signal in enumerate(signals) if signal.energy_dimension is not None]
    if len(spectra) < 2:
        return list(signals)
    number = {i: n for n, i in enumerate(spectra, 1)}
    return [
        replace(one, original={**one.original, "of": file, "detector": f"detector {number[i]}"}) if i in number else one
        for i, one in enumerate(signals)
    ]


def _of_one_scan(signals: Sequence[Signal]) -> bool:
    """Whether these are the detectors of one scan, as a reader says, on the same axes."""
    scans = {signal.original.get("of") for signal in signals}
    detectors = len(scans) == 1 and all(signal.original.get("detector") for signal in signals)
    return detectors and all(_alike(signal, signals[0]) for signal in signals[1:])


def _alike(signal: Signal, first: Signal) -> bool:
    """Whether two signals have the same axes."""
    return len(signal.axes) == len(first.axes) and all(
        len(a.values) == len(b.values) and np.allclose(a.values, b.values) and a.unit == b.unit
        for a, b in zip(signal.axes, first.axes, strict=True)
    )


def _summed(signals: Sequence[Signal]) -> Signal:
    """Add the counts of detectors that saw the same scan on the same axes."""
    first = signals[0]
    for signal in signals[1:]:
        if not _alike(signal, first):
            raise InputError(
                f"{first.describe()}, and {signal.describe()}",
                "signals on the same axes, to be summed",
                "bs.load(path, signal=0), one of them",
            )
    data = np.sum([computed(signal.data) for signal in signals], axis=0, dtype=_wide(first))
    names = ", ".join(str(signal.original.get("detector") or signal.title or i) for i, signal in enumerate(signals))
    return replace(first, data=data, notes=(f"The counts of {len(signals)} detectors are summed: {names}.",))


def _wide(signal: Signal) -> type[np.generic]:
    return np.int64 if np.dtype(signal.data.dtype).kind in "ui" else np.float64
