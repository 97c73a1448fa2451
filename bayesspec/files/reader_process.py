"""A reader of rosettasciio in a process of its own: a damaged file may end that process, and nothing else.

The process starts with this file and what it imports, not with all of bayesspec, and sends what it read through a
pipe. It may take the memory that is free, and no more.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import os
import pickle
import signal as signals
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError, warn
from bayesspec.files.completeness import mended
from bayesspec.files.file_problems import missing_package, unreadable_file
from bayesspec.files.hyperspy_signal import Signal, computed, from_reader, loaded
from bayesspec.files.paths import free_memory, refuse_swollen
from bayesspec.files.signal_choice import Picked, as_detectors, choose, listed
from bayesspec.image.counts import aligned, owned
from bayesspec.image.sparse_counts import SparseCounts, sparse_counts, sparse_in_parts

_START = """
import pickle, sys, types
path, package, request = pickle.load(sys.stdin.buffer)
sys.path[:] = path
sys.modules["bayesspec"] = types.ModuleType("bayesspec")
sys.modules["bayesspec"].__path__ = [package]
from bayesspec.files.reader_process import answer
answer(pickle.loads(request))
"""
_LENGTH = struct.Struct("<Q")
SPARSE = ("JEOL", "EMD")
"""Readers that give maps sparse where they are asked to be lazy (python benchmarks/sparse_maps.py)."""
DETECTORS: Mapping[str, Mapping[str, Any]] = {"Bruker": {"index": "all"}}
"""Readers that give the map of the first detector alone unless they are asked for all, and how to ask."""
CHUNKED = ("HSPY",)
"""Readers that give maps in parts where they are asked to be lazy."""
LARGE = 2**28
"""Bytes of an array from which on it is looked at in parts, whether it is better kept sparse."""
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Request:
    """What the process is to read.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    name, api : str
        Name and module of the reader.
    options : mapping
        Keyword arguments of the reader.
    picked : int, str, sequence of int, or None
        Index or title of the signal to take, or indices of those to sum.
    listing : bool
        Whether to describe all signals in place of reading one.
    """

    file: Path
    name: str
    api: str
    options: Mapping[str, Any]
    picked: Picked = None
    listing: bool = False


@dataclass(frozen=True, eq=False)
class _Answer:
    """What the process sends: one of the four, and what the reader had to say."""

    signal: Signal | None = None
    lines: list[str] | None = None
    problem: InputError | None = None
    missing: str | None = None
    notes: tuple[str, ...] = ()
    logged: tuple[tuple[str, int, str], ...] = ()
    layout: tuple[tuple[int, ...], np.dtype[Any]] | None = None


def read_signal(request: Request) -> Signal:
    """Read the spectrum image of a file.

    Parameters
    ----------
    request : Request
        The file, its reader and which of its signals.

    Returns
    -------
    Signal
        Data, read-only, with axes and metadata.

    Raises
    ------
    InputError
        When the reader fails, or ends the process, or no signal qualifies.
    MissingExtraError
        When a package of the reader is not installed.
    """
    found = _asked(request).signal
    assert found is not None
    return found


def read_list(request: Request) -> list[str]:
    """Describe the signals of a file, one line each.

    Parameters
    ----------
    request : Request
        The file and its reader.

    Returns
    -------
    list of str
        Index, title, pixels, channels, signal type and dtype.

    Raises
    ------
    InputError
        When the reader fails, or ends the process.
    MissingExtraError
        When a package of the reader is not installed.
    """
    return _asked(replace(request, listing=True)).lines or []


def _asked(request: Request) -> _Answer:
    """Start the process and take its answer; embedded interpreters have none to start."""
    received = _from_process(request) if sys.executable else _answer(request)
    for name, level, message in received.logged:
        logging.getLogger(name).log(level, "%s", message)
    for note in received.notes:
        warn(f"{request.file.name}: {note}")
    if received.problem is not None:
        raise received.problem
    if received.missing is not None:
        raise missing_package(received.missing, request.file)
    return received


def _from_process(request: Request) -> _Answer:
    try:
        question = pickle.dumps((sys.path, str(Path(__file__).parents[1]), pickle.dumps(request)))
    except Exception as error:  # pickle raises errors of many types
        found = f"reader_options={dict(request.options)!r}"
        raise InputError(found, "plain numbers and text", "reader_options={'rebin_energy': 2}") from error
    command = [sys.executable, "-P", "-c", _START]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(question)
                process.stdin.close()
            received = _received(process.stdout)
        except BaseException:
            process.kill()
            raise
    if received is None:
        raise unreadable_file(request.file, request.name, _ending(process.returncode))
    return received


def _received(stream: IO[bytes]) -> _Answer | None:
    """Read the answer; None where it breaks off."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    packed = stream.read(length)
    if len(packed) < length:
        return None
    answer: _Answer = pickle.loads(packed)
    if answer.layout is None or answer.signal is None:
        return answer
    data = aligned(*answer.layout)
    if data.nbytes and stream.readinto(data.reshape(-1).view(np.uint8)) < data.nbytes:  # type: ignore[attr-defined]
        return None
    return replace(answer, signal=replace(answer.signal, data=owned(data)))


