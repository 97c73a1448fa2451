"""Segmentation: which phase each pixel belongs to, and each phase's ratios with their uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.results.dose_plan import DOSES, DosePlan, plan
from bayesspec.results.estimate import Estimate, ratio_of
from bayesspec.results.phase_comparison import PhaseComparison, compare
from bayesspec.results.result import Result
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.thin_film import Film

DOUBT = 0.04  # share of labels in doubt from which the intervals of areas were short in simulations


class Segmentation(Result):
    """Phases of an image: labels, probabilities, compositions and their joint posterior draws.

    Phases are ordered by area, the largest first.
    """

    kind = "segmentation"
    pictures = ("labels", "probabilities")

    @property
    def n_phases(self) -> int:
        """Number of phases, int."""
        return int(self.data.sizes["phase"])

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines, tuple of str."""
        return tuple(str(line) for line in self.data["line"].values)

    @property
    def labels(self) -> xr.DataArray:
        """Most probable phase, dims (y, x), int; -1 where a pixel is excluded or holds no counts."""
        return self.data["labels"]

    @property
    def probabilities(self) -> xr.DataArray:
        """Probability of each phase, dims (y, x, phase), float32; NaN where a pixel is excluded."""
        return self.data["probabilities"]

    @property
    def fractions(self) -> Estimate:
        """Share of this image's area in each phase, dims (phase,): of its pixels, not of a sample beyond them."""
        return Estimate(self.data["fraction_draws"], "; ".join(filter(None, ("area fraction", self.area_note))))

    @property
    def area_note(self) -> str:
        """Whether the intervals of the areas can be short, str: many labels are in doubt; empty where they hold."""
        if self.data.sizes["draw"] < 2:
            return ""
        doubt = float((1.0 - self.probabilities.max("phase")).mean())
        return f"{100 * doubt:.0f} % of the labels may be wrong: intervals can be short" if doubt > DOUBT else ""

    @property
    def mixed_share(self) -> float:
        """Share of the pixels whose counts lie between the phases, float; the verdict names it if it is real."""
        return float(self.data.attrs.get("mixed_share", 0.0))

    @property
    def scatter(self) -> xr.DataArray:
        """Scatter of the composition within each phase, dims (phase,), float64; 0 where none was found.

        Standard deviation, from pixel to pixel, of the log ratio of two lines that scatters most.
        """
        return self.data["scatter"]

    @property
    def intensities(self) -> xr.DataArray:
        """Joint draws of line intensities, as shares of a phase's counts, dims (draw, phase, line)."""
        return self.data["intensity_draws"]

    @checked_arguments()
    def ratio(self, numerator: str, denominator: str) -> Estimate:
        """Ratio of two lines in every phase.

        Parameters
        ----------
        numerator, denominator : str
            Names of lines, such as ``"Fe_Ka"`` and ``"O_Ka"``.

        Returns
        -------
        Estimate, dims (phase,)
            Ratio of the line intensities, background and overlap accounted for.

        Raises
        ------
        InputError
            When a line was not mapped.
        """
        self._lines(numerator, denominator)
        name = f"{numerator}/{denominator}"
        return ratio_of(
            self.intensities.sel(line=numerator, drop=True),
            self.intensities.sel(line=denominator, drop=True),
            name,
        )

    def _lines(self, numerator: str, denominator: str) -> list[str]:
        """Both names; refuses lines that were not mapped."""
        for line in (numerator, denominator):
            if line not in self.lines:
                do = f"seg.ratio({self.lines[0]!r}, {self.lines[-1]!r})"
                raise InputError(f"the line {line!r}", f"one of {list(self.lines)}", do)
        return [numerator, denominator]

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
        return Estimate(difference, f"{numerator}/{denominator}, phase {first} less phase {second}")

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
        return compare(self.intensities, first, second, reference=reference, margin=margin)

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
        return self._composition(self.intensities, k_factors, seed, film)

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
        if self.n_phases < 2 or "response" not in self.data or not np.isfinite(self.intensities).all():
            raise InputError(
                f"{self.n_phases} phase(s) by {self.method}: {self.verdict}",
                "two phases or more whose ratios are resolved by bs.segment",
                "bs.plan_dose(ratios=(0.783, 0.698)) with the ratios you expect",
            )
        known = self._lines(numerator, denominator)
        labels, counts = self.labels.values, self.data["counts"].sum("line").values
        around = gaussian_filter((labels >= 0) * 1.0, 2).clip(1e-9)
        dose = gaussian_filter(np.where(labels >= 0, counts, 0.0), 2) / around
        thickness = np.where(labels >= 0, dose / dose[labels >= 0].mean(), 0.0)
        total = float(self.provenance["counts_per_pixel"]) * (labels >= 0).sum()
        live = self.provenance["acquisition"]["live_time_s"]
        return plan(
            self.data["composition_draws"].mean("draw").values,
            self.data["response"].sel(line=known).values,
            labels,
            thickness,
            doses=np.array(sorted(doses), np.float64),
            rng=np.random.default_rng(seed),
            name=f"{numerator}/{denominator}",
            assumed=f"the phases of {self.name} as found",
            counts_per_second=total / live if live else None,
        )

    def __repr__(self) -> str:
        valid = np.asarray(self.labels) >= 0
        return f"<Segmentation {self.name!r} by {self.method}: {self.verdict}; {int(valid.sum())} pixels>"
