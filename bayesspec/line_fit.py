"""Lines of one spectrum, or of an image's summed spectrum: intensities, ratios and compositions with intervals."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.composition import KFactor
from bayesspec.energy_calibration import calibrate_energy
from bayesspec.errors import InputError
from bayesspec.escape_peaks import with_escape
from bayesspec.inference.nonnegative_poisson import PoissonLineFit, draw_intensities, fit_intensities
from bayesspec.line_design import LineDesign, line_design
from bayesspec.posterior import Estimate, ratio_of
from bayesspec.residual_lines import ResidualLine, residual_lines
from bayesspec.results import Result, attributes
from bayesspec.spectrum_image import SpectrumImage
from bayesspec.thin_film import Film

MISFIT = 1.5
PRIOR = "Intensities of lines, tails and continuum: flat where they are not negative."


class LineFit(Result):
    """Lines fitted to one spectrum: joint draws of the intensities, in counts, and the fitted curve."""

    kind = "line fit"
    pictures = ("rate",)
    in_counts = True

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines, tuple of str."""
        return tuple(str(line) for line in self.data["line"].values)

    @property
    def intensities(self) -> Estimate:
        """Counts in every line, dims (line,)."""
        return Estimate(self.data["intensity_draws"], "counts")

    @property
    def misfit(self) -> float:
        """Mean squared deviation from the fit over that of Poisson counts; well above 1 the line shapes are off."""
        return float(self.data.attrs["misfit"])

    def _draws(self, line: str) -> xr.DataArray:
        if line not in self.lines:
            raise InputError(f"the line {line!r}", f"one of {list(self.lines)}", f"fit.ratio({self.lines[0]!r}, ...)")
        return self.data["intensity_draws"].sel(line=line, drop=True)

    def ratio(self, numerator: str, denominator: str) -> Estimate:
        """Ratio of two lines.

        Parameters
        ----------
        numerator, denominator : str
            Names of fitted lines, such as ``"Fe_Ka"`` and ``"O_Ka"``.

        Returns
        -------
        Estimate, dims ()
            Ratio of the counts, overlap and background accounted for.

        Raises
        ------
        InputError
            When a line was not fitted.
        """
        return ratio_of(self._draws(numerator), self._draws(denominator), f"{numerator}/{denominator}")

    def k_ratio(self, line: str, standard: LineFit) -> Estimate:
        """Count rate of a line over that of a standard, at the same beam current.

        Parameters
        ----------
        line : str
            Name of a line that was fitted in both spectra.
        standard : LineFit
            Lines of the standard's spectrum.

        Returns
        -------
        Estimate, dims ()
            Ratio of the counts per second of live time.

        Raises
        ------
        InputError
            When the line was not fitted, or a live time is not known.
        """
        times = [json.loads(fit.data.attrs["acquisition"])["live_time_s"] for fit in (self, standard)]
        if None in times:
            raise InputError(f"live times {times} s", "both", "bs.load of files that hold it, or fit.ratio(...)")
        ours, theirs = self._draws(line), standard._draws(line)
        n = min(ours.sizes["draw"], theirs.sizes["draw"])
        shuffled = theirs.isel(draw=np.random.default_rng(n).permutation(theirs.sizes["draw"])[:n])
        return ratio_of(ours.isel(draw=slice(n)) / times[0], shuffled / times[1], f"k-ratio of {line}")

    def composition(
        self,
        k_factors: Mapping[str, KFactor],
        *,
        lines: Sequence[str] | None = None,
        film: Film | None = None,
        seed: int = 0,
    ) -> dict[str, Estimate]:
        """Composition by Cliff and Lorimer's method, or by zeta-factors where the film has a dose.

        Parameters
        ----------
        k_factors : mapping of str to float or (float, float)
            Weight-based k-factor of each line, or k-factor and its standard deviation.
        lines : sequence of str or None
            Lines that must have a k-factor; ``None`` quantifies those that have one.
        film : Film or None
            What corrects absorption or finds the thickness: ``bs.Film(mass_thickness=5e-4)``, or a dose, and then the
            factors are zeta-factors.
        seed : int
            Seed of the draws of uncertain k-factors.

        Returns
        -------
        dict of str to Estimate, dims (element,)
            ``"weight_percent"`` and ``"atomic_percent"``.

        Raises
        ------
        InputError
            When a line was not fitted, has no k-factor or one that is not positive, or the angle is not known.
        """
        missing = [line for line in lines or () if line not in k_factors]
        if missing:
            raise InputError(
                f"no k-factor of {', '.join(missing)}",
                "a weight-based k-factor for each of the lines",
                f"composition(k_factors={{..., {missing[0]!r}: 1.0}}), or lines=[...] without it",
            )
        return self._composition(self.data["intensity_draws"], k_factors, seed, film)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.verdict}; {self.intensities}>"


