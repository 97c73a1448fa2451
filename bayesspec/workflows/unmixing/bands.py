"""What an unmixing leaves open beside its draws: other factorisations that fit as well, and ends that are unsettled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from bayesspec.image.counts import Counts
from bayesspec.inference.nmf.feasible_set import FeasibleSet, extreme_transforms, fraction_widths, fractions
from bayesspec.inference.nmf.pixel_groups import independent_groups
from bayesspec.inference.nmf.posterior import NmfPosterior, combinations, end_errors
from bayesspec.workflows.unmixing.known_spectra import KnownSpectra

MORE_COUNTS = 4
"""Times the counts for which the width of a band is foretold."""
WIDE = 0.4
"""Width of the band of a share over the share above which it is worked out what would narrow it."""
NOISE_WIDTH = 1.96
"""Standard deviations of its own noise by which the band of an entry of a spectrum is widened."""
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Band:
    """Factorisations at the limits of what fits as well.

    Parameters
    ----------
    transforms : numpy.ndarray (transform, part, part), float64
        Spectra, those of the background last, as combinations of the posterior's mean.
    fractions : numpy.ndarray (transform, component), float64
        Share of all counts in each component.
    spectra_lower, spectra_upper : numpy.ndarray (component, channel), float64
        Band of the spectra, its noise included.
    narrowed : dict of str to numpy.ndarray (component,), float64
        Width that the band of each share would have with one more piece of knowledge; empty where all are narrow.
    """

    transforms: Array
    fractions: Array
    spectra_lower: Array
    spectra_upper: Array
    narrowed: dict[str, Array]


def feasible_band(sums: Counts, posterior: NmfPosterior, known: KnownSpectra, seed: int) -> Band:
    """Look for the factorisations that fit as well as the posterior's mean.

    Parameters
    ----------
    sums : Counts
        Counts that the spectra were sampled on.
    posterior : NmfPosterior
        Draws of the spectra, those of the background last.
    known : KnownSpectra
        What is known of them.
    seed : int
        Seed of the grouping of pixels.

    Returns
    -------
    Band
        The band.
    """
    spectra = posterior.spectra.mean(axis=0, dtype=np.float64)
    background = len(known.background)
    n = len(spectra) - background
    groups = independent_groups(sums, spectra, seed)
    feasible = FeasibleSet(groups, spectra, posterior.n_fixed, background, seen=known.counts)
    transforms = extreme_transforms(feasible, seed)
    limits = transforms[:, :n] @ spectra
    noise = NOISE_WIDTH * feasible.spectra_noise[:n]
    noise[feasible.free :] = 0.0
    low, high = np.maximum(limits.min(axis=0) - noise, 0.0), np.maximum(limits.max(axis=0), 0.0) + noise
    shares = fractions(feasible, transforms)[:, :n]
    wide = (np.ptp(shares, axis=0) > WIDE * shares[0]).any()
    return Band(transforms, shares, low, high, _narrowed(feasible, n) if wide and not known.counts else {})


def _narrowed(feasible: FeasibleSet, n: int) -> dict[str, Array]:
    """Widths of the bands of the shares were one spectrum known, or the counts more."""
    groups, spectra, fixed = feasible.groups, feasible.spectra, feasible.components - feasible.free
    found = {}
    for known in range(feasible.free):
        order = [*np.delete(np.arange(feasible.free), known), known, *range(feasible.free, feasible.components)]
        held = FeasibleSet(groups.reordered(order), spectra[order], fixed + 1, feasible.background)
        found[f"the spectrum of component {known}"] = fraction_widths(held)[np.argsort(order)][:n]
    more = FeasibleSet(groups, spectra, fixed, feasible.background, feasible.tolerance / np.sqrt(MORE_COUNTS))
    found[f"{MORE_COUNTS} times the counts"] = fraction_widths(more)[:n]
    return found


def interval_errors(posterior: NmfPosterior, band: Band, prob: float) -> Array:
    """Monte Carlo error of the ends of intervals, as a part of their width, the band included.

    Of every component its share of the counts and how much it holds of every other; where the band is wider than the
    draws it does not matter how well these are known.

    Parameters
    ----------
    posterior : NmfPosterior
        Draws.
    band : Band
        What the intervals span beside them.
    prob : float
        Probability of the intervals.

    Returns
    -------
    numpy.ndarray (component,), float64
        The largest of each component.
    """
    n = band.fractions.shape[1]
    mixing = combinations(posterior.spectra[:, :n], posterior.spectra.mean(axis=0, dtype=np.float64))
    shares = (posterior.totals / posterior.totals.sum(axis=1, keepdims=True))[:, :n, None]
    draws = np.concatenate([mixing, shares], axis=2)
    ends = np.concatenate([band.transforms[:, :n], band.fractions[:, :, None]], axis=2)
    (low, high), errors = end_errors(draws, prob)
    lowest, highest = np.minimum(low, ends.min(axis=0)), np.maximum(high, ends.max(axis=0))
    beyond = np.stack([ends.min(axis=0) - low, high - ends.max(axis=0)])
    decisive = errors * ndtr(beyond / np.maximum(errors, 1e-30))
    width = highest - lowest
    return np.asarray(np.where(width > 1e-9, decisive / np.maximum(width, 1e-9), 0.0).max(axis=(0, 2)), np.float64)
