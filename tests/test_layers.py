"""The layers: who may import whom, and which packages stay where."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    ("errors", "models", "files", "cli_types"),
    ("counts", "acquisition"),
    ("rebinning", "axis_checks"),
    ("spectrum_image",),
    ("result_labels",),
    ("transitions", "detector_response"),
    ("xray",),
    ("composition", "bremsstrahlung", "line_families", "channel_bins", "absorption"),
    ("continuum_curve",),
    ("background",),
    ("windows", "line_design", "residual_lines", "thin_film"),
    ("files.nested_metadata",),
    ("files.hyperspy_signal",),
    ("files.calibration", "files.signal_choice", "files.labelled_signal", "files.file_problems"),
    ("files.image_writing", "files.image_reading"),
    ("load", "element_maps"),
    ("simulate",),
    ("inference",),
    ("posterior", "dose_plan"),
    ("planning", "energy_calibration", "conversion_gain", "edge_design", "escape_peaks"),
    ("results", "phase_comparison", "condensed_design", "phase_fits", "bands", "component"),
    ("component_lines",),
    ("phases", "components", "principal_components", "line_fit_result", "intensity_maps"),
    ("line_fit",),
    ("element_search", "spectral_maps", "edge_fit"),
    ("line_identification",),
    ("point_results", "labels", "selection", "count_matrix", "known_spectra", "noise_findings", "coarsening"),
    ("classical", "goodness", "noise_check", "unmixing_start", "phase_verdict", "phase_search"),
    ("rank_selection", "unmixing_fit"),
    ("pca", "unmixing_result"),
    ("line_components",),
    ("line_unmixing_result",),
    ("line_unmixing",),
    ("segment", "unmix", "fit", "checks"),
    ("comparison_table",),
    ("scores", "trials"),
    ("compare",),
    ("plot",),
    ("reporting",),
    ("cli_analysis",),
    ("cli",),
)
PLACE = {name: i for i, layer in enumerate(LAYERS) for name in layer}
FILES = sorted(p for p in (ROOT / "bayesspec").rglob("*.py") if p != ROOT / "bayesspec" / "__init__.py")
OPTIONAL = {"rsciio", "hyperspy", "exspy"}
HEAVY = {"arviz", "matplotlib", "sklearn"}


def room(module: str) -> str:
    """Name of the entry in LAYERS: a file, or a folder that is one layer."""
    parts = module.split(".")
    own = ".".join(parts[1:3])
    return own if own in PLACE else parts[1] if len(parts) > 1 else ""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "bayesspec":
                yield from (f"bayesspec.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_file_imports_only_from_the_layers_below(path: Path) -> None:
    own = room(module_of(path))
    assert own in PLACE, f"{own} has no layer yet: give it one in LAYERS"
    for module in imports(ast.parse(path.read_text())):
        if module.startswith("bayesspec"):
            other = room(module)
            within = other == own and own in ("inference", "plot", "reporting", "models", "simulate")
            assert within or PLACE[other] < PLACE[own], f"{own} must not import {other}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_inside_functions_are_of_other_packages(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert not [m for m in imports(function) if m.startswith("bayesspec")], function.name


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_optional_packages_are_imported_in_load_only(path: Path) -> None:
    tree = ast.parse(path.read_text())
    used = {m.split(".")[0] for m in imports(tree)} & OPTIONAL
    assert not used or path.name == "load.py"
    if path.name == "load.py":
        body = ast.Module([n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))], [])
        assert not {m.split(".")[0] for m in imports(body)} & OPTIONAL


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.py")), ids=lambda p: p.name)
def test_a_model_file_imports_jax_and_numpyro_only(path: Path) -> None:
    assert {m.split(".")[0] for m in imports(ast.parse(path.read_text()))} <= {"jax", "numpyro"}
    assert len(path.read_text().splitlines()) < 120


def test_import_stays_light() -> None:
    code = f"import sys, bayesspec; print([m for m in {sorted(HEAVY | OPTIONAL)} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
