"""What the command line does with an image: phases, components, comparison and report, said step by step."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from bayesspec import classical
from bayesspec.cli.answers import in_options
from bayesspec.cli.running import claimed
from bayesspec.comparison.side_by_side import compare
from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.reporting import report, save_figures
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.result import Result
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.line_maps import LineMaps, element_maps
from bayesspec.workflows.identify_lines import identify_lines
from bayesspec.workflows.segment import segment
from bayesspec.workflows.unmixing.unmix import unmix

LOWEST_KEV = 0.2
"""Energy, in keV, below which the zero peak of an X-ray detector is left out."""
CHANNEL_KEV = 0.02
"""Width of a channel, in keV, up to which finer ones are summed."""
NMF_ITERATIONS = 60
"""Iterations of scikit-learn's factorisation, which is there for comparison."""


class AnalysisFiles:
    """The files of a run."""

    def __init__(self, out: Path, *, overwrite: bool) -> None:
        self.out, self.overwrite = out, overwrite
        self.page, self.tables = out / "report.html", out / "report.tex"
        self.phases, self.components = out / "phases.nc", out / "components.nc"
        self.figures = out / "figures"

    def existing(self) -> list[Path]:
        """List those that exist already."""
        own = [self.page, self.tables, self.phases, self.components, self.figures]
        return [path for path in own if path.exists()]


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


def analyse_image(
    image: SpectrumImage, lines: list[str] | None, phases: Any, rank: Any, seed: int, files: AnalysisFiles
) -> None:
    """Find phases and components, compare them with the classical methods, and write results and report.

    Parameters
    ----------
    image : SpectrumImage
        Counts.
    lines : list of str or None
        Lines to quantify; ``None`` takes those of the image's elements.
    phases, rank : int or range
        Numbers of phases and of components to try.
    seed : int
        Seed of everything random.
    files : AnalysisFiles
        Where the results go.
    """
    with notes():
        results: list[Result] = []
        rivals: list[Result] = []
        if image.acquisition.technique == "EDS":
            found, others = _phases(image, lines, phases, seed, files)
            results, rivals = results + found, rivals + others
        coarse = _coarse_energy(image)
        found, others = _components(coarse, rank, seed, files)
        results, rivals = results + found, rivals + others
        with step("comparing"):
            comparison = compare(coarse, results + rivals)
        with step("writing the report"):
            report(results, files.page, comparison=comparison, overwrite=files.overwrite)
            report(results, files.tables, comparison=comparison, overwrite=files.overwrite)
            save_figures(results, files.figures, comparison=comparison, overwrite=files.overwrite)
    click.echo(comparison.to_text())
    click.echo(f"\nReport: {files.page}")


def _coarse_energy(image: SpectrumImage) -> SpectrumImage:
    """Leave out the zero peak of an X-ray detector, and sum channels far finer than its resolution."""
    if image.acquisition.technique != "EDS":
        return image
    above = image.crop(energy=(LOWEST_KEV, float(image.energy[-1])))
    return above.rebin(energy=max(1, round(CHANNEL_KEV / image.energy_step)))


def _phases(
    image: SpectrumImage, lines: list[str] | None, phases: Any, seed: int, files: AnalysisFiles
) -> tuple[list[Result], list[Result]]:
    with step("counting lines"):
        maps = element_maps(image, lines)
    with step("finding phases"):
        found = segment(maps, phases, seed=seed)
        found.save(files.phases, overwrite=files.overwrite)
    click.echo(f"  {found.verdict}", err=True)
    with step("k-means"):
        rivals = _clusterings(maps, found.n_phases, seed)
    return [found], rivals


def _clusterings(maps: LineMaps, n: int, seed: int) -> list[Result]:
    """Cluster as is usual: the ratio of two lines, or the shares of more."""
    of = "ratio" if len(maps.lines) == 2 else "normalised"
    return [classical.kmeans(maps, n, seed=seed, of=of, smooth=smooth) for smooth in (0.0, 2.0)]


def _components(image: SpectrumImage, rank: Any, seed: int, files: AnalysisFiles) -> tuple[list[Result], list[Result]]:
    click.echo(f"  components are sought in {image}", err=True)
    with step("finding components"):
        found = _unmixed(image, rank, seed)
        found.save(files.components, overwrite=files.overwrite)
    click.echo(f"  {found.verdict}", err=True)
    with step("SVD and NMF"):
        rivals = [
            classical.svd(image, found.rank),
            classical.nmf(image, found.rank, seed=seed, max_iterations=NMF_ITERATIONS),
        ]
    return [found], list(rivals)


def _unmixed(image: SpectrumImage, rank: Any, seed: int) -> Unmixing | PrincipalComponents:
    """Unmix into lines of the elements and a continuum, where there are X-ray lines, else into free spectra."""
    lines = image.acquisition.technique == "EDS" and image.energy_unit == "keV"
    elements = list(image.elements)
    try:
        if lines and not elements:
            elements = list(identify_lines(image).elements)
            click.echo(f"  the file names no elements; identified: {', '.join(elements) or 'none'}", err=True)
        if lines and elements:
            return unmix(image, rank, seed=seed, elements=elements)
    except InputError as error:
        click.echo(f"  Note: components of free spectra, since {in_options(str(error))}", err=True)
    return unmix(image, rank, seed=seed)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    click.echo(f"{what} ...", err=True)
    start = time.perf_counter()
    yield
    click.echo(f"  {time.perf_counter() - start:.1f} s", err=True)


@contextmanager
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
