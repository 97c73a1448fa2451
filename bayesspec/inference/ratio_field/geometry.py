"""Cubic splines of doubling spacing over the pixels, and the cells in which their amplitudes go together."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CELL = 8
"""Side of a cell in pixels: splines of up to this spacing have an amplitude of their own in every cell, so that the
field is rough near edges and smooth elsewhere. Chosen by ``python benchmarks/ratio_map.py --case cells``."""


class Level(NamedTuple):
    """Splines of one spacing: the field is ``rows @ coefficients @ columns.T``."""

    rows: npt.NDArray[np.float64]
    """(y, row node)."""
    columns: npt.NDArray[np.float64]
    """(x, column node)."""
    cells: npt.NDArray[np.int64]
    """(row node, column node), the cell that each spline lies in; the number of cells for splines of no cell."""


class Geometry(NamedTuple):
    """Splines of all spacings."""

    levels: tuple[Level, ...]
    log_spacing: npt.NDArray[np.float64]
    """(level,), logarithm of the spacings in pixels."""
    splines: npt.NDArray[np.float64]
    """(cell,), number of splines in each cell."""


def geometry(shape: tuple[int, int], cell: int = CELL) -> Geometry:
    """Lay splines over the pixels.

    Parameters
    ----------
    shape : tuple of int
        Number of pixels (y, x); 1 along y for a profile.
    cell : int
        Side of a cell in pixels; 0 for one amplitude of every spacing in the whole image.

    Returns
    -------
    Geometry
        Spacings of 1, 2, 4, ... pixels, the last at least as wide as the image. The splines of a spacing are scaled so
        that the variance of their sum, coefficients of variance one, is one in the mean over the pixels.
    """
    spacings = 2.0 ** np.arange(1 + math.ceil(math.log2(max(*shape, 2))))
    side = cell or max(shape)
    across = -(-shape[1] // side)
    n_cells = -(-shape[0] // side) * across
    levels = []
    for spacing in spacings:
        (rows, row_places), (columns, column_places) = (_splines(n, spacing) for n in shape)
        row_cells, column_cells = (
            np.clip(places // side, 0, (n - 1) // side).astype(np.int64)
            for places, n in zip((row_places, column_places), shape, strict=True)
        )
        cells = row_cells[:, None] * across + column_cells
        levels.append(Level(rows, columns, cells if spacing <= cell else np.full_like(cells, n_cells)))
    splines = np.sum([np.bincount(level.cells.ravel(), minlength=n_cells + 1) for level in levels], axis=0)
    return Geometry(tuple(levels), np.log(spacings), splines[:n_cells].astype(np.float64))


def _splines(n: int, spacing: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Values (pixel, node) of cubic splines along one axis, and where their nodes lie in pixels."""
    if n == 1:
        return np.ones((1, 1)), np.zeros(1)
    intervals = max(1, math.ceil(n / spacing))
    width = n / intervals
    nodes = np.arange(-1, intervals + 2) * width - 0.5 if spacing > 1 else np.arange(-1.0, n + 1)
    away = np.abs((np.arange(n)[:, None] - nodes) / width)
    values = np.where(away < 1, 2 / 3 - away**2 + away**3 / 2, np.maximum(2 - away, 0) ** 3 / 6)
    used = values.sum(axis=0) > 1e-9
    return values[:, used] / math.sqrt(float((values**2).sum(axis=1).mean())), nodes[used]
