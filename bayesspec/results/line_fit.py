"""The result of a line fit: intensities, ratios and compositions with intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, line_name
from bayesspec.results.estimate import Estimate, ratio_of
from bayesspec.results.result import Result
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.thin_film import Film


class LineFit(Result):
    """Lines fitted to one spectrum: joint draws of the intensities, in counts, and the fitted curve."""

    kind = "line fit"
    pictures = ("rate",)
    in_counts = True

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines, tuple of str."""
        return tuple(str(line) for line in self.data["line"].values)

    @property
    def intensities(self) -> Estimate:
        """Counts in every line, dims (line,)."""
        return Estimate(self.data["intensity_draws"], "counts")

    @property
    def misfit(self) -> float:
        """Mean squared deviation from the fit over that of Poisson counts; well above 1 the line shapes are off."""
        return float(self.data.attrs["misfit"])

    def _draws(self, line: str) -> xr.DataArray:
        if line not in self.lines:
            raise InputError(f"the line {line!r}", f"one of {list(self.lines)}", f"fit.ratio({self.lines[0]!r}, ...)")
        return self.data["intensity_draws"].sel(line=line, drop=True)

    @checked_arguments()
    def ratio(self, numerator: str, denominator: str) -> Estimate:
        """Ratio of two lines.

        Parameters
        ----------
        numerator, denominator : str
            Names of fitted lines, such as ``"Fe_Ka"`` and ``"O_Ka"``.

        Returns
        -------
        Estimate, dims ()
            Ratio of the counts, overlap and background accounted for.

        Raises
        ------
        InputError
            When a line was not fitted.
        """
        return ratio_of(self._draws(numerator), self._draws(denominator), f"{numerator}/{denominator}")

    @checked_arguments(line=line_name)
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
        if not isinstance(standard, LineFit):
            raise InputError(f"a standard of type {type(standard).__name__}", "a LineFit", "bs.fit_lines(standard)")
        times = [json.loads(fit.data.attrs["acquisition"])["live_time_s"] for fit in (self, standard)]
        if None in times:
            raise InputError(f"live times {times} s", "both", "bs.load of files that hold it, or fit.ratio(...)")
        ours, theirs = self._draws(line), standard._draws(line)
        n = min(ours.sizes["draw"], theirs.sizes["draw"])
        shuffled = theirs.isel(draw=np.random.default_rng(n).permutation(theirs.sizes["draw"])[:n])
        return ratio_of(ours.isel(draw=slice(n)) / times[0], shuffled / times[1], f"k-ratio of {line}")

    @checked_arguments()
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

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.verdict}; {self.intensities}>"