def fit_lines(
    image: SpectrumImage,
    elements: Sequence[str] | None = None,
    lines: Sequence[str] = (),
    *,
    calibrate: bool = True,
    escape: bool = False,
    seed: int = 0,
    draws: int = 1000,
) -> LineFit:
    """Fit the lines of a spectrum, or of the summed spectrum of an image.

    Counts are Poisson around line families, tails of soft lines and a continuum, all of them not negative.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image; a spectrum is a 1 x 1 image.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    lines : sequence of str
        Lines to fit on their own, apart from the rest of their shell, such as ``"Fe_Kb"``.
    calibrate : bool
        Refine energy axis and resolution first.
    escape : bool
        Add the escape peaks of a silicon detector; those of two photons at once are always there.
    seed : int
        Seed of the draws.
    draws : int
        Number of posterior draws.

    Returns
    -------
    LineFit
        Intensities, ratios, compositions; ``verdict`` names lines that nobody named.

    Raises
    ------
    InputError
        When no element is named, or an element or line is not known or not recorded.
    """
    if draws < 2:
        raise InputError(f"draws={draws}", "two or more", "bs.fit_lines(si, draws=1000)")
    if calibrate:
        calibration = calibrate_energy(image, elements, lines)
        image, design, note = calibration.image, calibration.design, repr(calibration)
    else:
        design, note = line_design(image, elements, lines), "as in the file"
    if escape:
        design = with_escape(design, image)
    counts = image.sum_spectrum()[design.channels]
    fit = fit_intensities(design.matrix, counts)
    drawn = draw_intensities(fit, np.random.default_rng(seed), draws)
    left = residual_lines(counts, fit.rate, design.energy, image, design.families)
    settings = {
        "seed": seed,
        "draws": draws,
        "prior": PRIOR,
        "calibration": note,
        "acquisition": asdict(image.acquisition),
    }
    return _result(image, design, fit, drawn, left, settings)


def _result(
    image: SpectrumImage,
    design: LineDesign,
    fit: PoissonLineFit,
    drawn: npt.NDArray[np.float64],
    left: list[ResidualLine],
    settings: dict[str, object],
) -> LineFit:
    counts = image.sum_spectrum()[design.channels]
    misfit = float(np.mean((counts - fit.rate) ** 2 / np.maximum(fit.rate, 1.0)))
    data = xr.Dataset(
        {
            "intensity_draws": (("draw", "line"), drawn[:, : design.n_lines], {"units": "counts"}),
            "other_draws": (("draw", "other"), drawn[:, design.n_lines :], {"units": "counts"}),
            "counts": (("energy",), counts, {"units": "counts"}),
            "rate": (("energy",), fit.rate, {"units": "counts"}),
        },
        coords={
            "line": list(design.lines),
            "other": list(design.backgrounds),
            "energy": ("energy", design.energy, {"units": image.energy_unit}),
        },
    )
    status = "Converged: the result can be used as it stands." if fit.converged else "The fit did not settle."
    attrs = attributes(
        name=image.name, method="Poisson line fit", status=status, converged=fit.converged, settings=settings
    )
    verdict = f"{design.n_lines} lines" + _notes(misfit, left)
    attrs |= {"verdict": verdict, "misfit": misfit, "acquisition": json.dumps(asdict(image.acquisition))}
    return LineFit(data.assign_attrs(attrs))


def _notes(misfit: float, left: list[ResidualLine]) -> str:
    notes = ""
    if left:
        named = "; ".join(
            f"at {line.energy_kev:.3f} keV ({' or '.join(line.candidates) or 'no known line'})" for line in left
        )
        warnings.warn(f"a line that no named element explains {named}: add the element", stacklevel=4)
        notes += f"; a line that nobody named {named}"
    if misfit > MISFIT:
        notes += (
            f"; the deviations are {np.sqrt(misfit):.2g} times those of Poisson counts: the intervals hold for repeats "
            "with the same detector, and leave out what the line shapes do not describe"
        )
    return notes
