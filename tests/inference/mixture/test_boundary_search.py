"""Phases whose boundaries run through pixels are found, and nothing is found where none do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesspec.inference.mixture.boundary_search import boundary_phases, deviating, distance_between
from bayesspec.inference.mixture.fit import MixtureFit
from bayesspec.inference.mixture.path import fit_path
from bayesspec.inference.mixture.settings import SETTINGS

SIZE, FINE = 48, 4
OXIDES = np.array([[1.0, 0.783], [1.0, 0.698]]) / np.array([[1.783], [1.698]])
FAR = np.array([[0.5, 0.3, 0.2], [0.3, 0.5, 0.2]])


def shares_of(phases: int, seed: int, *, sharp: bool = False) -> np.ndarray:
    """Shares (y, x, phase) of blobs; whole pixels where `sharp`."""
    rng = np.random.default_rng(seed)
    fine = 1 if sharp else FINE
    fields = [gaussian_filter(rng.normal(size=(SIZE * fine,) * 2), 4 * fine, mode="wrap") for _ in range(phases)]
    labels = np.argmax([field / field.std() for field in fields], axis=0)
    return np.eye(phases)[labels].reshape(SIZE, fine, SIZE, fine, phases).mean(axis=(1, 3))


def best_of(counts: np.ndarray, most: int) -> MixtureFit:
    return min(fit_path(counts, most, candidates=range(1, most + 1)), key=lambda fit: fit.bic)


NOWHERE = np.zeros((SIZE, SIZE), bool)


@pytest.fixture(scope="module")
def crossed() -> tuple[np.ndarray, np.ndarray]:
    """Counts and shares of two distinct phases, for which a plain mixture has more."""
    shares = shares_of(2, 0)
    return np.random.default_rng(1).poisson(2000 * shares @ FAR), shares


def test_boundaries_that_a_mixture_takes_for_phases_are_none(crossed: tuple[np.ndarray, np.ndarray]) -> None:
    counts, shares = crossed
    start = best_of(counts, 4)
    assert start.n_phases > 2
    found = boundary_phases(start, range(1, 5), counts, NOWHERE)
    assert found is not None
    assert found.n_phases == 2
    turn = np.argsort(-np.exp(found.log_composition[:, 0]))
    np.testing.assert_allclose(np.exp(found.log_composition[turn]), FAR, atol=0.003)
    np.testing.assert_allclose(found.shares[:, turn].reshape(shares.shape), shares, atol=0.25)
    mixed = (shares.max(axis=2) < 0.99).mean()
    assert found.boundary_share == pytest.approx(mixed, abs=0.06)
    assert not deviating(found, counts, NOWHERE)


def test_no_fewer_phases_are_fitted_than_asked_for(crossed: tuple[np.ndarray, np.ndarray]) -> None:
    counts, _ = crossed
    found = boundary_phases(fit_path(counts, 3)[2], [3], counts, NOWHERE)
    assert found is None or found.n_phases == 3


def test_whole_pixels_of_one_phase_each_show_hardly_a_boundary_and_their_ratios_hold() -> None:
    shares = shares_of(2, 2, sharp=True)
    counts = np.random.default_rng(4).poisson(3000 * shares @ OXIDES)
    found = boundary_phases(fit_path(counts, 2)[1], [1, 2], counts, NOWHERE)
    assert found is not None
    assert found.probability < SETTINGS.two_phases_before
    assert found.boundary_share == 0.0
    change = np.array([-1.0, 1.0])
    off = np.sort(found.log_composition @ change) - np.sort(np.log(OXIDES[:, 1] / OXIDES[:, 0]))
    sd = np.sqrt([change @ found.covariance[k : k + 2, k : k + 2] @ change for k in (0, 2)])
    assert (np.abs(off) < 3 * sd.max()).all()
    assert boundary_phases(fit_path(counts, 1)[0], [1, 2], counts, NOWHERE) is None


def test_two_lines_are_enough_and_excluded_pixels_say_nothing() -> None:
    shares = shares_of(2, 4)
    counts = np.random.default_rng(5).poisson(5000 * shares @ OXIDES)
    mask = NOWHERE.copy()
    mask[:10] = True
    poisoned = counts.copy()
    poisoned[:10] = [9, 90_000]
    first, second = (boundary_phases(fit_path(c, 2, mask=mask)[1], [1, 2], c, mask) for c in (counts, poisoned))
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first.log_composition, second.log_composition, atol=1e-6)
    sd = np.sqrt(np.diag(first.covariance))
    ratio = first.log_composition[:, 1] - first.log_composition[:, 0]
    assert (np.abs(np.sort(ratio) - np.log([0.698, 0.783])) < 4 * 2 * sd.max()).all()


def test_a_phase_that_hides_behind_another_is_split_off() -> None:
    shares = shares_of(3, 6)
    compositions = np.array([[0.30, 0.50, 0.20], [0.50, 0.30, 0.20], [0.51, 0.28, 0.21]])
    counts = np.random.default_rng(7).poisson(3000 * shares @ compositions)
    merged = fit_path(counts, 2)[1]
    two, three = (boundary_phases(merged, numbers, counts, NOWHERE) for numbers in ([2], [2, 3]))
    assert two is not None
    assert [found.phase for found in deviating(two, counts, NOWHERE)] == [int(np.argmax(two.log_composition[:, 0]))]
    assert three is not None
    assert three.n_phases == 3
    apart = np.abs(np.exp(three.log_composition)[:, None] - compositions[None]).max(axis=2)
    assert sorted(apart.argmin(axis=1)) == [0, 1, 2]
    assert apart.min(axis=1).max() < 0.004


def test_distance_between_is_none_on_the_line_and_infinite_beyond_its_ends() -> None:
    ends = np.array([[0.5, 0.3, 0.2], [0.3, 0.5, 0.2]])
    middle, off = 0.5 * ends.sum(axis=0), np.array([0.35, 0.35, 0.3])
    found = distance_between(np.log([*ends, middle]))
    np.testing.assert_allclose(found, [np.inf, np.inf, 0.0], atol=1e-7)
    assert distance_between(np.log([*ends, off]))[2] > 0.4
