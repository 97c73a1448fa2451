"""What changes draws after sampling says so."""

import ast
from pathlib import Path

import pytest

from bayesspec.inference.after_sampling import AFTER_SAMPLING, Step, with_steps

ROOT = Path(__file__).parents[2] / "bayesspec" / "inference"
DRAWN = {"spectra", "totals", "fractions"}


def changes_of_draws() -> list[ast.Call]:
    """Calls of `replace` that give a posterior other draws."""
    calls = [n for path in ROOT.rglob("*.py") for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    return [
        call
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id == "replace"
        and getattr(call.args[0], "id", "") == "posterior"
        and {word.arg for word in call.keywords} & DRAWN
    ]


def test_steps_are_listed_in_order_and_there_is_a_list_where_there_are_none() -> None:
    assert with_steps({"seed": 1}) == {"seed": 1, AFTER_SAMPLING: []}
    once = with_steps({}, Step.RECENTRED)
    assert with_steps(once, Step.BAND)[AFTER_SAMPLING] == [str(Step.RECENTRED), str(Step.BAND)]
    assert once == {AFTER_SAMPLING: [str(Step.RECENTRED)]}


def test_who_changes_the_draws_of_a_posterior_adds_a_step() -> None:
    calls = changes_of_draws()
    assert len(calls) >= 2
    assert all("steps" in {word.arg for word in call.keywords} for call in calls), [ast.unparse(c) for c in calls]


@pytest.mark.parametrize("step", Step)
def test_every_step_is_used(step: Step) -> None:
    sources = [path.read_text() for path in ROOT.parent.rglob("*.py") if path.stem != "after_sampling"]
    assert any(f"Step.{step.name}" in source for source in sources)
