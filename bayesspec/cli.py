"""The command line: ``bayesspec demo``, ``analyse FILE``, ``info FILE`` and ``plan``."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from bayesspec import classical, simulate
from bayesspec.cli_types import Names, Numbers, Range, Values
from bayesspec.compare import compare
from bayesspec.element_maps import LineMaps, element_maps
from bayesspec.errors import InputError, MissingExtraError
from bayesspec.load import load, signals
from bayesspec.planning import plan_dose
from bayesspec.reporting import report, save_figures
from bayesspec.results import Result
from bayesspec.segment import segment
from bayesspec.spectrum_image import SpectrumImage
from bayesspec.unmix import unmix

WRONG_INPUT = 2
INTERRUPTED = 130
LOWEST_KEV = 0.2
CHANNEL_KEV = 0.02
NMF_ITERATIONS = 60


class _Commands(click.Group):
    """Commands whose wrong input and interruption end in a message and not in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (InputError, MissingExtraError) as error:
            click.echo(str(error), err=True)
            ctx.exit(WRONG_INPUT)
        except KeyboardInterrupt:
            click.echo("\nInterrupted: the files written so far are kept.", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bayesspec")
def main() -> None:
    """Bayesian segmentation and unmixing of EDX and EELS spectrum images."""


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("report"), show_default=True, help="Folder.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--dose", type=float, default=2000.0, show_default=True, help="Mean counts per pixel.")
@click.option("--size", type=click.IntRange(16), default=128, show_default=True, help="Pixels along y and x.")
@click.option("--overwrite", is_flag=True, help="Replace files of an earlier run.")
def demo(*, out: Path, seed: int, dose: float, size: int, overwrite: bool) -> None:
    """Analyse a simulated sample of two iron oxides, and compare with the truth and with classical methods."""
    files = _prepare(out, overwrite=overwrite)
    with _step(f"simulating {size} x {size} pixels, {dose:g} counts per pixel"):
        image = simulate.iron_oxides(dose, (size, size), seed=seed)
    _analyse(image, ["Fe_Ka", "O_Ka"], range(1, 7), range(1, 5), seed, files)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--lines", type=Names(), help="Lines to quantify, such as Fe_Ka,O_Ka; ratios are to the last.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the results.")
@click.option("--phases", type=Numbers(), default="1-6", show_default=True, help="Numbers of phases to try.")
@click.option("--rank", type=Numbers(), default="1-6", show_default=True, help="Numbers of components to try.")
@click.option("--energy", type=Range(), help="Range to keep, in the unit of the file.")
@click.option("--rebin", type=click.IntRange(1), default=1, show_default=True, help="Sum blocks of N x N pixels.")
@click.option("--elements", type=Names(), help="Elements in the sample, such as Fe,O.")
@click.option("--signal", help="Which signal of the file: its number or title, as `bayesspec info` lists them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--overwrite", is_flag=True, help="Replace files of an earlier run.")
def analyse(
    *,
    file: Path,
    lines: list[str] | None,
    out: Path,
    phases: Any,
    rank: Any,
    energy: tuple[float, float] | None,
    rebin: int,
    elements: list[str] | None,
    signal: str | None,
    seed: int,
    overwrite: bool,
) -> None:
    """Find the phases and components of a measured FILE, and write a report."""
    files = _prepare(out, overwrite=overwrite)
    with _step(f"reading {file}"):
        image = load(file, elements=elements, signal=_signal(signal))
        image = image if energy is None else image.crop(energy=energy)
        image = image if rebin == 1 else image.rebin(y=rebin, x=rebin)
    click.echo(f"  {image}", err=True)
    _analyse(image, lines, phases, rank, seed, files)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--signal", help="Which signal of the file: its number or title.")
def info(*, file: Path, signal: str | None) -> None:
    """Say what is in a FILE."""
    for line in signals(file):
        click.echo(line)
    image = load(file, signal=_signal(signal))
    size = image.pixel_size
    facts = {
        "image": repr(image),
        "pixel size": "not known" if size is None else f"{size[0]:.4g} x {size[1]:.4g} {image.pixel_unit}",
        "counts": f"{int(image.sum_spectrum().sum()):,}, {image.counts_per_pixel:.4g} per pixel",
        "elements": ", ".join(image.elements) or "not named",
    }
    facts |= {k.replace("_", " "): str(v) for k, v in vars(image.acquisition).items() if v is not None}
    for name, value in facts.items():
        click.echo(f"{name}: {value}")


