"""Maximum likelihood of the Poisson factorisation: expectation maximisation, accelerated, from several starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from bayesspec.inference.nmf_blocks import CountBlocks, cut, em_step, row_divergences
from bayesspec.inference.nmf_input import check_counts, check_fixed, check_rank
from bayesspec.inference.nmf_start import Matrix, coarsen, refine, starts
from bayesspec.inference.status import Status

Progress = Callable[[int, int], None]
"""Called with the number of cycles done and the most there can be."""

WINDOW = 5
"""Cycles over which the fall of the divergence is measured."""
COARSE_TOLERANCE = 1e-4
COARSE_CYCLES = 60


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
        Accelerated cycles taken on the full counts; each makes two steps.
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


def _roots(abundances: jax.Array, spectra: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Square roots of the abundances and of the counts that each component gives in each channel."""
    totals = abundances.sum(axis=(0, 1))
    return jnp.sqrt(abundances), jnp.sqrt(spectra * totals[:, None])


@jax.jit
def _cycle(
    counts: jax.Array, abundances: jax.Array, spectra: jax.Array, free: jax.Array, longest: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array], jax.Array, jax.Array]:
    """Two steps, the extrapolation along them, its divergence, and the step length.

    Notes
    -----
    Source: Varadhan & Roland (2008), doi:10.1111/j.1467-9469.2007.00585.x, scheme S3 on square roots.
    """
    first = em_step(counts, abundances, spectra, free)
    second = em_step(counts, *first, free)
    z0, z1, z2 = _roots(abundances, spectra), _roots(*first), _roots(*second)
    r = [b - a for a, b in zip(z0, z1, strict=True)]
    v = [c - b - d for b, c, d in zip(z1, z2, r, strict=True)]
    rr, vv = (sum(jnp.vdot(a, a) for a in part) for part in (r, v))
    length = jnp.clip(jnp.sqrt(rr / jnp.maximum(vv, 1e-30)), 1.0, longest)
    w, h = (jnp.square(a + 2.0 * length * b + length**2 * c) for a, b, c in zip(z0, r, v, strict=True))
    sums = h.sum(axis=1, keepdims=True)
    h = jnp.where(free[:, None] & (sums > 0), h / jnp.where(sums > 0, sums, 1.0), second[1])
    return (w, h), second, row_divergences(counts, w, h), length


def _descend(
    blocks: CountBlocks,
    start: tuple[jax.Array, jax.Array],
    free: jax.Array,
    tolerance: float,
    cycles: int,
    progress: Progress | None = None,
) -> tuple[tuple[jax.Array, jax.Array], float, int, Status]:
    """Cycle until the divergence has nearly stopped to fall."""
    counts, point, longest = blocks.counts, start, 4.0
    history = [_sum(row_divergences(counts, *point))]
    status = Status.ITERATION_LIMIT
    try:
        while status is Status.ITERATION_LIMIT and len(history) <= cycles:
            proposal, safe, rows, length = _cycle(counts, *point, free, jnp.float32(longest))
            value = _sum(rows)
            if value <= history[-1]:
                point = proposal
                longest = 4.0 * longest if float(length) >= longest else longest
            else:
                point, value, longest = safe, _sum(row_divergences(counts, *safe)), max(1.0, longest / 4.0)
            history.append(value)
            status = _judge(history, tolerance)
            if progress is not None:
                progress(len(history) - 1, cycles)
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    return point, history[-1], len(history) - 1, status


def _judge(history: list[float], tolerance: float) -> Status:
    """Say whether the divergence has nearly stopped to fall."""
    value = history[-1]
    if not np.isfinite(value):
        return Status.DIVERGED
    if len(history) > WINDOW + 1 and history[-1 - WINDOW] - value <= tolerance * max(value, 1e-12):
        return Status.CONVERGED
    return Status.ITERATION_LIMIT


def _sum(rows: jax.Array) -> float:
    """Add the rows in float64."""
    return float(np.asarray(rows, np.float64).sum())


def _begin(counts: Matrix, spectra: Matrix, fixed: Matrix) -> tuple[Matrix, Matrix]:
    """Even abundances beside starting spectra, the fixed ones appended."""
    everything = np.concatenate([spectra, fixed]).astype(np.float32)
    totals = counts.sum(axis=1, dtype=np.float64)[:, None] / len(everything)
    return np.repeat(totals, len(everything), axis=1).astype(np.float32), everything


