"""Ratios: positions and lengths of the bars are those of the data; open ends get an arrow."""

import numpy as np
import pytest
import xarray as xr

from bayesspec import InputError, plot
from bayesspec.plot.ratios import RatioRow, draw_ratios
from bayesspec.plot.style import new_figure
from bayesspec.results.estimate import Estimate


def marks(ax, gid):
    return [line for line in ax.lines if line.get_gid() == gid]


def test_bars_are_the_intervals_and_points_the_means(seg):
    ax = plot.ratios(seg, prob=0.9).axes[0]
    ratio = seg.ratio("Fe_Ka", "O_Ka")
    lower, upper = ratio.interval(0.9)
    drawn = np.array([line.get_xdata() for line in marks(ax, "interval")])
    assert drawn == pytest.approx(np.stack([lower, upper], axis=1))
    assert [line.get_xdata()[0] for line in marks(ax, "ratio")] == pytest.approx(list(ratio.mean.values))
    assert ax.get_xlabel() == "Fe Kα / O Kα intensity ratio (no unit)"
    assert "90 % interval" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_classical_results_stand_beside_without_a_bar(seg, clusters):
    ax = plot.ratios([seg, clusters], truth=[0.783, 0.698]).axes[0]
    assert len(marks(ax, "interval")) == 2
    assert len(marks(ax, "ratio")) == 4
    assert [label.get_text() for label in ax.get_yticklabels()] == ["composition mixture", "k-means, ratios"]
    assert marks(ax, "ratio")[-1].get_markerfacecolor() == "white"


def test_open_ends_and_wide_spans():
    draws = np.array([[1.0, 1000.0, np.inf], [2.0, 1100.0, np.inf], [3.0, 1200.0, 900.0]] * 20)
    estimate = Estimate(xr.DataArray(draws, dims=("draw", "phase")), "a/b")
    ax = new_figure(3, 2).add_subplot()
    draw_ratios(ax, [RatioRow("x", estimate, (0, 1, 2))], "a / b")
    assert ax.get_xscale() == "log"
    assert len(marks(ax, "open end")) == 1
    assert len(marks(ax, "ratio")) == 2


def test_nothing_and_unknown_lines_are_refused(seg):
    with pytest.raises(InputError, match="no results"):
        plot.ratios([])
    with pytest.raises(InputError, match="Ti_Ka"):
        plot.ratios(seg, numerator="Ti_Ka")


def test_drawing_leaves_no_global_state(seg):
    import matplotlib as mpl
    from matplotlib import _pylab_helpers

    before = dict(mpl.rcParams)
    plot.ratios(seg)
    assert dict(mpl.rcParams) == before
    assert not _pylab_helpers.Gcf.figs
