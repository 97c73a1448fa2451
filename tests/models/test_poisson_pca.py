"""The generative model of the components: what NumPyro makes of it, and that the engine agrees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import log_density
from scipy.special import gammaln

from bayesspec.inference.pca.blocks import Scores, log_rates
from bayesspec.inference.pca.denoised_rates import products_with_errors
from bayesspec.inference.pca.linear_link import fit_linear
from bayesspec.inference.pca.log_link import fit_pca
from bayesspec.models import poisson_pca


def simulated(pixels=40, channels=8, seed=0):
    rng = np.random.default_rng(seed)
    loadings = 0.5 * rng.normal(size=(1, channels))
    return rng.poisson(np.exp(2.0 + rng.normal(size=(pixels, 1)) @ loadings))


@pytest.mark.parametrize("link", ["log", "linear"])
def test_dims_name_every_axis_of_every_latent_site(link):
    counts = jnp.asarray(simulated())
    trace = handlers.trace(handlers.seed(poisson_pca.model, 0)).get_trace(counts, rank=3, link=link)
    latent = {name: site for name, site in trace.items() if site["type"] == "sample" and not site["is_observed"]}
    assert set(latent) == set(poisson_pca.DIMS) - ({"mean_log"} if link == "linear" else set())
    for name, site in latent.items():
        assert site["value"].ndim == len(poisson_pca.DIMS[name])


def test_expected_rates_are_closed_forms(strict):
    rng = np.random.default_rng(0)
    coefficients, mean = rng.normal(size=(3, 5)), rng.normal(size=(2, 1))
    root = np.array([[0.5, 0.0], [0.2, 0.3]])
    covariance = root @ root.T
    packed = np.array([covariance[0, 0], covariance[1, 0], covariance[1, 1]])[:, None]
    scores = Scores(*(jnp.asarray(a.astype(np.float32)) for a in (mean, packed)))
    ours = np.exp(log_rates(scores, jnp.asarray(coefficients.astype(np.float32))))[0]
    draws = mean[:, 0] + rng.normal(size=(400_000, 2)) @ root.T
    sampled = np.exp(coefficients[0] + draws @ coefficients[1:])
    np.testing.assert_allclose(ours, sampled.mean(axis=0), atol=5 * (sampled.std(axis=0) / 632).max())


def test_bound_lies_below_the_evidence_and_close_to_it():
    """The engine's bound against the model's own log density, with one score integrated on a grid."""
    counts = simulated()
    fit = fit_pca(counts, 1, tolerance=1e-8)
    length = float(np.sqrt(np.square(fit.scores).mean() + fit.score_covariance.mean()))
    sites = {
        "mean_log": jnp.asarray(fit.mean_log),
        "loadings": jnp.asarray(fit.components * length),
        "relevance": jnp.asarray(fit.relevance),
    }
    grid = np.linspace(-6, 6, 241)
    rate = np.exp(fit.mean_log + grid[:, None] * (fit.components * length))
    terms = counts[:, None] * np.log(rate) - rate - gammaln(counts[:, None] + 1.0)
    joint = terms.sum(axis=2) - 0.5 * grid**2 - 0.5 * np.log(2 * np.pi)
    evidence = np.log(np.exp(joint - joint.max(axis=1, keepdims=True)).sum(axis=1) * 0.05) + joint.max(axis=1)
    scores = {"scores": jnp.zeros((40, 1))}
    options = {"rank": 1, "relevance_range": (1e-3, 1e3)}
    at_zero = float(log_density(poisson_pca.model, (jnp.asarray(counts),), options, sites | scores)[0])
    prior = at_zero - float(terms[:, 120].sum()) - 40 * (-0.5 * np.log(2 * np.pi))
    log_uniform = -float(np.log(fit.relevance[0] * np.log(1e6)))
    bound = fit.bound - gammaln(counts + 1.0).sum()
    gap = evidence.sum() + prior - log_uniform - bound
    assert 0.0 < gap < 0.02 * len(counts)


def test_log_rates_agree_with_nuts():
    counts = simulated()
    sampler = MCMC(NUTS(poisson_pca.model), num_warmup=200, num_samples=500, progress_bar=False)
    sampler.run(jax.random.PRNGKey(0), jnp.asarray(counts), rank=1)
    draws = {name: np.asarray(value) for name, value in sampler.get_samples().items()}
    theirs = draws["mean_log"][:, None] + draws["scores"] @ draws["loadings"]
    fit = fit_pca(counts, 1)
    scores = np.concatenate([np.ones((40, 1)), fit.scores], axis=1)
    spread = np.pad(fit.score_covariance, ((0, 0), (1, 0), (1, 0)))
    loadings = np.concatenate([fit.mean_log[None], fit.components])
    mean, variance = products_with_errors(scores, spread, loadings, fit.channel_covariance)
    sd = theirs.std(axis=0)
    assert np.sqrt(np.mean(((mean - theirs.mean(axis=0)) / sd) ** 2)) < 0.25
    assert np.mean(np.sqrt(variance) / sd) == pytest.approx(1.0, abs=0.1)


def test_linear_rates_agree_with_nuts():
    rng = np.random.default_rng(0)
    spectra, abundances = rng.dirichlet(np.full(8, 2.0), 2), rng.gamma(2.0, 200.0, (40, 2))
    counts = rng.poisson(abundances @ spectra)
    sampler = MCMC(NUTS(poisson_pca.model), num_warmup=300, num_samples=600, progress_bar=False)
    sampler.run(jax.random.PRNGKey(0), jnp.asarray(counts), rank=2, link="linear")
    draws = {name: np.asarray(value) for name, value in sampler.get_samples().items()}
    weight = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    theirs = weight * (draws["scores"] @ draws["loadings"])
    fit = fit_linear(counts, 2)
    mean, variance = products_with_errors(fit.scores, fit.score_covariance, fit.loadings, fit.channel_covariance)
    sd = theirs.std(axis=0)
    assert np.sqrt(np.mean(((mean - theirs.mean(axis=0)) / sd) ** 2)) < 0.25
    assert np.mean(np.sqrt(variance) / sd) == pytest.approx(1.0, abs=0.1)
