import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesspec import InputError
from bayesspec.inference.ratio_field import sampler
from bayesspec.inference.ratio_field.sampler import independent_draws, sample_field
from bayesspec.inference.ratio_field.settings import SETTINGS
from bayesspec.inference.status import Status

SIDE = 20


def counted(log_ratio: np.ndarray, total: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = rng.poisson(total, log_ratio.shape)
    return rng.binomial(n, 1 / (1 + np.exp(-log_ratio))), n


def test_weights_have_the_moments_of_polya_gamma_variables() -> None:
    with jax.enable_x64(True):
        for n, c in ((1, 0.0), (1, 3.0), (7, -1.0), (400, 0.5)):
            shape = 200_000
            drawn = np.asarray(sampler._weights(jax.random.key(n), jnp.full(shape, c), jnp.full(shape, float(n))))
            c = max(abs(c), 1e-3)
            mean = n / (2 * c) * np.tanh(c / 2)
            variance = n / (4 * c**3) * (np.sinh(c) - c) / np.cosh(c / 2) ** 2
            assert drawn.mean() == pytest.approx(mean, rel=0.01)
            assert drawn.var() == pytest.approx(variance, rel=0.04)
            assert (drawn > 0).all()
        assert (np.asarray(sampler._weights(jax.random.key(0), jnp.zeros(5), jnp.zeros(5))) == 0).all()


def test_conjugate_gradients_solve_the_system() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(30, 30)) / 3
    matrix, right = np.eye(30) + root @ root.T, rng.normal(size=(5, 6))
    with jax.enable_x64(True):
        found = sampler._solve(
            lambda v: (jnp.asarray(matrix) @ v.ravel()).reshape(5, 6), lambda v: v / 2.0, jnp.asarray(right)
        )
    residual = matrix @ np.asarray(found).ravel() - right.ravel()
    assert np.sqrt((residual**2).sum()) < SETTINGS.residual


def test_a_field_is_found_with_intervals_that_hold() -> None:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    truth = 0.4 * np.sin(5 * x) + np.where(y > 0.5, 0.5, 0.0)
    found = sample_field(*counted(truth, 200.0), key=jax.random.key(0), draws=200)
    assert found.status is Status.CONVERGED
    low, high = np.quantile(found.log_ratio, [0.05, 0.95], axis=0)
    assert 0.8 < ((low <= truth) & (truth <= high)).mean() < 0.99
    error = np.sqrt(((found.log_ratio.mean(axis=0) - truth) ** 2).mean())
    assert error < 0.6 * np.sqrt(np.mean(1 / (200 * np.exp(truth) / (1 + np.exp(truth)) ** 2)))
    assert found.log_ratio.std(axis=0, ddof=1).mean() == pytest.approx(error, rel=0.3)


def test_a_ratio_that_is_even_is_known_to_all_pixels_together() -> None:
    above, total = counted(np.full((SIDE, SIDE), -0.3), 30.0)
    found = sample_field(above, total, key=jax.random.key(1), draws=200)
    pooled = np.sqrt(1 / above.sum() + 1 / (total - above).sum())
    assert pooled < found.log_ratio.std(axis=0).mean() < 5 * pooled
    middle = found.log_ratio.mean(axis=(1, 2))
    assert middle.mean() == pytest.approx(-0.3, abs=4 * pooled)
    assert middle.std() == pytest.approx(pooled, rel=0.3)


def test_pixels_without_counts_learn_from_their_neighbours() -> None:
    truth = np.repeat(np.linspace(-1, 1, SIDE)[None], SIDE, axis=0)
    above, total = counted(truth, 100.0)
    above[6:12, 6:12], total[6:12, 6:12] = 0, 0
    found = sample_field(above, total, key=jax.random.key(2), draws=200).log_ratio
    inside, outside = found[:, 8:10, 8:10], found[:, 8:10, 15:17]
    assert inside.std(axis=0).mean() > 1.2 * outside.std(axis=0).mean()
    assert np.abs(inside.mean(axis=0) - truth[8:10, 8:10]).max() < 4 * inside.std(axis=0).max()


def test_a_line_that_is_absent_in_part_of_the_image_is_no_trouble() -> None:
    above, total = counted(np.where(np.arange(SIDE)[:, None] < 10, -9.0, 1.0) * np.ones((SIDE, SIDE)), 50.0)
    found = sample_field(above, total, key=jax.random.key(3), draws=100)
    assert np.isfinite(found.log_ratio).all()
    assert np.quantile(found.log_ratio[:, 3, 3], 0.95) < -2.5
    assert found.log_ratio[:, 12:].mean() == pytest.approx(1.0, abs=0.1)


def test_the_same_key_gives_the_same_draws() -> None:
    counts = counted(np.zeros((SIDE, SIDE)), 20.0)
    first, again, other = (sample_field(*counts, key=jax.random.key(k), draws=20).log_ratio for k in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_independent_draws_are_counted() -> None:
    rng = np.random.default_rng(0)
    white = rng.normal(size=(400, 300))
    slow = np.zeros_like(white)
    for i in range(1, 400):
        slow[i] = 0.9 * slow[i - 1] + white[i]
    assert independent_draws(white) > 300
    assert 12 < independent_draws(slow) < 40  # 400 (1 - .9) / (1 + .9) = 21


def test_an_interrupted_chain_gives_what_it_has() -> None:
    counts = counted(np.zeros((SIDE, SIDE)), 20.0)

    def stop(done: int, total: int) -> None:
        if done == total - 3:
            raise KeyboardInterrupt

    found = sample_field(*counts, key=jax.random.key(0), draws=200, progress=stop)
    assert found.status is Status.INTERRUPTED
    assert len(found.log_ratio) == 200 - 3 * sampler.CHUNK
    assert len(found.width) == len(found.log_ratio)


def test_bad_counts_are_refused() -> None:
    with pytest.raises(InputError, match="0 of 0"):
        sample_field(np.zeros((4, 4), int), np.zeros((4, 4), int), key=jax.random.key(0))
    with pytest.raises(InputError, match="counts"):
        sample_field(np.full((4, 4), 2), np.ones((4, 4), int), key=jax.random.key(0))
