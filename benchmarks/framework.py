"""Models of a user's own through `bs.fit`: are means, intervals and claims those of a long run?

python benchmarks/framework.py hierarchical   # six ratios of one sample in two images, beside a long run of NUTS
python benchmarks/framework.py conjugate      # coverage of 90 % intervals where the posterior is known
python benchmarks/framework.py stopping       # bound of a stopped variational fit beside one five times as long
python benchmarks/framework.py converged      # bound of fits that say "Converged" beside the best of ten long runs
python benchmarks/framework.py built-in       # coverage of NMF and mixture through bs.fit(..., inference="auto")
python benchmarks/framework.py calibrate      # what bs.calibrate calls of exact, short and wide intervals
python benchmarks/framework.py segment        # bs.calibrate(bs.segment) on 64 x 64, two processes, cold and warm
python benchmarks/framework.py minibatches    # bound beside that of all pixels; memory on 256 x 256 x 512
"""

from __future__ import annotations

import argparse
import resource
import time
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import psutil

import bayesspec as bs
from bayesspec.inference.nuts import run_nuts
from bayesspec.inference.svi import run_svi
from bayesspec.models import composition_mixture, poisson_nmf
from bayesspec.results.schema import Schema, Variable

LONG = 40_000


def sample_in_two_images(counts: Any) -> None:
    """Log ratios of six lines to a seventh in two images of one sample, partially pooled; counts (image, line)."""
    images, lines = counts.shape
    centre = numpyro.sample("centre", dist.Normal(jnp.zeros(lines - 1), 2.0).to_event(1))
    spread = numpyro.sample("spread", dist.HalfNormal(0.1))
    shift = numpyro.sample("shift", dist.Normal(jnp.zeros((images, lines - 1)), 1.0).to_event(2))
    ratios = jnp.exp(centre + spread * shift)
    numpyro.deterministic("ratios", jnp.exp(centre))
    shares = jnp.concatenate([ratios, jnp.ones((images, 1))], axis=1)
    shares = shares / shares.sum(axis=1, keepdims=True)
    numpyro.sample("counts", dist.Multinomial(counts.sum(axis=1), shares).to_event(1), obs=counts)


HIERARCHICAL = SimpleNamespace(
    DIMS={"centre": ("line",), "ratios": ("line",), "spread": (), "shift": ("image", "line")},
    model=sample_in_two_images,
)


def hierarchical(replicates: int) -> None:
    """Means in units of the long run's sd, and sds over it, for each inference."""
    print(
        f"{'inference':10s} {'seconds':>8s} {'means off by (sd)':>18s} {'sd over long run':>18s} "
        f"{'Pareto-k':>9s}  status"
    )
    for replicate in range(replicates):
        rng = np.random.default_rng(replicate)
        truth = np.exp(rng.normal(0, 0.7, 6) + 0.05 * rng.normal(size=(2, 6)))
        shares = np.concatenate([truth, np.ones((2, 1))], axis=1)
        counts = np.stack([rng.multinomial(n, s / s.sum()) for n, s in zip((3000, 20000), shares, strict=True)])
        long = run_nuts(sample_in_two_images, (counts,), key=jax.random.key(replicate), draws=LONG, warmup=2000)
        expected = np.exp(long.draws["centre"])
        mean, sd = expected.mean(axis=0), expected.std(axis=0)
        for inference in ("auto", "svi", "full-rank"):
            start = time.perf_counter()
            fit = bs.fit(HIERARCHICAL, counts, inference=inference, seed=replicate)
            took = time.perf_counter() - start
            found = fit["ratios"]
            off = np.abs(found.mean.values - mean) / sd
            share = found.sd.values / sd
            print(
                f"{inference:10s} {took:8.1f} {off.max():18.2f} {share.min():8.2f} to {share.max():4.2f} "
                f"{fit.pareto_k:9.2f}  {fit.status.split(':')[0]}",
                flush=True,
            )


def rates(counts: Any) -> None:
    """Rates of four lines; the posterior is a Gamma."""
    rate = numpyro.sample("rate", dist.Gamma(jnp.ones(counts.shape[1]), 0.01).to_event(1))
    numpyro.sample("counts", dist.Poisson(jnp.broadcast_to(rate, counts.shape)).to_event(2), obs=counts)


def conjugate(replicates: int) -> None:
    """How often 90 % intervals of four rates hold."""
    module = SimpleNamespace(DIMS={"rate": ("line",)}, model=rates)
    for inference in ("auto", "svi", "laplace"):
        held = []
        for replicate in range(replicates):
            rng = np.random.default_rng(replicate)
            truth = rng.gamma(1.0, 100.0, 4)
            fit = bs.fit(module, rng.poisson(truth, (10, 4)), inference=inference, seed=replicate, starts=1)
            low, high = fit["rate"].interval(0.9)
            held.append((low.values <= truth) & (truth <= high.values))
        print(f"{inference:10s} {np.mean(held):.3f} of {4 * replicates} intervals hold (90 % nominal)", flush=True)


