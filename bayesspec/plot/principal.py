"""Principal components: their spectra with bands, and their scores over the image."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bayesspec.files.public_arguments import checked_arguments
from bayesspec.plot.maps import draw_map
from bayesspec.plot.pixels import pixel_size_of
from bayesspec.plot.spectra import energy_label, energy_range
from bayesspec.plot.style import PAGE_IN, colours, new_figure, paper, root
from bayesspec.results.principal_components import PrincipalComponents


@checked_arguments(result=PrincipalComponents)
def principal_components(result: PrincipalComponents, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Draw every component with the band of its interval, and its scores beside it.

    Parameters
    ----------
    result : PrincipalComponents
        Components of an image.
    figure : matplotlib.figure.Figure or SubFigure or None
        Where to draw; ``None`` for a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        One row a component; signs are arbitrary, and the reliability of the scores is in the title of the map.
    """
    n, shape = result.rank, result.scores["mean"].shape[:2]
    with paper():
        height = min(1.7, max(0.9, 1.5 * shape[0] / shape[1]))
        canvas = figure or new_figure(PAGE_IN, 0.4 + height * n)
        axes = canvas.subplots(n, 2, squeeze=False, width_ratios=(2.4, 1.0))
        for k, colour in enumerate(colours(n)):
            _spectrum(axes[k, 0], result, k, colour)
            scores = result.scores["mean"].isel(component=k)
            unit = str(result.data["scores_mean"].attrs["units"])
            draw_map(canvas, axes[k, 1], scores.values, pixel_size_of(result), label=unit, signed=True)
            axes[k, 1].set_title(f"component {k}, {100 * float(result.reliability[k]):.0f} % signal")
        for ax in axes[:-1, 0]:
            ax.tick_params(labelbottom=False)
        energy_label(axes[-1, 0], result.sum_image, "")
        canvas.supylabel("loading", fontsize=7.5)
    return root(canvas)


def _spectrum(ax: Axes, result: PrincipalComponents, k: int, colour: tuple[float, float, float]) -> None:
    image, one = result.sum_image, result.components.isel(component=k)
    ax.axhline(0.0, color="#bbbbbb", linewidth=0.6)
    ax.fill_between(image.energy, one["lower"], one["upper"], color=colour, alpha=0.3, linewidth=0, step="mid")
    ax.step(image.energy, one["mean"], where="mid", color=colour, linewidth=0.8)
    ax.set_xlim(*energy_range(image, image.sum_spectrum()))
