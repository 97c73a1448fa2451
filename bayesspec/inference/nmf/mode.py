"""Maximum likelihood of the Poisson factorisation, from several starts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from bayesspec.errors import InputError
from bayesspec.image.counts import Counts
from bayesspec.inference.blocks import check_fixed, check_rank
from bayesspec.inference.nmf.channel_groups import group_channels
from bayesspec.inference.nmf.em import Descent, Progress, descend
from bayesspec.inference.nmf.newton import newton_descent
from bayesspec.inference.nmf.starts import Matrix, coarsen, refine, starts
from bayesspec.inference.status import Status

LARGE = 2**22
"""Entries from which the counts of groups of channels are fitted first."""
GROUPS = 12
"""Groups of channels for each component."""
GROUPED_CYCLES, GROUPED_LOOKS = 200, 3
"""Most cycles on the groups, and cycles from one look at the divergence to the next."""
LIFT = np.float32(1e-5)
"""Part of the mean of a row that an entry keeps at least when all channels are fitted."""
NEAR = 1e-3
"""Part of the divergence by which the first cycle improves a start that is worth fitting to groups."""
COARSE_TOLERANCE = 1e-4
"""Relative fall of the divergence at which the fits of the coarse counts end."""
COARSE_CYCLES = 60
"""Cycles of these at most."""


@dataclass(frozen=True)
class NmfMode:
    """Spectra and abundances at the maximum of the likelihood.

    Parameters
    ----------
    spectra : numpy.ndarray (component, channel), float32
        Probability per channel; each row sums to one. Free components first, then those of fixed spectrum.
    abundances : numpy.ndarray (pixel, component), float32
        Expected counts of the component in the pixel.
    divergence : float
        Kullback-Leibler divergence of the fit from the counts, in nats.
    iterations : int
        Accelerated cycles or rounds of Newton steps taken on the full counts.
    status : Status
        How the fit ended.
    n_fixed : int
        Number of components whose spectrum was fixed.
    stability : numpy.ndarray (component,), float64, or None
        How alike the spectrum is in fits from other starts: mean cosine with its partner, one when all starts find
        the same; None where the start was given.
    """

    spectra: npt.NDArray[np.float32]
    abundances: npt.NDArray[np.float32]
    divergence: float
    iterations: int
    status: Status
    n_fixed: int = 0
    stability: npt.NDArray[np.float64] | None = None

    def reordered(self, order: npt.NDArray[np.int64]) -> NmfMode:
        """Put the components in another order.

        Parameters
        ----------
        order : numpy.ndarray (component,), int64
            Which component comes where.

        Returns
        -------
        NmfMode
            The same fit.
        """
        known = None if self.stability is None else self.stability[order]
        return replace(self, spectra=self.spectra[order], abundances=self.abundances[:, order], stability=known)


def _on_groups(
    counts: Counts, start: tuple[Matrix, Matrix], free: jax.Array, tolerance: float
) -> tuple[Matrix, Matrix]:
    """Fit the counts of groups of channels; carry the fit over to all channels.

    A start that these counts hardly improve is near already, and stays as it is.
    """
    w, h = start
    groups = group_channels(counts.matrix, len(h), GROUPS * len(h))
    blocks = Counts.in_one_column(groups.add(counts.matrix)).blocks
    found = descend(blocks, (np.asarray(blocks.split(w)), groups.gather(h).astype(np.float32)), free, tolerance, 1)
    if found.begun - found.divergence < NEAR * found.begun:
        return w, h
    found = descend(blocks, found.point, free, tolerance, GROUPED_CYCLES, every=GROUPED_LOOKS)
    spread = np.where(np.asarray(free)[:, None], _lifted(groups.spread(found.point[1]), h), h)
    return _lifted(blocks.join(found.point[0]), w), spread.astype(np.float32)


def _lifted(values: Matrix, start: Matrix) -> Matrix:
    """Take entries off zero, where they would stay, if they did not begin there."""
    return np.maximum(values, LIFT * values.mean(axis=1, keepdims=True) * (start > 0))


def _begin(counts: Counts, spectra: Matrix, fixed: Matrix) -> tuple[Matrix, Matrix]:
    """Even abundances beside starting spectra, the fixed ones appended."""
    everything = np.concatenate([spectra, fixed]).astype(np.float32)
    totals = counts.matrix.sum(axis=1, dtype=np.float64)[:, None] / len(everything)
    return np.repeat(totals, len(everything), axis=1).astype(np.float32), everything


def _best_start(counts: Counts, rank: int, fixed: Matrix, free: jax.Array, seed: int) -> tuple[Matrix, Matrix, Matrix]:
    """Fit the coarse counts from every start; carry the best fit over to the full counts, with its stability."""
    coarse = coarsen(counts)
    blocks, known = coarse.counts.blocks, coarse.in_runs(fixed)
    fits = []
    for spectra in starts(coarse.counts.matrix, rank, seed):
        w, h = _begin(coarse.counts, spectra, known)
        found = descend(blocks, (np.asarray(blocks.split(w)), h), free, COARSE_TOLERANCE, COARSE_CYCLES)
        fits.append((found.divergence, found.point))
    fits.sort(key=lambda fit: fit[0])
    best, others = fits[0][1], [point[1] for _, point in fits[1:]]
    agreement = [_agreement(best[1], other, rank) for other in others] or [np.ones(len(best[1]))]
    w_full, h_full = refine(coarse, counts, blocks.join(best[0]), best[1])
    h_full[rank:] = fixed
    return w_full, h_full, np.mean(agreement, axis=0)


def _agreement(spectra: Matrix, others: Matrix, rank: int) -> Matrix:
    """Cosine of each free spectrum with its partner in another fit; one for those that are fixed."""
    a, b = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (spectra, others))
    cosines = a[:rank] @ b[:rank].T
    rows, partners = linear_sum_assignment(-cosines)
    return np.append(cosines[rows, partners], np.ones(len(spectra) - rank))


def fit_mode(
    counts: npt.ArrayLike | Counts,
    rank: int,
    *,
    key: jax.Array | None = None,
    init: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    fixed_spectra: npt.ArrayLike | None = None,
    tolerance: float = 1e-5,
    max_iterations: int = 500,
    progress: Progress | None = None,
) -> NmfMode:
    """Find the spectra and abundances of highest likelihood.

    Parameters
    ----------
    counts : Counts, or array (pixel, channel), integer
        Counts.
    rank : int
        Number of components whose spectrum is free.
    key : jax.Array, optional
        Random key of the random start; needed where `init` is not given.
    init : (abundances (pixel, component), spectra (component, channel)), float, optional
        Start here instead; abundances in counts, spectra of any scale, those of fixed spectrum last.
    fixed_spectra : array (fixed component, channel), float, optional
        Known spectra, for example a background; scaled to sum to one.
    tolerance : float
        Stop when the divergence falls by less than this part of itself in five cycles, or in a round of Newton steps.
    max_iterations : int
        Largest number of accelerated cycles or rounds on the full counts.
    progress : callable (done, total), optional
        Called after each cycle.

    Returns
    -------
    NmfMode
        The mode; components by falling total of counts, those of fixed spectrum last.

    Raises
    ------
    InputError
        When the counts, the rank or the fixed spectra cannot be used, or there is neither a key nor a start.

    Notes
    -----
    From a given start that is far from the optimum, counts of `LARGE` entries or more are fitted in groups of channels
    first, and then by Newton steps; where those do not lower the divergence, and in all other cases, by accelerated
    expectation maximisation.
    Source: Lee & Seung (1999), doi:10.1038/44565; Varadhan & Roland (2008), doi:10.1111/j.1467-9469.2007.00585.x.
    """
    known = Counts.of(counts)
    fixed = check_fixed(fixed_spectra, known.shape[1])
    check_rank(rank, known.shape)
    free = jnp.arange(rank + len(fixed)) < rank
    if init is None:
        if key is None:
            raise InputError("neither key nor init", "a random key, or a start", "fit_mode(counts, 4, key=key)")
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1, dtype=jnp.int32))
        w, h, stability = _best_start(known, rank, fixed, free, seed)
    else:
        (w, h), stability = _given_start(init), None
    found = _descended(known, (w, h), free, tolerance, max_iterations, progress, given=init is not None)
    w, h = found.point
    order = np.append(np.argsort(-w[:, :rank].sum(axis=0), kind="stable"), np.arange(rank, len(h)))
    return NmfMode(h, w, found.divergence, found.cycles, found.status, len(fixed), stability).reordered(order)


def _descended(
    counts: Counts,
    start: tuple[Matrix, Matrix],
    free: jax.Array,
    tolerance: float,
    most: int,
    progress: Progress | None,
    *,
    given: bool,
) -> Descent:
    """Go down from a start by the means that suit the size of the counts; the abundances are not in blocks."""
    far = given and counts.filled * counts.shape[1] >= LARGE and counts.shape[1] >= 4 * GROUPS * len(start[1])
    w, h = start
    if far:
        w, h = _on_groups(counts, start, free, tolerance)
        far = w is not start[0]
    blocks = counts.blocks
    found = Descent((np.asarray(blocks.split(w)), h), np.inf, 0, Status.ITERATION_LIMIT, np.inf)
    if far:
        found = newton_descent(blocks, found.point, free, tolerance, most, progress)
    if not far or found.status is Status.DIVERGED or not np.isfinite(found.divergence):
        last = descend(blocks, found.point, free, tolerance, most - found.cycles, progress)
        found = last._replace(cycles=found.cycles + last.cycles)
    return found._replace(point=(blocks.join(found.point[0]), found.point[1]))


def _given_start(init: tuple[npt.ArrayLike, npt.ArrayLike]) -> tuple[Matrix, Matrix]:
    """Factors with each spectrum scaled to sum to one."""
    w, h = (np.asarray(part, np.float64) for part in init)
    sums = np.maximum(h.sum(axis=1), 1e-300)
    return (w * sums).astype(np.float32), (h / sums[:, None]).astype(np.float32)
