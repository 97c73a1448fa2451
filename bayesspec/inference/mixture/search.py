"""From fits of 1, 2, ... phases to the phases of the image: hidden ones, scatter, mixed pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

from bayesspec.inference.hidden_phases import hidden_phases, split_hidden, uneven_phases
from bayesspec.inference.mixed_pixels import MixedPixels, mixed_pixels
from bayesspec.inference.mixture import with_covariates
from bayesspec.inference.mixture_fit import MixtureFit
from bayesspec.inference.neighbour_covariates import neighbour_covariates
from bayesspec.inference.phase_scores import dose_covariates, phase_score
from bayesspec.inference.scattered_fit import ScatteredFit, excess_scatter, fit_scatter
from bayesspec.phase_fits import (
    SEARCH_STEPS,
    SEARCH_TOLERANCE,
    UNMIXED,
    PhaseFits,
    both_covariates,
    phase_fits,
    refit,
    unresolved_fits,
)

Counts = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]

NOTABLE_SCORE = 3.0
SCATTER_BIC = 6.0
FEWER_PHASES_BIC = 20.0
LARGEST_SCATTER = 0.3
FAMILY = 0.5


def find_phases(
    path: Sequence[MixtureFit],
    numbers: Sequence[int],
    counts: Counts,
    mask: Mask,
    *,
    seed: int,
    lines: int | None = None,
) -> PhaseFits:
    """Choose the phases that explain the counts, and fit them.

    Parameters
    ----------
    path : sequence of MixtureFit
        Fits of 1, 2, ... phases.
    numbers : sequence of int
        The numbers of phases to choose from.
    counts : ndarray of int, (y, x, window)
        Counts.
    mask : ndarray of bool, (y, x)
        True = excluded.
    seed : int
        Seed of the images that the test for mixed pixels is calibrated with.
    lines : int, optional
        How many of the windows, the first ones, are those of lines; all by default.

    Returns
    -------
    PhaseFits
        What is reported.
    """
    fits = _chosen(path, numbers, counts, mask, seed)
    if fits.labelled.n_phases == 1 or fits.hidden or fits.mixed.found or isinstance(fits.labelled, ScatteredFit):
        return fits
    return fits._replace(uneven=uneven_phases(fits.labelled.responsibilities, counts[:, :, :lines], mask=mask))


def _chosen(path: Sequence[MixtureFit], numbers: Sequence[int], counts: Counts, mask: Mask, seed: int) -> PhaseFits:
    """Fit the number of phases with the smallest BIC, and what else explains the counts."""
    offered = {n: path[n - 1] for n in numbers}
    best = min(offered.values(), key=lambda fit: fit.bic)
    if best.n_phases > 1:
        start, split = _with_hidden(best, numbers, counts, mask, seed)
        if split:
            return unresolved_fits(start, split, counts, mask)
        best = offered[start.n_phases] = start
    coherent = phase_score(counts, mask=mask).significant
    best, mixed = explained(best, list(offered.values()), counts, mask, coherent=coherent, seed=seed)
    fits = phase_fits(best, path[0], counts, mask, mixed)
    if best.n_phases > 1 or not coherent:
        return fits
    return _pair(fits, path, counts, mask) if 2 in numbers else fits._replace(hidden=True)


def _pair(fits: PhaseFits, path: Sequence[MixtureFit], counts: Counts, mask: Mask) -> PhaseFits:
    """Two phases where one was chosen though neighbours deviate together; with ratios if they are clear."""
    pair = phase_fits(path[1], path[0], counts, mask)
    if pair.clear:
        return pair
    return pair._replace(resolved=False, hidden=True) if pair.labelled.bic < path[0].bic else fits._replace(hidden=True)


def _with_hidden(
    best: MixtureFit, numbers: Sequence[int], counts: Counts, mask: Mask, seed: int
) -> tuple[MixtureFit, list[int]]:
    """Split phases that look like two: the fit to go on with, and the phases that only the neighbours tell apart."""
    found = hidden_phases(best, counts, mask=mask)
    room = max(n - best.n_phases for n in numbers if n - best.n_phases <= len(found)) if found else 0
    if room < 1 or mixed_pixels(best, counts, (counts.sum(axis=2, dtype=np.int64) > 0) & ~mask, seed=seed).found:
        return best, []
    dose = dose_covariates(counts.sum(axis=2, dtype=np.int64), mask=mask)
    start = split_hidden(best, found[:room], counts, dose, mask=mask)
    even = with_covariates(start, counts, dose[:, :, :0], mask=mask)
    if even.status.definite and even.bic < best.bic:
        return even, []
    apart = refit(start, counts, both_covariates(start, counts, mask, dose), mask)
    alone = refit(best, counts, both_covariates(best, counts, mask, dose), mask)
    gain = apart.log_likelihood - alone.log_likelihood
    if not apart.status.definite or gain < 2 * (apart.n_parameters - alone.n_parameters):
        return best, []
    return start, [hidden.phase for hidden in found[:room]] + list(range(best.n_phases, start.n_phases))


def explained(
    best: MixtureFit, path: Sequence[MixtureFit], counts: Counts, mask: Mask, *, coherent: bool, seed: int
) -> tuple[MixtureFit, MixedPixels]:
    """Look for what passes for more phases: scatter within them, and pixels that hold more than one.

    Parameters
    ----------
    best : MixtureFit
        The fit that was chosen, one of `path`.
    path : sequence of MixtureFit
        Fits of the numbers of phases to choose from, without scatter.
    counts : ndarray of int, (y, x, window)
        Counts.
    mask : ndarray of bool, (y, x)
        True = excluded.
    coherent : bool
        Whether neighbouring pixels deviate together.
    seed : int
        Seed of the images that the test is calibrated with.

    Returns
    -------
    fit : MixtureFit
        With scatter, where that explains the counts best; `best` otherwise.
    mixed : MixedPixels
        Evidence for pixels of more than one phase; none where scatter explains the counts better.
    """
    mixed = mixed_pixels(best, counts, (counts.sum(axis=2, dtype=np.int64) > 0) & ~mask, seed=seed)
    scattered = with_scatter(best, path, counts, mask, coherent=coherent)
    if scattered is None:
        return best, mixed
    if mixed.found and (best.bic + mixed.bic < scattered.bic or scattered.scatter_sd.max() > LARGEST_SCATTER):
        return best, mixed
    return scattered, UNMIXED


def with_scatter(
    best: MixtureFit, path: Sequence[MixtureFit], counts: Counts, mask: Mask, *, coherent: bool
) -> ScatteredFit | None:
    """Look for scatter of the compositions within the phases, which otherwise passes for more phases.

    Parameters
    ----------
    best : MixtureFit
        The fit without scatter that was chosen.
    path : sequence of MixtureFit
        Fits of the numbers of phases to choose from, without scatter.
    counts : ndarray of int, (y, x, window)
        Counts.
    mask : ndarray of bool, (y, x)
        True = excluded.
    coherent : bool
        Whether neighbouring pixels deviate together, which scatter does not explain.

    Returns
    -------
    ScatteredFit or None
        As many phases as `best` or fewer, with scatter; None where scatter is not needed. Fewer phases must explain
        the counts about as well pixel by pixel, and better where neighbours label the pixels.
    """
    found: ScatteredFit | None = None
    fewest = max(2 if coherent else 1, _families(best))
    for fit in (fit for fit in path if fewest <= fit.n_phases <= best.n_phases):
        excess = excess_scatter(fit, counts, mask)
        same = fit.n_phases == best.n_phases
        if excess.sd.max() > 2 * LARGEST_SCATTER or (same and excess.score.max() < NOTABLE_SCORE):
            continue
        trial = fit_scatter(fit, counts, mask=mask, max_steps=SEARCH_STEPS, tolerance=SEARCH_TOLERANCE)
        if found is not None and trial.bic > found.bic:
            break
        found = trial
    if found is None:
        return None
    if found.n_phases == best.n_phases:
        return found if found.bic < best.bic - SCATTER_BIC else None
    if found.n_phases == 1:
        return found if found.bic < best.bic - FEWER_PHASES_BIC else None
    if found.bic > best.bic + FEWER_PHASES_BIC:
        return None
    return found if _labelled(found, counts, mask).bic < _labelled(best, counts, mask).bic else None


def _families(fit: MixtureFit) -> int:
    """Number of phases if those were one that are as near as scatter puts the phases that stand for it."""
    log_shares = fit.log_composition
    change = log_shares[:, None] - log_shares[None]
    weight = np.exp(log_shares)[:, None]
    variance = (weight * change**2).sum(axis=2) - (weight * change).sum(axis=2) ** 2
    return int(connected_components(2.0 * np.sqrt(np.maximum(variance, 0.0)) < FAMILY, directed=False)[0])


def _labelled(fit: MixtureFit, counts: Counts, mask: Mask) -> MixtureFit:
    return refit(fit, counts, neighbour_covariates(counts, fit, mask=mask), mask)
