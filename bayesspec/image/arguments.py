"""The one door for seeds, numbers and ranges that users give."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesspec.errors import InputError

LARGEST_SEED = 2**32 - 1
"""NumPy, scikit-learn and JAX take seeds of 32 bits; JAX would take a larger one for another."""


def checked_seed(seed: Any) -> int:
    """Return a seed, or refuse it.

    Parameters
    ----------
    seed : int
        What the user gave.

    Returns
    -------
    int
        The seed.

    Raises
    ------
    InputError
        When it is no whole number from 0 to 2**32 - 1.
    """
    return checked_integer("seed", seed, 0, LARGEST_SEED, "seed=0")


def checked_integer(name: str, value: Any, least: int, most: float = math.inf, do: str = "") -> int:
    """Return a whole number, or refuse it.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : int
        What the user gave.
    least, most : float
        Smallest and largest number that can be used.
    do : str
        What to type; empty for the smallest number.

    Returns
    -------
    int
        The number.

    Raises
    ------
    InputError
        When it is no whole number, or outside.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)
    if not whole or not least <= int(value) <= most:
        upper = "on" if math.isinf(most) else f"to {most:.0f}"
        raise InputError(f"{name}={value!r}", f"a whole number from {least} {upper}", do or f"{name}={least}")
    return int(value)


def checked_real(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, open_ends: bool = False, do: str = ""
) -> float:
    """Return a finite number, or refuse it.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : float
        What the user gave.
    low, high : float
        Ends of the numbers that can be used.
    open_ends : bool
        Whether the ends themselves cannot.
    do : str
        What to type.

    Returns
    -------
    float
        The number.

    Raises
    ------
    InputError
        When it is no finite number, or outside.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_) and math.isfinite(value)
    inside = real and (low < value < high if open_ends else low <= value <= high)
    if not inside:
        raise InputError(f"{name}={value!r}", _between(low, high, open_ends=open_ends), do or f"{name}=1.0")
    return float(value)


def checked_prob(prob: Any) -> float:
    """Return a probability, or refuse it.

    Parameters
    ----------
    prob : float
        What the user gave.

    Returns
    -------
    float
        The probability.

    Raises
    ------
    InputError
        When it is not between 0 and 1.
    """
    return checked_real("prob", prob, 0.0, 1.0, open_ends=True, do="prob=0.95")


def checked_flag(name: str, value: Any) -> bool:
    """Return a truth value, or refuse what is none.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : bool
        What the user gave.

    Returns
    -------
    bool
        The value.

    Raises
    ------
    InputError
        When it is neither True nor False.
    """
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name}={value!r}", "True or False", f"{name}=True")
    return bool(value)


def checked_names(name: str, values: Any, do: str) -> tuple[str, ...]:
    """Return a list of names, or refuse what is none.

    Parameters
    ----------
    name : str
        Name of the argument.
    values : sequence of str
        What the user gave.
    do : str
        What to type.

    Returns
    -------
    tuple of str
        The names.

    Raises
    ------
    InputError
        When it is one text, empty, or holds anything else.
    """
    if isinstance(values, str):
        listed = [part.strip() for part in values.split(",")]
        raise InputError(f"{name}={values!r}", "a list of names", f"{name}={listed}")
    try:
        names = tuple(values)
    except TypeError:
        names = ()
    if not names or not all(isinstance(one, str) for one in names):
        raise InputError(f"{name}={values!r}", "a list of names", do)
    return tuple(str(one) for one in names)


def checked_range(name: str, ends: Any, do: str) -> tuple[float, float]:
    """Return the two ends of a range, or refuse them.

    Parameters
    ----------
    name : str
        Name of the argument.
    ends : two float
        What the user gave; infinite for an end that is open.
    do : str
        What to type.

    Returns
    -------
    tuple of float
        The ends.

    Raises
    ------
    InputError
        When they are not two numbers of which the first is the smaller.
    """
    several = (
        isinstance(ends, Sequence) and not isinstance(ends, str) or isinstance(ends, np.ndarray) and ends.ndim == 1
    )
    pair = list(ends) if several else []
    numeric = all(isinstance(end, numbers.Real) and not isinstance(end, bool | np.bool_) for end in pair)
    if len(pair) != 2 or not numeric or not pair[0] <= pair[1]:
        raise InputError(f"{name}={ends!r}", "two numbers, the smaller one first", do)
    return float(pair[0]), float(pair[1])


def _between(low: float, high: float, *, open_ends: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return "a finite number"
    if math.isinf(high):
        return f"a number above {low:g}" if open_ends else f"a number of {low:g} or more"
    return f"a number between {low:g} and {high:g}" if open_ends else f"a number from {low:g} to {high:g}"
