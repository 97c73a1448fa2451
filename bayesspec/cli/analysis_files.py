"""The files of a run: refused before the work where they would be refused after it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bayesspec.cli.running import claimed
from bayesspec.comparison.side_by_side import Comparison
from bayesspec.errors import InputError
from bayesspec.files.writing import write_file
from bayesspec.reporting import report, save_figures
from bayesspec.results.result import Result


class AnalysisFiles:
    """The files of a run.

    Parameters
    ----------
    out : pathlib.Path
        Folder of them.
    overwrite : bool
        Whether files of an earlier run may be replaced.
    """

    def __init__(self, out: Path, *, overwrite: bool) -> None:
        self.out, self.overwrite = out, overwrite
        self.page, self.tables, self.figures = out / "report.html", out / "report.tex", out / "figures"

    def existing(self) -> list[Path]:
        """List those of an earlier run.

        Returns
        -------
        list of pathlib.Path
            Reports, figures and results that exist already.
        """
        own = [self.page, self.tables, self.figures]
        return [path for path in own if path.exists()] + sorted(self.out.glob("*.nc"))

    def save(self, result: Result, name: str) -> None:
        """Keep a result as soon as it is there.

        Parameters
        ----------
        result : Result
            The result.
        name : str
            What its file is called, without ending.
        """
        result.save(self.out / f"{name}.nc", overwrite=self.overwrite)

    def report(
        self, results: Sequence[Result], comparison: Comparison | None = None, reference: str | None = None
    ) -> None:
        """Write report, tables and figures.

        Parameters
        ----------
        results : sequence of Result
            What to report.
        comparison : Comparison or None
            Methods side by side.
        reference : str or None
            Line below the ratios; ``None`` for the last one of every result.
        """
        report(results, self.page, comparison=comparison, reference=reference, overwrite=self.overwrite)
        report(results, self.tables, comparison=comparison, reference=reference, overwrite=self.overwrite)
        save_figures(results, self.figures, comparison=comparison, overwrite=self.overwrite)

    def write(self, results: Sequence[Result], tables: Mapping[str, str]) -> None:
        """Keep results, report them, and write further tables.

        Parameters
        ----------
        results : sequence of Result
            What was found; there may be none.
        tables : mapping of str to str
            Contents of further files by their names.
        """
        for i, result in enumerate(results):
            self.save(result, result.kind.replace(" ", "_") + (f"_{i}" if len(results) > 1 else ""))
        for name, text in tables.items():
            write_file(self.out / name, text.encode(), overwrite=self.overwrite)
        if results:
            self.report(results)


@contextmanager
def analysis_files(out: Path, *, overwrite: bool) -> Iterator[AnalysisFiles]:
    """Refuse before the work what would be refused after it.

    Parameters
    ----------
    out : pathlib.Path
        Folder of the results.
    overwrite : bool
        Whether files of an earlier run may be replaced.

    Yields
    ------
    AnalysisFiles
        The files, as long as no other run may write them.

    Raises
    ------
    InputError
        When the folder cannot be used, or holds an earlier run.
    """
    with claimed(out) as folder:
        files = AnalysisFiles(folder, overwrite=overwrite)
        found = files.existing()
        if found and not overwrite:
            raise InputError(f"{found[0]} of an earlier run", "a new folder", "--out with another name, or --overwrite")
        yield files


def new_name(file: Path) -> Path:
    """Name a folder for the report of a file, one that is not there yet.

    Parameters
    ----------
    file : pathlib.Path
        The file.

    Returns
    -------
    pathlib.Path
        Such as ``scan-report``, or ``scan-report-2``, in the working folder.
    """
    names = (f"{file.stem}-report{'' if n == 1 else f'-{n}'}" for n in itertools.count(1))
    return next(path for path in map(Path, names) if not path.exists())
