"""Choice of the rank: how far the image is made coarser, and what is said."""

import jax
import numpy as np
import pytest
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.image.count_matrix import counts_of
from bayesspec.image.pixel_blocks import coarser, likeness, pixel_block
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.noise.check import NoiseCheck
from bayesspec.inference.noise.dispersion import NoiseLevel
from bayesspec.inference.noise.singular_values import SpectralRank
from bayesspec.plot import scree
from bayesspec.spectroscopy.odd_channels import odd_channels
from bayesspec.workflows.select_rank import (
    _decide,
    _Evidence,
    _verdict,
    choose_rank,
    select_rank,
)

ENERGY = np.arange(1.0, 65.0)


def image_of(counts_per_pixel: float, side: int = 24, seed: int = 0) -> SpectrumImage:
    """Three components whose spectra and places differ."""
    rng = np.random.default_rng(seed)
    spectra = np.exp(-0.5 * ((ENERGY - np.array([15.0, 30.0, 45.0])[:, None]) / 6) ** 2) + 0.02
    spectra = spectra / spectra.sum(axis=1, keepdims=True)
    shares = rng.dirichlet(np.full(3, 0.3), (side // 6, side // 6)).repeat(6, axis=0).repeat(6, axis=1)
    return SpectrumImage(rng.poisson(counts_per_pixel * shares @ spectra), energy=ENERGY)


def choice(image: SpectrumImage, numbers: list[int]) -> tuple[xr.Dataset, str, int]:
    return choose_rank(counts_of(image), odd_channels(image), numbers, jax.random.key(0))


def test_three_components_are_chosen_and_every_rank_is_scored() -> None:
    table, verdict, chosen = choice(image_of(300), [1, 2, 3, 4])
    assert chosen == 3
    assert verdict.startswith("3 components")
    assert table["score"].values[:2].max() < -100
    assert table["verdict"].values[2] == "chosen"


def test_a_rank_that_was_asked_for_is_kept() -> None:
    _, verdict, chosen = choice(image_of(300), [2])
    assert (chosen, verdict) == (2, "2 components, as asked")


def test_blocks_grow_as_counts_fall_and_keep_all_counts() -> None:
    assert [pixel_block(counts_of(image_of(c))) for c in (600, 200, 40, 1)] == [1, 2, 3, 3]
    counts = counts_of(image_of(40))
    coarse = coarser(counts)
    assert coarse.valid.shape == (8, 8)
    assert coarse.matrix.sum() == counts.matrix.sum()


def test_pixels_without_likeness_to_their_neighbours_are_not_summed() -> None:
    image = image_of(200)
    order = np.random.default_rng(1).permutation(24 * 24)
    shuffled = SpectrumImage(image.counts.reshape(24 * 24, -1)[order].reshape(image.counts.shape), energy=ENERGY)
    assert pixel_block(counts_of(image)) == 2
    assert pixel_block(counts_of(shuffled)) == 1


def test_likeness_is_the_correlation_of_neighbours_without_their_noise() -> None:
    rng = np.random.default_rng(2)
    side, spectra = 60, np.stack([np.linspace(1.5, 0.5, 64), np.linspace(0.5, 1.5, 64)])
    shares = rng.uniform(size=(side, side))
    paired = (shares[:, :-1] + shares[:, 1:]) / 2  # beside each other along x: correlation a half; along y: none
    rates = np.stack([paired, 1 - paired], axis=2) @ spectra
    mask = np.zeros(paired.shape, bool)
    mask[:7] = True
    found = likeness(counts_of(SpectrumImage(rng.poisson(5 * rates), energy=ENERGY).with_mask(mask)))
    assert found == pytest.approx(0.25, abs=0.04)
    assert likeness(counts_of(SpectrumImage(rng.poisson(np.full((30, 30, 64), 0.3)), energy=ENERGY))) == 1.0


def test_blocks_stay_small_where_excluded_pixels_are_everywhere() -> None:
    mask = np.zeros((24, 24), bool)
    mask[::2, ::2] = True
    assert pixel_block(counts_of(image_of(40).with_mask(mask))) == 1


def test_matrix_leaves_out_what_is_excluded() -> None:
    image = image_of(40).with_mask(np.arange(24 * 24).reshape(24, 24) < 100).with_mask(ENERGY > 60)
    assert counts_of(image).shape == (24 * 24 - 100, 60)
    with pytest.raises(InputError, match="no counts in 0 pixels"):
        counts_of(image.with_mask(np.ones((24, 24), bool)))


def test_three_voices_make_one_table_and_one_figure() -> None:
    table = select_rank(image_of(300), range(1, 6))
    assert (table.attrs["rank"], table.attrs["spectral_rank"], table.attrs["bound_rank"]) == (3, 3, 3)
    assert set(table.data_vars) >= {"score", "error", "bound", "singular_value", "verdict", "threshold", "elbow"}
    above = table["singular_value"] > table["threshold"]
    np.testing.assert_array_equal(above, table["candidate"] <= 3)
    assert int(table["candidate"].values[table["bound"].values.argmax()]) == 3
    left, right = scree(table).axes
    assert left.get_yscale() == "log"
    assert "held-out" in right.get_ylabel()
    with pytest.raises(InputError, match="no singular values"):
        scree(table.drop_vars("singular_value"))


def test_singular_values_find_what_held_out_counts_cannot_separate() -> None:
    table = select_rank(image_of(12), range(1, 5))
    assert table.attrs["rank"] == 3
    assert table.attrs["held_out_rank"] <= 3


@pytest.mark.parametrize(("fourth", "chosen"), [(1.6, 3), (6.0, 4)])
def test_what_held_out_counts_do_not_confirm_must_be_strong(fourth: float, chosen: int) -> None:
    values = np.array([30.0, 15.0, 10.0, fourth, 1.2])
    edge = SpectralRank(4, values, 1.35, (576, 64))
    flags = np.zeros(5, np.int8), np.zeros((2, 2), np.int8)
    check = NoiseCheck(NoiseLevel(1.0, 0.01, 0.0, 1.0), None, np.full((2, 2), np.nan), *flags, edge, edge, 4)
    table = xr.Dataset(
        {"score": ("candidate", [-99.0, -50, 0, -40]), "error": ("candidate", [9.0, 9, 0, 9])},
        coords={"candidate": [1, 2, 3, 4]},
    )
    evidence = _Evidence(3, 4, 4)
    assert _decide(evidence, table, values, check) == chosen
    said = _verdict([1, 2, 3, 4], chosen, evidence, check)
    assert ("cannot tell 3 from 4" in said) == (chosen == 3)
    assert ("held-out counts confirm 3" in said) == (chosen == 4) or chosen == 3


@pytest.mark.parametrize(("score", "chosen"), [(-30.0, 3), (-60.0, 4)])
def test_held_out_counts_add_components_only_where_they_are_clear(score: float, chosen: int) -> None:
    values = np.array([30.0, 15.0, 10.0, 1.2])
    edge = SpectralRank(3, values, 1.35, (576, 64))
    flags = np.zeros(5, np.int8), np.zeros((2, 2), np.int8)
    check = NoiseCheck(NoiseLevel(1.0, 0.01, 0.0, 1.0), None, np.full((2, 2), np.nan), *flags, edge, edge, 3)
    table = xr.Dataset(
        {"score": ("candidate", [-99.0, -80, score, 0]), "error": ("candidate", [9.0, 9, 10, 0])},
        coords={"candidate": [1, 2, 3, 4]},
    )
    assert _decide(_Evidence(4, 3, 3), table, values, check) == chosen


def test_scattered_rates_are_modelled_and_said() -> None:
    rng = np.random.default_rng(0)
    image = image_of(2000)
    scattered = rng.poisson(image.counts * rng.gamma(25, 1 / 25, image.counts.shape))
    with pytest.warns(UserWarning, match="times the variance of Poisson counts"):
        table = select_rank(SpectrumImage(scattered, energy=ENERGY), range(1, 7))
    assert table.attrs["rank"] == 3
    assert "not" not in table.attrs["verdict"].split(";")[0]
