"""Every number that has a name has words: what it is, its unit, and where there is one the benchmark that chose it."""

import ast
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


def numeric(statement: ast.stmt) -> list[str]:
    """Names of the constants that a statement makes, where they are numbers."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return []
    values = [node.value for node in ast.walk(statement.value) if isinstance(node, ast.Constant)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    constants = [name for name in names if name.strip("_").isupper()]
    return constants if numbers and not any(isinstance(value, str) for value in values) else []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_numeric_constants_have_words(path: Path) -> None:
    assert not without_words(path)