def _best_start(counts: Matrix, rank: int, fixed: Matrix, free: jax.Array, seed: int) -> tuple[Matrix, Matrix, Matrix]:
    """Fit the coarse counts from every start; carry the best fit over to the full counts, with its stability."""
    coarse = coarsen(counts)
    blocks, known = cut(coarse.counts), coarse.in_runs(fixed)
    fits = []
    for spectra in starts(coarse.counts, rank, seed):
        w, h = _begin(coarse.counts, spectra, known)
        point, value, _, _ = _descend(blocks, (blocks.split(w), jnp.asarray(h)), free, COARSE_TOLERANCE, COARSE_CYCLES)
        fits.append((value, point))
    fits.sort(key=lambda fit: fit[0])
    best, others = fits[0][1], [np.asarray(point[1]) for _, point in fits[1:]]
    agreement = [_agreement(np.asarray(best[1]), other, rank) for other in others] or [np.ones(len(best[1]))]
    w_full, h_full = refine(coarse, counts, blocks.join(best[0]), np.asarray(best[1]))
    h_full[rank:] = fixed
    return w_full, h_full, np.mean(agreement, axis=0)


def _agreement(spectra: Matrix, others: Matrix, rank: int) -> Matrix:
    """Cosine of each free spectrum with its partner in another fit; one for those that are fixed."""
    a, b = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (spectra, others))
    cosines = a[:rank] @ b[:rank].T
    rows, partners = linear_sum_assignment(-cosines)
    return np.append(cosines[rows, partners], np.ones(len(spectra) - rank))


def fit_mode(
    counts: npt.ArrayLike,
    rank: int,
    *,
    key: jax.Array,
    init: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    fixed_spectra: npt.ArrayLike | None = None,
    tolerance: float = 1e-5,
    max_iterations: int = 500,
    progress: Progress | None = None,
) -> NmfMode:
    """Find the spectra and abundances of highest likelihood.

    Parameters
    ----------
    counts : array (pixel, channel), integer
        Counts.
    rank : int
        Number of components whose spectrum is free.
    key : jax.Array
        Random key of the random start.
    init : (abundances (pixel, component), spectra (component, channel)), float, optional
        Start here instead; abundances in counts, spectra of any scale, those of fixed spectrum last.
    fixed_spectra : array (fixed component, channel), float, optional
        Known spectra, for example a background; scaled to sum to one.
    tolerance : float
        Stop when the divergence falls by less than this part of itself in five cycles.
    max_iterations : int
        Largest number of accelerated cycles on the full counts.
    progress : callable (done, total), optional
        Called after each cycle.

    Returns
    -------
    NmfMode
        The mode; components by falling total of counts, those of fixed spectrum last.

    Raises
    ------
    InputError
        When the counts, the rank or the fixed spectra cannot be used.

    Notes
    -----
    Source: Lee & Seung (1999), doi:10.1038/44565; Varadhan & Roland (2008), doi:10.1111/j.1467-9469.2007.00585.x.
    """
    matrix = check_counts(counts)
    fixed = check_fixed(fixed_spectra, matrix.shape[1])
    check_rank(rank, matrix.shape)
    free = jnp.arange(rank + len(fixed)) < rank
    if init is None:
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1, dtype=jnp.int32))
        w, h, stability = _best_start(matrix, rank, fixed, free, seed)
    else:
        stability = None
        w, h = _given_start(init)
    blocks = cut(matrix)
    start = (blocks.split(w), jnp.asarray(h))
    point, value, cycles, status = _descend(blocks, start, free, tolerance, max_iterations, progress)
    w, h = blocks.join(point[0]), np.asarray(point[1])
    order = np.append(np.argsort(-w[:, :rank].sum(axis=0), kind="stable"), np.arange(rank, len(h)))
    return NmfMode(h, w, value, cycles, status, len(fixed), stability).reordered(order)


def _given_start(init: tuple[npt.ArrayLike, npt.ArrayLike]) -> tuple[Matrix, Matrix]:
    """Factors with each spectrum scaled to sum to one."""
    w, h = (np.asarray(part, np.float64) for part in init)
    sums = np.maximum(h.sum(axis=1), 1e-300)
    return (w * sums).astype(np.float32), (h / sums[:, None]).astype(np.float32)
