"""A background of one unknown shape: the weights of the shapes that it is a mixture of, against NUTS."""

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import unconstrain_fn

from bayesspec.inference.nmf.mode import fit_mode
from bayesspec.inference.nmf.sampler import sample
from bayesspec.models import poisson_nmf


def fresh():
    """A key that has not been used."""
    return jax.random.key(3)


def test_weights_of_a_mixed_background_are_those_of_nuts():
    rng, channels = np.random.default_rng(2), 10
    shapes = np.stack([np.exp(-np.arange(channels) / decay) for decay in (2.0, 5.0, 40.0)])
    shapes /= shapes.sum(axis=1, keepdims=True)
    spectra, weights = rng.dirichlet(np.full(channels, 0.5), 1), np.array([0.2, 0.5, 0.3])
    abundances = rng.gamma(1.0, 80.0, (24, 2))
    counts = rng.poisson(abundances @ np.append(spectra, (weights @ shapes)[None], axis=0))
    mode = fit_mode(counts, 1, key=fresh(), fixed_spectra=(np.ones(3) / 3 @ shapes)[None])
    posterior = sample(counts, mode, key=fresh(), draws=3000, warmup=200, thin=1, shapes=shapes)
    ours = posterior.spectra[:, -1].astype(np.float64) @ np.linalg.pinv(shapes)
    np.testing.assert_allclose(ours.sum(axis=1), 1.0, rtol=1e-4)
    assert ours.min() > -1e-4
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        start = {"spectra": jnp.asarray(posterior.spectra[-1, :1]), "shape": jnp.ones(2), "rate": jnp.full(2, 0.0125)}
        start |= {"abundances": jnp.asarray(posterior.abundance_mean[:, :2]), "weights": jnp.ones(3) / 3}
        known = {"rank": 1, "shapes": jnp.asarray(shapes)}
        unconstrained = unconstrain_fn(poisson_nmf.model, (jnp.asarray(counts),), known, start)
        sampler = MCMC(NUTS(poisson_nmf.model), num_warmup=400, num_samples=1200, progress_bar=False)
        sampler.run(jax.random.PRNGKey(3), jnp.asarray(counts), init_params=unconstrained, **known)
        theirs = {name: np.asarray(value) for name, value in sampler.get_samples().items()}
    np.testing.assert_allclose(ours.mean(axis=0), theirs["weights"].mean(axis=0), atol=0.04)
    np.testing.assert_allclose(ours.std(axis=0), theirs["weights"].std(axis=0), rtol=0.2)
    totals = theirs["abundances"].sum(axis=1).mean(axis=0)
    np.testing.assert_allclose(posterior.totals.mean(axis=0), totals, rtol=0.03)
