"""Classical methods: exact answers on data without noise, the result's shape, masks and bad input."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bayesspec import InputError, LineMaps, SpectrumImage, classical, simulate
from bayesspec.labels import accuracy, match_components, spectral_angle

ENERGY = 0.1 + 0.01 * np.arange(60)


def image_of(spectra: np.ndarray, abundances: np.ndarray, **fields: object) -> SpectrumImage:
    return SpectrumImage(np.rint(abundances @ spectra).astype(int), energy=ENERGY, **fields)


@pytest.fixture(scope="module")
def parts() -> tuple[np.ndarray, np.ndarray]:
    """Three spectra without channels in common but for a floor, and abundances (12, 15, 3)."""
    rng = np.random.default_rng(1)
    centres = np.array([12, 30, 48])[:, None]
    spectra = np.exp(-0.5 * ((np.arange(60) - centres) / 4.0) ** 2)
    return spectra / spectra.sum(axis=1, keepdims=True), 1e5 * rng.dirichlet([0.5] * 3, (12, 15))


def test_svd_reconstructs_data_of_low_rank_and_gives_singular_values(parts):
    image = image_of(*parts)
    fit = classical.svd(image, 3)
    rebuilt = fit.abundances["mean"].values @ fit.spectra["mean"].values
    assert np.abs(rebuilt - image.counts).max() < 5
    flat = image.counts.reshape(-1, 60).astype(float)
    total = flat.sum()
    keep = flat.sum(0) > 0
    noise = np.sqrt(flat.sum(1)[:, None] * flat.sum(0)[keep] / total)
    expected = np.linalg.svd(flat[:, keep] / noise, compute_uv=False)[:3]
    assert fit.data["singular_values"].values == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("method", [classical.svd, classical.ica, classical.nmf])
def test_components_have_the_shape_of_a_result_and_no_uncertainty(parts, method, tmp_path):
    image = image_of(*parts, pixel_size=(2.0, 2.0), pixel_unit="nm", elements=("Fe", "O"))
    fit = method(image, 3)
    assert fit.spectra["mean"].dims == ("component", "energy")
    assert fit.abundances["mean"].dims == ("y", "x", "component")
    assert np.abs(fit.spectra["mean"].values).sum(axis=1) == pytest.approx(1, rel=1e-5)
    assert np.isnan(fit.spectra["sd"].values).all()
    assert np.isnan(fit.abundances["lower"].values).all()
    assert fit.data["energy"].attrs["units"] == "keV"
    assert not fit.fractions.known_error
    assert fit.sum_image.elements == ("Fe", "O")
    assert fit.save(tmp_path / "fit.nc").exists()


@pytest.mark.parametrize(("method", "angle"), [(classical.ica, 12), (classical.nmf, 6)])
def test_ica_and_nmf_find_separate_spectra(parts, method, angle):
    fit = method(image_of(*parts), 3)
    found = fit.spectra["mean"].values
    partner = match_components(found, parts[0])
    assert sorted(partner) == [0, 1, 2]
    assert spectral_angle(found, parts[0][partner]).max() < angle
    totals = fit.data["total_draws"].values[0]
    assert (np.diff(totals) <= 0).all()


def test_nmf_is_not_negative_reproducible_and_says_when_it_stopped_early(parts):
    image = image_of(*parts)
    first, second = (classical.nmf(image, 3, seed=4) for _ in range(2))
    assert first.spectra["mean"].values.min() >= 0
    assert first.abundances["mean"].values.min() >= 0
    assert np.array_equal(first.spectra["mean"], second.spectra["mean"])
    assert first.provenance["seed"] == 4
    short = classical.nmf(image, 3, max_iterations=10, tolerance=1e-12)
    assert not short.converged
    assert "max_iterations" in short.status


def test_signs_are_fixed_and_excluded_pixels_and_channels_stay_out(parts):
    spectra, abundances = parts
    plain = image_of(spectra, abundances)
    mask = np.zeros((12, 15), bool)
    mask[3:5, 2:9] = True
    counts = plain.counts.copy()
    counts[mask] = 7000
    channels = np.zeros(60, bool)
    channels[:5] = True
    counts[:, :, :5] = 9000
    fit = classical.svd(SpectrumImage(counts, energy=ENERGY, mask=mask, energy_mask=channels), 3)
    mean = fit.spectra["mean"].values
    assert (mean[:, :5] == 0).all()
    assert np.isnan(fit.abundances["mean"].values[mask]).all()
    assert np.isfinite(fit.abundances["mean"].values[~mask]).all()
    assert (mean[np.arange(3), np.abs(mean).argmax(axis=1)] > 0).all()
    rebuilt = (fit.abundances["mean"].values @ mean)[~mask][:, 5:]
    assert np.abs(rebuilt - plain.counts[~mask][:, 5:]).max() < 5


def test_sparse_and_dense_counts_give_the_same_components(parts):
    image = image_of(parts[0], parts[1] / 2e3)
    wide = np.concatenate([image.counts, np.zeros((12, 15, 400), np.uint8)], axis=2)
    energy = 0.1 + 0.01 * np.arange(460)
    dense, sparse = classical.svd(image, 3), classical.svd(SpectrumImage(wide, energy=energy), 3)
    assert np.allclose(dense.spectra["mean"], sparse.spectra["mean"].values[:, :60], atol=1e-6)


@pytest.mark.parametrize("rank", [0, -1, 60, 2.5, True, "3"])
def test_ranks_that_cannot_be_are_refused(parts, rank):
    with pytest.raises(InputError, match="rank="):
        classical.svd(image_of(*parts), rank)


def test_kmeans_finds_the_oxides_at_a_high_dose_and_thickness_on_raw_counts():
    maps = simulate.iron_oxide_lines(20000, (40, 40), seed=3, uneven=0.6)
    truth = maps.truth["labels"]
    by_ratio = classical.kmeans(maps, 2)
    assert accuracy(by_ratio.labels, truth) > 0.98
    assert by_ratio.ratio("Fe_Ka", "O_Ka").mean.values == pytest.approx([0.783, 0.698], rel=0.005)
    assert accuracy(classical.kmeans(maps, 2, of="normalised").labels, truth) > 0.98
    assert accuracy(classical.kmeans(maps, 2, of="counts").labels, truth) < 0.8


def test_smoothing_helps_kmeans_at_a_low_dose():
    maps = simulate.iron_oxide_lines(100, (48, 48), seed=3)
    plain, smooth = (classical.kmeans(maps, 2, smooth=s) for s in (0.0, 2.0))
    gain = accuracy(smooth.labels, maps.truth["labels"]) - accuracy(plain.labels, maps.truth["labels"])
    assert gain > 0.15


def test_kmeans_orders_phases_by_area_pools_counts_and_leaves_pixels_out():
    counts = np.zeros((6, 10, 2), int)
    counts[..., 1] = 100
    counts[:, :3, 0] = 90
    counts[:, 3:, 0] = 50
    counts[0, 0] = (5, 0)
    counts[5, 9] = (0, 0)
    mask = np.zeros((6, 10), bool)
    mask[2, 5] = True
    counts[2, 5] = 60000
    seg = classical.kmeans(LineMaps(counts, lines=("Fe_Ka", "O_Ka"), mask=mask), 2)
    labels = seg.labels.values
    assert {labels[0, 0], labels[5, 9], labels[2, 5]} == {-1}
    assert (labels[1:, :3] == 1).all()
    assert labels[3, 7] == 0
    assert seg.ratio("Fe_Ka", "O_Ka").mean.values == pytest.approx([0.5, 0.9], abs=1e-12)
    assert seg.fractions.mean.values == pytest.approx([40 / 57, 17 / 57])
    assert np.isnan(seg.probabilities.values[2, 5]).all()
    assert json.loads(seg.data.attrs["provenance"])["of"] == "ratio"


def test_kmeans_takes_an_image_and_ignores_what_is_masked_when_it_blurs():
    image = simulate.iron_oxides(2000, (24, 24), seed=0)
    mask = np.zeros((24, 24), bool)
    mask[10:14, 10:14] = True
    counts = image.counts.astype(int)
    counts[mask] = 60000
    kept = classical.kmeans(image.with_mask(mask), 2, smooth=1.5)
    spoiled = classical.kmeans(replace(image, counts=counts, mask=mask), 2, smooth=1.5)
    assert kept.lines == ("Fe_Ka", "O_Ka")
    assert np.array_equal(kept.labels, spoiled.labels)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"n": 0}, "n=0"),
        ({"n": 99}, "n=99"),
        ({"n": 2, "of": "log"}, "of='log'"),
        ({"n": 2, "smooth": -1}, "smooth=-1"),
    ],
)
def test_kmeans_refuses_what_cannot_be(arguments, found):
    maps = LineMaps(np.arange(1, 9).reshape(2, 2, 2), lines=("Fe_Ka", "O_Ka"))
    with pytest.raises(InputError, match=found):
        classical.kmeans(maps, **arguments)
