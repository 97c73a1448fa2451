"""How many components: singular values propose, held-out counts of a coarser image confirm, evidence is asked too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import jax
import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from bayesspec.errors import warn
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.count_matrix import counts_of
from bayesspec.image.counts import Counts
from bayesspec.image.pixel_blocks import coarser
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.nmf.held_out import rank_scores
from bayesspec.inference.noise.check import NoiseCheck
from bayesspec.inference.noise.singular_values import component_evidence, elbow
from bayesspec.inference.random_keys import random_key, seed_for
from bayesspec.results.selection import candidates, held_out_table, limit_note, one_standard_error, with_verdicts
from bayesspec.spectroscopy.odd_channels import odd_channels
from bayesspec.workflows.poisson_check import check_noise_and_drift

FITTED_SHARE = 0.8
"""Share of the counts that is fitted when ranks are scored; the rest is held out
(python benchmarks/selection.py --case rank)."""
COARSE_TOLERANCE = 2e-5
"""Relative change of the divergence at which these fits end: looser than that of a fit that is kept, for speed."""
CLEAR = 4.0
"""Standard errors by which held-out counts must speak for more components than the singular values show: how often the
rank is right, ``python benchmarks/selection.py --case rank``."""
TRACE = 0.05
"""Strength, over that of the weakest confirmed component, of what is a trace unless held-out counts confirm it:
``python benchmarks/selection.py --case rank``."""


class _Evidence(NamedTuple):
    """What speaks for a rank: the choice by held-out counts, by the singular values, and by their evidence."""

    held_out: int
    spectral: int
    bound: int


@checked_arguments()
def select_rank(image: SpectrumImage, ranks: int | Iterable[int] = range(1, 9), *, seed: int = 0) -> xr.Dataset:
    """Say how many components an image has, with the evidence for every number.

    Singular values in units of the noise propose a rank; how well a factorisation predicts held-out counts confirms
    it; the evidence of the singular values is the third score. Noise that is not Poisson, a drift of the energy axis,
    and dead or hot channels and pixels are looked for first and modelled.

    Parameters
    ----------
    image : SpectrumImage
        Counts of an EDS or EELS image.
    ranks : int or iterable of int
        Numbers of components to choose from.
    seed : int
        Seed of the division into fitted and held-out counts.

    Returns
    -------
    xarray.Dataset, dims (candidate,)
        ``score`` and ``error``: held-out log likelihood relative to the best, in nats. ``bound``: log evidence of the
        singular values relative to the best, in nats. ``singular_value``: in units of the noise, to be compared with
        the scalar ``threshold``. ``verdict`` of every candidate in words. Scalar ``elbow``: what the classical scree
        plot would give. Attributes: ``rank``, the choice; ``spectral_rank`` and ``held_out_rank``; ``verdict``.

    Raises
    ------
    InputError
        When there are no counts, or a rank is not possible.

    Warns
    -----
    UserWarning
        When the counts are not Poisson counts on one energy axis.

    Notes
    -----
    Source: Landa, Zhang & Kluger (2022), doi:10.1137/21M1456807 (the proposal); Neufeld et al. (2024),
    arXiv:2301.07276 (held-out counts); Nakajima et al. (2013), J. Mach. Learn. Res. 14, 1 (the evidence).

    Examples
    --------
    >>> import bayesspec as bs
    >>> si = bs.simulate.iron_oxides(300, (12, 12), seed=0).rebin(energy=8)
    >>> table = bs.select_rank(si, range(1, 3))
    >>> "score" in table
    True
    """
    counts = counts_of(image)
    numbers = candidates(ranks, "rank", min(counts.shape))
    key = random_key(seed_for(seed, image.checksum))
    check = check_noise_and_drift(counts, odd_channels(image))
    if check.problems:
        warn("; ".join(check.problems))
    table, verdict, chosen, evidence = _choose(counts, numbers, key, check)
    words = "; ".join([verdict, *check.problems])
    named = {"spectral_rank": evidence.spectral, "held_out_rank": evidence.held_out, "bound_rank": evidence.bound}
    return table.assign_attrs(rank=chosen, verdict=words, **named)


def choose_rank(
    counts: Counts, channels: npt.NDArray[np.int8], numbers: list[int], key: jax.Array
) -> tuple[xr.Dataset, str, int]:
    """Choose a rank as `select_rank` does, where there is a choice.

    Parameters
    ----------
    counts : Counts
        Counts.
    channels : numpy.ndarray (energy,), int8
        Dead and hot channels, as `odd_channels` finds them.
    numbers : list of int
        Ranks to choose from, increasing.
    key : jax.Array
        Random key of the division into fitted and held-out counts.

    Returns
    -------
    table : xarray.Dataset, dims (candidate,)
        As `select_rank` gives it; without a choice ``score``, ``error`` and ``verdict`` alone.
    verdict : str
        The choice in words.
    chosen : int
        The rank.

    Raises
    ------
    InputError
        When there are no counts.
    """
    if len(numbers) == 1:
        table = held_out_table(numbers, np.zeros((1, 2)))
        return with_verdicts(table, numbers[0]), f"{_components(numbers[0])}, as asked", numbers[0]
    check = check_noise_and_drift(counts, channels)
    table, verdict, chosen, _ = _choose(counts, numbers, key, check)
    if check.drift is not None:
        verdict += f"; {check.drift_words}"
    return table, verdict, chosen


def _choose(
    counts: Counts, numbers: list[int], key: jax.Array, check: NoiseCheck
) -> tuple[xr.Dataset, str, int, _Evidence]:
    """Let the three voices speak."""
    coarse = coarser(counts)
    possible = [number for number in numbers if number <= min(coarse.shape)]
    with tqdm(total=max(possible), desc="rank", disable=None, leave=False) as bar:
        scores = rank_scores(
            coarse,
            possible,
            key=key,
            fraction=FITTED_SHARE,
            tolerance=COARSE_TOLERANCE,
            progress=lambda *_: bar.update(),
        )
    table = held_out_table(possible, scores)
    values, shape = check.corrected.singular_values, check.corrected.shape
    bounds = component_evidence(values, shape)
    evidence = _Evidence(
        one_standard_error(table), _nearest(check.rank, possible), _nearest(1 + int(np.argmax(bounds[1:])), possible)
    )
    chosen = _decide(evidence, table, values, check)
    own = np.array([bounds[min(n, len(bounds) - 1)] for n in possible])
    shown = np.array([values[min(n, len(values)) - 1] for n in possible])
    table = with_verdicts(table, chosen).assign(
        bound=("candidate", own - own.max(), {"units": "nats", "long_name": "log evidence, relative to the best"}),
        singular_value=("candidate", shown, {"units": "noise"}),
        threshold=check.corrected.threshold,
        elbow=elbow(values),
    )
    return table, _verdict(numbers, chosen, evidence, check), chosen, evidence


def _nearest(rank: int, possible: list[int]) -> int:
    """The largest candidate that is not above the rank, or else the smallest."""
    return max((n for n in possible if n <= rank), default=possible[0])


def _decide(evidence: _Evidence, table: xr.Dataset, values: npt.NDArray[np.float64], check: NoiseCheck) -> int:
    """Take the singular values' rank, unless held-out counts speak against it.

    Factorisations pay half a nat per pixel and component, so that held-out counts speak for fewer components
    than there are where pixels hold few counts. What they do not confirm counts as a component if its strength is
    comparable with that of the confirmed ones; what is much weaker is a trace, or a fault of the model.
    """
    low, high = evidence.held_out, evidence.spectral
    if low > high:
        lead = table.sel(candidate=high)
        clear = float(lead["score"]) < -CLEAR * float(lead["error"])
        return low if clear and not check.problems else high
    if low == high or check.drift is not None:
        return high
    strength = np.square(values) - check.corrected.threshold**2
    kept = low
    for number in range(low + 1, high + 1):
        if strength[number - 1] < TRACE * strength[low - 1]:
            break
        kept = number
    return _nearest(kept, [int(n) for n in table["candidate"].values])


def _components(number: int) -> str:
    return f"{number} component" if number == 1 else f"{number} components"


def _verdict(numbers: list[int], chosen: int, evidence: _Evidence, check: NoiseCheck) -> str:
    text = f"{_components(chosen)}{limit_note(chosen, numbers, 'components')}"
    if evidence.spectral > chosen:
        return text + (
            f"; cannot tell {chosen} from {evidence.spectral}: the singular values show {evidence.spectral}, but "
            f"held-out counts confirm {evidence.held_out}, and the rest is far weaker: a trace, or a fault of the model"
        )
    if evidence.held_out < chosen:
        text += (
            f"; held-out counts confirm {evidence.held_out}: pixel by pixel these counts do not "
            "separate all components, sum pixels or count longer"
        )
    elif check.raw.rank > chosen and check.problems:
        text += f"; the singular values of Poisson counts would be {check.raw.rank}"
    elif evidence.spectral < chosen:
        text += f"; the singular values show {evidence.spectral}"
    return text
