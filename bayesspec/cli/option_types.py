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
    """Number or title of a signal, or numbers of several."""

    name = "NUMBER, TITLE or N,N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read numbers as numbers."""
        parts = value.split(",") if isinstance(value, str) else []
        if not parts or not all(part.strip().isdigit() for part in parts):
            return value
        return int(value) if len(parts) == 1 else [int(part) for part in parts]


class Frames(click.ParamType):
    """All frames, one, a range or some of them."""

    name = "all, N, LOW-HIGH or N,N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the numbers."""
        if not isinstance(value, str) or value == "all":
            return value
        low, dash, high = value.partition("-")
        try:
            return list(range(int(low), int(high) + 1)) if dash else [int(part) for part in value.split(",")]
        except ValueError:
            self.fail(
                f"{value!r} is not all, a number such as 3, a range such as 0-4 or numbers such as 0,2", param, ctx
            )
