"""Unmixing: component spectra and abundances with their uncertainty."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.linalg import subspace_angles

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, integer, line_names, numbers_as_they_are, text
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.nmf.posterior import combinations
from bayesspec.inference.nmf.settings import SETTINGS
from bayesspec.inference.status import Status
from bayesspec.labels import match_components, spectral_angle
from bayesspec.results.component import Component
from bayesspec.results.dataset import Frame, image_attributes, summed_image
from bayesspec.results.drawing import Drawing
from bayesspec.results.estimate import PROB, BandedEstimate, Estimate, line_ratio
from bayesspec.results.line_result import LineResult
from bayesspec.results.prediction import MOST_LEVERAGE, Prediction, prediction, rate_floor, row_blocks
from bayesspec.results.result import Result, simulated_image
from bayesspec.results.schema import IMAGE, INTERVAL, STATISTICS, Schema, Values, Variable, statistics
from bayesspec.results.table import Table, cells
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.line_maps import default_lines
from bayesspec.spectroscopy.thin_film import Film
from bayesspec.spectroscopy.windows import drawn_intensities, line_windows

FROM_DRAWS = "bs.Unmixing.from_draws(image, spectra_draws, abundances, method='mine')"
SUM_TOLERANCE = 1e-3
"""Distance of the sum of a spectrum from 1 from which on its abundances are not counts."""
SHARE = "share of the component's counts per channel"
WINDOW_ERROR = 0.01
"""Relative error of ratios that windows measure, since lines are not quite as wide and as divided as tables say.
Coverage where the detector is sharper at O_Ka than its resolution at Mn_Ka says and minor lines are missing: ``python
benchmarks/identifiability.py --case minerals --counts 20000``."""

# Lines of components: intensities, ratios and compositions with intervals, or bands where these are not known


class ComponentLines(LineResult):
    """A result with spectra of components, whose lines can be measured."""

    part = "component"
    heading = "Components"

    @property
    def rank(self) -> int:
        """Number of components, int."""
        return self.number

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines of `intensities`, tuple of str: the highest recorded alpha line of every element."""
        return tuple(default_lines(self.sum_image))

    def _banded(
        self,
        draws: xr.DataArray,
        name: str,
        feasible: xr.DataArray | None,
        held: xr.DataArray | None = None,
        error: float = WINDOW_ERROR,
    ) -> Estimate:
        """Estimate with its range over all feasible factorisations.

        The noise of its ends is that of `held`, the draws in one of them, and a relative error.
        """
        if feasible is None or draws.sizes["draw"] < 2:
            return self.own(Estimate(draws, name, positive=True))
        settled = self.data.get("interval_error", xr.full_like(self.data["component"], np.inf, float))
        reliable = settled <= SETTINGS.largest_error
        low, high = feasible.min("transform", skipna=False), feasible.max("transform", skipna=False)
        shaped = reliable & xr.ones_like(low, bool)
        noise = None if held is None else self._noise(draws, held, error)
        return self.own(BandedEstimate(draws, name, low, high, shaped, noise, positive=True))

    @staticmethod
    def _noise(draws: xr.DataArray, held: xr.DataArray, error: float) -> xr.DataArray:
        """Standard deviation of one factorisation with a relative error; what is infinite adds nothing."""
        parts = Estimate(held, "noise").sd, error * abs(draws.mean("draw"))
        squares = [part.where(np.isfinite(part), 0.0) ** 2 for part in parts]
        return (squares[0] + squares[1]) ** 0.5

    @property
    def _feasible_spectra(self) -> xr.DataArray | None:
        """Spectra of the factorisations at the limits of what is feasible, dims (transform, component, energy)."""
        if "feasible_transforms" not in self.data:
            return None
        transforms = self.data["feasible_transforms"].values[:, : self.rank]
        return xr.DataArray(transforms @ self._feasible_parts, dims=("transform", "component", "energy"))

    @property
    def _feasible_parts(self) -> npt.NDArray[np.float64]:
        """Spectra that the feasible transforms act on, shapes of the background last, (part, energy)."""
        parts = self.data["spectra_mean"].values.astype(np.float64)
        shapes = self.data["background_shapes"].values if "background_shapes" in self.data else parts[:0]
        return np.concatenate([parts, shapes])

    def _mixing(self) -> npt.NDArray[np.float64]:
        """How each drawn spectrum is combined of those that fit, by least squares, (draw, component, part)."""
        return combinations(self.data["spectra_draws"].values, self._feasible_parts)

    def _held_lines(self, lines: Sequence[str]) -> xr.DataArray | None:
        """Joint draws of line intensities in one and the same factorisation: what noise alone leaves open."""
        if "feasible_transforms" not in self.data or self.data.sizes["draw"] < 2:
            return None
        draws, parts = self.data["spectra_draws"], self._feasible_parts
        held = parts[: self.rank] + draws.values - self._mixing() @ parts
        return self._intensities(draws.copy(data=held), lines, drawn=True)

    @property
    def sum_image(self) -> SpectrumImage:
        """The summed spectrum as a 1 x 1 image, with the image's detector and elements."""
        return summed_image(self.data)

    @checked_arguments(lines=line_names)
    def intensities_of(self, lines: Sequence[str]) -> Estimate:
        """Intensities of some lines in every component, background and overlapping lines accounted for.

        Parameters
        ----------
        lines : sequence of str
            Names of lines, such as ``["Fe_Ka", "Pt_La"]``, whether or not the image names their elements.

        Returns
        -------
        Estimate, dims (component, line)
            Joint draws, as shares of a component's counts; its interval is the feasible band where the counts alone do
            not determine it.

        Raises
        ------
        InputError
            When a line is not known, outside the axis, or cannot be told from another.
        """
        feasible, held = self._feasible_intensities(lines), self._held_lines(lines)
        return self._banded(self._line_draws(lines), "share of a component's counts", feasible, held)

    def _line_draws(self, lines: Sequence[str]) -> xr.DataArray:
        """Joint draws of line intensities, dims (draw, component, line)."""
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
        draws = line_ratio(self._line_draws([numerator, denominator]), name)
        feasible = self._feasible_intensities([numerator, denominator])
        if feasible is None:
            return draws
        limits = line_ratio(feasible.rename(transform="draw"), name).draws.rename(draw="transform")
        held = self._held_lines([numerator, denominator])
        return self._banded(draws.draws, name, limits, None if held is None else line_ratio(held, name).draws)

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
        found = self._composition(self._line_draws(list(k_factors)), k_factors, seed, film)
        feasible = self._feasible_intensities(list(k_factors))
        if feasible is None:
            return found
        exact = {line: k[0] if isinstance(k, tuple) else k for line, k in k_factors.items()}
        limits = self._composition(feasible.clip(0.0).rename(transform="draw"), exact, seed, film and film.exact())
        lines = self._held_lines(list(k_factors))
        held = None if lines is None else self._composition(lines, k_factors, seed, film)
        return {
            name: self._banded(
                estimate.draws,
                name,
                limits[name].draws.rename(draw="transform"),
                None if held is None else held[name].draws,
            )
            for name, estimate in found.items()
        }


