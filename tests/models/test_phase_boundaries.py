"""The generative model of phase boundaries, and the engine that is held to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer import Predictive
from numpyro.infer.util import log_density
from scipy.special import ndtri, xlogy

from bayesspec.inference.mixture.boundary import (
    BINS,
    Parameters,
    Pixels,
    log_component_weights,
    log_joint,
    log_terms,
)
from bayesspec.models import phase_boundaries


def point(rng, mean, apart, phases=3, pixels=60, channels=4):
    """Counts, sites of the model, and what is known of the pixels."""
    composition = rng.dirichlet(np.full(channels, 5.0)) * np.exp(apart * rng.normal(size=(phases, channels)))
    sites = {
        "composition": composition / composition.sum(axis=1, keepdims=True),
        "intercepts": rng.normal(size=phases),
        "slopes": rng.normal(size=2),
        "width": np.array(0.7),
        "tail": np.array(0.4),
    }
    share = rng.dirichlet(np.full(phases, 0.3), pixels)
    counts = rng.poisson(mean * share @ sites["composition"])
    return counts, sites, {"covariates": rng.normal(size=(pixels, 2, phases)), "allowed": 3.0 * rng.normal(size=pixels)}


def both(counts, sites, known, bins):
    """Log joint by the engine and by NumPyro."""
    with jax.enable_x64(True):
        edge = jnp.log(jnp.array([sites["width"], sites["tail"]]))
        parts = (np.log(sites["composition"]), sites["intercepts"], sites["slopes"])
        at = Parameters(*(jnp.asarray(part) for part in parts), edge)
        pixels = Pixels(jnp.asarray(counts, jnp.float64), *(jnp.asarray(known[n]) for n in ("covariates", "allowed")))
        ours = float(log_joint(at, pixels))
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        options = {"phases": len(sites["composition"]), "bins": bins, **known}
        theirs, _ = log_density(phase_boundaries.model, (counts,), options, sites)
    return ours, float(theirs)


@pytest.mark.parametrize("phases", [2, 3])
def test_engine_log_joint_is_that_of_the_model_where_a_bin_of_shares_is_narrow(phases):
    ours, theirs = both(*point(np.random.default_rng(0), 4, 0.02, phases, pixels=20), BINS)
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_five_wide_bins_are_as_good_as_many_narrow_ones():
    """Pixels with the share that lies between two bins are those that the middles of the bins describe worst."""
    _, sites, known = point(np.random.default_rng(1), 1, 0.6, 2, pixels=20)
    share = np.array([0.6914624612740131, 0.3085375387259869]) @ sites["composition"]
    counts = np.random.default_rng(2).poisson(30_000 * share, (20, 4))
    known = {"covariates": 0.0 * known["covariates"], "allowed": np.full(20, 8.0)}
    ours, theirs = both(counts, sites, known, 40)
    coarse = both(counts, sites, known, BINS)[1]
    assert abs(ours - theirs) < 0.1 * abs(coarse - theirs)


def test_phases_far_apart_have_the_log_joint_of_many_narrow_bins():
    """The five bins of a profile are coarse; a series in the share, cut off, is wrong by thousands of nats here."""
    counts, sites, known = point(np.random.default_rng(1), 2000, 2.5, 2)
    ours, theirs = both(counts, sites, known, 100)
    assert abs(ours - theirs) < 0.2 * len(counts)


@pytest.mark.parametrize("apart", [0.3, 1.5, 2.5])
def test_no_two_phases_explain_a_pixel_better_than_its_own_shares_of_counts(apart):
    counts, sites, known = point(np.random.default_rng(5), 1000, apart)
    with jax.enable_x64(True):
        edge = jnp.log(jnp.array([sites["width"], sites["tail"]]))
        at = Parameters(
            *(jnp.asarray(p) for p in (np.log(sites["composition"]), sites["intercepts"], sites["slopes"])), edge
        )

        def likelihood(own, covariates, allowed):
            weight = log_component_weights(at.intercepts + at.slopes @ covariates, allowed, edge)
            return log_terms(at, own, covariates, allowed) - weight

        pixels = (jnp.asarray(counts, jnp.float64), *(jnp.asarray(known[n]) for n in ("covariates", "allowed")))
        best = np.asarray(jax.jit(jax.vmap(likelihood))(*pixels)).max(axis=1)
    assert (best <= xlogy(counts, counts / counts.sum(axis=1, keepdims=True)).sum(axis=1) + 1e-6).all()


def test_weights_are_probabilities_and_a_boundary_of_no_width_is_none():
    rng = np.random.default_rng(2)
    utilities, allowed = jnp.asarray(rng.normal(size=(50, 3))), jnp.asarray(rng.normal(size=50))
    weights = jnp.exp(phase_boundaries.log_weights(utilities, allowed, 0.6, 0.5, 40))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-4)
    none = jnp.exp(phase_boundaries.log_weights(utilities, allowed, 1e-4, 0.5, 40))
    np.testing.assert_allclose(none[:, :3], jax.nn.softmax(utilities, axis=1), atol=1e-3)


def test_shares_follow_the_utilities_as_the_story_says():
    """Gumbel variables drawn one by one give the closed probabilities of the shares."""
    rng = np.random.default_rng(3)
    utilities, width, tail = np.array([0.5, 0.0, -0.5]), 0.8, 0.6
    drawn = utilities + rng.gumbel(size=(400_000, 3))
    ordered = np.sort(drawn, axis=1)
    ahead, first, second = ordered[:, 2] - ordered[:, 1], drawn.argmax(axis=1), drawn.argsort(axis=1)[:, 1]
    share = np.linspace(0.5, 0.9937, 2000)
    linear = 6 * (share - 0.5)
    at = width * (linear + tail * (ndtri(share) / ndtri(2 / 3) - linear))
    held = np.interp(ahead, at, share, right=1.0)
    chosen = (first == 0) & (second == 2)
    ends = np.array([0.5, 0.6914624612740131, 0.8413447460685429])  # normal quantiles 0, 0.5 and 1
    found = [np.mean(chosen & (held >= low) & (held < high)) for low, high in zip(ends[:-1], ends[1:], strict=True)]
    weights = np.exp(phase_boundaries.log_weights(jnp.asarray(utilities)[None], jnp.array([30.0]), width, tail, BINS))[
        0
    ]
    np.testing.assert_allclose(found, weights[3 + BINS : 3 + BINS + 2], atol=2e-3)
    assert np.mean(held == 1.0) == pytest.approx(weights[:3].sum(), abs=4e-3)


def test_dims_name_every_axis_and_counts_keep_their_totals():
    counts, sites, known = point(np.random.default_rng(4), 50, 0.3)
    run = handlers.trace(handlers.seed(phase_boundaries.model, 0))
    trace = run.get_trace(counts, phases=3, bins=BINS, **known)
    latent = {name: site for name, site in trace.items() if site["type"] == "sample" and not site["is_observed"]}
    assert {name: site["value"].ndim for name, site in latent.items()} == {
        name: len(dims) for name, dims in phase_boundaries.DIMS.items()
    }
    draws = {name: jnp.asarray(value)[None] for name, value in sites.items()}
    drawn = Predictive(handlers.uncondition(phase_boundaries.model), draws)(
        jax.random.key(0), counts, phases=3, bins=BINS, **known
    )
    np.testing.assert_array_equal(drawn["counts"][0].sum(axis=1), counts.sum(axis=1))
