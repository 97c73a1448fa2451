"""Numbers, flags and names are checked at one door, and what is meant is suggested."""

import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.image.arguments import (
    checked_flag,
    checked_integer,
    checked_names,
    checked_prob,
    checked_range,
    checked_real,
)


@pytest.mark.parametrize("prob", ["a", None, True, 0, 1, np.nan, -0.1, 1.5, [0.9], 0.9j])
def test_probabilities_that_are_none_are_refused(prob: object) -> None:
    with pytest.raises(InputError, match="prob="):
        checked_prob(prob)


def test_numbers_of_numpy_are_numbers() -> None:
    assert checked_prob(np.float32(0.5)) == 0.5
    assert checked_integer("n", np.uint8(3), 1) == 3
    assert checked_real("x", np.float64(2.0), 0.0, 3.0) == 2.0
    assert checked_flag("strict", np.True_)


@pytest.mark.parametrize("value", [None, "3", 3.0, True, 0, 11, np.nan, [3]])
def test_whole_numbers_outside_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="n=") as raised:
        checked_integer("n", value, 1, 10)
    assert raised.value.needed == "a whole number from 1 to 10"


@pytest.mark.parametrize("value", [None, "a", np.nan, np.inf, 1j, True, -1.0, 4.0, [1.0]])
def test_numbers_outside_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="x="):
        checked_real("x", value, 0.0, 3.0)


@pytest.mark.parametrize("ends", [None, 0.2, (0.2,), (1, 0.2), (None, 3), "ab", (0, np.nan), (1, 2, 3), (True, 2)])
def test_ranges_that_are_none_are_refused(ends: object) -> None:
    with pytest.raises(InputError, match="energy="):
        checked_range("energy", ends, "si.crop(energy=(0.2, 12))")
    assert checked_range("energy", [0.2, np.inf], "") == (0.2, np.inf)


@pytest.mark.parametrize("value", [1, 0, None, "yes", [True]])
def test_flags_are_true_or_false(value: object) -> None:
    with pytest.raises(InputError, match="strict="):
        checked_flag("strict", value)


@pytest.mark.parametrize(
    ("wrong", "do"),
    [("Fe_Ka", "lines=['Fe_Ka']"), ("Fe_Ka, O_Ka", "lines=['Fe_Ka', 'O_Ka']"), ([], "x"), (3, "x"), ([1], "x")],
)
def test_names_are_a_list(wrong: object, do: str) -> None:
    assert checked_names("lines", ["Fe_Ka", "O_Ka"], "x") == ("Fe_Ka", "O_Ka")
    with pytest.raises(InputError) as raised:
        checked_names("lines", wrong, "x")
    assert raised.value.do == do
