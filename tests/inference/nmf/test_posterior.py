"""What is made of the draws of a factorisation."""

import numpy as np

from bayesspec.inference.nmf.posterior import combinations


def test_combinations_of_spectra_are_found() -> None:
    rng = np.random.default_rng(0)
    parts, weights = rng.dirichlet(np.full(50, 0.3), 3), rng.normal(size=(7, 2, 3))
    np.testing.assert_allclose(combinations(weights @ parts, parts), weights, atol=1e-9)


def test_channels_of_many_counts_which_are_noisy_weigh_less() -> None:
    parts = np.array([[0.98, 0.01, 0.01], [0.98, 0.02, 0.0]])
    drawn = parts[:1] + np.array([0.01, 0.0, 0.0])
    assert np.abs(combinations(drawn[None], parts)[0, 0] - [1.0, 0.0]).max() < 0.02
