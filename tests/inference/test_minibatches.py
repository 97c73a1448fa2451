"""Batches of pixels have the bound and the posterior of all pixels."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from bayesspec.inference.minibatches import batch_at
from bayesspec.inference.status import Status
from bayesspec.inference.svi import run_svi

PIXELS = 60
COUNTS = np.random.default_rng(0).poisson(np.random.default_rng(1).gamma(2.0, 30.0, (PIXELS, 1)) * [0.3, 0.7])


@pytest.fixture
def strict() -> Iterator[None]:
    """Strict dtypes alone: NumPyro's guides promote ranks where they draw."""
    with jax.numpy_dtype_promotion("strict"):
        yield


def thick_and_thin(counts: Any) -> None:
    """Amount of every pixel, and the share of one line that all have in common; both posteriors are known."""
    share = numpyro.sample("share", dist.Beta(1.0, 1.0))
    with numpyro.plate("pixel", len(counts)):
        amount = numpyro.sample("amount", dist.Gamma(2.0, 0.02))
        rate = amount[:, None] * jnp.stack([share, 1 - share])[None]
        numpyro.sample("counts", dist.Poisson(rate).to_event(1), obs=counts)


@pytest.mark.parametrize("size", [15, 7])
def test_batches_hold_every_pixel_as_often(size: int) -> None:
    batches = np.array([batch_at(start, PIXELS, size) for start in range(PIXELS)])
    assert all(len(set(batch)) == size for batch in batches)
    assert (np.bincount(batches.ravel()) == size).all()
    assert (np.bincount(batches[:4].ravel(), minlength=PIXELS) == 1).all() or size == 7


def test_the_posterior_is_that_of_all_pixels_and_so_is_the_bound() -> None:
    fit = run_svi(thick_and_thin, (COUNTS,), key=jax.random.key(0), draws=2000, batch=(PIXELS, 15))
    whole = run_svi(thick_and_thin, (COUNTS,), key=jax.random.key(0), draws=10)
    first, second = COUNTS.sum(axis=0)
    share = fit.draws["share"]
    assert fit.status is Status.CONVERGED
    assert abs(share.mean() - (1 + first) / (2 + first + second)) < 0.3 * share.std()
    np.testing.assert_allclose(share.std(), np.sqrt(first * second / (first + second) ** 3), rtol=0.15)
    exact = (2 + COUNTS.sum(axis=1)) / 1.02
    np.testing.assert_allclose(fit.draws["amount"].mean(axis=0), exact, rtol=0.05)
    np.testing.assert_allclose(fit.draws["amount"].std(axis=0), np.sqrt(exact / 1.02), rtol=0.2)
    assert abs(fit.bound / whole.bound - 1) < 1e-3
