"""Ratio of two lines at every pixel, or along a path: counts in, a field whose width is learned, intervals out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, real, values
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.random_keys import random_key, seed_for
from bayesspec.inference.ratio_field.sampler import RatioField, independent_draws, sample_field
from bayesspec.inference.ratio_field.settings import SETTINGS
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame
from bayesspec.results.estimate import PROB
from bayesspec.results.ratio_map import OUTER, Profile, RatioMap
from bayesspec.results.result import as_it_ended
from bayesspec.results.table import interval_text
from bayesspec.spectroscopy.line_maps import LineMaps, counting_maps
from bayesspec.spectroscopy.windows import drawn_responses
from bayesspec.workflows.element_maps import element_maps

MOST_WINDOWS = 16
"""Windows beside the two lines up to which each gets a field of its own: more are bins of a whole spectrum."""
FEWEST_DRAWS = 8
"""Draws at least: of fewer no autocorrelation is computed."""
MODEL = "ratio_field"
"""The model of every field, a file of `bayesspec.models`."""
PRIOR = (
    "Log ratio: sum of cubic splines of spacings 1, 2, 4, ... pixels with the standard deviations of a Matern field "
    "of unknown amplitude, width and smoothness; background and overlapping lines: shares of the counts, fields of the "
    "same kind."
)
METHOD = "logistic Gaussian field"
Floats = npt.NDArray[np.floating[Any]]


class _Fields(NamedTuple):
    """Ratio of two lines (draw, y, x), width of the field (draw,) in pixels, and how the sampler ended."""

    ratio: npt.NDArray[np.float32]
    width: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    status: Status


@checked_arguments()
def ratio_map(
    data: SpectrumImage | LineMaps,
    numerator: str,
    denominator: str,
    *,
    draws: int = 400,
    seed: int = 0,
    strict: bool = False,
) -> RatioMap:
    """Map the ratio of two lines with an interval at every pixel; no phases are needed, and no counts are divided.

    Of the counts of both lines together those of the first are binomial, so that thickness and dose drop out. The log
    ratio is a random field whose amplitude, width and smoothness are learned from the counts: where a pixel holds few
    counts its neighbours tell about it, as far as the ratio is alike there.

    Parameters
    ----------
    data : SpectrumImage or LineMaps
        An EDS image, of which the windows of both lines are counted as ``bs.element_maps`` does, or such counts.
    numerator, denominator : str
        Names of lines, such as ``"Fe_Ka"`` and ``"O_Ka"``.
    draws : int
        Number of joint draws that are kept.
    seed : int
        Seed of the sampler.
    strict : bool
        Raise `FitError` where the sampler did not end as it should.

    Returns
    -------
    RatioMap
        Posterior mean, interval and draws, dims (y, x), NaN in excluded pixels; spread, width and verdict.

    Raises
    ------
    InputError
        When a line is not known or has no counts, both are the same, no pixel is in use, or `draws` is below 8.
    FitError
        When `strict` and the draws are too few.
    Interrupted
        When Ctrl-C ends it (a KeyboardInterrupt); `error.partial` is what was found by then, or None.

    Notes
    -----
    The model is ``models/ratio_field.py``. Intervals are those of single pixels: that all of them hold at once is not
    claimed, and of those within a pixel of a sharp edge fewer hold than on average (``benchmarks/ratio_map.py``).
    Background and overlapping lines are not subtracted: the share of every window is a field of its own, and the line
    intensities are those that `LineMaps.response` makes of the shares, draw by draw.

    Examples
    --------
    >>> found = bs.ratio_map(si, "Fe_Ka", "O_Ka")  # doctest: +SKIP
    >>> found.verdict  # doctest: +SKIP
    'Fe_Ka/O_Ka varies, standard deviation 5.6 % (5.3 to 6 %) about 0.74 (95 % interval 0.736 to 0.745); 90 % ...'
    >>> lower, upper = found.ratio.interval(0.9)  # doctest: +SKIP
    """
    maps = _maps(data, numerator, denominator, draws)
    counts = np.where(maps.valid[..., None], maps.window_counts(), 0)
    fields = _fields(maps, counts, (numerator, denominator), draws, seed)
    ratio = np.where(maps.valid, fields.ratio, np.nan).astype(np.float32)
    variables = _values(ratio, ratio[:, maps.valid], fields)
    result = RatioMap.from_values(
        variables,
        Frame.of(maps),
        name=maps.name,
        method=METHOD,
        verdict=_verdict(numerator, denominator, ratio[:, maps.valid], maps),
        status=fields.status,
        settings={
            "model": MODEL,
            "prior": PRIOR,
            "seed": seed,
            "draws": draws,
            "windows": list(maps.windows),
            "calibration": maps.calibration,
        },
        attrs=_attrs(numerator, denominator),
    )
    return as_it_ended(result, strict=strict)


@checked_arguments(path=values("path", "path=[(32, 4), (32, 60)]"), across=real("across", 0.0, open_ends=True))
def profile(
    data: SpectrumImage | LineMaps,
    numerator: str,
    denominator: str,
    path: Sequence[tuple[float, float]],
    *,
    across: float = 1.0,
    draws: int = 400,
    seed: int = 0,
    strict: bool = False,
) -> Profile:
    """Follow the ratio of two lines along a path, the counts on both sides of it summed.

    Every pixel whose centre lies within half of `across` from the path belongs to the point of the path that it is
    nearest to; points are one pixel apart. Counts are summed, never interpolated or divided, and the log ratio along
    the path is the random field of `ratio_map` in one dimension.

    Parameters
    ----------
    data : SpectrumImage or LineMaps
        An EDS image, or counts of lines.
    numerator, denominator : str
        Names of lines, such as ``"Fe_Ka"`` and ``"O_Ka"``.
    path : sequence of (float, float)
        Corners (y, x) in pixels, two for a straight line; the first is distance 0.
    across : float
        Width of the path in pixels: how far along the interface counts are summed.
    draws : int
        Number of joint draws that are kept.
    seed : int
        Seed of the sampler.
    strict : bool
        Raise `FitError` where the sampler did not end as it should.

    Returns
    -------
    Profile
        Posterior mean, interval and draws, dims (distance,), and the verdict.

    Raises
    ------
    InputError
        When a line is not known or has no counts, or when the path has fewer than two corners or meets no pixels.
    FitError
        When `strict` and the draws are too few.
    Interrupted
        When Ctrl-C ends it (a KeyboardInterrupt); `error.partial` is what was found by then, or None.

    Examples
    --------
    >>> across_interface = bs.profile(si, "Fe_Ka", "O_Ka", [(32, 4), (32, 60)], across=20)  # doctest: +SKIP
    >>> print(across_interface.table().to_text())  # doctest: +SKIP
    """
    maps = _maps(data, numerator, denominator, draws)
    places, points = _along(maps.valid, path, across)
    summed = np.zeros((1, points, len(maps.windows)), np.int64)
    np.add.at(summed[0], places[places >= 0], maps.window_counts()[places >= 0])
    size, unit = maps.pixel_size or (1.0, 1.0), maps.pixel_unit
    if not np.isclose(*size):
        size, unit = (1.0, 1.0), "px"
    fields = _fields(maps, summed, (numerator, denominator), draws, seed)
    ratio = fields.ratio[:, 0]
    distance = ("distance", size[0] * np.arange(points), {"units": unit})
    result = Profile.from_values(
        _values(ratio, ratio, fields._replace(counts=fields.counts[0])),
        Frame({"distance": distance}, checksum=Frame.of(maps).checksum),
        name=maps.name,
        method=METHOD,
        verdict=_verdict(numerator, denominator, ratio, maps),
        status=fields.status,
        settings={
            "model": MODEL,
            "prior": PRIOR,
            "seed": seed,
            "draws": draws,
            "windows": list(maps.windows),
            "calibration": maps.calibration,
        },
        attrs=_attrs(numerator, denominator) | {"path": json.dumps(np.asarray(path).tolist()), "across": across},
    )
    return as_it_ended(result, strict=strict)


def _maps(data: SpectrumImage | LineMaps, numerator: str, denominator: str, draws: int) -> LineMaps:
    """Counts of both lines; refuse what has none."""
    if numerator == denominator:
        raise InputError(f"{numerator}/{denominator}", "two different lines", "bs.ratio_map(si, 'Fe_Ka', 'O_Ka')")
    if draws < FEWEST_DRAWS:
        raise InputError(f"draws={draws}", f"{FEWEST_DRAWS} draws or more", "draws=400")
    maps = counting_maps(data) if isinstance(data, LineMaps) else element_maps(data, [numerator, denominator])
    for line in (numerator, denominator):
        if not maps.counts[maps.valid][:, maps.line_index(line)].sum():
            raise InputError(
                f"no count of {line} in {maps.name!r}", "counts of both lines", "other lines, or other pixels"
            )
    return maps


def _fields(maps: LineMaps, counts: npt.NDArray[Any], lines: tuple[str, str], draws: int, seed: int) -> _Fields:
    """Fields of the two lines and of every window beside them, and the ratio of the intensities that they make.

    Shares of windows are split off one at a time, the share of each among those before it: counts of many windows are
    binomial given their sum, again and again.
    """
    pair = [maps.line_index(line) for line in lines]
    response, errors = np.asarray(maps.response)[pair], np.asarray(maps.response_errors)[:, pair]
    used = np.abs(response).sum(axis=0) + np.abs(errors).sum(axis=(0, 1)) > 0
    beside = [w for w in np.flatnonzero(used) if w not in pair and counts[..., w].any()]
    if len(beside) > MOST_WINDOWS:
        raise InputError(
            f"{len(beside)} windows beside {' and '.join(lines)}",
            f"{MOST_WINDOWS} or fewer",
            f"bs.ratio_map(bs.element_maps(si, {list(lines)}), ...)",
        )
    own = seed_for(seed, maps.checksum)
    keys = iter(jax.random.split(random_key(own), 1 + len(beside)))
    drawn = drawn_responses(draws, response, errors, own)
    total = counts[..., pair].sum(axis=-1)
    with tqdm(desc="/".join(lines), disable=None, leave=False) as bar:
        first = sample_field(counts[..., pair[0]], total, key=next(keys), draws=draws, progress=_progress(bar))
        if first.status is Status.INTERRUPTED and beside:
            raise KeyboardInterrupt  # without the other windows there is no ratio
        fields, n = [first], len(first.log_ratio)
        shares = _share(first)
        nets = [
            drawn[:n, i, pair[0], None, None] * shares + drawn[:n, i, pair[1], None, None] * (1 - shares)
            for i in (0, 1)
        ]
        for window in beside:
            total = total + counts[..., window]
            found = sample_field(counts[..., window], total, key=next(keys), draws=draws, progress=_progress(bar))
            if found.status is Status.INTERRUPTED and window != beside[-1]:
                raise KeyboardInterrupt  # without the windows that are left there is no ratio
            fields.append(found)
            n = min(n, len(found.log_ratio))
            shares = _share(found)[:n]
            nets = [net[:n] * (1 - shares) + drawn[:n, i, window, None, None] * shares for i, net in enumerate(nets)]
    ratio = np.where(nets[1] > 0, nets[0] / np.where(nets[1] > 0, nets[1], 1), np.inf).astype(np.float32)
    status = _status(ratio[:, total > 0], [field.status for field in fields])
    return _Fields(ratio, first.width[:n], total.astype(np.int64), status)


def _status(ratio: Floats, fields: Sequence[Status]) -> Status:
    """How the ratio's chain ended; a field of the background whose chain is short does no harm by itself."""
    for status in (Status.DIVERGED, Status.INTERRUPTED):
        if status in fields:
            return status
    ranks = ratio.argsort(axis=0).argsort(axis=0).astype(np.float32)  # a ratio may be infinite
    return Status.CONVERGED if independent_draws(ranks) >= SETTINGS.fewest_independent else Status.FEW_INDEPENDENT_DRAWS


