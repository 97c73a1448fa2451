"""The result of a line fit: intensities, ratios and compositions with intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.results.estimate import PROB, Estimate, ratio_of
from bayesspec.results.line_result import LineResult
from bayesspec.results.schema import Schema, Variable
from bayesspec.results.table import Table, cells
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.thin_film import Film


class LineFit(LineResult):
    """Lines fitted to one spectrum: joint draws of the intensities, in counts, and the fitted curve."""

    kind = "line fit"
    heading = "Lines"
    pictures = ("rate",)
    in_counts = True
    schema = Schema(
        {
            "intensity_draws": Variable(("draw", "line"), "joint draws of the counts in every line", "counts"),
            "other_draws": Variable(("draw", "other"), "joint draws of what is not named: tails, continuum", "counts"),
            "counts": Variable(("energy",), "counts of the spectrum", "counts", low=0),
            "rate": Variable(("energy",), "counts that the fit expects", "counts", low=0.0),
        },
        coords=("line", "energy"),
        attributes={
            "misfit": "mean squared deviation over that of Poisson counts",
            "acquisition": "beam and detector, as JSON",
        },
    )

    def intensities_of(self, lines: Sequence[str]) -> Estimate:
        """Counts in some lines.

        Parameters
        ----------
        lines : sequence of str
            Names of fitted lines, such as ``["Fe_Ka", "O_Ka"]``.

        Returns
        -------
        Estimate, dims (line,)
            Joint draws.

        Raises
        ------
        InputError
            When a line was not fitted.
        """
        return Estimate(self.data["intensity_draws"].sel(line=self.checked_lines(lines)), "counts")

    @property
    def total_counts(self) -> int:
        """Counts of the spectrum, in the channels that were fitted, int."""
        return int(self.data["counts"].sum())

    @property
    def misfit(self) -> float:
        """Mean squared deviation from the fit over that of Poisson counts; well above 1 the line shapes are off."""
        return float(self.data.attrs["misfit"])

    def _draws(self, line: str) -> xr.DataArray:
        return self.intensities_of([line]).draws.isel(line=0, drop=True)

    def k_ratio(self, line: str, standard: LineFit) -> Estimate:
        """Count rate of a line over that of a standard, at the same beam current.

        Parameters
        ----------
        line : str
            Name of a line that was fitted in both spectra.
        standard : LineFit
            Lines of the standard's spectrum.

        Returns
        -------
        Estimate, dims ()
            Ratio of the counts per second of live time.

        Raises
        ------
        InputError
            When the line was not fitted, or a live time is not known.
        """
        times = [json.loads(fit.data.attrs["acquisition"])["live_time_s"] for fit in (self, standard)]
        if None in times:
            raise InputError(f"live times {times} s", "both", "bs.load of files that hold it, or fit.ratio(...)")
        ours, theirs = self._draws(line), standard._draws(line)
        n = min(ours.sizes["draw"], theirs.sizes["draw"])
        shuffled = theirs.isel(draw=np.random.default_rng(n).permutation(theirs.sizes["draw"])[:n])
        return ratio_of(ours.isel(draw=slice(n)) / times[0], shuffled / times[1], f"k-ratio of {line}")

    def composition(
        self,
        k_factors: Mapping[str, KFactor],
        *,
        lines: Sequence[str] | None = None,
        film: Film | None = None,
        seed: int = 0,
    ) -> dict[str, Estimate]:
        """Composition by Cliff and Lorimer's method, or by zeta-factors where the film has a dose.

        Parameters
        ----------
        k_factors : mapping of str to float or (float, float)
            Weight-based k-factor of each line, or k-factor and its standard deviation.
        lines : sequence of str or None
            Lines that must have a k-factor; ``None`` quantifies those that have one.
        film : Film or None
            What corrects absorption or finds the thickness: ``bs.Film(mass_thickness=5e-4)``, or a dose, and then the
            factors are zeta-factors.
        seed : int
            Seed of the draws of uncertain k-factors.

        Returns
        -------
        dict of str to Estimate, dims (element,)
            ``"weight_percent"`` and ``"atomic_percent"``.

        Raises
        ------
        InputError
            When a line was not fitted, has no k-factor or one that is not positive, or the angle is not known.
        """
        missing = [line for line in lines or () if line not in k_factors]
        if missing:
            raise InputError(
                f"no k-factor of {', '.join(missing)}",
                "a weight-based k-factor for each of the lines",
                f"composition(k_factors={{..., {missing[0]!r}: 1.0}}), or lines=[...] without it",
            )
        return self._composition(self.data["intensity_draws"], k_factors, seed, film)

    def table(self, reference: str | None = None) -> Table:
        """Counts in every line, and their ratio to one.

        Parameters
        ----------
        reference : str or None
            Line below the ratios; ``None`` for the last one.

        Returns
        -------
        Table
            One row a line.

        Raises
        ------
        InputError
            When the reference was not fitted.
        """
        below = reference or self.lines[-1]
        interval = f"{100 * PROB:.0f} % interval"
        columns = ("line", "counts", interval, f"ratio to {below}", interval)
        rows = []
        for line, counts in zip(self.lines, cells(self.intensities), strict=True):
            ratio = cells(self.ratio(line, below))[0] if line != below else ("", "")
            rows.append((line, *counts, *ratio))
        return Table("Lines", columns, tuple(rows), self.note())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.verdict}; {self.intensities}>"
