"""Estimates: what is printed, intervals, ratios of draws."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bayesspec.errors import InputError
from bayesspec.results.estimate import Estimate, format_uncertain, ratio_of, to_arviz
from bayesspec.results.line_unmixing import RangedEstimate


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (0.783, 0.0041, "0.783(4)"),
        (0.783, 0.0012, "0.7830(12)"),
        (0.783, 0.00096, "0.7830(10)"),
        (123.4, 3.2, "123(3)"),
        (1234.0, 120.0, "1230(120)"),
        (12.3, 1.4, "12.3(1.4)"),
        (5.0, 9.6, "5(10)"),
        (0.5, float("nan"), "0.5"),
        (0.5, 0.0, "0.5"),
        (float("inf"), 1.0, "not resolved"),
        (float("nan"), 1.0, "not resolved"),
    ],
)
def test_printed_form(mean: float, sd: float, text: str) -> None:
    assert format_uncertain(mean, sd) == text


@given(st.floats(-1e4, 1e4), st.floats(1e-5, 1e3))
def test_printed_form_reads_back_to_the_value_and_its_error(mean: float, sd: float) -> None:
    text = format_uncertain(mean, sd)
    value, error = text.rstrip(")").split("(")
    digits = len(value.split(".")[1]) if "." in value else 0
    read = float(error) if "." in error or digits == 0 else float(error) / 10**digits
    assert abs(float(value) - mean) <= 0.51 * max(sd, 10.0**-digits)
    assert read == pytest.approx(sd, rel=0.26)


def test_interval_and_sd_of_normal_draws() -> None:
    rng = np.random.default_rng(0)
    draws = xr.DataArray(rng.normal([[1.0, 2.0]], [[0.1, 0.2]], (20000, 2)), dims=("draw", "phase"))
    estimate = Estimate(draws, "x")
    lower, upper = estimate.interval(0.9)
    np.testing.assert_allclose(upper - lower, [2 * 1.645 * 0.1, 2 * 1.645 * 0.2], rtol=0.03)
    np.testing.assert_allclose(estimate.sd, [0.1, 0.2], rtol=0.03)
    assert lower.attrs == {"prob": 0.9, "interval": "equal-tailed"}
    assert str(estimate) == "phase 0: 1.00(10); phase 1: 2.0(2)"
    assert estimate.summary(0.5).attrs["prob"] == 0.5


def test_a_single_draw_has_no_uncertainty() -> None:
    estimate = Estimate(xr.DataArray([0.8], dims="draw"), "x")
    assert np.isnan(estimate.sd)
    assert np.isnan(estimate.interval()[0])
    assert str(estimate) == "0.8"


@pytest.mark.parametrize("prob", [0.0, 1.0, 95.0])
def test_impossible_probabilities_are_refused(prob: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        Estimate(xr.DataArray([0.8, 0.9], dims="draw"), "x").interval(prob)


def test_ratio_keeps_the_covariance_and_opens_where_nothing_is_detected() -> None:
    top = xr.DataArray([1.0, 2.0, 3.0], dims="draw")
    np.testing.assert_allclose(ratio_of(top, 2 * top, "r").draws, 0.5)
    open_ended = ratio_of(top, xr.DataArray([1.0, 0.0, -1.0], dims="draw"), "r")
    np.testing.assert_array_equal(open_ended.draws, [1.0, np.inf, np.inf])
    assert str(open_ended) == "> 1"


def test_arviz_summarises_the_draws() -> None:
    rng = np.random.default_rng(1)
    draws = xr.Dataset({"ratio": (("draw", "phase"), rng.normal(3.0, 1.0, (500, 2)))})
    handed = to_arviz({"posterior": draws})
    posterior = handed["posterior"]
    assert dict(posterior.sizes) == {"chain": 1, "draw": 500, "phase": 2}
    np.testing.assert_allclose(posterior["ratio"].mean(("chain", "draw")), 3.0, atol=0.3)


def test_what_is_not_detected_prints_an_upper_limit_and_no_negative_number() -> None:
    rng = np.random.default_rng(0)
    draws = xr.DataArray(rng.normal([0.2, 0.0, -0.003], [0.01, 0.002, 0.002], (4000, 3)), dims=("draw", "phase"))
    plain, positive = Estimate(draws, "r"), Estimate(draws, "r", positive=True)
    texts = [text for _, text in positive.rows()]
    assert texts[0] == "0.20(1)" or texts[0] == "0.200(10)"
    assert texts[1].startswith("< 0.003")
    assert texts[2] == f"< {float(positive.limits()[2]):.2g}, 95 %"
    np.testing.assert_allclose(positive.limits()[1:], 1.645 * 0.002, rtol=0.1)
    assert float(positive.interval()[0].min()) == 0
    assert float(plain.interval()[0].min()) < 0
    assert np.isnan(plain.limits()).all()


def test_upper_limit_holds_of_a_small_rate() -> None:
    """Counts less a background of counts: the limit lies above the truth in 95 of 100, within what 2000 show."""
    rng, held = np.random.default_rng(1), []
    for _ in range(2000):
        net = rng.poisson(100 + 5) - rng.poisson(400) / 4
        draws = xr.DataArray(rng.normal(net, np.sqrt(105 + 25), 400), dims="draw")
        limit = float(Estimate(draws, "net", positive=True).limits())
        held.append(np.isnan(limit) or limit > 5)
    assert np.mean(held) > 0.935


def test_kind_and_mass_of_an_interval_travel_with_its_numbers() -> None:
    ends = xr.DataArray([0.5], dims="phase")
    ranged = RangedEstimate(xr.DataArray([[0.6]], dims=("draw", "phase")), "share", ends, ends + 1, 0.68)
    assert ranged.summary(0.95).attrs["interval"] == "joint likelihood range"
    assert ranged.summary(0.95).attrs["prob"] == 0.68


@pytest.mark.parametrize(
    "labels", [{"phase": 7}, {"phase": {1, 2}}, {"phase": [None]}, {"line": "Fe_Ka"}, {"phase": np.eye(2)}]
)
def test_labels_that_are_not_there_are_refused(labels):
    quantity = Estimate(xr.DataArray(np.ones((3, 2)), dims=("draw", "phase"), coords={"phase": [0, 1]}), "ratio")
    with pytest.raises(InputError, match=r"sel\(phase=0\)"):
        quantity.sel(**labels)


def test_entries_are_labelled_as_their_rows_are() -> None:
    draws = xr.DataArray(np.ones((3, 2, 2)), dims=("draw", "phase", "line"), coords={"line": ["Fe_Ka", "O_Ka"]})
    estimate = Estimate(draws, "counts")
    assert estimate.entries()[1:3] == ("phase 0, line O_Ka", "phase 1, line Fe_Ka")
    assert estimate.entries() == tuple(label for label, _ in estimate.rows())
    assert Estimate(draws[:, 0, 0], "one").entries() == ("",)
