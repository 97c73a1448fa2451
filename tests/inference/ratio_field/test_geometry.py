import numpy as np
import pytest

from bayesspec.inference.ratio_field.geometry import geometry


@pytest.mark.parametrize("shape", [(20, 33), (1, 50), (64, 64), (2, 3)])
def test_every_spacing_has_variance_one_and_the_widest_covers_the_image(shape: tuple[int, int]) -> None:
    laid = geometry(shape)
    for level in laid.levels:
        variance = np.outer((level.rows**2).sum(axis=1), (level.columns**2).sum(axis=1))
        assert variance.shape == shape
        assert variance.mean() == pytest.approx(1.0)
        assert variance.min() > 0.3
    assert np.exp(laid.log_spacing[-1]) > 0.999 * max(shape)
    assert np.allclose(np.exp(laid.log_spacing), 2.0 ** np.arange(len(laid.levels)))


def test_power_of_the_cosines_is_the_diagonal_of_the_covariance() -> None:
    laid = geometry((9, 12))
    assert np.allclose(laid.column_cosines @ laid.column_cosines.T, np.eye(12))
    for level in laid.levels:
        covariance = laid.row_cosines @ level.rows @ level.rows.T @ laid.row_cosines.T
        assert np.allclose(np.diag(covariance), level.row_power)
        assert level.row_power.sum() == pytest.approx(9.0)


def test_splines_add_up_to_a_constant() -> None:
    for level in geometry((1, 40)).levels:
        total = level.columns.sum(axis=1)
        assert np.allclose(total, total[0])
