"""All ranks from one compilation, as good as fits of their own."""

import jax
import numpy as np

from bayesspec.inference.blocks import em_step
from bayesspec.inference.nmf.mode import fit_mode
from bayesspec.inference.nmf.rank_path import rank_path


def simulated(seed=0):
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.full(30, 0.4), 3)
    return rng.poisson(rng.gamma(0.7, 150.0, (200, 3)) @ spectra)


def test_path_is_as_good_as_single_fits_and_compiled_once():
    counts = simulated()
    path = rank_path(counts, 4, tolerance=1e-5)
    modes = [next(path)]
    compiled = em_step._cache_size()
    modes += list(path)
    assert em_step._cache_size() == compiled
    assert [mode.spectra.shape for mode in modes] == [(rank, 30) for rank in (1, 2, 3, 4)]
    for rank, mode in enumerate(modes, start=1):
        assert mode.divergence < 1.01 * fit_mode(counts, rank, key=jax.random.key(0)).divergence
        np.testing.assert_allclose(mode.spectra.sum(axis=1), 1, rtol=1e-4)
