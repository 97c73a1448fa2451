"""Poisson log-normal components: convergence, canonical form, coverage, relevance."""

import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.inference.pca import blocks as pca_blocks
from bayesspec.inference.pca.denoised_rates import products_with_errors
from bayesspec.inference.pca.log_link import fit_pca
from bayesspec.inference.status import Status


def simulated(seed=0, pixels=300, channels=40, rank=2, mean=3.0):
    rng = np.random.default_rng(seed)
    loadings = 0.4 * rng.normal(size=(rank, channels))
    logs = np.log(mean) + 0.5 * rng.normal(size=channels) + rng.normal(size=(pixels, rank)) @ loadings
    return rng.poisson(np.exp(logs)), logs, loadings


def log_rates(fit):
    scores = np.concatenate([np.ones((len(fit.scores), 1)), fit.scores], axis=1)
    spread = np.pad(fit.score_covariance, ((0, 0), (1, 0), (1, 0)))
    loadings = np.concatenate([fit.mean_log[None], fit.components])
    return products_with_errors(scores, spread, loadings, fit.channel_covariance)


def test_bound_rises_to_its_end():
    fit = fit_pca(simulated()[0], 2)
    assert fit.status is Status.CONVERGED
    assert np.diff(fit.history).min() > -1e-6 * abs(fit.bound)
    longer = fit_pca(simulated()[0], 2, tolerance=1e-9, max_iterations=60)
    assert longer.bound == pytest.approx(fit.bound, rel=1e-5)


def test_canonical_form():
    fit = fit_pca(simulated()[0], 2)
    np.testing.assert_allclose(fit.components @ fit.components.T, np.eye(2), atol=1e-5)
    moment = np.cov(fit.scores.T) + fit.score_covariance.mean(axis=0)
    assert abs(moment[0, 1]) < 0.02 * moment[0, 0]
    assert moment[0, 0] > moment[1, 1]
    np.testing.assert_allclose(fit.scores.mean(axis=0), 0, atol=0.02 * np.sqrt(moment[0, 0]))
    assert (fit.components[np.arange(2), np.abs(fit.components).argmax(axis=1)] > 0).all()


def test_span_of_the_loadings_is_found():
    counts, _, loadings = simulated(pixels=2000)
    found, truth = fit_pca(counts, 2).components, np.linalg.qr(loadings.T)[0]
    assert np.linalg.svd(found @ truth)[1].min() > 0.99


def test_intervals_of_log_rates_cover():
    inside = []
    for seed in range(5):
        counts, logs, _ = simulated(seed)
        mean, variance = log_rates(fit_pca(counts, 2))
        inside.append(np.mean(np.abs(logs - mean) < 1.645 * np.sqrt(variance)))
    assert 0.87 < np.mean(inside) < 0.93


def test_a_component_that_is_not_needed_fades():
    fit = fit_pca(simulated(pixels=1000)[0], 3)
    assert fit.relevance[2] < 0.35 * fit.relevance[1]


def test_a_sweep_is_compiled_once():
    counts = simulated()[0]
    fit_pca(counts, 2, max_iterations=2)
    before = pca_blocks.sweep._cache_size()
    fit_pca(np.minimum(counts + 1, 255), 2, max_iterations=3)
    assert pca_blocks.sweep._cache_size() == before


def test_empty_pixels_and_channels_do_no_harm():
    counts = simulated()[0]
    counts[:30], counts[:, :3] = 0, 0
    fit = fit_pca(counts, 2)
    assert all(np.isfinite(a).all() for a in (fit.scores, fit.components, fit.channel_covariance))


def test_progress_is_told_and_ctrl_c_keeps_the_last_state():
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    fit = fit_pca(simulated()[0], 2, progress=stop)
    assert fit.status is Status.INTERRUPTED
    assert len(fit.history) == 3
    assert np.isfinite(fit.scores).all()


def test_refuses_impossible_ranks():
    with pytest.raises(InputError, match="from 1 to 40"):
        fit_pca(simulated()[0], 41)
