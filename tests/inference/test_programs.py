"""Lengths that arrays are padded to: few, near, and without a trace in the results."""

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.inference import programs
from bayesspec.inference.programs import LARGEST_PADDED, padded_size


def test_lengths_are_few_and_near() -> None:
    lengths = np.arange(1, LARGEST_PADDED + 1)
    padded = np.array([padded_size(int(n), 64) for n in lengths])
    assert (padded >= lengths).all()
    assert (padded[512:] <= 1.125 * lengths[512:]).all()
    assert len(np.unique(padded)) < 80
    assert padded_size(LARGEST_PADDED + 1) == LARGEST_PADDED + 1


@pytest.mark.parametrize("phases", [2, range(1, 4)])
def test_padding_leaves_a_segmentation_as_it_is(phases: int | range, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = bs.simulate.iron_oxide_lines(2000, (21, 23), seed=1)
    padded = bs.segment(maps, phases)
    monkeypatch.setattr(programs, "LARGEST_PADDED", 0)
    alone = bs.segment(maps, phases)
    for name in ("composition_draws", "fraction_draws", "probabilities"):
        np.testing.assert_allclose(padded.data[name].values, alone.data[name].values, atol=1e-6)
