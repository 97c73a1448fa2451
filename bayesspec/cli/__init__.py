"""The command line."""

from bayesspec.cli.commands import main

__all__ = ["main"]
