"""Dead and hot channels of an image; the hot ones are left out before anything is counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bayesspec.errors import warn
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.counting_noise import named_flags
from bayesspec.inference.outliers import outliers
from bayesspec.spectroscopy.window_background import line_fwhm

WIDE = 0.5
"""Channel width, in full widths of the softest line, above which a single channel may hold most of a line."""


def odd_channels(image: SpectrumImage) -> npt.NDArray[np.int8]:
    """Find dead and hot channels; none are sought where channels are so wide that one may hold most of a line.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    numpy.ndarray (energy,), int8
        1 where a channel is hot, -1 where it is dead.
    """
    found = outliers(image.sum_spectrum(), image.valid_channels)
    if image.acquisition.technique != "EDS" or image.energy_unit != "keV":
        return found
    wide = image.energy_step > WIDE * line_fwhm(image, max(float(image.energy[0]), 0.0))
    return np.zeros_like(found) if wide else found


def without_hot_channels(image: SpectrumImage) -> tuple[SpectrumImage, str]:
    """Leave hot channels out, by the test of `poisson_check`.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    tuple of SpectrumImage and str
        The image with these channels excluded, and a clause that names them; empty where there are none.

    Warns
    -----
    UserWarning
        When there are some.
    """
    hot = odd_channels(image) == 1
    if not hot.any():
        return image, ""
    note = f"left out: {named_flags(hot.astype(np.int8), 'channel')}"
    warn(note)
    return image.with_mask(hot), note
