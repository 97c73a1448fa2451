"""Every notebook runs from start to end."""

import os
import re
from pathlib import Path

import nbclient
import nbformat
import pytest

NEED_DATA = {
    "measured_data": ("p45_dacite", "mantle_71GPa", "fept_core_shell", "sto_eels"),
    "detector_background": ("fept_core_shell",),
    "energy_shift": ("sto_eels",),
    "two_images": ("p45_dacite",),
}
OWN_MODELS = {"smooth_nmf", "two_images", "detector_background", "energy_shift", "edx_and_eels"}
LINES = 120
"""Lines of a worked model, its explanations included."""
NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    folder = os.environ.setdefault("BAYESSPEC_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    missing = [name for name in NEED_DATA.get(path.stem, ()) if not Path(folder, name).is_dir()]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} in the folder that BAYESSPEC_DATA names")
    notebook = nbformat.read(path, as_version=4)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    conclusion = notebook.cells[-1].outputs[-1]["data"]["text/markdown"]
    assert any(character.isdigit() for character in conclusion)
    assert not {"nan", "inf"} & set(re.split(r"[^a-z]+", conclusion))


def test_there_are_notebooks() -> None:
    names = {path.stem for path in NOTEBOOKS}
    assert names >= {"iron_oxides", "six_lines", "particles", "linear_mixing", "eels", "measured_data"} | OWN_MODELS


@pytest.mark.parametrize("name", sorted(OWN_MODELS))
def test_models_of_ones_own_are_short(name: str) -> None:
    path = next(path for path in NOTEBOOKS if path.stem == name)
    assert sum(len(cell.source.splitlines()) for cell in nbformat.read(path, as_version=4).cells) < LINES
