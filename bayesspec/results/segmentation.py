"""Segmentation: which phase each pixel belongs to, and each phase's ratios with their uncertainty."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import gaussian_filter

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, line_names, numbers_as_they_are, text
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.status import Status
from bayesspec.labels import accuracy, interior, match_phases
from bayesspec.results.dataset import Frame
from bayesspec.results.dose_plan import DOSES, DosePlan, plan
from bayesspec.results.drawing import Drawing
from bayesspec.results.estimate import PROB, Estimate
from bayesspec.results.interior_baseline import beside_interior
from bayesspec.results.line_result import LineResult
from bayesspec.results.phase_comparison import PhaseComparison, compare
from bayesspec.results.prediction import Prediction
from bayesspec.results.result import Result, simulated_image
from bayesspec.results.schema import Schema, Values, Variable
from bayesspec.results.table import Table, cells
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.line_maps import LineMaps, window_maps
from bayesspec.spectroscopy.thin_film import Film
from bayesspec.spectroscopy.windows import drawn_intensities, line_windows

DOUBT = 0.04
"""Share of labels in doubt from which on a warning says that intervals can be short, as those of areas were (``python
benchmarks/segmentation.py --dose 200 600``)."""
FROM_DRAWS = "bs.Segmentation.from_draws(maps, composition_draws, probabilities, method='mine')"
BOUNDARIES = "phase_boundaries"
"""Model in which pixels hold two phases: probabilities are shares."""
LEAST_SHARE = 1e-9
"""Smallest share of a line in the counts of a phase that is taken for a prediction: none has no likelihood."""
THICKNESS_PIXELS = 2.0
"""Width of the Gaussian, in pixels, with which the counts are smoothed to a thickness to simulate."""
FEWEST_INSIDE = 30
"""Pixels inside a phase from which its spectrum is taken from these alone."""
Floats = npt.NDArray[np.float64]


class Segmentation(LineResult):
    """Phases of an image: labels, probabilities, compositions and their joint posterior draws.

    Phases are ordered by area, the largest first.
    """

    kind = "segmentation"
    part = "phase"
    axis = "line"
    heading = "Phases"
    pictures = ("labels", "probabilities")
    schema = Schema(
        {
            "labels": Variable(("y", "x"), "most probable phase, -1 where a pixel has none", low=-1),
            "probabilities": Variable(
                ("y", "x", "phase"), "probability of each phase", dtype=np.float32, low=0.0, high=1.0
            ),
            "intensity_draws": Variable(
                ("draw", "phase", "line"), "joint draws of line intensities, as shares of a phase's counts"
            ),
            "fraction_draws": Variable(
                ("draw", "phase"), "joint draws of the share of the image's pixels", low=0.0, high=1.0
            ),
            "composition_draws": Variable(
                ("draw", "phase", "window"),
                "joint draws of each window's share of a phase's counts, which the intensities follow from",
                needed=False,
            ),
            "response": Variable(("line", "window"), "line intensity per expected count of each window", needed=False),
            "counts": Variable(("y", "x", "line"), "counts in the windows of the lines", "counts", low=0),
            "net": Variable(
                ("y", "x", "line"), "line intensities of single pixels", "counts", needed=False, dtype=np.float32
            ),
            "scatter": Variable(
                ("phase",), "scatter of the composition within a phase, sd of a log ratio", needed=False, low=0.0
            ),
        },
        coords=("y", "x", "line"),
        attributes={"resolved": "1 where the ratios of the phases are resolved, else 0"},
    )

    @classmethod
    @checked_arguments(
        maps=LineMaps,
        composition_draws=numbers_as_they_are("composition_draws", FROM_DRAWS),
        probabilities=numbers_as_they_are("probabilities", FROM_DRAWS),
        fraction_draws=numbers_as_they_are("fraction_draws", FROM_DRAWS),
        scatter=numbers_as_they_are("scatter", FROM_DRAWS),
        method=text("method", FROM_DRAWS),
    )
    def from_draws(
        cls,
        maps: LineMaps,
        composition_draws: npt.ArrayLike,
        probabilities: npt.ArrayLike,
        *,
        method: str,
        fraction_draws: npt.ArrayLike | None = None,
        scatter: npt.ArrayLike | None = None,
        status: Status | str = Status.CONVERGED,
        converged: bool | None = None,
        verdict: str | None = None,
        resolved: bool = True,
        mixed_share: float = 0.0,
        selection: xr.Dataset | None = None,
        settings: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> Self:
        """Make a segmentation of what any method finds, with everything that goes with it.

        Parameters
        ----------
        maps : LineMaps
            The counts that were segmented.
        composition_draws : array, shape (draw, phase, window), float64
            Joint draws of the share of each of ``maps.windows`` in the counts of a phase, background included; without
            the first dim a point estimate. NaN where a phase is not resolved.
        probabilities : array, shape (y, x, phase) or (pixel, phase), float
            Probability of each phase in every pixel, or in those that are not excluded; NaN where a pixel has no phase.
        method : str
            What the method is called in tables and figures.
        fraction_draws : array, shape (draw, phase), float64, or None
            Joint draws of the share of the pixels in each phase; ``None``, with a point estimate, for that of the
            labels.
        scatter : array, shape (phase,), float64, or None
            Standard deviation, from pixel to pixel, of a log ratio within each phase; ``None`` for none.
        status : Status or str
            How the fit ended: an outcome such as ``bs.Status.CONVERGED``, or a sentence.
        converged : bool or None
            Whether it ended as it should; needed beside a sentence.
        verdict : str or None
            What was found, in words; ``None`` for the number of phases.
        resolved : bool
            Whether the counts resolve the ratios of the phases.
        mixed_share : float
            Share of the pixels that hold more than one phase.
        selection : xarray.Dataset or None
            Scores of the numbers of phases that were tried, dims (candidate,): ``score``, ``error``, ``bic``,
            ``verdict``.
        settings : mapping or None
            Seed, priors and options, for the provenance.
        seed : int
            Seed of the draws of the background's shape, see ``maps.response_errors``.

        Returns
        -------
        Segmentation
            Phases in the order given; put the largest first.

        Raises
        ------
        InputError
            When shapes do not fit, or draws come without those of the fractions.

        Examples
        --------
        >>> import bayesspec as bs
        >>> maps = bs.simulate.iron_oxide_lines(400, (16, 16), seed=0)
        >>> labels = maps.truth["labels"]
        >>> pooled = [[maps.counts[labels == k].sum(axis=0) for k in range(2)]]
        >>> seg = bs.Segmentation.from_draws(maps, pooled / np.sum(pooled, axis=2, keepdims=True), np.eye(2)[labels],
        ...     method="known labels")
        >>> seg.n_phases
        2
        """
        compositions = np.asarray(composition_draws, np.float64)
        compositions = compositions if compositions.ndim == 3 else compositions[None]
        n = compositions.shape[1] if compositions.ndim == 3 else 0
        frame = Frame.of(maps).with_coords(phase=np.arange(n))
        known = frame.placed(np.asarray(probabilities, np.float32), ("y", "x", "phase"))
        if compositions.shape[2:] != (len(maps.windows),) or known.shape != (*maps.valid.shape, n):
            raise InputError(
                f"compositions of shape {np.shape(composition_draws)} and probabilities {np.shape(probabilities)}",
                f"(draw, phase, {len(maps.windows)}) of the windows {list(maps.windows)}, and {maps.valid.shape} phase",
                FROM_DRAWS,
            )
        known = np.where(maps.valid[..., None], known, np.float32(np.nan))
        labels = np.where(np.isfinite(known).all(axis=2), np.nan_to_num(known).argmax(axis=2), -1).astype(np.int16)
        response, errors = np.asarray(maps.response), np.asarray(maps.response_errors)
        values: dict[str, Values] = {
            "labels": labels,
            "probabilities": known,
            "intensity_draws": drawn_intensities(
                compositions, response, errors if len(compositions) > 1 else errors[:0], seed
            ),
            "fraction_draws": _fractions(labels, n, len(compositions), fraction_draws),
            "counts": np.asarray(maps.counts),
            "net": maps.net(),
            "scatter": np.zeros(n) if scatter is None else scatter,
        }
        if len(compositions) > 1:
            values |= {"composition_draws": compositions, "response": response}
        return cls.from_values(
            values,
            frame,
            name=maps.name,
            method=method,
            verdict=verdict or f"{n} phase{'s' if n != 1 else ''}",
            status=status,
            converged=converged,
            settings={
                **(settings or {}),
                "lines": list(maps.lines),
                "counts_per_pixel": maps.counts_per_pixel,
                "calibration": maps.calibration,
                "acquisition": asdict(maps.acquisition),
            },
            selection=selection,
            attrs={
                "resolved": int(resolved),
                "mixed_share": mixed_share,
                "acquisition": json.dumps(asdict(maps.acquisition)),
            },
        )

    @property
    def n_phases(self) -> int:
        """Number of phases, int."""
        return self.number

    @property
    def labels(self) -> xr.DataArray:
        """Most probable phase, dims (y, x), int; -1 where a pixel is excluded or holds no counts."""
        return self.data["labels"]

    @property
    def probabilities(self) -> xr.DataArray:
        """Probability of each phase, dims (y, x, phase), float32; NaN where a pixel is excluded.

        Where pixels hold two phases it is the mean share of the phase in the pixel, which maps show.
        """
        return self.data["probabilities"]

    @property
    def fractions(self) -> Estimate:
        """Share of this image's area in each phase, dims (phase,): of its pixels, not of a sample beyond them."""
        about = "; ".join(filter(None, ("area fraction", self.area_note)))
        return self.own(Estimate(self.data["fraction_draws"], about, positive=True))

    @property
    def area_note(self) -> str:
        """Whether the intervals of the areas can be short, str: many labels are in doubt; empty where they hold."""
        if self.data.sizes["draw"] < 2:
            return ""
        if self.has_shares:
            return ""  # shares of two phases are no doubt
        doubt = float((1.0 - self.probabilities.max("phase")).mean())
        return f"{100 * doubt:.0f} % of the labels may be wrong: intervals can be short" if doubt > DOUBT else ""

    @property
    def has_shares(self) -> bool:
        """Whether pixels may hold two phases, bool: the probabilities are then mean shares of the phases in a pixel."""
        return self.provenance.get("model") == BOUNDARIES

    @property
    def mixed_share(self) -> float:
        """Share of the pixels that hold more than one phase, float; the verdict names it if it is real."""
        return float(self.data.attrs.get("mixed_share", 0.0))

    @property
    def scatter(self) -> xr.DataArray:
        """Scatter of the composition within each phase, dims (phase,), float64; 0 where none was found.

        Standard deviation, from pixel to pixel, of the log ratio of two lines that scatters most.
        """
        return self.data["scatter"]

    @checked_arguments(lines=line_names)
    def intensities_of(self, lines: Sequence[str]) -> Estimate:
        """Intensities of some lines in every phase, background and overlap accounted for.

        Parameters
        ----------
        lines : sequence of str
            Names of mapped lines, such as ``["Fe_Ka", "O_Ka"]``.

        Returns
        -------
        Estimate, dims (phase, line)
            Joint draws, as shares of a phase's counts.

        Raises
        ------
        InputError
            When a line was not mapped.
        """
        draws = self.data["intensity_draws"].sel(line=self.checked_lines(lines))
        return self.own(Estimate(draws, "share of a phase's counts", positive=True))

    @checked_arguments()
    def ratio_difference(self, numerator: str, denominator: str, first: int = 0, second: int = 1) -> Estimate:
        """Difference of one line ratio between two phases, with their covariance.

        Parameters
        ----------
        numerator, denominator : str
            Names of lines, such as ``"Fe_Ka"`` and ``"O_Ka"``.
        first, second : int
            The phases.

        Returns
        -------
        Estimate, no dims
            Ratio in `first` less ratio in `second`.

        Raises
        ------
        InputError
            When a line was not mapped, or a phase does not exist.
        """
        draws = self.ratio(numerator, denominator).draws
        for phase in (first, second):
            if not 0 <= phase < self.n_phases:
                found = f"phase {phase} of {self.n_phases}"
                raise InputError(found, f"a phase from 0 to {self.n_phases - 1}", "seg.ratio_difference(a, b, 0, 1)")
        difference = draws.sel(phase=first, drop=True) - draws.sel(phase=second, drop=True)
        about = f"{numerator}/{denominator}, phase {first} less phase {second}"
        return self.own(Estimate(difference, about))

    @checked_arguments()
    def compare_phases(
        self, first: int, second: int, *, reference: str | None = None, margin: float = 0.0
    ) -> PhaseComparison:
        """Probability that two phases differ, for each line ratio and overall.

        Parameters
        ----------
        first, second : int
            The phases.
        reference : str or None
            Line below the ratios; ``None`` for the strongest.
        margin : float
            Smallest relative difference of a ratio that counts, such as 0.01; 0 for any.

        Returns
        -------
        PhaseComparison
            ``overall``, a float; ``probability``, ``larger`` and ``difference`` for each ratio. NaN where the phases
            are not resolved.

        Raises
        ------
        InputError
            When a phase or the reference does not exist, the phases are the same, the margin is negative, or the
            result comes without draws.
        """
        return compare(self.intensities.draws, first, second, reference=reference, margin=margin)

    @checked_arguments()
    def composition(
        self, k_factors: Mapping[str, KFactor], *, film: Film | None = None, seed: int = 0
    ) -> dict[str, Estimate]:
        """Composition of every phase by Cliff and Lorimer's method.

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
        dict of str to Estimate, dims (phase, element)
            ``"weight_percent"`` and ``"atomic_percent"``.

        Raises
        ------
        InputError
            When a k-factor belongs to no mapped line or is not positive.
        """
        return self._composition(self.data["intensity_draws"], k_factors, seed, film)

    @checked_arguments()
    def plan(self, numerator: str, denominator: str, *, doses: Iterable[float] = DOSES, seed: int = 0) -> DosePlan:
        """Forecast what another dose would make of a ratio in this sample.

        Parameters
        ----------
        numerator, denominator : str
            Names of lines, such as ``"Fe_Ka"`` and ``"O_Ka"``.
        doses : iterable of float
            Mean counts per pixel in the windows to forecast.
        seed : int
            Seed of the simulated noise.

        Returns
        -------
        DosePlan
            Standard errors by dose, and the counts, pixels or seconds for a wanted one. Labels and compositions are
            taken as found; the rate is that of the measurement where its live time is known.

        Raises
        ------
        InputError
            When a line was not mapped, or there are no two phases with known compositions.
        """
        known = bool(np.isfinite(self.data["intensity_draws"]).all())
        if self.n_phases < 2 or "response" not in self.data or not known:
            raise InputError(
                f"{self.n_phases} phase(s) by {self.method}: {self.verdict}",
                "two phases or more whose ratios are resolved by bs.segment",
                "bs.plan_dose(ratios=(0.783, 0.698)) with the ratios you expect",
            )
        pair = self.checked_lines([numerator, denominator])
        labels, counts = self.labels.values, self.data["counts"].sum("line").values
        dose = _smoothed(counts, labels >= 0)
        thickness = np.where(labels >= 0, dose / dose[labels >= 0].mean(), 0.0)
        total = float(self.provenance["counts_per_pixel"]) * (labels >= 0).sum()
        live = self.provenance["acquisition"]["live_time_s"]
        return plan(
            self.data["composition_draws"].mean("draw").values,
            self.data["response"].sel(line=pair).values,
            labels,
            thickness,
            doses=np.array(sorted(doses), np.float64),
            rng=np.random.default_rng(seed),
            name=f"{numerator}/{denominator}",
            assumed=f"the phases of {self.name} as found",
            counts_per_second=total / live if live else None,
        )

    # What it predicts

    @property
    def total_counts(self) -> int:
        """Counts in the windows of the lines, of the pixels that have a phase, int."""
        return int(np.asarray(self.data["counts"].values)[self.labels.values >= 0].sum())

    def expected_counts(self, rows: slice = slice(None)) -> Floats:
        """Counts in the windows of the lines that the labels expect, given how many a pixel holds.

        Parameters
        ----------
        rows : slice
            Rows of pixels.

        Returns
        -------
        array, shape (y, x, line), float64
            A pixel's counts in the proportions of its most probable phase, or of the two that it holds; NaN where a
            pixel has none.
        """
        known, counts, held, composition = self._counted()
        expected = np.full(self.counts_shape, np.nan)
        expected[known] = counts.sum(axis=1, keepdims=True) * (held @ composition)
        return expected[rows]

    def _counted(self) -> tuple[npt.NDArray[np.bool_], Floats, Floats, Floats]:
        """Pixels with a phase (y, x), their counts (pixel, line), what they hold (pixel, phase), shares of lines.

        A pixel holds its most probable phase, or shares of two where these are fitted.
        """
        counts, shares = self.data["counts"].values.astype(np.float64), self.probabilities.values
        known = np.isfinite(shares).all(axis=2) & (counts.sum(axis=2) > 0)
        counts, shares = counts[known], shares[known].astype(np.float64)
        held = np.eye(shares.shape[1])[shares.argmax(axis=1)]
        pooled = shares.T @ counts
        if self.has_shares and np.isfinite(self.data["composition_draws"].values).all():
            held = shares / shares.sum(axis=1, keepdims=True)
            pooled = self.data["composition_draws"].values.mean(axis=0)[:, : counts.shape[1]]
        composition = pooled / np.maximum(pooled.sum(axis=1, keepdims=True), 1e-12)
        return known, counts, held, np.maximum(composition, LEAST_SHARE)

    def predictions(self, image: SpectrumImage | None = None) -> Iterator[Prediction]:
        """Counts in the windows of the lines, and those that the labels expect.

        Parameters
        ----------
        image : SpectrumImage or None
            Not needed: the segmentation holds its counts.

        Yields
        ------
        Prediction
            All pixels; a pixel's total is given and takes up one degree of freedom.
        """
        known, counts, held, composition = self._counted()
        share = held @ composition
        rates = counts.sum(axis=1, keepdims=True) * share
        one = held[:, :, None] * np.ones(counts.shape[1])
        yield Prediction(np.flatnonzero(known.ravel()), counts, rates, share, one)

    def baseline(self) -> xr.Dataset:
        """Compare the ratios of two phases or more with those of their interior.

        Returns
        -------
        xarray.Dataset
            ``interior_ratio``, ``fitted_ratio`` of the counts in the windows of the lines, background included, and
            ``interior_sigmas``, dims (phase, ratio); ``interior_pixels``, dims (phase,). Nothing for a point estimate.
        """
        if "composition_draws" not in self.data or self.n_phases < 2:
            return xr.Dataset()
        draws = self.data["composition_draws"].values[:, :, : len(self.lines)]
        shares = np.nan_to_num(self.probabilities.values.astype(np.float64))
        return beside_interior(self.labels.values, self.data["counts"].values, shares, draws, self.lines)

    def agreement(self, other: Result) -> float:
        """Share of the pixels with the same label, phases paired.

        Parameters
        ----------
        other : Result
            A segmentation of the same pixels.

        Returns
        -------
        float
            From 0 to 1.
        """
        return accuracy(self.labels, other.data["labels"])

    def agreement_words(self, value: float) -> str:
        """Print an agreement in percent.

        Parameters
        ----------
        value : float
            From `agreement`.

        Returns
        -------
        str
            Such as ``"98.5 %"``.
        """
        return f"{100 * value:.1f} %"

    # What simulated repeats need of it

    def quantities(self) -> Mapping[str, Estimate | xr.Dataset]:
        """Areas, and the ratio of every line to the last.

        Returns
        -------
        dict of str to Estimate
            Dims (phase,).
        """
        above, below = self._against(None)
        return {"area": self.fractions} | {f"{line}/{below}": self.ratio(line, below) for line in above}

    def replicate(self, data: Any, rng: np.random.Generator) -> tuple[Result, Any]:
        """Phases where they were found: one draw of their compositions, or the mean spectra of their interior.

        The thickness is that of the counts around a pixel, smoothed. A scatter within phases is not simulated.

        Parameters
        ----------
        data : SpectrumImage or LineMaps
            The counts that were segmented.
        rng : numpy.random.Generator
            Source of random numbers.

        Returns
        -------
        Segmentation, SpectrumImage or LineMaps
            The truth, and Poisson counts.

        Raises
        ------
        InputError
            When the ratios are not resolved, or the image was not counted in windows.
        """
        held, dose = self._held_and_dose(data)
        if isinstance(data, LineMaps):
            compositions = self._one_composition(rng)
            rates = dose[..., None] * (np.nan_to_num(held) @ compositions)
            counts = np.where(data.valid[..., None], rng.poisson(rates), data.window_counts())
            made: Any = data.with_window_counts(counts)
            maps = data
        else:
            maps = window_maps(data, list(self.lines))
            windows = line_windows(data, list(self.lines))
            spectra = self._phase_spectra(data)
            compositions = np.asarray(windows.sums(spectra, np.float64), np.float64)
            compositions /= compositions.sum(axis=1, keepdims=True)
            made = simulated_image(data, dose[..., None] * (np.nan_to_num(held) @ spectra), rng)
        if len(maps.windows) != compositions.shape[1]:
            raise InputError(
                f"{compositions.shape[1]} windows in place of {len(maps.windows)}",
                "the maps that were segmented",
                "bs.calibrate(bs.segment, like=bs.spectral_maps(si))",
            )
        shares = np.nanmean(held.reshape(-1, self.n_phases), axis=0)
        truth = Segmentation.from_draws(maps, compositions, held, method="truth", fraction_draws=shares[None])
        return truth, made

    def _held_and_dose(self, data: Any) -> tuple[Floats, Floats]:
        """What every pixel holds (y, x, phase), NaN without a phase, and counts around it (y, x), smoothed."""
        known, _, held, _ = self._counted()
        whole = np.full((*known.shape, self.n_phases), np.nan)
        whole[known] = held
        counts = data.window_counts() if isinstance(data, LineMaps) else data.counts[..., data.valid_channels]
        return whole, _smoothed(counts.sum(axis=2, dtype=np.float64), known)

    def _one_composition(self, rng: np.random.Generator) -> Floats:
        """One draw of the compositions (phase, window)."""
        name = "composition_draws" if "composition_draws" in self.data else "intensity_draws"
        draws = self.data[name].values
        drawn = np.maximum(draws[rng.integers(len(draws))], LEAST_SHARE)
        if not np.isfinite(drawn).all():
            raise InputError(
                f"{self.n_phases} phase(s) whose ratios are not resolved: {self.verdict}",
                "phases to simulate",
                "like= an image with more counts, or phases=1",
            )
        return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))

    def _phase_spectra(self, image: SpectrumImage) -> Floats:
        """Mean spectrum of every phase (phase, energy), of its interior where it has one; each sums to 1."""
        labels, inside = self.labels.values, interior(self.labels.values)
        spectra = np.zeros((self.n_phases, image.shape[2]))
        for k in range(self.n_phases):
            own = (labels == k) & inside if ((labels == k) & inside).sum() >= FEWEST_INSIDE else labels == k
            spectra[k] = np.where(image.valid_channels, image.counts[own].sum(axis=0, dtype=np.float64), 0.0)
        if not (spectra.sum(axis=1) > 0).all():
            raise InputError(f"a phase without a pixel: {self.verdict}", "phases to simulate", "phases=1")
        return spectra / spectra.sum(axis=1, keepdims=True)

    def matched(self, truth: Result) -> Result | None:
        """The segmentation with its phases in the order of the truth, paired by the pixels that they share.

        Parameters
        ----------
        truth : Segmentation
            From `replicate`.

        Returns
        -------
        Segmentation or None
            ``None`` where their numbers differ.
        """
        if self.number != truth.number:
            return None
        partner = match_phases(self.labels, truth.data["labels"])
        return Segmentation(self.data.isel(phase=np.argsort(partner)).assign_coords(phase=np.arange(self.number)))

    # What is shown of it

    def line_images(self) -> Floats:
        """Maps of the line intensities of single pixels.

        Returns
        -------
        array, shape (y, x, line), float64
            Counts, background and overlap taken off; NaN where a pixel has no phase.
        """
        net = self.data["net" if "net" in self.data else "counts"].values.astype(np.float64)
        return np.where(self.labels.values[..., None] < 0, np.nan, net)

    def _against(self, reference: str | None) -> tuple[list[str], str]:
        """Lines above, and the line below the ratios that are shown."""
        below = reference or self.lines[-1]
        return [line for line in self.lines if line != below], below

    def facts(self, reference: str | None = None) -> list[str]:
        """Areas and, of two lines, the ratio of every phase.

        Parameters
        ----------
        reference : str or None
            Line below the ratios; ``None`` for the last one.

        Returns
        -------
        list of str
            Sentences.
        """
        above, below = self._against(reference)
        if not np.isfinite(self.data["intensity_draws"].values).any():
            return [*super().facts(reference), *self._mixed(), "Neither areas nor ratios of the phases are resolved."]
        area = [text for _, text in self.fractions.scaled(100.0, "area").rows()]
        facts = [f"Phase {phase} covers {text} % of the area" for phase, text in enumerate(area)]
        known = [*super().facts(reference), *self._mixed()]
        if len(above) != 1:
            more = "The line ratios of the phases are in the table below."
            return [*known, *(f"{fact}." for fact in facts), more]
        ratio = self.ratio(above[0], below)
        found = []
        for fact, (value, interval) in zip(facts, cells(ratio), strict=True):
            error = f", {100 * PROB:.0f} % interval {interval}" if ratio.known_error else ""
            found.append(f"{fact}; {above[0]}/{below} = {value}{error}.")
        return known + found

    def _mixed(self) -> list[str]:
        """How many pixels hold two phases, in words; nothing where none does."""
        if not self.has_shares:
            return []
        return [f"{100 * self.mixed_share:.0f} % of the pixels hold two phases, whose shares are fitted."]

    def doubts(self) -> list[str]:
        """What must not be concluded: ratios that are not resolved, pixels without a phase.

        Returns
        -------
        list of str
            Sentences.
        """
        found = []
        known = np.isfinite(self.data["intensity_draws"].values)
        if "varies from pixel to pixel" in self.verdict:
            found.append("Nearly all pixels hold two phases: there are no ratios of pure ones. Map the ratio instead.")
        elif "overlap within" in self.verdict and not self.data.attrs.get("resolved", 1):
            found.append("Pixels hold more than one phase: their ratios are not those of pure phases. Unmix instead.")
        elif "cannot be resolved" in self.verdict or not self.data.attrs.get("resolved", 1):
            given = ": the ratio given is that of the mixture" if known.all() else ""
            which = "some" if known.any() and not known.all() else "the"
            found.append(f"The ratios of {which} phases cannot be resolved at this dose{given}.")
        if not known.any():
            found.append("No standard errors exist for this fit: ratios are not resolved.")
        empty = int((self.labels.values < 0).sum())
        if empty:
            found.append(f"{empty:,} pixels are excluded or hold no counts, and have no phase.")
        return found

    def table(self, reference: str | None = None) -> Table:
        """Area and line ratios of every phase.

        Parameters
        ----------
        reference : str or None
            Line below the ratios; ``None`` for the last one.

        Returns
        -------
        Table
            One row a phase, or one row a ratio where there are several.

        Raises
        ------
        InputError
            When the reference was not mapped.
        """
        above, below = self._against(reference)
        ratios = {f"{line}/{below}": cells(self.ratio(line, below)) for line in above or [below]}
        area = cells(self.fractions.scaled(100.0, f"{self.fractions.name} (%)"))
        if len(ratios) == 1:
            name, values = next(iter(ratios.items()))
            rows: list[tuple[str, ...]] = [(str(k), area[k][0], *values[k]) for k in range(self.n_phases)]
            columns = ["phase", "area (%)", name, f"{100 * PROB:.0f} % interval"]
        else:
            rows = [(name, *("\n".join(c) for c in values)) for name, values in {"area (%)": area, **ratios}.items()]
            columns = ["", *(f"phase {phase}" for phase in range(self.n_phases))]
        doubt = f" Areas: {self.area_note}." if self.area_note else ""
        return Table("Phases and line ratios", tuple(columns), tuple(rows), self.note() + doubt)

    def figures(self, reference: str | None = None) -> list[Drawing]:
        """Maps of the lines and phases, counts of two lines, ratios, and the choice of the number.

        Parameters
        ----------
        reference : str or None
            Line below the ratios; ``None`` for the last one.

        Returns
        -------
        list of Drawing
            In the order of a report.
        """
        above, _ = self._against(reference)
        maps = "Line intensities, background and overlap taken off; grey pixels are excluded."
        scatter = "Line intensities of the pixels, coloured by phase; the lines are the phases' ratios."
        held = "Phase of each pixel; those that hold two mix their colours in the shares that are fitted."
        ratio = (
            "Line ratios of the phases; open circles have no interval, arrows mark ends that are open or off the axis."
        )
        axes = {"numerator": above[0] if above else None, "denominator": reference}
        figures = {
            "maps": Drawing("element_maps", "element_maps", maps),
            "phases": Drawing("phases", "phase_map", held if self.has_shares else "Most probable phase of each pixel."),
            "counts": Drawing("counts", "count_scatter", scatter, axes),
            "ratios": Drawing("ratios", "ratios", ratio, {"denominator": reference}),
        }
        orders = {1: ("maps", "phases"), 2: ("phases", "counts", "maps", "ratios")}  # figures of like height in pairs
        shown = orders.get(len(self.lines), ("maps", "phases", "ratios"))
        return [figures[name] for name in shown] + super().figures(reference)

    def __repr__(self) -> str:
        valid = np.asarray(self.labels) >= 0
        return f"<Segmentation {self.name!r} by {self.method}: {self.verdict}; {int(valid.sum())} pixels>"


def _smoothed(counts: npt.NDArray[Any], known: npt.NDArray[np.bool_]) -> Floats:
    """Counts around every pixel (y, x), those of the known pixels alone: a thickness, as far as they tell."""
    around = gaussian_filter(known * 1.0, THICKNESS_PIXELS).clip(1e-9)
    return np.asarray(gaussian_filter(np.where(known, counts, 0.0), THICKNESS_PIXELS) / around)


def _fractions(labels: npt.NDArray[np.int16], n: int, draws: int, given: npt.ArrayLike | None) -> npt.ArrayLike:
    """Shares of the pixels, those of the labels where none are given and none are needed."""
    if given is not None:
        return given
    if draws > 1:
        raise InputError(
            f"{draws} draws of compositions and none of the areas",
            "joint draws of the share of the pixels in each phase: a constant would be an area without an error",
            "bs.Segmentation.from_draws(..., fraction_draws=shares)",
        )
    area = np.bincount(labels[labels >= 0], minlength=n)
    return area[None] / area.sum()