@main.command()
@click.option("--ratios", type=Values(), required=True, help="Line ratio of each phase, such as 0.783,0.698.")
@click.option("--areas", type=Values(), help="Share of the area of each phase; even where not given.")
@click.option("--error", type=float, help="Wanted standard error relative to the ratio, such as 0.01.")
@click.option("--size", type=click.IntRange(8), default=128, show_default=True, help="Pixels along y and x.")
@click.option("--blur", type=float, default=3.0, show_default=True, help="Size of the grains, pixels; 0 for none.")
@click.option("--background", type=float, default=0.0, show_default=True, help="Background per mean line count.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
def plan(
    *,
    ratios: list[float],
    areas: list[float] | None,
    error: float | None,
    size: int,
    blur: float,
    background: float,
    seed: int,
) -> None:
    """Forecast the counts per pixel that tell phases apart."""
    with _step(f"forecasting {size} x {size} pixels"):
        found = plan_dose(ratios, areas=areas, shape=(size, size), blur=blur, background=background, seed=seed)
    click.echo(str(found))
    if error is not None:
        click.echo(f"standard error {100 * error:g} %: {found.counts_for(error):.0f} counts/pixel")


def _signal(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdigit() else text


class _Files:
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


def _prepare(out: Path, *, overwrite: bool) -> _Files:
    """Refuse before the work what would be refused after it."""
    files = _Files(out, overwrite=overwrite)
    if out.exists() and not out.is_dir():
        raise InputError(f"the file {out}", "a folder", "--out with another name")
    found = files.existing()
    if found and not overwrite:
        raise InputError(f"{found[0]} of an earlier run", "a new folder", "--out with another name, or --overwrite")
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK):
        raise InputError(f"the folder {out}, which cannot be written to", "a folder of yours", "--out NAME")
    return files


def _analyse(image: SpectrumImage, lines: list[str] | None, phases: Any, rank: Any, seed: int, files: _Files) -> None:
    with _notes():
        results: list[Result] = []
        rivals: list[Result] = []
        if image.acquisition.technique == "EDS":
            found, others = _phases(image, lines, phases, seed, files)
            results, rivals = results + found, rivals + others
        coarse = _coarse_energy(image)
        found, others = _components(coarse, rank, seed, files)
        results, rivals = results + found, rivals + others
        with _step("comparing"):
            comparison = compare(coarse, results + rivals)
        with _step("writing the report"):
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
    image: SpectrumImage, lines: list[str] | None, phases: Any, seed: int, files: _Files
) -> tuple[list[Result], list[Result]]:
    with _step("counting lines"):
        maps = element_maps(image, lines)
    with _step("finding phases"):
        found = segment(maps, phases, seed=seed)
        found.save(files.phases, overwrite=files.overwrite)
    click.echo(f"  {found.verdict}", err=True)
    with _step("k-means"):
        rivals = _clusterings(maps, found.n_phases, seed)
    return [found], rivals


def _clusterings(maps: LineMaps, n: int, seed: int) -> list[Result]:
    """Cluster as is usual: the ratio of two lines, or the shares of more."""
    of = "ratio" if len(maps.lines) == 2 else "normalised"
    return [classical.kmeans(maps, n, seed=seed, of=of, smooth=smooth) for smooth in (0.0, 2.0)]


def _components(image: SpectrumImage, rank: Any, seed: int, files: _Files) -> tuple[list[Result], list[Result]]:
    click.echo(f"  components are sought in {image}", err=True)
    with _step("finding components"):
        found = unmix(image, rank, seed=seed)
        found.save(files.components, overwrite=files.overwrite)
    click.echo(f"  {found.verdict}", err=True)
    with _step("SVD and NMF"):
        rivals = [
            classical.svd(image, found.rank),
            classical.nmf(image, found.rank, seed=seed, max_iterations=NMF_ITERATIONS),
        ]
    return [found], list(rivals)


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    click.echo(f"{what} ...", err=True)
    start = time.perf_counter()
    yield
    click.echo(f"  {time.perf_counter() - start:.1f} s", err=True)


@contextmanager
def _notes() -> Iterator[None]:
    """Print warnings as notes, without the place in the code that they come from."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        click.echo(f"  Note: {message}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


if __name__ == "__main__":
    main()
