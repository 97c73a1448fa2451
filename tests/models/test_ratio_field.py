"""The generative model of the ratio field: what NumPyro makes of it, and that the engine agrees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS
from numpyro.infer.reparam import LocScaleReparam
from numpyro.infer.util import log_density
from scipy.special import gammaln

from bayesspec.inference.ratio_field.density import State, field, log_joint
from bayesspec.inference.ratio_field.geometry import geometry
from bayesspec.inference.ratio_field.sampler import sample_field
from bayesspec.models import ratio_field


def counts(shape, total, seed=0):
    rng = np.random.default_rng(seed)
    n = rng.poisson(total, shape)
    n.flat[1] = 0
    return rng.binomial(n, np.linspace(0.3, 0.6, n.size).reshape(shape)), n


def options(shape):
    laid = geometry(shape)
    levels = tuple((jnp.asarray(level.rows), jnp.asarray(level.columns)) for level in laid.levels)
    return {"levels": levels, "log_spacing": jnp.asarray(laid.log_spacing)}


def test_dims_name_every_axis_of_every_latent_site():
    above, total = counts((5, 9), 20.0)
    trace = handlers.trace(handlers.seed(ratio_field.model, 0)).get_trace(above, total, **options((5, 9)))
    latent = {name: site for name, site in trace.items() if site["type"] == "sample" and not site["is_observed"]}
    assert set(latent) <= set(ratio_field.DIMS)
    for name, site in latent.items():
        assert site["value"].ndim == len(ratio_field.DIMS[name])


def test_engine_log_joint_is_that_of_the_model(strict):
    rng = np.random.default_rng(1)
    shape = (5, 9)
    above, total = counts(shape, 20.0)
    laid = geometry(shape)
    u = [rng.normal(size=(level.rows.shape[1], level.columns.shape[1])) for level in laid.levels]
    with jax.enable_x64(True):
        theta = jnp.log(jnp.asarray([0.3, 2.5, 0.8]))
        state = State(jnp.asarray(0.4), tuple(jnp.asarray(v) for v in u), theta)
        device = jax.tree.map(jnp.asarray, laid)
        ours = log_joint(state, jnp.asarray(above, jnp.float64), jnp.asarray(total, jnp.float64), device)
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            sites = {"mean": 0.4, "amplitude": 0.3, "width": 2.5, "smoothness": 0.8}
            sites = {name: jnp.asarray(value) for name, value in sites.items()}
            sites |= {f"u{s}": jnp.asarray(v) for s, v in enumerate(u)}
            arguments = jnp.asarray(above, jnp.float64), jnp.asarray(total, jnp.float64)
            theirs, _ = log_density(ratio_field.model, arguments, options(shape), sites)
    constant = (gammaln(total + 1) - gammaln(above + 1) - gammaln(total - above + 1)).sum()
    assert float(ours) + constant == pytest.approx(float(theirs) + float(np.asarray(theta).sum()), rel=1e-6)


@pytest.mark.parametrize("total", [4.0, 200.0])
def test_engine_agrees_with_nuts(total):
    shape = (1, 12)
    above, n = counts(shape, total)
    found = sample_field(above, n, key=jax.random.key(0), draws=2000).log_ratio.reshape(2000, -1)
    with jax.enable_x64(True):
        device = jax.tree.map(jnp.asarray, geometry(shape))
        unit = {f"u{s}": LocScaleReparam(0.0) for s in range(len(device.levels))}  # in units of their sd
        nuts = MCMC(
            NUTS(handlers.reparam(ratio_field.model, config=unit), target_accept_prob=0.9),
            num_warmup=500, num_samples=1500, progress_bar=False,
        )  # fmt: skip
        nuts.run(jax.random.key_data(jax.random.key(1)), jnp.asarray(above), jnp.asarray(n), **options(shape))
        drawn = nuts.get_samples()
        u = tuple(drawn[f"u{s}"] for s in range(len(device.levels)))
        theirs = np.asarray(jax.vmap(lambda m, u: field(m, u, device))(drawn["mean"], u))[:, 0]
    sd = theirs.std(axis=0)
    assert np.abs(found.mean(axis=0) - theirs.mean(axis=0)).max() < 0.2 * sd.max()
    assert found.std(axis=0) == pytest.approx(sd, rel=0.15)
    for q in (0.05, 0.95):
        assert np.abs(np.quantile(found, q, axis=0) - np.quantile(theirs, q, axis=0)).max() < 0.35 * sd.max()
