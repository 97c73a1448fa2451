"""From a file and its options to the image of a command: read, cropped, with elements that can be measured in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bayesspec.cli.options import CROPPING, READING, given
from bayesspec.errors import InputError
from bayesspec.files.load import load
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.spectroscopy.recorded import recorded_elements
from bayesspec.workflows.divide_gain import poisson_counts


def read(file: Path, values: Mapping[str, Any]) -> SpectrumImage:
    """Read an image as the options of a command say.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    values : mapping
        The options.

    Returns
    -------
    SpectrumImage
        The image; its elements are those that have a line or an edge in the range that is kept. Energy losses are
        divided by the gain of the camera where their noise shows one.
    """
    image = load(file, **given(values, [name for name in READING if name not in CROPPING]))
    energy, rebin = values.get("energy"), values.get("rebin") or 1
    image = image if energy is None else image.crop(energy=tuple(energy))
    if image.acquisition.technique == "EELS":
        image = poisson_counts(image)
    return recorded(image if rebin == 1 else image.rebin(y=rebin, x=rebin))


def recorded(image: SpectrumImage) -> SpectrumImage:
    """Leave out elements of which nothing lies in the range, and say so.

    Parameters
    ----------
    image : SpectrumImage
        The image.

    Returns
    -------
    SpectrumImage
        With the elements that are left.

    Raises
    ------
    InputError
        When none of them is.
    """
    technique = image.acquisition.technique
    if technique != "EELS" and not (technique == "EDS" and image.energy_unit == "keV"):
        return image
    seen, gone = recorded_elements(image, image.elements, alpha=True)
    where = f"{image.energy[0]:.4g} to {image.energy[-1]:.4g} {image.energy_unit}"
    if gone and not seen:
        raise InputError(f"{', '.join(gone)}, of which nothing lies in {where}", "a wider range", "crop(energy=...)")
    if gone:
        click.echo(f"  Note: {', '.join(gone)} left out: nothing of them lies in {where}", err=True)
    return image.changed(elements=tuple(seen))
