"""The phase map: areas and ratios in the legend, colours of the phases."""

import pytest
from matplotlib.colors import to_rgb

from bayesspec import plot
from bayesspec.plot.style import OKABE_ITO


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
