"""The comparison figure: one map a method, ratios, components; colours mean the same everywhere."""

import numpy as np
import pytest

from bayesspec import InputError, classical, plot
from bayesspec.comparison.side_by_side import Comparison, compare


def test_maps_ratios_and_components_in_one_figure(image, seg, clusters, fit):
    figure = plot.comparison(compare(image, [seg, clusters, fit, classical.svd(image, 2)]))
    maps = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title(loc="left").split("\n")[0] for ax in maps] == [
        "truth",
        "composition mixture",
        "k-means, ratios",
    ]
    labels = [label.get_text() for ax in figure.axes for label in ax.get_xticklabels() + [ax.xaxis.label]]
    assert "deviance per entry above the lowest (1/1000)" in labels
    assert "spectral angle to truth (degrees)" in labels
    assert "Fe Kα / O Kα intensity ratio (no unit)" in labels


def test_phases_get_the_colour_of_their_partner(maps, clusters):
    data = clusters.data.isel(phase=[1, 0])
    swapped = type(clusters)(data.assign(labels=1 - clusters.labels))
    figure = plot.comparison(compare(maps, [clusters, swapped]))
    drawn = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert np.array_equal(drawn[1], drawn[2])
    assert (drawn[0] == drawn[1]).mean() > 0.8


def test_an_empty_comparison_is_refused():
    with pytest.raises(InputError, match="empty"):
        plot.comparison(Comparison("nothing", (), (), None))
