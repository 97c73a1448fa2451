"""Newton proposals against dense linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesspec.inference.newton_proposal import newton_proposal, pair_products, pairs


@pytest.mark.parametrize("kept", [None, 0.7])
def test_newton_proposal_has_its_mean_and_density(kept):
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(5, 3, 3))
    matrices = np.einsum("nij,nkj->nik", roots, roots) + 0.5 * np.eye(3)
    gradient = 0.2 * rng.normal(size=(5, 3))
    with jax.enable_x64(True):
        packed = jnp.asarray(np.stack([matrices[:, i, j] for i, j in pairs(3)]))
        proposal = newton_proposal(jnp.asarray(gradient.T), packed, None if kept is None else jnp.full(5, kept))
        moved = rng.normal(size=(5, 3))
        density = np.asarray(proposal.log_density(jnp.asarray(moved.T)))
        step = np.clip(np.linalg.solve(matrices, gradient[..., None])[..., 0], -2, 2)
        if kept is not None:
            step, matrices = (1 - kept) * step, matrices / (1 - kept**2)
        np.testing.assert_allclose(np.stack(proposal.step).T, step, rtol=1e-6)
        rest = moved - step
        exact = 0.5 * np.linalg.slogdet(matrices)[1] - 0.5 * np.einsum("ni,nij,nj->n", rest, matrices, rest)
        np.testing.assert_allclose(density, exact, rtol=1e-6)
        noise = rng.normal(size=(5, 3))
        shifted = np.asarray(proposal.displace(jnp.asarray(noise.T))).T - step
        whitened = np.einsum("ni,nij,nj->n", shifted, matrices, shifted)
        np.testing.assert_allclose(whitened, (noise**2).sum(axis=1), rtol=1e-6)
        assert pair_products(jnp.asarray([[2.0], [3.0]])).ravel().tolist() == [4.0, 6.0, 9.0]
