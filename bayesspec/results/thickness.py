"""The thickness of a sample in units of the inelastic mean free path, pixel by pixel, as a result."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayesspec.results.dataset import Frame
from bayesspec.results.drawing import Drawing
from bayesspec.results.result import Result
from bayesspec.results.schema import Schema, Variable
from bayesspec.results.table import Table


class Thickness(Result):
    """Thickness over the inelastic mean free path in every pixel, with its standard deviation."""

    kind = "thickness"
    heading = "Thickness"
    pictures = ("t_over_lambda", "sd")
    schema = Schema(
        {
            "t_over_lambda": Variable(("y", "x"), "thickness over the inelastic mean free path"),
            "sd": Variable(("y", "x"), "its standard deviation", low=0.0),
        },
        coords=("y", "x"),
        attributes={"zero_loss_end_ev": "where the zero loss is taken to end, eV"},
    )

    @classmethod
    def of(cls, thickness: xr.Dataset) -> Thickness:
        """Take over what `thickness_map` returns.

        Parameters
        ----------
        thickness : xarray.Dataset, dims (y, x)
            ``t_over_lambda`` and ``sd``.

        Returns
        -------
        Thickness
            The result.
        """
        found = thickness["t_over_lambda"].values
        seen = found[np.isfinite(found)]
        low, middle, high = np.percentile(seen, (5, 50, 95)) if seen.size else (np.nan,) * 3
        spread = "" if found.size == 1 else f"; 90 % of the pixels lie between {low:.3g} and {high:.3g}"
        return cls.from_values(
            {name: thickness[name].values for name in ("t_over_lambda", "sd")},
            Frame({dim: thickness[dim] for dim in ("y", "x")}),
            name=str(thickness.attrs["name"]),
            method="zero-loss share",
            verdict=f"t/lambda {middle:.3g}{spread}",
            attrs={"zero_loss_end_ev": thickness.attrs["zero_loss_end_ev"]},
        )

    @property
    def uncertain(self) -> bool:
        """Whether the numbers come with an uncertainty, bool: a standard deviation in every pixel."""
        return True

    def table(self, reference: str | None = None) -> Table:
        """Thickness in words.

        Parameters
        ----------
        reference : str or None
            Of no effect.

        Returns
        -------
        Table
            One row.
        """
        sd = float(np.nanmedian(self.data["sd"].values))
        note = "Standard deviations are those of counting; the gain of a camera is not part of them."
        return Table(self.heading, ("thickness", "sd of a pixel"), ((self.verdict, f"{sd:.2g}"),), note)

    def figures(self, reference: str | None = None) -> list[Drawing]:
        """The map.

        Parameters
        ----------
        reference : str or None
            Of no effect.

        Returns
        -------
        list of Drawing
            One figure; none of a single spectrum.
        """
        if self.data["t_over_lambda"].size == 1:
            return []
        return [Drawing("thickness", "thickness", "Thickness over the inelastic mean free path, and its error.")]
