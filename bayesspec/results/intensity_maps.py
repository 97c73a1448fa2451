"""Maps of line intensities, with a standard deviation in every pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self, cast

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import gammaincinv, ndtri

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.results.drawing import Drawing
from bayesspec.results.estimate import PROB, Estimate, Operand, check_prob, format_uncertain
from bayesspec.results.line_result import LineResult
from bayesspec.results.schema import Schema, Variable
from bayesspec.results.table import Table


@dataclass(frozen=True, eq=False)
class MappedEstimate(Estimate):
    """Values with standard deviations and no draws; prints as ``0.783(4)``.

    Intervals are those of counts: the value with its background, as many counts as the variance, has a gamma
    distribution. That of what may be negative is normal.

    Parameters
    ----------
    draws : xarray.DataArray, dims (draw, ...)
        The values, the only draw.
    name : str
        What the quantity is.
    spread : xarray.DataArray, dims (...)
        Standard deviations.
    """

    spread: xr.DataArray

    @property
    def sd(self) -> xr.DataArray:
        """Standard deviation, dims (...); NaN where a pixel is excluded."""
        return self.spread

    def interval(self, prob: float = PROB) -> tuple[xr.DataArray, xr.DataArray]:
        """Equal-tailed interval of every pixel.

        Parameters
        ----------
        prob : float
            Probability that it holds, between 0 and 1.

        Returns
        -------
        lower, upper : xarray.DataArray, dims (...), float64
            Its ends, not below 0 for what cannot be negative; NaN where a pixel is excluded.

        Raises
        ------
        InputError
            When `prob` is not between 0 and 1.

        Notes
        -----
        Source: Brown, Cai and DasGupta, Statistica Sinica 13 (2003) 19: Jeffreys' interval of a Poisson mean, for the
        number of counts that has the variance. How often it holds is printed by ``benchmarks/spectra.py pixels``.
        """
        check_prob(prob)
        value, sd = self.mean, self.spread.astype(np.float64)
        counts = sd**2

        def end(q: float) -> xr.DataArray:
            if not self.positive:
                return value + sd * ndtri(q)
            of_counts = xr.apply_ufunc(gammaincinv, counts + 0.5, q)
            return (value + of_counts - counts).clip(min=0.0)

        attrs = {"prob": prob, "interval": "equal-tailed"}
        return end((1 - prob) / 2).assign_attrs(attrs), end((1 + prob) / 2).assign_attrs(attrs)

    def __sub__(self, other: Operand) -> Estimate:
        if not isinstance(other, MappedEstimate) or self.source == other.source:
            return super().__sub__(other)
        spread = cast(xr.DataArray, np.hypot(self.spread, other.spread))
        return MappedEstimate(self.draws - other.draws, f"{self.name} - {other.name}", spread)

    def joint_draws(self) -> xr.DataArray:
        """No draws: values with standard deviations.

        Returns
        -------
        xarray.DataArray
            Never.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(f"{self.name}, a map without draws", "a quantity with draws", "bs.ratio_map(si, ...)")

    def rows(self) -> Iterator[tuple[str, str]]:
        """Label and printed value of every entry.

        Yields
        ------
        tuple of str
            Such as ``("y 0, x 3, line Fe_Ka", "21(4)")``.
        """
        values = zip(super().rows(), self.mean.values.ravel(), self.spread.values.ravel(), strict=True)
        for (label, _), value, sd in values:
            yield label, format_uncertain(float(value), float(sd))


