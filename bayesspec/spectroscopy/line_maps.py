"""LineMaps: counts per line and pixel, with the counts beside each line that tell its background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError, warn
from bayesspec.files.saved import Saved
from bayesspec.image.arguments import checked_names
from bayesspec.image.checks import checked_mask, checked_pixel_size, real_values
from bayesspec.image.checksum import checksum
from bayesspec.image.counts import as_counts, frozen, frozen_state, in_order
from bayesspec.image.spectrum_image import Acquisition, SpectrumImage
from bayesspec.inference.counting_noise import counting_noise
from bayesspec.spectroscopy.windows import line_windows
from bayesspec.spectroscopy.xray_lines import default_line

AS_IN_FILE = "as in the file"
"""What is said of energy axis and resolution that were not refined."""
_ELEMENT_MAPS = "bs.element_maps(si, lines=[...]), which makes all of it"


@dataclass(frozen=True, eq=False)
class LineMaps(Saved):
    """Poisson counts in energy windows, and the matrix that turns expected counts into line intensities.

    Nothing is subtracted: background and overlapping lines stay counts of their own and are accounted for in
    the rate, so that every number that is derived keeps its Poisson error.

    Parameters
    ----------
    counts : array, shape (y, x, line)
        Counts in the window of each line: integers, or floats that hold integers; copied.
    lines : sequence of str
        Names of the lines, such as ``["Fe_Ka", "O_Ka"]``; the order of the last axis of `counts`.
    side_counts : array, shape (y, x, side), or None
        Counts in the windows of the background and of overlapping lines; ``None`` where the counts are free
        of both.
    sides : sequence of str
        Names of the side windows.
    response : array, shape (line, line + side), or None
        Line intensity per expected count in each window, float64; ``None`` for lines that are their windows.
    mask : array, shape (y, x), or None
        ``True`` where a pixel is excluded. bool.
    pixel_size : tuple of float or None
        Size of a pixel along (y, x) in `pixel_unit`.
    pixel_unit : str
        Unit of `pixel_size`.
    acquisition : Acquisition
        Beam and detector.
    name : str
        What to call the maps in figures and reports.
    truth : mapping or None
        The simulated truth; ``None`` for measured data.
    response_errors : array, shape (factor, line, line + side), or None
        Changes of the response, one standard deviation each and independent of each other, that the shape of the
        background, energy axis and resolution leave open; the same in all pixels. ``None`` where it is known.
    image_checksum : str
        Checksum of the counts of the image that the maps were made of; empty where there is none.
    calibration : str
        Energy axis and resolution that the response is made for, in words; empty where there is no energy axis.
    remarks : str
        What the verdict of a result must say of the counts.
    noise : str
        What of the noise is not that of single events, and what was done: hot channels and pixels left out, a gain
        divided out. Empty where nothing was found.

    Raises
    ------
    InputError
        When the values are not counts, or when shapes and names do not fit.
    """

    counts: npt.NDArray[Any]
    lines: tuple[str, ...]
    side_counts: npt.NDArray[Any] | None = None
    sides: tuple[str, ...] = ()
    response: npt.NDArray[np.float64] | None = None
    mask: npt.NDArray[np.bool_] | None = None
    pixel_size: tuple[float, float] | None = None
    pixel_unit: str = "px"
    acquisition: Acquisition = field(default_factory=Acquisition)
    name: str = "line maps"
    truth: Mapping[str, Any] | None = None
    response_errors: npt.NDArray[np.float64] | None = None
    image_checksum: str = ""
    calibration: str = ""
    remarks: str = ""
    noise: str = ""

    def __post_init__(self) -> None:
        lines = checked_names("lines", self.lines, "lines=['Fe_Ka', 'O_Ka']")
        bare = isinstance(self.sides, list | tuple) and not self.sides
        sides = () if bare else checked_names("sides", self.sides, _ELEMENT_MAPS)
        counts = frozen(as_counts(in_order(self.counts, ("y", "x", "line"))))
        if counts.ndim != 3 or counts.shape[2] != len(lines) or len(set(lines)) != len(lines):
            raise InputError(
                f"counts of shape {counts.shape} for lines {list(lines)}",
                "counts (y, x, line) with one different name a line",
                "bs.LineMaps(counts, lines=['Fe_Ka', 'O_Ka'])",
            )
        shape = counts.shape[:2]
        given = self.side_counts is not None and np.size(self.side_counts) > 0
        beside = as_counts(in_order(self.side_counts, ("y", "x", "side"))) if given else np.zeros((*shape, 0), np.uint8)
        response, errors = self._responses(len(lines), len(lines) + len(sides))
        if beside.shape != (*shape, len(sides)):
            raise InputError(
                f"side_counts {beside.shape} for sides {list(sides)}",
                f"side_counts {(*shape, len(sides))}",
                _ELEMENT_MAPS,
            )
        mask = np.zeros(shape, bool) if self.mask is None else self.mask
        fields = {
            "counts": counts,
            "lines": lines,
            "side_counts": frozen(beside),
            "sides": sides,
            "response": frozen(response),
            "response_errors": frozen(errors),
            "mask": checked_mask("mask", mask, shape),
            "pixel_size": checked_pixel_size(self.pixel_size),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _responses(self, lines: int, windows: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The response and its errors, checked; without them the windows are the lines."""
        response, errors = np.eye(lines, windows), np.zeros((0, lines, windows))
        if self.response is not None:
            response = real_values("response", self.response, "numbers", _ELEMENT_MAPS)
        if self.response_errors is not None:
            errors = real_values("response_errors", self.response_errors, "numbers", _ELEMENT_MAPS)
        fits = response.shape == (lines, windows) and errors.ndim == 3 and errors.shape[1:] == response.shape
        finite = bool(np.isfinite(response).all() and np.isfinite(errors).all())
        if not fits or not finite:
            raise InputError(
                f"a response {response.shape} and its errors {errors.shape}{'' if finite else ', not finite'}",
                f"a finite response {(lines, windows)}, errors of its shape",
                _ELEMENT_MAPS,
            )
        return response, errors

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(frozen_state(state))

    @cached_property
    def checksum(self) -> str:
        """Checksum of all counts, of lines and beside them, str."""
        assert self.side_counts is not None
        return checksum("maps", self.counts, self.side_counts)

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Pixels that are not excluded, shape (y, x), bool."""
        return ~np.asarray(self.mask)

    @property
    def windows(self) -> tuple[str, ...]:
        """Names of all windows: lines first, then sides."""
        return self.lines + self.sides

    @property
    def counts_per_pixel(self) -> float:
        """Mean number of counts in all windows of a pixel that is not excluded."""
        return float(self.window_counts()[self.valid].sum(dtype=np.int64)) / max(int(self.valid.sum()), 1)

    def window_counts(self) -> npt.NDArray[Any]:
        """Join the counts of lines and sides.

        Returns
        -------
        array, shape (y, x, window), unsigned integer
            Counts in every window, in the order of `windows`.
        """
        return np.concatenate([self.counts, np.asarray(self.side_counts)], axis=2)

    def net(self) -> npt.NDArray[np.float64]:
        """Estimate line intensities pixel by pixel, as classical maps do: unbiased, noisy, negative at times.

        Returns
        -------
        array, shape (y, x, line), float64
            Line intensities in counts.
        """
        return self.window_counts() @ np.asarray(self.response).T

    def with_window_counts(self, counts: npt.NDArray[Any]) -> LineMaps:
        """Make maps of other counts in the same windows, such as simulated ones.

        Parameters
        ----------
        counts : array, shape (y, x, window)
            As of `window_counts`: whole numbers.

        Returns
        -------
        LineMaps
            Without a truth, and of no image.
        """
        n = len(self.lines)
        return replace(self, counts=counts[..., :n], side_counts=counts[..., n:], truth=None, image_checksum="")

    def line_index(self, line: str) -> int:
        """Find a line.

        Parameters
        ----------
        line : str
            Name of a line.

        Returns
        -------
        int
            Its position among `lines`.

        Raises
        ------
        InputError
            When it is not among them.
        """
        if line not in self.lines:
            raise InputError(f"the line {line!r}", f"one of {list(self.lines)}", f"ratio({self.lines[0]!r}, ...)")
        return self.lines.index(line)

    def __repr__(self) -> str:
        ny, nx, _ = self.counts.shape
        noise = f"; {self.noise}" if self.noise else ""
        return f"<LineMaps {self.name!r}: {ny} x {nx} pixels, {', '.join(self.lines)}; {len(self.sides)} sides{noise}>"


def counting_maps(maps: LineMaps) -> LineMaps:
    """Bring maps to Poisson counts: leave hot pixels out, divide by a gain, sum averaged frames; other maps stay.

    Parameters
    ----------
    maps : LineMaps
        Counts in windows.

    Returns
    -------
    LineMaps
        Maps for Poisson models, whose ``noise`` says what was done or is wrong.

    Warns
    -----
    UserWarning
        When there is something to say.
    """
    found = counting_noise(maps.window_counts(), maps.valid)
    new = [words for words in found.words if words not in maps.noise]
    if not new:
        return maps
    warn("; ".join(new))
    noise = "; ".join(filter(None, (maps.noise, *new)))
    lines, sides = (found.counted(part) for part in (maps.counts, np.asarray(maps.side_counts)))
    return replace(maps, counts=lines, side_counts=sides, mask=np.asarray(maps.mask) | found.hot, noise=noise)


def window_maps(
    image: SpectrumImage,
    lines: Sequence[str],
    *,
    shapes: Sequence[Mapping[str, npt.NDArray[np.float64]]] = (),
    calibration: str = AS_IN_FILE,
    remarks: str = "",
    noise: str = "",
) -> LineMaps:
    """Count in windows around lines and beside them, at the energy axis and resolution that the image states.

    Hot pixels are left out, a gain is divided out, and ``noise`` of the maps says so.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.
    lines : sequence of str
        Lines such as ``["Fe_Ka", "O_Ka"]``.
    shapes : sequence of mapping of str to array, shape (energy,), float64
        Spectra of one count in each line as they were found, then with independent errors, one standard deviation each;
        none for those of the tables.
    calibration, remarks, noise : str
        As ``LineMaps`` holds them, the last of what was found before.

    Returns
    -------
    LineMaps
        Counts per window and the matrix to line intensities.

    Raises
    ------
    InputError
        When a line cannot be measured.
    """
    windows = line_windows(image, lines, shapes=shapes)
    counts = windows.sums(image.stored)
    maps = LineMaps(
        counts=counts[:, :, : len(lines)],
        lines=tuple(lines),
        side_counts=counts[:, :, len(lines) :] if counts.shape[2] > len(lines) else None,
        sides=windows.names[len(lines) :],
        response=windows.response,
        response_errors=windows.errors,
        mask=image.mask,
        pixel_size=image.pixel_size,
        pixel_unit=image.pixel_unit,
        acquisition=image.acquisition,
        image_checksum=image.checksum,
        name=image.name,
        truth=image.truth,
        calibration=calibration,
        remarks=remarks,
        noise=noise,
    )
    return counting_maps(maps)


def default_lines(image: SpectrumImage, elements: Sequence[str] | None = None) -> list[str]:
    """Name the line that each element is mapped by where none is named.

    Parameters
    ----------
    image : SpectrumImage
        Energy axis and beam.
    elements : sequence of str or None
        Elements; ``None`` takes those of the image.

    Returns
    -------
    list of str
        The highest recorded alpha line of every element.

    Raises
    ------
    InputError
        When there are no elements, or one has no line on the axis.
    """
    elements = list(elements) if elements is not None else list(image.elements)
    if not elements:
        raise InputError(
            "neither lines nor elements, and the file names none",
            "the lines to map",
            "bs.element_maps(si, lines=['Fe_Ka', 'O_Ka']) or bs.load(path, elements=['Fe', 'O'])",
        )
    low, high = float(image.energy[0]), float(image.energy[-1])
    return [default_line(element, low, high, image.acquisition.beam_energy_kev) for element in elements]
