"""The phase map: areas and ratios in the legend, colours of the phases."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bayesspec import plot
from bayesspec.plot.phases import share_image
from bayesspec.plot.style import EXCLUDED, OKABE_ITO, colours


def test_the_phase_map_prints_areas_and_ratios_with_their_errors(seg):
    figure = plot.phase_map(seg)
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    values = [value for _, value in seg.ratio("Fe_Ka", "O_Ka").rows()]
    assert all(f"Fe Kα / O Kα {value}" in text for text, value in zip(texts, values, strict=True))
    assert all("% of area" in text for text in texts)
    image = figure.axes[0].images[0]
    assert image.cmap(image.norm(0))[:3] == pytest.approx(to_rgb(OKABE_ITO[0]))


def test_many_lines_are_named_and_not_divided(clusters):
    data = clusters.data.assign(
        intensity_draws=(("draw", "phase", "third"), [[[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]])
    ).drop_dims("line")
    data = data.rename(third="line").assign_coords(line=["Fe_Ka", "O_Ka", "Si_Ka"])
    figure = plot.phase_map(type(clusters)(data))
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert "rich in Fe Kα" in texts[0]
    assert "rich in Si Kα" in texts[1]


def test_pixels_of_two_phases_mix_their_colours():
    shares = np.array([[[1.0, 0.0], [0.25, 0.75], [np.nan, np.nan]]])
    ax = Figure().add_subplot()
    share_image(ax, shares, (1.0, 1.0, "px"))
    pixels = np.asarray(ax.images[0].get_array())[0, :, :3]
    first, second = (np.array(to_rgb(colour)) for colour in colours(2))
    np.testing.assert_allclose(pixels[0], first)
    np.testing.assert_allclose(pixels[1], 0.25 * first + 0.75 * second)
    assert pixels[2].tolist() == list(to_rgb(EXCLUDED))
