"""The one error of the project (what was found, what is needed, what to type), interruptions, and warnings."""

import sys
import warnings
from pathlib import Path
from typing import Any

_PACKAGE = str(Path(__file__).parent)


class InputError(ValueError):
    """Input that cannot be analysed.

    Parameters
    ----------
    found : str
        What was found: the offending value and its place.
    needed : str
        What is needed instead.
    do : str
        What to type.
    """

    def __init__(self, found: str, needed: str, do: str) -> None:
        self.found, self.needed, self.do = found, needed, do
        super().__init__(f"Found: {found}\nNeeded: {needed}\nType: {do}")

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str, str]]:
        return (type(self), (self.found, self.needed, self.do))


class MissingExtraError(ImportError):
    """An optional package is needed for this file or signal.

    Parameters
    ----------
    package : str
        Name of the package that could not be imported.
    purpose : str
        What it is needed for.
    extra : str or None
        The extra of bayesspec that installs it; ``None`` where none does.
    """

    def __init__(self, package: str, purpose: str, extra: str | None) -> None:
        wanted = package if extra is None else f"'bayesspec[{extra}]'"
        found, needed = f"the package {package!r} is not installed", f"{package} {purpose}"
        super().__init__(f"Found: {found}.\nNeeded: {needed}.\nType: pip install {wanted}")


class Interrupted(KeyboardInterrupt):  # noqa: N818 - the name says what happened, as KeyboardInterrupt does
    """Ctrl-C while a function of the package was at work.

    Parameters
    ----------
    partial : Result or None
        What had been found by then: a result whose ``status`` says that it was interrupted; ``None`` where there was
        nothing yet that could be used.
    """

    def __init__(self, partial: Any = None) -> None:
        self.partial = partial
        super().__init__("interrupted" + (": error.partial holds what was found so far" if partial is not None else ""))

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[Any]]:
        return (type(self), (self.partial,))


def warn(message: str) -> None:
    """Warn at the line of the user's script that called the package.

    Parameters
    ----------
    message : str
        What to say.

    Warns
    -----
    UserWarning
        Always.
    """
    depth = 1
    while sys._getframe(depth).f_code.co_filename.startswith(_PACKAGE) and sys._getframe(depth).f_back:
        depth += 1
    warnings.warn(message, UserWarning, stacklevel=depth + 1)
