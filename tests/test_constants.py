"""Every number that has a name has words: what it is, its unit, and where there is one the benchmark that chose it."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bayesspec"
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if "models" not in path.relative_to(PACKAGE).parts]


def without_words(path: Path) -> list[str]:
    """Names of numeric constants of a module that no docstring and no comment says anything of."""
    source = path.read_text()
    lines, body = source.splitlines(), ast.parse(source).body
    return [
        name
        for statement, after in zip(body, [*body[1:], None], strict=True)
        for name in numeric(statement)
        if not isinstance(getattr(after, "value", None), ast.Constant) and "#" not in lines[statement.lineno - 1]
    ]


def numeric(statement: ast.stmt, *, constants_only: bool = True) -> list[str]:
    """Names of the constants (or names of any case) that a statement makes, where they are numbers."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return []
    values = [node.value for node in ast.walk(statement.value) if isinstance(node, ast.Constant)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    constants = [name for name in names if name.strip("_").isupper() or not constants_only]
    return constants if numbers and not any(isinstance(value, str) for value in values) else []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_numeric_constants_have_words(path: Path) -> None:
    assert not without_words(path)


# Numbers that decide what is said of a sample

COMMAND = re.compile(r"python benchmarks/(\w+\.py)((?: (?:--)?[\w.]+)*)")
CLAIM = re.compile(r"\b(said|claimed|called|verdict|warns?|warning|relied on|told apart)\b")
"""Words by which the docstring of a number tells that it decides a statement."""
SOURCE = re.compile(r"\b(doi:|arXiv:)")


def words_below(body: list[ast.stmt]) -> dict[str, tuple[str, str]]:
    """Value and docstring, in one line, of every number that a module or a class names."""
    return {
        name: (ast.unparse(statement.value), " ".join(str(getattr(getattr(after, "value", None), "value", "")).split()))
        for statement, after in zip(body, [*body[1:], None], strict=True)
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
        for name in numeric(statement, constants_only=not isinstance(statement, ast.AnnAssign))
    }


def deciding_numbers() -> dict[str, tuple[str, str]]:
    """Value and docstring of every number that decides a statement, by its place.

    These are the fields of every `Settings`, and the constants whose words name a benchmark or speak of a statement.
    """
    found = {}
    for path in FILES:
        body, place = ast.parse(path.read_text()).body, path.relative_to(PACKAGE)
        for name, about in words_below(body).items():
            if "python benchmarks/" in about[1] or CLAIM.search(about[1]):
                found[f"{place}:{name}"] = about
        for settings in settings_of(body):
            found |= {f"{place}:{field}": about for field, about in words_below(settings.body).items()}
    return found


def settings_of(body: list[ast.stmt]) -> list[ast.ClassDef]:
    return [node for node in body if isinstance(node, ast.ClassDef) and node.name == "Settings"]


NUMBERS = deciding_numbers()
ROOMS = [*(path.name for path in sorted((PACKAGE / "inference").iterdir()) if (path / "__init__.py").exists()), "svi"]
"""The engines: every folder of `inference`, and the variational engine."""


def test_numbers_that_decide_are_found() -> None:
    def places(source: str) -> dict[str, tuple[str, str]]:
        return words_below(ast.parse(source).body)

    assert places('A = 0.5\n"""Above it a map is\nsaid to vary."""') == {
        "A": ("0.5", "Above it a map is said to vary.")
    }
    assert places("class Settings:\n    field = 1") == {}
    assert {"comparison/check.py:SIGMAS", "inference/svi.py:agreement", "workflows/divide_gain.py:POISSON_RANGE"} < set(
        NUMBERS
    )
    assert all(CLAIM.search(words) for words in ("is said to be", "a warning", "cannot be told apart"))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_decides_names_a_benchmark_that_is_there(number: str) -> None:
    commands = COMMAND.findall(NUMBERS[number][1])
    assert commands or SOURCE.search(NUMBERS[number][1]), f"{number}: no command that shows how often it is right"
    for script, options in commands:
        sources = [path.read_text() for path in (PACKAGE.parent / "benchmarks").glob(f"{Path(script).stem}*.py")]
        assert sources, f"{number}: there is no benchmarks/{script}"
        for option in options.split():
            known = any(f'"{option}"' in source or f"def {option}(" in source for source in sources)
            assert known or option.replace(".", "").isdigit(), f"{number}: benchmarks/{script} knows no {option}"


def test_deciding_numbers_of_one_name_have_one_value() -> None:
    values: dict[str, set[str]] = {}
    for number, (value, _) in NUMBERS.items():
        values.setdefault(number.rsplit(":", 1)[1], set()).add(value)
    assert not {name: found for name, found in values.items() if len(found) > 1}


@pytest.mark.parametrize("room", ROOMS)
def test_every_engine_has_one_settings_object(room: str) -> None:
    files = sorted((PACKAGE / "inference").glob(f"{room}/*.py")) or [PACKAGE / "inference" / f"{room}.py"]
    (settings,) = [node for path in files for node in settings_of(ast.parse(path.read_text()).body)]
    assert [ast.unparse(decorator) for decorator in settings.decorator_list] == ["dataclass(frozen=True)"]
    fields = [node for node in settings.body if isinstance(node, ast.AnnAssign)]
    assert len(fields) == len(words_below(settings.body))
    assert all(words for _, words in words_below(settings.body).values())
