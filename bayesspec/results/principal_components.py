"""Principal components of an image: components, score maps and denoised rates, each with its uncertainty."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.pca.denoised_rates import log_normal_rates, positive_rates, products_with_errors
from bayesspec.results.dataset import summed_image
from bayesspec.results.estimate import check_prob
from bayesspec.results.result import Result


class PrincipalComponents(Result):
    """Orthonormal components, scores of every pixel, and the rates that they make together.

    With the log link the logarithm of a rate is ``mean_log`` plus scores times components; with the linear link the
    rate is scores times components, and the first component is the mean. Components have signs and no meaning of their
    own: their span has, and the denoised rates have.
    """

    kind = "principal components"
    pictures = ("components_mean", "scores_mean")

    @property
    def rank(self) -> int:
        """Number of components, int; with the log link beside the mean."""
        return int(self.data.sizes["component"])

    @property
    def link(self) -> str:
        """How components combine: ``"log"`` (factors) or ``"linear"`` (parts), str."""
        return str(self.data.attrs["link"])

    @property
    def components(self) -> xr.Dataset:
        """Components: mean, sd, lower, upper, dims (component, energy), float32."""
        return self._statistics("components")

    @property
    def scores(self) -> xr.Dataset:
        """Scores: mean, sd, lower, upper, dims (y, x, component), float32; NaN in excluded pixels."""
        return self._statistics("scores")

    @property
    def mean_log(self) -> xr.Dataset:
        """Mean of the log rates: mean, sd, lower, upper, dims (energy,), float32; NaN with the linear link."""
        return self._statistics("mean_log")

    @property
    def sum_image(self) -> SpectrumImage:
        """The summed spectrum as a 1 x 1 image, with the image's detector and elements."""
        return summed_image(self.data)

    @property
    def reliability(self) -> xr.DataArray:
        """Share of the variance of each score map that is not noise, dims (component,), between 0 and 1."""
        return self.data["reliability"]

    @property
    def denoised(self) -> xr.Dataset:
        """Denoised rates of the whole image, see `denoise`."""
        return self.denoise()

    @checked_arguments(y=slice, x=slice)
    def denoise(self, y: slice = slice(None), x: slice = slice(None), *, prob: float | None = None) -> xr.Dataset:
        """Expected counts of every pixel and channel under the low-rank model, with their errors.

        Parameters
        ----------
        y, x : slice
            Part of the image, in pixels.
        prob : float or None
            Probability of the intervals; ``None`` for that of the fit.

        Returns
        -------
        xarray.Dataset, dims (y, x, energy), float32
            ``mean``, ``sd``, ``lower`` and ``upper`` of the rates in counts; NaN in excluded pixels, and in excluded
            channels.

        Raises
        ------
        InputError
            When `prob` is not between 0 and 1, or `y` or `x` is no slice.
        """
        prob = float(self.data.attrs["prob"]) if prob is None else prob
        check_prob(prob)
        if not isinstance(y, slice) or not isinstance(x, slice):
            raise InputError(f"y={y!r}, x={x!r}", "slices of pixels", "fit.denoise(y=slice(0, 10))")
        part = self.data.isel(y=y, x=x)
        shape = (part.sizes["y"], part.sizes["x"], part.sizes["energy"])
        known = np.isfinite(part["scores_mean"].values).all(axis=2)
        use = np.isfinite(part["channel_covariance"].values).all(axis=(1, 2))
        rates = self._rates(part, known, use, prob)
        table = {}
        for name, values in rates.items():
            whole = np.full(shape, np.nan, np.float32)
            whole[np.ix_(*(np.arange(n) for n in shape[:2]), np.flatnonzero(use))] = _spread(values, known)
            table[name] = (("y", "x", "energy"), whole, {"units": "counts"})
        coords = {name: part.coords[name] for name in ("y", "x", "energy")}
        return xr.Dataset(table, coords=coords, attrs={"prob": prob, "interval": "equal-tailed"})

    def _rates(
        self, part: xr.Dataset, known: npt.NDArray[np.bool_], use: npt.NDArray[np.bool_], prob: float
    ) -> dict[str, npt.NDArray[np.float32]]:
        scores = part["scores_mean"].values[known]
        spread = part["score_covariance"].values[known]
        loadings = part["components_mean"].values[:, use]
        covariance = part["channel_covariance"].values[use]
        if self.link == "linear":
            return positive_rates(*products_with_errors(scores, spread, loadings, covariance), prob)
        scores = np.concatenate([np.ones((len(scores), 1)), scores], axis=1)
        wide = np.zeros((len(spread), self.rank + 1, self.rank + 1))
        wide[:, 1:, 1:] = spread
        loadings = np.concatenate([part["mean_log_mean"].values[None, use], loadings])
        return log_normal_rates(*products_with_errors(scores, wide, loadings, covariance), prob)

    def __repr__(self) -> str:
        return f"<PrincipalComponents {self.name!r} by {self.method}: {self.rank} components; {self.verdict}>"


def _spread(values: npt.NDArray[np.float32], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Values of the pixels in their places; NaN elsewhere."""
    whole = np.full((*known.shape, values.shape[1]), np.nan, np.float32)
    whole[known] = values
    return whole
