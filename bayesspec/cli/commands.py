"""The command line: ``bayesspec analyse FILE`` and the single steps of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from bayesspec import simulate
from bayesspec.cli.analysis import Choices, analyse_image, notes, step
from bayesspec.cli.analysis_files import analysis_files, new_name
from bayesspec.cli.answers import in_options
from bayesspec.cli.fits import FITS, fit_command
from bayesspec.cli.lines import lines_command
from bayesspec.cli.options import READING, WRITING, options
from bayesspec.cli.outcomes import image_facts, plain, say
from bayesspec.cli.reading import read, with_elements
from bayesspec.cli.running import INTERRUPTED, interruptible, say_interrupted
from bayesspec.comparison.check import check as check_result
from bayesspec.comparison.side_by_side import compare as side_by_side
from bayesspec.errors import InputError, MissingExtraError
from bayesspec.files.image_writing import save_image
from bayesspec.files.load import signals
from bayesspec.inference import CACHE
from bayesspec.results.dose_plan import plan_dose
from bayesspec.results.opening import open as open_result
from bayesspec.workflows.calibrate_energy import calibrate_energy
from bayesspec.workflows.poisson_check import poisson_check

NUMBERS = range(1, 7)
"""Numbers of phases and of components that are tried where none are asked for."""
WRONG_INPUT = 2
"""Exit status where the input or an installed extra is what is wrong."""


class _Commands(click.Group):
    """Commands whose wrong input and interruption end in a message and not in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with notes():
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


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bayesspec")
def main() -> None:
    """Bayesian segmentation and unmixing of EDX and EELS spectrum images."""


for _name, _fit in FITS.items():
    main.add_command(fit_command(_name, _fit))
main.add_command(lines_command)


@main.command()
@options("out", "seed", "dose", "size", "overwrite")
def demo(*, out: Path | None, seed: int, dose: float, size: int, overwrite: bool) -> None:
    """Analyse a simulated sample of two iron oxides, and compare with the truth and with classical methods."""
    with analysis_files(out or Path("report"), overwrite=overwrite) as files:
        with step(f"simulating {size} x {size} pixels, {dose:g} counts per pixel"):
            image = simulate.iron_oxides(dose, (size, size), seed=seed)
        found = analyse_image(image, Choices(["Fe_Ka", "O_Ka"], range(1, 7), range(1, 5), seed), files)
    click.echo(f"{found['text']}\n\nReport: {files.page}")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@options("lines", "phases", "rank", *READING, "seed", *WRITING)
def analyse(*, file: Path, lines: list[str] | None, seed: int, out: Path | None, **values: Any) -> None:
    """Find what there is to find in a measured FILE, and write a report.

    What is done depends on what the file holds: a single spectrum, a line scan, a map of X-rays or of energy losses, or
    a low loss. Without --out the report goes into a new folder named after the file.
    """
    with analysis_files(out or new_name(file), overwrite=values["overwrite"]) as files:
        with step(f"reading {file}"):
            image = read(file, values)
        click.echo(f"  {image}", err=True)
        phases, rank = (values[name] or NUMBERS for name in ("phases", "rank"))
        found = analyse_image(image, Choices(lines, phases, rank, seed), files)
    facts = {"file": str(file), **found, "report": str(files.page)}
    say(facts, f"{found['text']}\n\nReport: {files.page}", as_json=values["json"])


@main.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@options(*READING, "json")
@click.option("--cache", is_flag=True, help="Say where compiled programs are kept, and how to keep none.")
def info(*, file: Path | None, cache: bool, **values: Any) -> None:
    """Say what is in a FILE: its signals, the image that is read, and whether its noise is that of counts."""
    if cache:
        click.echo(str(CACHE))
    if file is None:
        if not cache:
            raise click.UsageError("Name a FILE, or give --cache.")
        return
    listed = signals(file, reader=values["reader"])
    facts = image_facts(read(file, values))
    text = "\n".join([*listed, *(f"{name}: {value}" for name, value in facts.items())])
    say({"file": str(file), "signals": listed, **facts}, text, as_json=values["json"])


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("results", type=click.Path(path_type=Path), nargs=-1, required=True)
@options(*READING, "json")
def compare(*, file: Path, results: Sequence[Path], **values: Any) -> None:
    """Put saved RESULTS of a FILE side by side."""
    found = side_by_side(read(file, values), [open_result(path) for path in results])
    say({"file": str(file), "tables": found.tables}, found.to_text(), as_json=values["json"])


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("result", type=click.Path(path_type=Path), required=False)
@options(*READING, "json")
def check(*, file: Path, result: Path | None, **values: Any) -> None:
    """Where do a FILE and a saved RESULT disagree? Without a RESULT: are these Poisson counts on one energy axis?"""
    image = read(file, values)
    found = poisson_check(image) if result is None else check_result(open_result(result), image)
    words = [found.attrs["verdict"]]
    if result is None:
        tests = zip(found["test"].values, found["verdict"].values, strict=True)
        words += [f"{name}: {verdict}" for name, verdict in tests]
    say({"file": str(file), **plain(found)}, "\n".join(words), as_json=values["json"])


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@options("lines", *READING, "save", "overwrite", "json")
def calibrate(*, file: Path, lines: list[str] | None, save: Path | None, overwrite: bool, **values: Any) -> None:
    """Refine energy axis and resolution of an EDS FILE on its lines."""
    found = calibrate_energy(with_elements(read(file, values)), lines=lines or ())
    if save is not None:
        save_image(found.image, save, overwrite=overwrite)
    names = ("offset_ev", "gain", "resolution_mn_ka_ev", "slope_ev", "converged")
    facts = {"file": str(file), **{name: getattr(found, name) for name in names}}
    say(facts, repr(found).strip("<>"), as_json=values["json"])


@main.command()
@options("ratios", "areas", "error", "size", "blur", "background_share", "seed", "json")
def plan(*, ratios: list[float], error: float | None, size: int, json: bool, **values: Any) -> None:
    """Forecast the counts per pixel that tell phases apart."""
    chosen = {"background" if name == "background_share" else name: value for name, value in values.items()}
    with step(f"forecasting {size} x {size} pixels"):
        found = plan_dose(ratios, shape=(size, size), **chosen)
    text, facts = str(found), {"assumed": found.assumed, **plain(found.table)}
    if error is not None:
        facts["counts_per_pixel"] = wanted = found.counts_for(error)
        text += f"\nstandard error {100 * error:g} %: {wanted:.0f} counts/pixel"
    say(facts, text, as_json=json)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print the completion of a SHELL: eval "$(bayesspec completion bash)"."""
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(main, {}, "bayesspec", "_BAYESSPEC_COMPLETE").source())


if __name__ == "__main__":
    main()
