"""Ratios of phases beside those of their interior, the pixels whose neighbours are all of the same phase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.labels import interior

Floats = npt.NDArray[np.float64]
FEWEST_COUNTS = 100
"""Counts of a line in the interior of a phase from which the error of their logarithm is close to normal."""


def beside_interior(
    labels: npt.NDArray[np.integer], counts: npt.NDArray[np.number], shares: Floats, draws: Floats, lines: Sequence[str]
) -> xr.Dataset:
    """Compare the line ratios of phases with those of the summed counts of their interior.

    What the pixels inside a phase hold of the others, by their labels, draws their ratios away: it is an error of
    theirs, in full, beside that of their counts.

    Parameters
    ----------
    labels : array of int, (y, x)
        Phase of each pixel, -1 for none.
    counts : array, (y, x, line)
        Counts in the windows of the lines.
    shares : array of float64, (y, x, phase)
        Probability, or mean share, of each phase in a pixel.
    draws : array of float64, (draw, phase, line)
        Joint draws of the share of the lines in the counts of each phase; NaN where they are not known.
    lines : sequence of str
        Names of the lines.

    Returns
    -------
    xarray.Dataset
        ``interior_ratio`` and ``fitted_ratio`` (phase, ratio) to the line with most counts, ``interior_sigmas`` (phase,
        ratio): difference of their logarithms in combined standard deviations, ``interior_pixels`` (phase,). NaN where
        a phase is not resolved or has no interior.
    """
    inside, phases = interior(labels), draws.shape[1]
    own = [inside & (labels == k) for k in range(phases)]
    pooled = np.stack([counts[each].sum(axis=0, dtype=np.float64) for each in own])
    below = int(pooled.sum(axis=0).argmax())
    above = [i for i in range(len(lines)) if i != below]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(draws[:, :, above] / draws[:, :, [below]])
        seen = np.log(pooled[:, above] / pooled[:, [below]])
        variance = 1.0 / pooled[:, above] + 1.0 / pooled[:, [below]]
    mean = logs.mean(axis=0)
    known = (np.minimum(pooled[:, above], pooled[:, [below]]) >= FEWEST_COUNTS) & np.isfinite(mean)
    held = np.stack([shares[each].mean(axis=0) if each.any() else np.full(phases, np.nan) for each in own])
    away = np.abs(np.nan_to_num(mean)[None] - np.nan_to_num(mean)[:, None])
    error = np.sqrt(logs.var(axis=0) + variance + np.square(np.einsum("kl,klr->kr", held, away)))
    with np.errstate(invalid="ignore"):
        values = {
            "interior_ratio": np.exp(seen),
            "fitted_ratio": np.exp(mean),
            "interior_sigmas": (mean - seen) / error,
        }
    table = {name: (("phase", "ratio"), np.where(known, value, np.nan)) for name, value in values.items()}
    ratios = [f"{lines[i]}/{lines[below]}" for i in above]
    pixels = np.array([int(each.sum()) for each in own])
    return xr.Dataset(table | {"interior_pixels": (("phase",), pixels)}, coords={"ratio": ratios})
