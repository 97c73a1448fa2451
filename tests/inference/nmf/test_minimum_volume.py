"""From the best fit to the one that is meant: least background, closest spectra."""

import jax
import numpy as np
import pytest

from bayesspec.inference.nmf.background_transfer import nowhere_absent, transfer_background
from bayesspec.inference.nmf.minimum_volume import smallest_simplex
from bayesspec.inference.nmf.mode import NmfMode, fit_mode
from bayesspec.inference.status import Status


def as_mode(abundances: np.ndarray, spectra: np.ndarray, fixed: int = 0) -> NmfMode:
    sums = spectra.sum(axis=1)
    weights, shares = (abundances * sums).astype(np.float32), (spectra / sums[:, None]).astype(np.float32)
    return NmfMode(shares, weights, 1.0, 1, Status.CONVERGED, fixed, np.linspace(0.8, 1.0, len(spectra)))


def truth(seed: int = 0, floor: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Abundances with many zeros and spectra without any."""
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.full(40, 0.7), 3) + floor / 40
    abundances = rng.gamma(1.0, 2000.0, (400, 3)) * (rng.random((400, 3)) < 0.6) + 0.1
    return abundances, spectra / spectra.sum(axis=1, keepdims=True)


def angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a.astype(float), b))
    return np.degrees(np.arccos(np.clip((a @ b.T).max(axis=1), -1, 1)))


def test_spectra_that_are_too_extreme_are_drawn_together() -> None:
    abundances, spectra = truth()
    apart = np.eye(3) + 0.2 * (np.eye(3) - 1 / 3)  # as likelihood does: holes in spectra, no zero in the abundances
    start = as_mode(abundances @ np.linalg.inv(apart), np.maximum(apart @ spectra, 1e-6))
    found = smallest_simplex(start, 0, 0)
    assert angles(start.spectra, spectra).max() > 3.0
    assert angles(found.spectra, spectra).max() < 1.5
    mean = start.abundances.astype(float) @ start.spectra
    np.testing.assert_allclose(found.abundances.astype(float) @ found.spectra, mean, rtol=0.2, atol=0.02 * mean.max())
    assert (np.diff(found.abundances.sum(axis=0)) <= 0).all()


def test_the_way_is_shortened_where_single_pixels_say_more_than_their_groups() -> None:
    rng = np.random.default_rng(3)
    spectra = rng.dirichlet(np.full(40, 0.3), 3)
    abundances = 1e5 * rng.uniform(0.0, 1.0, (2000, 3))  # few pixels come near a corner
    counts = rng.poisson(abundances @ spectra).astype(np.uint32)
    mode = as_mode(abundances, spectra)
    assert angles(smallest_simplex(mode, 0, 0).spectra, spectra).max() > 1.0
    assert angles(smallest_simplex(mode, 0, 0, counts=counts).spectra, spectra).max() < 0.5


def test_absent_components_do_not_shorten_the_way() -> None:
    abundances, spectra = truth()
    apart = np.eye(3) + 0.2 * (np.eye(3) - 1 / 3)
    counts = np.random.default_rng(1).poisson(abundances @ spectra).astype(np.uint16)
    start = as_mode(abundances @ np.linalg.inv(apart), np.maximum(apart @ spectra, 1e-6))
    fitted = fit_mode(counts, 3, key=jax.random.key(0), init=(start.abundances, start.spectra))
    found, whole = (smallest_simplex(fitted, 0, 0, counts=given) for given in (counts, None))
    np.testing.assert_allclose(found.spectra, whole.spectra)


def test_a_background_that_is_absent_from_some_pixels_is_told_from_one_that_is_everywhere() -> None:
    abundances, spectra = truth()
    shape, own = np.linspace(2.0, 1.0, 40)[None], np.random.default_rng(1).gamma(1.0, 1000.0, (400, 1))
    everything = np.concatenate([spectra, shape / shape.sum()])
    for background, everywhere in ((own, False), (0.5 * abundances.sum(axis=1, keepdims=True) + 0.05 * own, True)):
        mode = as_mode(np.concatenate([abundances, background], axis=1), everything, 1)
        assert nowhere_absent(mode, 0) is everywhere


def test_one_component_stays() -> None:
    mode = as_mode(np.ones((5, 1)), np.ones((1, 4)))
    assert smallest_simplex(mode, 0, 0) is mode


@pytest.mark.parametrize("loaded", [0.2, 0.6])
def test_background_is_taken_out_of_the_components(loaded: float) -> None:
    abundances, spectra = truth(floor=0.0)
    spectra[0, :15] = spectra[1, 25:] = 1e-7
    spectra /= spectra.sum(axis=1, keepdims=True)
    energy = np.linspace(1, 4, 40)
    shapes = np.stack([energy**-2.0, energy**-3.0])
    shapes /= shapes.sum(axis=1, keepdims=True)
    mixed = spectra.copy()
    mixed[0] = (1 - loaded) * spectra[0] + loaded * shapes.mean(axis=0)
    everything = np.concatenate([abundances, np.full((400, 2), 1000.0)], axis=1)
    mode = as_mode(everything, np.concatenate([mixed, shapes]), 2)
    found = transfer_background(mode, 2, 0)
    assert angles(found.spectra[:1], spectra[:1])[0] < 3.0
    np.testing.assert_allclose(found.spectra[3:], mode.spectra[3:])
    np.testing.assert_allclose(found.abundances.sum(axis=1), everything.sum(axis=1), rtol=1e-3)
    assert found.abundances[:, 3:].mean() > mode.abundances[:, 3:].mean() + 0.3 * loaded * abundances[:, 0].mean()
