"""The command line: ``bayesspec demo``, ``analyse FILE``, ``info FILE`` and ``plan``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bayesspec import simulate
from bayesspec.cli.analysis import analyse_image, analysis_files, notes, step
from bayesspec.cli.answers import in_options
from bayesspec.cli.running import INTERRUPTED, interruptible, say_interrupted
from bayesspec.errors import InputError, MissingExtraError
from bayesspec.files.load import load, signals
from bayesspec.inference import CACHE
from bayesspec.results.dose_plan import plan_dose

WRONG_INPUT = 2
"""Exit status where the input or an installed extra is what is wrong."""

# What the options of the command line accept: numbers, ranges, names


class Numbers(click.ParamType):
    """A number such as ``3`` or a range such as ``1-6``, both ends included."""

    name = "N or LOW-HIGH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number or range."""
        if not isinstance(value, str):
            return value
        low, _, high = value.partition("-")
        try:
            first, last = int(low), int(high or low)
        except ValueError:
            self.fail(f"{value!r} is no number such as 3 and no range such as 1-6", param, ctx)
        if not 1 <= first <= last:
            self.fail(f"{value!r} must rise from 1 or more, such as 1-6", param, ctx)
        return range(first, last + 1) if last > first else first


class Range(click.ParamType):
    """Two numbers such as ``0.2,12``."""

    name = "LOW,HIGH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the two numbers."""
        if not isinstance(value, str):
            return value
        try:
            low, high = (float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not two numbers such as 0.2,12", param, ctx)
        return low, high


class Names(click.ParamType):
    """Names separated by commas, such as ``Fe_Ka,O_Ka``."""

    name = "NAME,NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the names."""
        if not isinstance(value, str):
            return value
        return [name.strip() for name in value.split(",") if name.strip()]


class Values(click.ParamType):
    """Numbers separated by commas, such as ``0.783,0.698``."""

    name = "X,X"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the numbers."""
        if not isinstance(value, str):
            return value
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not numbers such as 0.783,0.698", param, ctx)


class Signal(click.ParamType):
    """Number or title of a signal."""

    name = "NUMBER or TITLE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a number as a number."""
        return int(value) if isinstance(value, str) and value.isdigit() else value


class _Commands(click.Group):
    """Commands whose wrong input and interruption end in a message and not in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return interruptible(lambda: super(_Commands, self).invoke(ctx))
        except InputError as error:
            click.echo(in_options(str(error)), err=True)
            ctx.exit(WRONG_INPUT)
        except MissingExtraError as error:
            click.echo(str(error), err=True)
            ctx.exit(WRONG_INPUT)
        except KeyboardInterrupt:
            say_interrupted()
            ctx.exit(INTERRUPTED)


def _reading(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of how a file is read."""
    for option in (
        click.option("--resolution", "resolution_mn_ka_ev", type=float, help="Width of the detector at Mn Ka, eV."),
        click.option("--energy-unit", type=click.Choice(["keV", "eV"]), help="Unit of the energies in the file."),
        click.option("--reader", help="Reader of rosettasciio, for endings that several share."),
        click.option("--signal", type=Signal(), help="Its number or title, as `bayesspec info FILE` lists them."),
    ):
        command = option(command)
    return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bayesspec")
def main() -> None:
    """Bayesian segmentation and unmixing of EDX and EELS spectrum images."""


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("report"), show_default=True, help="Folder.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of everything random."
)
@click.option("--dose", type=float, default=2000.0, show_default=True, help="Mean counts per pixel.")
@click.option("--size", type=click.IntRange(16), default=128, show_default=True, help="Pixels along y and x.")
@click.option("--overwrite", is_flag=True, help="Replace files of an earlier run.")
def demo(*, out: Path, seed: int, dose: float, size: int, overwrite: bool) -> None:
    """Analyse a simulated sample of two iron oxides, and compare with the truth and with classical methods."""
    with analysis_files(out, overwrite=overwrite) as files:
        with step(f"simulating {size} x {size} pixels, {dose:g} counts per pixel"):
            image = simulate.iron_oxides(dose, (size, size), seed=seed)
        analyse_image(image, ["Fe_Ka", "O_Ka"], range(1, 7), range(1, 5), seed, files)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--lines", type=Names(), help="Lines to quantify, such as Fe_Ka,O_Ka; ratios are to the last.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the results.")
@click.option("--phases", type=Numbers(), default="1-6", show_default=True, help="Numbers of phases to try.")
@click.option("--rank", type=Numbers(), default="1-6", show_default=True, help="Numbers of components to try.")
@click.option("--energy", type=Range(), help="Range to keep, in the unit of the file.")
@click.option("--rebin", type=click.IntRange(1), default=1, show_default=True, help="Sum blocks of N x N pixels.")
@click.option("--elements", type=Names(), help="Elements in the sample, such as Fe,O.")
@_reading
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of everything random."
)
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
    seed: int,
    overwrite: bool,
    **reading: Any,
) -> None:
    """Find the phases and components of a measured FILE, and write a report."""
    with analysis_files(out, overwrite=overwrite) as files:
        with step(f"reading {file}"), notes():
            image = load(file, elements=elements, **reading)
            image = image if energy is None else image.crop(energy=energy)
            image = image if rebin == 1 else image.rebin(y=rebin, x=rebin)
        click.echo(f"  {image}", err=True)
        analyse_image(image, lines, phases, rank, seed, files)


@main.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@_reading
@click.option("--cache", is_flag=True, help="Say where compiled programs are kept, and how to keep none.")
def info(*, file: Path | None, cache: bool, **reading: Any) -> None:
    """Say what is in a FILE."""
    if cache:
        click.echo(str(CACHE))
    if file is None:
        if not cache:
            raise click.UsageError("Name a FILE, or give --cache.")
        return
    for line in signals(file, reader=reading["reader"]):
        click.echo(line)
    with notes():
        image = load(file, **reading)
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
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of everything random."
)
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
    with step(f"forecasting {size} x {size} pixels"):
        found = plan_dose(ratios, areas=areas, shape=(size, size), blur=blur, background=background, seed=seed)
    click.echo(str(found))
    if error is not None:
        click.echo(f"standard error {100 * error:g} %: {found.counts_for(error):.0f} counts/pixel")


if __name__ == "__main__":
    main()
