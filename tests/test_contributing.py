"""The recipes of CONTRIBUTING.md run as they stand, and edit no file of the package."""

import re
from pathlib import Path
from typing import Any

import pytest

from bayesspec.files import load
from bayesspec.results.opening import known_kinds
from bayesspec.results.result import Result

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^## (Add a[^\n]*)\n.*?```python\n(.*?)```", re.DOTALL | re.MULTILINE)
RECIPES = dict(BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text()))
KIND = re.compile(r"\b(?:Segmentation|PrincipalComponents|LineUnmixing|EdgeFit|IntensityMaps|KRatios)\b")


def test_there_is_a_recipe_for_each_of_the_four() -> None:
    assert list(RECIPES) == ["Add a model", "Add an engine", "Add a kind of result", "Add a reader"]


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(load, "READERS", dict(load.READERS))
    monkeypatch.setattr(Result, "kinds", dict(known_kinds()))
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(RECIPES[name], f"CONTRIBUTING.md, {name}", "exec"), names)  # noqa: S102


def test_a_new_kind_of_result_touches_no_file_but_its_own_and_the_list_of_public_names() -> None:
    """Kinds are found by the room they stand in; no other module of the package lists them."""
    modules = (ROOT / "bayesspec").rglob("*.py")
    listing = [module.name for module in modules if len(set(KIND.findall(module.read_text()))) > 4]
    assert not listing, f"lists of kinds in {listing}"
