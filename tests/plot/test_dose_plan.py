"""The forecast drawn: one line a phase, and the doses that do not resolve them shaded."""

import numpy as np
import pytest

from bayesspec import plan_dose, plot


def test_errors_are_drawn_in_per_cent_and_dark_doses_are_shaded():
    plan = plan_dose((0.5, 2.0), shape=(16, 16), blur=0, doses=[2.0, 400.0, 1600.0], name="Fe/O")
    ax = plot.dose_plan(plan)
    drawn = np.array([line.get_ydata() for line in ax.lines])
    assert drawn[:, 1:] == pytest.approx(100 * (plan.table["sd"] / plan.table["ratio"]).values.T[:, 1:])
    assert np.isnan(drawn[:, 0]).all()
    assert [text.get_text() for text in ax.texts] == ["not resolved"]
    assert "Fe/O 0.5" in ax.get_legend_handles_labels()[1][0]
