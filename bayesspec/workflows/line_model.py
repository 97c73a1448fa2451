"""The model of a spectrum: named elements, lines that nobody named, and the detector as the lines show it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from bayesspec.errors import warn
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.inference.linear_poisson.uncertain_shapes import LEAST_RATE, UncertainFit, fit_uncertain, whitening
from bayesspec.results.estimate import format_uncertain
from bayesspec.spectroscopy.detector import (
    ASSUMED_RESOLUTION_EV,
    FANO_SLOPE_EV,
    FWHM_PER_SIGMA,
    LEAST_FWHM_EV,
    MN_KA_KEV,
    SpreadLines,
    fwhm_kev,
)
from bayesspec.spectroscopy.line_catalogue import strongest_kev
from bayesspec.spectroscopy.line_design import (
    LineDesign,
    line_design,
    lines_with_tails,
    with_escape,
    with_families,
)
from bayesspec.spectroscopy.line_maps import AS_IN_FILE
from bayesspec.spectroscopy.recorded import left_out, recorded_elements
from bayesspec.spectroscopy.shape_errors import (
    AS_FILED,
    LEAST_COUNTS,
    REFINED,
    TABULATED,
    design_errors,
    fitted_shapes,
    shape_errors,
)
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
NO_BEAM = "the file states no beam energy: every line of the elements is taken to be excited"
UNSETTLED = "the search for axis and resolution did not settle"
STEPS = 20
"""Steps of the search at most, in each round."""
ROUNDS = 6
"""Times at most that the errors of the shapes are computed at what the search has found."""
LEAST_GAIN = 0.01
"""Gain in the sum of squares below which a search ends."""
SETTLED = 0.05
"""Change of the calibration, in its standard deviations, at which the search has settled."""
SAID_EV, SAID_WIDTH, SAID_SD = 1.0, 0.02, 2.0
"""Corrections of the axis in eV and of the resolution, relative, that a verdict names, and standard deviations that
they must be: smaller ones move no ratio by a per cent (python benchmarks/spectra.py oxide)."""
OPEN_EV = ASSUMED_WIDTH_EV / 2
"""Standard deviation of an assumed resolution, in eV, above which the lines have not shown it, as it is still more than
half of what is assumed: a warning. Coverage where the file states no resolution: ``python benchmarks/spectra.py
oxide``."""


@dataclass(frozen=True, eq=False)
class LineModel:
    """Columns of a spectrum, and how well their shapes are known.

    Parameters
    ----------
    source : SpectrumImage
        The image as it came.
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
    shapes : array, shape (channel, line), float64
        Shapes of the lines as the spectrum shows them: those of the design with the errors of minor peaks as found.
    other_shapes : tuple of array, each of shape (channel, line), float64
        The same with independent errors of calibration and shapes, one standard deviation each.
    left_out : tuple of str
        Elements that have no line among the energies that were recorded and excited.
    """

    source: SpectrumImage
    image: SpectrumImage
    design: LineDesign
    unnamed: tuple[UnnamedLine, ...]
    calibration: EnergyCalibration | None
    found: UncertainFit
    changes: Floats
    shapes: Floats
    other_shapes: tuple[Floats, ...]
    left_out: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """The calibration in words."""
        return AS_IN_FILE if self.calibration is None else repr(self.calibration)

    @property
    def remarks(self) -> str:
        """What a verdict says of elements, beam and calibration: what is missing, and corrections that matter."""
        missing = "" if not self.left_out else f"; {left_out(self.source, self.left_out)}"
        if self.source.acquisition.beam_energy_kev is None:
            missing += f"; {NO_BEAM}"
        if self.calibration is None:
            return missing
        return missing + _correction(self) + _width(self) + ("" if self.calibration.converged else f"; {UNSETTLED}")

    @property
    def designs(self) -> tuple[LineDesign, ...]:
        """The design with the lines as found, then with every independent error of their shapes."""
        others = self.design.matrix[:, self.design.n_lines :]
        return tuple(
            replace(self.design, matrix=np.column_stack([lines, others])) for lines in (self.shapes, *self.other_shapes)
        )

    @property
    def line_spectra(self) -> list[dict[str, Floats]]:
        """Spectrum of one count in each line (energy,), tails included, for each of the designs."""
        found = []
        for design in self.designs:
            whole = np.zeros((len(self.image.energy), design.n_lines))
            whole[design.channels] = lines_with_tails(design, self.found.fit.intensities)
            found.append(dict(zip(design.lines, whole.T, strict=True)))
        return found


def _correction(model: LineModel) -> str:
    """The correction of the axis at the strongest line, where it matters."""
    assert model.calibration is not None
    counts = model.found.fit.intensities[: model.design.n_lines]
    if not counts.any():
        return ""
    strongest = model.design.families[int(counts.argmax())]
    at = np.array([1.0, 1e3 * strongest_kev(strongest), 0.0, 0.0])
    shift = float(at @ (model.calibration.theta - [0.0, 1.0, 0.0, 0.0]))
    sd = float(np.sqrt(at @ model.calibration.covariance @ at))
    if abs(shift) < max(SAID_EV, SAID_SD * sd):
        return ""
    return f"; energy axis corrected by {format_uncertain(shift, sd)} eV at {strongest.name}"


def _width(model: LineModel) -> str:
    """The resolution, where it is not what the file says, or the file says none."""
    assert model.calibration is not None
    stated, (value, sd) = model.source.acquisition.resolution_mn_ka_ev, model.calibration.resolution_mn_ka_ev
    found = f"; resolution {format_uncertain(value, sd)} eV at Mn Ka"
    if stated is None:
        return f"{found}, which the file does not state"
    if abs(value - stated) < max(SAID_WIDTH * stated, SAID_SD * sd):
        return ""
    return f"{found} where the file states {stated:.4g} eV"


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
        When no element is named, none of them or a line is not recorded, or one is not known.

    Warns
    -----
    UserWarning
        When an element has no line among the energies that are recorded, or the resolution is neither stated nor shown.
    """
    asked = list(elements) if elements is not None else list(image.elements)
    named, unrecorded = recorded_elements(image, asked)
    if not named:
        named, unrecorded = asked, []
    if unrecorded:
        warn(left_out(image, unrecorded))
    with warnings.catch_warnings():
        if calibrate:
            warnings.simplefilter("ignore")  # an unknown resolution is what is being found
        design = line_design(image, named, lines)
    if escape:
        design = with_escape(design, image)
    counts = image.sum_spectrum()[design.channels].astype(np.float64)
    if not calibrate:
        found, unnamed = with_unnamed_lines(image, design, counts)
        start = fit_intensities(found.matrix, counts)
        resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        errors = design_errors(found, start.intensities, image.energy, resolution, TABULATED)
        fit = fit_uncertain(found.matrix, counts, errors, start.intensities)
        owned = _owned(found, start.intensities, image.energy, resolution, len(errors.T))
        nothing = np.zeros((len(start.intensities), 0))
        shapes, *others = _shapes(found, fit, owned)
        return LineModel(
            image, image, found, tuple(unnamed), None, fit, nothing, shapes, tuple(others), tuple(unrecorded)
        )
    source, unnamed = with_unnamed_lines(image, design, counts, AS_FILED)
    fitted = refined(image, source)
    calibration = fitted.calibration
    again, later = with_unnamed_lines(calibration.image, _without_unnamed(calibration.design, design), counts)
    if later or unnamed:
        resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        source, unnamed = with_families(design, again.families[design.n_lines :], image, resolution), later
        fitted = refined(image, source)
        calibration = fitted.calibration
    if image.acquisition.resolution_mn_ka_ev is None and calibration.resolution_mn_ka_ev[1] > OPEN_EV:
        warn(
            f"the detector's resolution is not known, and the lines do not show it: {ASSUMED_RESOLUTION_EV:.0f} eV at "
            f"Mn Ka is assumed, to {ASSUMED_WIDTH_EV:.0f} eV; give bs.load(..., resolution_mn_ka_ev=...)"
        )
    shapes, *others = fitted.shapes
    return LineModel(
        image,
        calibration.image,
        calibration.design,
        tuple(unnamed),
        calibration,
        fitted.fit,
        fitted.changes,
        shapes,
        tuple(others),
        tuple(unrecorded),
    )


