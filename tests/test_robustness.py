"""A part of the benchmark of what goes wrong: it must end with nothing to complain of."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bayesspec as bs

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


def one_count() -> bs.SpectrumImage:
    counts = np.zeros((3, 3, 4), int)
    counts[1, 1, 2] = 1
    return bs.SpectrumImage(counts, energy=[1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bs.pca(one_count(), 2), "with counts"),
        (lambda: bs.simulate.iron_oxides(9, (8, 8), seed=0).crop(y=np.array(3)), "first pixel"),
        (lambda: bs.camera_noise(np.ones((4, 4, 64)), read_noise=1e300), "from 0 to"),
        (lambda: bs.camera_noise([["a"]]), "what the camera saved"),
        (lambda: bs.simulate.bremsstrahlung([0.0, 1.0], 200.0), "above 0"),
        (lambda: bs.simulate.pictures(2**40), "8192"),
        (lambda: bs.Result.from_values(3, name="a", method="b", verdict="c"), "mapping of names"),
    ],
)
def test_what_was_found_with_random_arguments_is_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(bs.InputError, match=words):
        call()


def test_a_result_refuses_what_is_no_result_or_part_of_its_counts(clusters: bs.Segmentation) -> None:
    for call in (
        lambda: clusters.agreement(3),
        lambda: clusters.matched("phases"),
        lambda: clusters.expected_counts(2.5),
        lambda: clusters.is_of("scan.bcf"),
        lambda: clusters.table(reference=7),
        lambda: clusters.to_arviz(groups=3),
        lambda: clusters.intensities_of(None),
    ):
        with pytest.raises(bs.InputError):
            call()
