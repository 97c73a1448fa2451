"""Scale bars have a round length."""

import pytest

from bayesspec.plot.pixels import scale_bar
from bayesspec.plot.style import new_figure


@pytest.mark.parametrize(
    ("pixels", "size", "text"), [(100, 1.0, "20 nm"), (100, 0.5, "10 nm"), (256, 0.09, "5 nm"), (3, 1.0, "0.5 nm")]
)
def test_scale_bars_have_a_round_length_in_the_unit_of_the_pixels(pixels, size, text):
    ax = new_figure(2, 2).add_subplot()
    scale_bar(ax, (pixels, pixels), (size, size, "nm"))
    assert ax.texts[0].get_text() == text
    assert ax.patches[0].get_width() == pytest.approx(float(text.split()[0]))
    assert 0.09 < ax.patches[0].get_width() / (pixels * size) <= 0.25
