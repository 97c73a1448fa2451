"""Unmixing: component spectra and abundances with their uncertainty."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayesspec.bands import BandedEstimate
from bayesspec.component import Component
from bayesspec.component_lines import ComponentLines
from bayesspec.errors import InputError
from bayesspec.posterior import Estimate
from bayesspec.results import STATISTICS


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
