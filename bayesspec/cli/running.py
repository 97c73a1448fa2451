"""How a command runs: its folder is its own, and Ctrl-C ends it at once, whatever the compiler is doing."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from bayesspec.cli.answers import in_options
from bayesspec.errors import InputError
from bayesspec.files.paths import new_folder
from bayesspec.files.writing import lock, stop_writing

INTERRUPTED = 130
"""Exit code of what Ctrl-C ended: 128 and the number of the signal."""
PATIENCE_S = 1.0
"""Seconds that the file being written has to be completed."""
_CLAIM = ".bayesspec-run"
_leaving = contextlib.ExitStack()
"""What is done on the way out of a command, also where it is ended by Ctrl-C."""


def interruptible(work: Callable[[], Any]) -> Any:
    """Do the work in a thread; Ctrl-C ends the process, as soon as the file that is being written is complete.

    An interruption that is raised inside a running compilation reaches code that cannot be unwound. Here it is raised
    in a thread that only waits.

    Parameters
    ----------
    work : callable
        What to do.

    Returns
    -------
    object
        What the work returns.

    Raises
    ------
    BaseException
        Whatever the work raises.
    """
    ended: dict[str, Any] = {}

    def run() -> None:
        try:
            ended["value"] = work()
        except BaseException as error:  # raised again by who waits
            ended["error"] = error

    thread = threading.Thread(target=run, name="command", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.5)
    except KeyboardInterrupt:
        _leave_at_once()
    if "error" in ended:
        raise ended["error"]
    return ended.get("value")


def _leave_at_once() -> None:
    stop_writing(PATIENCE_S)
    with contextlib.suppress(Exception):
        _leaving.close()
    say_interrupted()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(INTERRUPTED)  # the threads of a compiler are not waited for


def say_interrupted() -> None:
    """Tell the user that his interruption was heard."""
    click.echo("\nInterrupted: the files written so far are kept.", err=True)


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    click.echo(f"{what} ...", err=True)
    start = time.perf_counter()
    yield
    click.echo(f"  {time.perf_counter() - start:.1f} s", err=True)


@contextlib.contextmanager
def notes() -> Iterator[None]:
    """Print warnings as notes, without the place in the code that they come from.

    Yields
    ------
    None
        While warnings are notes.
    """

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        click.echo(f"  Note: {in_options(str(message))}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """Keep a folder from other runs; one that was made for nothing is removed.

    Parameters
    ----------
    folder : pathlib.Path
        The folder, made where it does not exist.

    Yields
    ------
    pathlib.Path
        The folder, as long as it is claimed.

    Raises
    ------
    InputError
        When it cannot be made or written to, or another run has it.
    """
    made = _missing_folders(folder)
    with _leaving:
        place = new_folder(folder, "--out NAME")
        _leaving.callback(_remove_empty, made)
        if not os.access(place, os.W_OK):
            raise InputError(f"the folder {place}, which cannot be written to", "a folder of yours", "--out NAME")
        _leaving.enter_context(_claim(place))
        yield place


def _claim(folder: Path) -> contextlib.ExitStack:
    """Hold a file in the folder until the claim is closed; without locks on the file system there are no claims."""
    path, claim = folder / _CLAIM, contextlib.ExitStack()
    while True:
        try:
            file = claim.enter_context(path.open("a"))
            lock(file, wait=False)
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                break  # and not removed by the run that held it
        except BlockingIOError:
            claim.close()
            found = f"another run, which is writing into the folder {folder}"
            raise InputError(found, "a folder for each run", "--out with another name") from None
        except OSError:
            return claim
        claim.close()
    claim.callback(path.unlink, missing_ok=True)
    return claim


def _missing_folders(folder: Path) -> list[Path]:
    """Folders that do not exist yet, the innermost first."""
    with contextlib.suppress(OSError, RuntimeError):
        whole = folder.expanduser().absolute()
        return [path for path in (whole, *whole.parents) if not path.exists()]
    return []


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
