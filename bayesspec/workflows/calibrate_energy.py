"""The energy axis and the detector's width, refined on the lines of the summed spectrum."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.files.saved import Saved
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.deviance import model_error
from bayesspec.inference.linear_poisson.one_spectrum import PoissonLineFit, fit_intensities
from bayesspec.results.estimate import format_uncertain
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV, FANO_SLOPE_EV, gaussian_shares
from bayesspec.spectroscopy.line_design import LineDesign, line_design

Floats = npt.NDArray[np.float64]
NAMES = ("offset_ev", "gain", "resolution_mn_ka_ev", "slope_ev")
STEP = np.array([0.1, 1e-5, 0.1, 0.02])
"""Steps of the differences that stand for derivatives by the four, in the same units."""
LARGEST = np.array([8.0, 1e-3, 5.0, 0.3])
"""Largest changes of the four in one step: the search is linear within them."""
PRIOR_SD = (100.0, 0.03, 40.0, 0.4)
"""Standard deviations of offset (eV), gain, resolution (eV) and slope (eV) about those of the file."""
ITERATIONS = 25
"""Steps at most."""
SETTLED = 0.01
"""Change of the four, in their standard deviations, at which the search has settled."""
REWEIGHTINGS = 3
"""Times at most that the counts are weighted by the error of the model that they show."""
FEWEST_COUNTS = 500.0
"""Counts in the lines below which no axis is refined."""
WIDTHS_EV = (60.0, 400.0)
"""Resolutions that a detector can have, in eV."""


@dataclass(frozen=True, eq=False)
class EnergyCalibration(Saved):
    """Offset and gain of the energy axis and the detector's width, with their standard deviations.

    Energies are offset + gain x (energy of the file). Squared widths (full at half maximum) are
    resolution^2 + slope x (E - 5895 eV).

    Parameters
    ----------
    offset_ev, gain, resolution_mn_ka_ev, slope_ev : (float, float)
        Value and standard deviation of each.
    image : SpectrumImage
        The image with its axis and resolution corrected.
    design : LineDesign
        Columns of the lines and of the continuum at this calibration.
    covariance : array, shape (4, 4), float64
        Of offset, gain, resolution and slope.
    model_error : float
        Relative error of the line shapes per channel that the deviations show beyond Poisson noise; it is part of the
        standard deviations. 0 where there is none.
    converged : bool
        Whether the search settled.
    """

    offset_ev: tuple[float, float]
    gain: tuple[float, float]
    resolution_mn_ka_ev: tuple[float, float]
    slope_ev: tuple[float, float]
    image: SpectrumImage
    design: LineDesign
    covariance: Floats
    model_error: float
    converged: bool

    @property
    def theta(self) -> Floats:
        """Offset in eV, gain, resolution and slope in eV, shape (4,), float64."""
        return np.array([getattr(self, name)[0] for name in NAMES])

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {format_uncertain(*getattr(self, name))}" for name in NAMES[:3])
        return f"<EnergyCalibration: {values}{'' if self.converged else '; not converged: do not rely on it'}>"


@checked_arguments()
def calibrate_energy(
    image: SpectrumImage, elements: Sequence[str] | None = None, lines: Sequence[str] = ()
) -> EnergyCalibration:
    """Refine offset, gain and resolution on the summed spectrum.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image, or a spectrum as a 1 x 1 image.
    elements : sequence of str or None
        Elements whose lines are there; ``None`` takes those of the image.
    lines : sequence of str
        Lines that are columns of their own.

    Returns
    -------
    EnergyCalibration
        Values with standard deviations, and the corrected image. The intensities are fitted along with them, and
        weak normal priors keep what no line determines near the file's values: 100 eV, 3 %, 40 eV; slope 2.5(4) eV.

    Raises
    ------
    InputError
        When no element is named, a line is not recorded, or the lines hold fewer than 500 counts.

    Examples
    --------
    >>> import bayesspec as bs
    >>> found = bs.calibrate_energy(bs.simulate.iron_oxides(500, (16, 16), seed=0))
    >>> type(found.image).__name__
    'SpectrumImage'
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unknown resolution is what is being found
        design = line_design(image, elements, lines)
    y = image.sum_spectrum()[design.channels].astype(np.float64)
    in_lines = float(fit_intensities(design.matrix, y).intensities[: design.n_lines].sum())
    if in_lines < FEWEST_COUNTS:
        raise InputError(
            f"{in_lines:.0f} counts in the lines of {image.name!r}",
            f"{FEWEST_COUNTS:.0f} or more, to find their positions",
            "bs.calibrate_energy(si, elements=[...]) with the strong elements of the sample",
        )
    return robust_calibration(image, design, np.array(PRIOR_SD))


