"""The options of the commands, each once: its name is that of the argument of the library that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bayesspec.cli.option_types import Frames, Names, Numbers, Range, Signal, Size, Values
from bayesspec.image.arguments import LARGEST_SEED

READING = (
    *("signal", "reader", "elements", "energy", "rebin", "energy_unit", "energy_scale", "energy_offset"),
    *("pixel_size", "pixel_unit", "beam_energy", "live_time", "resolution"),
    *("gain", "offset", "read_noise", "frames"),
)
"""How a file is read."""
CROPPING = ("energy", "rebin")
"""What of these is done after reading."""
WRITING = ("out", "overwrite", "json")
"""Where the answer goes."""
_PATH = click.Path(path_type=Path)
_SEED = click.IntRange(0, LARGEST_SEED)
"""Seeds that every function takes."""
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "areas": {"type": Values(), "help": "Share of the area of each phase; even where not given."},
    "background": {"type": click.Choice(["power_law", "bremsstrahlung"]), "help": "A background of its own."},
    "background_share": {
        "type": float,
        "default": 0.0,
        "show_default": True,
        "help": "Background per mean line count.",
    },
    "beam_energy": {"type": float, "help": "Beam energy, keV."},
    "blur": {"type": float, "default": 3.0, "show_default": True, "help": "Size of the grains, pixels; 0 for none."},
    "dose": {"type": float, "default": 2000.0, "show_default": True, "help": "Mean counts per pixel."},
    "draws": {"type": click.IntRange(2), "help": "Number of posterior draws."},
    "edges": {"type": Names(), "help": "Edges to fit, such as Ti_L,O_K."},
    "elements": {"type": Names(), "help": "Elements in the sample, such as Fe,O."},
    "energy": {"type": Range(), "help": "Range to keep, in the unit of the file."},
    "energy_offset": {"type": float, "help": "Energy of the first channel."},
    "energy_scale": {"type": float, "help": "Width of a channel."},
    "energy_unit": {"type": click.Choice(["keV", "eV", "nm"]), "help": "Unit of the energies in the file."},
    "error": {"type": float, "help": "Wanted standard error relative to the ratio, such as 0.01."},
    "frames": {"type": Frames(), "help": "Frames of a stack to sum."},
    "gain": {"type": float, "help": "Counts of a camera per electron."},
    "json": {"is_flag": True, "help": "Print the answer as JSON."},
    "lines": {"type": Names(), "help": "Lines to measure, such as Fe_Ka,O_Ka; ratios are to the last."},
    "link": {"type": click.Choice(["log", "linear"]), "help": "How components combine."},
    "live_time": {"type": float, "help": "Live time of the whole image, s."},
    "low_loss": {"type": _PATH, "help": "File of the low loss of the same area."},
    "method": {"type": click.Choice(["windows", "spectra"]), "help": "How lines are counted."},
    "model": {"type": click.Choice(["nmf", "pca"]), "help": "What components are."},
    "offset": {"type": float, "help": "What a camera reads where nothing comes, counts of the file."},
    "out": {"type": _PATH, "help": "Folder for report, result and figures."},
    "overwrite": {"is_flag": True, "help": "Replace files of an earlier run."},
    "phases": {"type": Numbers(), "help": "Numbers of phases to try, such as 1-6."},
    "pixel_size": {"type": Size(), "help": "Size of a pixel, nm or in --pixel-unit."},
    "pixel_unit": {"help": "Unit of the size of a pixel."},
    "prior_from": {"multiple": True, "help": "Saved unmixing of another sample, FILE or FILE:0,2 for some components."},
    "rank": {"type": Numbers(), "help": "Numbers of components to try, such as 1-6."},
    "ratios": {"type": Values(), "required": True, "help": "Line ratio of each phase, such as 0.783,0.698."},
    "read_noise": {"type": float, "help": "Noise of a camera's read-out, counts of the file."},
    "reader": {"help": "Reader of rosettasciio, for endings that several share."},
    "rebin": {"type": click.IntRange(1), "help": "Sum blocks of N x N pixels."},
    "resolution": {"type": float, "help": "Width of the detector at Mn Ka, eV."},
    "save": {"type": _PATH, "help": "File for the corrected image, .npz or .nc."},
    "seed": {"type": _SEED, "default": 0, "show_default": True, "help": "Seed of everything random."},
    "signal": {"type": Signal(), "help": "Its number or title, as `bayesspec info` lists them; N,N are summed."},
    "size": {"type": click.IntRange(8), "default": 128, "show_default": True, "help": "Pixels along y and x."},
    "thin": {"is_flag": True, "help": "The sample is a thin film, also below 40 kV."},
    "warmup": {"type": click.IntRange(0), "help": "Sweeps of the sampler before the first draw."},
}
"""What each accepts."""
LONG = {"background_share": "background"}
"""Options that are not called like their arguments: the background of a plan is a number, that of a fit a shape."""


def option(name: str, **changes: Any) -> Callable[[Any], Any]:
    """One option.

    Parameters
    ----------
    name : str
        Name of the argument.
    **changes : object
        What is different for a command.

    Returns
    -------
    callable
        The decorator.
    """
    return click.option(f"--{LONG.get(name, name.replace('_', '-'))}", name, **{**OPTIONS[name], **changes})


def options(*names: str) -> Callable[[Any], Any]:
    """Give a command several options.

    Parameters
    ----------
    *names : str
        Names of arguments.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(command: Any) -> Any:
        for name in reversed(dict.fromkeys(names)):
            command = option(name)(command)
        return command

    return decorate


def given(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Options that the user gave: the library's own defaults stand for the others.

    Parameters
    ----------
    values : mapping
        All options of a command.
    names : sequence of str
        Those that are asked for.

    Returns
    -------
    dict
        Those with a value.
    """
    return {name: values[name] for name in names if values.get(name) not in (None, ())}
