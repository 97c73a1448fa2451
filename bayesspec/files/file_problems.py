"""What can be wrong with a file, said in three parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bayesspec.errors import InputError, MissingExtraError

IO_PACKAGES = frozenset(
    [
        "rosettasciio",
        "rsciio",
        "hyperspy",
        "exspy",
        "h5py",
        "numba",
        "sparse",
        "zarr",
        "numcodecs",
        "msgpack",
        "tifffile",
    ]
)
"""What the extra ``io`` installs, by the names of imports."""


def unreadable_file(file: Path, reader: str, reason: str) -> InputError:
    """Say that a reader failed.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    reader : str
        Name of the reader.
    reason : str
        What it raised, or how it ended.

    Returns
    -------
    InputError
        To be raised.
    """
    return InputError(
        f"{file.name!r}, which the {reader} reader cannot read ({reason})",
        "a complete file in the format that its ending names",
        "copy the file again, or export it again from the acquisition software",
    )


def empty_file(file: Path) -> InputError:
    """Say that a file holds no counts.

    Parameters
    ----------
    file : pathlib.Path
        The file.

    Returns
    -------
    InputError
        To be raised.
    """
    return InputError(
        f"no counts in {file.name!r}", "at least one count", "open the file with the software that wrote it"
    )


def missing_package(name: str, file: Path) -> MissingExtraError:
    """Say which package a reader lacks, and what installs it.

    Parameters
    ----------
    name : str
        Name under which it is imported.
    file : pathlib.Path
        The file.

    Returns
    -------
    MissingExtraError
        To be raised.
    """
    return MissingExtraError(name, f"to read {file.suffix} files", "io" if name.split(".")[0] in IO_PACKAGES else None)


@contextmanager
def named_errors(file: Path, reader: str) -> Iterator[None]:
    """Say which file, reader or package a failure is about.

    Parameters
    ----------
    file : pathlib.Path
        The file that is read.
    reader : str
        Name of what reads it.

    Yields
    ------
    None
        While the file is read.

    Raises
    ------
    MissingExtraError
        When a package of the reader is not installed.
    InputError
        When the reader fails in any other way.
    """
    try:
        yield
    except ImportError as error:
        raise missing_package(error.name or reader, file) from error
    except InputError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error) or 'no reason given'}"
        raise unreadable_file(file, reader, reason) from error
