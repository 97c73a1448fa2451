"""Commands that fit nothing: results side by side, checks, the energy axis, and the dose that is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bayesspec.cli.elements import with_elements
from bayesspec.cli.options import READING, options
from bayesspec.cli.printing import plain, say
from bayesspec.cli.reading import read
from bayesspec.cli.running import step
from bayesspec.comparison.check import check as check_result
from bayesspec.comparison.side_by_side import compare as side_by_side
from bayesspec.files.image_writing import save_image
from bayesspec.results.dose_plan import plan_dose
from bayesspec.results.opening import open as open_result
from bayesspec.workflows.calibrate_energy import calibrate_energy
from bayesspec.workflows.poisson_check import poisson_check

commands = click.Group()


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("results", type=click.Path(path_type=Path), nargs=-1, required=True)
@options(*READING, "json")
def compare(*, file: Path, results: Sequence[Path], **values: Any) -> None:
    """Put saved RESULTS of a FILE side by side."""
    found = side_by_side(read(file, values), [open_result(path) for path in results])
    say({"file": str(file), "tables": found.tables}, found.to_text(), as_json=values["json"])


@commands.command()
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


@commands.command()
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


@commands.command()
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