@dataclass(frozen=True, eq=False)
class RatioOfPixels(MappedEstimate):
    """Ratio of two lines in every pixel.

    Parameters
    ----------
    draws : xarray.DataArray, dims (draw, y, x)
        The values, the only draw; infinite where the denominator is not seen.
    name : str
        What the quantity is.
    spread : xarray.DataArray, dims (y, x)
        Standard deviations by propagation of errors.
    moments : xarray.DataArray, dims (moment, y, x)
        Both maps, then the variance of the first, their covariance and the variance of the second.
    """

    moments: xr.DataArray

    def interval(self, prob: float = PROB) -> tuple[xr.DataArray, xr.DataArray]:
        """Interval of every pixel: the ratios that the two intensities do not contradict.

        Parameters
        ----------
        prob : float
            Probability that it holds, between 0 and 1.

        Returns
        -------
        lower, upper : xarray.DataArray, dims (y, x), float64
            Its ends, from 0 to infinity; NaN where a pixel is excluded.

        Raises
        ------
        InputError
            When `prob` is not between 0 and 1.

        Notes
        -----
        Source: Fieller, J. R. Stat. Soc. B 16 (1954) 175, doi:10.1111/j.2517-6161.1954.tb00159.x.
        """
        check_prob(prob)
        above, below, *known = (self.moments.isel(moment=i, drop=True) for i in range(5))
        z2 = float(ndtri((1 + prob) / 2)) ** 2
        c, b, a = (
            product - z2 * covariance
            for product, covariance in zip((above**2, above * below, below**2), known, strict=True)
        )
        root = (b**2 - a * c).clip(min=0.0) ** 0.5
        bounded = a > 0
        low = ((b - root) / a).where(bounded, c / (b + root).where(b + root > 0)).fillna(0.0).clip(min=0.0)
        high = ((b + root) / a.where(bounded)).fillna(np.inf)
        attrs, used = {"prob": prob, "interval": "Fieller's"}, np.isfinite(above)
        return low.where(used).assign_attrs(attrs), high.where(used).assign_attrs(attrs)

    @checked_arguments()
    def scaled(self, factor: float, name: str) -> Self:
        """Multiply the ratio by a number.

        Parameters
        ----------
        factor : float
            The number, positive.
        name : str
            What the product is.

        Returns
        -------
        RatioOfPixels, dims (y, x)
            The product.
        """
        factors = xr.DataArray([factor, 1.0, factor**2, factor, 1.0], dims="moment")
        return replace(super().scaled(factor, name), moments=self.moments * factors)


