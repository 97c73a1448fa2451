"""Energy windows for lines and background, and what each line contributes to each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.image.arguments import checked_seed
from bayesspec.image.sparse_counts import SparseCounts
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.spectroscopy.detector import gaussian_shares
from bayesspec.spectroscopy.window_background import line_fwhm, resolution, side_windows
from bayesspec.spectroscopy.xray_lines import XrayLine, lines_in_range, xray_line

WIDTH_FWHM = 2.0
"""Width of a line's window, in full widths (python benchmarks/background.py phases --widths 1 2 3)."""
WORST_CONDITION = 1e3
"""Condition number of the overlap of windows from which on it is not inverted and the lines are refused."""


@dataclass(frozen=True, eq=False)
class LineWindows:
    """Disjoint energy windows whose counts determine the lines, with the matrix that says how.

    Parameters
    ----------
    lines : tuple of str
        The lines asked for.
    names : tuple of str
        One name a window: the lines asked for, then overlapping lines of the same elements, then background.
    channels : tuple of array, each of shape (n,), int64
        Channels of each window; no channel is in two windows.
    response : array, shape (line, window), float64
        Line intensity (whole line) per expected count of each window: the inverse of the overlap matrix.
    errors : array, shape (factor, line, window), float64
        Changes of the response that the shapes of background and lines leave open, one standard deviation each,
        independent.
    """

    lines: tuple[str, ...]
    names: tuple[str, ...]
    channels: tuple[npt.NDArray[np.int64], ...]
    response: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]

    def sums(
        self, values: npt.NDArray[Any] | SparseCounts, dtype: type[np.number[Any]] | type[float] = np.int64
    ) -> npt.NDArray[Any]:
        """Sum an array over the channels of each window.

        Parameters
        ----------
        values : array, shape (..., energy), or SparseCounts
            Counts or spectra.
        dtype : type
            Number type to sum in, of an array.

        Returns
        -------
        array, shape (..., window), `dtype`
            Sums.
        """
        if isinstance(values, SparseCounts):
            return values.sums(np.array([np.isin(np.arange(values.shape[2]), own) for own in self.channels]))
        return np.stack([values[..., own].sum(axis=-1, dtype=dtype) for own in self.channels], axis=-1)


def drawn_intensities(
    sums: npt.NDArray[np.float64], response: npt.NDArray[np.float64], errors: npt.NDArray[np.float64], seed: int
) -> npt.NDArray[np.float64]:
    """Line intensities of draws, each with a background shape of its own, drawn as well.

    Parameters
    ----------
    sums : array, shape (draw, part, window), float64
        Counts of the windows in each phase or component.
    response : array, shape (line, window), float64
        Line intensity per count of each window.
    errors : array, shape (factor, line, window), float64
        Changes of the response, one standard deviation each, independent.
    seed : int
        Seed of the shapes.

    Returns
    -------
    array, shape (draw, part, line), float64
        Intensities.
    """
    return np.asarray(sums @ drawn_responses(len(sums), response, errors, seed).swapaxes(1, 2), np.float64)


def drawn_responses(
    n: int, response: npt.NDArray[np.float64], errors: npt.NDArray[np.float64], seed: int
) -> npt.NDArray[np.float64]:
    """Responses, each with a background shape of its own.

    Parameters
    ----------
    n : int
        How many.
    response : array, shape (line, window), float64
        Line intensity per count of each window.
    errors : array, shape (factor, line, window), float64
        Changes of the response, one standard deviation each, independent.
    seed : int
        Seed of the shapes.

    Returns
    -------
    array, shape (draw, line, window), float64
        Responses.
    """
    noise = np.random.default_rng([checked_seed(seed), len(errors)]).normal(size=(n, len(errors)))
    drawn: npt.NDArray[np.float64] = response + np.tensordot(noise, errors, axes=1)
    return drawn


def line_windows(
    image: SpectrumImage,
    lines: Sequence[str],
    *,
    width: float = WIDTH_FWHM,
    shapes: Sequence[Mapping[str, npt.NDArray[np.float64]]] = (),
) -> LineWindows:
    """Place the windows of some lines and of the background beside them.

    Every other alpha line of the elements concerned gets a window of its own, so that its tail under a
    line that was asked for is known. The background under a line follows from windows on both sides of it.

    Parameters
    ----------
    image : SpectrumImage
        Energy axis, elements, beam and detector.
    lines : sequence of str
        Lines to quantify, such as ``["Fe_Ka", "O_Ka"]``.
    width : float
        Full width of a line's window in units of its full width at half maximum.
    shapes : sequence of mapping of str to array, shape (energy,), float64
        Spectra of one count in each line as they were found, then with independent errors, one standard deviation each;
        lines that are not among them are those of the tables.

    Returns
    -------
    LineWindows
        Windows, and the matrix from expected window counts to line intensities.

    Raises
    ------
    InputError
        When a line is not known, repeated, outside the axis or not excited, or cannot be told from another.
    """
    asked = [_checked_line(image, name) for name in lines]
    if len(set(lines)) != len(asked) or not asked:
        raise InputError(f"lines={list(lines)}", "one or more lines, each named once", "lines=['Fe_Ka', 'O_Ka']")
    peaks = asked + _overlapping(image, asked)
    fwhm = np.array([line_fwhm(image, line.energy_kev) for line in peaks])
    own = _peak_channels(image, peaks, fwhm * width / 2)
    sides, weights, open_weights = side_windows(image, peaks, own, fwhm)
    names = [line.name for line in peaks] + [f"background {i}" for i in range(len(sides))]
    channels = tuple(own + sides)
    background = np.vstack([weights, np.eye(len(sides))])
    tabulated = _tabulated(image, peaks)
    matrix, *changed = (
        np.column_stack([_overlap(tabulated | {k: of[k] for k in tabulated if k in of}, channels), background])
        for of in (shapes or ({},))
    )
    _check_separable(matrix[: len(peaks), : len(peaks)], [line.name for line in peaks])
    inverse = np.asarray(np.linalg.inv(matrix), np.float64)
    response = inverse[: len(asked)]
    shape = -response[:, : len(peaks)] @ open_weights @ inverse[len(peaks) :]
    detector = [np.linalg.inv(other)[: len(asked)] - response for other in changed]
    errors = np.concatenate([shape, np.reshape(detector, (-1, *response.shape))])
    return LineWindows(tuple(lines), tuple(names), channels, response, errors)


