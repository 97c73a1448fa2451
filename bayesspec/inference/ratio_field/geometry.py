"""Cubic splines of doubling spacing over the pixels."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.fft import dct


class Level(NamedTuple):
    """Splines of one spacing: the field is ``rows @ coefficients @ columns.T``."""

    rows: npt.NDArray[np.float64]
    """(y, row node)."""
    columns: npt.NDArray[np.float64]
    """(x, column node)."""
    row_power: npt.NDArray[np.float64]
    """(row frequency,), variance of each cosine over the rows, coefficients of variance one."""
    column_power: npt.NDArray[np.float64]
    """(column frequency,), the same over the columns."""


class Geometry(NamedTuple):
    """Splines of all spacings, and the cosines in which fields of them are nearly independent."""

    levels: tuple[Level, ...]
    log_spacing: npt.NDArray[np.float64]
    """(level,), logarithm of the spacings in pixels."""
    row_cosines: npt.NDArray[np.float64]
    """(row frequency, y), orthonormal."""
    column_cosines: npt.NDArray[np.float64]
    """(column frequency, x), orthonormal."""


def geometry(shape: tuple[int, int]) -> Geometry:
    """Lay splines over the pixels.

    Parameters
    ----------
    shape : tuple of int
        Number of pixels (y, x); 1 along y for a profile.

    Returns
    -------
    Geometry
        Spacings of 1, 2, 4, ... pixels, the last at least as wide as the image. The splines of a spacing are scaled so
        that the variance of their sum, coefficients of variance one, is one in the mean over the pixels.
    """
    spacings = 2.0 ** np.arange(1 + math.ceil(math.log2(max(*shape, 2))))
    cosines = [dct(np.eye(n), axis=0, norm="ortho") for n in shape]
    levels = []
    for spacing in spacings:
        splines = [_splines(n, spacing) for n in shape]
        powers = [((c @ s) ** 2).sum(axis=1) for c, s in zip(cosines, splines, strict=True)]
        levels.append(Level(splines[0], splines[1], powers[0], powers[1]))
    return Geometry(tuple(levels), np.log(spacings), cosines[0], cosines[1])


def _splines(n: int, spacing: float) -> npt.NDArray[np.float64]:
    """Values (pixel, node) of cubic splines along one axis."""
    if n == 1:
        return np.ones((1, 1))
    intervals = max(1, math.ceil(n / spacing))
    width = n / intervals
    nodes = np.arange(-1, intervals + 2) * width - 0.5 if spacing > 1 else np.arange(-1.0, n + 1)
    away = np.abs((np.arange(n)[:, None] - nodes) / width)
    values = np.where(away < 1, 2 / 3 - away**2 + away**3 / 2, np.maximum(2 - away, 0) ** 3 / 6)
    used = values[:, values.sum(axis=0) > 1e-9]
    scaled: npt.NDArray[np.float64] = used / math.sqrt(float((used**2).sum(axis=1).mean()))
    return scaled
