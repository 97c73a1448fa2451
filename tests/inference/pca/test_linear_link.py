"""Components that add up: smaller errors than the weighted decomposition, intervals that cover, gaps."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesspec.image.counts import Counts
from bayesspec.inference.pca.denoised_rates import positive_rates, products_with_errors
from bayesspec.inference.pca.linear_link import fit_linear
from bayesspec.inference.status import Status

SIDE = 20
FULL = np.ones((SIDE, SIDE), bool)


def simulated(dose, seed=0, width=2.5):
    rng = np.random.default_rng(seed)
    places = np.arange(32)
    lines = [np.exp(-0.5 * ((places - p) / 2.0) ** 2) + 0.05 for p in (6, 15, 25)]
    spectra = np.stack([line / line.sum() for line in lines])
    fields = [
        gaussian_filter(rng.normal(size=(SIDE, SIDE)), width, mode="wrap") if width else rng.normal(size=(SIDE, SIDE))
        for _ in lines
    ]
    maps = np.maximum(np.stack([f.ravel() / f.std() for f in fields], axis=1) + 0.3, 0) + 0.05
    rates = dose * maps / maps.sum(axis=1).mean() @ spectra
    return rng.poisson(rates), rates


def with_neighbours(counts, valid=FULL):
    return fit_linear(Counts(Counts.of(counts).matrix, valid, np.ones(32, bool)), 3, neighbours=True)


def truncated(counts, rank):
    w = np.sqrt(np.maximum(counts.sum(axis=1, keepdims=True), 0.5) * np.maximum(counts.sum(axis=0), 0.5) / counts.sum())
    u, s, v = np.linalg.svd(counts / w, full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ v[:rank] * w


def rates_of(fit, prob=0.9):
    return positive_rates(
        *products_with_errors(fit.scores, fit.score_covariance, fit.loadings, fit.channel_covariance), prob
    )


def error(found, truth):
    return np.sqrt(np.mean((found - truth) ** 2 / truth))


@pytest.mark.parametrize(("dose", "most"), [(20, 0.65), (2000, 0.95)])
def test_neighbours_bring_the_error_below_that_of_the_truncated_decomposition(dose, most):
    counts, rates = simulated(dose)
    fit = with_neighbours(counts)
    assert fit.status is Status.CONVERGED
    assert error(rates_of(fit)["mean"], rates) < most * error(truncated(counts, 3), rates)


@pytest.mark.parametrize("fit", [with_neighbours, lambda counts: fit_linear(counts, 3)])
@pytest.mark.parametrize("dose", [100, 1000])
def test_intervals_of_rates_cover(dose, fit):
    inside = []
    for seed in range(4):
        counts, rates = simulated(dose, seed)
        found = rates_of(fit(counts))
        inside.append(np.mean((found["lower"] <= rates) & (rates <= found["upper"])))
    assert 0.85 < np.mean(inside) < 0.94


def test_without_structure_the_neighbours_are_not_asked():
    counts, rates = simulated(300, width=0)
    alone, asked = (error(rates_of(fit)["mean"], rates) for fit in (fit_linear(counts, 3), with_neighbours(counts)))
    assert asked < 1.05 * alone


def test_excluded_pixels_leave_the_others_alone():
    counts, rates = simulated(100)
    valid = np.ones((SIDE, SIDE), bool)
    valid[5:9, 5:9] = False
    fit = with_neighbours(counts[valid.ravel()], valid)
    whole = rates_of(with_neighbours(counts))["mean"][valid.ravel()]
    part = rates_of(fit)["mean"]
    assert error(part, rates[valid.ravel()]) < 1.1 * error(whole, rates[valid.ravel()])


def test_canonical_form():
    counts, _ = simulated(300)
    fit = with_neighbours(counts)
    share = np.maximum(counts.sum(axis=0), 0.5) / np.maximum(counts.sum(axis=0), 0.5).sum()
    np.testing.assert_allclose((fit.loadings / share) @ fit.loadings.T, np.eye(3), atol=1e-6)
    second = fit.scores.T @ fit.scores
    assert np.abs(second - np.diag(np.diag(second))).max() < 1e-6 * second[0, 0]
    assert (np.diff(np.diag(second)) < 0).all()


def test_truncated_normals_are_closed_forms():
    rng = np.random.default_rng(0)
    means = np.array([[-2.0, 0.0, 0.7, 5.0]])
    ours = positive_rates(means, np.ones_like(means), 0.9)
    for k, mean in enumerate(means[0]):
        draws = mean + rng.normal(size=2_000_000)
        draws = draws[draws > 0]
        assert ours["mean"][0, k] == pytest.approx(draws.mean(), abs=0.02)
        assert ours["sd"][0, k] == pytest.approx(draws.std(), abs=0.02)
        np.testing.assert_allclose(
            [ours["lower"][0, k], ours["upper"][0, k]], np.quantile(draws, [0.05, 0.95]), atol=0.02
        )
