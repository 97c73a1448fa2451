"""Dose planning: the forecast agrees with closed forms, falls as it should, and refuses what makes no sense."""

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.results.dose_plan import plan_dose

RATIOS = (0.783, 0.698)


@pytest.fixture(scope="module")
def plan() -> bs.DosePlan:
    return plan_dose(RATIOS, shape=(64, 64), doses=(30, 1000, 20_000), counts_per_second=4096.0)


def test_where_labels_are_certain_the_error_is_that_of_a_binomial() -> None:
    table = plan_dose((0.2, 5.0), shape=(48, 48), areas=(0.25, 0.75), doses=[400.0]).table
    counts = 400 * 48**2 * np.array([0.25, 0.75])
    share = np.array([0.2, 5.0]) / (1 + np.array([0.2, 5.0]))
    expected = np.sqrt(1 / (counts * share * (1 - share)))
    np.testing.assert_allclose(table["sd"][0] / table["ratio"], expected, rtol=0.08)


def test_background_costs_precision_as_poisson_counts_do() -> None:
    ratios, dose, background = (0.2, 5.0), 4000.0, 0.5
    table = plan_dose(ratios, shape=(48, 48), doses=[dose], background=background).table
    per_phase = dose * 48**2 / 2 / (1 + 2 * background)
    expected = []
    for ratio in ratios:
        lines = per_phase * np.array([ratio, 1]) / (1 + ratio)
        variance = lines + 2 * per_phase * background / 2  # of the net counts: window plus its side window
        expected.append(np.sqrt((variance / lines**2).sum()))
    np.testing.assert_allclose(table["sd"][0] / table["ratio"], expected, rtol=0.08)
    np.testing.assert_allclose(table["ratio"], ratios, rtol=1e-12)


def test_few_counts_do_not_resolve_and_many_do(plan: bs.DosePlan) -> None:
    assert plan.table["resolved"].values.tolist() == [False, True, True]
    assert np.isnan(plan.table["sd"][0]).all()
    assert plan.counts_to_resolve == 1000
    assert "not resolved" in str(plan)


def test_what_a_wanted_error_costs_is_consistent(plan: bs.DosePlan) -> None:
    worst = (plan.table["sd"] / plan.table["ratio"]).max("phase").values
    assert plan.counts_for(float(worst[2])) == pytest.approx(20_000)
    assert plan.counts_for(float(worst[2]) / 2) == pytest.approx(80_000)
    assert plan.counts_for(0.5) == 1000
    assert plan.pixels_for(float(worst[1]), 1000) == pytest.approx(64**2, abs=1)
    assert plan.pixels_for(float(worst[1]) / 2, 1000) == pytest.approx(4 * 64**2, abs=1)
    assert plan.seconds(1000) == pytest.approx(1000)


def test_neighbours_help_where_there_are_grains() -> None:
    single, grains = (plan_dose(RATIOS, shape=(64, 64), blur=blur, doses=[1000.0]).table for blur in (0.0, 6.0))
    assert (grains["sd"] < 0.8 * single["sd"]).all()


def test_a_segmentation_plans_its_own_sample() -> None:
    maps = bs.simulate.iron_oxide_lines(2000, (48, 48), seed=0)
    seg = bs.segment(maps, phases=2, seed=0)
    plan = seg.plan("Fe_Ka", "O_Ka", doses=[2000.0])
    np.testing.assert_allclose(plan.table["sd"][0], seg.ratio("Fe_Ka", "O_Ka").sd, rtol=0.25)
    assert plan.pixels == 48**2
    with pytest.raises(bs.InputError, match="Mg_Ka"):
        seg.plan("Mg_Ka", "O_Ka")
    one = bs.segment(maps, phases=1, seed=0)
    with pytest.raises(bs.InputError, match="plan_dose"):
        one.plan("Fe_Ka", "O_Ka")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ratios": (0.7,)}, "two or more"),
        ({"ratios": (0.7, 0.7)}, "different"),
        ({"ratios": RATIOS, "areas": (1.0,)}, "share for each"),
        ({"ratios": RATIOS, "shape": (4, 4)}, "8 x 8"),
        ({"ratios": RATIOS, "doses": (0,)}, "positive counts"),
        ({"ratios": RATIOS, "doses": 1e300}, "positive counts"),
    ],
)
def test_bad_input_is_refused(wrong: dict, words: str) -> None:
    with pytest.raises(bs.InputError, match=words):
        plan_dose(**wrong)


def test_wishes_that_cannot_be_met_are_refused(plan: bs.DosePlan) -> None:
    with pytest.raises(bs.InputError, match="above 0"):
        plan.counts_for(0)
    with pytest.raises(bs.InputError, match="told apart"):
        plan.pixels_for(0.01, 30)
    dark = plan_dose(RATIOS, shape=(32, 32), doses=[5.0])
    with pytest.raises(bs.InputError, match="not told apart"):
        dark.counts_for(0.01)
    with pytest.raises(bs.InputError, match="rate"):
        dark.seconds(100)
