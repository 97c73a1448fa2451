"""Files are complete or not there: killed or out of space, the earlier one stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from bayesspec.errors import InputError
from bayesspec.files.writing import in_memory, write_file

KILLED = """
import os, random, sys, time
from pathlib import Path
from bayesspec.files.writing import write_file
target, kills = Path(sys.argv[1]), int(sys.argv[2])
random.seed(5)
write_file(target, b"0" * 3_000_000, overwrite=True)
wrong = hit = 0
for kill in range(kills):
    child = os.fork()
    if child == 0:
        for digit in b"123456789" * 100:
            write_file(target, bytes([digit]) * 3_000_000, overwrite=True)
        os._exit(0)
    time.sleep(random.uniform(0, 0.03))
    os.kill(child, 9)
    os.waitpid(child, 0)
    found = target.read_bytes()
    hit += len(list(target.parent.iterdir())) > 1
    wrong += len(found) != 3_000_000 or len(set(found)) > 1
print(wrong, hit)
write_file(target.with_name("other.nc"), b"", overwrite=True)
print(sorted(path.name for path in target.parent.iterdir()))
"""
FULL = """
import resource, sys
from pathlib import Path
from bayesspec.errors import InputError
from bayesspec.files.writing import write_file
target = Path(sys.argv[1])
write_file(target, b"earlier", overwrite=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_file(target, bytes(5000), overwrite=True)
except InputError as error:
    print(error.found, error.needed, target.read_bytes(), [path.name for path in target.parent.iterdir()], sep="\\n")
"""


def run(code: str, *arguments: object) -> list[str]:
    ended = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not forked there")
def test_killed_processes_lose_no_file_and_leave_nothing_for_long(tmp_path: Path) -> None:
    counted, names = run(KILLED, tmp_path / "fit.nc", 20)
    wrong, hit = map(int, counted.split())
    assert wrong == 0
    assert hit, "no kill hit a file while it was written: the test shows nothing"
    assert names == "['fit.nc', 'other.nc']"


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files there")
def test_without_space_the_earlier_file_stays(tmp_path: Path) -> None:
    found, needed, contents, names = run(FULL, tmp_path / "fit.nc")
    assert "fit.nc" in found
    assert "File too large" in found
    assert "0.005 MB of free space" in needed
    assert (contents, names) == ("b'earlier'", "['fit.nc']")


def test_a_file_that_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "fit.nc"
    write_file(target, b"first", overwrite=False)
    with pytest.raises(InputError, match="exists already"):
        write_file(target, b"second", overwrite=False)
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_part_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    part = tmp_path / ".fit.nc.0123abcd.bayesspec-part"
    with part.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_file(tmp_path / "fit.nc", b"one", overwrite=False)
        assert part.exists()
    write_file(tmp_path / "fit.nc", b"two", overwrite=True)
    assert not part.exists()


def test_permissions_of_a_file_that_is_replaced_stay(tmp_path: Path) -> None:
    target = write_file(tmp_path / "fit.nc", b"one", overwrite=False)
    target.chmod(0o640)
    write_file(target, b"two", overwrite=True)
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_writer_that_fails_touches_no_file(tmp_path: Path) -> None:
    def fail(stream: object) -> None:
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_file(tmp_path / "a.png", in_memory(fail), overwrite=True)
    assert list(tmp_path.iterdir()) == []
