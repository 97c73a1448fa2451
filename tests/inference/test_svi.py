"""The compiled variational loop on models whose posterior is known."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import autoguide

from bayesspec.errors import InputError
from bayesspec.inference.status import Status
from bayesspec.inference.svi import run_svi

DATA = jnp.asarray(np.random.default_rng(0).normal(2.0, 1.0, (40, 3)))


@pytest.fixture
def strict() -> Iterator[None]:
    """Strict dtypes alone: NumPyro's guides promote ranks where they draw."""
    with jax.numpy_dtype_promotion("strict"):
        yield


def model(data, *, scale=1.0):
    mean = numpyro.sample("mean", dist.Normal(0.0, 5.0).expand([3]).to_event(1))
    numpyro.sample("data", dist.Normal(jnp.broadcast_to(mean, data.shape), scale).to_event(2), obs=data)


def test_finds_the_normal_posterior():
    fit = run_svi(model, (DATA,), {"scale": 1.0}, key=jax.random.key(0), draws=2000)
    precision = 40.0 + 1 / 25.0
    np.testing.assert_allclose(fit.draws["mean"].mean(axis=0), np.asarray(DATA).sum(axis=0) / precision, atol=0.03)
    np.testing.assert_allclose(fit.draws["mean"].std(axis=0), precision**-0.5, rtol=0.12)
    assert fit.status is Status.CONVERGED
    assert fit.losses[-300:].mean() < fit.losses[:300].mean()


def test_takes_a_given_guide_and_stops_at_the_step_limit():
    guide = autoguide.AutoDelta(model)
    fit = run_svi(model, (DATA,), key=jax.random.key(0), guide=guide, chunk=50, max_steps=100, draws=5)
    assert fit.status is Status.STEP_LIMIT
    assert len(fit.losses) == 100
    assert fit.draws["mean"].shape == (5, 3)
    np.testing.assert_array_equal(fit.draws["mean"][0], fit.draws["mean"][4])


def test_takes_a_guide_that_is_a_function():
    def guide(data):
        location = numpyro.param("location", jnp.zeros(3))
        numpyro.sample("mean", dist.Normal(location, 0.16).to_event(1))

    fit = run_svi(model, (DATA,), key=jax.random.key(0), guide=guide, chunk=300, draws=500)
    np.testing.assert_allclose(fit.draws["mean"].mean(axis=0), fit.params["location"], atol=0.03)
    np.testing.assert_allclose(fit.params["location"], np.asarray(DATA).mean(axis=0), atol=0.06)


def test_the_model_is_traced_a_few_times_only():
    traced = []

    def counted(data):
        traced.append(1)
        model(data)

    run_svi(counted, (DATA,), key=jax.random.key(0), chunk=20, max_steps=200, draws=2)
    assert len(traced) < 16


def test_steps_without_a_finite_gradient_are_left_out():
    def holed(data):
        model(data)
        extra = numpyro.sample("extra", dist.Normal(0.0, 1.0))
        numpyro.factor("hole", jnp.where(jnp.floor(1e3 * extra) % 10 == 0, jnp.nan, 0.0))

    fit = run_svi(holed, (DATA,), key=jax.random.key(0), chunk=300, draws=500)
    assert 0.01 < np.isnan(fit.losses).mean() < 0.3
    assert fit.status is Status.CONVERGED
    np.testing.assert_allclose(fit.draws["mean"].mean(axis=0), np.asarray(DATA).mean(axis=0), atol=0.06)


def test_divergence_is_said():
    fit = run_svi(model, (DATA,), key=jax.random.key(0), learning_rate=1e38, chunk=10, draws=2)
    assert fit.status is Status.DIVERGED


def test_interruption_keeps_the_best():
    def stop(done, _):
        if done >= 100:
            raise KeyboardInterrupt

    fit = run_svi(model, (DATA,), key=jax.random.key(0), chunk=50, draws=2, progress=stop)
    assert fit.status is Status.INTERRUPTED
    assert len(fit.losses) == 100


def test_a_model_may_ask_for_the_values_of_its_arguments():
    def looking(data):
        model(data, scale=float(np.asarray(data).std()))

    fit = run_svi(looking, (DATA,), key=jax.random.key(0), chunk=300, draws=500)
    np.testing.assert_allclose(fit.draws["mean"].mean(axis=0), np.asarray(DATA).mean(axis=0), atol=0.06)
    other = run_svi(looking, (DATA + 1.0,), key=jax.random.key(0), chunk=300, draws=500)
    np.testing.assert_allclose(other.draws["mean"].mean(axis=0), np.asarray(DATA).mean(axis=0) + 1.0, atol=0.06)


def test_a_given_guide_is_left_as_it_was():
    guide = autoguide.AutoNormal(model)
    run_svi(model, (DATA,), key=jax.random.key(0), guide=guide, chunk=20, max_steps=20, draws=2)
    assert guide.prototype_trace is None


def test_a_far_first_loss_does_not_stop_it_early():
    def far(data):
        log_rate = numpyro.sample("log_rate", dist.Normal(0.0, 10.0).expand([3]).to_event(1))
        rates = jnp.broadcast_to(jnp.exp(log_rate), data.shape)
        numpyro.sample("data", dist.Poisson(rates).to_event(1), obs=data)

    counts = jnp.asarray(np.random.default_rng(1).poisson([1e2, 1e3, 1e4], (30, 3)))
    fit = run_svi(far, (counts,), key=jax.random.key(0), draws=500)
    assert fit.status is Status.CONVERGED
    assert fit.losses[0] > 1e5
    np.testing.assert_allclose(fit.draws["log_rate"].mean(axis=0), np.log(counts.mean(axis=0)), atol=4e-3)
    np.testing.assert_allclose(fit.draws["log_rate"].std(axis=0), 1 / np.sqrt(counts.sum(axis=0)), rtol=0.25)


def test_starts_that_disagree_are_said():
    def two_wells():
        place = numpyro.sample("place", dist.Uniform(-6.0, 6.0))
        numpyro.factor("wells", -jnp.square(jnp.square(place) - 9.0) + 3.0 * place)

    fits = [run_svi(two_wells, key=jax.random.key(seed), starts=2, chunk=100, draws=2) for seed in range(6)]
    apart = np.array([fit.bounds[0] - fit.bounds[1] for fit in fits])
    assert (apart < 1).any()
    assert (apart > 10).any()
    for fit, difference in zip(fits, apart, strict=True):
        assert fit.status is (Status.STARTS_DISAGREE if difference > 1 else Status.CONVERGED)
        assert (fit.draws["place"] > 0).all() or fit.bounds.max() < 5


def test_refuses_no_draws():
    with pytest.raises(InputError, match="draws=0"):
        run_svi(model, (DATA,), key=jax.random.key(0), draws=0)


def test_weights_of_a_laplace_approximation_are_those_of_its_normal():
    laplace = autoguide.AutoLaplaceApproximation
    fit = run_svi(model, (DATA,), key=jax.random.key(0), guide=laplace, draws=100)
    assert np.ptp(fit.log_weights) < 0.3  # the posterior is normal, its mode found to a small part of its width

    def kinks(data):
        place = numpyro.sample("place", dist.Laplace(0.0, 1.0))
        numpyro.sample("data", dist.Laplace(place, 1.0).expand(data.shape).to_event(2), obs=data)

    without = run_svi(kinks, (DATA,), key=jax.random.key(0), guide=laplace, max_steps=500, draws=100)
    assert np.ptp(without.draws["place"]) == 0  # no curvature at the mode: one point in place of a posterior
    assert not np.isfinite(without.log_weights).all()
