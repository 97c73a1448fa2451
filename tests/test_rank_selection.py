"""Choice of the rank: how far the image is made coarser, and what is said."""

import jax
import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.rank_selection import choose_rank, coarser, count_matrix_of, pixel_block
from bayesspec.spectrum_image import SpectrumImage

ENERGY = np.arange(1.0, 65.0)


def image_of(counts_per_pixel: float, side: int = 24, seed: int = 0) -> SpectrumImage:
    """Three components whose spectra and places differ."""
    rng = np.random.default_rng(seed)
    spectra = np.exp(-0.5 * ((ENERGY - np.array([15.0, 30.0, 45.0])[:, None]) / 6) ** 2) + 0.02
    spectra = spectra / spectra.sum(axis=1, keepdims=True)
    shares = rng.dirichlet(np.full(3, 0.3), (side // 6, side // 6)).repeat(6, axis=0).repeat(6, axis=1)
    return SpectrumImage(rng.poisson(counts_per_pixel * shares @ spectra), energy=ENERGY)


def test_three_components_are_chosen_and_every_rank_is_scored() -> None:
    table, verdict, chosen = choose_rank(image_of(300), [1, 2, 3, 4], jax.random.key(0))
    assert chosen == 3
    assert verdict.startswith("3 components")
    assert table["score"].values[:2].max() < -100
    assert table["verdict"].values[2] == "chosen"


def test_a_rank_that_was_asked_for_is_kept() -> None:
    _, verdict, chosen = choose_rank(image_of(300), [2], jax.random.key(0))
    assert (chosen, verdict) == (2, "2 components, as asked")


def test_blocks_grow_as_counts_fall_and_keep_all_counts() -> None:
    assert [pixel_block(image_of(c)) for c in (600, 200, 40, 1)] == [1, 2, 3, 3]
    image = image_of(40)
    assert coarser(image).shape[:2] == (8, 8)
    assert coarser(image).counts.sum() == image.counts.sum()


def test_blocks_stay_small_where_excluded_pixels_are_everywhere() -> None:
    mask = np.zeros((24, 24), bool)
    mask[::2, ::2] = True
    assert pixel_block(image_of(40).with_mask(mask)) == 1


def test_matrix_leaves_out_what_is_excluded() -> None:
    image = image_of(40).with_mask(np.arange(24 * 24).reshape(24, 24) < 100).with_mask(ENERGY > 60)
    assert count_matrix_of(image).shape == (24 * 24 - 100, 60)
    with pytest.raises(InputError, match="no counts in 0 pixels"):
        count_matrix_of(image.with_mask(np.ones((24, 24), bool)))
