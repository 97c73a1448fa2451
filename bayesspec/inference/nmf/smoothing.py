"""Abundances that borrow strength from the neighbouring pixels, as much as the counts ask for.

With the spectra held, the abundances maximise the Poisson likelihood less a penalty on the total variation of every
map. Its strength is in units of the noise of a map and is learned: of binomially thinned counts one part is fitted and
the other predicted. Zero is among the strengths that are tried.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from bayesspec.image.counts import Counts
from bayesspec.inference.blocks import merge, product, row_divergences
from bayesspec.inference.newton_proposal import pair_products, pairs
from bayesspec.inference.nmf.held_out import thin
from bayesspec.inference.nmf.settings import SETTINGS
from bayesspec.inference.nmf.total_variation import Quadratic, joined, no_tension, smooth_maps
from bayesspec.models.poisson_nmf import RATE_FLOOR

STRENGTHS = (0.0, 0.02, 0.06, 0.15, 0.3, 0.45, 0.7, 1.0, 1.5, 2.5)
"""Strengths that are tried, in units of one over the square root of a component's mean abundance."""
WORSE = 2
"""Strengths in a row that predict worse, after which no stronger one is tried."""
FITTED = 0.8
"""Share of the counts that is fitted when the strength is learned."""
LARGEST_SIDE = 144
"""Rows and columns of the central part on which the strength is learned."""
ROUNDS, STEPS = 8, 120
"""Expansions of the likelihood at most, and steps of the smoothing after each."""
SETTLED = 3e-3
"""Relative change of the maps at which the rounds end."""
LEAST = 0.02
"""Abundance, as a share of the component's mean, below which the likelihood is taken to be as curved as there."""
INFORMATION_CHANNELS = 256
"""Channels from twice which on they are added in runs for the expected information: cost."""
Array = npt.NDArray[Any]


