"""Draws with named dims, and what is read off them: means, standard deviations, intervals."""

from __future__ import annotations

import itertools
import math
import operator
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from statistics import NormalDist
from typing import Any, Self

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.files.saved import Saved
from bayesspec.image.arguments import checked_prob

PROB = 0.95
"""Probability of an interval where none is asked for."""
WIDEST = 2.0
"""Width of the 95 % interval together with the feasible band over its own, up to which the counts determine a quantity
as well as the prior did: how often what is said to be determined holds is shown by
`python benchmarks/identifiability.py`."""
NARROW = 0.4
"""Width of the same interval over the value, up to which they determine it for the purpose of a measurement, however
much of it is the band (python benchmarks/identifiability.py --case minerals)."""
BANDED = "equal-tailed, together with the feasible band"
"""Kind of the intervals of quantities with a feasible band."""


@dataclass(frozen=True, eq=False)
class Estimate(Saved):
    """A quantity with its posterior draws; prints as ``0.783(4)``.

    Parameters
    ----------
    draws : xarray.DataArray, dims (draw, ...)
        Joint posterior draws. A single draw stands for a value that comes without an uncertainty.
    name : str
        What the quantity is.
    source : str
        The result that the draws are of. Quantities of one result are combined draw by draw, which keeps their
        covariance; those of different results, or of none that is named, as independent.
    positive : bool
        Whether the quantity cannot be negative, such as a ratio or a composition: its intervals end at 0, and where
        they do it prints the upper limit that it lies below with 95 % probability, ``< 0.004, 95 %``.

    Examples
    --------
    >>> import bayesspec as bs
    >>> maps = [bs.simulate.iron_oxide_lines(2000, (24, 24), seed=seed) for seed in (0, 1)]
    >>> first, second = (bs.segment(one, 2).ratio("Fe_Ka", "O_Ka").sel(phase=0) for one in maps)
    >>> change = first - second
    >>> bool(abs(change.sd / np.hypot(first.sd, second.sd) - 1) < 0.1)
    True
    >>> str(first - first)
    '0'
    """

    draws: xr.DataArray
    name: str
    source: str = field(default="", kw_only=True)
    positive: bool = field(default=False, kw_only=True)

    @property
    def known_error(self) -> bool:
        """Whether there is an uncertainty at all."""
        return self.draws.sizes["draw"] > 1

    @property
    def mean(self) -> xr.DataArray:
        """Posterior mean, dims (...), float64."""
        return self.draws.mean("draw", dtype=np.float64)

    @property
    def sd(self) -> xr.DataArray:
        """Posterior standard deviation, dims (...), float64; NaN where there is none or it is infinite."""
        if not self.known_error:
            return self.mean * np.nan
        finite = xr.apply_ufunc(np.isfinite, self.draws).all("draw")
        return self.draws.where(finite).std("draw", ddof=1, dtype=np.float64)

    def interval(self, prob: float = PROB) -> tuple[xr.DataArray, xr.DataArray]:
        """Equal-tailed credible interval.

        Parameters
        ----------
        prob : float
            Probability that the interval holds, between 0 and 1.

        Returns
        -------
        lower, upper : xarray.DataArray, dims (...), float64
            Its ends; NaN where there is no uncertainty.

        Raises
        ------
        InputError
            When `prob` is not between 0 and 1.
        """
        check_prob(prob)
        if not self.known_error:
            return self.sd, self.sd
        ends = [self._ended(self._quantile(q)) for q in ((1 - prob) / 2, (1 + prob) / 2)]
        attrs = {"prob": prob, "interval": "equal-tailed"}
        return ends[0].assign_attrs(attrs), ends[1].assign_attrs(attrs)

    def _ended(self, end: xr.DataArray) -> xr.DataArray:
        return end.clip(min=0.0) if self.positive else end

    def limits(self) -> xr.DataArray:
        """Upper limits where the counts do not exclude 0.

        Returns
        -------
        xarray.DataArray, dims (...), float64
            What the quantity lies below with 95 % probability; NaN where 0 is excluded, or it can be negative. Where
            the mean is below 0 the limit is that of a mean of 0: a fluctuation to below does not make it smaller.
        """
        if not self.positive or not self.known_error:
            return self.mean * np.nan
        lower, mean = self.interval()[0], self.mean
        above = (self._quantile(PROB) - mean.clip(max=0.0)).clip(min=0.0)
        return above.where((lower <= 0) & np.isfinite(mean) & (above > 0))

    def _quantile(self, q: float) -> xr.DataArray:
        if np.isfinite(self.draws).all():
            return self.draws.quantile(q, "draw").drop_vars("quantile")
        ordered = np.sort(self.draws.transpose("draw", ...).values, axis=0)  # no interpolation towards infinity
        place = min(max(math.ceil(q * len(ordered)) - 1, 0), len(ordered) - 1)
        return self.draws.isel(draw=0, drop=True).copy(data=ordered[place])

    def sel(self, **labels: Any) -> Self:
        """Take part of the quantity by its labels.

        Parameters
        ----------
        **labels
            Label, list of labels or slice by dim, such as ``line="Fe_Ka"`` or ``phase=[0, 1]``.

        Returns
        -------
        Estimate
            The part; a dim of which one label was taken is gone.

        Raises
        ------
        InputError
            When there is no such dim or label.
        """
        try:
            return self._changed(lambda values: values.sel(labels, drop=True))
        except Exception as error:  # indexes raise whatever they like
            there = {str(dim): self.draws[dim].values.tolist() for dim in self.draws.dims if dim != "draw"}
            raise InputError(
                f"the labels {labels!r}",
                f"labels among {there}" if there else "none: this quantity is one number",
                f"sel({next(iter(there), 'phase')}={next(iter(there.values()), [0])[0]!r})",
            ) from error

    @checked_arguments()
    def scaled(self, factor: float, name: str) -> Self:
        """Multiply the quantity by a number.

        Parameters
        ----------
        factor : float
            The number, positive.
        name : str
            What the product is.

        Returns
        -------
        Estimate, dims (...)
            The product.
        """
        return self._changed(lambda values: values if values.dtype == bool else factor * values, name=name)

    def _changed(self, change: Callable[[xr.DataArray], xr.DataArray], **others: Any) -> Self:
        """The quantity with a change made to all of its arrays: draws, and ends where the kind has them."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: change(v) for k, v in parts.items() if isinstance(v, xr.DataArray)} | others)

    def __neg__(self) -> Estimate:
        return _combined(operator.sub, 0.0, self, "-")

    def __add__(self, other: Operand) -> Estimate:
        return _combined(operator.add, self, other, "+")

    def __radd__(self, other: Operand) -> Estimate:
        return _combined(operator.add, other, self, "+")

    def __sub__(self, other: Operand) -> Estimate:
        return _combined(operator.sub, self, other, "-")

    def __rsub__(self, other: Operand) -> Estimate:
        return _combined(operator.sub, other, self, "-")

    def __mul__(self, other: Operand) -> Estimate:
        return _combined(operator.mul, self, other, "*")

    def __rmul__(self, other: Operand) -> Estimate:
        return _combined(operator.mul, other, self, "*")

    def __truediv__(self, other: Operand) -> Estimate:
        return _combined(operator.truediv, self, other, "/")

    def __rtruediv__(self, other: Operand) -> Estimate:
        return _combined(operator.truediv, other, self, "/")

    def joint_draws(self) -> xr.DataArray:
        """Draws that stand for all that is known of the quantity.

        Returns
        -------
        xarray.DataArray, dims (draw, ...), float64
            The draws.

        Raises
        ------
        InputError
            When it comes without any, or with more than they tell.
        """
        if not self.known_error:
            raise InputError(
                f"{self.name}, a value without uncertainty", "a quantity with draws", f"{self.name!r}.mean"
            )
        return self.draws.astype(np.float64)

    def summary(self, prob: float = PROB) -> xr.Dataset:
        """Mean, standard deviation and interval in one table.

        Parameters
        ----------
        prob : float
            Probability of the interval.

        Returns
        -------
        xarray.Dataset, dims (...)
            ``mean``, ``sd``, ``lower``, ``upper``; attributes ``prob`` and ``interval``.

        Raises
        ------
        InputError
            When `prob` is not between 0 and 1.
        """
        lower, upper = self.interval(prob)
        kind = {"prob": lower.attrs.get("prob", prob), "interval": lower.attrs.get("interval", "none")}
        table = {"mean": self.mean, "sd": self.sd, "lower": lower, "upper": upper}
        return xr.Dataset(table, attrs={**kind, "name": self.name})

    def entries(self) -> tuple[str, ...]:
        """Labels of all entries.

        Returns
        -------
        tuple of str
            Such as ``"phase 0, line Fe_Ka"``; empty for a single value.
        """
        one = self.draws.isel(draw=0)
        names = [[f"{dim} {label}" for label in _labels(one, dim)] for dim in one.dims]
        return tuple(", ".join(parts) for parts in itertools.product(*names))

    def rows(self) -> Iterator[tuple[str, str]]:
        """Label and printed value of every entry.

        Yields
        ------
        tuple of str
            Such as ``("phase 0", "0.783(4)")``; the label is empty for a single value. A ratio whose
            denominator is not detected prints the lower end of its 95 % interval: ``> 12``; what cannot be negative and
            is not detected an upper limit: ``< 0.004, 95 %``.
        """
        mean, sd, lower, limit = self.mean, self.sd, self.interval()[0], self.limits()
        for label, index in zip(self.entries(), np.ndindex(mean.shape), strict=True):
            value = format_uncertain(float(mean.values[index]), float(sd.values[index]))
            if np.isposinf(mean.values[index]) and 0 < lower.values[index] < np.inf:
                value = f"> {lower.values[index]:.2g}"
            if np.isfinite(limit.values[index]):
                value = f"< {limit.values[index]:.2g}, {100 * PROB:.0f} %"
            yield label, value

    def __str__(self) -> str:
        rows = list(self.rows())
        if len(rows) == 1 and not rows[0][0]:
            return rows[0][1]
        return "; ".join(f"{label}: {value}" for label, value in rows)

    def __repr__(self) -> str:
        return f"<Estimate {self.name}: {self}>"


def _labels(array: xr.DataArray, dim: Hashable) -> Any:
    return array[dim].values if dim in array.coords else range(array.sizes[dim])


Operand = Estimate | float


def _combined(operation: Callable[[Any, Any], xr.DataArray], first: Operand, second: Operand, sign: str) -> Estimate:
    """Combine two quantities, draw by draw where both are of one result, else as independent."""
    both = [one for one in (first, second) if isinstance(one, Estimate)]
    numbers = [one for one in (first, second) if not isinstance(one, Estimate)]
    if not all(isinstance(number, Real) and math.isfinite(number) for number in numbers):
        raise InputError(f"{numbers[0]!r} beside {both[0].name}", "a quantity, or a finite number", "a - b, or 2 * a")
    name = f"{_text(first)} {sign} {_text(second)}"
    if len(both) == 1:
        own, number = both[0], float(numbers[0])
        factor = number if sign == "*" else 1 / number if sign == "/" and own is first and number else 0.0
        if factor > 0:
            return own.scaled(factor, name)
        draws = own.draws if type(own) is Estimate else own.joint_draws()
        return Estimate(operation(*((draws, number) if own is first else (number, draws))), name, source=own.source)
    own, other = both
    joint = own.draws is other.draws or own.source == other.source != ""
    left, right = own.joint_draws(), other.joint_draws()
    if not joint:
        left, right = _independent(left, right)
    try:
        left, right = xr.align(left, right, join="exact")
    except ValueError as error:
        do = "a.sel(phase=0) - b.sel(phase=1), or .sel(component=...)"
        raise InputError(f"{own.name} and {other.name} of other dims or labels: {error}", "the same", do) from error
    return Estimate(operation(left, right), name, source=own.source if joint else "")


def _text(operand: Operand) -> str:
    return operand.name if isinstance(operand, Estimate) else f"{operand:g}"


def _independent(first: xr.DataArray, second: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """As many draws of both, put together at random."""
    n = min(first.sizes["draw"], second.sizes["draw"])
    rng = np.random.default_rng([first.sizes["draw"], second.sizes["draw"]])
    picked = [one.isel(draw=rng.permutation(one.sizes["draw"])[:n]) for one in (first, second)]
    bare = [one.drop_vars("draw") if "draw" in one.coords else one for one in picked]
    return bare[0], bare[1]


def check_prob(prob: float) -> None:
    """Refuse a probability that is none.

    Parameters
    ----------
    prob : float
        Probability of an interval.

    Raises
    ------
    InputError
        When it is not between 0 and 1.
    """
    checked_prob(prob)


def format_uncertain(mean: float, sd: float) -> str:
    """Print a value with its standard deviation in parentheses, in units of the last digit.

    Parameters
    ----------
    mean, sd : float
        Value and standard deviation; NaN or 0 for a value without an uncertainty.

    Returns
    -------
    str
        Such as ``0.783(4)``: one digit of the standard deviation, two below 2.
    """
    if not math.isfinite(mean):
        return "not resolved"
    if not math.isfinite(sd) or sd <= 0:
        return f"{mean:.4g}"
    exponent = math.floor(math.log10(sd))
    if sd / 10**exponent >= 9.5:
        exponent += 1
    digits = -exponent + (1 if sd / 10**exponent < 1.95 else 0)
    if digits <= 0:
        return f"{round(mean, digits):.0f}({round(sd, digits):.0f})"
    error = f"{round(sd * 10**digits)}" if sd < 1 else f"{sd:.{digits}f}"
    return f"{mean:.{digits}f}({error})"


def ratio_of(numerator: xr.DataArray, denominator: xr.DataArray, name: str) -> Estimate:
    """Ratio of two quantities, draw by draw, so that their covariance counts.

    Parameters
    ----------
    numerator, denominator : xarray.DataArray, dims (draw, ...)
        Joint draws of both.
    name : str
        What the ratio is.

    Returns
    -------
    Estimate
        Its draws; infinite where a draw of the denominator is not positive, so that a quantity that is not
        detected gives an interval that is open to one side.
    """
    ratio = xr.where(denominator > 0, numerator / denominator.where(denominator > 0), np.inf)
    known = numerator.notnull() & denominator.notnull()
    return Estimate(ratio.where(known).transpose("draw", ...), name, positive=True)


def line_ratio(intensities: xr.DataArray, name: str) -> Estimate:
    """Ratio of the first to the second of two lines, draw by draw.

    Parameters
    ----------
    intensities : xarray.DataArray, dims (draw, ..., line)
        Joint draws of both.
    name : str
        What the ratio is.

    Returns
    -------
    Estimate
        As of `ratio_of`.
    """
    above, below = (intensities.isel(line=i, drop=True) for i in (0, 1))
    return ratio_of(above, below, name)


def to_arviz(groups: Mapping[str, xr.Dataset], chains: int = 1) -> Any:
    """Hand draws to ArviZ.

    Parameters
    ----------
    groups : mapping of str to xarray.Dataset
        Datasets by the names that ArviZ has for them, ``"posterior"`` first; where there is a dim draw it holds one
        chain after the other.
    chains : int
        How many chains.

    Returns
    -------
    arviz.InferenceData or xarray.DataTree
        The groups with dims (chain, draw, ...): the former up to ArviZ 0.x, the latter from 1.0.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.x announces 1.0 at import
        import arviz as az

    divided: dict[str, Any] = {name: _by_chain(group, chains) for name, group in groups.items()}
    if az.__version__.startswith("0."):
        return az.InferenceData(**divided)
    return xr.DataTree.from_dict({f"/{name}": group for name, group in divided.items()})


