"""Rank histograms: one panel a quantity, what is too short stands out."""

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.results.calibration import Calibration
from bayesspec.results.dataset import Frame


def made(replicates: int) -> Calibration:
    rng = np.random.default_rng(0)
    deviation, rank = rng.normal(0, 0.6, (replicates, 2)), rng.uniform(size=(replicates, 2))
    deviation[:, 1] *= 3
    values = {"deviation": deviation, "rank": rank, "nominal": [0.9, 0.9]}
    values |= {name: np.ones(replicates) for name in ("ended", "paired", "seconds")}
    return Calibration.from_values(
        values, Frame({"entry": ["good", "short"]}), name="a", method="b", verdict="c", attrs={"failures": 0}
    )


def test_a_panel_for_each_quantity_the_short_first() -> None:
    figure = bs.plot.calibration(made(100))
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert [title.split("\n")[0] for title in titles] == ["short", "good"]
    assert sum(bar.get_height() for bar in figure.axes[0].patches if bar.get_width() < 0.5) == pytest.approx(100)


def test_too_few_answers_are_refused() -> None:
    with pytest.raises(bs.InputError, match="without answers"):
        bs.plot.calibration(made(5))
