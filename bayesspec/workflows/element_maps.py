"""Line counts in windows, at the energy axis and resolution that the lines show."""

from __future__ import annotations

from collections.abc import Sequence

from bayesspec.errors import InputError, warn
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.spectroscopy.line_design import resolution_of
from bayesspec.spectroscopy.line_maps import LineMaps, default_lines, window_maps
from bayesspec.spectroscopy.odd_channels import without_hot_channels
from bayesspec.spectroscopy.recorded import left_out, recorded_elements
from bayesspec.spectroscopy.windows import line_windows
from bayesspec.spectroscopy.xray_lines import xray_line
from bayesspec.workflows.line_model import LineModel, line_model


@checked_arguments()
def element_maps(
    image: SpectrumImage,
    lines: Sequence[str] | None = None,
    *,
    elements: Sequence[str] | None = None,
    calibrate: bool = True,
) -> LineMaps:
    """Count the photons of each line, and of the background and overlapping lines beside it.

    The noise is asked first, as `bs.poisson_check` does: hot channels and pixels are left out, a gain is divided out,
    and ``noise`` of the maps says so.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.
    lines : sequence of str or None
        Lines such as ``["Fe_Ka", "O_Ka"]``; ``None`` takes the highest recorded alpha line of every element.
    elements : sequence of str or None
        Elements, where no lines are given; ``None`` takes those of the image.
    calibrate : bool
        Refine energy axis and resolution on the summed spectrum first, as ``bs.fit_lines`` does: windows lie where the
        lines are, and what the lines leave open of axis and resolution is part of every interval. An element that
        nobody named and whose line reaches into a window gets a window of its own.

    Returns
    -------
    LineMaps
        Counts per window and the matrix to line intensities; ``calibration`` says what was found.

    Raises
    ------
    InputError
        When there are neither lines nor elements, or when a line cannot be measured.

    Examples
    --------
    >>> import bayesspec as bs
    >>> si = bs.simulate.iron_oxides(300, (12, 12), seed=0)
    >>> maps = bs.element_maps(si, ["Fe_Ka", "O_Ka"])
    >>> maps.counts.shape
    (12, 12, 2)
    """
    others = list[str]()
    image, hot = without_hot_channels(image)
    if lines is None:
        elements, others = _recorded(image, image.elements if elements is None else elements)
    names = list(lines) if lines is not None else default_lines(image, elements)
    missing = f"; {left_out(image, others)}" if others else ""
    if not calibrate:
        resolution_of(image)
        return window_maps(image, names, remarks=missing, noise=hot)
    line_windows(image, names)
    owners = [xray_line(name).element for name in names]
    model = line_model(image, recorded_elements(image, [*owners, *image.elements])[0], names)
    place, unnamed = _with_unnamed(model, names)
    note = f"; a line that nobody named is taken off, {'; '.join(unnamed)}" if unnamed else ""
    return window_maps(
        place,
        names,
        shapes=model.line_spectra,
        calibration=model.note,
        remarks=missing + model.remarks + note,
        noise=hot,
    )


def _recorded(image: SpectrumImage, elements: Sequence[str]) -> tuple[list[str], list[str]]:
    """Elements with an alpha line on the axis, and those without one; all where none has one."""
    found, missing = recorded_elements(image, elements, alpha=True)
    if not found:
        return list(elements), []
    if missing:
        warn(left_out(image, missing))
    return found, missing


def _with_unnamed(model: LineModel, names: Sequence[str]) -> tuple[SpectrumImage, list[str]]:
    """The calibrated image, with elements that nobody named and whose lines reach into a window; and their lines."""
    image, said = model.image, list[str]()
    owners = {family.name: family.element for family in model.design.families}
    for line in model.unnamed:
        element = owners[line.columns[0]]
        if not element or element in image.elements:
            continue
        wider = image.changed(elements=(*image.elements, element))
        try:
            reaches = len(line_windows(wider, names).names) > len(line_windows(image, names).names)
        except InputError:  # its windows would leave none to a line that was asked for
            continue
        if reaches:
            image, said = wider, [*said, str(line)]
    return image, said
