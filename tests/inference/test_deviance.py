"""Expected deviance: against simulated counts, and in its limits."""

import numpy as np
import pytest

from bayesspec.inference.deviance import deviance, expected_deviance


@pytest.mark.parametrize("rate", [0.003, 0.2, 1.0, 7.0, 90.0, 900.0])
def test_moments_are_those_of_simulated_counts(rate):
    counts = np.random.default_rng(0).poisson(rate, 400_000)
    values = deviance(counts, np.full(400_000, rate))
    mean, variance = (float(v) for v in expected_deviance(np.array(rate)))
    assert mean == pytest.approx(values.mean(), abs=5 * values.std() / 632)
    assert variance == pytest.approx(values.var(), rel=0.05)
