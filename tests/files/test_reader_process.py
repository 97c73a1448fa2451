"""A reader that crashes, prints or swells ends its own process, and nothing else."""

import contextlib
import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bayesspec.errors import InputError, MissingExtraError
from bayesspec.files import paths, reader_process
from bayesspec.files.load import load
from bayesspec.files.reader_process import Request, read, read_list, read_signal
from bayesspec.image.sparse_counts import SparseCounts

READER = """
import ctypes, logging, os, sys, warnings
import numpy as np

AXES = [{"name": "Energy", "size": 4, "offset": 0.0, "scale": 0.1, "units": "keV", "navigate": False}]


class Own:
    pass


def file_reader(filename, kind="good", **other):
    print("a line that is no part of the answer")
    os.write(1, b"nor this")
    if kind == "crash":
        ctypes.string_at(0)
    elif kind == "exit":
        os._exit(3)
    elif kind == "swell":
        np.ones((2**20, 2**22))
    elif kind == "error":
        raise KeyError("Width")
    elif kind == "missing":
        import a_package_that_nobody_has
    warnings.warn("the date is odd")
    warnings.warn("old call", DeprecationWarning)
    logging.getLogger("rsciio.own").warning("the %s is odd", "time")
    data = np.arange(4) if kind == "good" else np.array([Own()] * 4)
    known = {"metadata": {"Sample": {"elements": ["Fe"]}}, "original_metadata": {"own": Own()}}
    return [{"data": data, "axes": AXES, **known}]
"""


@pytest.fixture
def request_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own_reader.py").write_text(READER)
    (tmp_path / "scan.own").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda kind: Request(tmp_path / "scan.own", "OWN", "own_reader", {"kind": kind})


def test_what_was_read_arrives_with_what_the_reader_said(request_of, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.warns(UserWarning, match="date is odd") as warned, caplog.at_level(logging.WARNING):
        found = read_signal(request_of("good"))
    assert len(warned) == 1
    assert ("rsciio.own", logging.WARNING, "the time is odd") in caplog.record_tuples
    np.testing.assert_array_equal(found.data, np.arange(4))
    assert not found.data.flags.writeable
    assert found.axes[0].unit == "keV"
    assert found.metadata["Sample"]["elements"] == ["Fe"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("crash", "ended by SIGSEGV"),
        ("exit", "exit code 3"),
        ("swell", "GB of memory"),
        ("error", "KeyError: 'Width'"),
    ],
)
def test_a_reader_that_fails_is_an_error_of_the_file(request_of, kind: str, said: str) -> None:
    for ask in (read_signal, read_list):
        with pytest.raises(InputError, match=said) as raised:
            ask(request_of(kind))
        assert "scan.own" in raised.value.found


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_values_that_are_no_numbers_are_refused(request_of) -> None:
    with pytest.raises(InputError, match="dtype object"):
        read_signal(request_of("objects"))


def test_a_missing_package_is_named(request_of) -> None:
    with pytest.raises(MissingExtraError, match="a_package_that_nobody_has"):
        read_signal(request_of("missing"))


def test_options_that_no_process_can_be_given_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="reader_options"):
        read_signal(Request(tmp_path / "scan.own", "OWN", "own_reader", {"kind": lambda: 0}))


def test_archives_that_swell_are_refused_before_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        file.create_dataset("data", (10**5, 10**4, 2**11), "u2", chunks=(100, 100, 64))
    with zipfile.ZipFile(tmp_path / "a.zspy", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", bytes(2**25))
    with pytest.raises(InputError, match="unpacks to .* GB"):
        read_signal(Request(tmp_path / "a.hspy", "HSPY", "rsciio.hspy", {}))
    monkeypatch.setattr(paths, "_SMALL_BYTES", 2**24)
    with pytest.raises(InputError, match="holds next to none"):
        read(Request(tmp_path / "a.zspy", "ZSPY", "rsciio.zspy", {}))


def children() -> set[str]:
    """Numbers of the processes that this one started and that are still there, or not yet waited for."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = status.read_text().rpartition(")")[2].split()[1]
            found |= {status.parent.name} if parent == str(os.getpid()) else set()
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no list of processes on this system")
def test_a_reader_leaves_no_process_behind(request_of) -> None:
    before = children()
    with pytest.raises(InputError):
        read_signal(request_of("crash"))
    assert children() <= before


def test_a_large_map_of_few_counts_stays_sparse(tmp_path, monkeypatch):
    writer = pytest.importorskip("rsciio.hspy")
    counts = np.random.default_rng(0).poisson(0.002, (6, 7, 500)).astype(np.uint8)
    axes = [
        {"name": name, "units": unit, "scale": 0.02, "offset": 0.0, "size": n, "navigate": unit == "nm"}
        for name, unit, n in zip(("y", "x", "Energy"), ("nm", "nm", "keV"), counts.shape, strict=True)
    ]
    axes = [axis | {"_type": "UniformDataAxis", "is_binned": False} for axis in axes]
    metadata = {"General": {"title": "map"}, "Signal": {"signal_type": "EDS_TEM"}}
    empty = {name: {} for name in ("original_metadata", "tmp_parameters", "learning_results", "models", "package_info")}
    signal = {"data": counts, "axes": axes, "metadata": metadata, "attributes": {"_lazy": False}, **empty}
    writer.file_writer(str(tmp_path / "map.hspy"), signal)
    monkeypatch.setattr(reader_process.sys, "executable", "")  # in this process, where what is large can be changed
    monkeypatch.setattr(reader_process, "LARGE", 1000)
    image = load(tmp_path / "map.hspy")
    assert isinstance(image.stored, SparseCounts)
    np.testing.assert_array_equal(image.counts, counts)
