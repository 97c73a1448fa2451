"""What the options of the command line accept: numbers, ranges, names."""

from __future__ import annotations

from typing import Any

import click


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


class Values(click.ParamType):
    """Numbers separated by commas, such as ``0.783,0.698``."""

    name = "X,X"
    length: int | None = None
    example = "0.783,0.698"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the numbers."""
        if not isinstance(value, str):
            return value
        try:
            found = [float(part) for part in value.split(",")]
        except ValueError:
            found = []
        if not found or (self.length is not None and len(found) != self.length):
            self.fail(f"{value!r} is not {self.length and 'two '}numbers such as {self.example}", param, ctx)
        return found


class Range(Values):
    """Two numbers such as ``0.2,12``."""

    name, length, example = "LOW,HIGH", 2, "0.2,12"


class Size(Values):
    """One number or two, such as ``2`` or ``2,2.5``."""

    name, example = "SIZE or Y,X", "2 or 2,2.5"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the numbers."""
        found = super().convert(value, param, ctx)
        return (found[0], found[-1]) if isinstance(found, list) else found


class Names(click.ParamType):
    """Names separated by commas, such as ``Fe_Ka,O_Ka``."""

    name = "NAME,NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the names."""
        if not isinstance(value, str):
            return value
        return [name.strip() for name in value.split(",") if name.strip()]


class Signal(click.ParamType):
    """Number or title of a signal."""

    name = "NUMBER or TITLE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a number as a number."""
        return int(value) if isinstance(value, str) and value.isdigit() else value
