"""What formats state about their own length, compared with the file before it is read."""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bayesspec.errors import InputError

EMSA = (".msa", ".emsa", ".ems", ".mas")
_SFS = b"AAMVHFSS"
_SFS_HEADER = struct.Struct("<I20xIII")
"""Bytes in a chunk, chunk of the tree, items of the tree and number of chunks."""
_SFS_HEADER_AT = 0x128
"""Byte at which this header lies."""
_SFS_FIRST_CHUNK = 0x118
"""Byte at which the first chunk begins."""
_ENDED = ("\n", "\r")


def check_complete(file: Path) -> None:
    """Refuse a file that is shorter than it says.

    Parameters
    ----------
    file : pathlib.Path
        A Bruker or EMSA/MSA file; others, whose readers look for themselves, pass.

    Raises
    ------
    InputError
        When a part is missing.
    """
    ending = file.suffix.lower()
    if ending in (".bcf", ".pan"):
        _check_sfs(file)
    elif ending in EMSA:
        _check_emsa(file)


@contextmanager
def mended(file: Path) -> Iterator[Path]:
    """Add the space that readers of EMSA files miss where the line ``#SPECTRUM`` ends at its colon, in a copy.

    Parameters
    ----------
    file : pathlib.Path
        Any file.

    Yields
    ------
    pathlib.Path
        The file itself, or the copy, which is there as long as this lasts.
    """
    text = file.read_text(encoding="latin-1") if file.suffix.lower() in EMSA else ""
    better = re.sub(r"^(#SPECTRUM *:)$", r"\1 ", text, count=1, flags=re.IGNORECASE | re.MULTILINE)
    if better == text:
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name
        copy.write_text(better, encoding="latin-1")
        yield copy


def _check_sfs(file: Path) -> None:
    """Bruker's container says in its header of how many chunks it consists."""
    with file.open("rb") as stream:
        head = stream.read(_SFS_FIRST_CHUNK + 0x100)
    if not head.startswith(_SFS):
        return  # its reader says what it is not
    length = file.stat().st_size
    if len(head) < _SFS_HEADER_AT + _SFS_HEADER.size:
        raise _incomplete(file, f"{length} bytes", "a header")
    chunk, _, _, chunks = _SFS_HEADER.unpack_from(head, _SFS_HEADER_AT)
    stated = _SFS_FIRST_CHUNK + chunk * chunks
    if length < stated:
        raise _incomplete(file, f"{length} bytes", f"the {stated} bytes that its header states")


def _check_emsa(file: Path) -> None:
    """The header of an EMSA file says how many points follow, one number or one pair of numbers each."""
    text = file.read_text(encoding="latin-1")
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if re.match(r"#SPECTRUM *:", line, re.IGNORECASE)), None)
    keys = dict(re.findall(r"^#\s*(NPOINTS|DATATYPE)[^:\n]*:\s*(\S+)", text, re.IGNORECASE | re.MULTILINE))
    keys = {key.upper(): value for key, value in keys.items()}
    if start is None:
        raise _incomplete(file, "a header", "a line that starts with #SPECTRUM, and counts")
    stated = _number(keys.get("NPOINTS", ""))
    values = [line for line in lines[start + 1 :] if not line.startswith("#")]
    found = sum(len(re.findall(r"[^\s,]+", line)) for line in values)
    points = found // 2 if keys.get("DATATYPE", "Y").upper() == "XY" else found
    if stated is not None and points != stated:
        raise _incomplete(file, f"{points} points", f"the {stated} points that its line #NPOINTS states")
    if values and lines[-1] == values[-1] and not text.endswith(_ENDED):
        raise _incomplete(file, f"a last number {values[-1]!r} that may be cut short", "a line #ENDOFDATA")


def _number(text: str) -> int | None:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return None


def _incomplete(file: Path, found: str, needed: str) -> InputError:
    return InputError(
        f"{found} in {file.name!r}", needed, "copy the file again, or export it again from the acquisition software"
    )
