"""A design for many spectra: what the summed spectrum determines is fixed, what varies from pixel to pixel is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayesspec.channel_bins import adaptive_bins, bin_sums
from bayesspec.conversion_gain import poisson_counts
from bayesspec.edge_design import fixed_edges
from bayesspec.energy_calibration import calibrate_energy
from bayesspec.errors import InputError
from bayesspec.inference.nonnegative_poisson import PoissonLineFit, fit_intensities
from bayesspec.line_design import LineDesign, line_design
from bayesspec.spectrum_image import SpectrumImage

Floats = npt.NDArray[np.float64]
FEWEST_FOR_TAIL = 1000.0
LARGEST_TAIL = 1.5
SOFT_KEV = 2.5
MANY_COUNTS = 500.0


@dataclass(frozen=True, eq=False)
class CondensedDesign:
    """Lines and one or two continua over few bins.

    Parameters
    ----------
    image : SpectrumImage
        The image, with a refined axis where it was calibrated.
    design : LineDesign
        Columns over the channels: lines with their tails, then continua whose shape is that of the summed spectrum.
    starts : array, shape (bin,), int64
        First channel of each bin, counted along ``design.channels``.
    intensities : array, shape (column,), float64
        Intensities in the summed spectrum.
    """

    image: SpectrumImage
    design: LineDesign
    starts: npt.NDArray[np.int64]
    intensities: Floats

    @property
    def matrix(self) -> Floats:
        """Expected counts per bin of one count in each column, shape (bin, column), float64."""
        return np.asarray(bin_sums(self.design.matrix.T, self.starts)).T

    def counts(self) -> npt.NDArray[np.uint32]:
        """Sum the counts of every pixel over the bins.

        Returns
        -------
        array, shape (y, x, bin), uint32
            Counts, those of excluded pixels included.
        """
        ny, nx, _ = self.image.shape
        binned = np.empty((ny, nx, len(self.starts)), np.uint32)
        for row in range(ny):
            binned[row] = bin_sums(self.image.counts[row][:, self.design.channels], self.starts, np.uint32)
        return binned


def condensed_design(
    image: SpectrumImage,
    elements: Sequence[str] | None = None,
    lines: Sequence[str] = (),
    *,
    calibrate: bool = False,
    continua: int | None = None,
    loss: float = 0.02,
) -> CondensedDesign:
    """Fix tails and continuum, or the shapes of edges and background, on the summed spectrum; join channels.

    Parameters
    ----------
    image : SpectrumImage
        An EDS or EELS image; counts of a camera are divided by their gain.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    lines : sequence of str
        Lines that are columns of their own.
    calibrate : bool
        Refine energy axis and resolution first.
    continua : {1, 2} or None
        Columns of continuum: one, or one for what is below 2.5 keV and one for the rest; ``None`` takes two where
        pixels hold more than 500 counts.
    loss : float
        Share of the information on the intensities that joining channels may lose.

    Returns
    -------
    CondensedDesign
        Columns over bins.

    Raises
    ------
    InputError
        When an element or line cannot be fitted, or there are no counts.
    """
    if image.acquisition.technique == "EELS":
        image = poisson_counts(image)
        design = fixed_edges(image, elements, lines)
        found = fit_intensities(design.matrix, image.sum_spectrum()[design.channels])
        return CondensedDesign(image, design, _bins(design, found, loss), found.intensities)
    if calibrate:
        calibration = calibrate_energy(image, elements, lines)
        image, design = calibration.image, calibration.design
    else:
        design = line_design(image, elements, lines)
    counts = image.sum_spectrum()[design.channels]
    if not counts.sum():
        raise InputError(f"no counts in {image.name!r} over the lines", "an image with counts", "another mask or crop")
    fit = fit_intensities(design.matrix, counts)
    two = image.counts_per_pixel > MANY_COUNTS if continua is None else continua == 2
    condensed = _condensed(design, fit, two=two)
    again = fit_intensities(condensed.matrix, counts)
    return CondensedDesign(image, condensed, _bins(condensed, again, loss), again.intensities)


def _bins(design: LineDesign, fit: PoissonLineFit, loss: float) -> npt.NDArray[np.int64]:
    gaps = np.flatnonzero(np.diff(design.channels) > 1) + 1
    return adaptive_bins(design.matrix, fit.intensities, loss=loss, gaps=gaps)


def _condensed(design: LineDesign, fit: PoissonLineFit, *, two: bool) -> LineDesign:
    others = {name: design.n_lines + i for i, name in enumerate(design.backgrounds)}
    matrix = design.matrix[:, : design.n_lines].copy()
    for column, line in enumerate(design.lines):
        tail = others.get(f"tail of {line}")
        if tail is not None and fit.intensities[column] > FEWEST_FOR_TAIL:
            ratio = min(fit.intensities[tail] / fit.intensities[column], LARGEST_TAIL)
            matrix[:, column] += ratio * design.matrix[:, tail]
    continuum = [i for name, i in others.items() if name.startswith(("continuum", "pile-up"))]
    curve = design.matrix[:, continuum] @ fit.intensities[continuum]
    if not curve.sum() > 0:
        curve = design.matrix[:, continuum].sum(axis=1)
    soft = 1.0 / (1.0 + (design.energy / SOFT_KEV) ** 4)
    parts = [curve * soft, curve * (1 - soft)] if two else [curve]
    parts = [part / part.sum() for part in parts if part.sum() > 0]
    names = ("soft continuum", "hard continuum")[: len(parts)] if len(parts) > 1 else ("continuum",)
    return replace(design, matrix=np.column_stack([matrix, *parts]), backgrounds=names)
