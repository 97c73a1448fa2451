"""The search that ends at the phases that are reported."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesspec.inference.mixture.boundary_fit import NeighbourFit
from bayesspec.inference.mixture.fit import MixtureFit
from bayesspec.inference.mixture.path import fit_path
from bayesspec.inference.mixture.search import find_phases

SHARES = np.array([[0.55, 0.35, 0.10], [0.61, 0.29, 0.10], [0.15, 0.15, 0.70]])
SIZE = 64


def sample(dose: float) -> np.ndarray:
    """Counts of three phases, the first two alike."""
    rng = np.random.default_rng(3)
    fields = [gaussian_filter(rng.normal(size=(SIZE, SIZE)), 5, mode="wrap") for _ in range(2)]
    labels = np.where(fields[0] > 0.5 * fields[0].std(), 2, (fields[1] > 0).astype(int))
    return rng.poisson(dose * SHARES[labels])


@pytest.fixture(scope="module")
def stuck() -> tuple[np.ndarray, np.ndarray, list[MixtureFit]]:
    """Counts that tell three phases apart, and a path whose search for the third went wrong."""
    counts = sample(250)
    path = fit_path(counts, 3)
    worse = replace(path[2], pixel_log_likelihood=path[2].pixel_log_likelihood - 1.0)
    return counts, np.zeros((SIZE, SIZE), bool), [*path[:2], worse]


def test_a_phase_that_the_path_missed_is_found_and_has_ratios(
    stuck: tuple[np.ndarray, np.ndarray, list[MixtureFit]],
) -> None:
    counts, mask, path = stuck
    fits = find_phases(path, range(1, 4), counts, mask, seed=0)
    assert (fits.measured.n_phases, fits.resolved, fits.unresolved) == (3, True, ())
    found = np.exp(fits.measured.log_composition)
    apart = np.abs(found[:, None] - SHARES[None]).max(axis=2)
    assert sorted(apart.argmin(axis=1)) == [0, 1, 2]
    assert apart.min(axis=1).max() < 0.01


def test_no_phase_is_split_beyond_the_numbers_to_choose_from(
    stuck: tuple[np.ndarray, np.ndarray, list[MixtureFit]],
) -> None:
    counts, mask, path = stuck
    assert find_phases(path[:2], [2], counts, mask, seed=0).measured.n_phases == 2


def test_one_phase_alone_to_choose_from_is_said_to_hide_more() -> None:
    counts = sample(40)
    fits = find_phases(fit_path(counts, 1), [1], counts, np.zeros((SIZE, SIZE), bool), seed=0)
    assert (fits.measured.n_phases, fits.hidden) == (1, True)


def test_windows_without_lines_do_not_make_the_score_for_uneven_phases_blunt() -> None:
    background = np.random.default_rng(4).poisson(np.ones((SIZE, SIZE, 40)))
    counts = np.concatenate([sample(14), background], axis=2)
    path, mask = fit_path(counts, 2, candidates=[2]), np.zeros((SIZE, SIZE), bool)
    merged = int(path[1].log_composition[:, 2].argmin())
    assert find_phases(path, [2], counts, mask, seed=0, lines=3).uneven == (merged,)
    assert find_phases(path, [2], counts, mask, seed=0).uneven == ()


@pytest.mark.parametrize(("blur", "heard"), [(3.0, True), (None, False)])
def test_labels_hear_the_probabilities_around_where_there_are_patches(blur: float | None, *, heard: bool) -> None:
    rng = np.random.default_rng(5)
    field = rng.normal(size=(SIZE, SIZE))
    labels = ((field if blur is None else gaussian_filter(field, blur, mode="wrap")) > 0).astype(int)
    counts = rng.poisson(2000 * np.array([[0.44, 0.56], [0.41, 0.59]])[labels])
    fits = find_phases(fit_path(counts, 2), [1, 2], counts, np.zeros((SIZE, SIZE), bool), seed=0)
    assert fits.clear
    assert isinstance(fits.measured, NeighbourFit) == heard  # whose shares know those of the pixels around
