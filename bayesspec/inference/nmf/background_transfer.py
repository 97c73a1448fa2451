"""Background is transferred out of components whose spectra hold some of it.

A component with some background in its spectrum fits as well as one without, as long as there is background
everywhere. Of all these the components without are meant: as much of the background shapes as the noise of the
spectrum allows is taken out. Where there is background everywhere, its abundances say nothing of this, and a prior
that has learned them would rather take all of it for components: it must be flat.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from bayesspec.inference.after_sampling import Step
from bayesspec.inference.nmf.feasible_set import FeasibleSet
from bayesspec.inference.nmf.mode import NmfMode
from bayesspec.inference.nmf.pixel_groups import group_pixels
from bayesspec.inference.nmf.posterior import NmfPosterior, effective_sample_size, gamma_quantiles
from bayesspec.inference.nmf.settings import SETTINGS

Array = npt.NDArray[np.float64]
MOST = 0.98
"""Largest share of a component that is taken for background."""


def transfer_background(mode: NmfMode, background: int, seed: int) -> NmfMode:
    """Take as much background as possible out of the components.

    Parameters
    ----------
    mode : NmfMode
        Factors; the background's shapes are the last spectra.
    background : int
        Number of shapes of the background.
    seed : int
        Seed of the grouping of pixels that the noise comes from.

    Returns
    -------
    NmfMode
        Factors of about the same fit with smaller components; what falls below zero is set to zero.
    """
    spectra, abundances = mode.spectra.astype(np.float64), mode.abundances.astype(np.float64)
    feasible = FeasibleSet(group_pixels(abundances, seed), spectra, mode.n_fixed, background)
    shapes = feasible.runs[:, -background:]
    for k in range(feasible.free):
        shares = _largest_share(feasible.runs[:, k], shapes, SETTINGS.background_depth * feasible.run_noise[:, k])
        net = np.maximum(spectra[k] - shares @ spectra[-background:], 0.0)
        if net.sum() <= 0:
            continue
        abundances[:, -background:] += abundances[:, [k]] * shares
        abundances[:, k] *= 1.0 - shares.sum()
        spectra[k] = net / net.sum()
    return replace(mode, spectra=spectra.astype(np.float32), abundances=abundances.astype(np.float32))


def nowhere_absent(mode: NmfMode, seed: int) -> bool:
    """Say whether the components could take up a good part of the last spectrum, its abundances staying positive.

    Parameters
    ----------
    mode : NmfMode
        Factors; the background, one shape, is the last spectrum.
    seed : int
        Seed of the grouping of pixels.

    Returns
    -------
    bool
        Whether the part is above `SETTINGS.nowhere_absent`.
    """
    groups = group_pixels(mode.abundances, seed)
    others, background = groups.abundances[:, :-1], groups.abundances[:, -1]
    free = len(mode.spectra) - mode.n_fixed
    totals = others[-groups.finest :].T @ groups.pixels[-groups.finest :]
    found = linprog(-totals[:free], others[:, :free], background, method="highs")
    most = -found.fun if found.status == 0 else 0.0
    return bool(most > SETTINGS.nowhere_absent * (background * groups.pixels)[-groups.finest :].sum())


def _largest_share(spectrum: Array, shapes: Array, depth: Array) -> Array:
    """Shares of the shapes that take most out of a spectrum, by a linear program."""
    bounds = [(0.0, MOST)] * shapes.shape[1]
    total = np.ones((1, shapes.shape[1]))
    rows, limits = np.concatenate([shapes, total]), np.append(spectrum + depth, MOST)
    found = linprog(-np.ones(shapes.shape[1]), rows, limits, bounds=bounds, method="highs")
    return np.asarray(found.x, np.float64) if found.status == 0 else np.zeros(shapes.shape[1])


def transfer_background_in_draws(posterior: NmfPosterior, background: int, seed: int) -> NmfPosterior:
    """Take as much background as possible out of the components of every draw.

    Parameters
    ----------
    posterior : NmfPosterior
        Draws; the background's shapes are the last spectra.
    background : int
        Number of shapes of the background.
    seed : int
        Seed of the grouping of pixels that the noise comes from.

    Returns
    -------
    NmfPosterior
        The same draws, of spectra without background. The moments of the abundances are scaled by the mean share
        taken out, and the background's own widened as if the components were independent of it.
    """
    spectra, totals, fractions = (np.array(v, np.float64) for v in _draws(posterior))
    mean = spectra.mean(axis=0)
    groups = group_pixels(posterior.abundance_mean[:, : len(mean)], seed)
    feasible = FeasibleSet(groups, mean, posterior.n_fixed, background)
    depth, shapes = SETTINGS.background_depth * feasible.run_noise, feasible.runs[:, -background:]
    shares = np.zeros((*spectra.shape[:2], background))
    for draw, k in np.ndindex(len(spectra), feasible.free):
        shares[draw, k] = _largest_share(feasible.in_runs(spectra[draw, k]), shapes, depth[:, k])
        net = np.maximum(spectra[draw, k] - shares[draw, k] @ mean[-background:], 0.0)
        shares[draw, k] *= net.sum() > 0
        spectra[draw, k] = net / net.sum() if net.sum() > 0 else spectra[draw, k]
    for values in (totals, fractions):
        values[:, -background:] += np.einsum("dk,dkb->db", values, shares)
        values *= 1.0 - shares.sum(axis=2)
    abundances, sd = _moved(posterior, shares.mean(axis=0), background)
    mixing = (spectra @ np.linalg.pinv(mean))[:, : feasible.free]
    sizes = {"totals": totals, "fractions": fractions, "mixing": mixing[:, :, : feasible.components - background]}
    return replace(
        posterior,
        spectra=spectra.astype(np.float32),
        totals=totals,
        fractions=fractions,
        abundance_mean=abundances.astype(np.float32),
        abundance_sd=sd.astype(np.float32),
        abundance_quantiles=gamma_quantiles(abundances, sd, posterior.probs),
        effective={name: effective_sample_size(values) for name, values in sizes.items()},
        steps=(*posterior.steps, Step.BACKGROUND_TRANSFERRED),
    )


def _draws(posterior: NmfPosterior) -> tuple[npt.NDArray[np.floating], ...]:
    return posterior.spectra, posterior.totals, posterior.fractions


def _moved(posterior: NmfPosterior, shares: Array, background: int) -> tuple[Array, Array]:
    """Mean and standard deviation of the abundances, the last column being the sum over the fixed spectra."""
    mean, sd = posterior.abundance_mean.astype(np.float64), posterior.abundance_sd.astype(np.float64)
    components = len(shares)
    given, left = shares.sum(axis=1), 1.0 - shares.sum(axis=1)
    mean[:, -1] += mean[:, :components] @ given
    sd[:, -1] = np.sqrt(sd[:, -1] ** 2 + sd[:, :components] ** 2 @ given**2)
    first = components - background
    mean[:, first:components] += mean[:, :components] @ shares
    mean[:, :components] *= left
    sd[:, :components] *= left
    return mean, sd
