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


@pytest.mark.parametrize(
    ("dose", "shape", "said"),
    [
        (0, (8, 8), "number between 0 and"),
        (-1, (8, 8), "number between 0 and"),
        (float("nan"), (8, 8), "number between 0 and"),
        (10, (1, 8), "number of pixels"),
    ],
)
def test_impossible_phantoms_are_refused(dose: float, shape: tuple[int, int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        simulate.iron_oxides(dose, shape=shape, seed=0)


def test_compounds_count_what_the_truth_expects() -> None:
    image = simulate.compounds(300, shape=(48, 48), seed=1)
    truth = image.truth
    assert truth is not None
    assert len(np.unique(truth["labels"])) == len(truth["phases"]) == 5
    np.testing.assert_allclose(truth["spectra"].sum(axis=1), 1)
    for phase, spectrum in enumerate(truth["spectra"]):
        counted = image.counts[truth["labels"] == phase].sum(axis=0, dtype=np.int64)
        expected = counted.sum() * spectrum
        chi2 = ((counted - expected) ** 2 / expected)[expected > 5]
        assert chi2.mean() == pytest.approx(1, abs=5 * np.sqrt(2 / len(chi2)))
    lines = dict(zip(truth["lines"], truth["intensities"].T, strict=True))
    iron = truth["phases"].index("magnetite")
    assert lines["Fe_Ka"][iron] / lines["O_Ka"][iron] == pytest.approx(OXIDE_RATIOS[0])
    assert lines["Mn_Kb"][iron] == 0
    assert np.isnan(truth["ratio"]).sum() == 3


def test_particles_mix_inside_a_pixel() -> None:
    image = simulate.particles(100, shape=(64, 64), seed=2)
    assert image.truth is not None
    abundances = image.truth["abundances"]
    largest = abundances.max(axis=2) / abundances.sum(axis=2)
    assert (largest < 0.9).mean() > 0.3
    assert abundances.min() >= 0
    np.testing.assert_allclose(abundances.sum(axis=2), 100 * image.truth["thickness"] / image.truth["thickness"].mean())
    assert image.counts_per_pixel == pytest.approx(100, abs=5 * 10 / 64)


def test_edges_are_where_they_belong_and_clean_is_clean() -> None:
    image = simulate.eels_edges(1e7, 32, seed=0, noise="none")
    truth = image.truth
    assert truth is not None
    expected = truth["abundances"] @ truth["spectra"]
    assert np.abs(image.counts - expected).max() <= 0.5
    for edge, energy in zip(truth["edges"], simulate.EDGE_ENERGIES_EV, strict=True):
        below, above = (edge[np.searchsorted(image.energy, energy + shift)] for shift in (-20, 20))
        assert below < 0.02 * above
    assert truth["abundances"].sum(axis=2).min() > 0
    noisy = simulate.eels_edges(200, 32, seed=0)
    assert noisy.counts_per_pixel == pytest.approx(200, abs=5 * np.sqrt(200) / 32)


def test_mixtures_are_weights_times_pictures() -> None:
    image = simulate.beatles(2e6, (6, 7), seed=3, size=16, noise="none")
    assert image.truth is not None
    assert image.counts.shape == (6, 7, 256)
    weights, *_ = np.linalg.lstsq(image.truth["spectra"].T, image.counts.reshape(42, -1).T, rcond=None)
    np.testing.assert_allclose(weights.T, image.truth["abundances"].reshape(42, -1), rtol=1e-3, atol=5)


def test_gaussian_mixtures_have_the_signal_to_noise_ratio_asked_for() -> None:
    data = simulate.beatles_gaussian(5.0, 300, seed=1, size=32)
    clean = (data.weights @ data.pictures).values
    noise = (data["values"].values - clean).std()
    assert np.sqrt(np.mean(clean**2)) / noise == pytest.approx(5, rel=5 / np.sqrt(2 * clean.size))
    exact = simulate.beatles_gaussian(None, 5, seed=1, size=32)
    np.testing.assert_array_equal(exact["values"], exact["clean"])


def test_pictures_are_four_and_differ() -> None:
    drawn = simulate.pictures(48)
    assert drawn.shape == (4, 48, 48)
    assert drawn.min() == 0
    assert drawn.max() <= 1
    assert np.abs(np.corrcoef(drawn.reshape(4, -1)) - np.eye(4)).max() < 0.5
    coarse = drawn.reshape(4, 16, 3, 16, 3).mean(axis=(2, 4))
    for fine, small in zip(coarse, simulate.pictures(16), strict=True):
        assert np.corrcoef(fine.ravel(), small.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    "make",
    [
        lambda: simulate.compounds(0, seed=0),
        lambda: simulate.particles(10, (1, 5), seed=0),
        lambda: simulate.eels_edges(10, 8, seed=0),
        lambda: simulate.eels_edges(float("inf"), seed=0),
        lambda: simulate.eels_edges(10, 16, seed=0, noise="gaussian"),
        lambda: simulate.beatles(-1, seed=0),
        lambda: simulate.beatles_gaussian(0.0, seed=0),
        lambda: simulate.beatles_gaussian(1.0, 0, seed=0),
    ],
)
def test_impossible_samples_are_refused(make) -> None:
    with pytest.raises(InputError):
        make()


def test_counts_beyond_sixteen_bits_are_counted():
    image = simulate.iron_oxides(3e6, (2, 2), seed=0)
    assert image.counts_per_pixel == pytest.approx(3e6, rel=0.01)
    assert image.counts.max() > 2**16
