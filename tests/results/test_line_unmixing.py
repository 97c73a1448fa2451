import numpy as np
import xarray as xr

from bayesspec.results.line_unmixing import RangedEstimate


def test_open_ranges_are_no_values():
    """A range without an end, or from zero on, is what is printed: not the most likely value alone."""
    ends = {"lower": [0.5, 0.0, 0.5, 0.0, np.nan], "upper": [2.0, 2.0, np.inf, np.inf, np.nan]}
    lower, upper = (xr.DataArray(values, dims="component") for values in ends.values())
    likeliest = xr.DataArray([[1.5] * 5], dims=("draw", "component"), coords={"component": range(5)})
    texts = [text for _, text in RangedEstimate(likeliest, "ratio", lower, upper, 0.95).rows()]
    assert texts == ["1.5 [0.5, 2]", "< 2", "> 0.5", "not resolved", "1.5"]