def stopping(replicates: int) -> None:
    """Nats by which a stopped fit stays below one of five times as many steps, in units of a thousand counts."""
    short = 0
    for replicate in range(replicates):
        rng = np.random.default_rng(replicate)
        lines = int(rng.integers(2, 30))
        counts = rng.poisson(rng.gamma(0.5, 10 ** rng.uniform(0, 3), lines), (int(rng.integers(5, 80)), lines))
        found = run_svi(rates, (counts,), key=jax.random.key(replicate), draws=2)
        longer = run_svi(
            rates,
            (counts,),
            key=jax.random.key(replicate),
            draws=2,
            chunk=1250,
            max_steps=5 * max(1250, len(found.losses)),
        )
        gap = (longer.bound - found.bound) / max(counts.sum() / 1000, 1)
        short += gap > 0.1
        print(
            f"{lines:3d} rates, {counts.sum():8,d} counts: {len(found.losses):6d} steps, "
            f"{gap:8.4f} nats per 1000 counts",
            flush=True,
        )
    print(f"{replicates - short} of {replicates} within .1 nat per 1000 counts of the longer fit")


def factorisation(counts: Any) -> None:
    """Two spectra in every pixel, their abundances Gamma distributed."""
    channels = counts.shape[1]
    spectra = numpyro.sample("spectra", dist.Dirichlet(jnp.full((2, channels), 0.5)).to_event(1))
    with numpyro.plate("pixel", len(counts)):
        abundances = numpyro.sample("abundances", dist.Gamma(jnp.ones(2), 0.02).to_event(1))
        numpyro.sample("counts", dist.Poisson(abundances @ spectra + 1e-10).to_event(1), obs=counts)


FACTORISATION = SimpleNamespace(
    DIMS={"spectra": ("component", "energy"), "abundances": ("pixel", "component")}, model=factorisation
)


def three_phases(counts: Any) -> None:
    """Each pixel of one of three compositions; the labels are summed out."""
    lines = counts.shape[1]
    shares = numpyro.sample("shares", dist.Dirichlet(jnp.ones(3)))
    composition = numpyro.sample("composition", dist.Dirichlet(jnp.ones((3, lines))).to_event(1))
    of_phase = dist.Poisson(counts.sum(axis=1)[:, None, None] * composition[None]).to_event(1)
    with numpyro.plate("pixel", len(counts)):
        numpyro.sample("counts", dist.MixtureSameFamily(dist.Categorical(shares), of_phase), obs=counts)


def problem(number: int) -> tuple[Any, Any]:
    """Model and counts: a factorisation, phases or rates of another size and dose each time."""
    rng = np.random.default_rng(number)
    pixels, channels, dose = int(rng.integers(30, 120)), int(rng.integers(6, 30)), 10 ** rng.uniform(1.3, 3)
    spectra = rng.dirichlet(np.full(channels, 0.5), 3)
    if number % 3 == 0:
        return factorisation, rng.poisson(rng.gamma(0.5, dose, (pixels, 2)) @ spectra[:2])
    if number % 3 == 1:
        return three_phases, rng.poisson(dose * spectra[rng.integers(0, 3, pixels)])
    return rates, rng.poisson(dose * spectra[0], (pixels, channels))


def converged(problems: int) -> None:
    """How far below the best of ten long runs fits end, nats a parameter of the guide, and what they say."""
    wrong = said = 0
    for number in range(problems):
        program, counts = problem(number)
        found = run_svi(program, (counts,), key=jax.random.key(number), draws=2, starts=4)
        options: dict[str, Any] = {"draws": 2, "chunk": 1000, "starts": 10}
        best = run_svi(program, (counts,), key=jax.random.key(1000 + number), max_steps=40_000, **options)
        size = sum(np.size(value) for value in found.params.values())
        gap = (best.bound - found.bound) / size
        said += found.status.ok
        wrong += found.status.ok and gap > 1
        label = f"{program.__name__}, {counts.shape[0]} x {counts.shape[1]}, {counts.sum():,} counts"
        print(f"{label:45s} {gap:8.3f} nats a parameter, {found.status.name}", flush=True)
    print(f"{wrong} of {said} that say Converged, of {problems} problems, are more than 1 nat a parameter below")


def built_in(images: int) -> None:
    """How often 90 % intervals hold, truths drawn from a fit of one image each."""
    si = two_spectra(16, 48)
    maps = bs.simulate.iron_oxide_lines(1000, (32, 32), seed=0)
    cases: tuple[tuple[str, Any, Any, dict[str, Any]], ...] = (
        ("mixture", composition_mixture, maps, {"phases": 2}),
        ("NMF", poisson_nmf, si, {"rank": 2}),
    )
    for name, module, like, options in cases:
        cpu = time.process_time()
        found = bs.calibrate(module, like=like, replicates=images, processes=1, draws=200, **options)
        print(f"{name}, {images} images, {(time.process_time() - cpu) / images:.1f} CPU s an image", flush=True)
        print(found.table().to_text(), flush=True)


