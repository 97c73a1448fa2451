"""The design of an energy-loss spectrum: core-loss edges by their onsets on a background of power laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.spectroscopy.core_edges import chosen_edges
from bayesspec.spectroscopy.line_design import LineDesign
from bayesspec.spectroscopy.line_families import LineFamily
from bayesspec.spectroscopy.transitions import subshells

Floats = npt.NDArray[np.float64]
WINDOW_EV = 100.0
"""Range above an onset in which an edge's counts are told."""
EARLY_EV = 16.0
"""Onsets of compounds lie up to so much below those of the table."""
NEAR_EV = 100.0
"""Range above an onset, in eV, that may hold near-edge peaks, unless the next edge is nearer."""
FREE = 0.75
"""Part of the range up to the next edge in which an edge may have any shape; the rest fixes its tail."""
STEPS_EV = 12.0
"""Range above an onset, in eV, in which an edge may rise."""
FINE_EV, COARSE_EV, SHARP_EV = 2.0, 8.0, 20.0
"""Distances of near-edge peaks up to 20 eV above the onset and beyond, and that limit, all in eV."""
LEAST_SEEN = 1e-3
"""A part that holds less than this share of the largest one's counts in the window of the edge is left out."""
BACKGROUND_EXPONENTS = tuple(np.arange(2.0, 4.01, 0.25))
"""Exponents of the power laws that the background is a sum of."""
EDGE_EXPONENTS = (2.0, 3.5, 5.0)
"""Exponents with which the steps of an edge may fall."""
SLOWER = 0.6
"""Exponent by which the background of a pixel may fall more slowly or faster than that of the sum."""


def edge_parts(energy_ev: Floats, onset_ev: float, levels_ev: Sequence[float] = (), free_ev: float = NEAR_EV) -> Floats:
    """Shapes whose non-negative sums an edge is: steps with falling tails, delayed or not, and near-edge peaks.

    Parameters
    ----------
    energy_ev : array, shape (energy,), float64
        Channel centres in eV.
    onset_ev : float
        Onset in eV.
    levels_ev : sequence of float
        Onsets of the other levels of the shell.
    free_ev : float
        Range above the onset with near-edge peaks; beyond, the edge falls smoothly.

    Returns
    -------
    array, shape (energy, part), float64
        Not negative; each sums to 1 over 100 eV above the onset.
    """
    step = float(np.median(np.diff(energy_ev)))
    first, last = onset_ev - EARLY_EV, onset_ev + min(free_ev, NEAR_EV)
    fine, coarse = max(FINE_EV, 2.5 * step), max(COARSE_EV, 2 * step)
    sharp, broad = np.arange(first, min(onset_ev + SHARP_EV, last), fine), np.arange(first, last, coarse)
    peaks, widths = np.concatenate([sharp, broad]), np.repeat([fine / 2, coarse / 2], [len(sharp), len(broad)])
    steps = np.concatenate([np.arange(first, onset_ev + min(free_ev, STEPS_EV), coarse), np.asarray(levels_ev)])
    above = ndtr((energy_ev[:, None] - steps) / max(2.0, step))
    parts = [above * (energy_ev[:, None] / onset_ev) ** -s for s in EDGE_EXPONENTS]
    parts.append(np.exp(-0.5 * ((energy_ev[:, None] - peaks) / widths) ** 2))
    together = np.concatenate(parts, axis=1)
    inside = together[in_window(energy_ev, onset_ev)].sum(axis=0)
    seen = inside > LEAST_SEEN * together.sum(axis=0).max()
    return np.asarray(together[:, seen] / inside[seen], np.float64)


def in_window(energy_ev: Floats, onset_ev: float) -> npt.NDArray[np.bool_]:
    """Channels in which an edge's counts are told, array (energy,)."""
    return np.asarray((energy_ev > onset_ev - EARLY_EV) & (energy_ev <= onset_ev + WINDOW_EV))


def edge_design(image: SpectrumImage, onsets: dict[str, float]) -> tuple[LineDesign, tuple[tuple[int, int], ...]]:
    """Build the parts of every edge and of the background over the channels.

    Parameters
    ----------
    image : SpectrumImage
        An EELS image.
    onsets : dict of str to float
        Onset in eV of every edge, as ``chosen_edges`` finds them.

    Returns
    -------
    design : LineDesign
        Edges' parts first, ``families`` one an edge; then power laws, and what the read noise of a camera adds.
    spans : tuple of (int, int)
        First and last-but-one column of each edge.
    """
    channels = np.flatnonzero((image.energy > 0) & image.valid_channels)
    energy = image.energy[channels].astype(np.float64)
    parts = []
    for name, onset in onsets.items():
        following = min((e for e in onsets.values() if e > onset), default=np.inf)
        element, shell = name.split("_")
        levels = {level: e.energy for level, e in subshells(element).items() if level[0] == shell}
        free = min(following, energy[-1]) - EARLY_EV
        later = [e for level, e in levels.items() if level[1:] != "1" and onset + STEPS_EV < e < free]
        parts.append(edge_parts(energy, onset, later, FREE * (following - EARLY_EV - onset)))
    background = np.stack([(energy / energy.min()) ** -r for r in BACKGROUND_EXPONENTS], axis=1)
    names = tuple(f"power law {r:g}" for r in BACKGROUND_EXPONENTS)
    if image.acquisition.camera_read_noise:  # it stands in every channel alike
        background, names = np.column_stack([background, np.ones(len(energy))]), (*names, "read noise")
    background = background / background.sum(axis=0)
    ends = np.cumsum([0, *(part.shape[1] for part in parts)])
    families = tuple(LineFamily(name, name.split("_")[0], (e / 1e3,), (1.0,)) for name, e in onsets.items())
    design = LineDesign(families, names, np.column_stack([*parts, background]), channels, energy)
    return design, tuple(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))


def fixed_edges(image: SpectrumImage, elements: Sequence[str] | None, edges: Sequence[str] = ()) -> LineDesign:
    """Give each edge the shape that it has in the summed spectrum, for the fit of single pixels.

    Parameters
    ----------
    image : SpectrumImage
        An EELS image of Poisson counts.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    edges : sequence of str
        Edges asked for by name.

    Returns
    -------
    LineDesign
        One column an edge, which sums to 1 over 100 eV above the onset, and three of background: that of the sum, and
        what falls more slowly or faster than it.

    Raises
    ------
    InputError
        When nothing is named, an edge is not known or not recorded, or there are no counts.
    """
    onsets = chosen_edges(image, elements, edges)
    design, spans = edge_design(image, onsets)
    counts = image.sum_spectrum()[design.channels]
    if not counts.sum():
        raise InputError(f"no counts in {image.name!r} over the edges", "an image with counts", "another mask or crop")
    found = fit_intensities(design.matrix, counts).intensities
    shapes = []
    for (first, end), onset in zip(spans, onsets.values(), strict=True):
        part = found[first:end] if found[first:end].sum() > 0 else np.ones(end - first)
        shape = design.matrix[:, first:end] @ part
        shapes.append(shape / shape[in_window(design.energy, onset)].sum())
    curve = design.matrix[:, spans[-1][1] :] @ found[spans[-1][1] :]
    middle = float(np.sqrt(design.energy[0] * design.energy[-1]))
    backgrounds = [curve * (design.energy / middle) ** tilt for tilt in (0.0, SLOWER, -SLOWER)]
    columns = np.column_stack([*shapes, *(one / max(float(one.sum()), 1e-300) for one in backgrounds)])
    names = ("background", "slow background", "fast background")
    return replace(design, matrix=columns, backgrounds=names)
