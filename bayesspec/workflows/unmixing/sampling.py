"""From counts to the posterior of an unmixing: where to start, the spectra sampled, abundances of single pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bayesspec.image.counts import Counts
from bayesspec.image.pixel_blocks import LEAST_LIKENESS, likeness, sampling_block, summed
from bayesspec.inference.nmf.background_transfer import nowhere_absent, unload_posterior
from bayesspec.inference.nmf.mode import NmfMode
from bayesspec.inference.nmf.pixel_abundances import sample_abundances
from bayesspec.inference.nmf.posterior import LARGEST_ERROR, NmfPosterior
from bayesspec.inference.nmf.prior import NmfPrior
from bayesspec.inference.nmf.recentring import recentred
from bayesspec.inference.nmf.sampler import sample, sweeps_per_draw
from bayesspec.inference.nmf.smoothing import learned_strength, smoothed_abundances
from bayesspec.inference.status import Status
from bayesspec.workflows.unmixing.bands import Band, feasible_band, interval_errors
from bayesspec.workflows.unmixing.known_spectra import KnownSpectra
from bayesspec.workflows.unmixing.start import best_start, neighbour_start, one_shape_start

PRIOR = (
    "Spectra: Dirichlet, concentration 1/2 a channel. Abundances: Gamma, whose shape and rate are learned "
    "for every component under log-uniform priors."
)
SLOW_WARMUP = 5
"""Times as many sweeps before the first draw where the background moves slowly: of flat prior, or of free shape."""
FLAT = " That of the background, which is nowhere absent, is flat."
ONE_SHAPE = " The background is one mixture of its shapes in all pixels, of unknown weights with a flat prior."
FIRST_SWEEPS = 2
"""Sweeps a draw, at most, where draws are moved to one factorisation: how they move between others decides nothing."""
LONGER = 4
"""Times as many sweeps where the first were not enough: what is not settled then needs knowledge, not time."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sampling:
    """How the posterior is sampled.

    Parameters
    ----------
    seed : int
        Seed of the grouping of pixels.
    draws, warmup : int
        Draws kept, and sweeps before the first.
    prob : float
        Probability of the intervals.
    neighbours : bool or float
        Strength of the smoothing over neighbouring pixels; ``True`` learns it.
    """

    seed: int
    draws: int
    warmup: int
    prob: float
    neighbours: bool | float


@dataclass(frozen=True, eq=False)
class UnmixingFit:
    """What a result is made of.

    Parameters
    ----------
    mode : NmfMode
        Where the sampling started.
    posterior : NmfPosterior
        Draws and moments.
    band : Band or None
        Factorisations that fit as well; None after an interruption.
    interval_errors : array (component,), float64, or None
        Monte Carlo error of the ends of the intervals, as a part of their width; None after an interruption.
    maps : array (pixel, component), float32, or None
        Abundances smoothed over neighbours.
    known : KnownSpectra
        What was known; the background as the mean of its draws where it is one mixture of the shapes.
    settings : dict
        What was done, for the provenance.
    """

    mode: NmfMode
    posterior: NmfPosterior
    band: Band | None
    interval_errors: npt.NDArray[np.float64] | None
    maps: npt.NDArray[np.float32] | None
    known: KnownSpectra
    settings: dict[str, Any]


def fit_components(
    counts: Counts,
    rank: int,
    known: KnownSpectra,
    sampling: Sampling,
    key: jax.Array,
) -> UnmixingFit:
    """Find components and sample their posterior.

    Parameters
    ----------
    counts : Counts
        Counts.
    rank : int
        Number of components without the background.
    known : KnownSpectra
        What is known of them.
    sampling : Sampling
        How.
    key : jax.Array
        Random key.

    Returns
    -------
    UnmixingFit
        The posterior.
    """
    start_key, strength_key, sample_key = jax.random.split(key, 3)
    block = sampling_block(counts)
    sums = summed(counts, block)
    mode, shapes = _start(sums, rank, known, sampling, start_key)
    background = len(known.background) if shapes is None else 1
    strength = _strength(counts, mode, sampling.neighbours, strength_key)
    if strength > 0 and not known.counts:
        mode = neighbour_start(counts, mode, strength, background, sampling.seed)
    flat = background == 1 and shapes is None and nowhere_absent(mode, sampling.seed)
    prior = NmfPrior(seen=known.seen(counts.channels), flat=int(flat))
    task = _Task(counts, sums, mode, prior, shapes, known)
    posterior, band, errors, thin = _settled(task, sampling, sample_key)
    if shapes is not None:
        known = known.mixed(posterior.spectra[:, -1].mean(axis=0), counts.channels)
    maps = _smoothed(counts, posterior, strength, background) if strength > 0 and band is not None else None
    settings = {
        "seed": sampling.seed,
        "draws": sampling.draws,
        "warmup": sampling.warmup,
        "sweeps of the sampler a draw": thin,
        "pixels summed for the spectra": f"{block} x {block}",
        "prior": PRIOR + FLAT * flat + ONE_SHAPE * (shapes is not None),
        "strength of the smoothing over neighbours": strength,
    }
    return UnmixingFit(mode, posterior, band, errors, maps, known, settings)


