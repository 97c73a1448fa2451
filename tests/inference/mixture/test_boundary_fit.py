"""Fits without and with pixels that hold two phases: modes, covariances, areas, and how both are weighed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesspec.inference.mixture import boundary_fit
from bayesspec.inference.mixture.boundary import log_likelihood, log_prior
from bayesspec.inference.mixture.boundary_fit import (
    NeighbourFit,
    fit_boundaries,
    fit_neighbours,
    fit_sharp,
    surroundings,
)

SIZE, FINE = 48, 4
SHARES = np.array([[0.56, 0.44], [0.59, 0.41]])
NOWHERE = np.zeros((SIZE, SIZE), bool)


@pytest.fixture(scope="module")
def image() -> tuple[np.ndarray, np.ndarray]:
    """Counts of two phases whose boundaries cross pixels, and the shares (y, x, phase)."""
    rng = np.random.default_rng(0)
    labels = (gaussian_filter(rng.normal(size=(SIZE * FINE,) * 2), 4 * FINE, mode="wrap") > 0).astype(int)
    shares = np.eye(2)[labels].reshape(SIZE, FINE, SIZE, FINE, 2).mean(axis=(1, 3))
    return rng.poisson(4000 * shares @ SHARES), shares


@pytest.fixture(scope="module")
def fit(image: tuple[np.ndarray, np.ndarray]) -> NeighbourFit:
    return fit_neighbours(image[0], np.log(SHARES), np.array([0.5, 0.5]), NOWHERE)


def test_the_mode_is_where_no_parameter_gains(image: tuple[np.ndarray, np.ndarray]) -> None:
    around = surroundings(image[0], np.log(SHARES), np.array([0.5, 0.5]), NOWHERE)
    found = fit_boundaries(around, fit_sharp(around), tolerance=1e-4)
    with jax.enable_x64(True):
        strip = around.image.strips[0]

        def value(step: jax.Array) -> jax.Array:
            at = found.parameters._replace(
                slopes=found.parameters.slopes + step[:7], edge=found.parameters.edge + step[7:]
            )
            return jax.vmap(log_likelihood, (None, 0, 0, 0))(at, *strip).sum() + log_prior(at)

        gradient = jax.jit(jax.grad(value))(jnp.zeros(9))
    assert np.abs(np.asarray(gradient)).max() < 1.0
    assert found.convergence.converged
    assert found.convergence.definite


def test_boundaries_are_seen_and_shares_follow_the_truth(
    image: tuple[np.ndarray, np.ndarray], fit: NeighbourFit
) -> None:
    _, shares = image
    assert fit.probability > 0.99
    assert fit.likelier is fit.crossed
    error = fit.shares.reshape(shares.shape) - shares
    assert np.sqrt(np.mean(error**2)) < 0.12
    mixed = shares.max(axis=2) < 0.99
    assert fit.crossed.pure[mixed.ravel()].mean() < 0.6 < 0.95 < fit.crossed.pure[~mixed.ravel()].mean()


def test_ratios_and_areas_are_within_their_errors(image: tuple[np.ndarray, np.ndarray], fit: NeighbourFit) -> None:
    _, shares = image
    compositions, areas = fit.draws(np.random.default_rng(0), 2000)
    np.testing.assert_allclose(compositions.sum(axis=2), 1)
    ratio = np.log(compositions[:, :, 1] / compositions[:, :, 0])
    truth = np.log(SHARES[:, 1] / SHARES[:, 0])
    assert (np.abs(ratio.mean(axis=0) - truth) < 3.5 * ratio.std(axis=0)).all()
    assert (ratio.std(axis=0) < 0.002).all()
    assert abs(areas[:, 0].mean() - shares[..., 0].mean()) < 3.5 * areas[:, 0].std()
    contrast = np.array([-1.0, 1.0])
    for phase in range(2):
        part = fit.covariance[2 * phase : 2 * phase + 2, 2 * phase : 2 * phase + 2]
        assert ratio[:, phase].std() == pytest.approx(np.sqrt(contrast @ part @ contrast), rel=0.08)


def test_strips_of_pixels_change_nothing(
    image: tuple[np.ndarray, np.ndarray], fit: NeighbourFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary_fit, "STRIP", 1000)
    other = fit_neighbours(image[0], np.log(SHARES), np.array([0.5, 0.5]), NOWHERE)
    np.testing.assert_allclose(other.log_composition, fit.log_composition, atol=1e-7)
    np.testing.assert_allclose(other.covariance, fit.covariance, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(other.crossed.areas, fit.crossed.areas, atol=1e-6)


@pytest.mark.parametrize("shape", [(20, 20), (1, 400)])
def test_whole_pixels_of_phases_far_apart_keep_their_labels_in_any_order(shape: tuple[int, int]) -> None:
    """A pixel of one phase is not taken for one of the other with a trace of its own."""
    far = np.array([[0.6, 0.3, 0.0999, 0.0001], [0.0001, 0.1, 0.3, 0.5999]])
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, shape)
    found = fit_neighbours(rng.poisson(300 * far[labels]), np.log(far), np.array([0.5, 0.5]), np.zeros(shape, bool))
    np.testing.assert_array_equal(found.shares.argmax(axis=1), labels.ravel())
    assert found.boundary_share < 0.02
    np.testing.assert_allclose(np.exp(found.log_composition), far, atol=0.01)


def test_an_edge_of_unknown_profile_widens_the_way_to_the_other_phases() -> None:
    logs = np.log(np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.2, 0.2, 0.6]]))
    added = boundary_fit._edge_error(logs, np.array([0.5, 0.5, 0.0]), 2.0)
    apart = logs[1] - logs[0]
    np.testing.assert_allclose(added[:3, :3], (2 * boundary_fit.EDGE_ERROR) ** 2 * np.outer(apart, apart))
    assert (added[:3, 3:] == 0).all()
