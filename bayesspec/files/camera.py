"""Numbers that are no counts any more: those of a camera, and counts times a constant.

A camera saves gain x electrons + offset + read noise. The variance of that is gain x (mean - offset) + read noise^2: a
line in the mean, whose slope is the gain. Its intercept holds offset and read noise together; the skewness, gain^2 x
(mean - offset), tells them apart where few electrons came. Counts of a Poisson model need the line alone: (value -
offset) / gain + (read noise / gain)^2 has a variance equal to its mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.stated import Stated
from bayesspec.image.arguments import checked_real
from bayesspec.image.counts import as_counts
from bayesspec.image.sparse_counts import SparseCounts

GROUPS = 8
"""Groups of pixels by brightness, at most (python benchmarks/camera.py)."""
PIXELS = 64
"""Pixels of a group, at least; below twice as many, one group (python benchmarks/camera.py)."""
FOLDS = 10
"""Parts of the pixels, one of which is left out at a time, for the errors."""
NEIGHBOURS = 4
"""Channels on either side that the skewness is measured against (python benchmarks/camera.py)."""
OUTLYING = 4.0
"""Standard errors beyond which a channel is left out of the line, as those at a sharp edge are."""
SCATTER = 4.0
"""Standard errors within which nine in ten channels of a camera lie on the line: where a background was subtracted many
have a mean at which the line leaves no variance at all (python benchmarks/camera.py)."""
GAIN_ERROR = 0.5
"""Largest relative standard deviation of a gain that is divided out (python benchmarks/camera.py)."""
MOST_CHANGED = 0.02
"""Share of the channels that may hold other numbers than counts: of a peak, not of a spectrum."""
EXACT = 2e-3
"""Largest deviation from whole numbers, in counts, of counts times a constant: single precision holds 2**24."""
MOST_LINKED = 4 * NEIGHBOURS
"""Channels of a spectrum, at least."""
SAME = 1e-5
"""Relative difference up to which sums or maxima of spectra are the same: single precision."""
LOWEST = 0.01
"""Share of the channels that may lie below the offset by their noise."""
SKEWNESS = 6.0 * 1.125**3
"""Variance of a third cumulant measured against eight neighbours, over that of the variance cubed."""
FILTERED = 0.25
"""Least variance of neighbouring channels over that of channels further apart: smoothed spectra lie below
(python benchmarks/camera.py)."""
CORRELATED = 0.8
"""Variance of neighbouring channels over that of channels further apart, below which the latter is the noise: the
point spread of a camera makes neighbours alike."""
OVERLAP = 1.7
"""What the overlap of second differences and of pairs of pixels adds to the standard error of the gain."""
SHARED = 2.0 / 3.0
"""Covariance of mean and variance of the same values, over their third cumulant by their number: a value enters two
second differences, with a coefficient whose square is two thirds of the sum of all (python benchmarks/camera.py)."""
SUMS = 7
"""Sums that are kept of every group of pixels and bin of channels."""
GIVEN = ("gain", "offset", "read_noise")
"""What can be known of a camera."""
LARGEST = 1e12
"""Largest gain, offset or read noise that can be given: squares of more are no numbers any more."""
_ROUNDS = 5
FEWEST = 4
"""Different values, 0 among them, in which a common factor is sought."""
_SAMPLE = 2**20
"""Values in which a common factor is sought."""
_BLOCK = 2**22
"""Values that are worked on at a time: memory."""
Floats = npt.NDArray[np.float64]
Given = tuple[float | None, float | None, float | None]


@dataclass(frozen=True)
class CameraNoise:
    """What a camera made of electrons, each with its standard deviation (0 where it was given).

    Parameters
    ----------
    gain : (float, float)
        Counts of the file per electron.
    offset : (float, float)
        Value of the file where no electron came.
    read_noise : (float, float)
        Standard deviation of the read-out, in counts of the file.
    neighbours : float
        Variance of neighbouring channels over that of channels four apart: 1 where the noise of every channel is its
        own, less where the point spread of the camera makes neighbours alike.
    """

    gain: tuple[float, float]
    offset: tuple[float, float]
    read_noise: tuple[float, float]
    neighbours: float = 1.0

    def events(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Turn values of the camera into counts whose variance is their mean.

        Parameters
        ----------
        values : array, float
            Values of the file.

        Returns
        -------
        array, same shape, int64
            Electrons and, in every channel, the square of the read noise in electrons, rounded.

        Notes
        -----
        Source: Snyder, Hammoud & White (1993), doi:10.1364/JOSAA.10.001014.
        """
        gain, offset, read = self.gain[0], self.offset[0], self.read_noise[0]
        counts = np.empty(values.shape, np.int64)
        rows, into = values.reshape(-1, values.shape[-1]), counts.reshape(-1, values.shape[-1])
        step = max(1, _BLOCK // values.shape[-1])
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            found = (rows[part].astype(np.float64) - offset) / gain + (read / gain) ** 2
            into[part] = np.rint(np.maximum(found, 0.0))
        return counts

    def __str__(self) -> str:
        parts = zip(("gain", "offset", "read noise"), (self.gain, self.offset, self.read_noise), strict=True)
        return ", ".join(f"{name} {value:.3g}" + (f" ± {sd:.2g}" if sd else "") for name, (value, sd) in parts)


def counts_times_constant(values: npt.NDArray[Any]) -> float | None:
    """Find the constant that counts were multiplied by.

    Parameters
    ----------
    values : array, float
        Values of the file.

    Returns
    -------
    float or None
        The constant; ``None`` where the values are not whole multiples of one.
    """
    flat = values.ravel()
    some = flat[:: max(1, flat.size // _SAMPLE)]
    if not np.isfinite(some).all() or some.min() < 0 or not some.any():
        return None
    distinct = np.unique(np.concatenate([[0.0], some.astype(np.float64)]))
    if len(distinct) < FEWEST:
        return None
    apart = np.diff(distinct)
    noise = 8 * np.finfo(values.dtype).eps * distinct[-1]
    if not (apart > noise).any():
        return None
    unit = float(apart[apart > noise].min())
    for _ in range(_ROUNDS):
        whole = np.rint(distinct / unit)
        unit = float((distinct @ whole) / (whole @ whole))
    step = max(1, _BLOCK)
    for start in range(0, flat.size, step):
        scaled = flat[start : start + step].astype(np.float64) / unit
        if not np.isfinite(scaled).all() or scaled.min() < 0 or np.abs(scaled - np.rint(scaled)).max() > EXACT:
            return None
    return unit


def camera_noise(
    values: npt.ArrayLike,
    *,
    gain: float | None = None,
    offset: float | None = None,
    read_noise: float | None = None,
) -> CameraNoise:
    """Find gain, offset and read noise of a camera from the noise of what it saved.

    The variance is measured between neighbouring channels and pixels, so that spectra do not count as noise, in groups
    of pixels by brightness; it is a line in the mean. Errors are those of leaving out a tenth of the pixels at a time.

    Parameters
    ----------
    values : array, shape (y, x, energy), (x, energy) or (energy,), float
        What the camera saved after dark and gain correction, nothing subtracted or normalised.
    gain, offset, read_noise : float or None
        What is known, in counts of the file; ``None`` is estimated.

    Returns
    -------
    CameraNoise
        Each with its standard deviation. Where too many electrons came everywhere for the skewness to tell, offset and
        read noise are known within what the line leaves open, and their standard deviations say so.

    Raises
    ------
    InputError
        When the values are not finite, normalised, background-subtracted, smoothed, or too few.

    Notes
    -----
    Source: Janesick (2007), Photon Transfer, doi:10.1117/3.725073, for variance against mean.

    Examples
    --------
    >>> import bayesspec as bs
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> electrons = rng.poisson(np.geomspace(100, 1, 256) * np.ones((16, 16, 1)))
    >>> found = bs.camera_noise(1.4 * electrons - 4.0 + 3.0 * rng.normal(size=electrons.shape))
    >>> bool(abs(found.gain[0] / 1.4 - 1) < 0.1)
    True
    """
    array = np.atleast_2d(_real_numbers(values))
    given = (
        gain if gain is None else checked_real("gain", gain, 0.0, LARGEST, open_ends=True),
        offset if offset is None else checked_real("offset", offset, -LARGEST, LARGEST),
        read_noise if read_noise is None else checked_real("read_noise", read_noise, 0.0, LARGEST),
    )
    if gain is not None and offset is not None and read_noise is not None:
        return CameraNoise((float(gain), 0.0), (float(offset), 0.0), (float(read_noise), 0.0))
    _refuse(array)
    cells = _cells(array.reshape(-1, array.shape[-1]))
    found = _solved(cells.sum(axis=0), given)
    _refuse_no_line(found)
    left = [_solved(cells.sum(axis=0) - part, given) for part in cells] if len(cells) > 1 else [found]
    scale = np.sqrt(max(len(cells) - 1, 1))
    gain_sd, offset_sd = (scale * float(np.std([getattr(one, name) for one in left])) for name in ("gain", "offset"))
    gain_sd = max(gain_sd, found.gain_sd)
    offset_sd = 0.0 if offset is not None else max(offset_sd, found.offset_sd)
    spread = [found.read_noise_at(found.offset + sign * offset_sd) for sign in (-1, 1)]
    read_sd = max(scale * float(np.std([one.read_noise for one in left])), (max(spread) - min(spread)) / 2)
    return CameraNoise(
        (found.gain, 0.0 if gain is not None else gain_sd),
        (found.offset, offset_sd),
        (found.read_noise, 0.0 if read_noise is not None else read_sd),
        min(found.white, 1.0),
    )


def _real_numbers(values: npt.ArrayLike) -> npt.NDArray[Any]:
    """Numbers as they are, or a refusal of what is none."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        needed = "an array of what the camera saved"
        raise InputError(f"values of {array.dtype}, a {type(values).__name__}", needed, "values=signal.data")
    return array


def _refuse(array: npt.NDArray[Any]) -> None:
    """Refuse what shows at once that it is no more what a camera saved."""
    remedy = "the spectra as the camera saved them, before any processing"
    if not np.isfinite(array).all():
        raise InputError("values that are not finite", "finite ones", "exclude bad pixels with mask=")
    if array.shape[-1] < MOST_LINKED:
        raise InputError(f"{array.shape[-1]} channels of fractional values", f"{MOST_LINKED} or more", remedy)
    pixels = array.reshape(-1, array.shape[-1])
    if len(pixels) < 2:
        return
    for name, size in (("sum", pixels.sum(axis=1, dtype=np.float64)), ("maximum", pixels.max(axis=1))):
        if np.ptp(size) <= SAME * np.abs(size).max():
            raise InputError(
                f"spectra that all have the same {name}, {float(size[0]):.4g}: they were normalised",
                "counts: of normalised spectra the noise is not known any more",
                remedy,
            )


@dataclass(frozen=True)
class _Solution:
    """A line through variances, and where on it the offset lies."""

    gain: float
    intercept: float
    offset: float
    offset_sd: float
    given_read_noise: float | None
    scatter: float
    gain_sd: float
    white: float

    @property
    def read_noise(self) -> float:
        return self.read_noise_at(self.offset)

    def read_noise_at(self, offset: float) -> float:
        """Read noise that goes with an offset."""
        if self.given_read_noise is not None:
            return self.given_read_noise
        return float(np.sqrt(max(self.intercept + self.gain * offset, 0.0)))


def _cells(pixels: npt.NDArray[Any]) -> Floats:
    """Sums over pairs of neighbouring pixels of one brightness, shape (fold, sum, group x bin of channels).

    The sums: number, mean, variance (squared second differences along the energy of the difference of two pixels, so
    that neither the shape of a spectrum nor an edge counts), the same of channels that are four apart, and first to
    third power of a value less its neighbours.
    """
    n, channels = pixels.shape
    brightness = pixels.sum(axis=1, dtype=np.float64)
    groups = int(np.clip(n // (2 * PIXELS), 1, GROUPS))
    edges = np.quantile(brightness, np.linspace(0, 1, groups + 1)[1:-1])
    folds = int(np.clip(n // 2, 1, FOLDS))
    width = max(1, -(-PIXELS * groups // n))
    bins = (channels - 2 * NEIGHBOURS) // width
    sums = np.zeros((folds, SUMS, groups, bins))
    step = max(1, _BLOCK // channels)
    for start in range(0, max(n - 1, 1), step):
        block = pixels[start : min(start + step + 1, n)].astype(np.float64)
        pair = block[:-1] if n > 1 else block
        other = block[1:] if n > 1 else np.zeros_like(block)
        group = np.searchsorted(edges, brightness[start : start + len(pair)])
        fold = np.minimum(np.arange(start, start + len(pair)) * folds // max(n - 1, 1), folds - 1)
        parts = _powers(pair, other, 2 if n > 1 else 1)[:, :, : bins * width]
        parts = parts.reshape(SUMS, len(pair), bins, width).sum(axis=3)
        for f in np.unique(fold):
            for g in np.unique(group[fold == f]):
                sums[f, :, g] += parts[:, (fold == f) & (group == g)].sum(axis=1)
    return sums.reshape(folds, SUMS, -1)


def _powers(pair: Floats, other: Floats, pixels: int) -> Floats:
    """What is summed, shape (sum, pixel, channel), of the channels that have all their neighbours."""
    inner = slice(NEIGHBOURS, -NEIGHBOURS)
    difference = pair - other
    second = (difference[:, :-2] - 2 * difference[:, 1:-1] + difference[:, 2:])[:, NEIGHBOURS - 1 : 1 - NEIGHBOURS]
    level = ((pair + other) / pixels)[:, inner]
    running = np.cumsum(np.pad(pair, ((0, 0), (1, 0))), axis=1)
    window = 2 * NEIGHBOURS + 1
    centre = pair[:, inner]
    contrast = centre - (running[:, window:] - running[:, :-window] - centre) / (2 * NEIGHBOURS)
    far = difference[:, : -2 * NEIGHBOURS] - 2 * difference[:, inner] + difference[:, 2 * NEIGHBOURS :]
    variances = [part**2 / (6 * pixels) for part in (second, far)]
    return np.array([np.ones_like(level), level, *variances, contrast, contrast**2, contrast**3])


def _solved(sums: Floats, given: Given) -> _Solution:
    """Fit the line, and place the offset on it."""
    sums = sums[:, sums[0] > 2]
    n = sums[0]
    mean, variance, far, first, square, cube = sums[1:] / n
    third = (cube - 3 * first * square + 2 * first**3) * n**2 / ((n - 1) * (n - 2)) / (1 - (2.0 * NEIGHBOURS) ** -2)
    white = float(np.median(variance) / max(float(np.median(far)), 1e-300))
    variance = far if white < CORRELATED else variance
    gain, offset, read = given
    kept = np.ones(len(n), bool)
    expected = np.full(len(n), np.median(variance))
    for _ in range(_ROUNDS):
        weight = n / (2 * expected**2)
        line = _line(mean[kept], variance[kept], (expected / n)[kept], (SHARED * third / n)[kept], weight[kept], given)
        floor = 1e-3 * float(np.median(np.abs(variance)))
        expected = np.maximum(line[0] * mean + line[1], max(floor, 1e-300))
        kept = np.abs(variance - expected) < OUTLYING * OVERLAP * expected * np.sqrt(2 / n)
        if kept.sum() < 3:
            kept[:] = True
    slope, intercept = line
    spread = float(np.sum(weight[kept] * (mean[kept] - np.average(mean[kept], weights=weight[kept])) ** 2))
    solved = _Solution(
        gain=slope,
        intercept=intercept,
        offset=0.0,
        offset_sd=0.0,
        given_read_noise=read,
        scatter=float(np.quantile(np.abs(variance - expected) / (OVERLAP * expected * np.sqrt(2 / n)), 0.9)),
        gain_sd=OVERLAP / np.sqrt(max(spread, 1e-300)),
        white=white,
    )
    if offset is not None:
        return replace(solved, offset=offset)
    if read is not None:
        return replace(solved, offset=(read**2 - intercept) / max(slope, 1e-300))
    low, high = -intercept / max(slope, 1e-300), float(np.quantile(mean[kept], LOWEST))
    precision = (n * slope**4 / (SKEWNESS * expected**3))[kept]
    found = float(np.average((mean - third / max(slope, 1e-300) ** 2)[kept], weights=precision))
    sd = float(1 / np.sqrt(precision.sum()))
    width = max(high - low, 0.0)
    if sd > width / 2:
        return replace(solved, offset=(low + max(high, low)) / 2, offset_sd=width / np.sqrt(12))
    return replace(solved, offset=float(np.clip(found, low, high)), offset_sd=sd)


def _line(
    mean: Floats,
    variance: Floats,
    noise: Floats,
    shared: Floats,
    weight: Floats,
    given: Given,
) -> tuple[float, float]:
    """Slope and intercept of the variance in the mean, whose own variance is `noise`, their covariance `shared`."""
    gain, offset, read = given
    if gain is not None:
        return gain, float(np.average(variance - gain * mean, weights=weight))
    if offset is not None and read is not None:
        x = mean - offset
        slope = float(np.sum(weight * x * (variance - read**2)) / np.sum(weight * x * x))
        return slope, read**2 - slope * offset
    middle, level = np.average(mean, weights=weight), np.average(variance, weights=weight)
    x = mean - middle
    spread = float(np.sum(weight * x * x))
    spread = max(spread - float(np.sum(weight * noise)), 0.1 * spread, 1e-300)  # less what the noise of the means adds
    slope = float((np.sum(weight * x * (variance - level)) - np.sum(weight * shared)) / spread)
    return slope, float(level - slope * middle)


def _refuse_no_line(found: _Solution) -> None:
    """Refuse where the variance is no line in the mean."""
    line = f"a variance of {found.gain:.3g} x mean {found.intercept:+.3g}"
    needed = (
        "the numbers of a camera, whose variance rises with the mean along a line: nothing subtracted or normalised"
    )
    remedy = "the spectra as the camera saved them, or gain=, offset= and read_noise= where these are known"
    if found.scatter > SCATTER:
        words = f"{line}, from which a tenth of the channels lie more than {SCATTER:.0f} standard errors away"
        raise InputError(f"{words}: a background was subtracted, or the spectra were processed", needed, remedy)
    if found.white < FILTERED:
        share = f"neighbouring channels differ by {100 * found.white:.0f} % of the variance of channels further apart"
        raise InputError(f"{share}: the spectra were smoothed or interpolated", needed, remedy)
    if found.gain <= 0 or found.gain_sd > GAIN_ERROR * found.gain:
        raise InputError(f"{line}, which does not rise with it (± {found.gain_sd:.2g})", needed, remedy)


@dataclass(frozen=True, eq=False)
class Countable:
    """Counts that were made of what a file holds.

    Parameters
    ----------
    counts : array, shape (..., energy), uint8, uint16 or uint32, or SparseCounts
        The counts.
    note : str
        What was done; empty where nothing was.
    acquired : dict of str to float
        What is to be remembered of a camera, by the names of `Acquisition`.
    excluded : array, shape (energy,), bool, or None
        Channels that hold no counts.
    """

    counts: npt.NDArray[Any] | SparseCounts
    note: str = ""
    acquired: Mapping[str, float] = field(default_factory=dict)
    excluded: npt.NDArray[np.bool_] | None = None


def countable(values: npt.NDArray[Any] | SparseCounts, technique: str, stated: Stated) -> Countable:
    """Make counts of what a file holds, and say how.

    Parameters
    ----------
    values : array, shape (..., energy), or SparseCounts
        Values of the file.
    technique : str
        ``"EDS"``, ``"EELS"`` or ``"CL"``.
    stated : Stated
        Gain, offset and read noise where the user knows them.

    Returns
    -------
    Countable
        The values where they are counts, else what they were made of; a few channels of other numbers are excluded.

    Raises
    ------
    InputError
        When the values are no counts, and nothing that counts can be found in.
    """
    given = {name: getattr(stated, name) for name in GIVEN}
    if isinstance(values, SparseCounts):
        if all(value is None for value in given.values()):
            return Countable(values)
        values = values.todense()
    if all(value is None for value in given.values()):
        try:
            return Countable(as_counts(values))
        except InputError:
            if values.dtype.kind not in "if" or not np.isfinite(values).all():
                raise
            unit = counts_times_constant(values) if values.dtype.kind == "f" else None
            if unit is not None:
                whole = np.rint(values.astype(np.float64) / unit).astype(np.int64)
                return Countable(as_counts(whole), f"The values are counts times {unit:.7g}, which is divided out.")
            if technique != "EELS":
                changed = _changed_channels(values)
                if changed is None:
                    raise
                return changed
    elif values.dtype.kind in "iu":  # a camera that is known to count in whole numbers
        given = {"offset": 0.0, "read_noise": 0.0} | {n: v for n, v in given.items() if v is not None}
    noise = camera_noise(values, **given)
    per_channel = (noise.read_noise[0] / noise.gain[0]) ** 2
    note = (
        f"The values are those of a camera: {noise}. They are turned into electrons, and in every channel "
        f"{per_channel:.3g} more that stand for the read noise."
    )
    if noise.neighbours < CORRELATED:
        note += (
            f" Neighbouring channels differ by {100 * noise.neighbours:.0f} % of the variance of channels further "
            "apart: the camera spreads electrons over channels, and intervals of narrow features are too wide."
        )
    pairs = (noise.gain, noise.offset, noise.read_noise)
    acquired = {f"camera_{name}": value for name, (value, _) in zip(GIVEN, pairs, strict=True)}
    return Countable(as_counts(noise.events(values)), note, acquired)


def _changed_channels(values: npt.NDArray[Any]) -> Countable | None:
    """Leave out the channels that somebody interpolated; None where these are many."""
    wrong = (values != np.rint(values)) | (values < 0)
    channels = wrong.reshape(-1, values.shape[-1]).any(axis=0)
    if channels.mean() > MOST_CHANGED:
        return None
    where = np.flatnonzero(channels)
    note = (
        f"{len(where)} channels from {where[0]} to {where[-1]} hold fractional or negative values, as where a peak was "
        "removed: they are excluded."
    )
    return Countable(as_counts(np.where(channels, 0, values)), note, excluded=channels)
