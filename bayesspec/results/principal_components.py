"""Principal components of an image: components, score maps and denoised rates, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.pca.denoised_rates import log_normal_rates, positive_rates, products_with_errors
from bayesspec.results.dataset import Frame, summed_image
from bayesspec.results.drawing import Drawing
from bayesspec.results.estimate import check_prob
from bayesspec.results.prediction import MOST_LEVERAGE, Prediction, prediction, rate_floor, row_blocks
from bayesspec.results.result import Result
from bayesspec.results.schema import IMAGE, INTERVAL, Schema, Variable, statistics
from bayesspec.results.table import Table
from bayesspec.results.unmixing import spanned_angle


class PrincipalComponents(Result):
    """Orthonormal components, scores of every pixel, and the rates that they make together.

    With the log link the logarithm of a rate is ``mean_log`` plus scores times components; with the linear link the
    rate is scores times components, and the first component is the mean. Components have signs and no meaning of their
    own: their span has, and the denoised rates have.
    """

    kind = "principal components"
    part = "component"
    heading = "Components"
    pictures = ("components_mean", "scores_mean")
    schema = Schema(
        {
            **statistics("components", ("component", "energy"), "orthonormal components"),
            **statistics("mean_log", ("energy",), "mean of the log rates; NaN with the linear link", "log counts"),
            **statistics("scores", ("y", "x", "component"), "scores", "counts or log counts"),
            "components_draws": Variable(("draw", "component", "energy"), "joint draws", dtype=np.float32),
            "channel_covariance": Variable(
                ("energy", "term", "other_term"),
                "covariance of the components in a channel, with the log link the mean before them",
                dtype=np.float32,
            ),
            "score_covariance": Variable(
                ("y", "x", "component", "other_component"), "covariance of the scores of a pixel", "scores squared"
            ),
            "reliability": Variable(("component",), "share of the variance of the scores that is not noise", low=0.0),
            "sum_spectrum": Variable(("energy",), "counts summed over the image", "counts", low=0),
        },
        coords=("y", "x", "energy", "component"),
        attributes={"link": "log or linear", **INTERVAL, **IMAGE},
    )

    @property
    def rank(self) -> int:
        """Number of components, int; with the log link beside the mean."""
        return self.number

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
        known = np.isfinite(part["scores_mean"].values).all(axis=2)
        use = np.isfinite(part["channel_covariance"].values).all(axis=(1, 2))
        dims, frame = ("y", "x", "energy"), Frame({}, known, use)
        rates = self._rates(part, known, use, prob)
        table = {name: (dims, frame.placed(values, dims), {"units": "counts"}) for name, values in rates.items()}
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

    def expected_counts(self, rows: slice = slice(None)) -> npt.NDArray[np.float64]:
        """Denoised rates.

        Parameters
        ----------
        rows : slice
            Rows of pixels.

        Returns
        -------
        array, shape (y, x, energy), float64
            Counts; NaN in excluded pixels and channels.
        """
        return np.asarray(self.denoise(y=rows)["mean"].values.astype(np.float64))

    def predictions(self, image: SpectrumImage | None) -> Iterator[Prediction]:
        """Counts and denoised rates, in blocks of pixels.

        Parameters
        ----------
        image : SpectrumImage or None
            The image that was decomposed.

        Yields
        ------
        Prediction
            A block of pixels; a rate has taken up its variance over that of its counts.

        Raises
        ------
        InputError
            When the image is missing or has another shape.
        """
        image = self.own_image(image)
        channels, floor = image.valid_channels, rate_floor(image)
        weights = np.abs(self.data["components_mean"].values[:, channels].astype(np.float64))
        shares = weights / np.maximum(weights.sum(axis=0), 1e-12)
        for rows in row_blocks(image.shape):
            found = self.denoise(y=rows)
            mean, sd = (found[name].values[:, :, channels] for name in ("mean", "sd"))
            known = image.valid[rows] & np.isfinite(mean).all(axis=2)
            rates = np.maximum(mean[known].astype(np.float64), floor)
            leverage = np.minimum(np.square(sd[known].astype(np.float64)) / rates, MOST_LEVERAGE)
            each = np.broadcast_to(shares, (len(rates), *shares.shape))
            yield prediction(image, rows, known, rates, leverage, each)

    def agreement(self, other: Result) -> float:
        """Mean angle between the spaces that the components of two results span.

        Parameters
        ----------
        other : Result
            A result with components or spectra on the same energy axis.

        Returns
        -------
        float
            Degrees.
        """
        theirs = other.comparable_spectra()
        if theirs is None and "components_mean" not in other.data:
            return super().agreement(other)
        theirs = other.data["components_mean"].values if theirs is None else theirs
        return spanned_angle(self.data["components_mean"].values, theirs)

    def facts(self, reference: str | None = None) -> list[str]:
        """How much of the scores is signal.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        list of str
            Sentences.
        """
        shares = 100 * self.reliability.values
        words = [f"{s:.0f} % of the variance of the scores of component {k} is signal." for k, s in enumerate(shares)]
        return super().facts(reference) + words

    def table(self, reference: str | None = None) -> Table:
        """Strength and reliability of every component.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        Table
            One row a component.
        """
        spread = np.sqrt(np.nanmean(np.square(self.data["scores_mean"].values), axis=(0, 1)))
        unit = str(self.data["scores_mean"].attrs["units"])
        columns = ("component", f"size of the scores ({unit})", "signal in the scores (%)")
        shares = 100 * self.reliability.values
        rows = tuple((str(k), f"{spread[k]:.3g}", f"{shares[k]:.1f}") for k in range(self.rank))
        note = (
            "Size: root mean square over the pixels. Signal: share of the variance of the scores that is not noise. "
            "Components have no meaning of their own: their span has, and the denoised rates have."
        )
        return Table("Principal components", columns, rows, note)

    def figures(self, reference: str | None = None) -> list[Drawing]:
        """Components with their scores, the summed spectrum, and the choice of the rank.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        list of Drawing
            In the order of a report.
        """
        caption = "Principal components with the band of their intervals, and their scores; signs are arbitrary."
        return [
            Drawing("principal_components", "principal_components", caption),
            Drawing("sum_spectrum", "sum_spectrum", "Spectrum summed over the image."),
            *super().figures(reference),
        ]

    def __repr__(self) -> str:
        return f"<PrincipalComponents {self.name!r} by {self.method}: {self.rank} components; {self.verdict}>"
