"""From fits of 1, 2, ... phases to the phases of the image: hidden ones, scatter, mixed pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components
from scipy.special import gammaincinv

from bayesspec.inference.mixture.block_covariance import widened
from bayesspec.inference.mixture.boundary_fit import NeighbourFit
from bayesspec.inference.mixture.boundary_search import boundary_phases, deviating
from bayesspec.inference.mixture.coherence import coherence_score, dose_covariates
from bayesspec.inference.mixture.fit import MixtureFit
from bayesspec.inference.mixture.fit_number import with_covariates
from bayesspec.inference.mixture.hidden_phases import hidden_phases, split_hidden, uneven_phases
from bayesspec.inference.mixture.mixed_pixels import MixedPixels, mixed_pixels
from bayesspec.inference.mixture.neighbour_covariates import cavity_covariates, neighbour_covariates
from bayesspec.inference.mixture.scattered_fit import ScatteredFit, efficient_scores, excess_scatter, fit_scatter
from bayesspec.inference.mixture.settings import SETTINGS

Counts = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
UNMIXED = MixedPixels(0.0, 0.0, found=False, bic=0.0)
"""No evidence for pixels of more than one phase."""
SEARCH_STEPS, SEARCH_TOLERANCE = 12, 1e-2
"""Steps, and nats of the last, of fits with scatter that are only compared."""

# From the fits of every number of phases to the one that is reported: scatter, neighbours, intervals


class PhaseFits(NamedTuple):
    """The fit that ratios are measured from, and the one that pixels are labelled by.

    Attributes
    ----------
    measured, labelled : MixtureFit or NeighbourFit
        The two fits; one and the same where pixels hold two phases.
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

    measured: MixtureFit | NeighbourFit
    labelled: MixtureFit | NeighbourFit
    covariates: Floats
    clear: bool
    resolved: bool
    mixed: MixedPixels = UNMIXED
    unresolved: tuple[int, ...] = ()
    hidden: bool = False
    uneven: tuple[int, ...] = ()

    @property
    def boundary_share(self) -> float:
        """Share of the pixels that hold two phases, where these are part of the model."""
        return self.measured.boundary_share if isinstance(self.measured, NeighbourFit) else 0.0

    @property
    def boundary_probability(self) -> float:
        """Probability that there are such pixels; 0 where they are not part of the model or not spoken of."""
        return self.measured.probability if self.boundary_share and isinstance(self.measured, NeighbourFit) else 0.0

    @property
    def blurred(self) -> bool:
        """Whether so many pixels hold more than one phase that the ratios are not those of the phases."""
        return (
            self.mixed.found and self.mixed.share > SETTINGS.most_mixed
        ) or self.boundary_share > SETTINGS.most_boundary


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
    resolved = labelled.convergence.definite and len(unresolved) < labelled.n_phases
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
        return PhaseFits(best, best, none, clear=False, resolved=best.convergence.definite)
    both = both_covariates(best, counts, mask, dose)
    labelled = refit(best, counts, both, mask)
    if isinstance(best, ScatteredFit):
        one = fit_scatter(one, counts, mask=mask, max_steps=SEARCH_STEPS, tolerance=SEARCH_TOLERANCE)
    clear = best.n_phases == 2 and labelled.convergence.definite and one.bic - labelled.bic > SETTINGS.clear_bic
    plain = labelled if clear else refit(best, counts, dose, mask)
    covariates = both if clear else dose
    if clear and not isinstance(best, ScatteredFit):
        labelled = _second_round(best, labelled, counts, both, mask)
    wide = _widened(plain, counts, covariates, mask)
    fits = PhaseFits(wide, labelled, covariates, clear, clear, mixed)
    if plain.convergence.definite and not clear:
        fits = fits._replace(resolved=one.bic - best.bic > SETTINGS.resolved_bic and _apart(wide))
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
    return bool(change @ np.linalg.solve(both @ shares @ both.T, change) > SETTINGS.resolved_distance**2)


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
    return again if again.convergence.definite and gain > gammaincinv(added / 2, SETTINGS.second_round) else labelled


def refit(fit: MixtureFit, counts: Counts, covariates: Floats, mask: Mask) -> MixtureFit:
    """Fit again with weights that follow covariates (y, x, covariate), with scatter where `fit` has it."""
    if isinstance(fit, ScatteredFit):
        return fit_scatter(fit, counts, covariates, mask=mask)
    return with_covariates(fit, counts, covariates, mask=mask)


def _widened(fit: MixtureFit, counts: Counts, covariates: Floats, mask: Mask) -> MixtureFit:
    own = efficient_scores(fit, counts, covariates, mask) if isinstance(fit, ScatteredFit) else None
    return widened(fit, counts, covariates, mask=mask, scores_of_pixels=own)


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
    crossed = _with_boundaries(fits, path, numbers, counts, mask, lines)
    if crossed is not None:
        return crossed
    if fits.labelled.n_phases == 1 or fits.hidden or fits.mixed.found or isinstance(fits.labelled, ScatteredFit):
        return fits
    return fits._replace(uneven=uneven_phases(fits.labelled.responsibilities, counts[:, :, :lines], mask=mask))


