"""Lines of components: intensities, ratios and compositions with intervals, or bands where these are not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from bayesspec.bands import BandedEstimate
from bayesspec.composition import KFactor
from bayesspec.errors import InputError
from bayesspec.posterior import Estimate, ratio_of
from bayesspec.result_labels import summed_image
from bayesspec.results import Result
from bayesspec.spectrum_image import SpectrumImage
from bayesspec.thin_film import Film
from bayesspec.windows import drawn_intensities, line_windows

FEWEST_EFFECTIVE = 20.0
"""Effective draws of a component below which no interval of it is told."""


class ComponentLines(Result):
    """A result with spectra of components, whose lines can be measured."""

    @property
    def rank(self) -> int:
        """Number of components, int."""
        return int(self.data.sizes["component"])

    def _banded(self, draws: xr.DataArray, name: str, feasible: xr.DataArray | None) -> Estimate:
        """Estimate with the range of the same quantity over all feasible factorisations."""
        if feasible is None or draws.sizes["draw"] < 2:
            return Estimate(draws, name)
        reliable = self.data["effective_draws"] >= FEWEST_EFFECTIVE
        low, high = feasible.min("transform", skipna=False), feasible.max("transform", skipna=False)
        shaped = reliable & xr.ones_like(low, bool)
        return BandedEstimate(draws, name, low, high, shaped)

    @property
    def _feasible_spectra(self) -> xr.DataArray | None:
        """Spectra of the factorisations at the limits of what is feasible, dims (transform, component, energy)."""
        if "feasible_transforms" not in self.data:
            return None
        transforms = self.data["feasible_transforms"].values[:, : self.rank]
        parts = self.data["spectra_mean"].values.astype(np.float64)
        if "background_shapes" in self.data:
            parts = np.concatenate([parts, self.data["background_shapes"].values])
        return xr.DataArray(transforms @ parts, dims=("transform", "component", "energy"))

    @property
    def sum_image(self) -> SpectrumImage:
        """The summed spectrum as a 1 x 1 image, with the image's detector and elements."""
        return summed_image(self.data)

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
        return self._intensities(self.data["spectra_draws"], lines, drawn=True)

    def _intensities(self, spectra: xr.DataArray, lines: Sequence[str], *, drawn: bool = False) -> xr.DataArray:
        """Intensities; those of draws scatter by what is not known of the background's shape as well."""
        windows = line_windows(self.sum_image, lines)
        sums = np.asarray(windows.sums(spectra.values, np.float64))
        errors = windows.errors if drawn and len(sums) > 1 else windows.errors[:0]
        coords = {"component": self.data["component"], "line": list(lines)}
        intensities = drawn_intensities(sums, windows.response, errors, 0)
        return xr.DataArray(intensities, dims=(spectra.dims[0], "component", "line"), coords=coords)

    def _feasible_intensities(self, lines: Sequence[str]) -> xr.DataArray | None:
        spectra = self._feasible_spectra
        return None if spectra is None else self._intensities(spectra, lines)

    def ratio(self, numerator: str, denominator: str) -> Estimate:
        """Ratio of two lines in every component.

        Parameters
        ----------
        numerator, denominator : str
            Names of lines, such as ``"Fe_Ka"`` and ``"Pt_La"``.

        Returns
        -------
        Estimate, dims (component,)
            Ratio of the line intensities; infinite draws where the denominator is not detected; its interval is
            the feasible band where the counts alone do not determine it.

        Raises
        ------
        InputError
            When a line cannot be measured.
        """
        name = f"{numerator}/{denominator}"
        draws = _ratio(self.intensities([numerator, denominator]), name)
        feasible = self._feasible_intensities([numerator, denominator])
        if feasible is None:
            return draws
        limits = _ratio(feasible.rename(transform="draw"), name).draws.rename(draw="transform")
        return self._banded(draws.draws, name, limits)

    def band(self, numerator: str, denominator: str) -> xr.Dataset:
        """Range of the ratio of two lines over all factorisations that fit as well.

        Parameters
        ----------
        numerator, denominator : str
            Names of lines, such as ``"Fe_Ka"`` and ``"Pt_La"``.

        Returns
        -------
        xarray.Dataset, dims (component,)
            ``lower``, ``upper``: the feasible band; ``identified``: whether the counts determine the ratio to its
            interval.

        Raises
        ------
        InputError
            When a line cannot be measured, or the method knows no band.
        """
        found = self.ratio(numerator, denominator)
        if not isinstance(found, BandedEstimate):
            raise InputError(f"a result by {self.method}", "a result of bs.unmix(si, model='nmf')", "bs.unmix(si, 4)")
        table = {"lower": found.lower, "upper": found.upper, "identified": found.identified}
        return xr.Dataset(table, attrs={"name": found.name})

    def composition(
        self, k_factors: Mapping[str, KFactor], *, film: Film | None = None, seed: int = 0
    ) -> dict[str, Estimate]:
        """Composition of every component by Cliff and Lorimer's method.

        Parameters
        ----------
        k_factors : mapping of str to float or (float, float)
            Weight-based k-factor of each line, or k-factor and its standard deviation.
        film : Film or None
            What corrects absorption or finds the thickness: ``bs.Film(mass_thickness=5e-4)``, or a dose, and then the
            factors are zeta-factors.
        seed : int
            Seed of the draws of uncertain k-factors.

        Returns
        -------
        dict of str to Estimate, dims (component, element)
            ``"weight_percent"`` and ``"atomic_percent"``; ranges where the counts alone do not determine them.

        Raises
        ------
        InputError
            When a line cannot be measured or its k-factor is not positive.
        """
        found = self._composition(self.intensities(list(k_factors)), k_factors, seed, film)
        feasible = self._feasible_intensities(list(k_factors))
        if feasible is None:
            return found
        exact = {line: k[0] if isinstance(k, tuple) else k for line, k in k_factors.items()}
        limits = self._composition(feasible.clip(0.0).rename(transform="draw"), exact, seed, film and film.exact())
        return {
            name: self._banded(estimate.draws, name, limits[name].draws.rename(draw="transform"))
            for name, estimate in found.items()
        }


def _ratio(intensities: xr.DataArray, name: str) -> Estimate:
    numerator, denominator = (intensities.isel(line=i, drop=True) for i in (0, 1))
    return ratio_of(numerator, denominator, name)
