"""Quantities that the counts alone may not determine: draws together with what is feasible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayesspec.posterior import PROB, Estimate, format_uncertain

WIDEST = 2.0
"""Width of a feasible band over that of the 95 % interval above which the prior, not the counts, made the interval."""


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
