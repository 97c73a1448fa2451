"""Draws with named dims, and what is read off them: means, standard deviations, intervals."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import xarray as xr

from bayesspec.errors import InputError

PROB = 0.95
WIDEST = 2.0
"""Width of a feasible band over that of the 95 % interval above which the prior, not the counts, made the interval."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A quantity with its posterior draws; prints as ``0.783(4)``.

    Parameters
    ----------
    draws : xarray.DataArray, dims (draw, ...)
        Joint posterior draws. A single draw stands for a value that comes without an uncertainty.
    name : str
        What the quantity is.
    """

    draws: xr.DataArray
    name: str

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
        ends = [self._quantile(q) for q in ((1 - prob) / 2, (1 + prob) / 2)]
        attrs = {"prob": prob, "interval": "equal-tailed"}
        return ends[0].assign_attrs(attrs), ends[1].assign_attrs(attrs)

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
        """
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {k: v.sel(labels, drop=True) for k, v in parts.items() if isinstance(v, xr.DataArray)}
        return replace(self, **chosen)

    def scaled(self, factor: float, name: str) -> Estimate:
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
        return Estimate(factor * self.draws, name)

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
        table = {"mean": self.mean, "sd": self.sd, "lower": lower, "upper": upper}
        return xr.Dataset(table, attrs={"prob": prob, "interval": "equal-tailed", "name": self.name})

    def rows(self) -> Iterator[tuple[str, str]]:
        """Label and printed value of every entry.

        Yields
        ------
        tuple of str
            Such as ``("phase 0", "0.783(4)")``; the label is empty for a single value. A ratio whose
            denominator is not detected prints the lower end of its 95 % interval: ``> 12``.
        """
        mean, sd, lower = self.mean, self.sd, self.interval()[0]
        for index in np.ndindex(mean.shape):
            where = [
                f"{dim} {mean[dim].values[i] if dim in mean.coords else i}"
                for dim, i in zip(mean.dims, index, strict=True)
            ]
            value = format_uncertain(float(mean.values[index]), float(sd.values[index]))
            if np.isposinf(mean.values[index]) and 0 < lower.values[index] < np.inf:
                value = f"> {lower.values[index]:.2g}"
            yield ", ".join(where), value

    def __str__(self) -> str:
        rows = list(self.rows())
        if len(rows) == 1 and not rows[0][0]:
            return rows[0][1]
        return "; ".join(f"{label}: {value}" for label, value in rows)

    def __repr__(self) -> str:
        return f"<Estimate {self.name}: {self}>"


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
    if not 0 < prob < 1:
        raise InputError(f"prob={prob}", "a probability between 0 and 1", "interval(0.95)")


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
    return Estimate(ratio.where(known).transpose("draw", ...), name)


def to_arviz(draws: xr.Dataset, observed: xr.Dataset | None = None) -> Any:
    """Hand draws to ArviZ.

    Parameters
    ----------
    draws : xarray.Dataset, dims (draw, ...)
        Posterior draws.
    observed : xarray.Dataset or None
        What was observed.

    Returns
    -------
    arviz.InferenceData or xarray.DataTree
        Groups ``posterior`` and ``observed_data``, dims (chain, draw, ...): the former up to ArviZ 0.x, the
        latter from 1.0.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.x announces 1.0 at import
        import arviz as az

    groups: dict[str, Any] = {"posterior": draws.expand_dims("chain").assign_coords(chain=[0])}
    if observed is not None:
        groups["observed_data"] = observed
    if az.__version__.startswith("0."):
        return az.InferenceData(**groups)
    return xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})


# Quantities that the counts alone may not determine: draws together with what is feasible


@dataclass(frozen=True, eq=False)
class BandedEstimate(Estimate):
    """A quantity with its posterior draws and its feasible band; prints as ``0.31 to 0.42``, if not identified.

    Where the band is more than twice as wide as the 95 % interval the counts do not determine the quantity: other
    spectra and abundances that fit as well give other values, and the draws prefer some of them on account of the
    prior only. There the standard deviation is NaN and the interval is the band with the draws' interval.

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
    """

    lower: xr.DataArray
    upper: xr.DataArray
    reliable: xr.DataArray

    @property
    def identified(self) -> xr.DataArray:
        """Whether the counts determine the quantity to its interval, dims (...), bool."""
        low, high = super().interval(PROB)
        return ((self.upper - self.lower) <= WIDEST * (high - low)) & self.reliable

    @property
    def sd(self) -> xr.DataArray:
        """Posterior standard deviation, dims (...), float64; NaN where not identified."""
        return super().sd.where(self.identified)

    def interval(self, prob: float = PROB) -> tuple[xr.DataArray, xr.DataArray]:
        """Equal-tailed credible interval where identified; elsewhere what the feasible band and that interval span.

        Parameters
        ----------
        prob : float
            Probability that the interval holds, between 0 and 1.

        Returns
        -------
        lower, upper : xarray.DataArray, dims (...), float64
            Its ends.

        Raises
        ------
        InputError
            When `prob` is not between 0 and 1.
        """
        low, high = super().interval(prob)
        known = self.identified
        low, high = low.where(known, np.minimum(low, self.lower)), high.where(known, np.maximum(high, self.upper))
        kind = "equal-tailed" if bool(known.all()) else "equal-tailed; feasible band where not identified"
        attrs: dict[str, Any] = {"prob": prob, "interval": kind}
        return low.assign_attrs(attrs), high.assign_attrs(attrs)

    def scaled(self, factor: float, name: str) -> BandedEstimate:
        """Multiply the quantity and its band by a number.

        Parameters
        ----------
        factor : float
            The number, positive.
        name : str
            What the product is.

        Returns
        -------
        BandedEstimate, dims (...)
            The product.
        """
        return BandedEstimate(factor * self.draws, name, factor * self.lower, factor * self.upper, self.reliable)

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
