"""What pixels hear of others, to which they have said nothing themselves."""

import numpy as np
import pytest

from bayesspec.inference.mixture.neighbour_messages import LEAST_SHARE, Messages, Votes, messages, votes

SHARES = np.array([[0.5, 0.5], [0.4, 0.6]])
SLOPES = np.array([0.6, 0.4, 0.2, 0.1])


def heard(counts: np.ndarray, here: np.ndarray) -> tuple[Votes, Messages]:
    likelihood = np.where(here[:, :, None], counts, 0) @ np.log(SHARES).T
    probability = np.exp(likelihood - likelihood.max(axis=2, keepdims=True))
    first = votes(probability / probability.sum(axis=2, keepdims=True), here)
    utilities = first.covariates.transpose(0, 1, 3, 2) @ SLOPES
    return first, messages(first, likelihood, utilities, SLOPES, here)


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    y, x = np.mgrid[:48, :48]
    return np.random.default_rng(0).poisson(300 * SHARES[(x // 12 + y // 12) % 2])


def test_a_pixels_own_counts_do_not_come_back_to_it(patches: np.ndarray) -> None:
    here = np.ones((48, 48), bool)
    changed = patches.copy()
    changed[20, 20] = changed[20, 20, ::-1] + [80, 0]
    (first, second), (other_first, other_second) = heard(patches, here), heard(changed, here)
    of_votes = np.abs(other_first.covariates - first.covariates)
    of_messages = np.abs(other_second.covariates - second.covariates)
    assert of_votes[20, 20].max() < 0.02 * of_votes[20, 21].max()
    assert of_messages[20, 20].max() < 0.05 * of_messages[20, 21].max()


def test_messages_say_what_is_around_and_how_pure_it_is(patches: np.ndarray) -> None:
    _, second = heard(patches, np.ones((48, 48), bool))
    contrast = second.covariates[:, :, 0, 1] - second.covariates[:, :, 0, 0]
    assert contrast[6, 18] > 1
    assert contrast[6, 6] < -1
    assert second.impurity[6, 6] < 0.05 < second.impurity[11, 11]
    assert np.ptp(second.covariates[:, :, 0].ravel()) < 4 * abs(np.log(LEAST_SHARE))


def test_excluded_pixels_are_not_heard(patches: np.ndarray) -> None:
    here = np.ones((48, 48), bool)
    here[:10] = False
    poisoned = patches.copy()
    poisoned[:10] = 10_000
    for one, other in zip(heard(patches, here), heard(poisoned, here), strict=True):
        np.testing.assert_array_equal(one.covariates[10:], other.covariates[10:])


def test_a_line_of_pixels_is_heard_along_it() -> None:
    labels = np.arange(256)[None] // 16 % 2
    _, second = heard(np.random.default_rng(1).poisson(300 * SHARES[labels]), np.ones((1, 256), bool))
    contrast = second.covariates[0, :, 0, 1] - second.covariates[0, :, 0, 0]
    assert np.corrcoef(contrast, labels[0])[0, 1] > 0.8
