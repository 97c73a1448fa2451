"""The rooms: who may import whom, and which packages stay where."""

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    ("errors", "labels", "models"),
    ("image",),
    ("files",),
    ("inference",),
    ("spectroscopy",),
    ("simulate",),
    ("results",),
    ("classical", "workflows"),
    ("comparison", "sklearn"),
    ("plot",),
    ("reporting",),
    ("cli",),
)
"""The rooms in order, lowest first; the first holds what needs nothing of bayesspec but its errors."""
PLACE = {name: i for i, rooms in enumerate(ROOMS) for name in rooms}
PUBLIC = {"errors", "labels", "classical", "simulate", "plot", "models", "sklearn", "__init__"}
"""What scripts import by its path."""
SHARED_WORKFLOWS = {
    "calibrate_energy",
    "line_model",
    "element_maps",
    "divide_gain",
    "condensed_design",
    "spectral_maps",
    "poisson_check",
    "select_rank",
    "pca",
    "segment",
    "unmixing",
}
"""The workflows that are a step of others."""
ENGINE_MODELS = {
    "linear_poisson": {"linear_poisson", "calibrated_lines", "line_mixture", "log_background"},
    "mixture": {"composition_mixture", "phase_boundaries"},
    "nmf": {"poisson_nmf"},
    "noise": set(),
    "pca": {"poisson_pca", "linear_pca"},
    "ratio_field": {"ratio_field"},
}
"""The engines, and the model files of each."""
WITHOUT_ENGINE = {"bricks"}
"""Files of parts that models are made of."""
ENGINE_EXCEPTIONS = {
    # drift is looked for in what principal components leave of the counts
    "bayesspec.inference.noise.drift": {
        "bayesspec.inference.nmf.rank_path",
        "bayesspec.inference.pca.score_maps",
    },
}
OPTIONAL = {"rsciio", "hyperspy", "exspy"}
HEAVY = {"arviz", "matplotlib", "sklearn"}
MODEL_LINES = 120


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[str]:
    """Modules that a piece of code imports; of bayesspec itself, those that its names stand in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if node.module == "bayesspec" or name in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


FILES = sorted(p for p in (ROOT / "bayesspec").rglob("*.py") if p != ROOT / "bayesspec" / "__init__.py")
MODULES = {module_of(path) for path in FILES} | {"bayesspec.models"}
TREES = {module_of(path): ast.parse(path.read_text()) for path in FILES}


def own_imports(module: str) -> set[str]:
    return {m for m in imports(TREES[module]) if m.startswith("bayesspec")}


def room(module: str) -> str:
    return module.split(".")[1]


def test_the_rooms_are_all_there_is() -> None:
    assert {room(module) for module in MODULES} == set(PLACE)
    assert len(ROOMS) == 12
    flat = {path.stem for path in (ROOT / "bayesspec").glob("*.py")}
    assert flat <= PUBLIC, "what lies at the top of bayesspec/ is public"


def test_the_documentation_names_the_rooms_in_order() -> None:
    rows = [
        line.split("|")[1] for line in (ROOT / "docs" / "architecture.md").read_text().splitlines() if "| `" in line
    ]
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == [set(rooms) for rooms in ROOMS]


@pytest.mark.parametrize("module", TREES)
def test_a_room_imports_only_from_rooms_below_it(module: str) -> None:
    others = {m for m in own_imports(module) if room(m) not in (room(module), "errors")}
    above = {m for m in others if PLACE[room(m)] >= PLACE[room(module)]}
    assert not above, f"{module} stands below {above}"


def test_no_file_imports_in_a_circle() -> None:
    waiting = {module: {m for m in own_imports(module) if m in TREES and m != module} for module in TREES}
    while free := [module for module, needs in waiting.items() if not needs & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert not waiting


@pytest.mark.parametrize("module", [m for m in TREES if m.startswith("bayesspec.inference.") and m.count(".") == 3])
def test_an_engine_knows_itself_its_model_and_the_shared_passes(module: str) -> None:
    engine = module.split(".")[2]
    shared_files = {"bayesspec.errors", "bayesspec.image.counts", "bayesspec.image.forked_process"}
    allowed = {*(f"bayesspec.models.{model}" for model in ENGINE_MODELS[engine]), *shared_files}
    for other in own_imports(module) - ENGINE_EXCEPTIONS.get(module, set()):
        shared = other.startswith("bayesspec.inference.") and other.count(".") == 2
        assert shared or other.startswith(f"bayesspec.inference.{engine}.") or other in allowed, other
    assert not {m.split(".")[0] for m in imports(TREES[module])} & {"xarray", "tqdm"}


def test_every_engine_has_a_model_and_every_model_an_engine_and_a_test() -> None:
    engines = {path.name for path in (ROOT / "bayesspec" / "inference").iterdir() if (path / "__init__.py").exists()}
    assert engines == set(ENGINE_MODELS)
    models = sorted(path.stem for path in (ROOT / "models").glob("*.py") if path.stem != "__init__")
    assert models == sorted(WITHOUT_ENGINE.union(*ENGINE_MODELS.values()))
    assert models == sorted(path.stem.removeprefix("test_") for path in (ROOT / "tests" / "models").glob("test_*.py"))


@pytest.mark.parametrize("module", [m for m in TREES if room(m) == "spectroscopy"])
def test_spectroscopy_calls_no_engine_but_the_linear_one(module: str) -> None:
    engines = {m for m in own_imports(module) if m.startswith("bayesspec.inference.") and m.count(".") > 2}
    assert all(m.startswith("bayesspec.inference.linear_poisson.") for m in engines), engines


@pytest.mark.parametrize("module", [m for m in TREES if m.startswith("bayesspec.workflows.")])
def test_only_shared_steps_are_imported_from_another_workflow(module: str) -> None:
    def workflow(name: str) -> str:
        return name.split(".")[2]

    others = {workflow(m) for m in own_imports(module) if room(m) == "workflows" and m.count(".") > 1}
    assert others - {workflow(module)} <= SHARED_WORKFLOWS


@pytest.mark.parametrize("path", [p for p in FILES if module_of(p) in TREES], ids=module_of)
def test_imports_inside_functions_are_of_other_packages(path: Path) -> None:
    for function in ast.walk(TREES[module_of(path)]):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert not [m for m in imports(function) if m.startswith("bayesspec")], function.name


@pytest.mark.parametrize("module", TREES)
def test_optional_packages_are_imported_in_load_only(module: str) -> None:
    used = {m.split(".")[0] for m in imports(TREES[module])} & OPTIONAL
    assert not used or module == "bayesspec.files.load"
    body = ast.Module([n for n in TREES[module].body if isinstance(n, (ast.Import, ast.ImportFrom))], [])
    assert not {m.split(".")[0] for m in imports(body)} & OPTIONAL


@pytest.mark.parametrize("module", TREES)
def test_no_private_name_is_imported_from_another_file(module: str) -> None:
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bayesspec"):
            assert not [a.name for a in node.names if a.name.startswith("_")]


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.py")), ids=lambda p: p.name)
def test_a_model_file_imports_jax_and_numpyro_only(path: Path) -> None:
    assert {m.split(".")[0] for m in imports(ast.parse(path.read_text()))} <= {"jax", "numpyro"}
    assert len(path.read_text().splitlines()) < MODEL_LINES or path.name == "bricks.py"  # many parts, no model


def test_import_stays_light() -> None:
    code = f"import sys, bayesspec; print([m for m in {sorted(HEAVY | OPTIONAL)} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


@pytest.mark.parametrize("module", [m for m in TREES if room(m) == "inference"])
def test_who_uses_jax_keeps_compiled_programs(module: str) -> None:
    programs = "bayesspec.inference.programs"
    needed, found = [module], set()
    while needed:
        one = needed.pop()
        if one in TREES and one not in found:
            found.add(one)
            needed += [*own_imports(one), one.rpartition(".")[0]]
    used = {m.split(".")[0] for m in imports(ast.Module(TREES[module].body, []))}
    setting_up = {
        "abandoned_compilation",
        "compilation_cache",
        "minibatches",
        "model_sites",
    }  # the last two compile nothing
    assert "jax" not in used or programs in found or module.rpartition(".")[2] in setting_up


def test_files_that_could_be_folded_in(capsys: pytest.CaptureFixture[str]) -> None:
    """Print the files with one importer, in their own room, and no test of their own: candidates, no failure."""
    importers: defaultdict[str, set[str]] = defaultdict(set)
    for module in TREES:
        for other in own_imports(module):
            importers[other].add(module)
    tests = Counter(path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py"))
    lone = [
        module
        for module, users in sorted(importers.items())
        if len(users) == 1 and room(next(iter(users))) == room(module) and not tests[module.rsplit(".", 1)[-1]]
    ]
    with capsys.disabled():
        print(f"\n{len(lone)} files have one importer, in their room, and no test: {', '.join(lone)}")
