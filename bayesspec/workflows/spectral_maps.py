"""Counts in bins of the whole spectrum, with the matrix that turns their expectation into line intensities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.spectroscopy.line_maps import LineMaps, counting_maps
from bayesspec.spectroscopy.odd_channels import without_hot_channels
from bayesspec.workflows.condensed_design import condensed_design
from bayesspec.workflows.element_maps import element_maps

WORST_SHARE = 0.995
"""Share of the information on a line that the other columns may take before two lines are refused as one."""
LOSS = 0.03
"""Share of the information on the intensities that is given up, on average, when channels are joined: for speed."""


@checked_arguments()
def spectral_maps(
    image: SpectrumImage,
    elements: Sequence[str] | None = None,
    lines: Sequence[str] = (),
    *,
    calibrate: bool = True,
) -> LineMaps:
    """Divide the spectrum into bins that tell lines and continuum apart, and count.

    In place of a window for each line and one beside it, all channels count, in bins that are narrow where lines
    overlap and wide elsewhere. The line intensities are the weighted least-squares solution over the bins, with the
    weights of the summed spectrum: unbiased for whatever the intensities are, and efficient near those of the sum.
    The noise is asked first, as in `bs.element_maps`.

    Parameters
    ----------
    image : SpectrumImage
        An EDS or EELS image.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    lines : sequence of str
        Lines that are columns of their own.
    calibrate : bool
        Refine energy axis and resolution on the summed spectrum first, as ``bs.fit_lines`` does; what the lines leave
        open of them is part of every interval.

    Returns
    -------
    LineMaps
        Counts of all bins: first one at the peak of each line, then the others.

    Raises
    ------
    InputError
        When no element is named, an element or line is not known or not recorded, or two lines coincide.

    Examples
    --------
    >>> import bayesspec as bs
    >>> maps = bs.spectral_maps(bs.simulate.iron_oxides(500, (8, 8), seed=0), ["Fe", "O"])
    >>> "Fe_Ka" in maps.lines
    True
    """
    image, hot = without_hot_channels(image)
    condensed = condensed_design(image, elements, lines, calibrate=calibrate, continua=2, loss=LOSS)
    matrix, names = condensed.matrix, condensed.lines
    rate = matrix @ condensed.intensities
    response = least_squares(matrix, rate, names)
    errors = [least_squares(other, rate, names) - response for other in condensed.other_matrices]
    order = _order(matrix[:, : len(names)])
    counts = condensed.counts()[:, :, order]
    energy = condensed.design.energy[condensed.starts]
    maps = LineMaps(
        counts=counts[:, :, : len(names)],
        lines=names,
        side_counts=counts[:, :, len(names) :],
        sides=tuple(f"from {energy[i]:.5g} {image.energy_unit}" for i in order[len(names) :]),
        response=response[:, order],
        response_errors=np.stack(errors)[:, :, order] if errors else None,
        mask=image.mask,
        pixel_size=image.pixel_size,
        pixel_unit=image.pixel_unit,
        acquisition=condensed.image.acquisition,
        image_checksum=image.checksum,
        name=image.name,
        truth=image.truth,
        calibration=condensed.note,
        remarks=condensed.remarks,
        noise=hot,
    )
    return counting_maps(maps)


def least_squares(
    matrix: npt.NDArray[np.float64], rate: npt.NDArray[np.float64], names: tuple[str, ...]
) -> npt.NDArray[np.float64]:
    """Find the rows that give each line's intensity from the counts of the bins.

    Parameters
    ----------
    matrix : array, shape (bin, column), float64
        Expected counts per unit of intensity; lines first.
    rate : array, shape (bin,), float64
        Expected counts, whose inverse weighs the bins.
    names : tuple of str
        Names of the lines.

    Returns
    -------
    array, shape (line, bin), float64
        Line intensity per count.

    Raises
    ------
    InputError
        When two lines coincide.
    """
    scaled = matrix / np.sqrt(np.maximum(rate, 1e-9))[:, None]
    length = np.linalg.norm(scaled, axis=0)
    information = (scaled / length).T @ (scaled / length)
    alone = 1.0 / np.diag(np.linalg.inv(information + 1e-9 * np.eye(len(information))))
    n = len(names)
    if (alone[:n] < 1 - WORST_SHARE).any():
        shared = information[:n, :n] - np.eye(n)
        i, j = np.unravel_index(int(shared.argmax()), shared.shape)
        raise InputError(
            f"{names[i]} and {names[j]} coincide (cosine {shared[i, j]:.4f})",
            "lines that the detector can tell apart",
            f"elements=[...] without {names[j].split('_')[0]}",
        )
    solved = np.linalg.solve(information, (scaled / length).T / np.sqrt(np.maximum(rate, 1e-9)))
    return np.asarray(solved / length[:, None], np.float64)[:n]


def _order(lines: npt.NDArray[np.float64]) -> list[int]:
    """Bins in the order of the windows: for each line the one that it fills most and no other has taken."""
    if len(lines) < lines.shape[1]:
        raise InputError(
            f"{lines.shape[1]} lines in {len(lines)} bins of channels",
            "a bin for each line at least: channels that are not excluded",
            "another mask or crop(energy=...), or fewer elements=[...]",
        )
    order: list[int] = []
    purity = lines / np.maximum(lines.sum(axis=1, keepdims=True), 1e-12) * lines
    for column in range(lines.shape[1]):
        order.append(next(int(i) for i in np.argsort(-purity[:, column]) if int(i) not in order))
    return order + [i for i in range(len(lines)) if i not in order]


def maps_of(
    image: SpectrumImage, lines: Sequence[str] | None, elements: Sequence[str] | None, method: str, *, calibrate: bool
) -> LineMaps:
    """Count by one of the two methods.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.
    lines, elements : sequence of str or None
        What to measure.
    method : {"windows", "spectra"}
        `element_maps` or `spectral_maps`.
    calibrate : bool
        Refine energy axis and resolution first.

    Returns
    -------
    LineMaps
        Counts.

    Raises
    ------
    InputError
        When the method is neither, or a line cannot be measured.
    """
    if method == "spectra":
        return spectral_maps(
            image, elements if elements is not None or not lines else (), lines or (), calibrate=calibrate
        )
    if method != "windows":
        raise InputError(f"method={method!r}", "'windows' or 'spectra'", "bs.segment(si, method='spectra')")
    return element_maps(image, lines, elements=elements, calibrate=calibrate)
