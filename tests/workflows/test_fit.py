"""Any NumPyro model, fitted and labelled."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import bayesspec as bs


def program(counts: np.ndarray, *, scale: float = 10.0) -> None:
    rate = numpyro.sample("rate", dist.Gamma(1.0, 1.0 / scale).expand([counts.shape[1]]).to_event(1))
    numpyro.sample("counts", dist.Poisson(jnp.broadcast_to(rate, counts.shape)).to_event(2), obs=counts)


def test_conjugate_model_is_recovered_with_its_dims() -> None:
    counts = np.random.default_rng(0).poisson([20.0, 50.0], (40, 2))
    fit = bs.fit(SimpleNamespace(DIMS={"rate": ("line",)}, model=program), counts, seed=0, scale=30.0)
    rate = fit["rate"]
    shape, inverse_scale = 1 + counts.sum(axis=0), 1 / 30 + len(counts)
    assert rate.mean.dims == ("line",)
    np.testing.assert_allclose(rate.mean, shape / inverse_scale, rtol=0.02)
    np.testing.assert_allclose(rate.sd, np.sqrt(shape) / inverse_scale, rtol=0.2)
    assert fit.converged


def test_wrong_dims_and_wrong_models_are_refused() -> None:
    counts = np.ones((4, 2), int)
    with pytest.raises(bs.InputError, match="one name in DIMS for every dimension"):
        bs.fit(SimpleNamespace(DIMS={}, model=program), counts, max_steps=500)
    with pytest.raises(bs.InputError, match="without DIMS"):
        bs.fit(SimpleNamespace(model=program), counts)  # type: ignore[arg-type]


def test_strict_raises_what_the_status_says() -> None:
    counts = np.full((4, 2), 100_000)
    module = SimpleNamespace(DIMS={"rate": ("line",)}, model=program)
    with pytest.raises(bs.FitError, match="step limit"):
        bs.fit(module, counts, max_steps=500, strict=True)
