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


def test_a_narrow_band_to_one_side_is_not_dropped() -> None:
    draws = xr.DataArray(np.random.default_rng(0).normal(0.5, 0.01, (4000, 2)), dims=("draw", "component"))
    lower, upper = (xr.DataArray(v, dims="component") for v in ([0.515, 0.53], [0.53, 0.72]))
    found = BandedEstimate(draws, "share", lower, upper, xr.DataArray([True, True], dims="component"))
    low, high = (end.values for end in found.interval())
    np.testing.assert_allclose(low, 0.5 - 1.96 * 0.01, atol=1e-3)
    assert high.tolist() == [0.53, 0.72]
    assert found.identified.values.tolist() == [True, False]
    own = found.sel(component=[0])
    wider = (0.53 - 0.5 + 0.0196) / 0.0392
    np.testing.assert_allclose(own.sd, wider * 0.01, rtol=0.05)
    stretched = own.joint_draws()
    np.testing.assert_allclose(stretched.quantile([0.025, 0.975], "draw").values.ravel(), [low[0], 0.53], atol=1e-6)
    assert float(stretched.std()) == pytest.approx(float(own.sd[0]), rel=0.01)


def test_the_interval_spans_the_band(estimate: BandedEstimate) -> None:
    low, high = (end.values for end in estimate.interval(0.5))
    assert (low[0], high[0]) == (0.49, 0.51)
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


def test_the_ends_of_the_band_are_as_uncertain_as_one_factorisation_is() -> None:
    draws = xr.DataArray(np.random.default_rng(0).normal(0.5, 0.01, (4000, 1)), dims=("draw", "component"))
    ends = (xr.DataArray([v], dims="component") for v in (0.48, 0.52))
    noise = xr.DataArray([0.02], dims="component")
    found = BandedEstimate(draws, "share", *ends, xr.DataArray([True], dims="component"), noise)
    for prob, reach in ((0.9, 1.645), (0.95, 1.96)):
        low, high = (float(end[0]) for end in found.interval(prob))
        assert low == pytest.approx(0.48 - reach * 0.02, abs=1e-4)
        assert high == pytest.approx(0.52 + reach * 0.02, abs=1e-4)
    doubled, percent = found.interval()[1], found.scaled(100, "share (%)").interval()[1]
    np.testing.assert_allclose(percent, 100 * doubled)


def test_a_wide_band_determines_a_value_that_it_holds_to_a_fifth() -> None:
    draws = xr.DataArray(np.random.default_rng(0).normal(0.5, 0.001, (400, 2)), dims=("draw", "component"))
    lower, upper = (xr.DataArray(v, dims="component") for v in ([0.45, 0.3], [0.6, 0.6]))
    found = BandedEstimate(draws, "share", lower, upper, xr.DataArray([True, True], dims="component"))
    assert found.identified.values.tolist() == [True, False]


def test_what_has_no_finite_interval_is_not_identified() -> None:
    draws = xr.DataArray([[1.0], [2.0], [np.inf]], dims=("draw", "component"))
    low, high = (xr.DataArray([v], dims="component") for v in (0.5, 3.0))
    assert not BandedEstimate(draws, "ratio", low, high, xr.DataArray([True], dims="component")).identified.any()
