"""Colours and names."""

import numpy as np
import pytest

from bayesspec.plot.style import colours, line_label, new_figure


def test_colours_stay_apart():
    shades = np.array(colours(16))
    distance = np.linalg.norm(shades[:, None] - shades[None], axis=2) + 9 * np.eye(16)
    assert distance.min() > 0.08


@pytest.mark.parametrize(
    ("name", "shown"), [("Fe_Ka", "Fe Kα"), ("Pt_Lb", "Pt Lβ"), ("Fe_Ka/O_Ka", "Fe Kα / O Kα"), ("edge", "edge")]
)
def test_lines_are_printed_as_physicists_do(name, shown):
    assert line_label(name) == shown


def test_a_figure_shows_itself_as_a_picture():
    figure = new_figure(2.0, 1.0)
    figure.add_subplot().plot([0, 1])
    assert figure._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"
