"""Phases that only the neighbours tell apart."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesspec.inference.mixture.coherence import dose_covariates
from bayesspec.inference.mixture.fit import MixtureFit
from bayesspec.inference.mixture.hidden_phases import hidden_phases, split_hidden, uneven_phases
from bayesspec.inference.mixture.path import fit_path

SHARES = np.array([[0.55, 0.35, 0.10], [0.61, 0.29, 0.10], [0.15, 0.15, 0.70]])
SIZE = 72


def sample(seed: int, *, near: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Counts of three phases, the first two alike, and their labels; without `near` those are one."""
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.normal(size=(SIZE, SIZE)), 5, mode="wrap") for _ in range(2)]
    labels = np.where(fields[0] > 0.5 * fields[0].std(), 2, (fields[1] > 0).astype(int))
    shares = SHARES if near else SHARES[[0, 0, 2]]
    return rng.poisson(60 * shares[labels]), labels


@pytest.fixture(scope="module")
def near() -> tuple[np.ndarray, np.ndarray, MixtureFit]:
    counts, labels = sample(0)
    return counts, labels, fit_path(counts, 2)[1]


def test_the_phase_that_is_two_is_named_and_split(near: tuple[np.ndarray, np.ndarray, MixtureFit]) -> None:
    counts, labels, two = near
    mask = np.zeros(labels.shape, bool)
    found = hidden_phases(two, counts, mask=mask)
    merged = int(np.abs(np.exp(two.log_composition) - SHARES[:2].mean(axis=0)).sum(axis=1).argmin())
    assert [hidden.phase for hidden in found] == [merged]
    change = np.log(SHARES[0] / SHARES[1])
    assert abs(np.corrcoef(found[0].shift, change)[0, 1]) > 0.9
    dose = dose_covariates(counts.sum(axis=2))
    split = split_hidden(two, found, counts, dose, mask=mask)
    assert split.n_phases == 3
    assert split.convergence.definite
    order = np.abs(np.exp(split.log_composition)[:, None] - SHARES[None]).sum(axis=2).argmin(axis=1)
    assert sorted(order) == [0, 1, 2]
    assert (order[split.responsibilities.argmax(axis=1)] == labels.ravel()).mean() > 0.88


def test_phases_that_are_one_each_are_left_alone() -> None:
    alarms = 0
    for seed in range(6):
        counts, labels = sample(seed, near=False)
        alarms += len(hidden_phases(fit_path(counts, 2)[1], counts, mask=np.zeros(labels.shape, bool)))
    assert alarms == 0


def test_phases_that_overlap_are_not_judged(near: tuple[np.ndarray, np.ndarray, MixtureFit]) -> None:
    counts, labels, _ = near
    pair = counts * (labels < 2)[:, :, None]
    two = fit_path(pair, 2, mask=labels == 2)[1]
    assert hidden_phases(two, pair, mask=labels == 2) == []


def test_excluded_pixels_do_not_count(near: tuple[np.ndarray, np.ndarray, MixtureFit]) -> None:
    counts, labels, two = near
    mask = np.zeros(labels.shape, bool)
    mask[:, :20] = True
    other = np.where(mask[:, :, None], 50, counts)
    first, second = (hidden_phases(two, data, mask=mask) for data in (counts, other))
    assert first[0].score == second[0].score


def test_a_phase_that_is_two_is_uneven_and_phases_that_are_one_are_not() -> None:
    for seed in range(3):
        for near, number in ((True, 1), (False, 0)):
            counts, labels = sample(seed, near=near)
            known = np.eye(2)[(labels == 2).astype(int)]
            found = uneven_phases(known, counts, mask=np.zeros(labels.shape, bool))
            assert found == (0,) * number


def test_phases_that_overlap_in_every_pixel_are_not_taken_for_uneven_ones() -> None:
    counts, labels = sample(1, near=False)
    shared = np.where((labels == 2)[..., None], [0.0, 0.0, 1.0], [0.6, 0.4, 0.0])
    assert uneven_phases(shared, counts, mask=np.zeros(labels.shape, bool)) == ()
