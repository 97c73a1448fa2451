"""Quantities with a feasible band: where the band is wide it is the interval."""

import numpy as np
import pytest
import xarray as xr

from bayesspec.results.estimate import BandedEstimate


@pytest.fixture
def estimate() -> BandedEstimate:
    rng = np.random.default_rng(0)
    draws = xr.DataArray(0.5 + 0.01 * rng.normal(size=(500, 3)), dims=("draw", "component"))
    lower, upper = (xr.DataArray(v, dims="component") for v in ([0.49, 0.3, 0.499], [0.51, 0.52, 0.501]))
    return BandedEstimate(draws, "share", lower, upper, xr.DataArray([True, True, False], dims="component"))


def test_identified_where_the_band_is_narrow_and_the_draws_are_enough(estimate: BandedEstimate) -> None:
    assert estimate.identified.values.tolist() == [True, False, False]
    assert np.isfinite(estimate.sd.values).tolist() == [True, False, False]


def test_the_interval_spans_the_band_where_not_identified(estimate: BandedEstimate) -> None:
    low, high = (end.values for end in estimate.interval(0.5))
    assert high[0] - low[0] == pytest.approx(2 * 0.6745 * 0.01, rel=0.2)
    assert (low[1], high[1]) == (0.3, 0.52)
    assert low[2] < 0.495
    assert high[2] > 0.505
    assert "band" in estimate.interval()[0].attrs["interval"]


def test_prints_a_range_where_not_identified(estimate: BandedEstimate) -> None:
    values = [value for _, value in estimate.rows()]
    assert values[0].endswith(")")
    assert values[1] == "0.3 to 0.52"
    assert [value for _, value in estimate.scaled(100, "share (%)").rows()][1] == "30 to 52"


def test_an_open_range_is_a_limit() -> None:
    draws = xr.DataArray([[1.0], [2.0], [3.0]], dims=("draw", "component"))
    low, high = (xr.DataArray([v], dims="component") for v in (0.5, np.inf))
    found = BandedEstimate(draws, "ratio", low, high, xr.DataArray([True], dims="component"))
    assert str(found) == "component 0: > 0.5"
