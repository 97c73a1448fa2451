"""How many phases or components: scores of every candidate on held-out counts, and the choice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError

FEW = 12
"""Numbers that a message lists; of more it says how many, and the ends."""


def candidates(numbers: int | Iterable[int], what: str, largest: int) -> list[int]:
    """Read a number or a range of numbers of phases or components.

    Parameters
    ----------
    numbers : int or iterable of int
        One number, or those to choose from.
    what : str
        ``"phases"`` or ``"rank"``.
    largest : int
        The largest number that the data allow.

    Returns
    -------
    list of int
        The numbers, increasing.

    Raises
    ------
    InputError
        When there is none, or one is not between 1 and `largest`.
    """
    wanted = list(numbers) if isinstance(numbers, Iterable) else [numbers]
    whole = all(isinstance(n, (int, np.integer)) for n in wanted)
    if not wanted or not whole or min(wanted) < 1 or max(wanted) > largest:
        few = len(wanted) <= FEW
        raise InputError(
            f"{what}={numbers if few else f'{len(wanted)} numbers from {wanted[0]} to {wanted[-1]}'}",
            f"whole numbers from 1 to {largest}",
            f"{what}=range(1, {min(7, largest + 1)})",
        )
    return sorted({int(n) for n in wanted})


def held_out_table(numbers: Sequence[int], scores: npt.NDArray[np.float64]) -> xr.Dataset:
    """Compare candidates by the log likelihood of held-out counts.

    Parameters
    ----------
    numbers : sequence of int
        The candidates.
    scores : array, shape (candidate, pixel), float64
        Log likelihood of the held-out counts of each pixel, in nats.

    Returns
    -------
    xarray.Dataset, dims (candidate,)
        ``score``: total relative to the best candidate, in nats, 0 for the best. ``error``: standard error of
        that difference over the pixels.
    """
    totals = scores.sum(axis=1)
    difference = scores - scores[int(totals.argmax())]
    error = np.sqrt(scores.shape[1]) * difference.std(axis=1, ddof=min(1, scores.shape[1] - 1))
    units = {"units": "nats", "long_name": "held-out log likelihood, relative to the best"}
    return xr.Dataset(
        {
            "score": ("candidate", difference.sum(axis=1), units),
            "error": ("candidate", error, {"units": "nats"}),
        },
        coords={"candidate": list(numbers)},
    )


def one_standard_error(table: xr.Dataset) -> int:
    """Choose the smallest candidate that is within one standard error of the best.

    Parameters
    ----------
    table : xarray.Dataset, dims (candidate,)
        ``score`` and ``error`` as `held_out_table` gives them.

    Returns
    -------
    int
        The choice.

    Notes
    -----
    Source: Breiman et al., Classification and Regression Trees (1984), section 3.4.3,
    doi:10.1201/9781315139470.
    """
    good = table["score"].values >= -table["error"].values
    return int(table["candidate"].values[np.flatnonzero(good)[0]])


def with_verdicts(table: xr.Dataset, chosen: int) -> xr.Dataset:
    """Add a verdict in words for every candidate.

    Parameters
    ----------
    table : xarray.Dataset, dims (candidate,)
        ``score`` and ``error`` as `held_out_table` gives them.
    chosen : int
        The choice.

    Returns
    -------
    xarray.Dataset, dims (candidate,)
        The table with ``verdict``.
    """
    words = []
    for number, score, error in zip(*(table[n].values for n in ("candidate", "score", "error")), strict=True):
        if number == chosen:
            words.append("chosen")
        elif score < -2 * error:
            words.append("predicts held-out counts worse")
        else:
            words.append("predicts held-out counts as well")
    return table.assign(verdict=("candidate", words))


def limit_note(chosen: int, numbers: Sequence[int], what: str) -> str:
    """Say so when the choice is the largest number that was tried.

    Parameters
    ----------
    chosen : int
        The choice.
    numbers : sequence of int
        The candidates, increasing.
    what : str
        ``"phases"`` or ``"components"``.

    Returns
    -------
    str
        A clause to append to a verdict, empty where there is nothing to say.
    """
    if len(numbers) > 1 and chosen == numbers[-1]:
        return f", the largest number tried: there may be more {what}, or they differ from pixel to pixel"
    return ""
