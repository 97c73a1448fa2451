"""A figure that a result asks for: its name, what draws it, and its caption."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn.

    Parameters
    ----------
    name : str
        What a file of it is called, without ending.
    by : str or callable
        What draws it: the name of a function of ``bs.plot``, or a function that takes the result and returns a
        matplotlib Figure.
    caption : str
        What it shows, in a sentence.
    options : mapping of str to object
        Further arguments of the function.
    """

    name: str
    by: str | Callable[..., Any]
    caption: str
    options: Mapping[str, Any] = field(default_factory=dict)
