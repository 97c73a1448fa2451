"""The model of a spectrum: named elements, lines that nobody named, and the detector as the lines show it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.inference.linear_poisson.uncertain_shapes import LEAST_RATE, UncertainFit, fit_uncertain, whitening
from bayesspec.spectroscopy.detector import (
    ASSUMED_RESOLUTION_EV,
    FANO_SLOPE_EV,
    FWHM_PER_SIGMA,
    fwhm_kev,
    spread_gaussians,
)
from bayesspec.spectroscopy.line_design import LineDesign, line_design, with_escape, with_families
from bayesspec.spectroscopy.shape_errors import AS_FILED, LEAST_COUNTS, REFINED, TABULATED, design_errors
from bayesspec.spectroscopy.unnamed_lines import UnnamedLine, with_unnamed_lines
from bayesspec.workflows.calibrate_energy import (
    LARGEST,
    WIDTHS_EV,
    EnergyCalibration,
    axis_at,
    calibration_of,
)

Floats = npt.NDArray[np.float64]


FILE_OFFSET_EV, FILE_GAIN, FILE_SLOPE_EV = 5.0, 5e-4, 0.4
"""How well the axis of a file is taken to be known (python benchmarks/spectra.py oxide)."""
FILE_WIDTH, ASSUMED_WIDTH_EV = 0.05, 10.0
"""The same for the resolution: relative, or in eV where 130 eV is assumed."""
CALIBRATED = 4
"""Parameters of a calibration: offset, gain, resolution and slope of the squared width."""
STEP_SD = 0.02
"""Step of the differences that stand for derivatives, in prior standard deviations."""
STEPS = 20
"""Steps of the search at most, in each round."""
ROUNDS = 6
"""Times at most that the errors of the shapes are computed at what the search has found."""
LEAST_GAIN = 0.01
"""Gain in the sum of squares below which a search ends."""
SETTLED = 0.05
"""Change of the calibration, in its standard deviations, at which the search has settled."""


@dataclass(frozen=True, eq=False)
class LineModel:
    """Columns of a spectrum, and how well their shapes are known.

    Parameters
    ----------
    image : SpectrumImage
        The image, with its axis and resolution refined where it was calibrated.
    design : LineDesign
        Lines of the named elements, then those that nobody named, then backgrounds.
    unnamed : tuple of UnnamedLine
        Lines that no named element explains.
    calibration : EnergyCalibration or None
        What was refined; ``None`` where the file is taken at its word.
    found : UncertainFit
        Fit of the summed spectrum, with what tables and calibration leave open.
    changes : array, shape (column, 4), float64
        Changes of the intensities with four independent factors of the calibration, one standard deviation each; no
        factor where nothing was refined.
    """

    image: SpectrumImage
    design: LineDesign
    unnamed: tuple[UnnamedLine, ...]
    calibration: EnergyCalibration | None
    found: UncertainFit
    changes: Floats

    @property
    def note(self) -> str:
        """The calibration in words."""
        return "as in the file" if self.calibration is None else repr(self.calibration)


def line_model(
    image: SpectrumImage,
    elements: Sequence[str] | None = None,
    lines: Sequence[str] = (),
    *,
    calibrate: bool = True,
    escape: bool = False,
) -> LineModel:
    """Build the columns of a spectrum's lines.

    Lines that no named element explains are looked for on the axis of the file, lines of the named elements and these
    refine the axis, and then they are looked for again.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image; its summed spectrum is what is looked at.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    lines : sequence of str
        Lines that are columns of their own.
    calibrate : bool
        Refine energy axis and resolution from the file's values.
    escape : bool
        Add the escape peaks of a silicon detector.

    Returns
    -------
    LineModel
        Columns, unnamed lines and calibration.

    Raises
    ------
    InputError
        When no element is named, or an element or line is not known or not recorded.
    """
    with warnings.catch_warnings():
        if calibrate:
            warnings.simplefilter("ignore")  # an unknown resolution is what is being found
        design = line_design(image, elements, lines)
    if escape:
        design = with_escape(design, image)
    counts = image.sum_spectrum()[design.channels].astype(np.float64)
    if not calibrate:
        found, unnamed = with_unnamed_lines(image, design, counts)
        start = fit_intensities(found.matrix, counts)
        resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        errors = design_errors(found, start.intensities, image.energy, resolution, TABULATED)
        fit = fit_uncertain(found.matrix, counts, errors, start.intensities)
        return LineModel(image, found, tuple(unnamed), None, fit, np.zeros((len(start.intensities), 0)))
    source, unnamed = with_unnamed_lines(image, design, counts, AS_FILED)
    calibration, fit, changes = refined(image, source)
    again, later = with_unnamed_lines(calibration.image, _without_unnamed(calibration.design, design), counts)
    if later or unnamed:
        resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        source, unnamed = with_families(design, again.families[design.n_lines :], image, resolution), later
        calibration, fit, changes = refined(image, source)
    return LineModel(calibration.image, calibration.design, tuple(unnamed), calibration, fit, changes)


def refined(image: SpectrumImage, design: LineDesign) -> tuple[EnergyCalibration, UncertainFit, Floats]:
    """Refine axis and resolution from the file's on the summed spectrum, and fit it.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.
    design : LineDesign
        Lines and background at the file's calibration.

    Returns
    -------
    calibration : EnergyCalibration
        Normal priors about the file's values: 5 eV, .05 %, 5 % of the resolution, or 10 eV where it is assumed. They
        are the result where there are no counts in the lines.
    fit : UncertainFit
        Intensities, with the shapes of the lines and the calibration integrated out.
    changes : array, shape (column, 4), float64
        Changes of the intensities with four independent factors of the calibration, one standard deviation each.
    """
    counts = image.sum_spectrum()[design.channels].astype(np.float64)
    intensities = fit_intensities(design.matrix, counts).intensities
    problem = _Problem(image, design, counts, _prior(image, design, intensities))
    at, converged = problem.prior.mean, False
    free = np.arange(len(at)) < CALIBRATED
    for _ in range(ROUNDS):
        before = at
        shapes = problem.linear_errors(at, intensities)
        white = whitening(shapes, np.maximum(problem.matrix(at) @ intensities, LEAST_RATE))
        at, intensities = problem.descended(at, white, free)
        if not free.all():
            free = np.ones(len(at), bool)
            continue
        found, covariance = problem.fitted(at, intensities, shapes)
        if np.all(np.abs(at - before) < SETTLED * np.sqrt(np.diag(covariance))):
            converged = True
            break
    theta = at[:CALIBRATED]
    known = calibration_of(image, design, theta, covariance[:CALIBRATED, :CALIBRATED], 0.0, converged=converged)
    known = replace(known, design=replace(known.design, matrix=problem.matrix(at)))
    return known, found, _changes(problem, at, known, found)


class _Prior(NamedTuple):
    """Means and standard deviations of calibration, shifts of the families in eV, relative changes of their widths."""

    mean: Floats
    sd: Floats
    families: npt.NDArray[np.int64]


def _prior(image: SpectrumImage, design: LineDesign, intensities: Floats) -> _Prior:
    known = image.acquisition.resolution_mn_ka_ev
    width = ASSUMED_WIDTH_EV if known is None else FILE_WIDTH * known
    families = np.flatnonzero(intensities[: design.n_lines] > LEAST_COUNTS)
    own = [0.0, 1.0, known or ASSUMED_RESOLUTION_EV, FANO_SLOPE_EV], [FILE_OFFSET_EV, FILE_GAIN, width, FILE_SLOPE_EV]
    shifts, widths = (np.full(len(families), error) for error in REFINED)
    return _Prior(np.concatenate([own[0], 0 * shifts, 0 * widths]), np.concatenate([own[1], shifts, widths]), families)


@dataclass(frozen=True, eq=False)
class _Problem:
    """The spectrum as a function of the calibration and of the shift and width of every family."""

    image: SpectrumImage
    design: LineDesign
    counts: Floats
    prior: _Prior

    def _moved(self, at: Floats, families: Sequence[int], weights: Sequence[float]) -> Floats:
        """Some families, each times a weight, at the calibration and with shifts and widths of their own."""
        n, energies, sigmas, parts = len(self.prior.families), [], [], []
        for family, weight in zip(families, weights, strict=True):
            place = np.flatnonzero(self.prior.families == family)
            shift, wider = (float(at[CALIBRATED:][k * n + place].sum()) for k in (0, 1))
            own = np.array(self.design.families[family].energies_kev) + shift / 1e3
            resolution = float(np.clip(at[2] * (1 + wider), *WIDTHS_EV))
            energies.append(own)
            sigmas.append(fwhm_kev(own, resolution, slope_ev=at[3] * (1 + wider) ** 2) / FWHM_PER_SIGMA)
            parts.append(weight * np.array(self.design.families[family].weights))
        of = np.concatenate(energies), np.concatenate(parts), np.concatenate(sigmas)
        return spread_gaussians(*of, axis_at(self.image, at))[self.design.channels]

    def matrix(self, at: Floats) -> Floats:
        """Columns of the design."""
        matrix = self.design.matrix.copy()
        for family in range(self.design.n_lines):
            matrix[:, family] = self._moved(at, [family], [1.0])
        return matrix

    def slopes(self, at: Floats, intensities: Floats) -> Floats:
        """Changes of the expected counts for one prior standard deviation of every parameter."""
        used, n = self.prior.families.tolist(), len(self.prior.families)
        found = np.zeros((len(self.counts), len(at)))
        for i in range(len(at)):
            step = STEP_SD * self.prior.sd[i] * (np.arange(len(at)) == i)
            of = used if i < CALIBRATED else [used[(i - CALIBRATED) % n]]
            if of:
                ahead, behind = (self._moved(at + sign * step, of, intensities[of].tolist()) for sign in (1.0, -1.0))
                found[:, i] = (ahead - behind) / (2 * STEP_SD)
        return found

    def linear_errors(self, at: Floats, intensities: Floats) -> Floats:
        """What else the shapes leave open."""
        resolution = float(np.clip(at[2], *WIDTHS_EV))
        return design_errors(self.design, intensities, axis_at(self.image, at), resolution, TABULATED)

    def descended(
        self, at: Floats, white: Callable[[Floats], Floats], free: npt.NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Parameters and intensities of the least squares with a fixed covariance, by halved Gauss-Newton steps."""
        mean, sd, y = self.prior.mean, self.prior.sd, white(self.counts[:, None])[:, 0]

        def solved(where: Floats) -> tuple[Floats, float]:
            matrix = white(self.matrix(where))
            size = np.sqrt(np.maximum(np.square(matrix).sum(axis=0), 1e-300))
            found, distance = nnls(matrix / size, y, maxiter=30 * matrix.shape[1])
            return found / size, distance**2 + float(np.square((where - mean) / sd).sum())

        intensities, value = solved(at)
        for _ in range(STEPS):
            used = intensities > 0
            matrix = white(self.matrix(at))[:, used]
            basis = np.linalg.qr(matrix / np.sqrt(np.maximum(np.square(matrix).sum(axis=0), 1e-300)))[0]
            slopes = white(self.slopes(at, intensities)[:, free])
            slopes -= basis @ (basis.T @ slopes)
            pull = slopes.T @ (y - matrix @ intensities[used]) + ((mean - at) / sd)[free]
            step = np.zeros(len(at))
            step[free] = sd[free] * np.linalg.solve(slopes.T @ slopes + np.eye(free.sum()), pull)
            step /= max(1.0, float(np.max(np.abs(step[:CALIBRATED]) / LARGEST)))
            for scale in 0.5 ** np.arange(6):
                trial, new = solved(at + scale * step)
                if new <= value:
                    break
            else:
                break
            at, intensities, gained, value = at + scale * step, trial, value - new, new
            if gained < LEAST_GAIN:
                break
        return at, intensities

    def fitted(self, at: Floats, intensities: Floats, shapes: Floats) -> tuple[UncertainFit, Floats]:
        """Intensities with everything else integrated out, and the covariance of the parameters."""
        sd, slopes = self.prior.sd, self.slopes(at, intensities)
        back = slopes @ ((self.prior.mean - at) / sd)
        found = fit_uncertain(self.matrix(at), self.counts - back, np.column_stack([slopes, shapes]), intensities)
        rate = np.maximum(found.fit.rate + back, LEAST_RATE)
        n = len(at)
        return (
            replace(found, fit=replace(found.fit, rate=rate)),
            sd[:, None] * found.deviate_covariance[:n, :n] * sd,
        )


