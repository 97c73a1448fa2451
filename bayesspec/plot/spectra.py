"""Spectra: the summed spectrum, and the components with their bands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bayesspec.files.public_arguments import checked_arguments, energy_range_or_none
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.plot.style import INK, PAGE_IN, axes_or_new, colours, line_label, new_figure, paper, root
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.xray_lines import lines_in_range, xray_line

_COVERED = 0.9995
"""Share of the counts that the energy axis shows."""
_LABEL_WIDTH = 0.017
"""Distance of two names of lines, as a share of the axis, below which one is left out."""
_FAINT = "#8a8a8a"


@checked_arguments(
    data=(SpectrumImage, Unmixing, PrincipalComponents),
    energy=energy_range_or_none,
)
def sum_spectrum(
    data: SpectrumImage | Unmixing | PrincipalComponents,
    *,
    lines: Sequence[str] | None = None,
    energy: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the spectrum summed over the image, counts on a logarithmic axis.

    Parameters
    ----------
    data : SpectrumImage, Unmixing or PrincipalComponents
        An image, or a result with its summed spectrum.
    lines : sequence of str or None
        X-ray lines to mark; ``None`` for the alpha lines of the image's elements.
    energy : tuple of float or None
        Range to show, in the unit of the axis; ``None`` for the range that holds nearly all counts.
    ax : matplotlib.axes.Axes or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        One panel.
    """
    image = data if isinstance(data, SpectrumImage) else data.sum_image
    counts = image.sum_spectrum()
    with paper():
        ax = axes_or_new(ax, PAGE_IN, 2.0)
        ax.step(image.energy, np.maximum(counts, 0.5), where="mid", color=INK, linewidth=0.7)
        ax.set_yscale("log")
        ax.set_ylim(max(0.5, np.percentile(counts, 1) * 0.5), float(counts.max()) * 3)
        ax.set_xlim(*(energy or energy_range(image, counts)))
        energy_label(ax, image, "counts per channel")
        mark_lines(ax, image, lines)
    return root(ax.figure)


@checked_arguments(result=Unmixing, energy=energy_range_or_none)
def component_spectra(
    result: Unmixing,
    *,
    lines: Sequence[str] | None = None,
    energy: tuple[float, float] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """Draw the spectrum of every component with the band of its interval.

    The axis is a square root, on which the noise of counts is even; it is linear where spectra are negative.

    Parameters
    ----------
    result : Unmixing
        Components of an image.
    lines : sequence of str or None
        X-ray lines to mark; ``None`` for the alpha lines of the image's elements.
    energy : tuple of float or None
        Range to show, in the unit of the axis; ``None`` for the range that holds nearly all counts.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a component, under one energy axis.
    """
    image = result.sum_image
    table = result.spectra
    negative = bool((table["mean"].values < 0).any())
    with paper():
        canvas = figure or new_figure(PAGE_IN, 0.75 + 0.85 * result.rank)
        axes = canvas.subplots(result.rank, 1, squeeze=False, sharex=True).ravel()
        axes[0].set_xlim(*(energy or energy_range(image, image.sum_spectrum())))
        for component, (ax, colour) in enumerate(zip(axes, colours(result.rank), strict=True)):
            one = 100 * table.isel(component=component)
            scale = np.abs(one["mean"].values).max()
            ax.fill_between(image.energy, one["lower"], one["upper"], color=colour, alpha=0.3, linewidth=0, step="mid")
            ax.step(image.energy, one["mean"], where="mid", color=colour, linewidth=0.8)
            ax.set_ylim(-1.1 * scale if negative else 0, 1.15 * scale)
            if not negative:
                ax.set_yscale("function", functions=(_root, np.square))
                ax.set_yticks(_root_ticks(scale))
            share = result.fractions.draws.mean("draw").values[component]
            name = f"component {component}" + ("" if negative else f", {100 * share:.1f} % of counts")
            ax.text(0.995, 0.95, name, transform=ax.transAxes, ha="right", va="top", color=INK)
            _mark(ax, image, lines, labelled=component == 0)
        energy_label(axes[-1], image, "")
        canvas.supylabel("share per channel (%)", fontsize=7.5)
    return root(canvas)


def mark_lines(ax: Axes, image: SpectrumImage, lines: Sequence[str] | None = None) -> None:
    """Mark X-ray lines in a spectrum.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        A spectrum.
    image : SpectrumImage
        Elements and beam.
    lines : sequence of str or None
        Lines to mark; ``None`` for the alpha lines of the image's elements. Nothing is marked in EELS.
    """
    _mark(ax, image, lines, labelled=True)


def _mark(ax: Axes, image: SpectrumImage, lines: Sequence[str] | None, *, labelled: bool) -> None:
    low, high = ax.get_xlim()
    names = _alpha_lines(image) if lines is None else list(lines)
    counts = image.sum_spectrum()
    found = [(xray_line(name).energy_kev, name) for name in names]
    found = sorted(
        (line for line in found if low <= line[0] <= high), key=lambda line: -np.interp(line[0], image.energy, counts)
    )
    done: list[float] = []
    for energy, name in found:
        ax.axvline(energy, color=_FAINT, linewidth=0.4, linestyle=(0, (2, 2)), zorder=0)
        near = min((abs(energy - other) for other in done), default=np.inf)
        if labelled and near / (high - low) >= _LABEL_WIDTH:
            ax.annotate(
                line_label(name), (energy, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
                textcoords="offset points", fontsize=6, color="#555555", rotation=90, ha="center", va="bottom",
            )  # fmt: skip
            done.append(energy)


def _alpha_lines(image: SpectrumImage) -> list[str]:
    if image.acquisition.technique != "EDS" or image.energy_unit != "keV":
        return []
    low, high = float(image.energy[0]), float(image.energy[-1])
    beam = image.acquisition.beam_energy_kev
    return [n for e in image.elements for n in lines_in_range(e, low, high, beam) if n.endswith("a")]


def energy_range(image: SpectrumImage, counts: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Find the range of energies that holds nearly all counts.

    Parameters
    ----------
    image : SpectrumImage
        Its energy axis.
    counts : numpy.ndarray (energy,), int64
        The summed spectrum.

    Returns
    -------
    tuple of float
        First and last energy, in the unit of the axis.
    """
    total = np.cumsum(counts)
    used = np.flatnonzero((total > 0) & (total <= max(_COVERED * total[-1], total[0])))
    last = image.energy[min(used[-1] + 1, len(counts) - 1)] if len(used) else image.energy[-1]
    first = image.energy[used[0]] if len(used) else image.energy[0]
    return float(first), float(last + 0.02 * (last - first))


def energy_label(ax: Axes, image: SpectrumImage, counts: str) -> None:
    """Label the axes of a spectrum.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes.
    image : SpectrumImage
        Its technique and unit.
    counts : str
        Label of the vertical axis.
    """
    kind = "energy loss" if image.acquisition.technique == "EELS" else "energy"
    kind = "wavelength" if image.energy_unit == "nm" else kind
    ax.set_xlabel(f"{kind} ({image.energy_unit})")
    ax.set_ylabel(counts)


def _root(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.sqrt(np.maximum(values, 0))


def _root_ticks(top: float) -> list[float]:
    step = 10.0 ** np.floor(np.log10(top))
    largest = next(m for m in (5, 2, 1) if m * step <= 1.05 * top) * step
    return [0.0, largest / 10, largest / 2.5 if largest / step == 5 else largest / 2, largest]
