"""How noisy are the counts of a few channels? Neighbouring pixels tell, in their totals and in how these divide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, expit

Floats = npt.NDArray[np.float64]
FEWEST_COUNTS = 10.0
"""Counts of a pixel below which squares of differences are not close to their distribution."""
FEWEST_IN_CHANNEL = 5.0
"""Mean counts of a pixel below which a channel is added to another: a table of fewer is no chi-square."""
FEWEST_PAIRS = 200
"""Pairs below which the noise is not known to a tenth."""
ALIKE = 0.5
"""Ratio of the logarithms of both variances above which one gain is behind them."""
ROUNDS = 60
"""Steps of expectation maximisation."""
SURE = 5.0
"""Standard errors by which the logarithm of the gain must differ from 0 for counts to be called those of a gain.
Alarms and power: ``python benchmarks/decisions.py gain``."""
INFLATION = 1.6
"""Standard error of the narrower of two widths over that of one width: alarms, ``python benchmarks/decisions.py
gain``."""
NO_NOISE = 1e-9
"""Variance over mean of counts that are all alike, in place of 0, which has no logarithm."""
APART = 2
"""Pixels between those of pairs that interpolation does not make alike."""
CORRELATED = 0.7
"""Noise of pairs of neighbours over that of pairs further apart, below which pixels are not independent: frames of a
drift that is corrected, and averaged frames, ``python benchmarks/realistic.py --noise interpolated mean4``."""
LEAST_WIDER = 1.5
"""Least ratio of the scales of the two distributions, so that they stay two."""


@dataclass(frozen=True)
class PairNoise:
    """Variance of counts from pixel to pixel, over that of Poisson counts.

    Parameters
    ----------
    totals : float
        Of the pixels' totals, by second differences along rows and columns; 1 where too few counts tell.
    division : float
        Of how totals divide over the channels, by pairs of neighbours; 1 where too few counts tell.
    error : float
        Standard error of the logarithm of either, of Poisson counts.
    independent : bool
        Whether the noise of neighbours is as unlike as that of pixels further apart; false where too few pairs tell.
    """

    totals: float
    division: float
    error: float = 0.0
    independent: bool = False

    @property
    def gain(self) -> float:
        """What both have in common: a gain, which multiplies every event.

        Scatter of the composition leaves totals as they are, rough thickness the division; rough thickness over a
        background that does not follow it moves both, and then a wider division is no gain. 1 where the logarithm is
        not clear of its error.
        """
        weaker, stronger = sorted((float(np.log(part)) for part in (self.totals, self.division)), key=abs)
        alike = weaker * stronger > ALIKE * stronger**2
        common = 0.5 * (weaker + stronger) if alike else weaker
        rough = not alike and 1.0 < self.division < self.totals
        return 1.0 if rough or abs(common) <= SURE * self.error else float(np.exp(common))


def pair_noise(counts: npt.NDArray[np.integer[Any]], valid: npt.NDArray[np.bool_]) -> PairNoise:
    """Compare the differences of neighbouring pixels with those of Poisson counts.

    Second differences leave a smooth thickness out, and their median what is not smooth. Two pixels of one phase
    divide their totals alike: the statistic of homogeneity of their 2 x channel table is the noise times chi-square.
    Pairs of two phases are wider; a mixture of two widths leaves them out.

    Parameters
    ----------
    counts : numpy.ndarray (y, x, channel), integer
        Counts.
    valid : numpy.ndarray (y, x), bool
        Pixels that are not excluded.

    Returns
    -------
    PairNoise
        Both variances, each over that of Poisson counts.

    Notes
    -----
    How far both lie from the gain, of smooth maps and of grains: ``python benchmarks/decisions.py gain``.
    """
    totals = np.where(valid, counts.sum(axis=2, dtype=np.int64), 0).astype(np.float64)
    second = np.concatenate([_second_differences(turned) for turned in (totals, totals.T)])
    kept = _filled(np.where(valid[:, :, None], counts, 0).astype(np.float64), valid)
    freedom = kept.shape[2] - 1
    pairs = np.concatenate([_homogeneity(turned) for turned in (kept, kept.transpose(1, 0, 2))])
    of_totals = max(float(np.median(second) / chdtri(1, 0.5)), NO_NOISE) if len(second) >= FEWEST_PAIRS else 1.0
    if not freedom or len(pairs) < FEWEST_PAIRS:
        return PairNoise(of_totals, 1.0)
    error = INFLATION * float(np.sqrt(2.0 / (len(pairs) * freedom)))
    division = _narrower(pairs, freedom)
    return PairNoise(of_totals, division, error, independent=_independent(kept, freedom))


def _independent(kept: Floats, freedom: int) -> bool:
    """Whether neighbours along either axis are as unlike as pixels further apart."""
    turned = (kept, kept.transpose(1, 0, 2))
    apart = np.concatenate([_homogeneity(each, APART) for each in turned])
    near = [_homogeneity(each) for each in turned]
    if len(apart) < FEWEST_PAIRS or min(map(len, near)) < FEWEST_PAIRS:
        return False
    return min(_narrower(each, freedom) for each in near) > CORRELATED * _narrower(apart, freedom)


def _filled(counts: Floats, valid: npt.NDArray[np.bool_]) -> Floats:
    """Add channels of few counts to the weakest of the others, or to each other where that makes enough."""
    mean = counts.sum(axis=(0, 1)) / max(int(valid.sum()), 1)
    sparse = mean < FEWEST_IN_CHANNEL
    together = counts[:, :, sparse].sum(axis=2, keepdims=True)
    full = counts[:, :, ~sparse]
    if mean[sparse].sum() >= FEWEST_IN_CHANNEL:
        return np.concatenate([full, together], axis=2)
    if full.shape[2]:
        full[:, :, mean[~sparse].argmin()] += together[:, :, 0]
    return full


def _second_differences(totals: Floats) -> Floats:
    """Squares of second differences along the first axis, over their expectation."""
    before, middle, after = totals[:-2], totals[1:-1], totals[2:]
    enough = np.minimum(np.minimum(before, middle), after) >= FEWEST_COUNTS
    return np.square(before - 2.0 * middle + after)[enough] / (before + 4.0 * middle + after)[enough]


def _homogeneity(counts: Floats, apart: int = 1) -> Floats:
    """Statistic of the 2 x channel table of disjoint pairs so many pixels apart along the first axis."""
    number, rest = len(counts) // (2 * apart), counts.shape[1:]
    pairs = counts[: number * 2 * apart].reshape(number, 2, apart, *rest)
    first, second = (pairs[:, place].reshape(number * apart, *rest) for place in (0, 1))
    totals = [part.sum(axis=2) for part in (first, second)]
    enough = np.minimum(*totals) >= FEWEST_COUNTS
    a, b, (of_a, of_b) = first[enough], second[enough], (total[enough][:, None] for total in totals)
    share = np.maximum((a + b) / (of_a + of_b), 1e-12)
    return np.asarray((np.square(a / of_a - b / of_b) / share).sum(axis=1) / (1.0 / of_a + 1.0 / of_b)[:, 0])


def _narrower(squares: Floats, freedom: int) -> float:
    """Scale of the narrower of two scaled chi-square distributions, by expectation maximisation."""
    scale, wider, part = max(float(np.median(squares) / chdtri(freedom, 0.5)), NO_NOISE), 5.0, 0.2
    for _ in range(ROUNDS):
        narrow = np.log(1.0 - part) - 0.5 * squares / scale
        wide = np.log(part) - 0.5 * freedom * np.log(wider) - 0.5 * squares / (scale * wider)
        own = expit(narrow - wide)
        part = float(np.clip(1.0 - own.mean(), 1e-3, 0.5))
        scale = max(float((own * squares).sum() / (freedom * own.sum())), NO_NOISE)
        rest = max(float((1.0 - own).sum()), 1e-9)
        wider = max(float(((1.0 - own) * squares).sum()) / (freedom * rest * scale), LEAST_WIDER)
    return scale
