"""Which data: a checksum of counts, by which results know their data and equal seeds of other data are others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

_BYTES = 16
"""Bytes of the checksum: 128 bits, so that no two data share one by chance."""


def checksum(kind: str, *counts: npt.NDArray[Any]) -> str:
    """Compute a checksum of counts: of their shapes and values, whatever their dtype.

    Parameters
    ----------
    kind : str
        What they are, ``"image"`` or ``"maps"``: checksums of different kinds cannot be compared.
    *counts : array, any shape, unsigned integer
        Counts, each in the smallest dtype that holds them.

    Returns
    -------
    str
        The kind and the digits of BLAKE2b, such as ``"image-93f0..."``.
    """
    digest = hashlib.blake2b(digest_size=_BYTES)
    for array in counts:
        digest.update(f"{array.shape} {array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return f"{kind}-{digest.hexdigest()}"


def checksum_of(kind: str, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[npt.NDArray[Any]]) -> str:
    """Compute the checksum of counts that come in parts, in C order.

    Parameters
    ----------
    kind : str
        What they are.
    shape : tuple of int
        Shape of the whole.
    dtype : numpy.dtype
        Its dtype.
    parts : iterable of array, any shape, `dtype`
        The counts.

    Returns
    -------
    str
        As `checksum` gives it of the whole.
    """
    digest = hashlib.blake2b(f"{shape} {dtype.str}".encode(), digest_size=_BYTES)
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    return f"{kind}-{digest.hexdigest()}"
