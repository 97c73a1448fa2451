"""Alignment of phases and components: invariance under permutation and scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesspec import InputError
from bayesspec.labels import accuracy, interior, match_components, match_compositions, match_phases, spectral_angle

permutations = st.permutations(range(4)).map(np.array)


@settings(max_examples=25, deadline=None)
@given(permutations)
def test_any_permutation_of_the_phases_is_undone(order):
    reference = np.random.default_rng(0).integers(0, 4, (9, 11))
    found = np.argsort(order)[reference]
    assert np.array_equal(match_phases(found, reference), order)
    assert accuracy(found, reference) == 1.0


@settings(max_examples=25, deadline=None)
@given(permutations)
def test_any_permutation_and_scale_of_the_components_is_undone(order):
    reference = np.random.default_rng(0).gamma(0.3, size=(4, 50))
    found = 7.5 * reference[order]
    assert np.array_equal(match_components(found, reference), order)
    assert np.array_equal(match_compositions(found, reference), order)


def test_accuracy_counts_pixels_without_a_phase_as_wrong_and_ignores_those_without_a_truth():
    reference = np.array([[0, 0, 0, 1, 1, -1]])
    found = np.array([[1, 1, -1, 0, 1, 0]])
    assert accuracy(found, reference) == pytest.approx(3 / 5)


def test_phases_that_are_left_over_have_no_partner():
    reference = np.array([[0, 0, 0, 0, 1, 1]])
    found = np.array([[0, 0, 2, 0, 1, 1]])
    assert match_phases(found, reference).tolist() == [0, 1, -1]
    assert match_phases(reference, found).tolist() == [0, 1]


def test_spectral_angle_has_its_closed_forms():
    assert spectral_angle([1.0, 0.0], [0.0, 3.0]) == pytest.approx(90)
    assert spectral_angle([1.0, 1.0], [2.0, 0.0]) == pytest.approx(45)
    assert spectral_angle([1.0, 0.0], [1.0, 1e-9]) == pytest.approx(np.degrees(1e-9), rel=1e-6)
    assert np.isnan(spectral_angle([0.0, 0.0], [1.0, 0.0]))


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"shapes \(2, 3\) and \(2, 4\)"):
        match_components(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(InputError, match=r"\(3, 3\) and \(2, 2\)"):
        match_phases(np.zeros((3, 3), int), np.zeros((2, 2), int))
    with pytest.raises(InputError, match="pixels that have a phase in both"):
        accuracy(np.full((2, 2), -1), np.zeros((2, 2), int))


def test_interior_leaves_out_what_touches_another_phase_or_none() -> None:
    labels = np.zeros((5, 7), int)
    labels[:, 4:] = 1
    labels[0, 0] = -1
    inside = interior(labels)
    assert inside[:, 5:].all()
    assert not inside[:, 3:5].any()
    assert not inside[:2, :2].any()
    assert inside[2:, :3].all()


def test_numbers_that_are_no_phases_are_refused():
    with pytest.raises(InputError, match="up to 32767"):
        accuracy(np.array([0, 1]), np.array([0, 2**40]))