def robust_calibration(image: SpectrumImage, design: LineDesign, prior_sd: Floats) -> EnergyCalibration:
    """Refine offset, gain and resolution, deviations from the line shapes counted as errors of every channel.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.
    design : LineDesign
        Lines and background at the file's calibration.
    prior_sd : array, shape (4,), float64
        Standard deviations of offset in eV, gain, resolution in eV and slope in eV about the file's.

    Returns
    -------
    EnergyCalibration
        Values with standard deviations.
    """
    nominal = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
    y = image.sum_spectrum()[design.channels].astype(np.float64)
    fit = fit_intensities(design.matrix, y)
    problem = _Problem(image, design, y, np.ones_like(y), np.array([0.0, 1.0, nominal, FANO_SLOPE_EV]), prior_sd)
    state = _State(problem.start, fit, problem.objective(fit, problem.start), converged=False)
    state, error = _search(problem, state), 0.0
    for _ in range(REWEIGHTINGS):
        error = model_error(y, state.fit.rate / problem.weights)
        if not error:
            break
        problem = replace(problem, weights=1.0 / (1.0 + error**2 * np.maximum(state.fit.rate / problem.weights, 1.0)))
        fit = problem.fit(state.theta, state.fit.intensities)
        state = _search(problem, _State(state.theta, fit, problem.objective(fit, state.theta), converged=False))
    _, covariance = problem.scoring_step(state)
    return calibration_of(image, design, state.theta, covariance, error, converged=state.converged)


@dataclass(frozen=True, eq=False)
class _State:
    """Where the search is: calibration, fit of the intensities, value of the objective."""

    theta: Floats
    fit: PoissonLineFit
    loss: float
    converged: bool


@dataclass(frozen=True, eq=False)
class _Problem:
    """What the search sees. Weights below one stand for errors of the line shapes, in proportion to the counts."""

    image: SpectrumImage
    design: LineDesign
    counts: Floats
    weights: Floats
    start: Floats
    prior_sd: Floats

    def fit(self, theta: Floats, intensities: Floats | None = None) -> PoissonLineFit:
        matrix = shifted_matrix(self.design, self.image, theta) * self.weights[:, None]
        return fit_intensities(matrix, self.counts * self.weights, intensities)

    def objective(self, fit: PoissonLineFit, theta: Floats) -> float:
        return fit.deviance / 2 + 0.5 * float(np.square((theta - self.start) / self.prior_sd).sum())

    def scoring_step(self, state: _State) -> tuple[Floats, Floats]:
        """Fisher scoring in calibration and positive intensities together: step and covariance of the former."""
        fit, theta = state.fit, state.theta
        matrix = shifted_matrix(self.design, self.image, theta)[:, fit.intensities > 0]
        slopes = rate_slopes(self.design, self.image, theta, fit.intensities)
        jacobian = np.column_stack([slopes, matrix]) * self.weights[:, None]
        scale = 1.0 / np.sqrt(np.maximum((jacobian**2 / fit.rate[:, None]).sum(axis=0), 1e-300))
        scaled = jacobian * scale
        information = scaled.T @ (scaled / fit.rate[:, None]) + 1e-10 * np.eye(scaled.shape[1])
        gradient = scaled.T @ (self.counts * self.weights / fit.rate - 1.0)
        information[range(4), range(4)] += (scale[:4] / self.prior_sd) ** 2
        gradient[:4] -= scale[:4] * (theta - self.start) / self.prior_sd**2
        inverse = np.linalg.inv(information)
        return (scale * (inverse @ gradient))[:4], (scale[:, None] * inverse * scale[None])[:4, :4]


def _search(problem: _Problem, state: _State) -> _State:
    for _ in range(ITERATIONS):
        step, covariance = problem.scoring_step(state)
        sd = np.sqrt(np.diag(covariance))
        step = step / max(1.0, float(np.max(np.abs(step) / LARGEST)))
        trial = _halved(problem, state, step)
        if trial is None:
            return replace(state, converged=bool(np.all(np.abs(step) < 0.1 * sd)))
        moved, state = trial.theta - state.theta, trial
        if np.all(np.abs(moved) < SETTLED * sd):
            return replace(state, converged=True)
    return state


