"""Which of a file's signals is the spectrum image."""

from __future__ import annotations

from collections.abc import Sequence

from bayesspec.errors import InputError
from bayesspec.files.hyperspy_signal import Signal

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
        Index, title, pixels, channels, signal type and dtype.
    """
    return [f"[{i}] {signal.describe()}" for i, signal in enumerate(signals)]


def choose(signals: Sequence[Signal], picked: int | str | None, file: str) -> Signal:
    """Choose the spectrum image among the signals of a file.

    Parameters
    ----------
    signals : sequence of Signal
        The signals of the file.
    picked : int or str or None
        Index or title of the one to take; ``None`` for the one with energies and the most pixel axes.
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
    spectra = [i for i, signal in enumerate(signals) if signal.energy_dimension is not None]
    if picked is None:
        best = max((signals[i].rank for i in spectra), default=None)
        able = [i for i in spectra if signals[i].rank == best]
    else:
        able = [i for i in spectra if picked in (i, signals[i].title)]
    if len(able) == 1:
        return signals[able[0]]
    asked = "" if picked is None else f"signal={picked!r}: "
    listing = "".join(f"\n  {line}" for line in listed(signals))
    remedy = f"bs.load(path, signal={(able or spectra)[0]})" if spectra else _NO_SPECTRUM
    raise InputError(
        f"{asked}{len(able) or 'no'} spectra to choose from in {file!r}, which holds:{listing}",
        "one signal with an energy axis",
        remedy,
    )