class Refined(NamedTuple):
    """A spectrum fitted with axis and resolution refined.

    Parameters
    ----------
    calibration : EnergyCalibration
        Normal priors about the file's values: 5 eV, .05 %, 5 % of the resolution, or 10 eV where it is assumed. They
        are the result where there are no counts in the lines.
    fit : UncertainFit
        Intensities, with the shapes of the lines and the calibration integrated out.
    changes : array, shape (column, 4), float64
        Changes of the intensities with four independent factors of the calibration, one standard deviation each.
    shapes : tuple of array, each of shape (channel, line), float64
        Shapes of the lines as found, then with independent errors of calibration and shapes, one standard deviation
        each.
    """

    calibration: EnergyCalibration
    fit: UncertainFit
    changes: Floats
    shapes: tuple[Floats, ...]


def refined(image: SpectrumImage, design: LineDesign) -> Refined:
    """Refine axis and resolution from the file's on the summed spectrum, and fit it.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.
    design : LineDesign
        Lines and background at the file's calibration.

    Returns
    -------
    Refined
        Calibration, fit and shapes.
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
    changed = _changes(problem, at, known, found)
    owned = problem.owned(at, intensities, shapes)
    return Refined(known, found, changed, _shapes(known.design, found, owned, len(at)))


def axis_prior(image: SpectrumImage) -> tuple[list[float], list[float]]:
    """Where a file's axis is, and how well that is taken to be known.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.

    Returns
    -------
    mean, sd : list of 4 float
        Offset in eV, gain, resolution in eV, slope in eV.
    """
    known = image.acquisition.resolution_mn_ka_ev
    width = ASSUMED_WIDTH_EV if known is None else FILE_WIDTH * known
    mean = [0.0, 1.0, known or ASSUMED_RESOLUTION_EV, FANO_SLOPE_EV]
    return mean, [FILE_OFFSET_EV, FILE_GAIN, width, FILE_SLOPE_EV]


class _Prior(NamedTuple):
    """Means and standard deviations of calibration, shifts of the families in eV, relative changes of their widths."""

    mean: Floats
    sd: Floats
    families: npt.NDArray[np.int64]


def _prior(image: SpectrumImage, design: LineDesign, intensities: Floats) -> _Prior:
    own = axis_prior(image)
    families = np.flatnonzero(intensities[: design.n_lines] > LEAST_COUNTS)
    shifts, widths = (np.full(len(families), error) for error in REFINED)
    return _Prior(np.concatenate([own[0], 0 * shifts, 0 * widths]), np.concatenate([own[1], shifts, widths]), families)


@dataclass(frozen=True, eq=False)
class _Problem:
    """The spectrum as a function of the calibration and of the shift and width of every family."""

    image: SpectrumImage
    design: LineDesign
    counts: Floats
    prior: _Prior

    @cached_property
    def _transitions(self) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
        """Energies in keV, weights and families of all transitions."""
        families = self.design.families
        owners = np.repeat(np.arange(len(families)), [len(family.weights) for family in families])
        energies, weights = (np.concatenate([getattr(f, of) for f in families]) for of in ("energies_kev", "weights"))
        return energies, weights, owners

    def _moved(self, at: Floats) -> tuple[SpreadLines, Floats]:
        """All transitions at the calibration, with shifts and widths of their own; resolutions in eV."""
        energies, _, owners = self._transitions
        shift, wider = np.zeros((2, self.design.n_lines))
        shift[self.prior.families], wider[self.prior.families] = np.split(at[CALIBRATED:], 2)
        own, broader = energies + shift[owners] / 1e3, 1 + wider[owners]
        resolution = np.clip(at[2] * broader, *WIDTHS_EV)
        sigma = fwhm_kev(own, resolution, slope_ev=at[3] * broader**2) / FWHM_PER_SIGMA
        return SpreadLines(own, sigma, owners, self.design.n_lines, axis_at(self.image, at)), resolution

    def matrix(self, at: Floats) -> Floats:
        """Columns of the design."""
        matrix = self.design.matrix.copy()
        if n := self.design.n_lines:
            matrix[:, :n] = self._moved(at)[0].shares(self._transitions[1])[self.design.channels]
        return matrix

    def _family_slopes(self, at: Floats) -> Floats:
        """Change of one count in each family (parameter, channel, family) for a prior sd: calibration, shift, width."""
        energies, weights, owners = self._transitions
        lines, resolution = self._moved(at)
        by_energy, by_sigma, by_gain = lines.derivatives()
        width_ev = 1e3 * FWHM_PER_SIGMA * lines.sigma
        n = len(self.prior.families)
        wider = np.zeros(self.design.n_lines)
        wider[self.prior.families] = at[CALIBRATED + n :]
        broader = (1 + wider)[owners]
        free = 1e-3 / FWHM_PER_SIGMA / width_ev * (width_ev > LEAST_FWHM_EV)
        by_width = {
            "resolution": by_sigma * free * (resolution * broader)[lines.transition],
            "slope": by_sigma * free * 500.0 * ((energies - MN_KA_KEV) * broader**2)[lines.transition],
            "energy": by_sigma * free * 500.0 * (at[3] * broader**2)[lines.transition],
            "wider": by_sigma * lines.sigma / broader[lines.transition],
        }
        changes = [
            -by_energy / 1e3,
            (by_gain + at[0] / 1e3 * by_energy) / at[1],
            by_width["resolution"],
            by_width["slope"],
            (by_energy + by_width["energy"]) / 1e3,
            by_width["wider"],
        ]
        sds = [*self.prior.sd[:CALIBRATED], *REFINED]
        found = [sd * lines.summed(change * weights[lines.transition]) for sd, change in zip(sds, changes, strict=True)]
        return np.array(found)[:, self.design.channels]

    def slopes(self, at: Floats, intensities: Floats) -> Floats:
        """Changes of the expected counts for one prior standard deviation of every parameter."""
        used = self.prior.families
        if not len(used):
            return np.zeros((len(self.counts), len(at)))
        changes = (self._family_slopes(at) * intensities[: self.design.n_lines])[:, :, used]
        return np.column_stack([changes[:CALIBRATED].sum(axis=2).T, changes[CALIBRATED], changes[CALIBRATED + 1]])

    def linear_errors(self, at: Floats, intensities: Floats) -> Floats:
        """What else the shapes leave open."""
        resolution = float(np.clip(at[2], *WIDTHS_EV))
        return design_errors(self.design, intensities, axis_at(self.image, at), resolution, TABULATED)

    def owned(self, at: Floats, intensities: Floats, shapes: Floats) -> Floats:
        """Changes of the counts of every family (error, channel, family): parameters, then what else is open."""
        found = np.zeros((len(at), len(self.counts), self.design.n_lines))
        if n := len(used := self.prior.families):
            changes = (self._family_slopes(at) * intensities[: self.design.n_lines])[:, :, used]
            found[:CALIBRATED, :, used] = changes[:CALIBRATED]
            for k in (0, 1):
                found[CALIBRATED + k * n + np.arange(n), :, used] = changes[CALIBRATED + k].T
        resolution = float(np.clip(at[2], *WIDTHS_EV))
        others = _owned(self.design, intensities, axis_at(self.image, at), resolution, shapes.shape[1])
        return np.concatenate([found, others])

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


def _owned(design: LineDesign, intensities: Floats, energy: Floats, resolution: float, number: int) -> Floats:
    """Errors of the shapes that belong to a family (error, channel, family); nothing in the other ones of a number."""
    columns, owners = shape_errors(
        design.families, intensities[: design.n_lines], energy, design.channels, resolution, TABULATED
    )
    found = np.zeros((number, len(design.channels), design.n_lines))
    shaped = np.flatnonzero(owners >= 0)
    found[shaped, :, owners[shaped]] = columns.T[shaped]
    return found


def _shapes(design: LineDesign, found: UncertainFit, changes: Floats, moved: int = 0) -> tuple[Floats, ...]:
    """Shapes of the lines as found, and with independent errors; the design is at the first, moved, ones already."""
    n, deviates = design.n_lines, found.deviates.copy()
    deviates[:moved] = 0.0
    return fitted_shapes(
        design.matrix[:, :n], found.fit.intensities[:n], changes, deviates, found.deviate_covariance, found.fit.rate
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
