"""Paths as users give them: expanded once, and refused before anything is read or written."""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bayesspec.errors import InputError
from bayesspec.image.arguments import checked_flag

MOST_PACKED = 900
"""Deflate packs zeros 1,029 times, and an image of one count in 10,000 values 780 times."""
_SMALL_BYTES = 2**30
"""Bytes up to which counts are unpacked, however well they were packed."""
_UNKNOWN_MEMORY = 2**34
"""Bytes of memory that are assumed where the system does not say."""
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def expanded(path: Any, do: str = 'bs.load("scan.bcf")') -> Path:
    """Read a path; ``~`` is the home folder.

    Parameters
    ----------
    path : str or path
        What the user gave.
    do : str
        What to type in place of something that is no path.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        When it is no path.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise InputError(f"an object of type {type(path).__name__}", "the path of a file, as text", do)
    text = os.fspath(path)
    if not text or "\0" in text:
        raise InputError(f"the path {text!r}", "the path of a file", do)
    with contextlib.suppress(RuntimeError):  # nobody's home: the path as it stands
        return Path(text).expanduser()
    return Path(text)


def existing_file(path: Any, *, folders: Sequence[str] = (), do: str = "bs.load({path!r})") -> Path:
    """Return the path of a file that is there; brackets and asterisks are part of its name.

    Parameters
    ----------
    path : str or path
        Where it should be.
    folders : sequence of str
        Endings of folders that are read as one file.
    do : str
        What to type; ``{path!r}`` stands for another path.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        When it is missing, a folder, a pipe, a socket or a device, cannot be looked at, or is no path.
    """
    file = expanded(path, do.format(path="scan.bcf"))
    with named_os_errors(f"{str(file)!r} cannot be looked at", "a file that you may read", "check the path"):
        mode = _mode(file)
    if mode is None:
        raise _missing(file, do)
    if stat.S_ISDIR(mode):
        if file.suffix.lower() in folders:
            return file
        raise InputError(f"the folder {str(file)!r}", "a file", do.format(path=str(file / "scan.bcf")))
    _regular(file, mode, do.format(path="scan.bcf"))
    if not os.access(file, os.R_OK):
        raise InputError(f"the file {str(file)!r}, which you may not read", "a file that you may read", "chmod u+r")
    return file


def new_file(path: Any, *, overwrite: bool, endings: Sequence[str] = (), do: str = "save({path!r})") -> Path:
    """Return the path of a file that may be written.

    Parameters
    ----------
    path : str or path
        Where to write.
    overwrite : bool
        Whether a file that exists may be replaced.
    endings : sequence of str
        Endings that are allowed, ``".nc"``; empty for any.
    do : str
        What to type; ``{path!r}`` stands for another path.

    Returns
    -------
    pathlib.Path
        The file, links followed.

    Raises
    ------
    InputError
        When its ending is another, its folder is missing, or it exists and must not or cannot be replaced.
    """
    given, overwrite = expanded(path, do.format(path="fit.nc")), checked_flag("overwrite", overwrite)
    if endings and given.suffix.lower() not in endings:
        better = do.format(path=str(given.with_name(given.stem + endings[0])) if given.name else f"fit{endings[0]}")
        raise InputError(f"the file name {given.name!r}", f"an ending {' or '.join(endings)}", better)
    with named_os_errors(f"{str(given)!r} cannot be written", "a path that can be written", do.format(path="fit.nc")):
        target = given.resolve() if given.is_symlink() else given
        mode = _mode(target)
        folder = _mode(target.parent)
    if folder is None or not stat.S_ISDIR(folder):
        raise InputError(f"no folder {str(target.parent)!r}", "a folder that exists", f"mkdir -p '{target.parent}'")
    if mode is None:
        return target
    if stat.S_ISDIR(mode):
        raise InputError(f"the folder {str(target)!r}", "the name of a file", do.format(path=str(target / "fit.nc")))
    _regular(target, mode, do.format(path="fit.nc"))
    if not overwrite:
        raise exists_already(target)
    return target


def refuse_swollen(file: Path, unpacked: int) -> None:
    """Refuse a file whose contents would not fit into memory, or are hardly more than zeros.

    Parameters
    ----------
    file : pathlib.Path
        The file, packed.
    unpacked : int
        Number of bytes that it states to unpack to.

    Raises
    ------
    InputError
        When these are more than the memory that is free, or more than 1 GB and `MOST_PACKED` times the file.
    """
    packed = max(file.stat().st_size, 1)
    free = free_memory()
    if unpacked > free:
        needed = f"counts that fit into the {free / 1e9:.3g} GB of memory that are free"
    elif unpacked > _SMALL_BYTES and unpacked > MOST_PACKED * packed:
        needed = f"counts: what unpacks to more than {MOST_PACKED} times its size holds next to none"
    else:
        return
    found = f"{str(file)!r} of {packed / 1e6:.3g} MB, which unpacks to {unpacked / 1e9:.3g} GB"
    raise InputError(found, needed, "a part of the image, cropped or summed by the software that wrote it")


def free_memory() -> int:
    """Memory that a process may still take.

    Returns
    -------
    int
        Bytes; what the machine has where it does not say what is free.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN_MEMORY


def new_folder(path: Any, do: str = "another name") -> Path:
    """Return a folder, made where it does not exist.

    Parameters
    ----------
    path : str or path
        The folder.
    do : str
        What to type in place of it.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        When it is a file, or cannot be made.
    """
    folder = expanded(path, do)
    with named_os_errors(f"the folder {str(folder)!r} cannot be made", "a folder of yours", do):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def exists_already(target: Path) -> InputError:
    """Say that a file must not be replaced.

    Parameters
    ----------
    target : pathlib.Path
        The file.

    Returns
    -------
    InputError
        To be raised.
    """
    found = f"{str(target)!r} exists already"
    return InputError(found, "another name, or leave to replace it", "the same with overwrite=True")


@contextlib.contextmanager
def named_os_errors(found: str, needed: str, do: str) -> Iterator[None]:
    """Turn what the operating system refuses into an error in three parts.

    Parameters
    ----------
    found, needed, do : str
        The three parts; what the system says is added to the first.

    Yields
    ------
    None
        While the system is asked.

    Raises
    ------
    InputError
        In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{found}: {error.strerror or error}", needed, do) from error


def _mode(path: Path) -> int | None:
    """Kind and permissions of what a path leads to; None where there is nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _regular(file: Path, mode: int, do: str) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
        raise InputError(f"{str(file)!r}, which is {kind}", "a file on a disk", do)


def _missing(file: Path, do: str) -> InputError:
    beside: list[str] = []
    with contextlib.suppress(OSError):
        beside = os.listdir(file.parent)
    near = difflib.get_close_matches(file.name, beside, n=1)
    better = do.format(path=str(file.parent / near[0])) if near else "check the path"
    return InputError(f"no file {str(file)!r}", "a file that exists", better)
