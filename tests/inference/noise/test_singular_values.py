"""The rank from biwhitened singular values: noise variance, false alarms, power, sparse counts."""

import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.inference.noise.singular_values import biwhiten, merge_sparse, tracy_widom_rank


def simulated(rank, counts, seed=0, pixels=600, channels=64):
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.full(channels, 0.5), rank)
    abundances = rng.gamma(0.7, counts / (0.7 * rank), (pixels, rank))
    return rng.poisson(abundances @ spectra)


@pytest.mark.parametrize("rank", [1, 2, 4])
@pytest.mark.parametrize("counts", [100, 2000])
def test_finds_the_rank(rank, counts):
    found = [tracy_widom_rank(simulated(rank, counts, seed)).rank for seed in range(10)]
    assert np.mean(np.array(found) == rank) >= 0.9


def test_biwhitened_counts_have_even_sums():
    counts = merge_sparse(simulated(3, 500).astype(np.uint16))
    rows, columns = biwhiten(counts)
    scaled = rows[:, None] * counts * columns
    np.testing.assert_allclose(scaled.mean(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(scaled.mean(axis=0), 1.0, rtol=1e-6)


def test_noise_exceeds_the_threshold_as_often_as_it_should():
    rng = np.random.default_rng(1)
    second = []
    for _ in range(200):
        counts = rng.poisson(np.outer(rng.uniform(1, 5, 200), rng.uniform(1, 3, 60)))
        result = tracy_widom_rank(counts, level=0.1)
        second.append(result.singular_values[1] > result.threshold)
    assert 0.02 < np.mean(second) < 0.19


def test_sparse_and_wide_counts_are_merged():
    rng = np.random.default_rng(0)
    spectra = np.repeat(rng.dirichlet(np.full(64, 0.3), 3), 16, axis=1) / 16
    counts = rng.poisson(rng.gamma(0.5, 40.0, (3000, 3)) @ spectra).astype(np.uint8)
    counts[:, :40] = 0
    counts[5:20] = 0
    result = tracy_widom_rank(counts)
    assert result.rank == 3
    assert result.shape[1] <= 512
    merged = merge_sparse(counts)
    assert merged.sum() == counts.sum(dtype=np.int64)
    assert merged.sum(axis=0).min() > 0
    assert merged.sum(axis=1).min() > 0


def test_a_transposed_matrix_has_the_same_rank():
    counts = simulated(3, 2000, pixels=90)
    assert tracy_widom_rank(counts.T).rank == tracy_widom_rank(counts).rank == 3


def test_refuses_an_unknown_level_and_no_counts():
    with pytest.raises(InputError, match="level"):
        tracy_widom_rank(simulated(2, 100), level=0.2)
    with pytest.raises(InputError, match="add to 0"):
        tracy_widom_rank(np.zeros((5, 4), int))
