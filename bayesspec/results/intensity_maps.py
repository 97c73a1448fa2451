"""Maps of line intensities, with a standard deviation in every pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.results.drawing import Drawing
from bayesspec.results.estimate import PROB, Estimate, Operand, check_prob, format_uncertain
from bayesspec.results.line_result import LineResult
from bayesspec.results.schema import Schema, Variable
from bayesspec.results.table import Table


@dataclass(frozen=True, eq=False)
class MappedEstimate(Estimate):
    """Values with standard deviations and no draws; prints as ``0.783(4)``.

    There is no interval: at few counts a pixel a value that cannot be negative is not spread like a normal one.

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
        """No interval.

        Parameters
        ----------
        prob : float
            Asked for.

        Returns
        -------
        lower, upper : xarray.DataArray, dims (...), float64
            NaN.

        Raises
        ------
        InputError
            When `prob` is not between 0 and 1.
        """
        check_prob(prob)
        return self.mean * np.nan, self.mean * np.nan

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
        return self.own(MappedEstimate(kept["intensities"].expand_dims("draw"), "counts", kept["sd"]))

    def ratio(self, numerator: str, denominator: str) -> Estimate:
        """Not there: the ratio of two maps at few counts a pixel has no mean; ``bs.segment`` measures ratios.

        Parameters
        ----------
        numerator, denominator : str
            Names of lines.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"the ratio {numerator}/{denominator} of single pixels",
            "pixels that are taken together: their ratio has an interval",
            f"bs.segment(si, lines=[{numerator!r}, {denominator!r}]), or bs.fit_lines(si) of the sum",
        )

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
