"""What is done to draws and intervals after they were drawn, written down beside them.

A function that changes draws of a posterior adds its step; what a result does to draws or to the ends of intervals is
added by the workflow. All steps stand, in order, under one name in the provenance of the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

AFTER_SAMPLING = "after sampling"
"""Name of the list of steps in a provenance; empty where draws are those of the sampler."""


class Step(Enum):
    """A change of draws, estimates or intervals after sampling; the value is the sentence in the provenance."""

    RECENTRED = (
        "draws moved by one transform, so that their mean is the mode: the sampler did not get around in the "
        "directions that the counts leave open"
    )
    BACKGROUND_TRANSFERRED = "as much background as the noise allows moved out of the components of every draw"
    MEAN_BACKGROUND = "the background is the mean of its draws"
    SMOOTHED = "mean abundances smoothed over neighbours by total variation, their intervals widened to hold them"
    BAND = "intervals widened by the band of factorisations that fit as well, entries not below zero"
    AMOUNTS = "ends of ranges of counts widened by the uncertainty of the amount of the component"
    NORMALISED = "spectra divided by their sums, abundances multiplied by them"
    INTERIOR = "ratios of the phases drawn anew from the summed counts of their interior"
    UNRESOLVED = "draws of phases that the counts do not resolve left out"
    CENTRED = "refits of drawn counts moved so that their mean is the fit, and not below zero"
    POSITIVE = "draws below zero set to zero"

    def __str__(self) -> str:
        """Return the sentence."""
        return self.value


def with_steps(settings: Mapping[str, Any], *steps: Step) -> dict[str, Any]:
    """Write steps down in the settings of a result.

    Parameters
    ----------
    settings : mapping
        What was done so far, for the provenance.
    steps : Step
        What was done after sampling, in order.

    Returns
    -------
    dict
        The settings with these steps after those that they hold.
    """
    return {**settings, AFTER_SAMPLING: [*settings.get(AFTER_SAMPLING, []), *map(str, steps)]}