def _share(field: RatioField) -> Floats:
    return 1 / (1 + np.exp(-field.log_ratio))


def _progress(bar: tqdm[Any]) -> Callable[[int, int], None]:
    """Count chunks of one field after another in one bar."""
    before = bar.n

    def progress(done: int, total: int) -> None:
        bar.total = before + total
        bar.update(before + done - bar.n)

    return progress


def _along(
    valid: npt.NDArray[np.bool_], path: Sequence[tuple[float, float]], across: float
) -> tuple[npt.NDArray[np.int64], int]:
    """Point of the path that each pixel belongs to (y, x), -1 for none; and the number of points."""
    corners = np.asarray(path, np.float64)
    steps = np.diff(corners, axis=0) if corners.ndim == 2 and corners.shape[1:] == (2,) else np.zeros((0, 2))
    lengths = np.hypot(*steps.T)
    if not len(steps) or not (lengths > 0).all() or not np.isfinite(corners).all() or not across > 0:
        raise InputError(
            f"path={path!r}, across={across}",
            "two or more different corners (y, x) in pixels and a width above 0",
            "path=[(32, 4), (32, 60)], across=10",
        )
    pixels = np.moveaxis(np.indices(valid.shape), 0, -1).astype(np.float64)
    nearest = np.full(valid.shape, np.inf)
    distance = np.zeros(valid.shape)
    for i, (start, step, length) in enumerate(zip(corners[:-1], steps, lengths, strict=True)):
        along = (pixels - start) @ step / length
        foot = np.clip(along, 0, length)
        away = np.hypot(*np.moveaxis(pixels - start - foot[..., None] * step / length, -1, 0))
        before_first, behind_last = (i == 0) & (along < -0.5), (i == len(steps) - 1) & (along >= length + 0.5)
        away[before_first | behind_last] = np.inf
        distance = np.where(away < nearest, lengths[:i].sum() + foot, distance)
        nearest = np.minimum(away, nearest)
    points = int(np.floor(lengths.sum() + 1e-9)) + 1
    inside = valid & (nearest <= max(across, 1.0) / 2)
    places = np.where(inside, np.minimum(np.rint(distance).astype(np.int64), points - 1), -1)
    if points < 2 or not inside.any():
        raise InputError(
            f"path={path!r} over {valid.shape} pixels", "a path that meets pixels in use", "path in pixels (y, x)"
        )
    return places, points


