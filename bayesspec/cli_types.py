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


class Range(click.ParamType):
    """Two numbers such as ``0.2,12``."""

    name = "LOW,HIGH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the two numbers."""
        if not isinstance(value, str):
            return value
        try:
            low, high = (float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not two numbers such as 0.2,12", param, ctx)
        return low, high


class Names(click.ParamType):
    """Names separated by commas, such as ``Fe_Ka,O_Ka``."""

    name = "NAME,NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the names."""
        if not isinstance(value, str):
            return value
        return [name.strip() for name in value.split(",") if name.strip()]


class Values(click.ParamType):
    """Numbers separated by commas, such as ``0.783,0.698``."""

    name = "X,X"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the numbers."""
        if not isinstance(value, str):
            return value
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not numbers such as 0.783,0.698", param, ctx)