class Unmixing(ComponentLines):
    """Components of an image: spectra that sum to 1, abundances in counts, and joint draws of the spectra.

    Components are ordered by their total counts, the largest first.
    """

    kind = "unmixing"
    pictures = ("spectra_mean", "abundances_mean")
    schema = Schema(
        {
            **statistics("spectra", ("component", "energy"), "spectra, each summing to 1", SHARE, outside=0.0),
            **statistics("abundances", ("y", "x", "component"), "abundances", "counts"),
            "spectra_draws": Variable(
                ("draw", "component", "energy"), "joint draws of the spectra", SHARE, dtype=np.float32, outside=0.0
            ),
            "total_draws": Variable(("draw", "component"), "joint draws of a component's counts", "counts"),
            "sum_spectrum": Variable(("energy",), "counts summed over the image", "counts", low=0),
            "effective_draws": Variable(
                ("component",), "independent draws that the draws are worth", needed=False, low=0.0
            ),
            "interval_error": Variable(
                ("component",),
                "Monte Carlo error of the ends of intervals, the largest, as a part of their width",
                needed=False,
                low=0.0,
            ),
            "stability": Variable(
                ("component",), "mean cosine with the same component in fits from other starts", needed=False
            ),
            "singular_values": Variable(("component",), "singular values, noise = 1", needed=False, low=0.0),
            **statistics("background", ("y", "x"), "counts of the background", "counts", needed=False),
            "background_shapes": Variable(
                ("background", "energy"),
                "shapes of the background, each summing to 1",
                "share per channel",
                needed=False,
            ),
            "background_total_draws": Variable(
                ("draw", "background"), "joint draws of the counts of each shape", "counts", needed=False
            ),
            "feasible_transforms": Variable(
                ("transform", "part", "from_part"),
                "factorisations at the limits of what fits as well: each spectrum (and shape of the background) as a "
                "combination of those found",
                needed=False,
            ),
            "feasible_fractions": Variable(
                ("transform", "component"), "share of all counts in each component, in these", needed=False
            ),
            "narrowed_widths": Variable(
                ("knowledge", "component"),
                "width of the band of the share of all counts in each component, were this known",
                needed=False,
                low=0.0,
            ),
            "feasible_spectra_lower": Variable(
                ("component", "energy"), "band of the spectra over these, its noise included", SHARE, needed=False
            ),
            "feasible_spectra_upper": Variable(("component", "energy"), "upper end of the band", SHARE, needed=False),
        },
        coords=("y", "x", "energy", "component"),
        attributes={**INTERVAL, **IMAGE},
    )

    @classmethod
    @checked_arguments(
        spectra_draws=numbers_as_they_are("spectra_draws", FROM_DRAWS),
        abundances=numbers_as_they_are("abundances", FROM_DRAWS, named=True),
        total_draws=numbers_as_they_are("total_draws", FROM_DRAWS),
        method=text("method", FROM_DRAWS),
    )
    def from_draws(
        cls,
        image: SpectrumImage,
        spectra_draws: npt.ArrayLike,
        abundances: npt.ArrayLike | Mapping[str, npt.ArrayLike],
        *,
        method: str,
        total_draws: npt.ArrayLike | None = None,
        status: Status | str = Status.CONVERGED,
        converged: bool | None = None,
        verdict: str | None = None,
        prob: float = PROB,
        interval: str = "equal-tailed",
        selection: xr.Dataset | None = None,
        settings: Mapping[str, Any] | None = None,
        variables: Mapping[str, Values] | None = None,
        coords: Mapping[str, Any] | None = None,
        elements: Sequence[str] | None = None,
    ) -> Self:
        """Make an unmixing of what any method finds, with everything that goes with it.

        Parameters
        ----------
        image : SpectrumImage
            The image that was unmixed.
        spectra_draws : array, shape (draw, component, energy) or (draw, component, channel), float
            Joint draws of the spectra, on the whole energy axis or on the channels that are not excluded; absolute
            values sum to 1. Without the first dim a point estimate.
        abundances : array, or mapping of str to array
            Abundances in counts, of all pixels (y, x, component) or of those that are not excluded (pixel, component).
            Draws of them, with a first dim as long as that of the spectra's; or ``mean``, ``sd``, ``lower`` and
            ``upper``; or, with a point estimate, the values alone.
        method : str
            What the method is called in tables and figures.
        total_draws : array, shape (draw, component), float64, or None
            Joint draws of the counts of each component in the image; ``None`` for the sums of `abundances`. Needed with
            draws of the spectra where `abundances` are none.
        status : Status or str
            How the fit ended: an outcome such as ``bs.Status.CONVERGED``, or a sentence.
        converged : bool or None
            Whether it ended as it should; needed beside a sentence.
        verdict : str or None
            What was found, in words; ``None`` for the number of components.
        prob : float
            Probability of the intervals.
        interval : str
            Kind of the intervals.
        selection : xarray.Dataset or None
            Scores of the ranks that were tried, dims (candidate,): ``score``, ``error``, ``verdict``.
        settings : mapping or None
            Seed, priors and options, for the provenance.
        variables : mapping of str to array, or None
            Further variables of ``Unmixing.schema``, or others in place of those that are computed here.
        coords : mapping or None
            Coordinates of their dims.
        elements : sequence of str or None
            Elements of the components; ``None`` for those of the image.

        Returns
        -------
        Unmixing
            Components in the order given; put the largest first.

        Raises
        ------
        InputError
            When shapes do not fit, spectra do not sum to 1, or the draws of the totals are missing.

        Examples
        --------
        >>> import bayesspec as bs
        >>> image = bs.simulate.particles(400, (12, 12), seed=0).rebin(energy=8)
        >>> rng = np.random.default_rng(0)
        >>> counts = image.counts.reshape(144, -1)
        >>> spectra = rng.dirichlet(counts.sum(axis=0) + 0.5, size=(50, 1))
        >>> abundances = rng.gamma(counts.sum(axis=1) + 0.5, size=(50, 144))[..., None]
        >>> fit = bs.Unmixing.from_draws(image, spectra, abundances, method="one component")
        >>> fit.rank, round(float(fit.fractions.mean[0]))
        (1, 1)
        """
        draws = np.asarray(spectra_draws)
        draws = draws if draws.ndim == 3 else draws[None]
        if draws.ndim != 3:
            raise InputError(f"spectra_draws of shape {draws.shape[1:]}", "(draw, component, energy)", FROM_DRAWS)
        frame = Frame.of(image).with_coords(component=np.arange(draws.shape[1]), **(coords or {}))
        draws = frame.placed(draws, ("draw", "component", "energy"), 0.0)
        _check_spectra(draws, image)
        drawn, totals = _drawn_abundances(abundances, frame, len(draws), draws.shape[1])
        totals = totals if total_draws is None else np.asarray(total_draws)
        if totals is None:
            raise InputError(
                f"{len(draws)} draws of the spectra and none of the abundances",
                "joint draws of the counts of each component: a constant would be a share without an error",
                "bs.Unmixing.from_draws(..., total_draws=totals)",
            )
        values: dict[str, Values] = {
            **_drawn_statistics("spectra", draws.astype(np.float32, copy=False), prob),
            **(_drawn_statistics("abundances", drawn, prob) if drawn is not None else _statistics(abundances, frame)),
            "spectra_draws": draws,
            "total_draws": totals,
            "sum_spectrum": image.sum_spectrum(),
            **(variables or {}),
        }
        return cls.from_values(
            values,
            frame,
            name=image.name,
            method=method,
            verdict=verdict or f"{draws.shape[1]} component{'s' if draws.shape[1] != 1 else ''}",
            status=status,
            converged=converged,
            settings=settings,
            selection=selection,
            attrs={"prob": prob, "interval": interval, **image_attributes(image, elements)},
        )

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
        if feasible is None or "feasible_transforms" not in self.data or totals.sizes["draw"] < 2:
            return self._banded(shares, "fraction of counts", None if feasible is None else feasible.clip(0.0, 1.0))
        moved = np.einsum("dk,dkp->dp", totals.values, self._mixing())[:, : self.rank]
        held = totals.copy(data=moved) / everything
        return self._banded(shares, "fraction of counts", feasible.clip(0.0, 1.0), held, 0.0)

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

        Where a share is not identified also, dims (component,): ``helps``, the single piece of knowledge that would
        narrow its band most, the spectrum of a component (of pixels that hold it alone, or of a reference, for
        ``bs.unmix(..., spectra=)``) or more counts; ``helped_width``, how wide the band would be then; and
        ``narrowed_widths``, dims (knowledge, component), the same for each of them.

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
        if "narrowed_widths" in self.data:
            widths = self.data["narrowed_widths"]
            best = widths.argmin("knowledge")
            table |= {"narrowed_widths": widths, "helped_width": widths.isel(knowledge=best).drop_vars("knowledge")}
            table["helps"] = best.copy(data=widths["knowledge"].values[best.values])
        return xr.Dataset(table, attrs={"band": "all factorisations that fit as well, within the noise"})

    # What it predicts

    def expected_counts(self, rows: slice = slice(None)) -> npt.NDArray[np.float64]:
        """Mean abundances times mean spectra.

        Parameters
        ----------
        rows : slice
            Rows of pixels.

        Returns
        -------
        array, shape (y, x, energy), float64
            Expected counts; NaN in excluded pixels, 0 in excluded channels.
        """
        abundances = self.data["abundances_mean"].values[rows].astype(np.float64)
        return np.asarray(abundances @ self.data["spectra_mean"].values.astype(np.float64), np.float64)

    def predictions(self, image: SpectrumImage | None) -> Iterator[Prediction]:
        """Counts and what the components predict for them, in blocks of pixels.

        Parameters
        ----------
        image : SpectrumImage or None
            The image that was unmixed.

        Yields
        ------
        Prediction
            A block of pixels; the abundances of a pixel have taken up what their least-squares fit takes up.

        Raises
        ------
        InputError
            When the image is missing or has another shape.
        """
        image = self.own_image(image)
        channels, floor = image.valid_channels, rate_floor(image)
        spectra = self.data["spectra_mean"].values[:, channels].astype(np.float64)
        maps = self.data["abundances_mean"].values
        for rows in row_blocks(image.shape):
            known = image.valid[rows] & np.isfinite(maps[rows]).all(axis=2)
            weights = maps[rows][known].astype(np.float64)
            rates = np.maximum(weights @ spectra, floor)
            shares = weights[:, :, None] * spectra / rates[:, None]
            yield prediction(image, rows, known, rates, _leverage(weights, spectra, rates), shares)

    def comparable_spectra(self) -> npt.NDArray[np.float64] | None:
        """Spectra that can be compared with true ones, one by one.

        Returns
        -------
        array, shape (component, energy), float32
            Mean spectra.
        """
        return np.asarray(self.data["spectra_mean"].values)

    def agreement(self, other: Result) -> float:
        """Mean angle between spectra, paired, or between the spaces that they span where the other's cannot be paired.

        Parameters
        ----------
        other : Result
            A result with spectra on the same energy axis.

        Returns
        -------
        float
            Degrees.
        """
        theirs = other.comparable_spectra()
        if theirs is None:
            return other.agreement(self)
        return matched_angle(np.asarray(self.comparable_spectra()), theirs)

    # What simulated repeats need of it

    def quantities(self) -> Mapping[str, Estimate | xr.Dataset]:
        """Shares of the counts, spectra and abundances, and the ratio of every line to the last.

        Returns
        -------
        dict of str to Estimate or xarray.Dataset
            Dims (component,), (component, energy) and (y, x, component).
        """
        found: dict[str, Estimate | xr.Dataset] = {"share of counts": self.fractions}
        with contextlib.suppress(InputError):  # no elements, or lines that the axis does not hold apart
            for line in self.lines[:-1]:
                found[f"{line}/{self.lines[-1]}"] = self.ratio(line, self.lines[-1])
        return found | {"spectra": self.spectra, "abundances": self.abundances}

    def replicate(self, data: Any, rng: np.random.Generator) -> tuple[Result, Any]:
        """One draw of the spectra with the mean abundances, and the mean background.

        Parameters
        ----------
        data : SpectrumImage
            The image that was unmixed.
        rng : numpy.random.Generator
            Source of random numbers.

        Returns
        -------
        Unmixing, SpectrumImage
            The truth, and Poisson counts.

        Raises
        ------
        InputError
            When it is another image, or the spectra have negative values.
        """
        image = self.own_image(data)
        draws = self.data["spectra_draws"].values
        kept: dict[str, Values] = {}
        spectra = draws[rng.integers(len(draws))].astype(np.float64)
        abundances = self.data["abundances_mean"].values.astype(np.float64)
        if (spectra < 0).any():
            raise InputError(f"negative spectra by {self.method}", "rates of counts", "bs.calibrate(bs.unmix, like=si)")
        spectra /= np.maximum(spectra.sum(axis=1, keepdims=True), 1e-300)
        rates = abundances @ spectra
        coords: dict[str, Any] = {}
        if "background_shapes" in self.data:
            totals = self.data["background_total_draws"].mean("draw").values
            mixed = (totals / totals.sum()) @ self.data["background_shapes"].values
            rates = rates + self.data["background_mean"].values[..., None] * mixed
            kept = {"background_shapes": self.data["background_shapes"], "background_total_draws": totals[None]}
            coords = {"background": self.data["background"]} if "background" in self.data.coords else {}
        truth = Unmixing.from_draws(image, spectra, abundances, method="truth", variables=kept, coords=coords)
        return truth, simulated_image(image, rates, rng)

    def matched(self, truth: Result) -> Result | None:
        """The unmixing with its components in the order of the truth, paired by their spectra.

        Parameters
        ----------
        truth : Unmixing
            From `replicate`.

        Returns
        -------
        Unmixing or None
            ``None`` where their numbers differ.
        """
        if self.number != truth.number:
            return None
        order = np.argsort(match_components(self.data["spectra_mean"], truth.data["spectra_mean"]))
        data = self.data.isel(component=order).assign_coords(component=np.arange(self.number))
        if "feasible_transforms" in data:  # its parts are the components, then the shapes of the background
            parts = np.append(order, np.arange(len(order), data.sizes["part"]))
            data = data.isel(part=parts).isel(from_part=parts)
        return type(self)(data)

    # What is shown of it

    @property
    def _negative(self) -> bool:
        return bool((self.data["spectra_mean"].values < 0).any())

    def facts(self, reference: str | None = None) -> list[str]:
        """Share of the counts of every component.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        list of str
            Sentences.
        """
        share = () if self._negative else 100 * self.fractions.draws.mean("draw").values
        held = [f"Component {i} holds {s:.1f} % of the counts." for i, s in enumerate(share)]
        return super().facts(reference) + held + self._would_help()

    def _would_help(self) -> list[str]:
        """What would narrow the share of each component that is not identified."""
        if "narrowed_widths" not in self.data:
            return []
        table = self.identifiability
        widths = table["upper"] - table["lower"]
        return [
            f"The share of component {k} is open by {100 * float(widths[k]):.2g} % of the counts; it takes "
            f"{table['helps'].values[k]} to narrow that most, to about {100 * float(table['helped_width'][k]):.2g} %."
            for k in np.flatnonzero(~table["identified"].values)
        ]

    def doubts(self) -> list[str]:
        """What must not be concluded: spectra that are negative in places.

        Returns
        -------
        list of str
            Sentences.
        """
        words = "Spectra or abundances are negative in places: they are no spectra of substances."
        return [words] if self._negative else []

    def table(self, reference: str | None = None) -> Table:
        """Share of the counts of every component.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        Table
            One row a component; with the effective number of draws where it is known.
        """
        share = cells(self.fractions.scaled(100.0, f"{self.fractions.name} (%)"))
        columns = ["component", "share of counts (%)", f"{100 * PROB:.0f} % interval (%)"]
        effective = self.data.get("effective_draws")
        if effective is not None:
            columns.append("effective draws")
        rows = []
        for component, (value, interval) in enumerate(share):
            row = [str(component), value, interval]
            row += [] if effective is None else [f"{float(effective[component]):.0f}"]
            rows.append(tuple(row))
        return Table("Components", tuple(columns), tuple(rows), self.note())

    def figures(self, reference: str | None = None) -> list[Drawing]:
        """Spectra, maps, the summed spectrum, and the choice of the rank.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        list of Drawing
            In the order of a report.
        """
        spectra = "Spectra of the components, with the band of their intervals; dashed: X-ray lines of the elements."
        maps = "Abundances of the components, and their standard deviations."
        return [
            Drawing("spectra", "component_spectra", spectra),
            Drawing("abundances", "abundance_maps", maps),
            Drawing("sum_spectrum", "sum_spectrum", "Spectrum summed over the image."),
            *super().figures(reference),
        ]

    def __repr__(self) -> str:
        return f"<Unmixing {self.name!r} by {self.method}: {self.rank} components; {self.verdict}>"


