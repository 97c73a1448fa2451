"""``bayesspec analyse FILE`` and ``bayesspec demo``: all that there is to find, with a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bayesspec import simulate
from bayesspec.cli.analysis import Choices, analyse_image
from bayesspec.cli.analysis_files import analysis_files, new_name
from bayesspec.cli.options import READING, WRITING, options
from bayesspec.cli.printing import say
from bayesspec.cli.reading import read
from bayesspec.cli.running import step

NUMBERS = range(1, 7)
"""Numbers of phases and of components that are tried where none are asked for."""
commands = click.Group()


@commands.command()
@options("out", "seed", "dose", "size", "overwrite", "json")
def demo(*, out: Path | None, seed: int, dose: float, size: int, overwrite: bool, json: bool) -> None:
    """Analyse a simulated sample of two iron oxides, and compare with the truth and with classical methods."""
    with analysis_files(out or Path("report"), overwrite=overwrite) as files:
        with step(f"simulating {size} x {size} pixels, {dose:g} counts per pixel"):
            image = simulate.iron_oxides(dose, (size, size), seed=seed)
        found = analyse_image(image, Choices(["Fe_Ka", "O_Ka"], range(1, 7), range(1, 5), seed), files)
    say({**found, "report": str(files.page)}, f"{found['text']}\n\nReport: {files.page}", as_json=json)


@commands.command()
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
