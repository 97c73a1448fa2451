"""Speed and memory of the Poisson factorisation.

Run: ``python benchmarks/unmixing.py --case {eels,sparse,pass,variational,memory,all}``.

Speed: seconds to within 1e-5 of the lowest divergence that was reached, from the same start, against scikit-learn in
the same run, with the compilation (cold) and without (warm); the mode with its posterior; one pass over the counts
beside a single product; NumPyro's AutoNormal on the same model.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import SVI, Trace_ELBO, init_to_median
from numpyro.infer.autoguide import AutoNormal
from numpyro.infer.svi import SVIState
from numpyro.optim import Adam
from scipy.sparse import csr_matrix
from sklearn.decomposition import NMF
from unmixing_images import angle, divergence, eels, sparse

import bayesspec as bs
from bayesspec.image.count_matrix import counts_of
from bayesspec.image.counts import Counts, as_counts
from bayesspec.inference.blocks import em_step
from bayesspec.inference.nmf.mode import NmfMode, fit_mode
from bayesspec.models import poisson_nmf
from bayesspec.workflows.unmixing.known_spectra import known_spectra
from bayesspec.workflows.unmixing.sampling import Sampling, fit_components


def peer_run(data: object, w: np.ndarray, h: np.ndarray, iterations: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Seconds and factors of so many iterations of scikit-learn."""
    model = NMF(len(h), init="custom", solver="mu", beta_loss="kullback-leibler", max_iter=iterations, tol=0)
    w, h = np.array(w, np.float32), np.array(h, np.float32)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        w = model.fit_transform(data, W=w, H=h)
    return time.perf_counter() - started, w, model.components_


def peer(
    counts: np.ndarray, w: np.ndarray, h: np.ndarray, goal: float, limit: float, repeats: int
) -> tuple[float, float]:
    """Seconds of scikit-learn in one run from the same start to the goal, median; its divergence there.

    How many iterations that takes is found beforehand in steps of 20; if it is more than the limit allows, the seconds
    spent. Of the dense and the sparse form of the counts it gets the one that is quicker.
    """
    w, h = np.asarray(w, np.float32) + 1e-9, np.asarray(h, np.float32) + 1e-9
    forms = [counts.astype(np.float32)]
    if np.count_nonzero(counts) < 0.1 * counts.size:
        forms.append(csr_matrix(forms[0]))
    data = min(forms, key=lambda form: peer_run(form, w, h, 2)[0])
    iterations, spent, value, now = 0, 0.0, np.inf, (w, h)
    while value > goal and spent < limit:
        seconds, *now = peer_run(data, *now, 20)
        iterations, spent, value = iterations + 20, spent + seconds, divergence(counts, *now)
    if value > goal:
        return spent, value
    return float(np.median([peer_run(data, w, h, iterations)[0] for _ in range(repeats)])), value


def flat_start(counts: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Even abundances and noisy copies of the mean spectrum."""
    rng, mean = np.random.default_rng(1), counts.sum(axis=0) / counts.sum()
    h = mean * rng.uniform(0.5, 1.5, (rank, len(mean))) + 1e-8
    w = np.repeat(counts.sum(axis=1, keepdims=True) / rank, rank, axis=1) / h.sum(axis=1)
    return w, h


def timed(run: Callable[[], NmfMode], repeats: int, *, cold: bool) -> tuple[float, NmfMode]:
    """Median seconds of whole runs, each with its compilation or none with it, and the last result."""
    times = []
    for _ in range(repeats):
        if cold:
            jax.clear_caches()
        started = time.perf_counter()
        mode = run()
        times.append(time.perf_counter() - started)
    return float(np.median(times)), mode


def speed(name: str, counts: np.ndarray, truth: np.ndarray, limit: float, repeats: int) -> float:
    """Print the times to the goal, cold and warm, against scikit-learn, whose seconds are returned.

    The goal is 1e-5 above the lowest divergence that any fit reached. The loosest tolerance that reaches it is found
    beforehand; what is timed are whole fits with that tolerance.
    """
    rank, key, init = len(truth), jax.random.key(0), flat_start(counts, len(truth))
    counts = as_counts(counts)  # as an image holds them; scikit-learn is given what suits it, too

    def fit(tolerance: float) -> NmfMode:
        return fit_mode(counts, rank, key=key, init=init, tolerance=tolerance, max_iterations=3000)

    own = fit_mode(counts, rank, key=key, tolerance=1e-7, max_iterations=3000)
    goal = min(fit(1e-8).divergence, own.divergence) * (1 + 1e-5)
    tolerance = next((t for t in (1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7, 1e-8) if fit(t).divergence <= goal), 1e-9)
    warm, mode = timed(lambda: fit(tolerance), repeats, cold=False)
    cold, _ = timed(lambda: fit(tolerance), repeats, cold=True)
    reached = mode.divergence / goal * (1 + 1e-5) - 1
    print(f"{name}: tolerance {tolerance:.0e}, {reached:.1e} above: warm {warm:.2f} s, cold {cold:.2f} s", flush=True)
    start, _ = timed(lambda: fit_mode(counts, rank, key=key), repeats, cold=False)
    print(f"  with its own start {start:.2f} s, angle {angle(own.spectra, truth):.1f} degrees", flush=True)
    seconds, value = peer(counts, *init, goal, limit, repeats)
    sign = ">" if value > goal else ""
    print(f"  scikit-learn {sign}{seconds:.1f} s at {value / goal * (1 + 1e-5) - 1:.1e}", flush=True)
    print(f"  ratio warm {sign}{seconds / warm:.1f}, cold {sign}{seconds / cold:.1f}", flush=True)
    return seconds


def posterior(counts: np.ndarray, rank: int, peer_seconds: float) -> None:
    """Print the time of the mode with its posterior, and of all that `unmix` does, beside that of the other's mode."""
    side = math.isqrt(len(counts))
    image = bs.SpectrumImage(counts.reshape(side, side, -1), energy=np.arange(1.0, counts.shape[1] + 1))
    sampling = Sampling(0, draws=200, warmup=60, prob=0.95, neighbours=False)
    known, key = known_spectra(image, None, None, None), jax.random.key(0)
    runs: dict[str, Callable[[], object]] = {
        "mode and posterior": lambda: fit_components(counts_of(image), rank, known, sampling, key),
        "whole unmix, with bands and smoothing": lambda: bs.unmix(image, rank, seed=0),
    }
    for name, run in runs.items():
        run()
        started = time.perf_counter()
        run()
        seconds = time.perf_counter() - started
        print(f"  {name} {seconds:.1f} s, {seconds / peer_seconds:.2f} of scikit-learn's mode alone", flush=True)


@jax.jit
def single_product(counts: jax.Array, right: jax.Array) -> jax.Array:
    """Multiply the counts with a matrix of K columns: the least that any method must do."""
    return counts @ right


def one_pass(counts: np.ndarray, rank: int) -> None:
    """Print the time of one step of both factors beside that of a single product of the counts."""
    blocks, rng = Counts.of(counts).blocks, np.random.default_rng(0)
    w = blocks.split(np.repeat(counts.sum(axis=1, keepdims=True) / rank, rank, axis=1))
    h, free = jnp.asarray(rng.dirichlet(np.ones(counts.shape[1]), rank), jnp.float32), jnp.ones(rank, bool)
    real = jnp.asarray(counts, jnp.float32)
    ours = shortest(lambda: em_step(blocks.counts, w, h, free))
    single = shortest(lambda: single_product(real, h.T))
    print(f"one pass {1e3 * ours:.1f} ms, single product {1e3 * single:.1f} ms, ratio {ours / single:.1f}", flush=True)


def shortest(run: Callable[[], object]) -> float:
    """Seconds of the fastest of 15 runs after a first one."""
    jax.block_until_ready(run())
    times = []
    for _ in range(15):
        started = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - started)
    return min(times)


