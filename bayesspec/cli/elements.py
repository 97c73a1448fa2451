"""Elements of an image in which nobody named them."""

from __future__ import annotations

import click

from bayesspec.cli.reading import recorded
from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.workflows.identify_lines import identify_lines


def with_elements(image: SpectrumImage) -> SpectrumImage:
    """Find the elements of an EDS image where nobody named them, and say so.

    Parameters
    ----------
    image : SpectrumImage
        The image.

    Returns
    -------
    SpectrumImage
        With elements, if it is one of X-rays.

    Raises
    ------
    InputError
        When its lines show none.
    """
    if image.elements or image.acquisition.technique != "EDS":
        return image
    found = identify_lines(image)
    if not found.elements:
        raise InputError(f"no lines of an element in {image}", "the elements of the sample", "elements=['Fe', 'O']")
    click.echo(f"  Note: nobody named elements; found by their lines: {', '.join(map(str, found.found))}", err=True)
    return recorded(image.changed(elements=found.elements))
