"""A design for many spectra: what the summed spectrum determines is fixed, what varies from pixel to pixel is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.one_spectrum import PoissonLineFit, fit_intensities
from bayesspec.spectroscopy.edge_design import fixed_edges
from bayesspec.spectroscopy.line_design import LineDesign, lines_with_tails
from bayesspec.spectroscopy.line_maps import AS_IN_FILE
from bayesspec.workflows.divide_gain import poisson_counts
from bayesspec.workflows.line_model import line_model

Floats = npt.NDArray[np.float64]
LOSS = 0.02
"""Share of the information on the intensities that is given up, on average, when channels are joined: for speed."""
SOFT_KEV = 2.5
"""Energy, in keV, about which the continuum is divided into a soft and a hard part."""
MANY_COUNTS = 500.0
"""Counts a pixel above which the two parts of the continuum are fitted one by one."""

# Channels summed into few bins that still tell the columns of a design apart


def adaptive_bins(
    matrix: Floats, intensities: Floats, *, loss: float = LOSS, limit: int = 512, gaps: npt.ArrayLike | None = None
) -> npt.NDArray[np.int64]:
    """Join neighbouring channels as long as the intensities stay as well determined as they were.

    In a channel the score of the intensities is the vector of its columns over its rate. Joining two channels loses
    the information in the difference of their scores; the pair that loses least, measured against the information of
    all channels, is joined first.

    Parameters
    ----------
    matrix : array, shape (channel, column), float64
        Expected counts per unit of intensity.
    intensities : array, shape (column,), float64
        Where the information is measured, such as those of the summed spectrum.
    loss : float
        Share of the information that may be lost, averaged over the columns.
    limit : int
        Bins that there may be at most, whatever is lost.
    gaps : array of int or None
        Channels before which the axis is interrupted: no bin reaches across.

    Returns
    -------
    array, shape (bin,), int64
        First channel of each bin.
    """
    used = (matrix.sum(axis=0) > 0) & (intensities >= 0)
    level = np.maximum(intensities[used], 1e-3 * max(float(intensities.sum()), 1.0) / used.sum())
    rate = matrix[:, used] @ level + 1e-12
    score = matrix[:, used] / rate[:, None]
    values, vectors = np.linalg.eigh(_scaled(score.T @ (score * rate[:, None])))
    scale = 1.0 / np.sqrt(np.maximum((score**2 * rate[:, None]).sum(axis=0), 1e-300))
    kept = values > 1e-6 * values.max()
    score = (score * scale) @ (vectors[:, kept] / np.sqrt(values[kept]))
    barred = np.zeros(len(rate), bool)
    barred[np.asarray([] if gaps is None else gaps, np.int64)] = True
    return _joined(score, rate, barred, loss * score.shape[1], limit)


def bin_sums(values: npt.NDArray[np.number], starts: npt.NDArray[np.int64], dtype: type = np.float64) -> npt.NDArray:
    """Sum the last axis over bins.

    Parameters
    ----------
    values : array, shape (..., channel)
        Counts, or columns of a design.
    starts : array, shape (bin,), int64
        First channel of each bin.
    dtype : type
        Number type of the sums.

    Returns
    -------
    array, shape (..., bin), `dtype`
        Sums.
    """
    return np.add.reduceat(values, starts, axis=-1, dtype=dtype)


def _scaled(information: Floats) -> Floats:
    root = np.sqrt(np.maximum(np.diag(information), 1e-300))
    return np.asarray(information / root[:, None] / root[None])


def _joined(
    score: Floats, rate: Floats, barred: npt.NDArray[np.bool_], budget: float, limit: int
) -> npt.NDArray[np.int64]:
    """Join the cheapest neighbours until the budget is spent."""
    starts = np.arange(len(rate))
    score, rate = score.copy(), rate.copy()
    spent, cost = 0.0, _costs(score, rate, barred[starts])
    while len(starts) > 1:
        cheapest = int(cost.argmin())
        if not np.isfinite(cost[cheapest]) or (spent + cost[cheapest] > budget and len(starts) <= limit):
            break
        spent += float(cost[cheapest])
        both = rate[cheapest] + rate[cheapest + 1]
        score[cheapest] = (rate[cheapest] * score[cheapest] + rate[cheapest + 1] * score[cheapest + 1]) / both
        rate[cheapest] = both
        score, rate = np.delete(score, cheapest + 1, 0), np.delete(rate, cheapest + 1)
        starts, cost = np.delete(starts, cheapest + 1), np.delete(cost, cheapest)
        low, high = max(cheapest - 1, 0), min(cheapest + 2, len(starts))
        cost[low : high - 1] = _costs(score[low:high], rate[low:high], barred[starts[low:high]])
    return starts


def _costs(score: Floats, rate: Floats, barred: npt.NDArray[np.bool_]) -> Floats:
    """Information lost by joining each bin with the next."""
    weight = rate[:-1] * rate[1:] / (rate[:-1] + rate[1:])
    return np.where(barred[1:], np.inf, weight * np.square(np.diff(score, axis=0)).sum(axis=1))


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
    other_matrices : tuple of array, each of shape (bin, column), float64
        The columns at other calibrations: each an independent factor of it one standard deviation off.
    changes : array, shape (factor, column), float64
        Changes of the intensities in the summed spectrum with these factors.
    note, remarks : str
        The calibration in words, and what a verdict must say.
    """

    image: SpectrumImage
    design: LineDesign
    starts: npt.NDArray[np.int64]
    intensities: Floats
    other_matrices: tuple[Floats, ...]
    changes: Floats
    note: str = AS_IN_FILE
    remarks: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines that were asked for, the first columns, tuple of str."""
        return self.design.lines[: self.design.n_named]

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
    calibrate: bool = True,
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
        return CondensedDesign(
            image, design, _bins(design, found, loss), found.intensities, (), np.zeros((0, len(found.intensities)))
        )
    model = line_model(image, elements, lines, calibrate=calibrate)
    counts = image.sum_spectrum()[model.design.channels]
    if not counts.sum():
        raise InputError(f"no counts in {image.name!r} over the lines", "an image with counts", "another mask or crop")
    two = image.counts_per_pixel > MANY_COUNTS if continua is None else continua == 2
    condensed, *others = (
        _condensed(design, fit_intensities(design.matrix, counts), two=two) for design in model.designs
    )
    again = fit_intensities(condensed.matrix, counts)
    starts = _bins(condensed, again, loss)
    changed = [fit_intensities(other.matrix, counts).intensities - again.intensities for other in others]
    changes = np.reshape(changed, (-1, len(again.intensities)))
    matrices = tuple(np.asarray(bin_sums(other.matrix.T, starts)).T for other in others)
    unnamed = f"; a line that nobody named {'; '.join(map(str, model.unnamed))}" if model.unnamed else ""
    return CondensedDesign(
        model.image, condensed, starts, again.intensities, matrices, changes, model.note, model.remarks + unnamed
    )


def _bins(design: LineDesign, fit: PoissonLineFit, loss: float) -> npt.NDArray[np.int64]:
    gaps = np.flatnonzero(np.diff(design.channels) > 1) + 1
    return adaptive_bins(design.matrix, fit.intensities, loss=loss, gaps=gaps)


def _condensed(design: LineDesign, fit: PoissonLineFit, *, two: bool) -> LineDesign:
    matrix = lines_with_tails(design, fit.intensities)
    others = enumerate(design.backgrounds, design.n_lines)
    continuum = [i for i, name in others if name.startswith(("continuum", "pile-up"))]
    curve = design.matrix[:, continuum] @ fit.intensities[continuum]
    if not curve.sum() > 0:
        curve = design.matrix[:, continuum].sum(axis=1)
    soft = 1.0 / (1.0 + (design.energy / SOFT_KEV) ** 4)
    parts = [curve * soft, curve * (1 - soft)] if two else [curve]
    parts = [part / part.sum() for part in parts if part.sum() > 0]
    names = ("soft continuum", "hard continuum")[: len(parts)] if len(parts) > 1 else ("continuum",)
    return replace(design, matrix=np.column_stack([matrix, *parts]), backgrounds=names)
