"""The generative model of the composition mixture: what NumPyro makes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, Predictive, init_to_value
from numpyro.infer.util import log_density

from bayesspec.inference.mixture.fit_number import log_joint
from bayesspec.inference.mixture.log_joint import Pixels
from bayesspec.inference.mixture.scatter import Scattered, log_likelihood
from bayesspec.models import composition_mixture


def point(rng, pixels=40, channels=4, phases=3, covariates=2):
    composition = rng.dirichlet(np.full(channels, 3.0), phases)
    x = rng.normal(size=(pixels, covariates))
    totals = rng.integers(0, 3000, pixels)
    counts = np.stack([rng.multinomial(n, composition[k % phases]) for k, n in enumerate(totals)])
    return counts, composition, rng.normal(size=(phases, 1 + covariates)), x


@pytest.mark.parametrize("with_x", [True, False])
@pytest.mark.parametrize("phases", [1, 3])
def test_engine_log_joint_is_that_of_the_model(with_x, phases, strict):
    counts, composition, weights, x = point(np.random.default_rng(0), phases=phases)
    x, weights = (x, weights) if with_x else (None, weights[:, :1])
    ours = log_joint(counts, composition, weights, x)
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        sites = {"composition": jnp.asarray(composition), "weights": jnp.asarray(weights)}
        options = {"phases": phases, "covariates": x}
        theirs, _ = log_density(composition_mixture.model, (counts,), options, sites)
    assert ours == pytest.approx(float(theirs), rel=1e-9)


def test_scatter_summed_over_positions_is_that_of_the_engine(strict):
    rng = np.random.default_rng(4)
    counts, composition, weights, x = point(rng, pixels=12, phases=2)
    scatter = 0.1 * rng.normal(size=composition.shape)
    at = np.linspace(-7, 7, 561)
    with jax.enable_x64(True):
        ours = np.asarray(pixel_log_likelihood(counts, composition, scatter, weights, x))
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        sites = {"composition": composition, "weights": weights, "scatter": scatter}
        options = {"phases": 2, "covariates": x, "scatter_scale": 0.3}

        def given(t):
            values = sites | {"position": jnp.full(len(counts), t)}
            run = handlers.substitute(handlers.seed(composition_mixture.model, 0), values)
            return handlers.trace(run).get_trace(counts, **options)["counts"]["fn"].log_prob(jnp.asarray(counts))

        theirs = np.stack([np.asarray(value) for value in jax.lax.map(given, jnp.asarray(at))])
    weight = np.exp(-0.5 * at**2) * (at[1] - at[0]) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(ours, np.log(weight @ np.exp(theirs)), rtol=2e-4)


def pixel_log_likelihood(counts, composition, scatter, weights, x):
    design = np.concatenate([np.ones((len(counts), 1)), x], axis=1)
    pixels = Pixels(*(jnp.asarray(part, jnp.float64) for part in (counts, counts.sum(axis=1), design)))
    return log_likelihood(Scattered(*(jnp.asarray(p) for p in (np.log(composition), scatter, weights))), pixels, 257)


def test_dims_name_every_axis_of_every_latent_site():
    counts, _, _, x = point(np.random.default_rng(1))
    trace = handlers.trace(handlers.seed(composition_mixture.model, 0)).get_trace(counts, phases=3, covariates=x)
    latent = {name: site for name, site in trace.items() if site["type"] == "sample" and not site["is_observed"]}
    assert set(latent) == {"composition", "weights"}
    run = handlers.trace(handlers.seed(composition_mixture.model, 0))
    trace = run.get_trace(counts, phases=3, covariates=x, scatter_scale=0.1)
    latent = {name: site for name, site in trace.items() if site["type"] == "sample" and not site["is_observed"]}
    assert set(latent) == set(composition_mixture.DIMS)
    for name, dims in composition_mixture.DIMS.items():
        assert latent[name]["value"].ndim == len(dims)
    assert latent["position"]["value"].shape == (len(counts),)
    assert latent["composition"]["value"].shape == (3, 4)
    assert latent["weights"]["value"].shape == (3, 3)


def test_runs_under_nuts_and_canonical_orders_the_phases():
    rng = np.random.default_rng(2)
    counts = np.concatenate([rng.multinomial(60, p, 20) for p in ([0.8, 0.2], [0.3, 0.7])])
    start = composition_mixture.initial(counts, phases=2, key=jax.random.key(0))
    assert start["composition"].shape == (2, 2)
    kernel = NUTS(composition_mixture.model, init_strategy=init_to_value(values=start))
    sampler = MCMC(kernel, num_warmup=100, num_samples=100, progress_bar=False)
    sampler.run(jax.random.PRNGKey(1), counts, phases=2)
    draws = composition_mixture.canonical(sampler.get_samples())
    np.testing.assert_allclose(draws["composition"].mean(axis=0)[:, 0], [0.8, 0.3], atol=0.05)
    np.testing.assert_allclose(draws["composition"].sum(axis=2), 1.0, rtol=1e-5)


def test_counts_drawn_from_the_model_keep_their_totals():
    counts, composition, weights, x = point(np.random.default_rng(3))
    draws = {"composition": jnp.asarray(composition)[None], "weights": jnp.asarray(weights)[None]}
    drawn = Predictive(handlers.uncondition(composition_mixture.model), draws)(
        jax.random.key(0), counts, phases=3, covariates=x
    )["counts"]
    assert drawn.shape == (1, *counts.shape)
    np.testing.assert_array_equal(drawn[0].sum(axis=1), counts.sum(axis=1))
