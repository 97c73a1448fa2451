"""Which phase or component of one result is which of another: alignment, and how well they agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.optimize import linear_sum_assignment

from bayesspec.errors import InputError

HIGHEST_LABEL = 2**15 - 1
"""Largest number of a phase: labels are 16 bits wide."""


def match_phases(found: npt.ArrayLike, reference: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Pair phases so that as many pixels as possible agree.

    Parameters
    ----------
    found, reference : array, same shape, int
        Phase of each pixel, such as ``seg.labels``; -1 where a pixel has none.

    Returns
    -------
    array, shape (phase,), int64
        For each phase of `found` its partner in `reference`; -1 for phases that are left over.

    Raises
    ------
    InputError
        When the shapes differ or no pixel has a phase in both.

    Notes
    -----
    Source: Kuhn, Nav. Res. Logist. Q. 2 (1955) 83, doi:10.1002/nav.3800020109, on the confusion matrix.
    """
    return _assign(-_confusion(found, reference))


def match_compositions(found: npt.ArrayLike, reference: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Pair phases by composition, for results of different images.

    Parameters
    ----------
    found, reference : array, shape (phase, line), float64
        Line intensities, in any unit: only their shares count.

    Returns
    -------
    array, shape (phase,), int64
        For each phase of `found` its partner in `reference`; -1 for phases that are left over.

    Raises
    ------
    InputError
        When the numbers of lines differ.

    Notes
    -----
    The distance is Hellinger's, between the square roots of the shares; negative intensities count as 0.
    """
    a, b = _rows(found), _rows(reference)
    _same_length(a, b, "lines")
    roots = [np.sqrt(np.clip(v, 0, None) / np.clip(v, 0, None).sum(axis=1, keepdims=True)) for v in (a, b)]
    return _assign(np.linalg.norm(roots[0][:, None] - roots[1][None], axis=2))


def match_components(found: npt.ArrayLike, reference: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Pair components so that the sum of the spectral angles is smallest.

    Parameters
    ----------
    found, reference : array, shape (component, energy), float64
        Spectra, in any scale.

    Returns
    -------
    array, shape (component,), int64
        For each component of `found` its partner in `reference`; -1 for components that are left over.

    Raises
    ------
    InputError
        When the numbers of channels differ.
    """
    a, b = _rows(found), _rows(reference)
    _same_length(a, b, "channels")
    return _assign(spectral_angle(a[:, None], b[None]))


def spectral_angle(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Angle between spectra: 0 for the same shape, 90 for no channel in common.

    Parameters
    ----------
    a, b : array, shape (..., energy), float64
        Spectra, in any scale; leading dimensions broadcast.

    Returns
    -------
    array, shape (...), float64
        Angle in degrees; NaN for a spectrum of zeros.

    Raises
    ------
    InputError
        When the numbers of channels differ.

    Notes
    -----
    Source: Kruse et al., Remote Sens. Environ. 44 (1993) 145, doi:10.1016/0034-4257(93)90013-N, eq. 1;
    computed from chord lengths, which keeps small angles exact.
    """
    first, second = _numbers(a), _numbers(b)
    _same_length(first, second, "channels")
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (first, second))
    apart, together = (np.linalg.norm(v, axis=-1) for v in (first - second, first + second))
    return np.asarray(np.degrees(2 * np.arctan2(apart, together)))


def accuracy(found: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Share of the pixels whose phase agrees, after the phases are paired.

    Parameters
    ----------
    found, reference : array, same shape, int
        Phase of each pixel; -1 where a pixel has none. Pixels without a phase in `reference` do not count,
        pixels without one in `found` count as wrong.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    InputError
        When the shapes differ or no pixel has a phase in both.
    """
    table = _confusion(found, reference)
    partner = _assign(-table)
    paired = partner >= 0
    agreed = table[np.flatnonzero(paired), partner[paired]].sum()
    return float(agreed / (_numbers(reference) >= 0).sum())


def interior(labels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Pixels whose neighbours, in the square of 3 x 3 around them, are all of the same phase.

    Parameters
    ----------
    labels : array, shape (y, x), int
        Phase of each pixel, such as ``seg.labels``; -1 where a pixel has none.

    Returns
    -------
    array, shape (y, x), bool
        ``True`` inside a phase; nothing lies beyond the edge of the map.

    Examples
    --------
    >>> from bayesspec.labels import interior
    >>> interior([[0, 0, 0, 1]])
    array([[ True,  True, False, False]])
    """
    given = np.asarray(labels)
    inside = (maximum_filter(given, 3) == minimum_filter(given, 3)) & (given >= 0)
    return np.asarray(inside, np.bool_)


def _confusion(found: npt.ArrayLike, reference: npt.ArrayLike) -> npt.NDArray[np.int64]:
    a, b = _numbers(found), _numbers(reference)
    if a.shape != b.shape or not ((a >= 0) & (b >= 0)).any():
        raise InputError(
            f"labels of shapes {a.shape} and {b.shape}",
            "labels of the same shape with pixels that have a phase in both",
            "bs.labels.accuracy(seg.labels, si.truth['labels'])",
        )
    highest = max(float(a.max()), float(b.max()))
    if highest > HIGHEST_LABEL:
        raise InputError(
            f"the label {highest:.0f}", f"numbers of phases up to {HIGHEST_LABEL}, counted from 0", "seg.labels"
        )
    both = (a >= 0) & (b >= 0)
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1), np.int64)
    np.add.at(table, (a[both].astype(np.int64), b[both].astype(np.int64)), 1)
    return table


def _assign(cost: npt.NDArray[np.number]) -> npt.NDArray[np.int64]:
    partner = np.full(len(cost), -1, np.int64)
    rows, columns = linear_sum_assignment(np.nan_to_num(cost, nan=90.0))
    partner[rows] = columns
    return partner


def _rows(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.atleast_2d(_numbers(values))


def _numbers(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(values)
        good = array.dtype.kind in "biuf" and array.size > 0
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError(f"values of type {type(values).__name__}", "an array of numbers", "seg.labels, or fit.spectra")
    return array.astype(np.float64)


def _same_length(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], what: str) -> None:
    if a.shape[-1] != b.shape[-1]:
        raise InputError(
            f"arrays of shapes {a.shape} and {b.shape}",
            f"the same number of {what} in both",
            "crop both images to the same range before the analysis",
        )