def _start(
    counts: Counts,
    rank: int,
    known: KnownSpectra,
    sampling: Sampling,
    key: jax.Array,
) -> tuple[NmfMode, npt.NDArray[np.float64] | None]:
    """Where to start; the shapes of the background, (shape, channel), where it is one mixture of them."""
    background = len(known.background)
    mode = best_start(counts, rank, known, key=key, seed=sampling.seed)
    single = None
    if background > 1 and not known.counts:
        single = one_shape_start(counts, mode, background, seed=sampling.seed)
    mode = mode if single is None else single
    return mode, None if single is None else known.background[:, counts.channels]


@dataclass(frozen=True, eq=False)
class _Task:
    """What is sampled: counts, their sums over blocks, where to start, the prior, and what is known."""

    counts: Counts
    sums: Counts
    mode: NmfMode
    prior: NmfPrior
    shapes: npt.NDArray[np.float64] | None
    known: KnownSpectra

    @property
    def informed(self) -> bool:
        """Whether the draws know more of the factorisation than the counts."""
        given = self.prior.flat or len(self.prior.seen) or self.shapes is not None or self.mode.n_fixed
        return bool(given) or len(self.mode.spectra) == 1


Settled = tuple[NmfPosterior, Band | None, npt.NDArray[np.float64] | None, int]


def _settled(task: _Task, sampling: Sampling, key: jax.Array) -> Settled:
    """Sample, and once more for longer where the ends of the intervals are not known well enough.

    Returns the posterior, what is feasible beside it, the Monte Carlo errors of ends, and the sweeps a draw.
    """
    found: Settled | None = None
    for number, longer in enumerate((1, LONGER)):
        few = sweeps_per_draw(task.sums) if task.informed else min(FIRST_SWEEPS, sweeps_per_draw(task.sums))
        thin, known = longer * few, task.known
        posterior = _sampled(task, sampling, thin, jax.random.fold_in(key, number))
        if task.shapes is not None:
            known = known.mixed(posterior.spectra[:, -1].mean(axis=0), task.counts.channels)
        elif len(known.background) > 1:
            posterior = unload_posterior(posterior, len(known.background), sampling.seed)
        if posterior.status is Status.INTERRUPTED:
            return (replace(found[0], status=posterior.status), *found[1:]) if found else (posterior, None, None, thin)
        band = feasible_band(task.sums, posterior, known, sampling.seed)
        errors = interval_errors(posterior, band, sampling.prob)
        found = posterior, band, errors, thin
        if errors.max() <= LARGEST_ERROR:
            break
    assert found is not None
    return found


def _sampled(task: _Task, sampling: Sampling, thin: int, key: jax.Array) -> NmfPosterior:
    """Sample the spectra on the sums, then the abundances of single pixels.

    Where nothing else is known the spectra are moved to the mode, of smallest volume: how much a component holds of the
    others the prior would decide, and wrongly where pixels hold one component alone (python
    benchmarks/identifiability.py --case minerals).
    """
    spectra_key, pixel_key = jax.random.split(key)
    slow = task.prior.flat or task.shapes is not None
    with progress_bar(f"spectra, rank {len(task.mode.spectra)}") as progress:
        posterior = sample(
            task.sums,
            task.mode,
            key=spectra_key,
            draws=sampling.draws,
            warmup=sampling.warmup * (SLOW_WARMUP if slow else 1),
            thin=thin,
            probs=((1 - sampling.prob) / 2, (1 + sampling.prob) / 2),
            prior=task.prior,
            shapes=task.shapes,
            progress=progress,
        )
    moved = not task.informed and posterior.status is not Status.INTERRUPTED
    posterior = recentred(posterior, task.mode.spectra) if moved else posterior
    if task.sums is not task.counts or moved:
        with progress_bar("abundances") as progress:
            posterior = sample_abundances(task.counts, posterior, key=pixel_key, prior=task.prior, progress=progress)
    return posterior


def _strength(
    counts: Counts,
    mode: NmfMode,
    neighbours: bool | float,  # noqa: FBT001
    key: jax.Array,
) -> float:
    """Strength of the smoothing over neighbours, learned where it is not given."""
    if neighbours is not True:
        return float(neighbours)
    if likeness(counts) < LEAST_LIKENESS:
        return 0.0
    means = mode.abundances.mean(axis=0)
    return learned_strength(counts, mode.spectra, means, key=key)[0]


def _smoothed(counts: Counts, posterior: NmfPosterior, strength: float, background: int) -> npt.NDArray[np.float32]:
    """Maps smoothed over neighbours, of the posterior's mean spectra; beside a background, of its totals as well."""
    spectra, totals = posterior.spectra.mean(axis=0), posterior.totals.mean(axis=0)
    maps = smoothed_abundances(counts, spectra, strength, posterior.component_abundances)
    if not background:
        return maps
    return np.asarray(maps * (totals / np.maximum(maps.sum(axis=0), 1e-30)), np.float32)


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
    """Show how much is done of what takes long.

    Parameters
    ----------
    what : str
        What is being done.

    Yields
    ------
    callable (done, total)
        To be called as it goes on.
    """
    with tqdm(desc=what, disable=None, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress
