"""Quantities of different results are combined as independent, those of one draw by draw, whatever the result."""

from collections.abc import Callable

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr

import bayesspec as bs
from bayesspec.results.estimate import BandedEstimate
from bayesspec.results.sample_comparison import same_phases


class Rate:
    """One rate."""

    DIMS = {"rate": ()}

    @staticmethod
    def model(counts):
        rate = numpyro.sample("rate", dist.LogNormal(3.0, 2.0))
        numpyro.sample("counts", dist.Poisson(rate), obs=counts)


def spectrum(seed: int) -> bs.SpectrumImage:
    return bs.simulate.iron_oxides(500, (8, 8), seed=seed).rebin(y=8, x=8)


def losses(seed: int) -> bs.SpectrumImage:
    return bs.simulate.eels_edges(2000, 16, seed=seed)


def oxides(seed: int) -> bs.LineMaps:
    return bs.simulate.iron_oxide_lines(2000, (16, 16), seed=seed)


def background_of(seed: int) -> bs.Estimate:
    fit = bs.unmix(bs.simulate.iron_oxides(300, (12, 12), seed=seed).rebin(energy=8), 1, draws=400, warmup=100)
    plain = fit.intensities_of(["Fe_Ka"]).draws.isel(line=0, component=0, drop=True)
    return bs.Estimate(plain, "Fe_Ka", source=fit.source)


MADE: dict[str, Callable[[int], bs.Estimate]] = {
    "phases": lambda seed: bs.segment(oxides(seed), 2).ratio("Fe_Ka", "O_Ka").sel(phase=0),
    "areas": lambda seed: bs.segment(oxides(seed), 2).fractions.sel(phase=0),
    "lines": lambda seed: bs.fit_lines(spectrum(seed), ["Fe", "O"], calibrate=False).ratio("Fe_Ka", "O_Ka"),
    "edges": lambda seed: bs.fit_edges(losses(seed), ["C", "Ti", "O"], draws=400).ratio("C_K", "O_K"),
    "components": background_of,
    "model": lambda seed: bs.fit(Rate, np.random.default_rng(seed).poisson(30, 50), draws=1000)["rate"],
}


@pytest.mark.parametrize("name", MADE)
def test_sd_of_a_difference_is_that_of_independent_quantities(name: str) -> None:
    first, second = (MADE[name](seed) for seed in (0, 1))
    expected = np.hypot(first.sd, second.sd)
    assert 0.9 < float((first - second).sd / expected) < 1.1
    raw = np.corrcoef(first.draws, second.draws)[0, 1]
    assert abs(raw) < 4.5 / np.sqrt(first.draws.sizes["draw"]), "draws of equal seeds share random numbers"


def estimate(values: list[float], source: str = "") -> bs.Estimate:
    return bs.Estimate(xr.DataArray(values, dims="draw"), "a", source=source)


def test_quantities_of_one_result_keep_their_covariance() -> None:
    seg = bs.segment(oxides(0), 2)
    iron, oxygen = (seg.intensities_of([line]).sel(line=line) for line in ("Fe_Ka", "O_Ka"))
    xr.testing.assert_allclose((iron / oxygen).draws, seg.ratio("Fe_Ka", "O_Ka").draws)
    assert float(abs((iron + oxygen).sd).max()) < 1e-9  # shares of two lines add up to one
    again = bs.segment(oxides(0), 2)
    assert float(abs((iron - again.intensities_of(["Fe_Ka"]).sel(line="Fe_Ka")).sd).max()) == 0


def test_numbers_shift_and_scale() -> None:
    one = estimate([1.0, 2.0, 4.0], "r")
    for made, expected in (
        (one + 1, [2, 3, 5]),
        (1 - one, [0, -1, -3]),
        (-one, [-1, -2, -4]),
        (2 * one, [2, 4, 8]),
        (one / 2, [0.5, 1, 2]),
        (4 / one, [4, 2, 1]),
        (one - one, [0, 0, 0]),
    ):
        assert made.draws.values.tolist() == expected
        assert made.source == "r"
    assert (2 * one).name == "2 * a"


def test_quantities_of_other_dims_or_labels_are_refused() -> None:
    first = bs.segment(oxides(0), 2).ratio("Fe_Ka", "O_Ka")
    with pytest.raises(bs.InputError, match="other dims or labels"):
        _ = first.sel(phase=[0]) - first.sel(phase=[1])
    with pytest.raises(bs.InputError, match="a finite number"):
        _ = first - float("nan")
    with pytest.raises(bs.InputError, match="without uncertainty"):
        _ = first.sel(phase=0) - bs.classical.kmeans(oxides(0), 2).ratio("Fe_Ka", "O_Ka").sel(phase=0)


def test_what_the_counts_do_not_determine_has_no_difference() -> None:
    draws = xr.DataArray(np.random.default_rng(0).normal(1, 0.1, (200, 1)), dims=("draw", "component"))
    low, high = (xr.DataArray([end], dims="component") for end in (0.0, 5.0))
    banded = BandedEstimate(draws, "share", low, high, low == low)
    with pytest.raises(bs.InputError, match="do not determine"):
        _ = banded - bs.Estimate(draws, "b")
    assert isinstance(2 * banded, BandedEstimate)


def test_phases_of_two_samples_are_paired_by_their_ratios() -> None:
    segs = [bs.segment(oxides(seed), 2) for seed in (0, 1)]
    found = bs.compare_samples(*segs, "Fe_Ka", "O_Ka")
    for i, pair in enumerate(found.pairs):
        assert "phase" in pair
        assert abs(float(found.difference.mean[i])) < 5 * float(found.difference.sd[i])
        assert abs(float(found.first.mean[i]) - float(found.second.mean[i])) < 0.04
    alone = bs.compare_samples(segs[0].ratio("Fe_Ka", "O_Ka").sel(phase=0), segs[1].ratio("Fe_Ka", "O_Ka").sel(phase=1))
    assert "differ with probability" in str(alone)
    assert alone.larger.dims == ("pair",)


def test_equal_samples_exceed_95_percent_in_one_comparison_of_twenty() -> None:
    rng, sure = np.random.default_rng(0), []
    for _ in range(400):
        one, other = (estimate(list(rng.normal(rng.normal(), 1, 400)), name) for name in "ab")
        sure.append(float(bs.compare_samples(one, other).probability[0]) > 0.95)
    assert 0.025 < np.mean(sure) < 0.08


def test_without_lines_two_results_are_refused() -> None:
    seg = bs.segment(oxides(0), 2)
    with pytest.raises(bs.InputError, match="without the lines"):
        bs.compare_samples(seg, seg)
    with pytest.raises(bs.InputError, match="two quantities"):
        bs.compare_samples(seg, seg.fractions)


def test_result_of_other_counts_is_refused_by_comparison_and_check() -> None:
    images = [bs.simulate.iron_oxides(300, (12, 12), seed=seed) for seed in (0, 1)]
    fit = bs.classical.nmf(images[0], 2, max_iterations=20)
    with pytest.raises(bs.InputError, match="other counts"):
        bs.compare(images[1], [fit])
    with pytest.raises(bs.InputError, match="other counts"):
        bs.check(fit, images[1])
    seg = bs.classical.kmeans(bs.element_maps(images[0], ["Fe_Ka", "O_Ka"]), 2)
    with pytest.raises(bs.InputError, match="other counts"):
        bs.compare(images[1], [seg])
    assert bs.compare(images[0], [seg, fit])


THREE = np.array([[0.60, 0.30, 0.10], [0.20, 0.30, 0.50], [0.30, 0.30, 0.40]])


def of_labels(labels: np.ndarray, given: np.ndarray, dose: float, seed: int) -> bs.Segmentation:
    """Counts of three phases, and the segmentation that has these labels."""
    counts = np.random.default_rng(seed).poisson(dose * THREE[given])
    phases = int(labels.max()) + 1
    summed = [counts[labels == k].sum(axis=0) for k in range(phases)]
    draws = np.stack([np.random.default_rng([seed, k]).dirichlet(each, 1000) for k, each in enumerate(summed)], axis=1)
    areas = np.random.default_rng(seed).dirichlet([(labels == k).sum() for k in range(phases)], 1000)
    maps = bs.LineMaps(counts, lines=["O_Ka", "Fe_Ka", "Si_Ka"])
    return bs.Segmentation.from_draws(maps, draws, np.eye(phases)[labels], method="mine", fraction_draws=areas)


@pytest.fixture(scope="module")
def doses() -> tuple[bs.Segmentation, bs.Segmentation]:
    """A short measurement that does not tell the last two phases apart, and a long one, of other numbers."""
    given = np.digitize(np.arange(48), [20, 38])[None] * np.ones((32, 1), int)
    wrong = given.copy()
    wrong[np.random.default_rng(0).random(given.shape) < 0.05] = 0
    return of_labels(np.minimum(wrong, 1), given, 20, 0), of_labels((given + 1) % 3, given, 400, 1)


def test_phases_of_a_short_measurement_are_several_of_a_long_one(
    doses: tuple[bs.Segmentation, bs.Segmentation],
) -> None:
    short, long = doses
    found = bs.compare_samples(short, long, "Si_Ka", "O_Ka", same_pixels=True)
    assert found.pairs == ("phase 0 and phase 1", "phase 1 and phases 0 and 2 together")
    assert found.notes == (
        "phase 1 of the first is phases 0 and 2 together of the second, which it does not tell apart",
    )
    assert found.notes[0] in str(found)
    union = THREE[1] * 18 + THREE[2] * 10
    assert float(found.second.mean[1]) == pytest.approx(union[2] / union[0], rel=0.02)
    assert abs(float(found.difference.mean[1])) < 3 * float(found.difference.sd[1])
    turned = bs.compare_samples(long, short, "Si_Ka", "O_Ka", same_pixels=True)
    assert turned.pairs == ("phase 1 and phase 0", "phases 0 and 2 together and phase 1") or turned.pairs == (
        "phases 0 and 2 together and phase 1",
        "phase 1 and phase 0",
    )
    assert "phase 1 of the second is phases 0 and 2 together of the first" in turned.notes[0]


def test_phases_in_other_pixels_have_no_partner(doses: tuple[bs.Segmentation, bs.Segmentation]) -> None:
    rows = np.arange(32)[:, None] // 16 * np.ones((1, 48), int)
    found = bs.compare_samples(of_labels(rows, rows, 20, 3), doses[1], "Si_Ka", "O_Ka", same_pixels=True)
    assert found.pairs == ()
    assert len(found.notes) == 2
    assert "no phase of the other result lies in the same pixels" in str(found)


def test_same_pixels_are_asked_of_two_segmentations_of_one_shape(
    doses: tuple[bs.Segmentation, bs.Segmentation],
) -> None:
    with pytest.raises(bs.InputError, match="same pixels"):
        bs.compare_samples(doses[0], bs.segment(oxides(0), 2), "Fe_Ka", "O_Ka", same_pixels=True)
    with pytest.raises(bs.InputError, match="same pixels"):
        bs.compare_samples(doses[0].fractions, doses[1].fractions, same_pixels=True)
    with pytest.raises(bs.InputError, match="without the lines"):
        bs.compare_samples(*doses, same_pixels=True)


def test_phases_that_share_too_few_pixels_are_not_the_same() -> None:
    one = [([0], [0]), ([1], [1])]
    assert same_phases(np.array([[80.0, 5], [5, 80]])) == one
    assert same_phases(np.array([[80.0, 40], [40, 80]])) == []
    assert same_phases(np.array([[80.0, 2], [3, 50], [1, 40]])) == [([0], [0]), ([1, 2], [1])]
    assert same_phases(np.array([[80.0, 2], [50, 3], [60, 40]])) == []
