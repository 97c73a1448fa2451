"""What a command writes: a folder with report and result, and what is printed of a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bayesspec.cli.analysis_files import analysis_files
from bayesspec.cli.answers import in_options
from bayesspec.cli.printing import plain, say
from bayesspec.results.result import Result


def result_facts(result: Result) -> dict[str, Any]:
    """What is to be known of a result.

    Parameters
    ----------
    result : Result
        The result.

    Returns
    -------
    dict
        Name, method, verdict, status, warnings, table and values.
    """
    names = ("kind", "name", "method", "verdict", "status", "converged")
    facts = {name: getattr(result, name) for name in names}
    facts |= {"warnings": result.warnings(), "table": result.table(), "provenance": result.provenance}
    return plain(facts | {"data": result.data})


@contextmanager
def delivery(values: Mapping[str, Any]) -> Iterator[Callable[..., None]]:
    """Refuse a folder before the work; afterwards print the answer, and write it where a folder is named.

    Parameters
    ----------
    values : mapping
        Options of the command, ``out``, ``overwrite`` and ``json`` among them.

    Yields
    ------
    callable
        To be called with the results, the answer for programs, the answer for people, and further files by name.
    """
    out: Path | None = values.get("out")
    with ExitStack() as stack:
        files = None
        if out is not None:
            files = stack.enter_context(analysis_files(out, overwrite=values["overwrite"]))

        def deliver(results: Sequence[Result], facts: Any, text: str, tables: Mapping[str, str] | None = None) -> None:
            if files is not None:
                files.write(results, tables or {})
                text = f"{text}\n\nReport: {files.page}"
                facts = {**facts, "report": str(files.page)}
            say(facts, text, as_json=values["json"])

        yield deliver


def result_text(result: Result, reference: str | None = None) -> str:
    """Print a result for people.

    Parameters
    ----------
    result : Result
        The result.
    reference : str or None
        Line below ratios; ``None`` for the last one.

    Returns
    -------
    str
        Verdict, table and warnings.
    """
    said = [f"{result.name}: {result.verdict}", "", result.table(reference).to_text(), *result.warnings()]
    return in_options("\n".join(said))