def centre(counts: Counts) -> Counts:
    """Take the central part of a large image.

    Parameters
    ----------
    counts : Counts
        Counts.

    Returns
    -------
    Counts
        `LARGEST_SIDE` rows and columns of pixels; the same object where there are no more, or no counts in these.
    """
    valid = counts.valid
    outside = [(size - min(size, LARGEST_SIDE)) // 2 for size in valid.shape]
    part = tuple(slice(first, first + LARGEST_SIDE) for first in outside)
    row = np.full(valid.shape, -1)
    row[valid] = np.arange(counts.shape[0])
    rows = row[part][valid[part]]
    everything = len(rows) == counts.shape[0] or not counts.matrix[rows].any()
    return counts if everything else Counts(counts.matrix[rows], valid[part], counts.channels)


def proportional(counts: Counts, means: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Divide every pixel's counts as the means of the abundances are.

    Parameters
    ----------
    counts : Counts
        Counts.
    means : array (component,), float
        Mean abundances, in any scale.

    Returns
    -------
    numpy.ndarray (pixel, component), float32
        Abundances to start from.
    """
    shares = np.asarray(means, np.float64)
    totals = np.maximum(counts.matrix.sum(axis=1, dtype=np.float64), 0.1)
    return (totals[:, None] * (shares / shares.sum())).astype(np.float32)


@jax.jit
def _expand(counts: jax.Array, abundances: jax.Array, spectra: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gradient of the log likelihood in every pixel and its packed expected information."""
    run = max(1, spectra.shape[1] // INFORMATION_CHANNELS)
    merged, sums = merge(spectra, run), spectra.sum(axis=1)[None]
    crossed = (merge(pair_products(spectra), run) * float(run)).T

    def visit(_: None, block: tuple[jax.Array, jax.Array]) -> tuple[None, tuple[jax.Array, jax.Array]]:
        x, w = block
        quotient = x.astype(jnp.float32) / (product(w, spectra) + RATE_FLOOR)
        information = product(1.0 / (product(w, merged) + RATE_FLOOR), crossed)
        return None, (product(quotient, spectra.T) - sums, information)

    return jax.lax.scan(visit, None, (counts, abundances))[1]


def smoothed_abundances(
    counts: Counts, spectra: npt.ArrayLike, strength: float, start: npt.ArrayLike
) -> npt.NDArray[np.float32]:
    """Fit the abundances with a penalty on their total variation, the spectra held.

    Parameters
    ----------
    counts : Counts
        Counts and where they lie.
    spectra : array (component, channel), float
        Spectra, each summing to one.
    strength : float
        Strength of the penalty, in units of one over the square root of a component's mean abundance; zero for none.
    start : array (pixel, component), float
        Abundances to start from, counts; their means set the scale of the penalty.

    Returns
    -------
    numpy.ndarray (pixel, component), float32
        Abundances, counts; scaled so that they add to the counts, of which the penalty takes some.

    Notes
    -----
    Source: Rudin, Osher & Fatemi (1992), doi:10.1016/0167-2789(92)90242-F (the penalty), with the Poisson likelihood
    expanded to second order in every round.
    """
    spectra32, w = jnp.asarray(spectra, jnp.float32), np.asarray(start, np.float32)
    blocks, valid, size = counts.blocks, counts.valid, w.shape[1]
    mean = np.maximum(w.mean(axis=0, dtype=np.float64), 1e-6)
    price = jnp.asarray(strength / np.sqrt(mean), jnp.float32)
    edges, floor = joined(jnp.asarray(valid)), (LEAST * mean).astype(np.float32)
    maps = _placed(w, valid)
    tension = no_tension(maps)
    for _ in range(ROUNDS):
        lifted = np.maximum(w, floor)
        gradient, packed = (blocks.join(part) for part in _expand(blocks.counts, blocks.split(lifted), spectra32))
        information = _unpacked(packed, size)
        linear = gradient + np.einsum("nij,nj->ni", information, lifted)
        loss = Quadratic(_placed(information, valid), _placed(linear, valid))
        maps, tension = smooth_maps(loss, edges, price, (maps, tension), STEPS)
        before, w = w, np.asarray(maps)[valid]
        if np.square(w - before).sum(axis=0).max() <= SETTLED**2 * np.square(w).sum(axis=0).max():
            break
    gradient = blocks.join(_expand(blocks.counts, blocks.split(w), spectra32)[0])
    return np.asarray(w * (1.0 + (w * gradient).sum(axis=0) / w.sum(axis=0).clip(1e-30)), np.float32)


def _placed(values: Array, valid: npt.NDArray[np.bool_]) -> jax.Array:
    """Put values of the pixels into their places in the image; zero elsewhere."""
    full = np.zeros((*valid.shape, *values.shape[1:]), np.float32)
    full[valid] = values
    return jnp.asarray(full)


def _unpacked(packed: Array, size: int) -> Array:
    full = np.empty((len(packed), size, size), np.float32)
    for column, (i, j) in enumerate(pairs(size)):
        full[:, i, j] = full[:, j, i] = packed[:, column]
    return full


def learned_strength(
    counts: Counts, spectra: npt.ArrayLike, means: npt.ArrayLike, *, key: jax.Array
) -> tuple[float, dict[float, float]]:
    """Choose the strength that predicts held-out counts best.

    Parameters
    ----------
    counts : Counts
        Counts and where they lie; of a large image the central part is used.
    spectra : array (component, channel), float
        Spectra, each summing to one.
    means : array (component,), float
        Mean abundances, in any scale.
    key : jax.Array
        Random key of the division of the counts.

    Returns
    -------
    strength : float
        One of `STRENGTHS`; zero where none is clearly better.
    scores : dict of float to float
        Divergence of the held-out counts per pixel, nats, for the strengths that were tried.
    """
    part = centre(counts)
    known, held = (part.other(half) for half in thin(part.matrix, FITTED, key=key))
    blocks, spectra32 = held.blocks, jnp.asarray(spectra, jnp.float32)
    w, rows = proportional(known, means), dict[float, Array]()
    for strength in STRENGTHS:
        w = smoothed_abundances(known, spectra, strength, w)
        expected = np.maximum(w, 1e-6) * ((1.0 - FITTED) / FITTED)
        found = blocks.join(row_divergences(blocks.counts, blocks.split(expected), spectra32))
        rows[strength] = found.astype(np.float64)
        best = min(rows, key=lambda tried: float(rows[tried].sum()))
        if list(rows).index(best) < len(rows) - WORSE:
            break
    gain = rows[0.0] - rows[best]
    sure = gain.sum() > SETTINGS.smoothing_errors * np.sqrt(len(gain)) * gain.std()
    return (best if sure else 0.0), {strength: float(found.mean()) for strength, found in rows.items()}
