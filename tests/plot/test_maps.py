"""Maps: panels, units, scale bars, legends, excluded pixels."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from bayesspec import InputError, LineMaps, plot
from bayesspec.plot.style import EXCLUDED


def panels(figure):
    return [ax for ax in figure.axes if ax.images]


def bars(figure):
    return [child for ax in panels(figure) for child in ax.child_axes]


def test_element_maps_have_a_panel_a_line_with_units_and_scale(maps):
    figure = plot.element_maps(maps)
    assert [ax.get_title(loc="left") for ax in panels(figure)] == ["Fe Kα", "O Kα"]
    assert [bar.get_ylabel() for bar in bars(figure)] == ["counts", "counts"]
    assert [ax.texts[0].get_text() for ax in panels(figure)] == ["5 nm", "5 nm"]
    assert np.array_equal(panels(figure)[1].images[0].get_array(), maps.net()[..., 1])


def test_excluded_pixels_are_grey(maps):
    mask = np.zeros(maps.counts.shape[:2], bool)
    mask[3, 4] = True
    figure = plot.element_maps(LineMaps(maps.counts, lines=maps.lines, mask=mask))
    drawn = panels(figure)[0].images[0]
    assert drawn.get_array().mask[3, 4]
    assert drawn.cmap.get_bad()[:3] == pytest.approx(to_rgb(EXCLUDED))


def test_abundance_maps_show_the_error_only_where_there_is_one(fit, factors):
    sure = plot.abundance_maps(fit)
    assert len(panels(sure)) == 4
    assert [bar.get_ylabel() for bar in bars(sure)] == ["counts", "counts", "sd (counts)", "sd (counts)"]
    assert np.array_equal(panels(sure)[2].images[0].get_array(), fit.abundances["sd"].values[..., 0])
    assert len(panels(plot.abundance_maps(factors))) == 2


def test_negative_abundances_are_centred_on_zero(image):
    from bayesspec import classical

    figure = plot.abundance_maps(classical.svd(image, 2))
    low, high = panels(figure)[1].images[0].get_clim()
    assert low == -high


def test_what_is_no_map_is_refused(image):
    with pytest.raises(InputError, match="SpectrumImage"):
        plot.element_maps(image)
