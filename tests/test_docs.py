"""The recipes of the documentation run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bayesspec as bs

ROOT = Path(__file__).parents[1]
RECIPES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "parallel.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_several_processes_take_an_image_each(tmp_path: Path, number: int) -> None:
    for seed, name in enumerate(("a.npz", "b.npz")):
        bs.save_image(bs.simulate.iron_oxides(3000, (12, 12), seed=seed), tmp_path / name)
    (tmp_path / "recipe.py").write_text(RECIPES[number])
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [sys.executable, "recipe.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["a.npz", "b.npz"]
    assert "phase 1" in ended.stdout