def _values(ratio: Floats, used: Floats, fields: _Fields) -> dict[str, Any]:
    """Variables of the result."""
    lower, upper = _quantiles(ratio)
    with np.errstate(invalid="ignore"):
        mean, sd = ratio.mean(axis=0, dtype=np.float64), ratio.std(axis=0, ddof=1, dtype=np.float64)
    return {
        "ratio_draws": ratio,
        "ratio_mean": mean,
        "ratio_sd": sd,
        "ratio_lower": lower,
        "ratio_upper": upper,
        "counts": fields.counts,
        "spread_draws": _spread(used),
        "width_draws": fields.width,
    }


def _quantiles(draws: Floats) -> tuple[Floats, Floats]:
    """Ends of the interval without interpolation towards infinity."""
    ordered = np.sort(draws, axis=0)
    low = int(np.ceil((1 - PROB) / 2 * len(draws))) - 1
    return ordered[max(low, 0)], ordered[min(len(draws) - 1 - low, len(draws) - 1)]


def _varies(used: Floats, middle: Floats) -> bool:
    """Whether more places than chance allows have an interval without the median ratio of all.

    How often that is said of an even sample is what ``python benchmarks/ratio_map.py --case even`` prints.
    """
    above = (used > middle[:, None]).mean(axis=0)
    apart = np.minimum(above, 1 - above) < (1 - PROB) / 2
    return bool(apart.mean() > 1 - PROB)