class IntensityMaps(LineResult):
    """Intensities of lines and continuum in every pixel, in counts, with their standard deviations."""

    kind = "intensity maps"
    heading = "Line maps"
    pictures = ("intensities", "sd")
    in_counts = True
    schema = Schema(
        {
            "intensities": Variable(
                ("y", "x", "line"), "counts of each line in a pixel", "counts", dtype=np.float32, low=0.0
            ),
            "sd": Variable(("y", "x", "line"), "their standard deviations", "counts", dtype=np.float32, low=0.0),
            "covariance": Variable(
                ("y", "x", "line", "other_line"), "their covariance", "counts^2", needed=False, dtype=np.float32
            ),
            "continuum": Variable(("y", "x"), "counts of the continuum", "counts", dtype=np.float32, low=0.0),
        },
        coords=("y", "x", "line"),
        attributes={"acquisition": "beam and detector, as JSON"},
    )

    def intensities_of(self, lines: Sequence[str]) -> Estimate:
        """Maps of some lines.

        Parameters
        ----------
        lines : sequence of str
            Names of fitted lines, such as ``["Fe_Ka", "O_Ka"]``.

        Returns
        -------
        MappedEstimate, dims (y, x, line)
            Counts: ``.mean`` and ``.sd``; NaN where a pixel is excluded.

        Raises
        ------
        InputError
            When a line was not fitted.
        """
        kept = self.data.sel(line=self.checked_lines(lines))
        return self.own(MappedEstimate(kept["intensities"].expand_dims("draw"), "counts", kept["sd"], positive=True))

    def ratio(self, numerator: str, denominator: str) -> Estimate:
        """Ratio of two lines in every pixel, each by itself: ``bs.ratio_map`` takes neighbours together.

        Parameters
        ----------
        numerator, denominator : str
            Names of lines.

        Returns
        -------
        RatioOfPixels, dims (y, x)
            Value, standard deviation and interval, with the covariance of the two lines; where the counts do not
            exclude that there is nothing of the denominator the interval has no upper end.

        Raises
        ------
        InputError
            When a line was not fitted, both are the same, or the maps were saved without their covariance.
        """
        pair = self.checked_lines([numerator, denominator])
        if numerator == denominator or "covariance" not in self.data:
            raise InputError(
                f"the ratio {numerator}/{denominator} of maps {'with' if 'covariance' in self.data else 'without'} "
                "covariance",
                "two different lines, and maps that hold their covariance",
                "bs.model_maps(si, ['Fe', 'O']).ratio('Fe_Ka', 'O_Ka')",
            )
        above, below = (self.data["intensities"].sel(line=one, drop=True).astype(np.float64) for one in pair)
        known = self.data["covariance"].sel(line=pair, other_line=pair).astype(np.float64)
        parts = [known.isel(line=i, other_line=j, drop=True) for i, j in ((0, 0), (0, 1), (1, 1))]
        value = (above / below).where(below > 0, np.inf).where(np.isfinite(above))
        finite = value.where(np.isfinite(value), 0.0)
        variance = parts[0] - 2 * finite * parts[1] + finite**2 * parts[2]
        sd = (variance.clip(min=0.0) ** 0.5 / below).where(np.isfinite(value) & (below > 0), np.inf)
        name = f"{numerator}/{denominator}"
        spread = sd.where(np.isfinite(above))
        moments = xr.concat([above, below, *parts], "moment", coords="minimal", compat="override")
        return self.own(RatioOfPixels(value.expand_dims("draw"), name, spread, moments, positive=True))

    @property
    def sd(self) -> xr.DataArray:
        """Standard deviations of the intensities, dims (y, x, line), float32."""
        return self.data["sd"]

    @property
    def continuum(self) -> xr.DataArray:
        """Counts of the continuum, dims (y, x), float32."""
        return self.data["continuum"]

    @property
    def uncertain(self) -> bool:
        """Whether the numbers come with an uncertainty, bool: a standard deviation in every pixel."""
        return True

    def map(self, line: str) -> xr.DataArray:
        """Take one line.

        Parameters
        ----------
        line : str
            Name of a line.

        Returns
        -------
        xarray.DataArray, dims (y, x), float32
            Counts.

        Raises
        ------
        InputError
            When it was not fitted.
        """
        return self.data["intensities"].sel(line=self.checked_lines([line])[0])

    def line_images(self) -> npt.NDArray[np.float64]:
        """Maps of the line intensities.

        Returns
        -------
        array, shape (y, x, line), float64
            Counts; NaN where a pixel is excluded.
        """
        return self.data["intensities"].values.astype(np.float64)

    def note(self) -> str:
        """Say what a reader of the table must know.

        Returns
        -------
        str
            A sentence.
        """
        return (
            "Counts of single pixels, which cannot be negative, are too large in the mean where there are few: ratios "
            "are measured by segmentation, unmixing or a fit of the sum."
        )

    def table(self, reference: str | None = None) -> Table:
        """Mean counts of every line and their standard deviation in a pixel.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        Table
            One row a line.
        """
        found = self.data[["intensities", "sd"]].mean(("y", "x"))
        rows = tuple(
            (line, f"{float(found['intensities'][i]):.4g}", f"{float(found['sd'][i]):.3g}")
            for i, line in enumerate(self.lines)
        )
        columns = ("line", "counts per pixel, mean", "standard deviation in a pixel, mean")
        return Table("Line maps", columns, rows, self.note())

    def figures(self, reference: str | None = None) -> list[Drawing]:
        """Maps of the lines.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        list of Drawing
            One figure.
        """
        return [Drawing("element_maps", "element_maps", "Line intensities; grey pixels are excluded.")]

    def __repr__(self) -> str:
        ny, nx = self.data.sizes["y"], self.data.sizes["x"]
        return f"<IntensityMaps {self.name!r}: {ny} x {nx} pixels, {', '.join(self.lines)}>"
