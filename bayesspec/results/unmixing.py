"""Unmixing: component spectra and abundances with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, integer, line_names
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.results.component import Component
from bayesspec.results.dataset import summed_image
from bayesspec.results.estimate import BandedEstimate, Estimate, ratio_of
from bayesspec.results.result import STATISTICS, Result
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.thin_film import Film
from bayesspec.spectroscopy.windows import drawn_intensities, line_windows

FEWEST_EFFECTIVE = 20.0
"""Effective draws of a component below which no interval of it is told."""

# Lines of components: intensities, ratios and compositions with intervals, or bands where these are not known


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

    @checked_arguments(lines=line_names)
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

    @checked_arguments()
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

    @checked_arguments()
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

    @checked_arguments()
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


class Unmixing(ComponentLines):
    """Components of an image: spectra that sum to 1, abundances in counts, and joint draws of the spectra.

    Components are ordered by their total counts, the largest first.
    """

    kind = "unmixing"
    pictures = ("spectra_mean", "abundances_mean")

    @property
    def spectra(self) -> xr.Dataset:
        """Spectra, each summing to 1: mean, sd, lower, upper, dims (component, energy), float32."""
        return self._statistics("spectra")

    @property
    def abundances(self) -> xr.Dataset:
        """Abundances in counts: mean, sd, lower, upper, dims (y, x, component), float32.

        Where neighbours were used the mean is smoothed over them, the sd is that of the pixel alone, and so is the
        interval, widened where the mean is outside.
        """
        return self._statistics("abundances")

    @checked_arguments(n=integer("n", 1))
    def spectra_draws(self, n: int | None = None) -> xr.DataArray:
        """Joint posterior draws of all spectra.

        Where a component is not identified they spread around one of the factorisations that fit as well, beside a
        background too little: what is computed from them covers no others. ``identifiability`` and `ratio` do.

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
        """Share of all counts in each component, dims (component,); a range where it is not identified."""
        totals = self.data["total_draws"]
        everything = totals.sum("component")
        if "background_total_draws" in self.data:
            everything = everything + self.data["background_total_draws"].sum("background")
        shares = totals / everything
        feasible = self.data.get("feasible_fractions")
        return self._banded(shares, "fraction of counts", None if feasible is None else feasible.clip(0.0, 1.0))

    @checked_arguments()
    def component(self, number: int) -> Component:
        """One component, to be handed to the fit of another sample.

        Parameters
        ----------
        number : int
            Which one, from 0.

        Returns
        -------
        Component
            Its spectrum with draws; ``bs.unmix(other, rank=3, prior_from=fit.component(0))``.

        Raises
        ------
        InputError
            When there is no such component, or the method gives no draws.
        """
        draws = self.data["spectra_draws"]
        if not 0 <= number < self.rank or draws.sizes["draw"] < 2:
            raise InputError(
                f"component {number} of {self.rank}, {draws.sizes['draw']} draws",
                f"a number from 0 to {self.rank - 1}, of a fit with draws",
                "bs.unmix(si, 2).component(0)",
            )
        return Component(draws.isel(component=number, drop=True), f"{number} of {self.name!r}")

    @property
    def background(self) -> xr.Dataset:
        """Background apart from the components.

        ``mean``, ``sd``, ``lower``, ``upper``: its counts in every pixel, dims (y, x); ``spectrum``: its sum over the
        image in counts, dims (energy,); ``shapes``, dims (background, energy), and ``totals``, the counts of each
        shape, dims (background,).

        Raises
        ------
        InputError
            When the fit had no background term.
        """
        if "background_shapes" not in self.data:
            raise InputError("a fit without a background term", "one with", "bs.unmix(si, 4, background='power_law')")
        totals = self.data["background_total_draws"].mean("draw")
        shapes = self.data["background_shapes"]
        table = {name: self.data[f"background_{name}"] for name in STATISTICS}
        table |= {"spectrum": (totals * shapes).sum("background"), "shapes": shapes, "totals": totals}
        attrs = {key: self.data.attrs[key] for key in ("prob", "interval") if key in self.data.attrs}
        return xr.Dataset(table, attrs=attrs)

    @property
    def identifiability(self) -> xr.Dataset:
        """What the counts alone determine of every component.

        ``fraction``, ``lower``, ``upper``: the component's share of the counts and the feasible band of it, over all
        factorisations that fit as well; ``effective_draws``; ``identified``, whether the interval of the share is
        made by the counts and not by the prior; ``stability``, the mean cosine of the spectrum with its partner in fits
        from other starts; dims (component,). ``spectra_lower``, ``spectra_upper``: the band of
        every entry of the spectra, widened by its noise, dims (component, energy).

        Raises
        ------
        InputError
            When the method has none.
        """
        if "feasible_transforms" not in self.data:
            raise InputError(f"a result by {self.method}", "a result of bs.unmix(si, model='nmf')", "bs.unmix(si, 4)")
        share, bands = self.fractions, self.data["feasible_fractions"]
        low, high = (self.data[f"feasible_spectra_{end}"] for end in ("lower", "upper"))
        table = {
            "fraction": share.mean,
            "lower": bands.min("transform").clip(0.0, 1.0),
            "upper": bands.max("transform").clip(0.0, 1.0),
            "effective_draws": self.data["effective_draws"],
            "identified": share.identified if isinstance(share, BandedEstimate) else xr.zeros_like(share.mean, bool),
            "spectra_lower": low,
            "spectra_upper": high,
        }
        if "stability" in self.data:
            table["stability"] = self.data["stability"]
        return xr.Dataset(table, attrs={"band": "all factorisations that fit as well, within the noise"})

    def __repr__(self) -> str:
        return f"<Unmixing {self.name!r} by {self.method}: {self.rank} components; {self.verdict}>"
