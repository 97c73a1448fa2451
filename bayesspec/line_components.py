"""Components whose spectra are combinations of line families and continuum."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from bayesspec.components import Unmixing
from bayesspec.errors import InputError
from bayesspec.posterior import Estimate


class LineUnmixing(Unmixing):
    """Components with the counts in each line, overlap and continuum told apart by the model; values only.

    No scheme for intervals that was tried covers what it claims, so there is a single draw and every standard deviation
    is NaN.
    """

    kind = "line unmixing"

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines, tuple of str."""
        return tuple(str(line) for line in self.data["line"].values)

    @property
    def line_counts(self) -> Estimate:
        """Counts of every line in the image, dims (component, line)."""
        return Estimate(self.data["line_draws"], "counts")

    def intensities(self, lines: Sequence[str]) -> xr.DataArray:
        """Line intensities of every component.

        Parameters
        ----------
        lines : sequence of str
            Names of fitted lines, such as ``["Fe_Ka", "O_Ka"]``.

        Returns
        -------
        xarray.DataArray, dims (draw, component, line), float64
            Joint draws, in counts of the whole image.

        Raises
        ------
        InputError
            When a line was not fitted.
        """
        unknown = [line for line in lines if line not in self.lines]
        if unknown:
            raise InputError(
                f"the line {unknown[0]!r}", f"one of {list(self.lines)}", f"fit.ratio({self.lines[0]!r}, ...)"
            )
        return self.data["line_draws"].sel(line=list(lines))
