"""From the fits of every number of phases to the one that is reported: scatter, neighbours, intervals."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from bayesspec.inference.block_covariance import CLEAR_BIC, RESOLVED_BIC, widened
from bayesspec.inference.mixed_pixels import MixedPixels
from bayesspec.inference.mixture import with_covariates
from bayesspec.inference.mixture_fit import MixtureFit
from bayesspec.inference.neighbour_covariates import cavity_covariates, neighbour_covariates
from bayesspec.inference.phase_scores import dose_covariates
from bayesspec.inference.scattered_fit import ScatteredFit, efficient_scores, fit_scatter

Counts = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

MANY_MIXED = 0.2
SEEN = 0.99  # quantile of the chi-square distribution that a second round of labels must exceed
RESOLVED_DISTANCE = 5.0  # standard deviations between two phases below which an interval can be far off
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
    unresolved : tuple of int
        Phases of the fits that only the neighbours tell apart: they are labelled, and their ratios are not known.
    hidden : bool
        Whether there is more than the one phase that can be resolved.
    uneven : tuple of int
        Phases of the fits whose neighbouring pixels deviate from them together.
    """

    measured: MixtureFit
    labelled: MixtureFit
    covariates: Floats
    clear: bool
    resolved: bool
    mixed: MixedPixels = UNMIXED
    unresolved: tuple[int, ...] = ()
    hidden: bool = False
    uneven: tuple[int, ...] = ()

    def order(self, measured: Mask) -> npt.NDArray[np.intp]:
        """Phases by area, the largest first, (phase,); `measured` says which pixels (y, x) count."""
        return np.argsort(-self.labelled.responsibilities[measured.ravel()].sum(axis=0), kind="stable")

    @property
    def blurred(self) -> bool:
        """Whether so many pixels hold more than one phase that the ratios are not those of the phases."""
        return self.mixed.found and self.mixed.share > MANY_MIXED


def unresolved_fits(start: MixtureFit, unresolved: list[int], counts: Counts, mask: Mask) -> PhaseFits:
    """Label by the neighbours phases of which some have ratios that the dose does not resolve.

    Parameters
    ----------
    start : MixtureFit
        The fit to start from, without scatter.
    unresolved : list of int
        Phases whose ratios are not known.
    counts : ndarray of int, (y, x, window)
        Counts.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    PhaseFits
        One fit, for labels and for the ratios of the other phases.
    """
    dose = dose_covariates(counts.sum(axis=2, dtype=np.int64), mask=mask)
    covariates = both_covariates(start, counts, mask, dose)
    labelled = refit(start, counts, covariates, mask)
    wide = _widened(labelled, counts, covariates, mask)
    resolved = labelled.status.definite and len(unresolved) < labelled.n_phases
    return PhaseFits(wide, labelled, covariates, clear=False, resolved=resolved, unresolved=tuple(unresolved))


def both_covariates(fit: MixtureFit, counts: Counts, mask: Mask, dose: Floats) -> Floats:
    """What the other pixels around say of the phases, and the local dose: (y, x, covariate)."""
    return np.concatenate([neighbour_covariates(counts, fit, mask=mask), dose], axis=2)


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
    both = both_covariates(best, counts, mask, dose)
    labelled = refit(best, counts, both, mask)
    if isinstance(best, ScatteredFit):
        one = fit_scatter(one, counts, mask=mask, max_steps=SEARCH_STEPS, tolerance=SEARCH_TOLERANCE)
    clear = best.n_phases == 2 and labelled.status.definite and one.bic - labelled.bic > CLEAR_BIC
    plain = labelled if clear else refit(best, counts, dose, mask)
    covariates = both if clear else dose
    if clear and not isinstance(best, ScatteredFit):
        labelled = _second_round(best, labelled, counts, both, mask)
    fits = PhaseFits(_widened(plain, counts, covariates, mask), labelled, covariates, clear, clear, mixed)
    if plain.status.definite and not clear:
        fits = fits._replace(resolved=one.bic - best.bic > RESOLVED_BIC and _apart(fits.measured))
    return fits._replace(resolved=fits.resolved and not fits.blurred)


def _apart(fit: MixtureFit) -> bool:
    """Whether two phases lie so many standard deviations apart that their posterior is close to a normal."""
    if fit.n_phases != 2:
        return True
    channels = fit.log_composition.shape[1]
    to_ratios = np.eye(channels)[1:] - np.eye(channels)[:1]
    change = to_ratios @ (fit.log_composition[0] - fit.log_composition[1])
    both = np.concatenate([to_ratios, -to_ratios], axis=1)
    shares = fit.covariance[: 2 * channels, : 2 * channels]
    return bool(change @ np.linalg.solve(both @ shares @ both.T, change) > RESOLVED_DISTANCE**2)


def _second_round(
    start: MixtureFit, labelled: MixtureFit, counts: Counts, covariates: Floats, mask: Mask
) -> MixtureFit:
    """Label two phases by the probabilities of the pixels around too, where a likelihood-ratio test sees them."""
    around = cavity_covariates(counts, start, labelled, mask=mask)
    added = around.shape[2]
    weights = np.pad(labelled.weights, ((0, 0), (0, added)))
    both = np.concatenate([covariates, around], axis=2)
    again = with_covariates(labelled, counts, both, mask=mask, weights=weights)
    gain = again.pixel_log_likelihood.sum() - labelled.pixel_log_likelihood.sum()
    return again if again.status.definite and 2.0 * gain > chi2.ppf(SEEN, added) else labelled


def refit(fit: MixtureFit, counts: Counts, covariates: Floats, mask: Mask) -> MixtureFit:
    """Fit again with weights that follow covariates (y, x, covariate), with scatter where `fit` has it."""
    if isinstance(fit, ScatteredFit):
        return fit_scatter(fit, counts, covariates, mask=mask)
    return with_covariates(fit, counts, covariates, mask=mask)


def _widened(fit: MixtureFit, counts: Counts, covariates: Floats, mask: Mask) -> MixtureFit:
    own = efficient_scores(fit, counts, covariates, mask) if isinstance(fit, ScatteredFit) else None
    return widened(fit, counts, covariates, mask=mask, scores_of_pixels=own)
