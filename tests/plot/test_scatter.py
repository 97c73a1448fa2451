"""Counts of two lines: every pixel once, and lines with the slope of the ratio."""

import numpy as np
import pytest

from bayesspec import plot


def test_points_are_pixels_and_slopes_are_ratios(seg):
    ax = plot.count_scatter(seg).axes[0]
    points = ax.collections[0].get_offsets()
    assert len(points) == (seg.labels.values >= 0).sum()
    assert np.array_equal(np.sort(points[:, 0]), np.sort(seg.data["net"].sel(line="O_Ka").values.ravel()))
    slopes = [line.get_ydata()[1] / line.get_xdata()[1] for line in ax.lines if line.get_gid() == "ratio"]
    assert slopes == pytest.approx(list(seg.ratio("Fe_Ka", "O_Ka").mean.values))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("O Kα (counts per pixel)", "Fe Kα (counts per pixel)")
