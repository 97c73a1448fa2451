"""What a user installs: both archives are complete, and the wheel runs by itself."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_SHIPPED = {".ci", ".gitignore", ".pre-commit-config.yaml"}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Source archive and wheel, built from the files that git knows."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "out"))
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return {path.suffix: path for path in out.iterdir()}


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: what belongs into the archives is not known")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_the_source_archive_holds_every_file(archives: dict[str, Path]) -> None:
    with tarfile.open(archives[".gz"]) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert not {name for name in tracked() if name.split("/")[0] not in NOT_SHIPPED} - held


def test_the_wheel_holds_every_module_and_what_they_read(archives: dict[str, Path]) -> None:
    held = set(zipfile.ZipFile(archives[".whl"]).namelist())
    package = {name for name in tracked() if name.startswith("bayesspec/")}
    models = {f"bayesspec/{name}" for name in tracked() if name.startswith("models/")}
    assert not (package | models) - held


def test_the_wheel_runs_the_demo_in_an_environment_of_its_own(archives: dict[str, Path], tmp_path: Path) -> None:
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    run = home / "bin"
    installed = [str(run / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    apart = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}  # which hides what is installed
    subprocess.run([*installed, str(archives[".whl"])], check=True, capture_output=True, cwd=tmp_path, env=apart)
    # the dependencies of this environment, without its editable install of the checkout
    site = next((home / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = "import bayesspec, bayesspec.models; print(bayesspec.__file__, bayesspec.models.__file__)"
    printed = subprocess.run(
        [run / "python", "-c", where], check=True, capture_output=True, text=True, cwd=tmp_path, env=apart
    )
    assert all(Path(name).is_relative_to(site) for name in printed.stdout.split())
    demo = [run / "bayesspec", "demo", "--size", "32", "--out", "report"]
    subprocess.run(demo, check=True, capture_output=True, cwd=tmp_path, env=apart)
    assert (tmp_path / "report" / "report.html").stat().st_size > 0
