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


# Numbers that decide what is said of a sample

DECIDING = {
    "comparison/check.py": ["SIGMAS", "LEAST_EXCESS", "PIXEL_SIGMAS"],
    "files/camera.py": ["SCATTER", "FILTERED", "GAIN_ERROR"],
    "image/pixel_blocks.py": ["LEAST_LIKENESS"],
    "inference/counting_noise.py": ["NOISY"],
    "inference/nmf/feasible_set.py": ["TOLERANCE"],
    "inference/nuts.py": ["LARGEST_R_HAT", "FEWEST_INDEPENDENT"],
    "inference/pixel_pairs.py": ["SURE"],
    "inference/svi.py": ["STANDARD_ERRORS", "AGREEMENT"],
    "results/calibration.py": ["SIGNIFICANT", "UNEVEN"],
    "results/dose_plan.py": ["APART"],
    "results/estimate.py": ["WIDEST", "NARROW"],
    "results/segmentation.py": ["DOUBT"],
    "results/unmixing.py": ["WINDOW_ERROR"],
    "spectroscopy/element_search.py": [
        "ELEMENT_NATS", "MOST_SOFT", "BARE_NATS", "PREFERRED_SHARE", "MOST_OTHER", "ALTERNATIVE_NATS", "LEAST_SHARE",
        "NOISE_SD",
    ],
    "spectroscopy/line_catalogue.py": ["MOST", "LEAST_OF_EXPECTED", "ABSENT_SD"],
    "spectroscopy/unnamed_lines.py": [
        "SIGNIFICANT_NATS", "SHAPE_ERROR", "UNNAMED_PEAK_NATS", "UNNAMED_MOST_SOFT", "UNNAMED_ALTERNATIVE_NATS",
        "UNNAMED_PREFERRED_SHARE",
    ],
    "workflows/divide_gain.py": ["POISSON_RANGE"],
    "workflows/fit_edges.py": ["EDGE_MISFIT"],
    "workflows/fit_lines.py": ["LINE_MISFIT"],
    "workflows/identify_lines.py": ["LEAST_LOCAL_GAIN", "LEAST_SHARED", "CERTAIN", "DOUBTFUL"],
    "workflows/line_model.py": ["SAID_EV", "SAID_WIDTH", "SAID_SD"],
    "workflows/pca.py": ["UNRELIABLE"],
    "inference/noise/check.py": ["OVERDISPERSED_SIGMAS", "LEAST_DISPERSION"],
    "workflows/select_rank.py": ["CLEAR", "TRACE"],
}  # fmt: skip
"""Those that stand beside the one function that uses them; those of an engine are the fields of its `settings.py`."""
COMMAND = re.compile(r"python benchmarks/(\w+\.py)((?: (?:--)?[\w.]+)*)")


def words_below(body: list[ast.stmt]) -> dict[str, tuple[str, str]]:
    """Value and docstring, in one line, of every name that a module or a class gives a value."""
    found = {}
    for statement, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            words = getattr(getattr(after, "value", None), "value", "")
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for node in (node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)):
                found[node.id] = ast.unparse(statement.value), " ".join(str(words).split())
    return found


def deciding_numbers() -> dict[str, tuple[str, str]]:
    """Value and docstring of every number that decides a statement, by its place."""
    found = {}
    for name, constants in DECIDING.items():
        known = words_below(ast.parse((PACKAGE / name).read_text()).body)
        found |= {f"{name}:{constant}": known[constant] for constant in constants}
    for path in sorted(PACKAGE.rglob("settings.py")):
        classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
        fields = words_below([statement for node in classes for statement in node.body])
        found |= {f"{path.relative_to(PACKAGE)}:{field}": about for field, about in fields.items()}
    return found


NUMBERS = deciding_numbers()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_decides_names_a_benchmark_that_is_there(number: str) -> None:
    commands = COMMAND.findall(NUMBERS[number][1])
    assert commands, f"{number}: no command that shows how often it is right"
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


def test_every_engine_that_decides_has_one_settings_object() -> None:
    for path in sorted(PACKAGE.rglob("settings.py")):
        body = ast.parse(path.read_text()).body
        (settings,) = [node for node in body if isinstance(node, ast.ClassDef)]
        assert [ast.unparse(decorator) for decorator in settings.decorator_list] == ["dataclass(frozen=True)"]
        assert not list(path.parent.glob("settings_*.py"))
