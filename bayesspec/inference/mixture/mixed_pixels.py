"""Do pixels hold more than one phase? A test along the directions that connect the phases.

A pixel that holds phases i and j has a composition on the line between s[i, :] and s[j, :]. Compositions at a quarter,
a half and three quarters of the way between every two phases are added to the mixture, with weights of their own
and the phases held fixed; where pixels hold one phase each these weights go to zero. The statistic is twice the gain
in log likelihood. Its distribution without mixed pixels comes from images drawn from the fit.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesspec.inference.mixture.fit import Floats, MixtureFit
from bayesspec.inference.mixture.settings import SETTINGS

STEPS = (0.25, 0.5, 0.75)
"""Parts of the way from phase to phase at which compositions are added."""
EM_STEPS = 30
"""Steps of expectation maximisation on the weights."""
START_SHARE = 0.2
"""Share of the pixels that the added compositions start with."""
MOST_PIXELS = 16384
"""Pixels that are looked at, about: cost."""


class MixedPixels(NamedTuple):
    """Evidence for pixels that hold more than one phase.

    Attributes
    ----------
    gain : float
        Twice the gain in log likelihood (nats) by compositions between the phases, of the pixels that were looked at.
    share : float
        Share of the pixels that lie between the phases.
    found : bool
        Whether the gain exceeds that of every image drawn without mixed pixels, and the share one fiftieth.
    bic : float
        Change of the Bayesian information criterion by these compositions, nats times two, for all pixels.
    """

    gain: float
    share: float
    found: bool
    bic: float


def mixed_pixels(
    fit: MixtureFit, counts: NDArray[np.integer], measured: NDArray[np.bool_], *, seed: int
) -> MixedPixels:
    """Test whether pixels hold more than one phase.

    Parameters
    ----------
    fit : MixtureFit
        A mixture without scatter.
    counts : ndarray of int, (y, x, channel)
        Counts that were fitted.
    measured : ndarray of bool, (y, x)
        Pixels that count: not excluded, with counts.
    seed : int
        Seed of the images that are drawn from the fit.

    Returns
    -------
    MixedPixels
        Never found with one phase, or with two channels: there every composition lies between two others.
    """
    if fit.n_phases == 1 or counts.shape[2] < 3:
        return MixedPixels(0.0, 0.0, found=False, bic=0.0)
    step = -(-int(measured.sum()) // MOST_PIXELS)
    kept = counts[measured][::step].astype(np.float64)
    own = fit.responsibilities.reshape(*measured.shape, -1)[measured][::step]
    shares = _between(np.exp(fit.log_composition))
    gain, share = _gain(kept, shares, own.mean(axis=0))
    added = len(shares) - fit.n_phases
    found = share > SETTINGS.least_mixed and gain > 0.0
    if found and gain < SETTINGS.mixed_certain * added:  # far beyond it no replicate could come
        rng = np.random.default_rng(seed)
        found = all(
            _gain(_drawn(rng, kept, shares, own), shares, own.mean(axis=0))[0] < gain
            for _ in range(SETTINGS.mixed_replicates)
        )
    return MixedPixels(gain, share, found=bool(found), bic=added * float(np.log(measured.sum())) - step * gain)


def _between(compositions: Floats) -> Floats:
    """The phases' compositions, and below them those between every two: (component, channel)."""
    pairs = combinations(compositions, 2)
    between = [(1.0 - step) * first + step * second for first, second in pairs for step in STEPS]
    return np.concatenate([compositions, np.array(between)])


def _drawn(rng: np.random.Generator, counts: Floats, shares: Floats, own: Floats) -> Floats:
    """Counts of pixels of one phase each, with the totals and label probabilities of the data."""
    label = (own.cumsum(axis=1) < rng.random((len(own), 1))).sum(axis=1).clip(max=own.shape[1] - 1)
    return rng.multinomial(counts.sum(axis=1).astype(np.int64), shares[label]).astype(np.float64)


def _gain(counts: Floats, shares: Floats, weights: Floats) -> tuple[float, float]:
    """Twice the gain by the components after the first `len(weights)`, and their share, by EM of the weights."""
    terms = counts @ np.log(shares).T
    likelihood = np.exp(terms - terms.max(axis=1, keepdims=True))
    phases, added = len(weights), len(shares) - len(weights)
    before = np.log(np.maximum(likelihood[:, :phases] @ weights, 1e-300)).sum()
    mixing = np.concatenate([weights * (1.0 - START_SHARE), np.full(added, START_SHARE / added)])
    for _ in range(EM_STEPS):
        mixing = mixing * (likelihood / (likelihood @ mixing)[:, None]).mean(axis=0)
    gain = 2.0 * (np.log(likelihood @ mixing).sum() - before)
    return float(gain), float(mixing[phases:].sum())
