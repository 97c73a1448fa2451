"""A part of the benchmark of what goes wrong: it must end with nothing to complain of."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("part", [["calls", "--number", "100"], ["kills", "--number", "2"]], ids=lambda part: part[0])
def test_nothing_is_wrong_without_a_word_or_lost(part: list[str]) -> None:
    command = [sys.executable, str(BENCHMARKS / "robustness.py"), *part, "--seed", "5"]
    path = os.pathsep.join(filter(None, [str(BENCHMARKS.parent), os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_files_that_were_cut_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import robustness_files

    files = robustness_files.examples(tmp_path)
    for kind in ("npz", "nc", "result"):
        assert robustness_files.damaged(files[kind], "cut", 4, seed=1) == {"refused": 4}