def variational(counts: np.ndarray, rank: int, limit: float) -> None:
    """Print the time to 1e-3 of the best divergence, against NumPyro's AutoNormal with Adam."""
    key, data = jax.random.key(0), jnp.asarray(counts, jnp.int32)
    best = fit_mode(counts, rank, key=key, tolerance=1e-7).divergence
    for tolerance in (1e-3, 1e-4, 1e-5, 1e-6):
        started = time.perf_counter()
        value = fit_mode(counts, rank, key=key, tolerance=tolerance).divergence
        ours = time.perf_counter() - started
        if value / best - 1 <= 1e-3:
            break
    guide = AutoNormal(poisson_nmf.model, init_loc_fn=init_to_median)
    svi = SVI(poisson_nmf.model, guide, Adam(0.03), Trace_ELBO())
    state, spent, far = svi.init(key, data, rank=rank), 0.0, np.inf

    @jax.jit
    def advance(state: SVIState) -> SVIState:
        return jax.lax.fori_loop(0, 10, lambda _, now: svi.update(now, data, rank=rank)[0], state)

    advance = advance.lower(state).compile()
    while far > 1e-3 and spent < limit:
        started = time.perf_counter()
        state = jax.block_until_ready(advance(state))
        spent += time.perf_counter() - started
        found = guide.median(svi.get_params(state))
        far = divergence(counts, np.asarray(found["abundances"]), np.asarray(found["spectra"])) / best - 1
    sign = ">" if far > 1e-3 else ""
    print(
        f"to 1e-3 (own start included): {ours:.2f} s at {value / best - 1:.1e}; AutoNormal {sign}{spent:.0f} s at "
        f"{far:.1e}, ratio {sign}{spent / ours:.0f}",
        flush=True,
    )


def memory(side: int) -> None:
    """Print the peak memory of a whole unmixing of a sparse image."""
    counts = sparse(100.0, side=side)[0].reshape(side, side, -1)
    image = bs.SpectrumImage(counts, energy=0.01 * (np.arange(counts.shape[2]) + 0.5))
    del counts  # the image has its own
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    started = time.perf_counter()
    fit = bs.unmix(image, 5, draws=20, warmup=10)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{side} x {side} x 2048 at 100 counts: counts {image.counts.nbytes / 1e9:.2f} GB, peak while simulating "
        f"{before:.2f} GB, peak with the unmixing {after:.2f} GB; {seconds:.0f} s with 20 draws; {fit.status}",
        flush=True,
    )


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=["eels", "sparse", "pass", "variational", "memory", "all"], default="all")
    parser.add_argument("--limit", type=float, default=200.0, help="seconds given to the other method")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each of which the median is shown")
    parser.add_argument("--side", type=int, default=512, help="pixels along a side of the image of the memory case")
    options = parser.parse_args()
    if options.case in ("eels", "all"):
        counts, truth = eels(2000.0)
        posterior(counts, 4, speed("eels", counts, truth, options.limit, options.repeats))
    if options.case in ("sparse", "all"):
        speed("sparse", *sparse(60.0), options.limit, options.repeats)
    if options.case in ("pass", "all"):
        one_pass(eels(2000.0)[0], 4)
    if options.case in ("variational", "all"):
        variational(eels(2000.0)[0], 4, options.limit)
    if options.case in ("memory", "all"):
        memory(options.side)


if __name__ == "__main__":
    main()
