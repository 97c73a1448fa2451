"""Comparisons: the scores have their closed forms, and what does not belong to the data is refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multinomial, poisson

from bayesspec import InputError, LineMaps, SpectrumImage, classical, element_maps, simulate
from bayesspec.comparison.deviance import component_deviance, phase_deviance
from bayesspec.comparison.side_by_side import compare


@pytest.fixture(scope="module")
def image():
    return simulate.iron_oxides(3000, (30, 24), seed=0)


@pytest.fixture(scope="module")
def maps(image):
    return element_maps(image, ["Fe_Ka", "O_Ka"])


def test_one_table_of_phases_and_one_of_components_with_the_truth(image, maps):
    results = [classical.kmeans(maps, 2), classical.svd(image, 2), classical.kmeans(maps, 2, smooth=2.0)]
    scores = compare(image, results)
    assert [table.title for table in scores.tables] == ["Phases", "Components"]
    assert [len(table.rows) for table in scores.tables] == [3, 1]
    first = scores.phases[0]
    ratio = results[0].ratio("Fe_Ka", "O_Ka").mean.values
    true = np.array([0.783, 0.698])[first.partners]
    assert first.ratio_errors["Fe_Ka/O_Ka"] == pytest.approx(ratio / true - 1)
    assert first.accuracy > 0.8
    assert scores.components[0].angles[np.argmax(scores.components[0].partners == 0)] < 90
    assert "0.783, 0.698" in scores.to_text()
    assert scores.to_html().count("<table>") == 2
    assert r"\toprule" in scores.to_tex()


def test_without_a_truth_nothing_is_said_about_it(maps):
    bare = classical.kmeans(maps, 2)
    scores = compare(replace(maps, truth=None), [bare])
    assert scores.phases[0].accuracy is None
    assert "labels right" not in scores.to_text()
    given = compare(replace(maps, truth=None), [bare], truth=maps.truth)
    assert given.phases[0].accuracy == compare(maps, [bare]).phases[0].accuracy


def test_phase_deviance_is_that_of_the_mixture_of_multinomials(maps):
    seg = classical.kmeans(maps, 2)
    counts, labels = maps.window_counts().reshape(-1, len(maps.windows)).astype(int), seg.labels.values.ravel()
    shares = np.stack([counts[labels == k].sum(0) / counts[labels == k].sum() for k in range(2)])
    weights = np.bincount(labels) / len(labels)
    totals = counts.sum(1)
    likelihood = sum(w * multinomial.pmf(counts, totals, p) for w, p in zip(weights, shares, strict=True))
    best = [multinomial.logpmf(y, n, y / n) for y, n in zip(counts, totals, strict=True)]
    assert phase_deviance(maps, seg) == pytest.approx(2 * np.mean(best - np.log(likelihood)), rel=1e-9)


def test_labels_that_follow_the_noise_do_not_gain():
    counts = np.random.default_rng(0).poisson([300, 400], (40, 40, 2))
    uniform = LineMaps(counts, lines=("Fe_Ka", "O_Ka"))
    one, two = classical.kmeans(uniform, 1), classical.kmeans(uniform, 2)
    assert phase_deviance(uniform, two) > phase_deviance(uniform, one)


def test_component_deviance_is_poisson_and_skips_what_is_excluded(image):
    mask = np.zeros(image.shape[:2], bool)
    mask[:4] = True
    small = image.with_mask(mask).with_mask(np.arange(1000) < 30)
    fit = classical.nmf(small, 2, max_iterations=20)
    rate = (fit.abundances["mean"].values.astype(float) @ fit.spectra["mean"].values.astype(float))[4:, :, 30:]
    counts = image.counts[4:, :, 30:].astype(int)
    floor = 1e-3 * counts.sum(2, keepdims=True) * counts.sum((0, 1)) / counts.sum()
    rate = np.maximum(rate, floor)
    expected = 2 * np.mean(poisson.logpmf(counts, np.maximum(counts, 1e-300)) - poisson.logpmf(counts, rate))
    deviance, negative = component_deviance(small, fit)
    assert deviance == pytest.approx(expected, rel=1e-6)
    assert negative == 0


def test_more_components_fit_closer_and_negative_entries_are_counted(image):
    scores = compare(image, [classical.svd(image, k) for k in (1, 2)])
    assert scores.components[1].deviance < scores.components[0].deviance
    assert scores.components[1].negative > 0


def test_results_of_other_data_are_refused(image, maps):
    fit, seg = classical.svd(image, 1), classical.kmeans(maps, 2)
    with pytest.raises(InputError, match="no results"):
        compare(image, [])
    with pytest.raises(InputError, match="line maps of shape"):
        compare(maps, [fit])
    with pytest.raises(InputError, match="of shape"):
        compare(image.crop(y=(0, 10)), [seg])
    assert compare(image.crop(energy=(0.3, 9.0)).rebin(energy=2), [seg]).phases
    with pytest.raises(InputError, match="SVD"):
        compare(image.crop(energy=(0.2, 8.0)), [fit])
    with pytest.raises(InputError, match="SpectrumImage"):
        compare(image, [image])


def test_cells_are_escaped(maps):
    seg = classical.kmeans(maps, 2)
    seg.data.attrs["method"] = "<script>alert(1)</script> & 50 %_"
    scores = compare(maps, [seg])
    assert "<script>" not in scores.to_html()
    assert r"\& 50 \%\_" in scores.to_tex()


def test_an_image_of_one_spectrum_can_be_compared():
    image = SpectrumImage(np.array([[5, 3, 2, 8], [1, 2, 8, 9], [4, 4, 1, 1]]), energy=np.arange(1, 5.0))
    assert np.isfinite(compare(image, [classical.svd(image, 1)]).components[0].deviance)