def matched_angle(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """Mean angle between spectra that are paired.

    Parameters
    ----------
    first, second : array, shape (component, energy), float
        Spectra in any scale.

    Returns
    -------
    float
        Degrees.
    """
    partner = match_components(first, second)
    return float(np.mean(spectral_angle(first[partner >= 0], second[partner[partner >= 0]])))


def spanned_angle(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """Mean angle between the spaces that spectra span.

    Parameters
    ----------
    first, second : array, shape (component, energy), float
        Spectra in any scale; NaN in excluded channels.

    Returns
    -------
    float
        Degrees.
    """
    spaces = (np.nan_to_num(spectra.T.astype(np.float64)) for spectra in (first, second))
    return float(np.degrees(subspace_angles(*spaces)).mean())


def _leverage(
    weights: npt.NDArray[np.float64], spectra: npt.NDArray[np.float64], rates: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Share of the deviance of each count (pixel, channel) that the abundances of its pixel have taken up."""
    information = np.einsum("pc,ic,jc->pij", 1.0 / rates, spectra, spectra, optimize=True)
    information += 1e-9 * np.trace(information, axis1=1, axis2=2)[:, None, None] * np.eye(len(spectra))
    inverse = np.linalg.inv(information)
    leverage = np.einsum("pij,ic,jc->pc", inverse, spectra, spectra, optimize=True) / rates
    # components that a pixel does not hold are held at zero by the prior and take up nothing
    active = (weights > 0.5 * np.sqrt(inverse.diagonal(axis1=1, axis2=2))).sum(axis=1) / len(spectra)
    return np.minimum(leverage * active[:, None], MOST_LEVERAGE)


# From draws to variables


def _check_spectra(draws: npt.NDArray[Any], image: SpectrumImage) -> None:
    if draws.ndim != 3 or draws.shape[2] != image.shape[2] or not draws.size:
        needed = f"(draw, component, {image.shape[2]}), or with the {int(image.valid_channels.sum())} channels in use"
        raise InputError(f"spectra_draws of shape {draws.shape}", needed, "bs.Unmixing.from_draws(image, draws, ...)")
    sums = np.abs(draws).sum(axis=2, dtype=np.float64)
    off = np.abs(sums - 1.0) > SUM_TOLERANCE
    if (off & (sums != 0)).any():
        draw, component = np.argwhere(off & (sums != 0))[0]
        raise InputError(
            f"a spectrum that sums to {sums[draw, component]:.4g} (draw {draw}, component {component})",
            "spectra that sum to 1, so that abundances are counts",
            "scale = spectra.sum(axis=-1); spectra / scale[..., None], abundances * scale[:, None]",
        )


def _drawn_statistics(name: str, draws: npt.NDArray[Any], prob: float) -> dict[str, Values]:
    """Mean, sd, lower and upper over the draws; of a single one the value alone."""
    if len(draws) == 1:
        return _statistics({"mean": draws[0]}, None, name)
    ends = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    found = (draws.mean(axis=0), draws.std(axis=0, ddof=1), *ends)
    return {f"{name}_{s}": values for s, values in zip(STATISTICS, found, strict=True)}


def _statistics(
    given: npt.ArrayLike | Mapping[str, npt.ArrayLike], frame: Frame | None, name: str = "abundances"
) -> dict[str, Values]:
    """Variables of the statistics given; NaN where they are not known, and in excluded pixels."""
    table = dict(given) if isinstance(given, Mapping) else {"mean": given}
    if "mean" not in table or set(table) - set(STATISTICS):
        raise InputError(
            f"{name} with {sorted(table)}", f"mean, and of {list(STATISTICS)} what is known", "dict(mean=)"
        )
    unknown = np.full_like(np.asarray(table["mean"], np.float32), np.nan)
    found = {s: np.asarray(table.get(s, unknown)) for s in STATISTICS}
    if frame is not None:
        found = {s: frame.placed(values, ("y", "x", "component")) for s, values in found.items()}
        found = {s: np.where(np.asarray(frame.valid)[..., None], values, np.nan) for s, values in found.items()}
    return {f"{name}_{s}": values for s, values in found.items()}


def _drawn_abundances(
    given: npt.ArrayLike | Mapping[str, npt.ArrayLike], frame: Frame, draws: int, components: int
) -> tuple[npt.NDArray[Any] | None, npt.NDArray[np.float64] | None]:
    """Draws of the abundances (draw, pixel, component), where they are given, and draws of the totals."""
    valid = np.asarray(frame.valid)
    table = given if isinstance(given, Mapping) else {"mean": given}
    values = np.asarray(table.get("mean"))
    pixels = int(valid.sum())
    if not isinstance(given, Mapping) and values.shape in (
        (draws, *valid.shape, components),
        (draws, pixels, components),
    ):
        drawn = values[:, valid] if values.ndim == 4 else values
        return drawn, drawn.sum(axis=1, dtype=np.float64)
    if values.shape not in ((*valid.shape, components), (pixels, components)):
        raise InputError(
            f"abundances of shape {values.shape}",
            f"(y, x, component) = {(*valid.shape, components)}, or ({pixels}, {components}) of the pixels in use; or "
            f"{draws} draws of them",
            "bs.Unmixing.from_draws(image, spectra_draws, abundances, method='mine')",
        )
    if draws > 1:
        return None, None
    whole = frame.placed(values, ("y", "x", "component"))
    return None, np.asarray(np.nansum(whole, axis=(0, 1), dtype=np.float64))[None]
