"""Engine of the composition mixture against closed forms, NUTS and simulated truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer import MCMC, NUTS, init_to_value
from scipy.ndimage import gaussian_filter
from scipy.stats import multinomial

from bayesspec.errors import InputError
from bayesspec.inference.mixture.coherence import dose_covariates
from bayesspec.inference.mixture.fit_number import with_covariates
from bayesspec.inference.mixture.path import fit_path
from bayesspec.inference.status import Status
from bayesspec.models import composition_mixture

OXIDES = np.array([0.783, 0.698])
SHARES = np.stack([OXIDES / (1 + OXIDES), 1 / (1 + OXIDES)], axis=1)
FOUR = np.array([[0.5, 0.3, 0.15, 0.05], [0.45, 0.3, 0.15, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])


def phantom(seed, *, dose, shape=(64, 64), shares=SHARES, width=4):
    """Counts, labels: blobs of the compositions, thickness smooth by 40 %."""
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.normal(size=shape), width, mode="wrap") for _ in shares]
    labels = np.argmax(fields, axis=0)
    thickness = gaussian_filter(rng.normal(size=shape), 15, mode="wrap")
    thickness = 1 + 0.4 * thickness / np.abs(thickness).max()
    return rng.poisson(dose * thickness[:, :, None] * shares[labels]), labels


def log_ratios(fit):
    """Log ratio of the first two channels of each phase and its standard deviation, largest first."""
    phases, channels = fit.log_composition.shape
    mean = fit.log_composition[:, 0] - fit.log_composition[:, 1]
    contrast = np.zeros((phases, len(fit.information)))
    contrast[np.arange(phases), np.arange(phases) * channels] = 1
    contrast[np.arange(phases), np.arange(phases) * channels + 1] = -1
    order = np.argsort(-mean)
    return mean[order], np.sqrt(np.diag(contrast @ fit.covariance @ contrast.T))[order]


@pytest.fixture(scope="module")
def oxides():
    counts, labels = phantom(0, dose=2000)
    return counts, labels, fit_path(counts, 2)


def test_one_phase_is_the_closed_form():
    counts = np.random.default_rng(1).poisson([3.0, 5.0, 0.2], (20, 20, 3))
    (fit,) = fit_path(counts, 1)
    pooled = counts.sum(axis=(0, 1)) + 1
    np.testing.assert_allclose(np.exp(fit.log_composition[0]), pooled / pooled.sum(), rtol=1e-9)
    mean, sd = log_ratios(fit)
    assert sd[0] == pytest.approx(np.sqrt(1 / pooled[0] + 1 / pooled[1]), rel=1e-9)
    totals = counts.sum(axis=2).ravel()
    exact = multinomial.logpmf(counts.reshape(-1, 3), totals, np.exp(fit.log_composition[0]))
    np.testing.assert_allclose(fit.pixel_log_likelihood, exact, atol=1e-9)
    assert (fit.n_parameters, fit.n_pixels) == (2, int((totals > 0).sum()))


def test_posterior_agrees_with_nuts():
    rng = np.random.default_rng(3)
    composition = np.array([[0.6, 0.3, 0.1], [0.35, 0.4, 0.25]])
    counts = np.stack([rng.multinomial(60, composition[k]) for k in rng.binomial(1, 0.35, 300)])
    fit = fit_path(counts.reshape(15, 20, 3), 2)[1]
    draws, weights = fit.draws(np.random.default_rng(0), 4000)
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        start = composition_mixture.initial(counts, phases=2, key=jax.random.key(2))
        kernel = NUTS(composition_mixture.model, dense_mass=True, init_strategy=init_to_value(values=start))
        sampler = MCMC(kernel, num_warmup=150, num_samples=500, progress_bar=False)
        sampler.run(jax.random.PRNGKey(1), counts, phases=2)
        chain = composition_mixture.canonical(sampler.get_samples())
        ours = composition_mixture.canonical({"composition": jnp.asarray(draws), "weights": jnp.asarray(weights)})

    def functionals(sample):
        ratio = np.log(sample["composition"][..., 0] / sample["composition"][..., 1])
        odds = sample["weights"][:, :1, 0] - sample["weights"][:, 1:, 0]
        return np.concatenate([ratio, odds], axis=1)

    theirs, ours = functionals(chain), functionals(ours)
    error = theirs.std(axis=0) / np.sqrt(200)
    np.testing.assert_array_less(np.abs(theirs.mean(axis=0) - ours.mean(axis=0)), 4 * error)
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.15)


def test_two_oxides_are_recovered(oxides):
    counts, labels, (one, two) = oxides
    assert two.bic < one.bic
    fit = with_covariates(two, counts, dose_covariates(counts.sum(axis=2)))
    assert fit.convergence.converged
    assert fit.convergence.definite
    mean, sd = log_ratios(fit)
    assert (np.abs(mean - np.log(OXIDES)) < 4 * sd).all()
    assert (sd < 0.004).all()
    order = np.argsort(-(fit.log_composition[:, 0] - fit.log_composition[:, 1]))
    accuracy = (fit.responsibilities[:, order].argmax(axis=1) == labels.ravel()).mean()
    optimal = ((counts @ np.log(SHARES).T).argmax(axis=2) == labels).mean()
    assert accuracy > optimal - 0.01


def test_interval_covers_over_replicates():
    inside = []
    for seed in range(40):
        counts, _ = phantom(100 + seed, dose=600)
        fit = with_covariates(fit_path(counts, 2)[1], counts, dose_covariates(counts.sum(axis=2)))
        mean, sd = log_ratios(fit)
        inside.append(np.abs(mean - np.log(OXIDES)) < 1.645 * sd)
    assert np.mean(inside) > 0.9 - 2.5 * np.sqrt(0.09 / 40)


def test_four_phases_are_found_one_by_one():
    counts, labels = phantom(4, dose=1000, shares=FOUR)
    fits = fit_path(counts, 5)
    assert [fit.n_phases for fit in fits] == [1, 2, 3, 4, 5]
    assert min(fits, key=lambda fit: fit.bic).n_phases == 4
    found = np.exp(fits[3].log_composition)
    nearest = np.array([np.abs(found - share).sum(axis=1).argmin() for share in FOUR])
    assert sorted(nearest) == [0, 1, 2, 3]
    np.testing.assert_allclose(found[nearest], FOUR, atol=0.01)
    assert (fits[3].responsibilities[:, nearest].argmax(axis=1) == labels.ravel()).mean() > 0.9


def test_channels_and_pixels_may_change_places(oxides):
    counts, _, (_, two) = oxides
    turned = fit_path(counts[:, :, ::-1], 2)[1]
    mirrored = fit_path(counts[::-1], 2)[1]
    mean, sd = log_ratios(two)
    for other, sign in ((turned, -1), (mirrored, 1)):
        again, spread = log_ratios(other)
        np.testing.assert_allclose(sign * again[::sign], mean, atol=1e-6)
        np.testing.assert_allclose(spread[::sign], sd, rtol=1e-4)
        assert other.log_likelihood == pytest.approx(two.log_likelihood, rel=1e-10)


def test_thinned_counts_widen_the_intervals_as_fisher_information_says():
    counts, _ = phantom(5, dose=20000)
    thinned = np.random.default_rng(0).binomial(counts, 0.5)
    spread, wider = (log_ratios(fit_path(y, 2)[1])[1] for y in (counts, thinned))
    np.testing.assert_allclose(wider / spread, np.sqrt(2), rtol=0.05)


def test_masked_and_empty_pixels_and_empty_channels_contribute_nothing(oxides):
    counts, _, (_, two) = oxides
    padded = np.zeros((68, 64, 3), int)
    padded[:64, :, :2] = counts
    padded[64:, :, 2] = 7
    mask = np.zeros((68, 64), bool)
    mask[64:66] = True
    padded[66:] = 0
    fit = fit_path(padded, 2, mask=mask)[1]
    np.testing.assert_allclose(log_ratios(fit)[0], log_ratios(two)[0], atol=1e-5)
    np.testing.assert_allclose(log_ratios(fit)[1], log_ratios(two)[1], rtol=1e-3)
    assert (fit.n_parameters, fit.n_pixels) == (two.n_parameters, two.n_pixels)
    assert np.isfinite(fit.log_composition).all()
    assert (fit.pixel_log_likelihood[-128:] == 0).all()


def test_indefinite_information_is_flagged_and_gives_no_draws(monkeypatch):
    monkeypatch.setattr("bayesspec.inference.mixture.fit_number.NEWTON_STEPS", 1)
    monkeypatch.setattr("bayesspec.inference.mixture.path.PATH_TOLERANCE", 1e-9)
    monkeypatch.setattr("bayesspec.inference.mixture.path.EM_CYCLES", 1)
    fit = fit_path(phantom(8, dose=50)[0], 2)[1]
    assert fit.convergence.smallest_curvature == pytest.approx(np.linalg.eigvalsh(fit.information)[0])
    assert fit.convergence.smallest_curvature < 0
    assert not fit.convergence.definite
    assert fit.status is Status.NOT_DEFINITE
    with pytest.raises(InputError, match="smallest eigenvalue -"):
        fit.draws(np.random.default_rng(0), 5)


def test_newton_that_is_cut_short_says_so(monkeypatch):
    monkeypatch.setattr("bayesspec.inference.mixture.fit_number.NEWTON_STEPS", 1)
    monkeypatch.setattr("bayesspec.inference.mixture.path.PATH_TOLERANCE", 1e-9)
    monkeypatch.setattr("bayesspec.inference.mixture.path.EM_CYCLES", 1)
    fit = fit_path(phantom(0, dose=2000)[0], 2)[1]
    assert fit.convergence.definite
    assert not fit.convergence.converged
    assert fit.status is Status.ITERATION_LIMIT
    assert fit.convergence.iterations == 1


def test_draws_follow_mode_and_covariance(oxides):
    fit = oxides[2][1]
    composition, weights = fit.draws(np.random.default_rng(3), 20000)
    np.testing.assert_allclose(composition.sum(axis=2), 1.0, rtol=1e-12)
    assert weights.shape == (20000, 2, 1)
    order = np.argsort(-(fit.log_composition[:, 0] - fit.log_composition[:, 1]))
    ratio = np.log(composition[:, :, 0] / composition[:, :, 1])[:, order]
    mean, sd = log_ratios(fit)
    np.testing.assert_allclose(ratio.mean(axis=0), mean, atol=0.04 * sd.max())
    np.testing.assert_allclose(ratio.std(axis=0), sd, rtol=0.03)
    np.testing.assert_array_equal(fit.draws(np.random.default_rng(3), 5)[0], fit.draws(np.random.default_rng(3), 5)[0])


@pytest.mark.parametrize(
    ("counts", "phases", "mask", "found"),
    [
        (np.ones((4, 4), int), 1, None, r"shape \(4, 4\)"),
        (np.ones((4, 4, 1), int), 1, None, r"shape \(4, 4, 1\)"),
        (np.ones((4, 4, 2)), 1, None, "float64"),
        (-np.ones((4, 4, 2), int), 1, None, "smallest -1"),
        (np.ones((4, 4, 2), int), 17, None, "17 phases for 16 pixels"),
        (np.ones((4, 4, 2), int), 0, None, "0 phases"),
        (np.ones((4, 4, 2), int), 1, np.ones((4, 4), bool), "1 phases for 0 pixels"),
        (np.ones((4, 4, 2), int), 1, np.ones((4, 5), bool), r"mask of shape \(4, 5\)"),
        (np.full((4, 4, 2), 2**30), 1, None, "2147483648 counts"),
    ],
)
def test_what_cannot_be_fitted_is_refused(counts, phases, mask, found):
    with pytest.raises(InputError, match=found):
        fit_path(counts, phases, mask=mask)


def test_covariates_that_do_not_fit_are_refused(oxides):
    counts, _, (_, two) = oxides
    with pytest.raises(InputError, match=r"covariates of shape \(10, 2\)"):
        with_covariates(two, counts, np.zeros((10, 2)))
    with pytest.raises(InputError, match="1 values not finite"):
        with_covariates(two, counts, np.where(np.arange(4096)[:, None] == 3, np.nan, np.zeros((4096, 1))))


@pytest.mark.parametrize("seed", range(6))
def test_two_windows_show_phases_that_have_no_spatial_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ratio = np.array([0.783, 0.698])[(rng.random((64, 64)) > 0.6).astype(int)]
    shares = np.stack([ratio, np.ones_like(ratio)], axis=2) / (1 + ratio)[:, :, None]
    one, two = fit_path(rng.poisson(4000 * shares), 2)
    assert two.bic < one.bic - 1000
