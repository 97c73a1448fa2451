"""The verdict of a segmentation in words: how many phases, what they do, what cannot be said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bayesspec.inference.mixture_fit import MixtureFit
from bayesspec.inference.scattered_fit import ScatteredFit
from bayesspec.phase_fits import PhaseFits
from bayesspec.selection import limit_note

HIDDEN = (
    "at least two phases: neighbouring pixels deviate together, but at this dose the ratios of the phases cannot be "
    "resolved; sum pixels or count longer"
)


def phase_verdict(
    fits: PhaseFits, path: Sequence[MixtureFit], numbers: Sequence[int], order: npt.NDArray[np.intp]
) -> str:
    """Say what was found.

    Parameters
    ----------
    fits : PhaseFits
        The fits that are reported.
    path : sequence of MixtureFit
        Fits of 1, 2, ... phases.
    numbers : sequence of int
        The numbers of phases to choose from.
    order : ndarray of int, (phase,)
        Phases of the fits in the order in which they are reported.

    Returns
    -------
    str
        Such as "2 phases".
    """
    if fits.hidden:
        return HIDDEN
    found = fits.measured.n_phases
    words = (f"{found} phase" if found == 1 else f"{found} phases") + _scatter_note(fits)
    if len(numbers) == 1:
        words += ", as asked"
    if fits.blurred:
        return f"{words}, but {_mixed_note(fits)}: their ratios are not those of pure phases; use bs.unmix"
    if not fits.resolved:
        return f"{words}, but at this dose their ratios cannot be resolved"
    if fits.unresolved:
        places = np.flatnonzero(np.isin(order, fits.unresolved))
        words += f", but at this dose the ratios of {_named(places)} cannot be resolved"
    words += limit_note(found, numbers, "phases")
    fewer = min(path[:found], key=lambda other: other.bic).n_phases
    if len(numbers) == 1 and fewer < found:
        words += f"; pixel by pixel the counts support {fewer}"
    if fits.uneven:
        named = _named(np.flatnonzero(np.isin(order, fits.uneven)))
        words += f"; neighbouring pixels of {named} deviate together: there may be more than this dose resolves"
    if fits.mixed.found:
        words += f"; {_mixed_note(fits)}, which pulls their ratios together: compare with bs.unmix"
    return words


def _scatter_note(fits: PhaseFits) -> str:
    """Name the scatter, where there is any: the largest standard deviation of a log ratio, in percent."""
    if not isinstance(fits.measured, ScatteredFit):
        return ""
    size = f" whose compositions scatter from pixel to pixel by up to {100 * fits.measured.scatter_sd.max():.2g} %"
    unknown = " or overlap within pixels, which two lines cannot tell apart"
    return size + (unknown if fits.measured.log_composition.shape[1] == 2 and fits.measured.n_phases > 1 else "")


def _named(phases: npt.NDArray[np.intp]) -> str:
    names = [str(phase) for phase in phases]
    return f"phases {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"phase {names[0]}"


def _mixed_note(fits: PhaseFits) -> str:
    return f"phases overlap within {100 * fits.mixed.share:.0f} % of the pixels"
