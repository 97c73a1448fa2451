"""Where the counts contradict a result: along the spectrum, over the image, by component."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure, SubFigure

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.plot.style import ACCENT, EXCLUDED, INK, PAGE_IN, new_figure, paper, root

LIMIT = 5.0
"""Standard deviations that are shaded, beyond which a point is marked: those of `bs.check`."""


@checked_arguments(found=xr.Dataset)
def checks(found: xr.Dataset, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw where the deviance is larger or smaller than expected, in standard deviations.

    Parameters
    ----------
    found : xarray.Dataset
        What `bayesspec.check` returned.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Channels or lines, pixels, and components or phases; what lies beyond five standard deviations stands out.

    Raises
    ------
    InputError
        When the Dataset is no check.
    """
    if "pixel_sigmas" not in found:
        raise InputError(f"a Dataset of {list(found.data_vars)}", "the Dataset of bs.check", "bs.check(fit, si)")
    with paper():
        canvas = figure or new_figure(PAGE_IN, 2.2)
        along, image, parts = canvas.subplots(1, 3, width_ratios=[1.6, 1.2, 0.8])
        _along(along, found)
        _image(canvas, image, found)
        _parts(parts, found)
    return root(canvas)


def _along(ax: Axes, found: xr.Dataset) -> None:
    values = found["channel_sigmas"]
    place = found[values.dims[0]].values if values.dims[0] in found.coords else np.arange(values.size)
    shown = np.arange(values.size) if place.dtype.kind in "UO" else place
    ax.axhspan(-LIMIT, LIMIT, color="#eeeeee", linewidth=0)
    ax.plot(shown, values, "." if values.size < 20 else "-", color=INK, linewidth=0.7)
    bad = values.values > LIMIT
    ax.plot(shown[bad], values.values[bad], ".", color=ACCENT, markersize=4)
    if place.dtype.kind in "UO":
        ax.set_xticks(shown, [str(name) for name in place])
    units = found[values.dims[0]].attrs.get("units", "") if values.dims[0] in found.coords else ""
    ax.set_xlabel(f"{values.dims[0]} ({units})" if units else str(values.dims[0]))
    ax.set_ylabel("deviance above expected (σ)")


def _image(canvas: Figure | SubFigure, ax: Axes, found: xr.Dataset) -> None:
    norm = TwoSlopeNorm(0.0, -LIMIT, LIMIT)
    ax.set_facecolor(EXCLUDED)
    picture = ax.imshow(found["pixel_sigmas"].values, cmap="RdBu_r", norm=norm, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title("pixels")
    canvas.colorbar(picture, ax=ax, label="σ", shrink=0.8)


def _parts(ax: Axes, found: xr.Dataset) -> None:
    values = found["component_sigmas"].values
    ax.axhspan(-LIMIT, LIMIT, color="#eeeeee", linewidth=0)
    ax.bar(np.arange(len(values)), values, color=[ACCENT if v > LIMIT else INK for v in values], width=0.6)
    ax.set_xticks(np.arange(len(values)))
    ax.set_xlabel(str(found["component_sigmas"].dims[0]))
