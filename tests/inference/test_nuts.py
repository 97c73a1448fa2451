"""NUTS and what it says of its chains."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from bayesspec.inference.nuts import LARGEST_R_HAT, _mixing, run_nuts
from bayesspec.inference.status import Status


def rate(counts: jax.Array) -> None:
    level = numpyro.sample("level", dist.Gamma(1.0, 0.01))
    numpyro.sample("share", dist.Dirichlet(jnp.ones(1)))  # of one channel: always 1
    numpyro.sample("counts", dist.Poisson(level), obs=counts)


def test_what_is_the_same_in_all_draws_does_not_count_as_chains_that_disagree() -> None:
    counts = np.random.default_rng(0).poisson(100.0, 20)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):  # NumPyro is not strict
        found = run_nuts(rate, (jnp.asarray(counts),), key=jax.random.key(0), draws=800, warmup=200)
    assert found.r_hat < LARGEST_R_HAT
    assert found.status is Status.CONVERGED
    assert abs(found.draws["level"].mean() - counts.mean()) < 1.0


def test_chains_that_do_not_move_are_no_agreement() -> None:
    assert _mixing({"level": np.ones((4, 50))}) == (np.inf, 0.0)