def _changes(problem: _Problem, at: Floats, calibration: EnergyCalibration, found: UncertainFit) -> Floats:
    """How the intensities change with the calibration, those at zero held there."""
    intensities = found.fit.intensities
    used, rate = intensities > 0, np.maximum(calibration.design.matrix @ intensities, LEAST_RATE)
    slopes = problem.slopes(at, intensities)
    white = whitening(np.column_stack([problem.linear_errors(at, intensities), slopes[:, CALIBRATED:]]), rate)
    factors = white((slopes / problem.prior.sd)[:, :CALIBRATED] @ np.linalg.cholesky(calibration.covariance))
    columns = white(calibration.design.matrix[:, used])
    size = np.sqrt(np.maximum(np.square(columns).sum(axis=0), 1e-300))
    columns = columns / size
    information = columns.T @ columns + 1e-10 * np.eye(columns.shape[1])
    changes = np.zeros((len(intensities), factors.shape[1]))
    changes[used] = -np.linalg.solve(information, columns.T @ factors) / size[:, None]
    return changes


def _without_unnamed(design: LineDesign, named: LineDesign) -> LineDesign:
    """The columns of the named elements at another calibration."""
    kept = [*range(named.n_lines), *range(design.matrix.shape[1] - len(named.backgrounds), design.matrix.shape[1])]
    return replace(named, matrix=design.matrix[:, kept], energy=design.energy)
