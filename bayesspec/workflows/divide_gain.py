"""Cameras count in units of their own: the gain between them and single events, and counts without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesspec.errors import InputError, warn
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.files.saved import Saved
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.noise.dispersion import dispersion

POISSON_RANGE = (0.8, 1.25)
"""Variance over mean between which counts are taken for Poisson counts: ``python benchmarks/decisions.py gain``."""
FEWEST_COUNTS = 20
"""Counts of a channel, summed over the image, from which on its noise is judged."""


@dataclass(frozen=True)
class GainCorrection(Saved):
    """Counts divided by the gain.

    Parameters
    ----------
    image : SpectrumImage
        Counts over gain, rounded: variance and mean are alike, as for single events.
    gain : float
        What the counts were divided by.
    left : float
        Variance over mean that is left in the bulk of the singular values: 1 where the gain explains the noise, more
        where noise is alike over several channels or pixels.
    """

    image: SpectrumImage
    gain: float
    left: float


def noise_gain(image: SpectrumImage) -> float:
    """Estimate the gain from one channel to the next: variance of the noise over its mean, 1 for single events.

    Second differences along the energy remove a spectrum that is smooth; the median over the channels of their squares,
    against what single events would give, is hardly moved by edges.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    float
        Variance over mean; 1 where there are too few counts to tell.
    """
    x = image.counts[image.valid][:, image.valid_channels].astype(np.float64)
    left, middle, right = x[:, :-2], x[:, 1:-1], x[:, 2:]
    squares = np.square(left - 2 * middle + right).sum(axis=0)
    expected = (left + 4 * middle + right).sum(axis=0)
    enough = expected > 6 * FEWEST_COUNTS
    return float(np.median(squares[enough] / expected[enough])) if enough.any() else 1.0


@checked_arguments()
def divide_gain(image: SpectrumImage, gain: float | None = None) -> GainCorrection:
    """Divide the counts by the gain, so that Poisson models hold for what is left.

    A Poisson model of y / g is the scaled Poisson model of y, of variance g times the mean; the quotients are rounded
    to whole counts, which adds a twelfth of a count to the variance.

    Parameters
    ----------
    image : SpectrumImage
        Counts of a camera, such as an EELS image.
    gain : float or None
        Counts per event; ``None`` estimates it from the noise, and says so.

    Returns
    -------
    GainCorrection
        The image in events, the gain and what it leaves.

    Raises
    ------
    InputError
        When the gain is below 1 or leaves less than an event a pixel, or the noise is that of counts already.

    Examples
    --------
    >>> import bayesspec as bs
    >>> import numpy as np
    >>> counted = bs.simulate.iron_oxides(300, (16, 16), seed=0)
    >>> written = bs.SpectrumImage(2 * counted.counts.astype(int), energy=counted.energy)
    >>> bool((bs.divide_gain(written, gain=2.0).image.counts == counted.counts).all())
    True
    """
    found = noise_gain(image)
    if gain is None and found < POISSON_RANGE[1]:
        raise InputError(
            f"noise of {found:.2f} times the variance of Poisson counts in {image.name!r}",
            "a gain: these counts are single events already",
            "the image as it is",
        )
    used = found if gain is None else float(gain)
    if not 1.0 <= used < image.counts_per_pixel:
        raise InputError(f"gain={gain}", f"from 1 to {image.counts_per_pixel:.3g} counts", f"gain={found:.2g}")
    counts = np.rint(image.counts / used).astype(np.int64)
    divided = image.changed(counts=counts, name=f"{image.name}, counts over {used:.3g}", truth=None)
    left = dispersion(divided.counts[divided.valid][:, divided.valid_channels])
    if gain is None:
        warn(f"the counts are divided by a gain of {used:.3g}, estimated from their noise")
    if not POISSON_RANGE[0] < left < POISSON_RANGE[1]:
        warn(
            f"a gain of {used:.3g} leaves noise of {left:.2g} times the variance of Poisson counts, as noise that "
            f"neighbouring channels share does: intervals are off by about {np.sqrt(left):.2g}"
        )
    return GainCorrection(divided, used, left)


def poisson_counts(image: SpectrumImage) -> SpectrumImage:
    """Take an image as it is where its counts are single events, and divide by the gain where they are not.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    SpectrumImage
        Counts for Poisson models; a warning names the gain that was found.
    """
    return divide_gain(image).image if noise_gain(image) > POISSON_RANGE[1] else image
