"""What a result predicts for the counts, in blocks of pixels: rates, what the fit took up, whose counts they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayesspec.image.spectrum_image import SpectrumImage

Floats = npt.NDArray[np.float64]
FLOOR = 1e-3
"""Smallest rate of a channel, as a share of the channel's mean over the image: a rate of zero has no likelihood."""
BLOCK_ENTRIES = 2**21
"""Entries of a block of pixels and channels."""
MOST_LEVERAGE = 0.9
"""Largest share of a count's deviance that a fit is taken to have taken up."""


class Prediction(NamedTuple):
    """Pixels with their counts and what a result predicts for them.

    `places` (pixel,), int64: which pixels of the flat image. `counts` and `rates` (pixel, channel), float64, in counts.
    `leverage` (pixel, channel): share of a count's deviance that the fit itself takes up. `shares`
    (pixel, part, channel): share of each phase or component in the rate.
    """

    places: npt.NDArray[np.intp]
    counts: Floats
    rates: Floats
    leverage: Floats
    shares: Floats


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut an image into blocks of rows.

    Parameters
    ----------
    shape : tuple of int
        Shape (y, x, channel).

    Yields
    ------
    slice
        Rows.
    """
    step = max(1, BLOCK_ENTRIES // max(1, shape[1] * shape[2]))
    yield from (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def rate_floor(image: SpectrumImage) -> Floats:
    """Smallest rates that are taken for a prediction.

    Parameters
    ----------
    image : SpectrumImage
        The image.

    Returns
    -------
    array, shape (channel,), float64
        A thousandth of the mean over the image, for every channel in use, in counts.
    """
    mean = image.sum_spectrum()[image.valid_channels] / max(int(image.valid.sum()), 1)
    return FLOOR * np.maximum(mean, 1e-9)


def prediction(
    image: SpectrumImage, rows: slice, known: npt.NDArray[np.bool_], rates: Floats, leverage: Floats, shares: Floats
) -> Prediction:
    """Put the channels that are in use into their places; the others expect nothing.

    Parameters
    ----------
    image : SpectrumImage
        The image.
    rows : slice
        Rows of pixels.
    known : array, shape (row, x), bool
        Pixels of these rows that the other arrays hold.
    rates, leverage : array, shape (pixel, channel), float64
        Of the channels in use.
    shares : array, shape (pixel, part, channel), float64
        Of the channels in use.

    Returns
    -------
    Prediction
        Of all channels.
    """
    channels = image.valid_channels

    def wide(values: Floats) -> Floats:
        whole = np.zeros((*values.shape[:-1], len(channels)))
        whole[..., channels] = values
        return whole

    places = np.flatnonzero(known.ravel()) + rows.start * image.shape[1]
    full = wide(rates)
    full[:, ~channels] = 1e-30
    counts = image.counts[rows][known].astype(np.float64)
    counts[:, ~channels] = 0.0
    held = wide(leverage)
    held[:, ~channels] = 1.0
    return Prediction(places, counts, full, held, wide(shares))
