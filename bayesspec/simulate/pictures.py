"""Four pictures of a band on stage: guitar, drums, piano, microphone. Drawn from shapes, at any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError

PICTURES = ("guitar", "drums", "piano", "microphone")
_SMALLEST = 16
"""Pixels along a side below which nobody would know the pictures."""
_LARGEST = 8192
"""Pixels along a side at most: what an image may have."""
Array = npt.NDArray[np.float64]


@dataclass
class _Canvas:
    """A square of side 2 around the origin, x to the right and y down; shapes are painted over each other."""

    size: int
    grey: Array = field(init=False)

    def __post_init__(self) -> None:
        axis = (np.arange(self.size) + 0.5) * 2 / self.size - 1
        self.y, self.x = np.meshgrid(axis, axis, indexing="ij")
        self.grey = np.zeros((self.size, self.size))

    def paint(self, outside: Array, grey: float | Array) -> None:
        """Cover where the signed distance to a shape is negative, with an edge one pixel wide."""
        cover = np.clip(0.5 - outside * self.size / 2, 0, 1)
        self.grey += cover * (grey - self.grey)

    def disc(self, x: float, y: float, radius: float, grey: float | Array) -> None:
        self.paint(np.hypot(self.x - x, self.y - y) - radius, grey)

    def ring(self, x: float, y: float, radius: float, width: float, grey: float) -> None:
        self.paint(np.abs(np.hypot(self.x - x, self.y - y) - radius) - width / 2, grey)

    def ellipse(self, x: float, y: float, a: float, b: float, grey: float | Array, turn: float = 0.0) -> None:
        along, across = self._turned(x, y, turn)
        scale = np.hypot(along / a, across / b)
        self.paint((scale - 1) * min(a, b), grey)

    def box(self, x: float, y: float, a: float, b: float, grey: float | Array, turn: float = 0.0) -> None:
        along, across = self._turned(x, y, turn)
        self.paint(np.maximum(np.abs(along) - a, np.abs(across) - b), grey)

    def bar(self, start: tuple[float, float], end: tuple[float, float], width: float, grey: float) -> None:
        (x0, y0), (x1, y1) = start, end
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((self.x - x0) * dx + (self.y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        self.paint(np.hypot(self.x - x0 - along * dx, self.y - y0 - along * dy) - width / 2, grey)

    def _turned(self, x: float, y: float, turn: float) -> tuple[Array, Array]:
        dx, dy = self.x - x, self.y - y
        return dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)


def _guitar(canvas: _Canvas) -> None:
    turn = -np.pi / 4  # the neck points up and to the right
    wood = 0.75 + 0.2 * canvas.x

    def at(along: float) -> tuple[float, float]:
        return along * np.cos(turn), along * np.sin(turn)

    canvas.ellipse(*at(-0.68), 0.36, 0.42, wood, turn)
    canvas.ellipse(*at(-0.22), 0.28, 0.31, wood, turn)
    canvas.box(*at(0.38), 0.58, 0.06, 0.45, turn)
    canvas.box(*at(1.06), 0.14, 0.10, 0.95, turn)
    canvas.disc(*at(-0.28), 0.13, 0.08)
    canvas.box(*at(-0.72), 0.035, 0.17, 0.2, turn)
    for string in (-0.03, 0.03):
        shift = np.array([-np.sin(turn), np.cos(turn)]) * string
        start, end = np.array(at(-0.72)) + shift, np.array(at(1.0)) + shift
        canvas.bar((start[0], start[1]), (end[0], end[1]), 0.012, 1.0)


def _drums(canvas: _Canvas) -> None:
    for side in (-1.0, 1.0):
        canvas.bar((0.72 * side, -0.6), (0.72 * side, 0.9), 0.035, 0.45)
        canvas.ellipse(0.68 * side, -0.62, 0.30, 0.06, 0.9, 0.25 * side)
        canvas.bar((0.2 * side, -0.2), (0.3 * side, -0.42), 0.05, 0.4)
        canvas.box(0.33 * side, -0.33, 0.21, 0.15, 0.6)
        canvas.ellipse(0.33 * side, -0.48, 0.21, 0.06, 1.0)
    canvas.disc(0.0, 0.38, 0.54, 0.5)
    canvas.disc(0.0, 0.38, 0.45, 0.85 - 0.2 * canvas.y)
    canvas.ring(0.0, 0.38, 0.22, 0.05, 0.25)
    for side in (-1.0, 1.0):
        canvas.bar((0.42 * side, 0.75), (0.58 * side, 0.95), 0.06, 0.5)


def _piano(canvas: _Canvas) -> None:
    canvas.box(0.0, 0.05, 0.95, 0.62, 0.35)
    canvas.box(0.0, -0.42, 0.95, 0.12, 0.55 + 0.25 * canvas.x)
    keys = 8
    width = 1.8 / keys
    for key in range(keys):
        canvas.box(-0.9 + width * (key + 0.5), 0.18, width / 2 - 0.018, 0.44, 1.0 - 0.03 * key)
    for key in (0, 1, 3, 4, 5):  # C sharp, D sharp, F sharp, G sharp, A sharp
        canvas.box(-0.9 + width * (key + 1), 0.03, 0.062, 0.29, 0.05)
    for side in (-0.8, 0.8):
        canvas.box(side, 0.8, 0.07, 0.15, 0.35)


def _microphone(canvas: _Canvas) -> None:
    canvas.bar((0.0, 0.1), (0.0, 0.88), 0.07, 0.5)
    canvas.ellipse(0.0, 0.9, 0.36, 0.07, 0.7)
    canvas.bar((-0.42, -0.2), (-0.42, 0.0), 0.07, 0.6)
    canvas.bar((0.42, -0.2), (0.42, 0.0), 0.07, 0.6)
    arc = np.where(canvas.y > 0.0, np.abs(np.hypot(canvas.x, canvas.y) - 0.42) - 0.035, 1.0)
    canvas.paint(arc, 0.6)
    grille = 0.72 + 0.25 * np.sign(np.sin(16 * canvas.x) * np.sin(16 * canvas.y))
    for y in (-0.55, -0.1):
        canvas.disc(0.0, y, 0.29, grille)
    canvas.box(0.0, -0.33, 0.29, 0.22, grille)
    canvas.box(0.0, -0.18, 0.29, 0.045, 0.35)


_DRAW: dict[str, Callable[[_Canvas], None]] = {
    "guitar": _guitar,
    "drums": _drums,
    "piano": _piano,
    "microphone": _microphone,
}


def pictures(size: int = 64) -> Array:
    """Draw a guitar, drums, a piano and a microphone.

    Parameters
    ----------
    size : int
        Number of pixels along each side.

    Returns
    -------
    array, shape (picture, size, size), float64
        Grey levels from 0 (background) to 1, in the order of `PICTURES`; rows run from top to bottom.

    Raises
    ------
    InputError
        When the size is below 16, where nobody would know the pictures, or above 8192.
    """
    if not isinstance(size, int | np.integer) or not _SMALLEST <= size <= _LARGEST:
        needed = f"a whole number from {_SMALLEST} to {_LARGEST}"
        raise InputError(f"size={size!r}", needed, "bs.simulate.pictures(64)")
    drawn = []
    for name in PICTURES:
        canvas = _Canvas(int(size))
        _DRAW[name](canvas)
        drawn.append(canvas.grey)
    return np.clip(np.stack(drawn), 0, 1)
