"""Commands that fit one image: each is a public function, its options, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bayesspec.cli.elements import with_elements
from bayesspec.cli.options import READING, WRITING, given, options
from bayesspec.cli.outcomes import delivery, result_facts, result_text
from bayesspec.cli.reading import read
from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.results.component import Component
from bayesspec.results.opening import open as open_result
from bayesspec.results.result import Result
from bayesspec.results.unmixing import Unmixing
from bayesspec.workflows.fit_edges import fit_edges
from bayesspec.workflows.model_maps import model_maps
from bayesspec.workflows.pca import pca
from bayesspec.workflows.ratio_map import ratio_map
from bayesspec.workflows.segment import segment
from bayesspec.workflows.unmixing.unmix import unmix


@dataclass(frozen=True)
class Fit:
    """A command that fits one image.

    Parameters
    ----------
    function : callable
        Public function: an image, what `arguments` and `options` name, and a result.
    summary : str
        What it does.
    options : tuple of str
        Arguments of the function that are options of the command.
    arguments : tuple of str
        Arguments of the function that stand behind the file.
    elements : bool
        Whether it needs to know the elements.
    """

    function: Callable[..., Result]
    summary: str
    options: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    elements: bool = False


FITS = {
    "edges": Fit(
        fit_edges,
        "Fit the core-loss edges of a spectrum, or of the sum of an image.",
        ("edges", "low_loss", "draws", "seed"),
    ),
    "maps": Fit(model_maps, "Map line intensities by fitting every pixel's spectrum.", ("lines",), elements=True),
    "segment": Fit(
        segment,
        "Find the phases of an image, and their line ratios.",
        ("phases", "lines", "method", "draws", "seed"),
        elements=True,
    ),
    "unmix": Fit(
        unmix,
        "Find component spectra and where they are; with --elements, made of their lines.",
        ("rank", "elements", "background", "model", "prior_from", "draws", "warmup", "seed"),
    ),
    "pca": Fit(pca, "Find principal components under Poisson noise.", ("rank", "link", "draws", "seed")),
    "ratio": Fit(
        ratio_map,
        "Map the ratio of two lines, with an interval at every pixel.",
        ("draws", "seed"),
        ("numerator", "denominator"),
    ),
}
"""The commands by their names."""


def fit_command(name: str, fit: Fit) -> click.Command:
    """Make the command of a fit.

    Parameters
    ----------
    name : str
        What it is called.
    fit : Fit
        What it does.

    Returns
    -------
    click.Command
        The command.
    """

    def run(*, file: Path, **values: Any) -> None:
        with delivery(values) as deliver:
            image = read(file, values)
            image = with_elements(image) if fit.elements and not values.get("lines") else image
            chosen = {key: _argument(key, value, image) for key, value in given(values, fit.options).items()}
            found = fit.function(image, **{key: values[key] for key in fit.arguments}, **chosen)
            deliver([found], {"file": str(file), **result_facts(found)}, result_text(found))

    run = options(*fit.options, *READING, *WRITING)(run)
    for argument in reversed(fit.arguments):
        run = click.argument(argument)(run)
    run = click.argument("file", type=click.Path(path_type=Path))(run)
    return click.command(name, help=fit.summary)(run)


def _argument(name: str, value: Any, image: SpectrumImage) -> Any:
    """What the library takes in place of what was typed."""
    if name == "elements":
        return list(image.elements)
    if name == "low_loss":
        return read(value, {})
    return _components(value) if name == "prior_from" else value


def _components(named: Sequence[str]) -> list[Component]:
    """Components of saved unmixings: all, or those whose numbers follow a colon."""
    found: list[Component] = []
    for one in named:
        path, _, numbers = one.rpartition(":")
        picked = [int(number) for number in numbers.split(",")] if path and _is_numbers(numbers) else None
        fit = open_result(path if picked is not None else one)
        if not isinstance(fit, Unmixing):
            raise InputError(
                f"{one!r}, a {type(fit).__name__}",
                "a saved unmixing, components.nc of an earlier run",
                "--prior-from components.nc or --prior-from components.nc:0,2",
            )
        found += [fit.component(k) for k in (range(fit.rank) if picked is None else picked)]
    return found


def _is_numbers(text: str) -> bool:
    return bool(text) and all(part.isdigit() for part in text.split(","))


commands = click.Group(commands={name: fit_command(name, fit) for name, fit in FITS.items()})
