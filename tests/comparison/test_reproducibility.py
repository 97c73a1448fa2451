"""Methods tried without a truth: what predicts, agrees and takes time."""

from dataclasses import replace

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.comparison.deviance import held_out_phases
from bayesspec.comparison.reproducibility import divided


@pytest.fixture(scope="module")
def maps() -> bs.LineMaps:
    return replace(bs.simulate.iron_oxide_lines(2000, (32, 32), seed=0), truth=None)


def test_halves_add_to_the_counts_and_are_independent() -> None:
    image = bs.simulate.iron_oxides(400, (24, 24), seed=1)
    first, second = divided(image, 3)
    np.testing.assert_array_equal(first.counts.astype(int) + second.counts, image.counts)
    difference = first.counts.astype(int) - second.counts
    assert difference.var() / image.counts.mean() == pytest.approx(1, abs=0.02)
    maps = bs.element_maps(image, ["Fe_Ka", "O_Ka"])
    one, two = divided(maps, 3)
    np.testing.assert_array_equal(one.window_counts().astype(int) + two.window_counts(), maps.window_counts())


def test_the_right_labels_predict_better_than_labels_of_the_noise(maps: bs.LineMaps) -> None:
    table = bs.compare(
        maps,
        {
            "smoothed": lambda data: bs.classical.kmeans(data, 2, of="normalised", smooth=2.0),
            "counts": lambda data: bs.classical.kmeans(data, 2, of="counts"),
        },
    )
    good, bad = table.trials
    assert good.held_out < bad.held_out
    assert good.stability > 0.9
    assert "Without a truth" in table.to_text()
    assert "labels right" not in table.to_text()


def test_more_components_than_there_are_do_not_predict_better() -> None:
    image = replace(bs.simulate.eels_edges(3000, 24, seed=0).rebin(energy=8), truth=None)
    scores = bs.compare(
        image, {str(n): lambda data, n=n: bs.classical.nmf(data, n, max_iterations=400) for n in (1, 4, 9)}
    )
    held_out = {trial.name: trial.held_out for trial in scores.trials}
    fitted = [score.deviance for score in scores.components]
    assert held_out["4"] < held_out["1"]
    assert held_out["4"] < held_out["9"]
    assert fitted[2] < fitted[1]
    assert scores.trials[0].stability < 1


def test_held_out_deviance_of_known_labels_is_that_of_the_multinomial() -> None:
    maps = bs.simulate.iron_oxide_lines(2000, (32, 32), seed=0)
    assert maps.truth is not None
    labels = bs.classical.kmeans(maps, 1)
    counts = maps.counts.reshape(-1, 2).astype(float)
    share = counts.sum(axis=0) / counts.sum()
    expected = 2 * (counts * np.log(counts / counts.sum(axis=1, keepdims=True) / share)).sum(axis=1).mean()
    assert held_out_phases(maps, labels) == pytest.approx(expected)


def test_what_is_no_method_is_refused(maps: bs.LineMaps) -> None:
    with pytest.raises(bs.InputError, match="returns LineMaps"):
        bs.compare(maps, {"nothing": lambda data: data})
