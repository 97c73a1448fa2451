"""Programs are compiled for shapes alone: another seed, mask, prior or number of pixels runs those that there are."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax import monitoring

from bayesspec.image.counts import Counts
from bayesspec.inference.linear_poisson.every_pixel import fit_pixels
from bayesspec.inference.mixture.fit_number import with_covariates
from bayesspec.inference.mixture.path import fit_path
from bayesspec.inference.mixture.scattered_fit import fit_scatter
from bayesspec.inference.nmf import mode as nmf_mode
from bayesspec.inference.nmf import sampler
from bayesspec.inference.nmf.background_transfer import transfer_background_in_draws
from bayesspec.inference.nmf.feasible_set import FeasibleSet, extreme_transforms
from bayesspec.inference.nmf.held_out import rank_scores
from bayesspec.inference.nmf.minimum_volume import smallest_simplex
from bayesspec.inference.nmf.mode import NmfMode, fit_mode
from bayesspec.inference.nmf.pixel_abundances import sample_abundances
from bayesspec.inference.nmf.pixel_groups import group_pixels
from bayesspec.inference.nmf.prior import NmfPrior
from bayesspec.inference.nmf.rank_path import rank_path
from bayesspec.inference.nmf.sampler import sample
from bayesspec.inference.nmf.smoothing import learned_strength, smoothed_abundances
from bayesspec.inference.noise.dispersion import noise_level
from bayesspec.inference.noise.drift import find_drift
from bayesspec.inference.pca.linear_link import fit_linear
from bayesspec.inference.pca.log_link import fit_pca
from bayesspec.inference.ratio_field.sampler import sample_field
from bayesspec.inference.status import Status
from bayesspec.inference.svi import run_svi

SIDE, CHANNELS, RANK = 20, 100, 2
COMPILED = "/jax/core/compile/jaxpr_to_mlir_module_duration"
"""What JAX reports each time that a program is made ready for the compiler, or to be looked up among those on disk."""
MOST_OF_SEGMENT = 10
"""Programs of a first segmentation: six for pixels of one phase, two for those on boundaries, and two to spare."""
RNG = np.random.default_rng(0)
SPECTRA = RNG.dirichlet(np.full(CHANNELS, 0.5), RANK)
ABUNDANCES = RNG.gamma(1.0, 60.0, (SIDE * SIDE, RANK))
MATRIX = RNG.poisson(ABUNDANCES @ SPECTRA).astype(np.uint16)


@dataclass(frozen=True)
class Variant:
    """What may change without a new program."""

    seed: int = 0
    excluded: tuple[int, ...] = ()
    prior: NmfPrior = NmfPrior()

    @property
    def key(self) -> jax.Array:
        return jax.random.key(self.seed)

    @property
    def valid(self) -> np.ndarray:
        valid = np.ones((SIDE, SIDE), bool)
        valid.flat[list(self.excluded)] = False
        return valid

    @property
    def counts(self) -> Counts:
        return Counts(MATRIX[self.valid.ravel()], self.valid, np.ones(CHANNELS, bool))

    @property
    def mode(self) -> NmfMode:
        w = ABUNDANCES[self.valid.ravel()].astype(np.float32)
        return NmfMode(SPECTRA.astype(np.float32), w, 1.0, 1, Status.CONVERGED)


VARIANTS = {
    "seed": Variant(seed=1),
    "399 of 400 pixels": Variant(excluded=(5,)),
    "mask": Variant(excluded=(77,)),
    "397 of 400 pixels": Variant(excluded=(5, 77, 130)),
    "concentration": Variant(prior=NmfPrior(concentration=0.8)),
    "spectrum known from elsewhere": Variant(prior=NmfPrior(seen=(tuple(50.0 * SPECTRA[0]),))),
    "another spectrum from elsewhere": Variant(prior=NmfPrior(seen=(None, tuple(20.0 * SPECTRA[1])))),
    "flat prior and other ranges": Variant(prior=NmfPrior(flat=1, shape_range=(0.1, 20.0))),
}


def program(data: jax.Array, *, scale: float) -> None:
    mean = numpyro.sample("mean", dist.Normal(jnp.zeros(3), 5.0).to_event(1))
    numpyro.sample("data", dist.Normal(jnp.broadcast_to(mean, data.shape), scale).to_event(2), obs=data)


def variational(variant: Variant) -> None:
    data = np.random.default_rng(variant.seed).normal(size=(40, 3)).astype(np.float32)
    with jax.numpy_rank_promotion("allow"):  # NumPyro's guides promote ranks where they draw
        run_svi(program, (data,), {"scale": 1.0}, key=variant.key, chunk=20, max_steps=40, draws=3)


def sampled(variant: Variant) -> sampler.NmfPosterior:
    options = {"draws": 6, "warmup": 2, "thin": 1, "prior": variant.prior}
    return sample(variant.counts, variant.mode, key=variant.key, **options)


def mixed_background(variant: Variant) -> None:
    shapes = np.stack([SPECTRA[1], np.full(CHANNELS, 1.0 / CHANNELS)])
    mode = replace(variant.mode, n_fixed=1)
    sample(variant.counts, mode, key=variant.key, draws=2, warmup=2, thin=1, prior=variant.prior, shapes=shapes)


def in_stages(variant: Variant) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampler, "MANY_ENTRIES", MATRIX.size // 2)
        patch.setattr(sampler, "FEWEST_PIXELS", 10)
        sampled(variant)


def by_newton_steps(variant: Variant) -> None:
    w, h = variant.mode.abundances, np.random.default_rng(variant.seed).uniform(0.5, 1.5, (RANK, CHANNELS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nmf_mode, "LARGE", 0)
        fit_mode(variant.counts, RANK, init=(w.mean(axis=0) + 0 * w, h))


def single_pixels(variant: Variant) -> None:
    posterior = sampled(replace(variant, excluded=(), prior=NmfPrior()))
    sample_abundances(variant.counts, posterior, key=variant.key, prior=variant.prior)


def smoothed(variant: Variant) -> None:
    learned_strength(variant.counts, SPECTRA, ABUNDANCES.mean(axis=0), key=variant.key)
    smoothed_abundances(variant.counts, SPECTRA, 0.3, variant.mode.abundances)


def feasible(variant: Variant) -> None:
    groups = group_pixels(variant.mode.abundances, variant.seed)
    extreme_transforms(FeasibleSet(groups, SPECTRA), variant.seed)
    transfer_background_in_draws(sampled(replace(variant, prior=NmfPrior())), 1, variant.seed)


def of_phases(variant: Variant) -> None:
    phases = np.random.default_rng(variant.seed).permutation(SIDE * SIDE).reshape(SIDE, SIDE) % 2
    rng = np.random.default_rng(variant.seed)
    counts = np.stack([rng.poisson(np.where(phases, a, b)) for a, b in ((60, 20), (30, 50), (10, 10))], axis=-1)
    mask = ~variant.valid
    path = fit_path(counts, 2, mask=mask)
    covariates = np.log1p(counts.sum(axis=-1, dtype=np.float64))[..., None]
    with_covariates(path[1], counts, covariates, mask=mask)
    fit_scatter(path[1], counts, mask=mask)


def of_ratios(variant: Variant) -> None:
    counts = np.random.default_rng(variant.seed).poisson(20.0, (2, SIDE, SIDE)) * variant.valid
    sample_field(counts[0], counts.sum(axis=0), key=variant.key, draws=20, warmup=20)


ENGINES: dict[str, Callable[[Variant], object]] = {
    "mode": lambda v: fit_mode(v.counts, RANK, key=v.key),
    "mode by groups and Newton steps": by_newton_steps,
    "rank path": lambda v: list(rank_path(v.counts, 2)),
    "held-out counts": lambda v: rank_scores(v.counts, [1, 2], key=v.key),
    "sampler": sampled,
    "sampler in stages": in_stages,
    "sampler with a mixed background": mixed_background,
    "abundances of single pixels": single_pixels,
    "smoothing": smoothed,
    "minimum volume": lambda v: smallest_simplex(v.mode, 0, v.seed, counts=v.counts),
    "feasible set and background": feasible,
    "principal components, log link": lambda v: fit_pca(v.counts, 2),
    "principal components, linear link": lambda v: fit_linear(v.counts, 2, neighbours=True),
    "mixture": of_phases,
    "lines in every pixel": lambda v: fit_pixels(v.counts.matrix, SPECTRA.T),
    "noise": lambda v: (noise_level(v.counts), find_drift(v.counts)),
    "ratio field": of_ratios,
    "any model": variational,
}


@pytest.fixture(scope="module")
def compilations() -> list[str]:
    """Names of the programs that are compiled from now on."""
    names: list[str] = []

    def note(event: str, seconds: float, **about: object) -> None:
        if event == COMPILED:
            names.append(str(about.get("fun_name", "unknown")))

    monitoring.register_event_duration_secs_listener(note)
    return names


def test_a_program_that_is_compiled_is_seen(compilations: list[str]) -> None:
    del compilations[:]
    jax.jit(lambda x: x + 1.0)(1.0)
    assert len(compilations) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_programs_are_compiled_for_shapes_alone(engine: str, compilations: list[str]) -> None:
    run = ENGINES[engine]
    run(Variant())
    for name, variant in VARIANTS.items():
        del compilations[:]
        run(variant)
        assert not compilations, f"{name}: {compilations}"


FIRST_AND_NEXT = """
import jax.monitoring
import bayesspec as bs
names = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, _, **about: names.append(about.get("fun_name")) if event == {event!r} else None
)
maps = bs.simulate.iron_oxide_lines(3000, (32, 32), seed=0)
del names[:]
bs.segment(maps, range(1, 7))
print(len(names), names)
del names[:]
bs.segment(bs.LineMaps(maps.counts[:-1], lines=maps.lines), range(1, 7))
print(len(names), names)
"""


def test_a_first_segmentation_compiles_few_programs_and_the_next_size_none() -> None:
    code = FIRST_AND_NEXT.format(event=COMPILED)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, following = done.stdout.splitlines()
    assert int(first.split()[0]) <= MOST_OF_SEGMENT, first
    assert following == "0 []"
