"""How every file is written: complete under its name, or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from bayesspec.files.paths import exists_already, named_os_errors

try:
    import fcntl
except ImportError:  # Windows has no advisory locks, and removes no file that is open
    fcntl = None  # type: ignore[assignment]

_writing = threading.Lock()
_PART = re.compile(r"\..+\.[0-9a-f]{8}\.bayesspec-part")


def in_memory(write: Callable[[IO[bytes]], object]) -> memoryview:
    """Write to memory in place of a file: libraries that fail halfway do so before a file is touched.

    Parameters
    ----------
    write : callable
        Writes to the stream that it is given.

    Returns
    -------
    memoryview
        What it wrote.
    """
    stream = io.BytesIO()
    write(stream)
    return stream.getbuffer()


def write_file(target: Path, contents: bytes | memoryview, *, overwrite: bool) -> Path:
    """Write a file that is complete as soon as it has its name: killed or out of space, an earlier one stays.

    The contents are written beside it, brought to the disk and moved. What a killed process left beside is removed by
    the next one that writes into the folder.

    Parameters
    ----------
    target : pathlib.Path
        The file, as `new_file` returns it.
    contents : bytes
        What it shall hold.
    overwrite : bool
        Whether a file that has appeared in the meantime may be replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        When it cannot be written, or exists and `overwrite` is false.
    """
    needed = f"a folder that can be written to, with {len(contents) / 1e6:.3g} MB of free space"
    with named_os_errors(f"{str(target)!r} cannot be written", needed, "the same with another path: nothing is lost"):
        _remove_abandoned(target.parent)
        with _writing:
            while not _written(target, contents, overwrite=overwrite):
                pass
            _sync_folder(target.parent)
    return target


def _written(target: Path, contents: bytes | memoryview, *, overwrite: bool) -> bool:
    """Write beside and move; false where another process took the part for abandoned before it was locked."""
    part = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.bayesspec-part")
    try:
        with part.open("xb") as file:
            with contextlib.suppress(OSError):  # no locks on this file system
                lock(file, wait=True)
            if not part.exists():
                return False
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
            with contextlib.suppress(OSError):  # a file that is replaced keeps its permissions
                part.chmod(target.stat().st_mode & 0o7777)
            if fcntl is not None:
                _give_name(part, target, overwrite=overwrite)
        if fcntl is None:
            _give_name(part, target, overwrite=overwrite)
    finally:
        part.unlink(missing_ok=True)
    return True


def _give_name(part: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        part.replace(target)
        return
    try:
        os.link(part, target)
    except FileExistsError:
        raise exists_already(target) from None
    except OSError:  # no links on this file system
        if target.exists():
            raise exists_already(target) from None
        part.replace(target)


def _remove_abandoned(folder: Path) -> None:
    """Remove the parts that no process is writing any more; without locks nobody knows."""
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = os.listdir(folder) if fcntl is not None else []
    for name in filter(_PART.fullmatch, names):
        with contextlib.suppress(OSError), (folder / name).open("rb") as file:
            lock(file, wait=False)
            (folder / name).unlink()


def stop_writing(seconds: float) -> None:
    """Let the file that is being written be completed, and none begin after it.

    Parameters
    ----------
    seconds : float
        Longest time to wait.
    """
    _writing.acquire(timeout=seconds)


def lock(file: IO[Any], *, wait: bool) -> None:
    """Hold a file against other processes until it is closed.

    Parameters
    ----------
    file : file
        The file.
    wait : bool
        Whether to wait for a process that holds it.

    Raises
    ------
    OSError
        When another process holds it, or the file system has no locks.
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk, where folders can be synchronised."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