def two_spectra(side: int, channels: int) -> bs.SpectrumImage:
    """Image of some 100 counts a pixel, row by row to keep the memory of its rates small."""
    rng = np.random.default_rng(side)
    spectra = rng.dirichlet(np.full(channels, 0.3), 2)
    rows = [rng.poisson(rng.gamma(1.0, 50.0, (side, 2)) @ spectra).astype(np.uint8) for _ in range(side)]
    return bs.SpectrumImage(np.stack(rows), energy=np.arange(channels) * 0.02 + 0.2, name="two spectra")


def minibatches(steps: int) -> None:
    """Memory and time of `steps` steps on 256 x 256 x 512; bound beside that of all pixels, 32 x 32 x 64."""
    large = two_spectra(256, 512)
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    fit = bs.fit(FACTORISATION, large, batch_size=1024, starts=1, draws=50, max_steps=steps)
    reached = f"{fit.provenance['steps']} steps, bound {fit.provenance['bound']:.0f}"
    print(f"256 x 256 x 512, 1,024 pixels at a time: {reached}, ", end="")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{time.process_time() - begun:.0f} CPU s; peak memory {peak / 2**20:.2f} GiB, {before / 2**20:.2f} before")
    print(fit.status)
    small = two_spectra(32, 64)
    found = [
        bs.fit(FACTORISATION, small, inference="svi", batch_size=size, starts=1, draws=20).provenance
        for size in (None, 128)
    ]
    (whole, _), (parts, taken) = ([one["bound"], one["steps"]] for one in found)
    print(f"32 x 32 x 64, 128 pixels at a time, {taken} steps: bound {parts:.1f}, of all pixels {whole:.1f}, ", end="")
    print(f"{abs(parts / whole - 1):.1e} apart")


class Rates(bs.Result):
    """Rates of channels whose posterior is known, with intervals of any width."""

    kind = "rates of a benchmark"
    schema = Schema({"rate": Variable(("draw", "energy"), "counts per pixel", "counts")})

    def quantities(self) -> Any:
        """The rates."""
        return {"rate": bs.Estimate(self.data["rate"], "rate")}

    def replicate(self, data: Any, rng: np.random.Generator) -> Any:
        """One draw, and counts of it."""
        one = self.data["rate"].values[rng.integers(self.draws)]
        truth = Rates(self.data.drop_dims("draw").assign(rate=(("draw", "energy"), one[None])))
        return truth, bs.SpectrumImage(rng.poisson(np.broadcast_to(one, data.shape)), energy=data.energy)


def scaled_rates(si: Any, *, width: float = 1.0) -> bs.Result:
    """Rates with intervals `width` times as wide as they ought to be."""
    total = si.sum_spectrum()
    draws = np.random.default_rng(total).gamma(total + 0.5, 1 / si.valid.sum(), (400, len(total)))
    draws = draws.mean(axis=0) + width * (draws - draws.mean(axis=0))
    return Rates.from_values({"rate": draws}, name="rates", method="conjugate", verdict="rates")


def calibrate(replicates: int) -> None:
    """Which of four quantities are called short, wide or uneven, by the width that their intervals have."""
    si = bs.SpectrumImage(np.full((3, 4, 4), 9), energy=[1.0, 2.0, 3.0, 4.0])
    print(
        f"{'width':>6s} {'repeats':>8s} {'short':>7s} {'wide':>7s} {'uneven':>7s} {'factor':>7s}   of {4 * replicates}"
    )
    for width in (1.0, 0.8, 0.6, 1.5):
        options: dict[str, Any] = {"like": si, "replicates": 100, "processes": 1, "width": width}
        found = [bs.calibrate(scaled_rates, seed=seed, **options) for seed in range(replicates)]
        called = [sum(len(getattr(one, kind)) for one in found) for kind in ("short", "wide", "uneven")]
        factor = np.mean([one.coverage["factor"].mean() for one in found])
        print(f"{width:8.1f} {100:8d} {called[0]:8d} {called[1]:8d} {called[2]:8d} {factor:8.2f}")


def segment(replicates: int) -> None:
    """Seconds and coverage of a calibration of `bs.segment`, the second time with warm processes."""
    maps = bs.simulate.iron_oxide_lines(1000, (64, 64), seed=0)
    for when in ("cold", "warm"):
        begun, cpu = time.perf_counter(), cpu_seconds()
        found = bs.calibrate(bs.segment, like=maps, replicates=replicates, processes=2)
        took, used = time.perf_counter() - begun, cpu_seconds() - cpu
        print(f"{when}: {took:.0f} s, {used:.0f} CPU s, {used / replicates:.2f} CPU s a repeat", flush=True)
    print(found.table().to_text(), found.verdict, sep="\n")


def cpu_seconds() -> float:
    """CPU seconds of this process and of its workers, so far."""
    tree = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in tree)


CASES = {
    "hierarchical": (hierarchical, 3),
    "conjugate": (conjugate, 20),
    "stopping": (stopping, 30),
    "calibrate": (calibrate, 10),
    "segment": (segment, 100),
    "minibatches": (minibatches, 4000),
    "converged": (converged, 40),
    "built-in": (built_in, 40),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="+", choices=CASES)
    parser.add_argument("--replicates", type=int)
    asked = parser.parse_args()
    for name in asked.case:
        case, number = CASES[name]
        case(asked.replicates or number)


if __name__ == "__main__":
    main()
