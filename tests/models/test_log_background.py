"""The generative model of edges on a power law, and the engine that is held to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, init_to_value
from numpyro.infer.util import log_density
from scipy.special import gammaln, xlogy

from bayesspec.inference.linear_poisson.log_background import fit_log_background
from bayesspec.models import log_background

ENERGY = np.arange(300.0, 700.0, 8.0)
LOG = np.log(ENERGY / 450)
TERMS = np.stack([np.ones_like(LOG), LOG, LOG**2], axis=1)
EDGE = (ENERGY > 450) * (ENERGY / 450) ** -3.0
FINE = np.exp(-0.5 * ((ENERGY - 460) / 6.0) ** 2)
DESIGN = np.stack([EDGE, FINE], axis=1)
PRECISION = np.array([0.0, 0.0, 0.3**-2, 0.0, 50.0**-2])
COUNTS = np.random.default_rng(0).poisson(np.exp(TERMS @ np.array([6.0, -3.2, 0.1])) + DESIGN @ np.array([150.0, 40.0]))
GIVEN = {"terms": TERMS, "design": DESIGN, "precision": PRECISION}


def test_log_joint_is_that_of_the_model_and_the_fit_its_mode():
    fit = fit_log_background(TERMS, DESIGN, COUNTS, PRECISION)
    at = np.concatenate([fit.background, fit.intensities])
    perfect = (xlogy(COUNTS, COUNTS) - COUNTS - gammaln(COUNTS + 1)).sum()
    sd = np.where(PRECISION > 0, 1 / np.sqrt(np.maximum(PRECISION, 1e-300)), log_background.FLAT_SD)
    ours = perfect - fit.deviance / 2 - 0.5 * (at**2 / sd**2).sum() - np.log(sd * np.sqrt(2 * np.pi)).sum()
    with jax.enable_x64(True):

        def log_joint(values):
            sites = {"background": values[:3], "intensities": values[3:]}
            return log_density(log_background.model, (COUNTS,), GIVEN, sites)[0]

        theirs, slope = jax.value_and_grad(log_joint)(jnp.asarray(at))
    assert ours == pytest.approx(float(theirs), abs=1e-6)
    assert (np.abs(slope) * np.sqrt(np.diag(fit.covariance)) < 1e-2).all()


def test_mode_and_covariance_are_those_of_nuts():
    fit = fit_log_background(TERMS, DESIGN, COUNTS, PRECISION)
    with jax.enable_x64(True):
        start = {"background": jnp.asarray(fit.background), "intensities": jnp.asarray(fit.intensities)}
        kernel = NUTS(log_background.model, init_strategy=init_to_value(values=start), dense_mass=True)
        sampler = MCMC(kernel, num_warmup=400, num_samples=1500, progress_bar=False)
        sampler.run(jax.random.PRNGKey(0), COUNTS, **GIVEN)
        drawn = np.concatenate([np.asarray(sampler.get_samples()[n]) for n in ("background", "intensities")], axis=1)
    sd = drawn.std(axis=0)
    assert (np.abs(drawn.mean(axis=0) - np.concatenate([fit.background, fit.intensities])) < 0.2 * sd).all()
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(sd, rel=0.12)


def test_dims_name_every_axis_of_every_latent_site():
    with jax.enable_x64(True):
        trace = handlers.trace(handlers.seed(log_background.model, 0)).get_trace(COUNTS // 10**9, **GIVEN)
    latent = {name: site["value"].shape for name, site in trace.items() if not site.get("is_observed", True)}
    assert latent == {"background": (3,), "intensities": (2,)}
    assert all(len(log_background.DIMS[name]) == 1 for name in latent)
