"""Passes over counts in blocks of pixels that stay in cache.

A pass converts one block of narrow integers at a time, so nothing of pixels x channels is ever floating.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Integer

import bayesspec.inference.programs  # noqa: F401
from bayesspec.errors import InputError
from bayesspec.models.poisson_nmf import RATE_FLOOR

product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
MERGED_CHANNELS = 256
"""Channels that are kept for the information of the pixels."""
MERGED_PIXELS = 4096
"""Pixels that are kept for the information of the channels."""


@jax.jit
def em_step(
    counts: Integer[jax.Array, "block row channel"],
    abundances: Float[jax.Array, "block row component"],
    spectra: Float[jax.Array, "component channel"],
    free: Bool[jax.Array, " component"],
) -> tuple[Float[jax.Array, "block row component"], Float[jax.Array, "component channel"]]:
    """Run one step of expectation maximisation in both factors, in one pass over the counts.

    With q = x / (w h), the new abundances are w (q h^T) and the new spectra h (w^T q), scaled to sum to one.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    abundances : jax.Array (block, row, component), float32
        Expected counts of each component.
    spectra : jax.Array (component, channel), float32
        Probabilities per channel; each row sums to one.
    free : jax.Array (component,), bool
        Whether the spectrum of the component may change.

    Returns
    -------
    abundances : jax.Array (block, row, component), float32
        New abundances.
    spectra : jax.Array (component, channel), float32
        New spectra.

    Notes
    -----
    Source: Lee & Seung (1999), doi:10.1038/44565;
    Dempster, Laird & Rubin (1977), doi:10.1111/j.2517-6161.1977.tb01600.x.
    """

    def visit(received: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, w = block
        quotient = x.astype(jnp.float32) / (product(w, spectra) + RATE_FLOOR)
        return received + product(w.T, quotient), w * product(quotient, spectra.T)

    received, abundances = jax.lax.scan(visit, jnp.zeros_like(spectra), (counts, abundances))
    received = received * spectra
    sums = received.sum(axis=1, keepdims=True)
    changed = free[:, None] & (sums > 0)
    return abundances, jnp.where(changed, received / jnp.where(sums > 0, sums, 1.0), spectra)


@jax.jit
def row_divergences(
    counts: Integer[jax.Array, "block row channel"],
    abundances: Float[jax.Array, "block row component"],
    spectra: Float[jax.Array, "component channel"],
) -> Float[jax.Array, "block row"]:
    """Kullback-Leibler divergence of each pixel: sum over channels of x log(x / r) - x + r.

    Parameters
    ----------
    counts : jax.Array (block, row, channel), unsigned integer
        Counts.
    abundances : jax.Array (block, row, component), float32
        Expected counts of each component.
    spectra : jax.Array (component, channel), float32
        Probabilities per channel.

    Returns
    -------
    jax.Array (block, row), float32
        Divergence in nats; add the rows in float64.
    """
    sums = spectra.sum(axis=1, keepdims=True)

    def visit(_: None, block: tuple[jax.Array, jax.Array]) -> tuple[None, jax.Array]:
        x, w = block[0].astype(jnp.float32), block[1]
        quotient = x / (product(w, spectra) + RATE_FLOOR)
        logs = (x * jnp.log(jnp.where(x > 0, quotient, 1.0))).sum(axis=1)
        return None, logs - x.sum(axis=1) + product(w, sums)[:, 0]

    return jax.lax.scan(visit, None, (counts, abundances))[1]


# Merging neighbours where less than the full counts will do


@dataclass(frozen=True)
class Runs:
    """How many neighbours are merged where only the information is computed.

    Parameters
    ----------
    channels, pixels : int
        Lengths of the runs for the information.
    coupling : int
        Channels merged for the coupling moves.
    """

    channels: int
    pixels: int
    coupling: int


def choose_runs(pixels: int, channels: int, rows: int) -> Runs:
    """Merge no more than leaves `MERGED_CHANNELS` channels and `MERGED_PIXELS` pixels.

    Parameters
    ----------
    pixels, channels : int
        Shape of the counts.
    rows : int
        Pixels in a block, a multiple of 8.

    Returns
    -------
    Runs
        Lengths of the runs.
    """
    run = 1
    while run < 8 and pixels // (2 * run) >= MERGED_PIXELS and rows % (2 * run) == 0:
        run *= 2
    merged = int(np.clip(channels // MERGED_CHANNELS, 1, 8))
    return Runs(merged, run, min(2, merged))


def merge(values: jax.Array, run: int) -> jax.Array:
    """Add runs of neighbours along the last axis; the last run may be short.

    Parameters
    ----------
    values : jax.Array (row, entry), float
        Values.
    run : int
        Length of the runs.

    Returns
    -------
    jax.Array (row, merged entry), float
        Sums.
    """
    if run == 1:
        return values
    short = -values.shape[1] % run
    padded = jnp.pad(values, ((0, 0), (0, short)))
    return padded.reshape(values.shape[0], -1, run).sum(axis=2)


# What the factorisation accepts: a rank that the counts can have, known spectra


def check_fixed(fixed: npt.ArrayLike | None, channels: int) -> npt.NDArray[np.float32]:
    """Fixed spectra scaled to sum to one; an empty array when there are none.

    Parameters
    ----------
    fixed : array (fixed component, channel), float, or None
        Known spectra.
    channels : int
        Number of channels of the counts.

    Returns
    -------
    numpy.ndarray (fixed component, channel), float32
        The same, each row summing to one.

    Raises
    ------
    InputError
        When the shape is wrong or an entry is negative or not finite.
    """
    if fixed is None:
        return np.zeros((0, channels), np.float32)
    spectra = np.asarray(fixed, np.float64)
    right = spectra.ndim == 2 and spectra.shape[1] == channels
    if not right or not np.isfinite(spectra).all() or (spectra < 0).any() or (spectra.sum(axis=1) <= 0).any():
        raise InputError(
            f"fixed_spectra of shape {spectra.shape}, smallest entry {spectra.min(initial=np.inf)}",
            f"finite non-negative spectra of shape (component, {channels}), none of them empty",
            "fixed_spectra=background[None, :]",
        )
    return (spectra / spectra.sum(axis=1, keepdims=True)).astype(np.float32)


def check_rank(rank: int, shape: tuple[int, ...], which: str = "") -> None:
    """Refuse a rank that the counts cannot have.

    Parameters
    ----------
    rank : int
        Number of components.
    shape : tuple of int
        Pixels and channels.
    which : str
        Which of them, where it is not all.

    Raises
    ------
    InputError
        When the rank is not from one to the smaller of the two.
    """
    if not 1 <= rank <= min(shape):
        raise InputError(
            f"rank={rank} for {shape[0]} pixels x {shape[1]} channels {which}".strip(),
            f"a rank from 1 to {min(shape)}",
            f"rank={min(4, *shape)}",
        )
