"""Are counts in a few channels those of single events? Hot pixels, a gain, and what is said of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bayesspec.inference.outliers import outliers
from bayesspec.inference.pixel_pairs import pair_noise

NOISY = 1.2
"""Variance over mean from which on a fit warns and counts are divided by their gain, and below the inverse of which the
noise is less than that of counts: warnings of clean counts and of a gain, ``python benchmarks/selection.py --case
noise``."""
ROUNDED = 0.5
"""Part of the variance that rounding to whole numbers may have where counts are taken for the mean of frames: ``python
benchmarks/realistic.py --noise mean4 mean16``."""
WHOLE = 0.15
"""Part by which the variance may differ from that of a whole number of frames: ``python benchmarks/realistic.py --noise
interpolated mean4 mean16``."""


class CountingNoise(NamedTuple):
    """What was found: hot pixels (y, x), variance over that of Poisson counts, and both in words, empty for none.

    `frames` is the number of frames whose mean was saved, 1 where none was.
    """

    hot: npt.NDArray[np.bool_]
    gain: float
    words: tuple[str, ...]
    frames: int = 1

    def counted(self, counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Events behind the counts of any shape: divided by the gain, or times the frames."""
        if self.gain > NOISY:
            return np.rint(counts / self.gain).astype(np.int64)
        return counts.astype(np.int64) * self.frames if self.frames > 1 else counts


def counting_noise(counts: npt.NDArray[np.integer[Any]], valid: npt.NDArray[np.bool_]) -> CountingNoise:
    """Look for hot pixels, then for a gain in the differences of neighbours.

    Parameters
    ----------
    counts : numpy.ndarray (y, x, channel), integer
        Counts.
    valid : numpy.ndarray (y, x), bool
        Pixels that are not excluded.

    Returns
    -------
    CountingNoise
        What was found.
    """
    hot = outliers(counts.sum(axis=2, dtype=np.int64), valid) == 1
    words = [f"left out: {named_flags(hot.astype(np.int8), 'pixel')}"] if hot.any() else []
    noise = pair_noise(counts, valid & ~hot)
    gain, frames = noise.gain, 1
    if gain > NOISY:
        words.append(f"counts divided by the gain of {gain:.2g} that their noise shows")
    elif gain < 1.0 / NOISY:
        frames = _frames(gain, counts[valid & ~hot]) if noise.independent else 1
        several = f"counts multiplied by {frames}, the number of averaged frames that their noise shows"
        words.append(several if frames > 1 else low_noise_words(gain))
    return CountingNoise(hot, gain, tuple(words), frames)


def _frames(gain: float, counts: npt.NDArray[np.integer[Any]]) -> int:
    """Number of frames whose mean was rounded; 1 where it is no whole number, or most of the noise is rounding."""
    means = counts.mean(axis=0)
    rounding = float((1.0 / (12.0 * means[means > 0])).mean())
    if rounding > ROUNDED * gain:
        return 1
    frames = max(round(1.0 / (gain - rounding)), 1)
    return frames if abs(frames * (gain - rounding) - 1.0) < WHOLE else 1


def low_noise_words(dispersion: float) -> str:
    """Say that noise is below that of counts, and what this does to intervals.

    Parameters
    ----------
    dispersion : float
        Variance over that of Poisson counts.

    Returns
    -------
    str
        A clause.
    """
    return (
        f"the noise has {dispersion:.2g} times the variance of Poisson counts, as of averaged or interpolated frames: "
        f"intervals are too wide by up to {1.0 / np.sqrt(dispersion):.2g}"
    )


def named_flags(flags: npt.NDArray[np.int8], what: str) -> str:
    """Name hot and dead places.

    Parameters
    ----------
    flags : numpy.ndarray (channel,) or (y, x), int8
        As `outliers` returns them.
    what : str
        What a place is: ``"channel"`` or ``"pixel"``.

    Returns
    -------
    str
        The first places of either kind; empty where there are none.
    """
    words = []
    for sign, name in ((1, "hot"), (-1, "dead")):
        places = np.argwhere(flags == sign)
        if len(places):
            listed = ", ".join(str(tuple(map(int, p))) if len(p) > 1 else str(int(p[0])) for p in places[:5])
            more = ", ..." if len(places) > 5 else ""
            words.append(f"{len(places)} {name} {what}{'s' if len(places) > 1 else ''}: {listed}{more}")
    return "; ".join(words)
