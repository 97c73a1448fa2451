"""What can be wrong with a file, said in three parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bayesspec.errors import InputError, MissingExtraError


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
        raise MissingExtraError(error.name or reader, f"to read {file.suffix} files", "io") from error
    except InputError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error) or 'no reason given'}"
        raise unreadable_file(file, reader, reason) from error
