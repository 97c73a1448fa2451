"""Choice among candidates by held-out scores."""

import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.results.selection import candidates, held_out_table, limit_note, one_standard_error, with_verdicts


@pytest.mark.parametrize(("numbers", "expected"), [(3, [3]), (range(1, 4), [1, 2, 3]), ([4, 2, 2], [2, 4])])
def test_candidates(numbers: object, expected: list[int]) -> None:
    assert candidates(numbers, "rank", 9) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", [0, [], [1, 10], -1, [1.5]])
def test_impossible_candidates_are_refused(numbers: object) -> None:
    with pytest.raises(InputError, match="from 1 to 9"):
        candidates(numbers, "rank", 9)  # type: ignore[arg-type]


def test_one_standard_error_rule_takes_the_smallest_that_is_as_good() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=1000)
    scores = np.stack([noise - 2.0, noise + rng.normal(0, 1, 1000), noise + 0.01])
    table = held_out_table([1, 2, 3], scores)
    difference = scores[1] - scores[2]
    assert float(table["score"][1]) == pytest.approx(difference.sum() - max(0, difference.sum()))
    assert float(table["error"][0]) > 0
    assert one_standard_error(table) == 2


def test_verdicts_and_limit() -> None:
    table = held_out_table([1, 2], np.array([[-5.0, -6.0, -5.5], [0.0, 0.1, 0.2]]))
    words = with_verdicts(table, 2)["verdict"].values.tolist()
    assert words == ["predicts held-out counts worse", "chosen"]
    assert "largest number tried" in limit_note(2, [1, 2], "phases")
    assert limit_note(1, [1, 2], "phases") == ""
    assert limit_note(2, [2], "phases") == ""


def test_a_message_does_not_list_thousands_of_numbers() -> None:
    with pytest.raises(InputError, match="phases=99998 numbers from 1 to 99998") as refused:
        candidates(range(1, 99999), "phases", 144)
    assert len(str(refused.value)) < 200