def _ending(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"it was ended by {signals.Signals(-code).name}"
    return f"it ended with exit code {code}"


# What follows runs in the process that reads


def answer(request: Request) -> None:
    """Read what is asked for, write it to the standard output and end the process.

    Parameters
    ----------
    request : Request
        What to read.
    """
    signals.signal(signals.SIGINT, signals.SIG_DFL)
    with os.fdopen(os.dup(1), "wb") as stream:
        os.dup2(2, 1)  # what a reader prints is no part of the answer
        _limit_memory()
        found = _answer(request)
        data: Any = None
        if found.signal is not None and isinstance(found.signal.data, np.ndarray):
            data = found.signal.data
            found = replace(found, signal=replace(found.signal, data=None), layout=(data.shape, data.dtype))
        packed = pickle.dumps(found)
        stream.write(_LENGTH.pack(len(packed)))
        stream.write(packed)
        if data is not None and data.nbytes:
            stream.write(data.reshape(-1).view(np.uint8))
    os._exit(0)  # the libraries of a damaged file are not asked to tidy up


def _answer(request: Request) -> _Answer:
    with _overheard() as (notes, logged):
        answer = _outcome(request)
    words = tuple(str(note.message) for note in notes if issubclass(note.category, UserWarning))
    return replace(answer, notes=words, logged=tuple((r.name, r.levelno, r.getMessage()) for r in logged))


def _outcome(request: Request) -> _Answer:
    try:
        found = read(request)
        if request.listing:
            return _Answer(lines=listed(found))
        chosen = choose(found, request.picked, request.file.name)
        known = {"metadata": _sendable(chosen.metadata), "original": _sendable(chosen.original)}
        return _Answer(signal=replace(chosen, data=_kept(chosen), **known))
    except InputError as error:
        return _Answer(problem=error)
    except ImportError as error:
        return _Answer(missing=error.name or request.name)
    except MemoryError:
        reason = f"it needs more than the {free_memory() / 1e9:.3g} GB of memory that are free"
    except Exception as error:  # readers raise errors of all types
        reason = f"{type(error).__name__}: {str(error) or 'no reason given'}"
    return _Answer(problem=unreadable_file(request.file, request.name, reason))


def read(request: Request) -> list[Signal]:
    """Read the signals of a file, in this process.

    Parameters
    ----------
    request : Request
        The file and its reader.

    Returns
    -------
    list of Signal
        All signals.

    Raises
    ------
    InputError
        When the file unpacks to more than fits into memory.
    Exception
        Whatever the reader raises.
    """
    largest = _check_size(request.file)
    module = importlib.import_module(request.api)
    with mended(request.file) as file:
        lazy = {"lazy": True} if request.name in SPARSE or (request.name in CHUNKED and largest > LARGE) else {}
        options = {**lazy, **DETECTORS.get(request.name, {}), **request.options}
        found = [from_reader(one) for one in module.file_reader(str(file), **options)]
    return as_detectors(found, request.file.name) if request.name in DETECTORS else found


def _check_size(file: Path) -> int:
    """Add up what the members of an archive unpack to, before any of them is; the largest, in bytes."""
    if file.is_dir():
        return 0
    sizes = []
    with file.open("rb") as stream:
        hdf5 = stream.read(len(_HDF5)) == _HDF5
    if hdf5:
        import h5py

        with h5py.File(file, "r") as opened:
            opened.visititems(lambda _, item: sizes.append(item.nbytes) if isinstance(item, h5py.Dataset) else None)
        refuse_swollen(file, sum(sizes))
    elif zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            sizes = [member.file_size for member in archive.infolist()]
        refuse_swollen(file, sum(sizes))
    return max(sizes, default=0)


def _kept(signal: Signal) -> npt.NDArray[Any] | SparseCounts:
    """Values in memory: sparse where the reader gives them so, or where they are many and nearly all 0."""
    data, sparse = signal.data, None
    large = math.prod(np.shape(data)) * np.dtype(data.dtype).itemsize > LARGE
    if hasattr(getattr(data, "_meta", data), "todense"):
        data = loaded(data)
    if np.ndim(data) == 3 and signal.energy_dimension == 2 and np.dtype(data.dtype).kind in "ui":
        sparse = sparse_counts(data) if hasattr(data, "todense") else sparse_in_parts(data) if large else None
    return _plain(data) if sparse is None else sparse


def _plain(data: Any) -> npt.NDArray[Any]:
    """Values in memory, in C order."""
    values = computed(data)
    if values.dtype.hasobject:
        raise TypeError(f"values of dtype {values.dtype}")
    return np.ascontiguousarray(values).reshape(values.shape)


def _sendable(tree: Any) -> Any:
    """Metadata without what only the reader can make sense of."""
    if isinstance(tree, Mapping):
        return {str(key): _sendable(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_sendable(value) for value in tree]
    plain = isinstance(tree, np.ndarray | np.generic) and not tree.dtype.hasobject
    return tree if plain or isinstance(tree, str | int | float | None) else str(tree)


@contextlib.contextmanager
def _overheard() -> Iterator[tuple[list[warnings.WarningMessage], list[logging.LogRecord]]]:
    """Keep what a reader warns of and logs."""
    handler = _Log(logging.WARNING)
    logging.getLogger("rsciio").addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            yield notes, handler.records
    finally:
        logging.getLogger("rsciio").removeHandler(handler)


class _Log(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _limit_memory() -> None:
    """A file that states a size beyond all measure fails, in place of filling the memory of the machine."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (taken + free_memory(), hard))
