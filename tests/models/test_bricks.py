"""Bricks: shapes, moments of what they draw from the prior, and that a model of them is fitted."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import Predictive

from bayesspec.models import bricks

ENERGY = np.arange(0.05, 10.0, 0.01)


def drawn(program, n=400):
    return {name: np.asarray(v) for name, v in Predictive(program, num_samples=n)(jax.random.PRNGKey(0)).items()}


def test_a_line_has_its_width_and_all_its_counts():
    response = np.asarray(bricks.line_response(ENERGY, [0.525, 6.404]))
    assert response.shape == (2, len(ENERGY))
    np.testing.assert_allclose(response.sum(axis=1), 1.0, rtol=1e-5)
    mean = response @ ENERGY
    np.testing.assert_allclose(mean, [0.525, 6.404], atol=1e-4)
    fwhm = 2.3548 * np.sqrt(response @ ENERGY**2 - mean**2)
    np.testing.assert_allclose(fwhm[1], np.hypot(0.06, 2.3548 * np.sqrt(0.115 * 3.65e-3 * 6.404)), rtol=0.01)
    assert fwhm[1] > 1.5 * fwhm[0]


def test_the_continuum_ends_at_the_beam_energy():
    shapes = np.asarray(bricks.continuum(ENERGY, beam_energy_kev=5.0))
    assert shapes.shape == (3, len(ENERGY))
    np.testing.assert_allclose(shapes.sum(axis=1), 1.0, rtol=1e-5)
    assert not shapes[:, ENERGY > 5.0].any()
    soft = shapes[:, 40] / shapes[:, 200]
    assert soft[0] > soft[1] > soft[2] > 0


ABUNDANCES = {
    "gamma": (bricks.gamma_abundances, {"mean": 50.0, "concentration": 4.0}, 50.0, 50.0 / 2),
    "lognormal": (bricks.lognormal_abundances, {"median": 50.0, "spread": 0.5}, 50.0 * np.exp(0.125), None),
    "sparse": (bricks.sparse_abundances, {"mean": 90.0}, 30.0, None),
}


@pytest.mark.parametrize("kind", ABUNDANCES)
def test_abundances_have_their_prior_moments(kind):
    brick, options, mean, sd = ABUNDANCES[kind]
    found = drawn(lambda: brick("a", 20, 3, **options))["a"]
    assert found.shape == (400, 20, 3)
    assert found.mean() == pytest.approx(mean, rel=0.05)
    assert sd is None or found.std() == pytest.approx(sd, rel=0.05)
    if kind == "sparse":
        assert (found.max(axis=2) > 0.7 * found.sum(axis=2)).mean() > 0.6


@pytest.mark.parametrize("smoothness", [0.0, 1.0])
def test_a_map_has_its_amplitude_and_its_neighbours_are_alike(smoothness):
    maps = drawn(lambda: bricks.smooth_map("m", (24, 30), amplitude=0.5, width=4.0, smoothness=smoothness))["m"]
    assert maps.shape == (400, 24, 30)
    assert np.sqrt((maps**2).mean()) == pytest.approx(0.5, rel=0.05)

    def correlation(a, b):
        return (a * b).mean() / 0.25

    near, far = correlation(maps[:, :, :-1], maps[:, :, 1:]), correlation(maps[:, :, :-15], maps[:, :, 15:])
    assert near > (0.9 if smoothness else 0.45)
    assert abs(far) < 0.2
    assert abs(correlation(maps[:, :, 0], maps[:, :, -1])) < 0.2  # nothing wraps around


def test_a_markov_map_has_the_precision_of_the_grid():
    """Of order 0 a pixel depends on its four neighbours alone."""
    maps = drawn(lambda: bricks.smooth_map("m", (5, 6), amplitude=1.0, width=2.0, smoothness=0.0), 60_000)["m"]
    precision = np.linalg.inv(np.cov(maps.reshape(len(maps), -1).T)).reshape(5, 6, 5, 6)
    middle = precision[2, 3] / precision[2, 3, 2, 3]
    expected = np.zeros((5, 6))
    expected[2, 3] = 1.0
    expected[[1, 3, 2, 2], [3, 3, 2, 4]] = -1 / (4 + 1 / 4)
    np.testing.assert_allclose(middle, expected, atol=0.02)


def test_spectra_are_moved_by_parts_of_a_channel():
    spectra = np.exp(-0.5 * ((np.arange(40.0) - 20) / 3) ** 2)[None].repeat(3, axis=0)
    moved = np.asarray(bricks.shifted(jnp.asarray(spectra), jnp.asarray([0.0, 1.5, -4.0])))
    np.testing.assert_allclose(moved[0], spectra[0], rtol=1e-6)
    np.testing.assert_allclose(moved @ np.arange(40.0) / moved.sum(axis=1), [20.0, 21.5, 16.0], atol=0.01)
    np.testing.assert_allclose(moved.sum(axis=1), spectra.sum(axis=1), rtol=1e-3)


RATE = jnp.full((5, 4), 30.0)
NOISE = {
    "scaled": (lambda: numpyro.deterministic("c", bricks.scaled_poisson("events", RATE, 3)), 90.0),
    "gained": (lambda: bricks.gained_counts("c", RATE, 2.5), 75.0),
    "dispersed": (lambda: bricks.dispersed_counts("c", RATE, 10.0), 120.0),
}


@pytest.mark.parametrize("kind", NOISE)
def test_noise_has_its_variance(kind):
    program, variance = NOISE[kind]
    found = drawn(program, 4000)["c"]
    assert found.shape == (4000, 5, 4)
    assert found.mean() == pytest.approx(30.0, rel=0.01)
    assert found.var() == pytest.approx(variance, rel=0.05)


def test_a_known_gain_is_divided_out_of_the_data():
    counts = 3.0 * np.random.default_rng(0).poisson(10.0, (5, 4))
    with numpyro.handlers.trace() as trace:
        bricks.scaled_poisson("c", RATE, 3, obs=counts)
    expected = dist.Poisson(10.0).log_prob(counts / 3).sum()
    np.testing.assert_allclose(trace["c"]["fn"].log_prob(trace["c"]["value"]), expected, rtol=1e-5)


def test_dead_time_takes_events_away():
    rate = jnp.asarray([1e2, 1e4, 1e5])
    np.testing.assert_allclose(bricks.recorded_rate(rate, 1e-5), [99.9, 9090.9, 5e4], rtol=1e-3)
    np.testing.assert_allclose(bricks.recorded_rate(rate, 1e-5, extending=True), rate * np.exp(-rate * 1e-5), rtol=1e-5)