def _with_boundaries(
    fits: PhaseFits,
    path: Sequence[MixtureFit],
    numbers: Sequence[int],
    counts: Counts,
    mask: Mask,
    lines: int | None,
) -> PhaseFits | None:
    """Phases some pixels of which hold two, where these explain the counts better than `fits` and are clear."""
    start = min((path[n - 1] for n in numbers), key=lambda fit: fit.bic)
    found = boundary_phases(start, numbers, counts, mask)
    if found is None or found.bic > min(fits.labelled.bic, path[0].bic - SETTINGS.clear_bic):
        return None
    uneven = tuple(sorted(each.phase for each in deviating(found, counts, mask)))
    if uneven and (fits.blurred or found.probability < SETTINGS.two_phases_certain):
        return None  # shares that vary everywhere, or whole pixels in small patches, not boundaries
    if found.likelier is found.sharp and uneven_phases(found.sharp.shares, counts[:, :, :lines], mask=mask):
        return None  # whole pixels, some of another phase that only the lines tell
    unknown = tuple(sorted(_near(found) | set(uneven)))
    fits = PhaseFits(found, found, np.zeros((*mask.shape, 0)), clear=True, resolved=True, uneven=uneven)
    resolved = len(unknown) < found.n_phases and not fits.blurred
    return fits._replace(resolved=resolved, unresolved=unknown if resolved else ())


def _near(fit: NeighbourFit) -> set[int]:
    """Phases so few standard deviations from another that their posterior is not close to a normal."""
    phases, channels = fit.log_composition.shape
    to_ratios = np.eye(channels)[1:] - np.eye(channels)[:1]
    near: set[int] = set()
    for first, second in combinations(range(phases), 2):
        change = to_ratios @ (fit.log_composition[first] - fit.log_composition[second])
        both = np.zeros((channels - 1, phases, channels))
        both[:, first], both[:, second] = to_ratios, -to_ratios
        both = both.reshape(channels - 1, -1)
        if change @ np.linalg.solve(both @ fit.covariance @ both.T, change) < SETTINGS.resolved_distance**2:
            near |= {first, second}
    return near


def _chosen(path: Sequence[MixtureFit], numbers: Sequence[int], counts: Counts, mask: Mask, seed: int) -> PhaseFits:
    """Fit the number of phases with the smallest BIC, and what else explains the counts."""
    offered = {n: path[n - 1] for n in numbers}
    best = min(offered.values(), key=lambda fit: fit.bic)
    if best.n_phases > 1:
        start, split = _with_hidden(best, numbers, counts, mask, seed)
        if split:
            return unresolved_fits(start, split, counts, mask)
        best = offered[start.n_phases] = start
    coherent = coherence_score(counts, mask=mask).significant
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
    splits = max(n - best.n_phases for n in numbers if n - best.n_phases <= len(found)) if found else 0
    if splits < 1 or mixed_pixels(best, counts, (counts.sum(axis=2, dtype=np.int64) > 0) & ~mask, seed=seed).found:
        return best, []
    dose = dose_covariates(counts.sum(axis=2, dtype=np.int64), mask=mask)
    start = split_hidden(best, found[:splits], counts, dose, mask=mask)
    even = with_covariates(start, counts, dose[:, :, :0], mask=mask)
    if even.convergence.definite and even.bic < best.bic:
        return even, []
    apart = refit(start, counts, both_covariates(start, counts, mask, dose), mask)
    alone = refit(best, counts, both_covariates(best, counts, mask, dose), mask)
    gain = apart.log_likelihood - alone.log_likelihood
    if not apart.convergence.definite or gain < 2 * (apart.n_parameters - alone.n_parameters):
        return best, []
    return start, [hidden.phase for hidden in found[:splits]] + list(range(best.n_phases, start.n_phases))


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
    if mixed.found and (best.bic + mixed.bic < scattered.bic or scattered.scatter_sd.max() > SETTINGS.largest_scatter):
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
        if excess.sd.max() > 2 * SETTINGS.largest_scatter or (same and excess.score.max() < SETTINGS.scatter_score):
            continue
        trial = fit_scatter(fit, counts, mask=mask, max_steps=SEARCH_STEPS, tolerance=SEARCH_TOLERANCE)
        if found is not None and trial.bic > found.bic:
            break
        found = trial
    if found is None:
        return None
    if found.n_phases == best.n_phases:
        return found if found.bic < best.bic - SETTINGS.scatter_bic else None
    if found.n_phases == 1:
        return found if found.bic < best.bic - SETTINGS.fewer_phases_bic else None
    if found.bic > best.bic + SETTINGS.fewer_phases_bic:
        return None
    return found if _labelled(found, counts, mask).bic < _labelled(best, counts, mask).bic else None


def _families(fit: MixtureFit) -> int:
    """Number of phases if those were one that are as near as scatter puts the phases that stand for it."""
    log_shares = fit.log_composition
    change = log_shares[:, None] - log_shares[None]
    weight = np.exp(log_shares)[:, None]
    variance = (weight * change**2).sum(axis=2) - (weight * change).sum(axis=2) ** 2
    return int(connected_components(2.0 * np.sqrt(np.maximum(variance, 0.0)) < SETTINGS.one_family, directed=False)[0])


def _labelled(fit: MixtureFit, counts: Counts, mask: Mask) -> MixtureFit:
    return refit(fit, counts, neighbour_covariates(counts, fit, mask=mask), mask)
