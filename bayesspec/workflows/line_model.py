"""The model of a spectrum's lines: elements that are named, lines that are not, and the detector as the lines show it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV
from bayesspec.spectroscopy.line_design import LineDesign, line_design, with_escape, with_families
from bayesspec.spectroscopy.shape_errors import AS_FILED
from bayesspec.spectroscopy.unnamed_lines import UnnamedLine, with_unnamed_lines
from bayesspec.workflows.calibrate_energy import EnergyCalibration, rate_slopes, refine_file_axis

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LineModel:
    """Columns of a spectrum, and how well the detector is known.

    Parameters
    ----------
    image : SpectrumImage
        The image, with its axis and resolution refined where it was calibrated.
    design : LineDesign
        Lines of the named elements, then those that nobody named, then backgrounds.
    unnamed : tuple of UnnamedLine
        Lines that no named element explains.
    calibration : EnergyCalibration or None
        What was refined, from `source`; ``None`` where the file is taken at its word.
    source : LineDesign
        The columns at the calibration of the file.
    filed : SpectrumImage
        The image as it came.
    """

    image: SpectrumImage
    design: LineDesign
    unnamed: tuple[UnnamedLine, ...]
    calibration: EnergyCalibration | None
    source: LineDesign
    filed: SpectrumImage

    @property
    def note(self) -> str:
        """The calibration in words."""
        return "as in the file" if self.calibration is None else repr(self.calibration)

    def changes(self, intensities: Floats) -> Floats:
        """How fitted intensities change with the calibration.

        Parameters
        ----------
        intensities : array, shape (column,), float64
            Intensities at the refined calibration.

        Returns
        -------
        array, shape (column, factor), float64
            Changes for one standard deviation of four independent factors, those at zero held there; no factor where
            nothing was refined.
        """
        if self.calibration is None:
            return np.zeros((len(intensities), 0))
        slopes = rate_slopes(self.source, self.filed, self.calibration.theta, intensities)
        used = intensities > 0
        root = 1.0 / np.sqrt(np.maximum(self.design.matrix @ intensities, 1e-3))
        columns = self.design.matrix[:, used] * root[:, None]
        size = np.sqrt(np.maximum(np.square(columns).sum(axis=0), 1e-300))
        columns = columns / size
        information = columns.T @ columns + 1e-10 * np.eye(columns.shape[1])
        factors = slopes @ np.linalg.cholesky(self.calibration.covariance)
        changes = np.zeros((len(intensities), factors.shape[1]))
        changes[used] = -np.linalg.solve(information, columns.T @ (factors * root[:, None])) / size[:, None]
        return changes


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
    counts = image.sum_spectrum()[design.channels]
    if not calibrate:
        found, unnamed = with_unnamed_lines(image, design, counts)
        return LineModel(image, found, tuple(unnamed), None, found, image)
    source, unnamed = with_unnamed_lines(image, design, counts, AS_FILED)
    calibration = refine_file_axis(image, source)
    found, again = with_unnamed_lines(calibration.image, _without_unnamed(calibration.design, design), counts)
    if again or unnamed:
        resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        source, unnamed = with_families(design, found.families[design.n_lines :], image, resolution), again
        calibration = refine_file_axis(image, source)
    return LineModel(calibration.image, calibration.design, tuple(unnamed), calibration, source, image)


def _without_unnamed(design: LineDesign, named: LineDesign) -> LineDesign:
    """The columns of the named elements at another calibration."""
    kept = [*range(named.n_lines), *range(design.matrix.shape[1] - len(named.backgrounds), design.matrix.shape[1])]
    return replace(named, matrix=design.matrix[:, kept], energy=design.energy)
