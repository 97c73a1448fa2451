"""From the fits of every number of phases to the one that is reported: scatter, neighbours, intervals."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

from bayesspec.inference.mixed_pixels import MixedPixels, mixed_pixels
from bayesspec.inference.mixture import with_covariates
from bayesspec.inference.mixture_fit import MixtureFit
from bayesspec.inference.neighbours import CLEAR_BIC, neighbour_covariates, widened
from bayesspec.inference.phase_scores import dose_covariates
from bayesspec.inference.scattered_fit import ScatteredFit, efficient_scores, excess_scatter, fit_scatter

Counts = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NOTABLE_SCORE = 3.0
SCATTER_BIC = 6.0
FEWER_PHASES_BIC = 20.0
MANY_MIXED = 0.2
LARGEST_SCATTER = 0.3
FAMILY = 0.5
UNMIXED = MixedPixels(0.0, 0.0, found=False, bic=0.0)
SEARCH_STEPS, SEARCH_TOLERANCE = 12, 1e-2


class PhaseFits(NamedTuple):
    """The fit that ratios are measured from, and the one that pixels are labelled by.

    Attributes
    ----------
    measured, labelled : MixtureFit
        The two fits.
    covariates : ndarray of float64, (y, x, covariate)
        Covariates of the weights of the first.
    clear : bool
        Whether two phases are so clear that ratios are measured with what the neighbours say.
    resolved : bool
        Whether ratios have intervals that hold.
    mixed : MixedPixels
        Evidence for pixels that hold more than one phase.
    """

    measured: MixtureFit
    labelled: MixtureFit
    covariates: Floats
    clear: bool
    resolved: bool
    mixed: MixedPixels = UNMIXED

    @property
    def blurred(self) -> bool:
        """Whether so many pixels hold more than one phase that the ratios are not those of the phases."""
        return self.mixed.found and self.mixed.share > MANY_MIXED


def phase_fits(
    best: MixtureFit, one: MixtureFit, counts: Counts, mask: Mask, mixed: MixedPixels = UNMIXED
) -> PhaseFits:
    """Fit again with weights that follow the dose and the other pixels around.

    The neighbours label the pixels. Ratios are measured with them where there are two phases and these are clear: only
    there do their intervals hold (``benchmarks/segmentation.py``).

    Parameters
    ----------
    best : MixtureFit
        The fit to start from, with scatter or without.
    one : MixtureFit
        Fit of one phase.
    counts : ndarray of int, (y, x, window)
        Counts.
    mask : ndarray of bool, (y, x)
        True = excluded.
    mixed : MixedPixels
        Evidence for pixels that hold more than one phase.

    Returns
    -------
    PhaseFits
        Both fits, and whether the ratios are resolved.
    """
    dose = dose_covariates(counts.sum(axis=2, dtype=np.int64), mask=mask)
    if best.n_phases == 1:
        none = dose[:, :, :0]
        return PhaseFits(best, best, none, clear=False, resolved=best.status.definite)
    both = np.concatenate([neighbour_covariates(counts, best, mask=mask), dose], axis=2)
    labelled = _refit(best, counts, both, mask)
    if isinstance(best, ScatteredFit):
        one = fit_scatter(one, counts, mask=mask, max_steps=SEARCH_STEPS, tolerance=SEARCH_TOLERANCE)
    clear = best.n_phases == 2 and labelled.status.definite and one.bic - labelled.bic > CLEAR_BIC
    plain = labelled if clear else _refit(best, counts, dose, mask)
    covariates = both if clear else dose
    resolved = plain.status.definite and (clear or best.bic < one.bic)
    fits = PhaseFits(_widened(plain, counts, covariates, mask), labelled, covariates, clear, resolved, mixed)
    return fits._replace(resolved=resolved and not fits.blurred)


def _refit(fit: MixtureFit, counts: Counts, covariates: Floats, mask: Mask) -> MixtureFit:
    if isinstance(fit, ScatteredFit):
        return fit_scatter(fit, counts, covariates, mask=mask)
    return with_covariates(fit, counts, covariates, mask=mask)


def _widened(fit: MixtureFit, counts: Counts, covariates: Floats, mask: Mask) -> MixtureFit:
    own = efficient_scores(fit, counts, covariates, mask) if isinstance(fit, ScatteredFit) else None
    return widened(fit, counts, covariates, mask=mask, scores_of_pixels=own)


def explained(
    best: MixtureFit, path: list[MixtureFit], counts: Counts, mask: Mask, *, coherent: bool, seed: int
) -> tuple[MixtureFit, MixedPixels]:
    """Look for what passes for more phases: scatter within them, and pixels that hold more than one.

    Parameters
    ----------
    best : MixtureFit
        The fit that was chosen, one of `path`.
    path : list of MixtureFit
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
    best: MixtureFit, path: list[MixtureFit], counts: Counts, mask: Mask, *, coherent: bool
) -> ScatteredFit | None:
    """Look for scatter of the compositions within the phases, which otherwise passes for more phases.

    Parameters
    ----------
    best : MixtureFit
        The fit without scatter that was chosen.
    path : list of MixtureFit
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
    return _refit(fit, counts, neighbour_covariates(counts, fit, mask=mask), mask)
