"""Input of the composition mixture: counts and covariates, checked, as arrays of pixels."""

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bayesspec.errors import InputError
from bayesspec.inference.mixture_fit import Floats
from bayesspec.inference.mixture_mode import Pixels

LARGEST_TOTAL = 2**31


def checked_counts(counts: NDArray[np.integer], mask: NDArray[np.bool_] | None) -> Floats:
    """Counts (pixel, channel) as float64, excluded pixels zero; refuses what is not counts."""
    counts = np.asarray(counts)
    if counts.ndim != 3 or counts.shape[2] < 2:
        raise InputError(f"counts of shape {counts.shape}", "(y, x, channel), two channels or more", "lines=[...]")
    if mask is not None and np.shape(mask) != counts.shape[:2]:
        raise InputError(f"a mask of shape {np.shape(mask)}", f"shape {counts.shape[:2]}", "mask=None")
    if not np.issubdtype(counts.dtype, np.integer) or counts.min(initial=0) < 0:
        found = f"counts of type {counts.dtype}, smallest {counts.min()}"
        raise InputError(found, "whole numbers of 0 or more", "counts.astype(int)")
    excluded = np.zeros(counts.shape[:2], bool) if mask is None else np.asarray(mask)
    kept = np.where(excluded[:, :, None], 0, counts).reshape(-1, counts.shape[2]).astype(np.float64)
    largest = kept.sum(axis=1).max(initial=0.0)
    if largest >= LARGEST_TOTAL:
        raise InputError(f"a pixel with {largest:.0f} counts", "fewer than 2^31 counts a pixel", "counts // 2")
    return kept


def check_phases(kept: Floats, max_phases: int) -> None:
    """Refuse fewer pixels with counts than phases."""
    measured = int((kept.sum(axis=1) > 0).sum())
    if not 1 <= max_phases <= measured:
        found = f"{max_phases} phases for {measured} pixels with counts"
        raise InputError(found, "at least one phase, and one pixel with counts for each", "phases=range(1, 3)")


def checked_covariates(covariates: Floats, pixels: int) -> Floats:
    """Covariates (pixel, covariate) as float64; refuses what is not finite or of other pixels."""
    given = np.asarray(covariates, dtype=np.float64)
    x = given.reshape(int(np.prod(given.shape[:-1])), given.shape[-1])
    if len(x) != pixels or not np.isfinite(x).all():
        raise InputError(
            f"covariates of shape {x.shape} with {int((~np.isfinite(x)).sum())} values not finite",
            f"finite ones for {pixels} pixels",
            "covariates=dose_covariates(counts.sum(axis=-1))",
        )
    return x


def pixels_of(kept: Floats, covariates: Floats | None) -> Pixels:
    """Counts, totals and the design of the weights: ones, then the covariates."""
    ones = np.ones((len(kept), 1))
    design = ones if covariates is None else np.concatenate([ones, covariates], axis=1)
    return Pixels(jnp.asarray(kept), jnp.asarray(kept.sum(axis=1)), jnp.asarray(design))
