"""The phantoms are what their truth says."""

import numpy as np
import pytest

from bayesspec import simulate
from bayesspec.errors import InputError
from bayesspec.simulate import OXIDE_RATIOS


def test_iron_oxides_have_the_dose_and_the_spectra_of_the_truth() -> None:
    image = simulate.iron_oxides(100, shape=(64, 64), seed=1)
    truth = image.truth
    assert truth is not None
    assert image.counts_per_pixel == pytest.approx(100, abs=5 * 10 / 64)
    expected = np.einsum("yx,yxe->e", 100 * truth["thickness"], truth["spectra"][truth["labels"]])
    chi2 = ((image.sum_spectrum() - expected) ** 2 / expected)[expected > 5]
    assert chi2.mean() == pytest.approx(1, abs=5 * np.sqrt(2 / len(chi2)))
    assert np.mean(truth["labels"]) == pytest.approx(0.4, abs=0.01)
    np.testing.assert_allclose(truth["spectra"].sum(axis=1), 1)


def test_line_counts_have_the_ratio_of_the_truth() -> None:
    maps = simulate.iron_oxide_lines(500, shape=(64, 64), seed=2)
    assert maps.truth is not None
    for phase, ratio in enumerate(OXIDE_RATIOS):
        iron, oxygen = maps.counts[maps.truth["labels"] == phase].sum(axis=0, dtype=np.int64)
        assert iron / oxygen == pytest.approx(ratio, rel=5 * np.sqrt(1 / iron + 1 / oxygen))


def test_same_seed_same_image_and_flat_sample_is_flat() -> None:
    first, second = (simulate.iron_oxides(20, shape=(8, 8), seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.counts, second.counts)
    assert (simulate.iron_oxides(20, shape=(8, 8), seed=6).counts != first.counts).any()
    flat = simulate.iron_oxides(20, shape=(8, 8), seed=5, uneven=0.0)
    assert flat.truth is not None
    np.testing.assert_allclose(flat.truth["thickness"], 1)


@pytest.mark.parametrize(("dose", "shape"), [(0, (8, 8)), (-1, (8, 8)), (float("nan"), (8, 8)), (10, (1, 8))])
def test_impossible_phantoms_are_refused(dose: float, shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="positive dose"):
        simulate.iron_oxides(dose, shape=shape, seed=0)