def _checked_line(image: SpectrumImage, name: str) -> XrayLine:
    line = xray_line(name)
    low, high = _range(image)
    if not low <= line.energy_kev <= high:
        raise InputError(
            f"{name} at {line.energy_kev:.3f} keV, outside the energy axis {low:.3f}..{high:.3f} keV",
            "lines inside the axis",
            f"lines={list(lines_in_range(line.element, low, high, None))} or a wider crop(energy=...)",
        )
    beam = image.acquisition.beam_energy_kev
    if beam is not None and line.edge_kev >= beam:
        raise InputError(
            f"{name}, whose edge at {line.edge_kev:.3f} keV is above the beam energy of {beam} keV",
            "a line that the beam can excite",
            f"lines={list(lines_in_range(line.element, low, high, beam))}",
        )
    return line


def _range(image: SpectrumImage) -> tuple[float, float]:
    if image.acquisition.technique != "EDS" or image.energy_unit != "keV":
        raise InputError(
            f"an image of technique {image.acquisition.technique!r} with energies in {image.energy_unit}",
            "X-ray lines need an EDS image with energies in keV",
            "bs.unmix(si, rank=range(1, 9)), or bs.LineMaps of counts in bands of your own",
        )
    return float(image.energy[0]), float(image.energy[-1])


def _overlapping(image: SpectrumImage, asked: list[XrayLine]) -> list[XrayLine]:
    """Alpha lines of the image's elements that reach a line asked for and are not known from its vacancy."""
    low, high = _range(image)
    names = {line.name for line in asked}
    elements = dict.fromkeys([line.element for line in asked] + list(image.elements))
    beam = image.acquisition.beam_energy_kev
    others = [xray_line(n) for e in elements for n in lines_in_range(e, low, high, beam) if n not in names]

    def near(line: XrayLine) -> bool:
        energies = [e for e, _ in line.members] + [e for _, e, _ in line.satellites]
        return any(abs(e - a.energy_kev) < 3 * line_fwhm(image, a.energy_kev) for a in asked for e in energies)

    def apart(line: XrayLine) -> bool:
        return all(abs(line.energy_kev - a.energy_kev) > 0.5 * line_fwhm(image, a.energy_kev) for a in asked)

    return [line for line in others if near(line) and apart(line)]


def _peak_channels(
    image: SpectrumImage, peaks: list[XrayLine], half: npt.NDArray[np.float64]
) -> list[npt.NDArray[np.int64]]:
    """Channels nearer to a line than its half width, and nearer to it than to any other line."""
    centres = np.array([line.energy_kev for line in peaks])
    distance = np.abs(image.energy[None] - centres[:, None])
    nearest = distance.argmin(axis=0)
    own = [np.flatnonzero((distance[i] <= half[i]) & (nearest == i) & image.valid_channels) for i in range(len(peaks))]
    empty = [line.name for line, channels in zip(peaks, own, strict=True) if not len(channels)]
    if empty:
        raise InputError(
            f"no channel left for {', '.join(empty)} (excluded, or nearer to another line)",
            "lines with channels of their own",
            f"lines=[...] without {empty[0]}",
        )
    return own


def _tabulated(image: SpectrumImage, peaks: list[XrayLine]) -> dict[str, npt.NDArray[np.float64]]:
    """Spectrum of every line, its satellites included unless they are lines of their own."""
    named = {line.name for line in peaks}
    found = {}
    for line in peaks:
        parts = list(line.members) + [(e, w) for f, e, w in line.satellites if f"{line.element}_{f}" not in named]
        energies, weights = np.array(parts).T
        found[line.name] = gaussian_shares(energies, weights, image.energy, resolution(image))
    return found


def _overlap(
    shapes: Mapping[str, npt.NDArray[np.float64]], windows: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.float64]:
    """Share of every line in each window (window, line)."""
    return np.array([[shape[window].sum() for shape in shapes.values()] for window in windows])


def _check_separable(overlap: npt.NDArray[np.float64], names: list[str]) -> None:
    condition = float(np.linalg.cond(overlap))
    if not condition < WORST_CONDITION:
        shares = overlap / np.linalg.norm(overlap, axis=0)
        cosine = np.triu(shares.T @ shares, 1)
        i, j = np.unravel_index(int(cosine.argmax()), cosine.shape)
        raise InputError(
            f"{names[i]} and {names[j]} overlap (condition number {condition:.3g})",
            f"lines that windows can tell apart, condition number below {WORST_CONDITION:.0f}",
            f"lines=[...] without {names[j]}",
        )
