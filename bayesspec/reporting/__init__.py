"""Reports: one page that holds everything, or the tables and figures of a paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jinja2

from bayesspec.comparison.side_by_side import Comparison
from bayesspec.errors import InputError
from bayesspec.files.paths import new_file, new_folder
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.files.writing import write_file
from bayesspec.reporting.figures import COMPARISON, Picture, drawn, drawn_by, picture
from bayesspec.reporting.tables import selection_table, settings_table
from bayesspec.results.result import Result, listed
from bayesspec.results.table import Table

__all__ = ["report", "save_figures"]

_ENDINGS = (".html", ".tex")
_KINDS = ("pdf", "svg", "png")
_SAVE_FIGURES = "save_figures(results, folder, overwrite=True)"


def _comparison_or_none(value: Comparison | None) -> Comparison | None:
    """Refuse what is no comparison."""
    if value is not None and not isinstance(value, Comparison):
        raise InputError(f"a comparison of type {type(value).__name__}", "a Comparison", "bs.compare(si, [fit])")
    return value


@dataclass(frozen=True)
class _Section:
    """One result of the page; facts are sentences with numbers, warnings say what must not be concluded."""

    anchor: str
    title: str
    verdict: str
    facts: list[str]
    warnings: list[str]
    pictures: list[Picture]
    table: Table
    selection: Table | None
    settings: Table


@checked_arguments(comparison=_comparison_or_none)
def report(
    results: Result | Sequence[Result],
    path: str | Path,
    *,
    comparison: Comparison | None = None,
    title: str | None = None,
    reference: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write what was found to one page, or to the tables of a paper.

    Parameters
    ----------
    results : Result or sequence of Result
        What to report.
    path : str or Path
        ``"report.html"`` for a page that needs no other file, ``"report.tex"`` for LaTeX tables (booktabs).
    comparison : Comparison or None
        Methods side by side, as `bs.compare` returns it.
    title : str or None
        Title of the page; ``None`` for the name of the data.
    reference : str or None
        Line below the ratios; ``None`` for the last one.
    overwrite : bool
        Whether a file that exists may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        When there is nothing to report, the ending is neither, or the file exists and `overwrite` is false or cannot be
        written.

    Examples
    --------
    >>> import bayesspec as bs
    >>> maps = bs.simulate.iron_oxide_lines(1000, (24, 24), seed=0)
    >>> bs.report(bs.segment(maps, 2), "report.html").name
    'report.html'
    """
    shown = _listed(results)
    target = new_file(path, overwrite=overwrite, endings=_ENDINGS, do="bs.report(results, {path!r})")
    if target.suffix.lower() == ".tex":
        text = _tex(shown, comparison, reference)
    else:
        text = _page(shown, comparison, title or shown[0].name, reference)
    return write_file(target, text.encode(), overwrite=overwrite)


@checked_arguments(comparison=_comparison_or_none)
def save_figures(
    results: Result | Sequence[Result],
    folder: str | Path,
    *,
    comparison: Comparison | None = None,
    ending: str = "pdf",
    overwrite: bool = False,
) -> list[Path]:
    """Write every figure to a file of its own.

    Parameters
    ----------
    results : Result or sequence of Result
        What to draw.
    folder : str or Path
        Folder of the files; made where it does not exist.
    comparison : Comparison or None
        Methods side by side.
    ending : {"pdf", "svg", "png"}
        Kind of file.
    overwrite : bool
        Whether files that exist may be replaced.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        When a file exists and `overwrite` is false, or cannot be written.
    """
    shown = _listed(results)
    _check_kind(ending)
    place = new_folder(folder)
    found = [(i, drawing, result) for i, result in enumerate(shown) for drawing in result.figures()]
    names = Counter(drawing.name for _, drawing, _ in found)
    figures = [
        (f"{i}_{drawing.name}" if names[drawing.name] > 1 else drawing.name, partial(drawn_by, drawing, result))
        for i, drawing, result in found
    ]
    figures += [(COMPARISON.name, partial(drawn_by, COMPARISON, comparison))] if comparison else []
    paths = [new_file(place / f"{name}.{ending}", overwrite=overwrite, do=_SAVE_FIGURES) for name, _ in figures]
    for path, (_, draw) in zip(paths, figures, strict=True):
        write_file(path, drawn(draw(), ending), overwrite=overwrite)
    return paths


def _listed(results: Result | Sequence[Result]) -> list[Result]:
    needed = "results, such as segmentations, unmixings or principal components"
    return listed(results, needed, "bs.report([seg, fit], 'report.html')")


def _check_kind(ending: str) -> None:
    if ending not in _KINDS:
        raise InputError(f"ending={ending!r}", f"one of {', '.join(_KINDS)}", "save_figures(fit, folder, ending='pdf')")


def _tables(result: Result, reference: str | None) -> list[Table]:
    choice = selection_table(result)
    return [result.table(reference)] if choice is None else [result.table(reference), choice]


def _tex(results: list[Result], comparison: Comparison | None, reference: str | None) -> str:
    parts = [table.to_tex() for result in results for table in _tables(result, reference)]
    parts += [comparison.to_tex()] if comparison else []
    return "% needs \\usepackage{booktabs}\n" + "\n\n".join(parts) + "\n"


def _section(index: int, result: Result, reference: str | None) -> _Section:
    tables = _tables(result, reference)
    return _Section(
        anchor=f"result-{index}",
        title=f"{result.heading}: {result.method}",
        verdict=result.verdict,
        facts=result.facts(reference),
        warnings=result.warnings(),
        pictures=[picture(d.name, drawn_by(d, result), d.caption) for d in result.figures(reference)],
        table=tables[0],
        selection=tables[1] if len(tables) > 1 else None,
        settings=settings_table(result),
    )


def _page(results: list[Result], comparison: Comparison | None, title: str, reference: str | None) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bayesspec.reporting", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pictures = []
    if comparison is not None:
        pictures = [picture(COMPARISON.name, drawn_by(COMPARISON, comparison), COMPARISON.caption)]
    return environment.get_template("page.html.j2").render(
        title=title,
        sections=[_section(i, result, reference) for i, result in enumerate(results)],
        comparison=comparison,
        comparison_pictures=pictures,
        versions=results[0].provenance.get("versions", {}),
    )
