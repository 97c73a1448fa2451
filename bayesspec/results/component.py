"""One component of a fit: its spectrum with draws, as knowledge for the fit of another sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.saved import Saved
from bayesspec.image.rebinning import channel_borders

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Component(Saved):
    """Spectrum of one component.

    Parameters
    ----------
    draws : xarray.DataArray, dims (draw, energy), float32
        Posterior draws of the spectrum, each summing to 1.
    name : str
        Where it comes from.
    """

    draws: xr.DataArray
    name: str

    @property
    def mean(self) -> xr.DataArray:
        """Mean spectrum, dims (energy,), float64."""
        return self.draws.mean("draw", dtype=np.float64)

    @property
    def sd(self) -> xr.DataArray:
        """Standard deviation of the spectrum, dims (energy,), float64."""
        return self.draws.std("draw", ddof=1, dtype=np.float64)

    @property
    def counts(self) -> float:
        """Number of counts of the component alone that would tell its spectrum as well as the draws do, float.

        Notes
        -----
        Draws of a Dirichlet distribution with N counts have variances h (1 - h) / (N + 1); added over the channels.
        """
        mean = self.mean.values
        spread = float(self.draws.var("draw", ddof=1, dtype=np.float64).sum())
        return max(float((mean * (1.0 - mean)).sum()) / max(spread, 1e-300) - 1.0, 0.0)

    def on(self, energy: npt.NDArray[np.floating]) -> Array:
        """Mean spectrum on another axis, its shares of wide channels divided or of narrow ones added.

        Parameters
        ----------
        energy : array, shape (energy,)
            Centres of the channels, in the unit of the component's own.

        Returns
        -------
        array, shape (energy,), float64
            Share per channel, summing to 1.

        Raises
        ------
        InputError
            When the axis does not lie inside the component's own, up to a channel.
        """
        own, target = (channel_borders(np.asarray(axis, np.float64)) for axis in (self.draws["energy"].values, energy))
        width = own[1] - own[0]
        if target[0] < own[0] - width or target[-1] > own[-1] + width:
            raise InputError(
                f"energies {target[0]:.4g}..{target[-1]:.4g} and a prior component on {own[0]:.4g}..{own[-1]:.4g}",
                "an axis that the component covers",
                f"si.crop(energy=({own[0]:.4g}, {own[-1]:.4g}))",
            )
        cumulative = np.concatenate([[0.0], np.cumsum(self.mean.values)])
        share = np.diff(np.interp(target, own, cumulative))
        return np.asarray(share / share.sum(), np.float64)

    def __repr__(self) -> str:
        return f"<Component {self.name}: as well known as from {self.counts:,.0f} counts>"
