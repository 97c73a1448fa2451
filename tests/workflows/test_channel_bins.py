import numpy as np

from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.workflows.condensed_design import adaptive_bins, bin_sums

AXIS = np.arange(400.0)
MATRIX = np.column_stack([np.exp(-0.5 * ((AXIS - c) / 6) ** 2) for c in (100, 112, 300)] + [np.exp(-AXIS / 150)])
MATRIX = MATRIX / MATRIX.sum(axis=0)
TRUTH = np.array([500.0, 200.0, 300.0, 2000.0])


def information(matrix: np.ndarray) -> np.ndarray:
    return matrix.T @ (matrix / (matrix @ TRUTH)[:, None])


def test_few_bins_keep_the_information() -> None:
    starts = adaptive_bins(MATRIX, TRUTH, loss=0.02)
    binned = bin_sums(MATRIX.T, starts).T
    assert len(starts) < 40
    assert starts[0] == 0
    assert np.isclose(binned.sum(), MATRIX.sum())
    lost = 1 - np.trace(np.linalg.solve(information(MATRIX), information(binned))) / 4
    assert 0.005 < lost < 0.0201


def test_bins_do_not_reach_across_gaps() -> None:
    assert 37 in adaptive_bins(MATRIX, TRUTH, gaps=[37])


def test_the_fit_to_bins_is_that_to_channels() -> None:
    y = np.random.default_rng(0).poisson(MATRIX @ TRUTH)
    starts = adaptive_bins(MATRIX, TRUTH, loss=0.01)
    whole, binned = fit_intensities(MATRIX, y), fit_intensities(bin_sums(MATRIX.T, starts).T, bin_sums(y, starts))
    sd = np.sqrt(np.diag(np.linalg.inv(whole.information)))
    assert (np.abs(whole.intensities - binned.intensities) < 0.5 * sd).all()
