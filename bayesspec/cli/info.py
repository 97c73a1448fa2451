"""``bayesspec info FILE``: what is in a file, said without waiting for what computes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from bayesspec.cli.options import READING, options
from bayesspec.cli.printing import say
from bayesspec.cli.reading import read
from bayesspec.errors import InputError
from bayesspec.files.load import signals
from bayesspec.image.count_matrix import counts_of
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.compilation_cache import keep_programs
from bayesspec.inference.noise.check import check_noise
from bayesspec.spectroscopy.odd_channels import odd_channels

commands = click.Group()


@commands.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@options(*READING, "json")
@click.option("--cache", is_flag=True, help="Say where compiled programs are kept, and how to keep none.")
def info(*, file: Path | None, cache: bool, **values: Any) -> None:
    """Say what is in a FILE: its signals, the image that is read, and its noise: is it that of counts?"""
    if cache:
        click.echo(str(keep_programs()))
    if file is None:
        if not cache:
            raise click.UsageError("Name a FILE, or give --cache.")
        return
    listed = signals(file, reader=values["reader"])
    facts = image_facts(read(file, values))
    text = "\n".join([*listed, *(f"{name}: {value}" for name, value in facts.items())])
    say({"file": str(file), "signals": listed, **facts}, text, as_json=values["json"])


def image_facts(image: SpectrumImage) -> dict[str, Any]:
    """What is to be known of an image.

    Parameters
    ----------
    image : SpectrumImage
        The image.

    Returns
    -------
    dict
        Sizes, counts, elements, memory, acquisition and the verdict on its noise.
    """
    size, several = image.pixel_size, int(image.valid.sum()) > 1
    noise = "one spectrum does not tell"
    if several:
        with contextlib.suppress(InputError):
            noise = "; ".join(check_noise(counts_of(image), odd_channels(image)).problems)
            noise = noise or "that of counts, as far as these tell"
    facts = {
        "image": repr(image),
        "pixel size": "not known" if size is None else f"{size[0]:.4g} x {size[1]:.4g} {image.pixel_unit}",
        "counts": f"{int(image.sum_spectrum().sum()):,}, {image.counts_per_pixel:.4g} per pixel",
        "elements": ", ".join(image.elements) or "not named",
        "memory": f"{image.stored.nbytes / 1e6:.4g} MB of counts",
        "noise": noise,
    }
    acquired = vars(image.acquisition).items()
    return facts | {name.replace("_", " "): value for name, value in acquired if value is not None}