def _spread(used: Floats) -> Floats:
    """Standard deviation of the log ratio over the places (draw,), infinite where a line is not seen everywhere."""
    seen = np.isfinite(used) & (used > 0)
    spread = np.log(np.where(seen, used, 1.0)).std(axis=1, dtype=np.float64)
    return np.where(seen.all(axis=1), spread, np.inf)


def _verdict(numerator: str, denominator: str, used: Floats, maps: LineMaps) -> str:
    """Say whether the ratio varies, and by how much; then what must be said of the counts and their noise."""
    return _variation(numerator, denominator, used) + maps.remarks + (f"; {maps.noise}" if maps.noise else "")


def _variation(numerator: str, denominator: str, used: Floats) -> str:
    name, middle = f"{numerator}/{denominator}", np.median(used, axis=1)
    interval = interval_text(float(np.median(middle)), *(float(end) for end in _quantiles(middle)))
    value = f"{np.median(middle):.3g} ({100 * PROB:.0f} % interval {interval})"
    if not _varies(used, middle):
        return f"{name} is {value}; that it varies is not shown at this dose"
    ends = " to ".join(f"{end:.3g}" for end in np.quantile(np.median(used, axis=0), [OUTER, 1 - OUTER]))
    spread = 100 * _spread(used)
    below, above = _quantiles(spread)
    if not np.isfinite(above):
        return f"{name} varies, {ends}; not everywhere are both lines seen at this dose"
    return (
        f"{name} varies, standard deviation {np.median(spread):.2g} % ({below:.2g} to {above:.2g} %) about {value}; "
        f"{100 - 200 * OUTER:.0f} % of the means are {ends}"
    )


def _attrs(numerator: str, denominator: str) -> dict[str, Any]:
    return {"numerator": numerator, "denominator": denominator, "prob": PROB, "interval": "equal-tailed"}
