"""Unmixing: component spectra and abundances with their uncertainty."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from bayesspec.composition import KFactor
from bayesspec.errors import InputError
from bayesspec.posterior import Estimate, ratio_of
from bayesspec.results import Result
from bayesspec.spectrum_image import Acquisition, SpectrumImage
from bayesspec.windows import line_windows

STATISTICS = ("mean", "sd", "lower", "upper")


class Unmixing(Result):
    """Components of an image: spectra that sum to 1, abundances in counts, and joint draws of the spectra.

    Components are ordered by their total counts, the largest first.
    """

    kind = "unmixing"
    pictures = ("spectra_mean", "abundances_mean")

    @property
    def rank(self) -> int:
        """Number of components, int."""
        return int(self.data.sizes["component"])

    @property
    def spectra(self) -> xr.Dataset:
        """Spectra, each summing to 1: mean, sd, lower, upper, dims (component, energy), float32."""
        return self._statistics("spectra")

    @property
    def abundances(self) -> xr.Dataset:
        """Abundances in counts: mean, sd, lower, upper, dims (y, x, component), float32."""
        return self._statistics("abundances")

    def _statistics(self, name: str) -> xr.Dataset:
        table = self.data[[f"{name}_{s}" for s in STATISTICS]].rename({f"{name}_{s}": s for s in STATISTICS})
        attrs = {key: self.data.attrs[key] for key in ("prob", "interval") if key in self.data.attrs}
        return table.assign_attrs(attrs)

    def spectra_draws(self, n: int | None = None) -> xr.DataArray:
        """Joint posterior draws of all spectra.

        Parameters
        ----------
        n : int or None
            Number of draws, evenly spaced among those kept; ``None`` for all.

        Returns
        -------
        xarray.DataArray, dims (draw, component, energy), float32
            Each spectrum sums to 1.

        Raises
        ------
        InputError
            When more draws are asked for than were kept.
        """
        draws = self.data["spectra_draws"]
        kept = draws.sizes["draw"]
        if n is None:
            return draws
        if not 1 <= n <= kept:
            raise InputError(f"n={n} draws", f"1 to {kept}, the number kept", f"bs.unmix(..., draws={n})")
        return draws.isel(draw=np.linspace(0, kept - 1, n).astype(int))

    @property
    def fractions(self) -> Estimate:
        """Share of all counts in each component, dims (component,)."""
        totals = self.data["total_draws"]
        return Estimate(totals / totals.sum("component"), "fraction of counts")

    @property
    def sum_image(self) -> SpectrumImage:
        """The summed spectrum as a 1 x 1 image, with the image's detector and elements."""
        attrs = self.data.attrs
        return SpectrumImage(
            self.data["sum_spectrum"].values,
            energy=self.data["energy"].values,
            energy_unit=attrs["energy_unit"],
            elements=tuple(json.loads(attrs["elements"])),
            acquisition=Acquisition(**json.loads(attrs["acquisition"])),
            name=self.name,
        )

    def intensities(self, lines: Sequence[str]) -> xr.DataArray:
        """Line intensities of every component, background and overlapping lines accounted for.

        Parameters
        ----------
        lines : sequence of str
            Names of lines, such as ``["Fe_Ka", "Pt_La"]``.

        Returns
        -------
        xarray.DataArray, dims (draw, component, line), float64
            Joint draws, as shares of a component's counts.

        Raises
        ------
        InputError
            When a line is not known, outside the axis, or cannot be told from another.
        """
        windows = line_windows(self.sum_image, lines)
        sums = np.asarray(windows.sums(self.data["spectra_draws"].values, np.float64))
        coords = {"component": self.data["component"], "line": list(lines)}
        return xr.DataArray(sums @ windows.response.T, dims=("draw", "component", "line"), coords=coords)

    def ratio(self, numerator: str, denominator: str) -> Estimate:
        """Ratio of two lines in every component.

        Parameters
        ----------
        numerator, denominator : str
            Names of lines, such as ``"Fe_Ka"`` and ``"Pt_La"``.

        Returns
        -------
        Estimate, dims (component,)
            Ratio of the line intensities; infinite draws where the denominator is not detected.

        Raises
        ------
        InputError
            When a line cannot be measured.
        """
        found = self.intensities([numerator, denominator])
        return ratio_of(
            found.sel(line=numerator, drop=True),
            found.sel(line=denominator, drop=True),
            f"{numerator}/{denominator}",
        )

    def composition(self, k_factors: Mapping[str, KFactor], *, seed: int = 0) -> dict[str, Estimate]:
        """Composition of every component by Cliff and Lorimer's method.

        Parameters
        ----------
        k_factors : mapping of str to float or (float, float)
            Weight-based k-factor of each line, or k-factor and its standard deviation.
        seed : int
            Seed of the draws of uncertain k-factors.

        Returns
        -------
        dict of str to Estimate, dims (component, element)
            ``"weight_percent"`` and ``"atomic_percent"``.

        Raises
        ------
        InputError
            When a line cannot be measured or its k-factor is not positive.
        """
        return self._composition(self.intensities(list(k_factors)), k_factors, seed)

    def __repr__(self) -> str:
        return f"<Unmixing {self.name!r} by {self.method}: {self.rank} components; {self.verdict}>"
