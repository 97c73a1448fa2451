"""The generative model of a spectrum of known shapes, and the engines that are held to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, init_to_value
from numpyro.infer.util import log_density
from scipy.special import gammaln, xlogy

from bayesspec.inference.linear_poisson.every_pixel import fit_pixels
from bayesspec.inference.linear_poisson.one_spectrum import draw_intensities, fit_intensities
from bayesspec.inference.linear_poisson.uncertain_shapes import fit_uncertain
from bayesspec.models import linear_poisson

AXIS = np.arange(40.0)
PEAKS = [np.exp(-0.5 * ((AXIS - at) / 3.0) ** 2) / (3.0 * np.sqrt(2 * np.pi)) for at in (10, 17, 30)]
DESIGN = np.column_stack([*PEAKS, np.full(40, 1 / 40)])
TRUTH = np.array([300.0, 80.0, 0.0, 400.0])


def log_joint(counts, intensities):
    """By NumPyro, without the constant of the flat prior."""
    with jax.enable_x64(True):
        sites = {"intensities": jnp.maximum(jnp.asarray(intensities), 1e-9)[None]}
        value, _ = log_density(linear_poisson.model, (counts[None], DESIGN), {}, sites)
    return float(value) - intensities.size * np.log(linear_poisson.FLAT_RATE)


def nuts(counts, start, **options):
    with jax.enable_x64(True):
        first = {name: jnp.asarray(value) for name, value in start.items()}
        kernel = NUTS(linear_poisson.model, init_strategy=init_to_value(values=first))
        sampler = MCMC(kernel, num_warmup=300, num_samples=2000, progress_bar=False)
        sampler.run(jax.random.PRNGKey(0), counts[None], DESIGN, **options)
        return np.asarray(sampler.get_samples()["intensities"])[:, 0]


def test_engine_deviance_is_that_of_the_model():
    counts = np.random.default_rng(0).poisson(DESIGN @ TRUTH)
    fit = fit_intensities(DESIGN, counts)
    perfect = (xlogy(counts, counts) - counts - gammaln(counts + 1)).sum()
    assert perfect - fit.deviance / 2 == pytest.approx(log_joint(counts, fit.intensities))


def test_derivatives_at_the_mode_are_those_of_the_model():
    counts = np.random.default_rng(1).poisson(DESIGN @ TRUTH)
    fit = fit_intensities(DESIGN, counts)
    for j in range(4):
        step = np.zeros(4)
        step[j] = 0.01
        ahead = (log_joint(counts, fit.intensities + sign * step) for sign in (2, 1))
        slope = (next(ahead) - next(ahead)) / 0.01
        # from zero an intensity can only rise, and there the likelihood falls
        assert slope == pytest.approx(fit.gradient[j], abs=2e-3)


def test_draws_are_those_of_nuts():
    counts = np.random.default_rng(2).poisson(DESIGN @ TRUTH)
    fit = fit_intensities(DESIGN, counts)
    ours = draw_intensities(fit, np.random.default_rng(0), 4000)
    theirs = nuts(counts, {"intensities": np.maximum(fit.intensities, 5.0)[None]})
    sd = theirs.std(axis=0)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 0.2 * sd).all()
    assert ours.std(axis=0) == pytest.approx(sd, rel=0.12)
    np.testing.assert_allclose(np.corrcoef(ours.T), np.corrcoef(theirs.T), atol=0.1)


def test_with_uncertain_shapes_intensities_and_their_errors_are_those_of_nuts():
    rng = np.random.default_rng(3)
    errors = np.column_stack([25.0 * np.gradient(PEAKS[0]), 60.0 * PEAKS[1]])
    design = 10.0 * DESIGN
    counts = rng.poisson(np.maximum(design @ TRUTH + errors @ np.array([1.0, -1.0]), 0))
    fit = fit_uncertain(DESIGN, counts, errors, fit_intensities(DESIGN, counts).intensities).fit
    ours = draw_intensities(fit, np.random.default_rng(0), 4000)
    start = {"intensities": np.maximum(fit.intensities, 5.0)[None], "errors": np.zeros(2)}
    theirs = nuts(counts, start, shape_errors=errors)
    sd = theirs.std(axis=0)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 0.25 * sd).all()
    assert ours.std(axis=0) == pytest.approx(sd, rel=0.12)
    exact = draw_intensities(fit_intensities(DESIGN, counts), np.random.default_rng(0), 4000)
    assert sd[1] > 1.2 * exact[:, 1].std()  # errors of the shapes are part of it


def test_every_pixel_is_at_the_mode_of_the_model():
    counts = np.random.default_rng(4).poisson(np.array([[0.1], [1.0], [20.0]]) * (DESIGN @ TRUTH))
    found, covariances, converged = fit_pixels(counts, DESIGN)
    assert converged
    for pixel, at, covariance in zip(counts, found.astype(float), covariances, strict=True):
        best = fit_intensities(DESIGN, pixel)
        lost = log_joint(pixel, best.intensities) - log_joint(pixel, at)
        assert -1e-4 < lost < 0.02
        np.testing.assert_allclose(covariance, covariance.T, rtol=1e-5)
        assert np.linalg.eigvalsh(covariance.astype(float)).min() > 0


def test_dims_name_every_axis_and_errors_are_there_where_given():
    counts = np.random.default_rng(5).poisson(DESIGN @ TRUTH, (3, 40))
    with jax.enable_x64(True):
        trace, plain = (
            handlers.trace(handlers.seed(linear_poisson.model, 0)).get_trace(counts[:1], DESIGN, **options)
            for options in ({"shape_errors": DESIGN[:, :2]}, {})
        )
    latent = {name: site["value"].shape for name, site in trace.items() if not site.get("is_observed", True)}
    assert latent == {"intensities": (1, 4), "errors": (2,)}
    assert {name: len(dims) for name, dims in linear_poisson.DIMS.items()} == {n: len(s) for n, s in latent.items()}
    assert "errors" not in plain
