"""Comparison of phases: probabilities that mean what they say."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

import bayesspec as bs
from bayesspec.results.phase_comparison import compare

LINES = ("Fe_Ka", "O_Ka", "Si_Ka")


def intensities(means: np.ndarray, sd: float, draws: int = 4000, seed: int = 0) -> xr.DataArray:
    """Draws of three line intensities of two phases, correlated between the phases."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(draws, 2, 3)) + 2 * rng.normal(size=(draws, 1, 3))
    coords = {"phase": [0, 1], "line": list(LINES)}
    return xr.DataArray(means * np.exp(sd * noise), dims=("draw", "phase", "line"), coords=coords)


def test_the_covariance_between_phases_counts() -> None:
    draws = intensities(np.array([[1.02, 2.0, 1.0], [1.0, 2.0, 1.0]]), 0.004)
    found = compare(draws, 0, 1)
    assert found.difference.draws["ratio"].values.tolist() == ["Fe_Ka/O_Ka", "Si_Ka/O_Ka"]
    assert float(found.difference.sd[0]) == pytest.approx(0.004 * 2, rel=0.05)  # shared noise cancels
    z = 0.0198 / 0.008
    assert float(found.larger[0]) == pytest.approx(norm.cdf(z), abs=0.005)
    assert float(found.probability[0]) == pytest.approx(2 * norm.cdf(z) - 1, abs=0.01)
    within = compare(draws, 0, 1, margin=0.02)
    assert float(within.probability[0]) == pytest.approx(0.5, abs=0.05)
    assert float(compare(draws, 1, 0).larger[0]) == pytest.approx(1 - float(found.larger[0]))


def test_equal_phases_exceed_a_level_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    overall, single = [], []
    for seed in range(300):
        error = 0.01 * rng.normal(size=(2, 3))
        found = compare(intensities(np.exp(error) * [1.0, 2.0, 1.5], 0.01, 400, seed).pipe(unshared), 0, 1)
        overall.append(found.overall)
        single.append(float(found.probability[0]))
    for values in (overall, single):
        for level in (0.5, 0.9):
            assert np.mean(np.array(values) < level) == pytest.approx(level, abs=0.07)


def unshared(draws: xr.DataArray) -> xr.DataArray:
    """The same means with independent noise of one hundredth."""
    noise = np.random.default_rng(int(1e6 * float(draws[0, 0, 0]))).normal(size=draws.shape)
    return draws.mean("draw") * xr.DataArray(np.exp(0.01 * noise), dims=draws.dims)


def test_a_segmentation_compares_its_phases(seg: bs.Segmentation) -> None:
    found = seg.compare_phases(0, 1)
    assert found.overall > 0.99
    assert "phase 0 and phase 1 differ with probability > 0.999" in str(found)
    difference = seg.ratio_difference("Fe_Ka", "O_Ka")
    ratio = seg.ratio("Fe_Ka", "O_Ka").mean.values
    assert float(difference.mean) == pytest.approx(ratio[0] - ratio[1])
    assert str(difference) == str(seg.ratio_difference("Fe_Ka", "O_Ka", 0, 1))
    reversed_ = seg.ratio_difference("Fe_Ka", "O_Ka", 1, 0)
    assert float(reversed_.mean) == pytest.approx(-float(difference.mean))


def test_phases_that_are_not_resolved_are_not_compared(seg: bs.Segmentation) -> None:
    blank = bs.Segmentation(seg.data.assign(intensity_draws=seg.intensities.draws * np.nan))
    found = blank.compare_phases(0, 1)
    assert np.isnan(found.overall)
    assert np.isnan(found.probability).all()
    assert "cannot be compared" in str(found)


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((0, 0), {}, "two different ones"),
        ((0, 7), {}, "two different ones"),
        ((0, 1), {"reference": "Mg_Ka"}, "one of"),
        ((0, 1), {"margin": -1.0}, "0 or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(seg: bs.Segmentation, arguments, options, said) -> None:
    with pytest.raises(bs.InputError, match=said):
        seg.compare_phases(*arguments, **options)


def test_labels_without_draws_are_not_compared(clusters: bs.Segmentation, seg: bs.Segmentation) -> None:
    with pytest.raises(bs.InputError, match="without uncertainties"):
        clusters.compare_phases(0, 1)
    with pytest.raises(bs.InputError, match="from 0 to 1"):
        seg.ratio_difference("Fe_Ka", "O_Ka", 0, 2)
