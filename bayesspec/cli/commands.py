"""The command line: ``bayesspec analyse FILE`` and the single steps of it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from bayesspec.cli.answers import in_options
from bayesspec.cli.running import INTERRUPTED, interruptible, notes, say_interrupted
from bayesspec.errors import InputError, MissingExtraError

WRONG_INPUT = 2
"""Exit status where the input or an installed extra is what is wrong."""
COMMANDS = {
    "analyse": ("analyse", "Find what there is to find in a measured FILE, and write a report."),
    "calibrate": ("steps", "Refine energy axis and resolution of an EDS FILE on its lines."),
    "check": ("steps", "Where do a FILE and a saved RESULT disagree?"),
    "compare": ("steps", "Put saved RESULTS of a FILE side by side."),
    "completion": ("commands", "Print the completion of a SHELL."),
    "demo": ("analyse", "Analyse a simulated sample of two iron oxides, and compare with the truth."),
    "edges": ("fits", "Fit the core-loss edges of a spectrum, or of the sum of an image."),
    "info": ("info", "Say what is in a FILE: its signals, the image that is read, and its noise."),
    "lines": ("lines", "Identify and fit the X-ray lines of spectra, or of the sums of images."),
    "maps": ("fits", "Map line intensities by fitting every pixel's spectrum."),
    "pca": ("fits", "Find principal components under Poisson noise."),
    "plan": ("steps", "Forecast the counts per pixel that tell phases apart."),
    "ratio": ("fits", "Map the ratio of two lines, with an interval at every pixel."),
    "segment": ("fits", "Find the phases of an image, and their line ratios."),
    "unmix": ("fits", "Find component spectra and where they are."),
}
"""The file of every command, and what it does in a line: a command is imported when it is called."""


class _Commands(click.Group):
    """Commands that are imported when they are called; wrong input and interruption end in a message."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        own = super().get_command(ctx, name)
        if own is not None or name not in COMMANDS:
            return own
        found: click.Group = import_module(f"bayesspec.cli.{COMMANDS[name][0]}").commands
        return found.get_command(ctx, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(name, help=COMMANDS[name][1]) for name in COMMANDS if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

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


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print the completion of a SHELL: eval "$(bayesspec completion bash)"."""
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(main, {}, "bayesspec", "_BAYESSPEC_COMPLETE").source())


if __name__ == "__main__":
    main()