def _halved(problem: _Problem, state: _State, step: Floats) -> _State | None:
    """The first point along a step, halved, that is no worse; ``None`` where there is none."""
    for scale in 0.5 ** np.arange(7):
        theta = state.theta + scale * step
        fit = problem.fit(theta, state.fit.intensities)
        if (value := problem.objective(fit, theta)) <= state.loss + 1e-6:
            return _State(theta, fit, value, converged=False)
    return None


def calibration_of(
    image: SpectrumImage, design: LineDesign, theta: Floats, covariance: Floats, error: float, *, converged: bool
) -> EnergyCalibration:
    """Apply a calibration.

    Parameters
    ----------
    image : SpectrumImage
        The image.
    design : LineDesign
        Columns at the image's own calibration.
    theta : array, shape (4,), float64
        Offset in eV, gain, resolution at Mn Ka in eV, slope in eV.
    covariance : array, shape (4, 4), float64
        Of these.
    error : float
        Relative error of the line shapes that the deviations show.
    converged : bool
        Whether the search settled.

    Returns
    -------
    EnergyCalibration
        Values, corrected image and columns.
    """
    values = [(float(v), float(s)) for v, s in zip(theta, np.sqrt(np.diag(covariance)), strict=True)]
    acquisition = replace(image.acquisition, resolution_mn_ka_ev=float(theta[2]))
    corrected = image.changed(energy=axis_at(image, theta), acquisition=acquisition)
    matrix = shifted_matrix(design, image, theta)
    axis = corrected.energy[design.channels]
    refined = replace(design, matrix=matrix, energy=axis)
    return EnergyCalibration(
        values[0], values[1], values[2], values[3], corrected, refined, covariance, error, converged
    )


def axis_at(image: SpectrumImage, theta: Floats) -> Floats:
    """Energies of the channels at a calibration.

    Parameters
    ----------
    image : SpectrumImage
        The image.
    theta : array, shape (4,), float64
        Offset in eV, gain, resolution at Mn Ka in eV, slope in eV.

    Returns
    -------
    array, shape (energy,), float64
        Centres in keV.
    """
    return np.asarray(theta[0] / 1e3 + theta[1] * image.energy, np.float64)


def shifted_matrix(design: LineDesign, image: SpectrumImage, theta: Floats) -> Floats:
    """Columns of a design at another calibration; the smooth background stays.

    Parameters
    ----------
    design : LineDesign
        Columns at the image's own calibration.
    image : SpectrumImage
        The image.
    theta : array, shape (4,), float64
        Offset in eV, gain, resolution at Mn Ka in eV, slope in eV.

    Returns
    -------
    array, shape (channel, column), float64
        Counts per channel of one count in each column.
    """
    axis, resolution = axis_at(image, theta), float(np.clip(theta[2], *WIDTHS_EV))
    matrix = design.matrix.copy()
    for column, family in enumerate(design.families):
        energies, weights = np.array(family.energies_kev), np.array(family.weights)
        shape = gaussian_shares(energies, weights, axis, resolution, slope_ev=float(theta[3]))
        matrix[:, column] = shape[design.channels]
    return matrix


def rate_slopes(design: LineDesign, image: SpectrumImage, theta: Floats, intensities: Floats) -> Floats:
    """Derivatives of the expected counts of all lines by the calibration.

    Parameters
    ----------
    design : LineDesign
        Columns at the image's own calibration.
    image : SpectrumImage
        The image.
    theta : array, shape (4,), float64
        Offset in eV, gain, resolution at Mn Ka in eV, slope in eV.
    intensities : array, shape (column,), float64
        Intensities of lines and background.

    Returns
    -------
    array, shape (channel, 4), float64
        Counts per eV, per unit of gain, per eV, per eV.
    """
    energies = np.concatenate([family.energies_kev for family in design.families])
    weights = np.concatenate(
        [n * np.array(f.weights) for f, n in zip(design.families, intensities[: design.n_lines], strict=True)]
    )

    def rate(at: Floats) -> Floats:
        resolution = float(np.clip(at[2], *WIDTHS_EV))
        return gaussian_shares(energies, weights, axis_at(image, at), resolution, slope_ev=float(at[3]))[
            design.channels
        ]

    return np.column_stack([(rate(theta + step) - rate(theta - step)) / (2 * step.sum()) for step in np.diag(STEP)])
