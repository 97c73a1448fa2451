"""The generative model of components that add up, and the engine that is held to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, init_to_value
from numpyro.infer.util import log_density

from bayesspec.inference.pca import score_maps
from bayesspec.models import linear_pca

SHAPE, RANK, CHANNELS = (5, 4), 2, 8
USED = np.ones(SHAPE, bool)
USED[2, 1:3] = False


def problem(used, seed=0):
    """Loadings, counts of the pixels in use, their variances, and what the engine makes of them."""
    rng = np.random.default_rng(seed)
    loadings = rng.dirichlet(np.full(CHANNELS, 2.0), RANK)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    maps = 400 * np.stack([1.0 + np.sin(y / 2), 1.2 + np.cos(x / 2)], axis=2)[used]
    variance = maps @ loadings + 2.0
    counts = rng.poisson(variance)
    weighted = loadings / variance[:, None]
    return loadings, counts, variance, weighted @ loadings.T, np.einsum("pkc,pc->pk", weighted, counts)


def learned(monkeypatch, information, pull, used):
    """Posterior of the engine with the power spectra and the axes that it has learned."""
    kept = {}
    solve = score_maps._solve

    def spied(own, target, spectra, *rest):
        kept["power"] = np.stack(spectra)
        return solve(own, target, spectra, *rest)

    monkeypatch.setattr(score_maps, "_solve", spied)
    mean, covariance = score_maps.smooth_scores(information, pull, used)
    values, axes = np.linalg.eigh(information.mean(axis=0))
    return mean, covariance, kept["power"], axes / np.sqrt(values)


def scores_of_fields(power, axes, used):
    """Scores as a matrix times the values of the fields: (score, value)."""
    unit = np.eye(RANK * used.size).reshape(-1, RANK, *SHAPE)
    with jax.enable_x64(True):
        return np.stack([np.asarray(linear_pca.score_maps(f, power, axes))[used].ravel() for f in unit], axis=1)


@pytest.mark.parametrize("used", [np.ones(SHAPE, bool), USED], ids=["all pixels", "some excluded"])
def test_scores_are_those_of_the_model_whose_posterior_is_normal(monkeypatch, used):
    loadings, counts, variance, information, pull = problem(used)
    mean, covariance, power, axes = learned(monkeypatch, information, pull, used)
    forward = scores_of_fields(power, axes, used)
    with jax.enable_x64(True):
        given = {"variance": variance, "power": power, "axes": axes, "used": used}

        def log_joint(fields):
            sites = {"fields": fields.reshape(RANK, *SHAPE), "loadings": jnp.asarray(loadings)}
            return log_density(linear_pca.model, (counts,), given, sites)[0]

        steps = jnp.concatenate([jnp.zeros((1, forward.shape[1])), jnp.eye(forward.shape[1])])
        slopes = np.asarray(jax.jit(jax.vmap(jax.grad(log_joint)))(steps))  # linear: the posterior is normal
    exact = np.linalg.inv(slopes[:1] - slopes[1:])
    sd = np.sqrt(np.diag(forward @ exact @ forward.T)).reshape(mean.shape)
    assert np.abs(mean - (forward @ exact @ slopes[0]).reshape(mean.shape)).max() < 0.1 * sd.min()
    ours = np.sqrt(covariance.diagonal(axis1=1, axis2=2))
    assert np.median(ours / sd, axis=0) == pytest.approx(1, abs=0.1)
    assert ours == pytest.approx(sd, rel=0.35)  # the engine takes the noise around a pixel for even


def test_runs_under_nuts_and_agrees(monkeypatch):
    used = np.ones(SHAPE, bool)
    loadings, counts, variance, information, pull = problem(used)
    mean, covariance, power, axes = learned(monkeypatch, information, pull, used)
    given = {"variance": variance, "power": power, "axes": axes, "used": used}
    with jax.enable_x64(True):
        known = handlers.condition(linear_pca.model, data={"loadings": jnp.asarray(loadings)})
        start = {"fields": jnp.zeros((RANK, *SHAPE))}
        sampler = MCMC(
            NUTS(known, init_strategy=init_to_value(values=start)),
            num_warmup=200, num_samples=500, progress_bar=False,
        )  # fmt: skip
        sampler.run(jax.random.PRNGKey(0), counts, **given)
        drawn = np.asarray(sampler.get_samples()["scores"])
    sd = np.sqrt(covariance.diagonal(axis1=1, axis2=2))
    assert np.abs((drawn.mean(axis=0) - mean) / sd).max() < 0.35
    assert np.median(drawn.std(axis=0) / sd) == pytest.approx(1, abs=0.1)


def test_a_field_of_even_power_is_a_number_of_its_own_in_every_pixel():
    with jax.enable_x64(True):
        one = jnp.zeros((1, *SHAPE))
        rows = [
            np.asarray(linear_pca.score_maps(one.at[0, y, x].set(1.0), jnp.full((1, *SHAPE), 4.0), jnp.eye(1))).ravel()
            for y, x in np.ndindex(SHAPE)
        ]
    np.testing.assert_allclose(np.array(rows).T @ np.array(rows), 4.0 * np.eye(USED.size), atol=1e-12)


def test_dims_name_every_axis_of_every_site():
    _, counts, variance, _, _ = problem(USED)
    given = {"variance": variance, "power": np.ones((RANK, *SHAPE)), "axes": np.eye(RANK), "used": USED}
    with jax.enable_x64(True):
        trace = handlers.trace(handlers.seed(linear_pca.model, 0)).get_trace(counts, **given)
    shapes = {name: np.shape(site["value"]) for name, site in trace.items() if name != "counts"}
    assert shapes == {"fields": (RANK, *SHAPE), "loadings": (RANK, CHANNELS), "scores": (USED.sum(), RANK)}
    assert {name: len(dims) for name, dims in linear_pca.DIMS.items()} == {n: len(s) for n, s in shapes.items()}
