"""One table of problems for all engines: answers are finite, follow the seed, and not the order of the pixels."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from bayesspec.errors import InputError
from bayesspec.image.counts import Counts
from bayesspec.inference.linear_poisson.every_pixel import fit_pixels
from bayesspec.inference.linear_poisson.log_background import fit_log_background
from bayesspec.inference.linear_poisson.mixing_distribution import MixingLikelihood, fit_mixing_distribution
from bayesspec.inference.linear_poisson.one_spectrum import draw_intensities, fit_intensities
from bayesspec.inference.linear_poisson.uncertain_shapes import fit_uncertain
from bayesspec.inference.mixture.path import fit_path
from bayesspec.inference.nmf.held_out import rank_scores
from bayesspec.inference.nmf.mode import NmfMode, fit_mode
from bayesspec.inference.nmf.pixel_abundances import sample_abundances
from bayesspec.inference.nmf.sampler import sample
from bayesspec.inference.nmf.smoothing import smoothed_abundances
from bayesspec.inference.noise.dispersion import noise_level
from bayesspec.inference.noise.singular_values import merge_sparse
from bayesspec.inference.outliers import outliers
from bayesspec.inference.pca.linear_link import fit_linear
from bayesspec.inference.pca.log_link import fit_pca
from bayesspec.inference.ratio_field.sampler import sample_field
from bayesspec.inference.status import Status
from bayesspec.inference.svi import run_svi

SIDE, CHANNELS = 10, 24
PIXELS = SIDE * SIDE
RNG = np.random.default_rng(0)
SPECTRA = RNG.dirichlet(np.full(CHANNELS, 0.7), 2)
SHARES = RNG.dirichlet(np.full(2, 0.6), PIXELS)
ORDER = np.random.default_rng(1).permutation(PIXELS)
Found = dict[str, Any]


# Problems


def counted(rate: np.ndarray) -> np.ndarray:
    return np.random.default_rng(2).poisson(rate).astype(np.uint16)


def emptied() -> np.ndarray:
    counts = counted(100 * SHARES @ SPECTRA)
    counts[::9], counts[:, 3:6] = 0, 0
    return counts


def bright() -> np.ndarray:
    rate = 30 * SHARES @ SPECTRA
    rate[17] *= 500
    return counted(rate)


PROBLEMS = {
    "two components": counted(200 * SHARES @ SPECTRA),
    "two phases": counted(200 * np.rint(SHARES) @ SPECTRA),
    "all pixels alike": counted(np.repeat(200 * SPECTRA[:1], PIXELS, axis=0)),
    "two counts a pixel": counted(2 * SHARES @ SPECTRA),
    "many counts": counted(20_000 * SHARES @ SPECTRA),
    "empty pixels and channels": emptied(),
    "one pixel 500 times as bright": bright(),
    "one count in all": np.eye(PIXELS, CHANNELS, dtype=np.uint16) * (np.arange(PIXELS)[:, None] == 0),
}


# Engines: numbers of pixels first, then what does not depend on their order, each with how near it must be


class Engine(NamedTuple):
    """How it is run on counts (pixel, channel) with a seed, and what follows the pixels, or stays, when these move.

    Problems that cannot be solved are refused, with a clear error.
    """

    run: Callable[[np.ndarray, int], Found]
    follows: dict[str, float] = {}
    stays: dict[str, float] = {}
    refuses: tuple[str, ...] = ()


def of(counts: np.ndarray) -> Counts:
    return Counts(counts, np.ones((SIDE, SIDE), bool), np.ones(CHANNELS, bool))


def known_mode(counts: np.ndarray) -> NmfMode:
    abundances = np.maximum(counts.sum(axis=1, keepdims=True), 0.1) * np.array([[0.6, 0.4]])
    return NmfMode(SPECTRA.astype(np.float32), abundances.astype(np.float32), 1.0, 1, Status.CONVERGED)


def mode(counts: np.ndarray, seed: int) -> Found:
    found = fit_mode(of(counts), 2, key=jax.random.key(seed))
    return {"spectra": found.spectra, "abundances": found.abundances, "divergence": found.divergence}


def posterior(counts: np.ndarray, seed: int) -> Found:
    first, second = jax.random.split(jax.random.key(seed))
    found = sample(of(counts), known_mode(counts), key=first, draws=6, warmup=4, thin=1)
    alone = sample_abundances(of(counts), found, key=second)
    return {"spectra": found.spectra, "totals": found.totals, "mean": alone.abundance_mean, "sd": alone.abundance_sd}


def phases(counts: np.ndarray, seed: int) -> Found:
    path = fit_path(counts.reshape(SIDE, SIDE, -1)[..., :4].astype(np.int64) + 1, 2)
    return {"one": path[0].bic, "bic": path[1].bic, "labels": path[1].responsibilities}


def shares(counts: np.ndarray, seed: int) -> Found:
    problem = MixingLikelihood(counts, SPECTRA.T)
    found = fit_mixing_distribution(problem, np.array([[0.8, 0.2], [0.3, 0.7]]))
    return {"weights": found.weights, "shares": found.shares, "log likelihood": found.log_likelihood}


def spectrum(counts: np.ndarray, seed: int) -> Found:
    total, errors = counts.sum(axis=0, dtype=np.float64), 0.05 * SPECTRA[:1].T * counts.sum()
    found = fit_intensities(SPECTRA.T, total)
    uncertain = fit_uncertain(SPECTRA.T, total, errors, found.intensities)
    drawn = draw_intensities(found, np.random.default_rng(seed), 10)
    return {"intensities": found.intensities, "drawn": drawn, "uncertain": uncertain.fit.intensities}


def background(counts: np.ndarray, seed: int) -> Found:
    x = np.linspace(-1, 1, CHANNELS)
    terms = np.stack([np.ones(CHANNELS), x], axis=1)
    prior = np.array([1e-2, 1e-2, 1e-6])
    found = fit_log_background(terms, SPECTRA[:1].T, counts.sum(axis=0), prior)
    return {"background": found.background, "intensities": found.intensities, "covariance": found.covariance}


def lines(counts: np.ndarray, seed: int) -> Found:
    intensities, variances, _ = fit_pixels(counts, SPECTRA.T)
    return {"intensities": intensities, "variances": variances}


def field(counts: np.ndarray, seed: int) -> Found:
    pair = counts.reshape(SIDE, SIDE, -1)[..., :2].astype(np.int64) + 1
    found = sample_field(pair[..., 0], pair.sum(axis=2), key=jax.random.key(seed), draws=20, warmup=20)
    return {"log ratio": found.log_ratio, "width": found.width}


def logs(counts: np.ndarray, seed: int) -> Found:
    found = fit_pca(of(counts), 1)
    return {"scores": found.scores, "mean": found.mean_log, "bound": found.bound, "spread": found.score_covariance}


def sums(counts: np.ndarray, seed: int) -> Found:
    found = fit_linear(of(counts), 1)
    return {"scores": found.scores, "loadings": found.loadings, "spread": found.score_covariance}


def program(data: jax.Array) -> None:
    rate = numpyro.sample("rate", dist.Gamma(jnp.ones(CHANNELS), 0.1).to_event(1))
    numpyro.sample("data", dist.Poisson(jnp.broadcast_to(rate, data.shape)).to_event(2), obs=data)


def any_model(counts: np.ndarray, seed: int) -> Found:
    with jax.numpy_rank_promotion("allow"):  # NumPyro's guides promote ranks where they draw
        return dict(
            run_svi(program, (counts.astype(np.float32),), {}, key=jax.random.key(seed), max_steps=100, draws=5).draws
        )


ENGINES = {
    "mode of the factorisation": Engine(mode, stays={"divergence": 0.02}),
    "posterior of the factorisation": Engine(posterior),
    "held-out counts": Engine(
        lambda c, s: {"scores": rank_scores(of(c), [1], key=jax.random.key(s))}, refuses=("one count in all",)
    ),
    "smoothing": Engine(
        lambda c, s: {"maps": smoothed_abundances(of(c), SPECTRA, 0.3, known_mode(c).abundances)},
    ),
    "composition mixture": Engine(phases, stays={"one": 1e-6}),
    "mixture of lines": Engine(shares, stays={"log likelihood": 1e-3}),
    "lines of a spectrum": Engine(spectrum, stays={"intensities": 1e-9, "drawn": 1e-9, "uncertain": 1e-9}),
    "lines on a log background": Engine(background, stays={"background": 1e-9, "intensities": 1e-9}),
    "lines in every pixel": Engine(lines, follows={"intensities": 1e-2, "variances": 1e-2}),
    "ratio field": Engine(field),
    "principal components, log link": Engine(logs, follows={"scores": 1e-2}, stays={"mean": 1e-3, "bound": 1e-4}),
    "principal components, linear link": Engine(sums, follows={"scores": 1e-3}, stays={"loadings": 1e-3}),
    "noise": Engine(
        lambda c, s: {
            "dispersion" if whole(c) else "dispersion of sums": noise_level(of(c)).dispersion,
            "outliers": outliers(c.sum(axis=1).reshape(SIDE, SIDE), np.ones((SIDE, SIDE), bool)),
        },
        stays={"dispersion": 1e-3},
    ),
    "any model": Engine(any_model),
}


def whole(counts: np.ndarray) -> bool:
    """Whether the noise is that of pixels and channels, and not of sums of neighbours, which follow their order."""
    used = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    return merge_sparse(used).shape == used.shape


def near(found: Any, wanted: Any, tolerance: float) -> bool:
    """Whether two arrays are alike, relative to the largest value."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    return bool(np.abs(found - wanted).max() <= tolerance * max(float(np.abs(wanted).max()), 1e-12))


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_engine_keeps_its_promises(engine: str, problem: str) -> None:
    run, follows, stays, refuses = ENGINES[engine]
    counts = PROBLEMS[problem]
    if problem in refuses:
        with pytest.raises(InputError):
            run(counts, 0)
        return
    found = run(counts, 0)
    assert all(np.isfinite(np.asarray(values)).all() for values in found.values()), "finite"
    again = run(counts.copy(), 0)
    assert all(np.array_equal(found[name], again[name]) for name in found), "the same seed, the same numbers"
    moved = run(np.ascontiguousarray(counts[ORDER]), 0)
    for name, tolerance in follows.items():
        assert near(moved[name], np.asarray(found[name])[ORDER], tolerance), f"{name} follows the pixels"
    for name, tolerance in ((name, tolerance) for name, tolerance in stays.items() if name in found):
        assert near(moved[name], found[name], tolerance), f"{name} does not depend on the order of the pixels"


@pytest.mark.parametrize(
    "engine", ["posterior of the factorisation", "lines of a spectrum", "ratio field", "any model"]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_another_seed_gives_other_draws(engine: str) -> None:
    counts = PROBLEMS["two components"]
    first, other = (ENGINES[engine].run(counts, seed) for seed in (0, 1))
    assert any(not np.array_equal(first[name], other[name]) for name in first)
