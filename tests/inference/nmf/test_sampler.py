"""The sampler of the factorisation against closed forms, NUTS, and the invariances of its moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import unconstrain_fn
from scipy import stats

from bayesspec.errors import InputError
from bayesspec.image.counts import cut, merge_counts
from bayesspec.inference.nmf import sampler
from bayesspec.inference.nmf.background_transfer import unload
from bayesspec.inference.nmf.mixing_moves import (
    Factors,
    Noise,
    Target,
    directions,
    likelihood_change,
    prior_change,
    shift_all,
    slopes,
)
from bayesspec.inference.nmf.mode import fit_mode
from bayesspec.inference.nmf.posterior import effective_sample_size, end_errors, gamma_quantiles
from bayesspec.inference.nmf.prior import NmfPrior, draw_shape_and_rate, log_joint
from bayesspec.inference.nmf.sampler import Chain, sample, warmup_stages
from bayesspec.inference.status import Status
from bayesspec.models import poisson_nmf


def fresh():
    """A key that has not been used."""
    return jax.random.key(3)


def simulated(seed=0, pixels=40, channels=12, rank=2, counts=200.0):
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.full(channels, 0.5), rank)
    abundances = rng.gamma(1.0, counts / rank, (pixels, rank))
    return rng.poisson(abundances @ spectra), spectra, abundances


def test_one_component_has_its_closed_form():
    counts, _, _ = simulated(rank=1)
    posterior = sample(counts, fit_mode(counts, 1, key=fresh()), key=fresh(), draws=1500, warmup=50, thin=1)
    a = 0.5 + counts.sum(axis=0)
    exact = stats.dirichlet(a)
    np.testing.assert_allclose(posterior.spectra[:, 0].mean(axis=0), exact.mean(), rtol=0.03, atol=2e-4)
    np.testing.assert_allclose(posterior.spectra[:, 0].std(axis=0), np.sqrt(exact.var()), rtol=0.15)
    shape, rate = posterior.shape, posterior.rate
    mean = ((shape + counts.sum(axis=1)) / (rate + 1.0)).mean(axis=0)
    np.testing.assert_allclose(posterior.abundance_mean[:, 0], mean, rtol=0.02, atol=0.2)
    np.testing.assert_allclose(posterior.abundance_sd[:, 0], np.sqrt(mean), rtol=0.12)


def test_agrees_with_nuts():
    rng = np.random.default_rng(4)
    spectra = np.array([[4, 3, 2, 1, 0.2, 0.2, 0.2, 0.2], [0.2, 0.2, 0.2, 0.2, 1, 2, 3, 4]])
    spectra /= spectra.sum(axis=1, keepdims=True)
    abundances = rng.gamma(1.0, 60.0, (20, 2))
    counts = rng.poisson(abundances @ spectra)
    posterior = sample(counts, fit_mode(counts, 2, key=fresh()), key=fresh(), draws=4000, warmup=300, thin=1)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        start = {"spectra": jnp.asarray(posterior.spectra[-1]), "abundances": jnp.asarray(posterior.abundance_mean)}
        start |= {"shape": jnp.ones(2), "rate": jnp.full(2, 0.02)}
        sampler = MCMC(NUTS(poisson_nmf.model), num_warmup=400, num_samples=1000, progress_bar=False)
        sampler.run(jax.random.PRNGKey(1), jnp.asarray(counts), rank=2, init_params=unconstrained(counts, start))
        truth = {name: np.asarray(value) for name, value in sampler.get_samples().items()}
    sd = truth["spectra"].std(axis=0)
    assert np.abs(posterior.spectra.mean(axis=0) - truth["spectra"].mean(axis=0)).max() < 0.25 * sd.max()
    np.testing.assert_allclose(posterior.spectra.std(axis=0), sd, rtol=0.25)
    sd = truth["abundances"].std(axis=0)
    off = (posterior.abundance_mean - truth["abundances"].mean(axis=0)) / sd
    assert np.abs(off).max() < 0.4
    assert np.median(posterior.abundance_sd / sd) == pytest.approx(1.0, abs=0.08)
    for name in ("shape", "rate"):
        ours, theirs = np.log(getattr(posterior, name)), np.log(truth[name])
        assert np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).max() < 0.3 * theirs.std(axis=0).max()


def unconstrained(counts, values):
    return unconstrain_fn(poisson_nmf.model, (jnp.asarray(counts),), {"rank": 2}, values)


def test_log_joint_of_the_chain_is_that_of_the_model():
    counts, _, _ = simulated()
    kept, original = {}, Chain.step

    def spy(self, key, adapt=0.0):
        kept["summary"] = original(self, key, adapt)
        kept["log_w"] = self.blocks.join(self.state.log_w)
        return kept["summary"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chain, "step", spy)
        sample(counts, fit_mode(counts, 2, key=fresh()), key=fresh(), draws=20, warmup=20, thin=1)
    last = kept["summary"]
    exact = log_joint(counts, last.spectra, np.exp(kept["log_w"]), last.shape, last.rate)
    assert float(last.log_joint) == pytest.approx(exact, rel=1e-5, abs=0.02)


def test_empty_pixels_and_channels_are_sampled_from_the_prior():
    counts, _, _ = simulated()
    counts[[0, 7]] = 0
    counts[:, 5] = 0
    posterior = sample(counts, fit_mode(counts, 2, key=fresh()), key=fresh(), draws=800, warmup=200, thin=1)
    assert np.isfinite(posterior.log_joint).all()
    expected = (posterior.shape / (posterior.rate + 1.0)).mean(axis=0)
    np.testing.assert_allclose(posterior.abundance_mean[[0, 7]].mean(axis=0), expected, rtol=0.35)
    assert posterior.spectra[:, :, 5].mean() < 5 * 0.5 / posterior.totals.mean()


def test_fixed_spectrum_stays():
    counts, spectra, _ = simulated(rank=3)
    mode = fit_mode(counts, 2, key=fresh(), fixed_spectra=spectra[2:])
    posterior = sample(counts, mode, key=fresh(), draws=30, warmup=30)
    np.testing.assert_allclose(posterior.spectra[:, 2], np.tile(mode.spectra[2], (30, 1)), rtol=1e-6)
    assert posterior.spectra[:, 0].std(axis=0).max() > 0
    np.testing.assert_allclose(posterior.spectra.sum(axis=2), 1.0, rtol=1e-4)


def test_same_key_same_draws_and_the_mean_counts_are_kept():
    counts, _, _ = simulated()
    mode = fit_mode(counts, 2, key=fresh())
    one, two = (sample(counts, mode, key=fresh(), draws=10, warmup=5) for _ in range(2))
    np.testing.assert_array_equal(one.spectra, two.spectra)
    assert one.totals.sum(axis=1).mean() == pytest.approx(counts.sum(), rel=0.02)


def test_interruption_returns_the_draws_so_far():
    counts, _, _ = simulated()

    def stop(done, _):
        if done == 15:
            raise KeyboardInterrupt

    posterior = sample(counts, fit_mode(counts, 2, key=fresh()), key=fresh(), draws=50, warmup=5, thin=1, progress=stop)
    assert posterior.status is Status.INTERRUPTED
    assert len(posterior.spectra) == 10


def test_many_counts_are_warmed_up_in_stages(monkeypatch):
    assert warmup_stages((900, 2000), 50) == warmup_stages((900, 200_000), 50) == [(1, 50)]
    assert warmup_stages((17956, 8192), 50) == [(16, 150), (4, 50), (1, 50)]
    monkeypatch.setattr(sampler, "MANY_ENTRIES", 40_000)
    counts, _, _ = simulated(pixels=4000, counts=60.0)
    ticks = []
    posterior = sample(
        counts,
        fit_mode(counts, 2, key=fresh()),
        key=fresh(),
        draws=5,
        warmup=4,
        thin=1,
        progress=lambda done, total: ticks.append((done, total)),
    )
    assert ticks[-1] == (21, 21)
    assert posterior.abundance_mean.shape == (4000, 2)
    assert posterior.totals.sum(axis=1).mean() == pytest.approx(counts.sum(), rel=0.01)


def test_refuses_counts_of_another_mode():
    counts, _, _ = simulated()
    with pytest.raises(InputError, match="mode"):
        sample(counts[:-1], fit_mode(counts, 2, key=fresh()), key=fresh())


def coupled(seed=0, flat=0):
    counts, spectra, abundances = simulated(seed, rank=3)
    blocks = cut(counts.astype(np.uint16))
    valid = blocks.split(np.ones((len(counts), 1)))
    log_w = jnp.log(jnp.where(valid > 0, blocks.split(abundances + 0.1), 1.0))
    factors = Factors(log_w, jnp.asarray(spectra + 1e-4, jnp.float32))
    noise = Noise(jnp.full_like(log_w, 4.0), jnp.full_like(factors.spectra, 0.01))
    shape = jnp.asarray([0.8, 1.2, 2.0], jnp.float64)
    prior = NmfPrior(flat=flat).arrays(3, *spectra.shape)
    return Target(blocks.counts, valid, noise, shape, prior.scaled(shape)), factors


@pytest.mark.parametrize("flat", [0, 1])
def test_coupling_slopes_are_the_derivatives_of_the_density(flat):
    with jax.enable_x64(True):
        target, factors = coupled(flat=flat)
        every, size = directions(3, 3), 1e-3
        concentration = 0.5 + jnp.arange(3 * factors.spectra.shape[1], dtype=jnp.float64).reshape(3, -1) % 7
        score = slopes(target, 1, factors, every, concentration).score

        @jax.jit
        def change(e):
            new, by_pixel, by_channel = shift_all(factors, target.noise, e, jnp.asarray(every))
            value = likelihood_change(target.counts, target.valid, 1, factors, new)
            value = value + prior_change(target, factors, new, 3, concentration)
            jacobian = by_channel.sum() + (by_pixel * target.valid[..., 0]).sum()
            return value + jacobian.astype(jnp.float64)

        for number in range(len(every)):
            step = np.zeros(len(every))
            step[number] = size
            numeric = float(change(jnp.asarray(step)) - change(jnp.asarray(-step))) / (2 * size)
            assert float(score[number]) == pytest.approx(numeric, rel=0.02, abs=0.5)


def test_shape_and_rate_of_known_abundances_are_found():
    rng = np.random.default_rng(0)
    w = rng.gamma([0.4, 3.0], [50.0, 10.0], (4000, 2))
    with jax.enable_x64(True):
        shape, shapes, rates = jnp.ones(2, jnp.float64), [], []
        draw, prior = jax.jit(draw_shape_and_rate), NmfPrior().arrays(2, 2, 12)
        sums = jnp.asarray(np.log(w).sum(axis=0)), jnp.asarray(w.sum(axis=0))
        for number in range(300):
            key = jax.random.fold_in(fresh(), number)
            shape, rate = draw(key, shape, *sums, jnp.asarray(len(w), jnp.float64), prior)
            shapes.append(np.asarray(shape))
            rates.append(np.asarray(rate))
    for column, (true_shape, scale) in enumerate([(0.4, 50.0), (3.0, 10.0)]):
        fit, _, fit_scale = stats.gamma.fit(w[:, column], floc=0)
        assert np.mean(shapes[50:], axis=0)[column] == pytest.approx(fit, rel=0.02)
        assert 1.0 / np.mean(rates[50:], axis=0)[column] == pytest.approx(fit_scale, rel=0.03)
        assert fit == pytest.approx(true_shape, rel=0.1)
        assert fit_scale == pytest.approx(scale, rel=0.1)


def test_a_flat_prior_leaves_a_background_in_proportion_to_the_components():
    rng = np.random.default_rng(0)
    spectra, shape = rng.dirichlet(np.full(24, 0.5), 2), np.exp(-np.arange(24) / 8.0)[None]
    abundances = rng.gamma(1.0, 200.0, (256, 2))
    under = 0.5 * abundances.sum(axis=1, keepdims=True)
    counts = rng.poisson(abundances @ spectra + under * shape / shape.sum())
    mode = unload(fit_mode(counts, 2, key=fresh(), fixed_spectra=shape), 1, 0)
    posterior = sample(counts, mode, key=fresh(), draws=300, warmup=200, thin=1, prior=NmfPrior(flat=1))
    low, high = np.quantile(posterior.totals[:, 2] / under.sum(), (0.005, 0.995))
    assert low < 1.0 < high < 1.3  # a learned prior takes most of it for components
    assert (posterior.shape[:, 2] == 1.0).all()


def test_merged_channels_hold_every_count():
    counts = np.random.default_rng(0).poisson(60.0, (5, 11)).astype(np.uint8)
    merged = merge_counts(counts, 4)
    assert merged.shape == (5, 3)
    np.testing.assert_array_equal(merged.sum(axis=1), counts.sum(axis=1))


def test_gamma_quantiles_are_those_of_scipy():
    got = gamma_quantiles([3.0, 100.0], [2.0, 5.0], (0.05, 0.5))
    shape = np.array([2.25, 400.0])
    for row, p in enumerate((0.05, 0.5)):
        np.testing.assert_allclose(got[row], stats.gamma.ppf(p, shape, scale=[3 / 2.25, 0.25]), rtol=1e-5)


def test_effective_sample_size_of_an_autoregression():
    rng = np.random.default_rng(0)
    chain = np.zeros((20000, 2))
    for t in range(1, len(chain)):
        chain[t] = np.array([0.9, 0.0]) * chain[t - 1] + rng.normal(size=2)
    sizes = effective_sample_size(chain)
    assert sizes[0] == pytest.approx(20000 * 0.1 / 1.9, rel=0.2)
    assert sizes[1] == pytest.approx(20000, rel=0.1)


@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_errors_of_the_ends_of_intervals_are_their_scatter_between_chains(memory):
    rng = np.random.default_rng(0)
    chains = rng.normal(size=(400, 300))
    for t in range(1, len(chains)):
        chains[t] = memory * chains[t - 1] + np.sqrt(1 - memory**2) * chains[t]
    ends, errors = end_errors(chains, 0.9)
    assert ends.shape == errors.shape == (2, 300)
    np.testing.assert_allclose(ends.mean(axis=1), [-1.645, 1.645], atol=0.1)
    np.testing.assert_allclose(np.median(errors, axis=1), ends.std(axis=1), rtol=0.35)
    assert not end_errors(np.ones((50, 2)), 0.9)[1].any()


def test_effective_sample_size_of_what_hardly_moves_and_of_few_draws():
    rng = np.random.default_rng(1)
    chain = np.stack([np.full(50, 3.0), 3.0 + 1e-15 * rng.normal(size=50), (-1.0) ** np.arange(50)], axis=1)
    np.testing.assert_array_equal(effective_sample_size(chain), 50.0)
    np.testing.assert_array_equal(effective_sample_size(rng.normal(size=(2, 3))), 2.0)
