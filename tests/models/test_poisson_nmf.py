"""The generative model of the factorisation: what NumPyro makes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import log_density

from bayesspec.inference.nmf.prior import NmfPrior, log_joint
from bayesspec.models import poisson_nmf


def point(rng, pixels=12, channels=9, rank=2, fixed=0):
    spectra = rng.dirichlet(np.full(channels, 0.8), rank + fixed)
    abundances = rng.gamma(1.5, 20.0, (pixels, rank + fixed))
    shape, rate = rng.uniform(0.5, 3.0, rank + fixed), rng.uniform(0.01, 0.2, rank + fixed)
    counts = rng.poisson(abundances @ spectra)
    return counts, spectra, abundances, shape, rate


@pytest.mark.parametrize(("fixed", "seen", "flat"), [(0, False, 0), (1, False, 0), (0, True, 0), (1, False, 1)])
def test_engine_log_joint_is_that_of_the_model(fixed, seen, flat, strict):
    counts, spectra, abundances, shape, rate = point(np.random.default_rng(3), fixed=fixed)
    known = spectra[2:] if fixed else None
    elsewhere = tuple(np.arange(9.0)) if seen else None
    prior = NmfPrior(concentration=0.7, seen=(None, elsewhere), flat=flat)
    concentration = np.full((2, 9), 0.7)
    concentration[1] += np.arange(9.0) if seen else 0.0
    learned = np.arange(len(shape)) < len(shape) - flat
    used = np.where(learned, shape, 1.0), np.where(learned, rate, poisson_nmf.FLAT_RATE)
    ours = log_joint(counts, spectra, abundances, *used, n_fixed=fixed, prior=prior)
    ours += np.log(used[0] * used[1] / (shape * rate)).sum()  # the model draws them where it does not use them too
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        sites = {"spectra": spectra[:2], "abundances": abundances, "shape": shape, "rate": rate}
        sites = {name: jnp.asarray(value) for name, value in sites.items()}
        options = {
            "rank": 2,
            "concentration": jnp.asarray(concentration),
            "flat": flat,
            "fixed_spectra": known if known is None else jnp.asarray(known),
        }
        theirs, _ = log_density(poisson_nmf.model, (jnp.asarray(counts),), options, sites)
    assert ours == pytest.approx(float(theirs), rel=1e-5)


def test_a_mixed_background_is_the_fixed_one_of_these_weights():
    rng = np.random.default_rng(5)
    counts, spectra, abundances, shape, rate = point(rng, fixed=1)
    shapes, weights = rng.dirichlet(np.ones(9), 3), rng.dirichlet(np.ones(3))
    with jax.enable_x64(True):
        sites = {"spectra": spectra[:2], "abundances": abundances, "shape": shape, "rate": rate}
        sites = {name: jnp.asarray(value) for name, value in sites.items()}
        options = {"rank": 2, "fixed_spectra": jnp.asarray((weights @ shapes)[None])}
        fixed, _ = log_density(poisson_nmf.model, (jnp.asarray(counts),), options, sites)
        options, sites = {"rank": 2, "shapes": jnp.asarray(shapes)}, sites | {"weights": jnp.asarray(weights)}
        mixed, _ = log_density(poisson_nmf.model, (jnp.asarray(counts),), options, sites)
    assert float(mixed - fixed) == pytest.approx(np.log(2.0), rel=1e-6)  # the flat density over three weights


def test_dims_name_every_axis_of_every_latent_site():
    counts = jnp.asarray(point(np.random.default_rng(0))[0])
    shapes = jnp.full((2, 9), 1.0 / 9.0)
    trace = handlers.trace(handlers.seed(poisson_nmf.model, 0)).get_trace(counts, rank=3, shapes=shapes)
    latent = {name: site for name, site in trace.items() if site["type"] == "sample" and not site["is_observed"]}
    assert set(latent) == set(poisson_nmf.DIMS)
    for name, dims in poisson_nmf.DIMS.items():
        assert latent[name]["value"].ndim == len(dims)
    assert latent["spectra"]["value"].shape == (3, 9)
    np.testing.assert_allclose(latent["spectra"]["value"].sum(axis=1), 1.0, rtol=1e-5)


def test_runs_under_nuts_as_it_stands():
    counts, _, abundances, _, _ = point(np.random.default_rng(1), pixels=6, channels=5)
    sampler = MCMC(NUTS(poisson_nmf.model), num_warmup=100, num_samples=100, progress_bar=False)
    sampler.run(jax.random.PRNGKey(0), jnp.asarray(counts), rank=2)
    total = sampler.get_samples()["abundances"].sum(axis=2).mean(axis=0)
    assert np.all(np.isfinite(total))
    np.testing.assert_allclose(total.sum(), counts.sum(), rtol=0.15)
