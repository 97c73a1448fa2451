"""The choice: scores, error bars of their length, the chosen one marked."""

import numpy as np
import pytest

from bayesspec import InputError, plot
from bayesspec.plot.style import ACCENT


def test_scores_with_errors_and_the_choice(seg):
    figure = plot.selection(seg)
    score, bic = figure.axes
    bars = score.containers[0].lines[2][0].get_segments()
    assert [bar[1, 1] - bar[0, 1] for bar in bars] == pytest.approx([80.0, 0.0, 4.0])
    chosen = [line for line in score.lines if line.get_color() == ACCENT][0]
    assert (chosen.get_xdata()[0], chosen.get_ydata()[0]) == (2, 0)
    assert "nats" in score.get_ylabel()
    assert bic.get_xlabel() == "number of phases"
    assert np.array_equal(score.get_xticks(), [1, 2, 3])


def test_classical_results_have_no_choice(clusters):
    with pytest.raises(InputError, match="without a choice"):
        plot.selection(clusters)
