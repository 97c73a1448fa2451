"""Counts of an image that are nearly all 0, kept as those that are not: memory of events, not of voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from bayesspec.image.checksum import checksum_of
from bayesspec.image.counts import BLOCK_ENTRIES, PART_ENTRIES, as_counts, count_dtype, owned

LEAST_SAVING = 4
"""Times the memory that counts of all voxels must take for them to be kept sparse (python
benchmarks/sparse_maps.py)."""


@dataclass(frozen=True, eq=False)
class SparseCounts:
    """Counts (y, x, energy) as a sparse matrix.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (y * x, energy), uint8, uint16 or uint32
        Counts of the pixels, row by row of the image; no entry twice.
    ny : int
        Number of rows of the image.
    """

    matrix: Any
    ny: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of rows, columns and channels (y, x, energy)."""
        pixels, channels = self.matrix.shape
        return self.ny, pixels // self.ny, channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the counts."""
        return np.dtype(self.matrix.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes that these counts take."""
        return int(self.matrix.data.nbytes + self.matrix.indices.nbytes + self.matrix.indptr.nbytes)

    @property
    def saves(self) -> bool:
        """Whether the memory that is saved is worth it."""
        return LEAST_SAVING * self.nbytes <= self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))

    def any(self) -> bool:
        """Whether there is a count."""
        return bool(self.matrix.nnz)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        _freeze(self.matrix)

    def todense(self) -> npt.NDArray[Any]:
        """Write the zeros too.

        Returns
        -------
        array, shape (y, x, energy), uint8, uint16 or uint32
            The counts, read-only.
        """
        return owned(self.matrix.toarray().reshape(self.shape))

    def checksum(self) -> str:
        """Compute the checksum that the same counts have as an array.

        Returns
        -------
        str
            As `bayesspec.image.checksum.checksum` gives it.
        """
        rows = max(1, BLOCK_ENTRIES // self.matrix.shape[1])
        parts = (self.matrix[start : start + rows].toarray() for start in range(0, self.matrix.shape[0], rows))
        return checksum_of("image", self.shape, self.dtype, parts)

    def sum_spectrum(self, valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Sum over pixels (y, x) that are not excluded: (energy,), int64."""
        part = self.matrix if valid.all() else self.matrix[valid.ravel()]
        total = np.bincount(part.indices, weights=part.data, minlength=self.shape[2])
        return np.asarray(total, np.int64)

    def sums(self, windows: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Sum over windows of channels, given as (window, energy), bool: (y, x, window), int64."""
        found = self.matrix @ sp.csr_array(windows.T.astype(np.int64))
        return np.asarray(found.toarray().reshape(*self.shape[:2], len(windows)))

    def part(self, rows: slice, columns: slice, channels: slice) -> SparseCounts:
        """Take a part of the image."""
        ny, nx, _ = self.shape
        pixels = np.arange(ny * nx).reshape(ny, nx)[rows, columns]
        return _narrow(self.matrix[pixels.ravel()][:, channels], len(pixels))

    def block_sum(self, steps: tuple[int, int, int]) -> SparseCounts:
        """Sum over blocks of so many rows, columns and channels; what does not fill a block is left out."""
        events = self.matrix.tocoo()
        y, x = np.divmod(events.row, self.shape[1])
        places = [place // step for place, step in zip((y, x, events.col), steps, strict=True)]
        shape = tuple(n // step for n, step in zip(self.shape, steps, strict=True))
        whole = np.logical_and.reduce([place < n for place, n in zip(places, shape, strict=True)])
        y, x, channel = (place[whole] for place in places)
        counts = events.data[whole].astype(np.int64)
        found = sp.coo_array((counts, (y * shape[1] + x, channel)), shape=(shape[0] * shape[1], shape[2]))
        return _narrow(found.tocsr(), shape[0])


def sparse_counts(values: Any) -> SparseCounts | None:
    """Take over a sparse array, where keeping it sparse saves memory.

    Parameters
    ----------
    values : SparseCounts, sparse array of scipy or sparse, or another object
        Counts (y, x, energy) or (x, energy), integers or floats that hold integers.

    Returns
    -------
    SparseCounts or None
        The counts; ``None`` where the object is none of these, or where they are better kept as an array.

    Raises
    ------
    InputError
        When a value is no count.
    """
    if isinstance(values, SparseCounts):
        return values if values.saves else None
    if isinstance(values, np.ndarray) or not hasattr(values, "todense") or np.ndim(values) not in (2, 3):
        return None
    if getattr(values, "fill_value", 0) != 0:
        return None
    events = values.tocoo() if hasattr(values, "tocoo") else values
    coordinates = getattr(events, "coords", None)
    if coordinates is None or not len(events.data):
        return None
    *places, channel = (np.asarray(one, np.int64) for one in coordinates)
    *sizes, channels = events.shape
    ny, nx = sizes if len(sizes) == 2 else (1, sizes[0])
    pixel = places[0] * nx + places[1] if len(places) == 2 else places[0]
    data = as_counts(np.asarray(events.data))
    wide = sp.coo_array((data.astype(np.int64), (pixel, channel)), shape=(ny * nx, channels)).tocsr()
    found = _narrow(wide, ny)
    return found if found.saves else None


def sparse_in_parts(values: Any) -> SparseCounts | None:
    """Take over counts a few rows at a time, as from a file, so that no array of all voxels is made.

    Parameters
    ----------
    values : array_like, shape (y, x, energy), integer
        What gives an array where it is indexed by rows and made one by ``numpy.asarray``.

    Returns
    -------
    SparseCounts or None
        The counts; ``None`` where they are better kept as an array.
    """
    ny, nx, channels = values.shape
    rows = max(1, PART_ENTRIES // (nx * channels))
    parts, bytes_kept, limit = list[Any](), 0, ny * nx * channels // LEAST_SAVING
    for start in range(0, ny, rows):
        part = np.asarray(values[start : start + rows])
        parts.append(sp.csr_array(as_counts(part).reshape(-1, channels)))
        bytes_kept += 5 * parts[-1].nnz  # an index of four bytes, and a count of one
        if bytes_kept > limit:
            return None
    return sparse_counts(_narrow(sp.vstack(parts, format="csr"), ny))


def _narrow(matrix: Any, ny: int) -> SparseCounts:
    """Counts in the smallest dtype, without entries of 0, in the order of the channels, which nobody can change."""
    matrix = sp.csr_array(matrix)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    matrix = matrix.astype(count_dtype(int(matrix.data.max(initial=0))))
    _freeze(matrix)
    return SparseCounts(matrix, ny)


def _freeze(matrix: Any) -> None:
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.flags.writeable = False
