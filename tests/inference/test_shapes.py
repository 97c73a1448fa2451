"""The annotated shapes of the engines' arrays are checked in the tests, from the hook in the conftest of all tests."""

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from bayesspec.inference.blocks import row_divergences
from bayesspec.inference.linear_poisson.variance_parts import variance_parts
from bayesspec.inference.mixture.em import Mixture, em_step
from bayesspec.inference.pca.score_maps import smooth_scores


def test_a_channel_too_few_is_refused() -> None:
    counts, abundances = jnp.ones((1, 8, 5), jnp.uint8), jnp.ones((1, 8, 2), jnp.float32)
    assert row_divergences(counts, abundances, jnp.ones((2, 5), jnp.float32)).shape == (1, 8)
    with pytest.raises(TypeCheckError, match="channel"):
        row_divergences(counts, abundances, jnp.ones((2, 4), jnp.float32))


def test_counts_that_are_not_whole_numbers_are_refused() -> None:
    with pytest.raises(TypeCheckError, match="counts"):
        row_divergences(jnp.ones((1, 8, 5)), jnp.ones((1, 8, 2), jnp.float32), jnp.ones((2, 5), jnp.float32))


def test_pixels_and_components_in_the_wrong_order_are_refused() -> None:
    information, pull = np.tile(np.eye(2), (12, 1, 1)), np.ones((12, 2))
    assert smooth_scores(information, pull, None)[0].shape == (12, 2)
    with pytest.raises(TypeCheckError, match="pixel component"):
        smooth_scores(information, pull.T, None)


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="column"):
        variance_parts(np.ones((6, 3)), np.ones(2), 1)


def test_a_mask_that_is_not_boolean_is_refused() -> None:
    mixture = Mixture(jnp.zeros((2, 3)), jnp.zeros(2))
    em_step(mixture, jnp.ones((4, 3)), jnp.ones(2, bool))
    with pytest.raises(TypeCheckError, match="active"):
        em_step(mixture, jnp.ones((4, 3)), jnp.ones(2))
