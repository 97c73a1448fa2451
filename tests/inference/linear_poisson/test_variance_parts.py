"""Parts of the covariance of line intensities against closed forms and against the whole."""

import numpy as np
import pytest

from bayesspec.inference.linear_poisson.variance_parts import PARTS, variance_parts

X = np.arange(200.0)


def peak(centre: float, width: float = 6.0) -> np.ndarray:
    shape = np.exp(-0.5 * ((X - centre) / width) ** 2)
    return shape / shape.sum()


def test_a_line_on_its_own_has_shot_noise_alone() -> None:
    found = variance_parts(peak(100)[:, None], np.array([5000.0]), 1)
    assert found.shape == (len(PARTS), 1, 1)
    np.testing.assert_allclose(found[:, 0, 0], [5000, 0, 0], atol=1e-3)


def test_a_known_shape_on_a_flat_background_follows_the_least_squares_formula() -> None:
    """Weak peak on a strong flat background of b per channel, whose level is fitted: variance b / (p.p - 1 / n)."""
    b, n = 1e5, len(X)
    design = np.column_stack([peak(100), np.full(n, 1 / n)])
    found = variance_parts(design, np.array([10.0, b * n]), 1)[:, 0, 0]
    expected = b / ((peak(100) ** 2).sum() - 1 / n)
    assert found.sum() == pytest.approx(expected, rel=1e-3)
    assert found[0] == pytest.approx(10.0, rel=1e-6)
    assert found[2] == pytest.approx(0, abs=1e-3 * expected)


def test_parts_sum_to_the_covariance_with_all_columns_free() -> None:
    design = np.column_stack([peak(95), peak(103), np.full(len(X), 1 / len(X))])
    intensities = np.array([4000.0, 2500.0, 30000.0])
    rate = design @ intensities
    whole = np.linalg.inv(design.T @ (design / rate[:, None]))
    parts = variance_parts(design, intensities, 2)
    np.testing.assert_allclose(parts.sum(axis=0), whole[:2, :2], rtol=1e-5)
    assert (np.einsum("pll->pl", parts) > 0).all(), "overlap adds to both"
    assert parts[2, 0, 1] < 0, "lines that overlap are anticorrelated"


def test_absent_lines_have_no_variance() -> None:
    design = np.column_stack([peak(60), peak(140), np.full(len(X), 1 / len(X))])
    found = variance_parts(design, np.array([500.0, 0.0, 2000.0]), 2)
    assert np.isfinite(found).all()
    assert not found[:, 1].any()
