"""The model of a spectrum's lines: elements that are named, lines that are not, and the detector as the lines show it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.inference.linear_poisson.uncertain_shapes import LEAST_RATE, UncertainFit, fit_uncertain, whitening
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV, FANO_SLOPE_EV
from bayesspec.spectroscopy.line_design import LineDesign, line_design, with_escape, with_families
from bayesspec.spectroscopy.shape_errors import AS_FILED, REFINED, TABULATED, design_errors
from bayesspec.spectroscopy.unnamed_lines import UnnamedLine, with_unnamed_lines
from bayesspec.workflows.calibrate_energy import (
    LARGEST,
    EnergyCalibration,
    axis_at,
    calibration_of,
    rate_slopes,
    shifted_matrix,
)

Floats = npt.NDArray[np.float64]


FILE_OFFSET_EV, FILE_GAIN, FILE_SLOPE_EV = 5.0, 5e-4, 0.4
"""How well the axis of a file is taken to be known before its lines are looked at (python benchmarks/spectra.py oxide)."""
FILE_WIDTH, ASSUMED_WIDTH_EV = 0.05, 10.0
"""The same for the resolution: relative, or in eV where 130 eV is assumed."""
STEPS = 20
ROUNDS = 6
LEAST_GAIN = 0.01
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
        errors = design_errors(found, start.intensities, image.energy, resolution)
        fit = fit_uncertain(found.matrix, counts, errors, start.intensities)
        return LineModel(image, found, tuple(unnamed), None, fit, np.zeros((len(start.intensities), 0)))
    source, unnamed = with_unnamed_lines(image, design, counts, AS_FILED)
    calibration, fit = refined(image, source)
    again, later = with_unnamed_lines(calibration.image, _without_unnamed(calibration.design, design), counts)
    if later or unnamed:
        resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        source, unnamed = with_families(design, again.families[design.n_lines :], image, resolution), later
        calibration, fit = refined(image, source)
    changes = _changes(image, source, calibration, fit)
    return LineModel(calibration.image, calibration.design, tuple(unnamed), calibration, fit, changes)


def refined(image: SpectrumImage, design: LineDesign) -> tuple[EnergyCalibration, UncertainFit]:
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
        Normal priors about the file's values: 5 eV, .05 %, 5 % of the resolution, or 10 eV where it is assumed. They are the
        result where there are no counts in the lines.
    fit : UncertainFit
        Intensities, with the shapes of the lines and the calibration integrated out.
    """
    known = image.acquisition.resolution_mn_ka_ev
    sd = np.array([FILE_OFFSET_EV, FILE_GAIN, ASSUMED_WIDTH_EV if known is None else FILE_WIDTH * known, FILE_SLOPE_EV])
    prior = np.array([0.0, 1.0, known or ASSUMED_RESOLUTION_EV, FANO_SLOPE_EV])
    theta, converged = prior.copy(), False
    counts = image.sum_spectrum()[design.channels].astype(np.float64)
    intensities = fit_intensities(design.matrix, counts).intensities
    for i in range(ROUNDS):
        before = theta
        rate = np.maximum(shifted_matrix(design, image, theta) @ intensities, LEAST_RATE)
        errors = TABULATED if i == 0 else REFINED
        shapes = design_errors(design, intensities, axis_at(image, theta), float(theta[2]), errors)
        theta, intensities = _descended(image, design, (theta, intensities), (prior, sd), whitening(shapes, rate))
        if i == 0:
            continue
        slopes = rate_slopes(design, image, theta, intensities) * sd
        back = (prior - theta) / sd
        found = fit_uncertain(
            shifted_matrix(design, image, theta), counts - slopes @ back, np.column_stack([slopes, shapes]), intensities
        )
        shown = np.maximum(found.fit.rate + slopes @ back, LEAST_RATE)
        found = replace(found, fit=replace(found.fit, rate=shown))
        covariance = sd[:, None] * found.deviate_covariance[:4, :4] * sd
        if np.all(np.abs(theta - before) < SETTLED * np.sqrt(np.diag(covariance))):
            converged = True
            break
    return calibration_of(image, design, theta, covariance, 0.0, converged=converged), found


def _descended(
    image: SpectrumImage,
    design: LineDesign,
    start: tuple[Floats, Floats],
    prior: tuple[Floats, Floats],
    white: Callable[[Floats], Floats],
) -> tuple[Floats, Floats]:
    """Calibration and intensities of the least squares with a fixed covariance, by halved Gauss-Newton steps."""
    (theta, intensities), (mean, sd) = start, prior
    y = white(image.sum_spectrum()[design.channels].astype(np.float64)[:, None])[:, 0]

    def solved(at: Floats) -> tuple[Floats, float]:
        matrix = white(shifted_matrix(design, image, at))
        size = np.sqrt(np.maximum(np.square(matrix).sum(axis=0), 1e-300))
        found, distance = nnls(matrix / size, y, maxiter=30 * matrix.shape[1])
        return found / size, distance**2 + float(np.square((at - mean) / sd).sum())

    intensities, value = solved(theta)
    for _ in range(STEPS):
        matrix = white(shifted_matrix(design, image, theta))[:, intensities > 0]
        slopes = white(rate_slopes(design, image, theta, intensities) * sd)
        size = np.sqrt(np.maximum(np.square(matrix).sum(axis=0), 1e-300))
        basis = np.linalg.qr(matrix / size)[0]
        slopes_left = slopes - basis @ (basis.T @ slopes)
        residual = y - matrix @ intensities[intensities > 0]
        information = slopes_left.T @ slopes_left + np.eye(4)
        step = sd * np.linalg.solve(information, slopes_left.T @ residual + (mean - theta) / sd)
        step = step / max(1.0, float(np.max(np.abs(step) / LARGEST)))
        for scale in 0.5 ** np.arange(6):
            trial, new = solved(theta + scale * step)
            if new <= value:
                break
        else:
            break
        theta, intensities, gained, value = theta + scale * step, trial, value - new, new
        if gained < LEAST_GAIN:
            break
    return theta, intensities


def _changes(image: SpectrumImage, design: LineDesign, calibration: EnergyCalibration, found: UncertainFit) -> Floats:
    """How the intensities change with the calibration, those at zero held there."""
    intensities = found.fit.intensities
    used, rate = intensities > 0, np.maximum(calibration.design.matrix @ intensities, 1e-3)
    slopes = rate_slopes(design, image, calibration.theta, intensities)
    errors = design_errors(design, intensities, calibration.image.energy, float(calibration.theta[2]))
    white = whitening(errors, rate)
    factors = white(slopes @ np.linalg.cholesky(calibration.covariance))
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
