"""The generative model of a mixture of lines, and the engine that is held to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, init_to_value
from numpyro.infer.util import log_density
from scipy.special import gammaln

from bayesspec.inference.linear_poisson.mixing_distribution import MixingLikelihood, fit_mixing_distribution
from bayesspec.inference.linear_poisson.profile_likelihood import allowed_drop, profile_ends
from bayesspec.models import line_mixture

DESIGN = np.kron(np.eye(3), np.ones((2, 1))) + 0.05
TRUTH = np.array([[0.7, 0.3, 0.0], [0.1, 0.2, 0.7]])
POINTS = 2
"""Points of the distribution that NUTS samples, enough for pixels of one component each."""


def counted(seed=0, pixels=60, mean=80):
    rng = np.random.default_rng(seed)
    share = np.arange(pixels) < pixels // 2
    rate = np.column_stack([share, 1 - share]) @ TRUTH @ (DESIGN / DESIGN.sum(axis=0)).T
    return rng.poisson(mean * rate)


def log_joint(counts, weights, shares, probabilities):
    """By NumPyro, without the constants: those of the flat Dirichlets and the multinomial coefficients."""
    sites = {"weights": weights, "shares": shares, "probabilities": probabilities}
    options = {"components": len(weights), "points": len(probabilities)}
    with jax.enable_x64(True):
        sites = {name: jnp.asarray(value) for name, value in sites.items()}
        value, _ = log_density(line_mixture.model, (counts, DESIGN), options, sites)
    flat = [(len(weights), weights.shape[1]), (len(shares), len(weights)), (1, len(probabilities))]
    constant = sum(n * gammaln(size) for n, size in flat)
    return float(value) - constant - (gammaln(counts.sum(axis=1) + 1).sum() - gammaln(counts + 1).sum())


@pytest.mark.parametrize("components", [1, 2, 3])
def test_engine_log_likelihood_is_that_of_the_model(components):
    rng, counts = np.random.default_rng(1), counted()
    w, f, p = (rng.dirichlet(np.ones(n), m) for m, n in ((components, 3), (4, components), (1, 4)))
    ours = MixingLikelihood(counts, DESIGN).responsibilities(w, f, p[0])[0]
    assert ours == pytest.approx(log_joint(counts, w, f, p[0]), rel=1e-9)


def test_no_draw_of_nuts_is_more_likely_than_the_mode_or_lies_outside_the_ranges():
    counts = counted()
    problem = MixingLikelihood(counts, DESIGN)
    best = fit_mixing_distribution(problem, TRUTH + 0.05)

    def line(k, j):
        slope = np.zeros((2, 3))
        slope[k, j] = 1.0
        return lambda weights: (float(weights[k, j]), slope)

    places = [(0, 0), (1, 2)]
    best, ends = profile_ends(problem, best, [line(*at) for at in places], 0.9)
    even = np.linspace(0.02, 0.98, POINTS)
    shares, probabilities = np.column_stack([even, 1 - even]), np.full(POINTS, 1 / POINTS)
    with jax.enable_x64(True):
        values = (best.weights + 1e-3) / (1 + 3e-3), shares, probabilities
        start = dict(zip(("weights", "shares", "probabilities"), map(jnp.asarray, values), strict=True))
        kernel = NUTS(line_mixture.model, init_strategy=init_to_value(values=start))
        nuts = MCMC(kernel, num_warmup=100, num_samples=300, progress_bar=False)
        nuts.run(jax.random.PRNGKey(0), counts, DESIGN, components=2, points=POINTS)
        drawn = {name: np.asarray(values) for name, values in nuts.get_samples().items()}
    likely = np.array(
        [
            problem.responsibilities(*each)[0]
            for each in zip(drawn["weights"], drawn["shares"], drawn["probabilities"], strict=True)
        ]
    )
    assert likely.max() <= best.log_likelihood + 0.05
    inside = best.log_likelihood - likely < allowed_drop(best.weights, 0.9)
    assert inside.sum() > 25
    for (k, j), (low, high) in zip(places, ends, strict=True):
        values = drawn["weights"][inside, k, j]
        width = high.value - low.value
        assert low.value - 0.05 * width < values.min()
        assert values.max() < high.value + 0.05 * width
        assert np.ptp(values) > 0.4 * width  # and the ranges are no wider than they must be


def test_dims_name_every_axis_of_every_latent_site():
    with jax.enable_x64(True):
        run = handlers.trace(handlers.seed(line_mixture.model, 0))
        trace = run.get_trace(counted(), DESIGN, components=2, points=5)
    latent = {name: site["value"].shape for name, site in trace.items() if not site.get("is_observed", True)}
    assert latent == {"weights": (2, 3), "shares": (5, 2), "probabilities": (5,)}
    assert {name: len(dims) for name, dims in line_mixture.DIMS.items()} == {n: len(s) for n, s in latent.items()}