def _by_chain(group: xr.Dataset, chains: int) -> xr.Dataset:
    if "draw" not in group.dims:
        return group
    number = group.sizes["draw"] // chains
    table = {
        name: (("chain", "draw", *values.dims[1:]), values.values.reshape(chains, number, *values.shape[1:]))
        for name, values in ((name, values.transpose("draw", ...)) for name, values in group.data_vars.items())
        if "draw" in values.dims
    }
    bare = group.drop_vars([name for name in [*table, "draw"] if name in group.variables])
    return bare.assign(table).assign_coords(chain=np.arange(chains), draw=np.arange(number))


# Quantities that the counts alone may not determine: draws together with what is feasible


@dataclass(frozen=True, eq=False)
class BandedEstimate(Estimate):
    """A quantity with its posterior draws and its feasible band; prints as ``0.31 to 0.42``, if not identified.

    The interval is what sampling leaves open, the draws' own, together with what the factorisation leaves open, the
    band: other spectra and abundances that fit as well give other values, and the draws prefer some of them on account
    of the prior only. Where both together are more than twice as wide as the draws' interval the counts do not
    determine the quantity, and the standard deviation is NaN; elsewhere it is that of the draws, as much wider as the
    interval is.

    Parameters
    ----------
    draws : xarray.DataArray, dims (draw, ...)
        Joint posterior draws.
    name : str
        What the quantity is.
    lower, upper : xarray.DataArray, dims (...), float64
        Feasible band.
    reliable : xarray.DataArray, dims (...), bool
        Whether the draws are enough to tell an interval.
    noise : xarray.DataArray, dims (...), float64, or None
        Standard deviation of the quantity in any one of the factorisations, by which both ends of the band are
        uncertain; ``None`` for 0.
    """

    lower: xr.DataArray
    upper: xr.DataArray
    reliable: xr.DataArray
    noise: xr.DataArray | None = None

    @property
    def identified(self) -> xr.DataArray:
        """Whether the counts determine the quantity, the band included, dims (...), bool.

        To twice the interval that the draws alone have, or to a fifth of its value to both sides.
        """
        low, high = self.interval(PROB)
        narrow = (high - low) <= NARROW * abs(self.mean)
        finite = np.isfinite(high - low) & np.isfinite(self.mean)
        return ((self._wider() <= WIDEST) | narrow) & finite & self.reliable

    @property
    def sd(self) -> xr.DataArray:
        """Posterior standard deviation, the band included, dims (...), float64; NaN where not identified."""
        return (super().sd * self._wider()).where(self.identified)

    def interval(self, prob: float = PROB) -> tuple[xr.DataArray, xr.DataArray]:
        """What the equal-tailed credible interval and the feasible band span, the noise of the band's ends included.

        Parameters
        ----------
        prob : float
            Probability that the draws' interval holds, between 0 and 1.

        Returns
        -------
        lower, upper : xarray.DataArray, dims (...), float64
            Its ends.

        Raises
        ------
        InputError
            When `prob` is not between 0 and 1.

        Notes
        -----
        Source: intervals of what is identified in part only, Imbens & Manski (2004),
        doi:10.1111/j.1468-0262.2004.00555.x.
        """
        low, high = super().interval(prob)
        attrs: dict[str, Any] = {"prob": prob, "interval": BANDED}
        reach = 0.0 if self.noise is None else NormalDist().inv_cdf((1 + prob) / 2) * self.noise
        lowest, highest = self.lower - reach, self.upper + reach
        low, high = low.where(~(lowest < low), lowest), high.where(~(highest > high), highest)
        return self._ended(low).assign_attrs(attrs), self._ended(high).assign_attrs(attrs)

    def _wider(self) -> xr.DataArray:
        """Width of the interval over that of the draws' own, dims (...), 1 or more."""
        (low, high), (lowest, highest) = super().interval(PROB), self.interval(PROB)
        own, whole = high - low, highest - lowest
        with np.errstate(invalid="ignore", divide="ignore"):
            return xr.where(whole > own, whole / own, 1.0)

    def joint_draws(self) -> xr.DataArray:
        """Draws, as much wider as the interval is, where the counts determine the quantity.

        Returns
        -------
        xarray.DataArray, dims (draw, ...), float64
            The draws, stretched so that their 95 % interval is the interval.

        Raises
        ------
        InputError
            When the counts do not determine the quantity: other values fit as well that no draw shows.
        """
        if not bool(self.identified.all()):
            do = "its .interval(), or .sel(component=...) of those with .identified"
            raise InputError(f"{self.name}, which the counts do not determine", "an identified quantity", do)
        (low, high), (lowest, _) = super().interval(PROB), self.interval(PROB)
        spread = ((super().joint_draws() - low) * self._wider()).where(high > low, 0.0)
        return (lowest + spread).transpose(*self.draws.dims)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Label and printed value of every entry; a range where it is not identified.

        Yields
        ------
        tuple of str
            Such as ``("component 0", "0.783(4)")`` or ``("component 1", "0.31 to 0.42")``.
        """
        known, (low, high) = self.identified, self.interval()
        for (label, value), index in zip(super().rows(), np.ndindex(known.shape), strict=True):
            ends = float(low.values[index]), float(high.values[index])
            yield label, value if known.values[index] else _range(*ends)


def _range(low: float, high: float) -> str:
    if not np.isfinite(high):
        return f"> {low:.2g}" if low > 0 else "not resolved"
    first, second = (format_uncertain(end, 0.0) for end in (float(f"{low:.2g}"), float(f"{high:.2g}")))
    return f"{first} to {second}"
