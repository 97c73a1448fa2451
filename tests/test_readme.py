"""The README's example runs as it is printed, and its commands are those that are tested."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(code.strip().splitlines()) <= 15
    namespace: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out
    assert "2 phases" in printed
    assert re.search(
        r"phase 0: 0\.78\d*\(\d+\); phase 1: 0\.69\d*\(\d+\)|phase 0: 0\.78\d*\(\d+\); phase 1: 0\.70", printed
    )
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_commands_install_what_they_use() -> None:
    commands = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    assert any("bayesspec demo" in command and "pip install" in command for command in commands)
    assert any("pytest" in command and "[io,test]" in command for command in commands)
