"""What a first call costs: every workflow in fresh processes, with an empty and a filled cache of compiled programs.

Prints CPU seconds of the whole process (imports included) with the cache empty and filled, then of a further call in
the same process on an image of the same size and on one of another size, how many programs are compiled in each, and
the largest memory. Peers run in fresh processes of their own, on the same images.

    python benchmarks/cold.py
    python benchmarks/cold.py --only segment "unmix, rank 3" --sizes 64
    python benchmarks/cold.py --commands
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZES = (32, 64, 128)
OXIDES = ("Fe_Ka", "O_Ka")
FEW_PIXELS = 16


def line_counts(size: int, seed: int) -> Any:
    import bayesspec as bs

    return bs.simulate.iron_oxide_lines(600, (size, size), seed=seed)


def spectra(size: int, seed: int) -> Any:
    import bayesspec as bs

    return bs.simulate.particles(400, (size, size), seed=seed).rebin(energy=4)


def one_spectrum(size: int, seed: int) -> Any:
    import bayesspec as bs

    return bs.simulate.compounds(20 * size, (FEW_PIXELS, FEW_PIXELS), seed=seed).rebin(y=FEW_PIXELS, x=FEW_PIXELS)


def matrix(image: Any) -> np.ndarray:
    return image.counts.reshape(-1, image.counts.shape[2]).astype(np.float64)


def segment(image: Any) -> None:
    import bayesspec as bs

    bs.segment(image, range(1, 7))


def unmix(image: Any) -> None:
    import bayesspec as bs

    bs.unmix(image, rank=3)


def pca(image: Any) -> None:
    import bayesspec as bs

    bs.pca(image, range(1, 7))


def select_rank(image: Any) -> None:
    import bayesspec as bs

    bs.select_rank(image, range(1, 7))


def fit_lines(image: Any) -> None:
    import bayesspec as bs

    bs.fit_lines(image, ["C", "O", "Mg", "Cr", "Mn", "Fe"])


def identify_lines(image: Any) -> None:
    import bayesspec as bs

    bs.identify_lines(image)


def kmeans(image: Any) -> None:
    from sklearn.cluster import KMeans

    shares = matrix(image)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    for phases in range(1, 7):
        KMeans(phases, n_init=10, random_state=0).fit(shares)


def sklearn_nmf(image: Any) -> None:
    from sklearn.decomposition import NMF

    NMF(3, solver="mu", beta_loss="kullback-leibler", init="nndsvda", random_state=0).fit(matrix(image))


def hyperspy_svd(image: Any) -> None:
    import hyperspy.api as hs

    signal = hs.signals.Signal1D(image.counts.astype(np.float64))
    signal.decomposition(normalize_poissonian_noise=True, print_info=False)


CASES: dict[str, tuple[Callable[[int, int], Any], Callable[[Any], None]]] = {
    "segment": (line_counts, segment),
    "scikit-learn KMeans, 1-6": (line_counts, kmeans),
    "unmix, rank 3": (spectra, unmix),
    "scikit-learn NMF, rank 3": (spectra, sklearn_nmf),
    "pca": (spectra, pca),
    "select_rank": (spectra, select_rank),
    "HyperSpy SVD": (spectra, hyperspy_svd),
    "fit_lines": (one_spectrum, fit_lines),
    "identify_lines": (one_spectrum, identify_lines),
}
PEERS = {"scikit-learn KMeans, 1-6", "scikit-learn NMF, rank 3", "HyperSpy SVD"}


def child(case: str, size: int) -> None:
    """Run one case in this process and print what it cost."""
    compiled: list[str] = []
    if case not in PEERS:
        import jax.monitoring

        def heard(name: str, _seconds: float, **_: Any) -> None:
            if name == "/jax/core/compile/backend_compile_duration":
                compiled.append(name)

        jax.monitoring.register_event_duration_secs_listener(heard)
    make, run = CASES[case]
    rows = []
    for rows_of_pixels, seed in ((size, 0), (size, 1), (size - 1, 2)):
        image = make(size, seed)
        if rows_of_pixels < size and image.counts.shape[0] > 1:
            image = cropped(image)
        compiled.clear()
        start = time.process_time()
        run(image)
        rows.append((time.process_time() - start, len(compiled)))
        if len(rows) == 1:
            whole = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(json.dumps({"whole": whole, "calls": rows, "peak": peak}))


def cropped(image: Any) -> Any:
    """The same image without its last row."""
    import bayesspec as bs

    if isinstance(image, bs.LineMaps):
        return bs.LineMaps(image.counts[:-1], lines=image.lines)
    return image.crop(y=(0, image.counts.shape[0] - 1))


def measure(case: str, size: int, cache: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", case, "--sizes", str(size)]
    environment = os.environ | {"BAYESSPEC_CACHE": cache, "TQDM_DISABLE": "1"}
    printed = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout
    return json.loads(printed.splitlines()[-1])


def commands() -> None:
    """CPU seconds of imports and of commands that compute nothing, each in a process of its own."""
    import bayesspec as bs

    with tempfile.TemporaryDirectory() as folder:
        scan = bs.save_image(bs.simulate.iron_oxides(1000, (32, 32), seed=0), os.path.join(folder, "scan.npz"))
        command = "from bayesspec.cli import main; main({})"
        codes = {
            "import jax, numpyro": "import jax, numpyro",
            "import bayesspec": "import bayesspec",
            "bs.segment, not called": "import bayesspec as bs; bs.segment",
            "bayesspec --help": command.format(["--help"]),
            "bayesspec --version": command.format(["--version"]),
            "bayesspec info FILE": command.format(["info", str(scan)]),
        }
        for name, code in codes.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            print(f"{name:<26}{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:8.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--child", choices=list(CASES), help=argparse.SUPPRESS)
    parser.add_argument("--commands", action="store_true", help="imports and commands that compute nothing, alone")
    options = parser.parse_args()
    if options.commands:
        commands()
        return
    if options.child:
        child(options.child, options.sizes[0])
        return
    print("CPU seconds; compiled programs in brackets")
    print(f"{'workflow':<26}{'size':>5}{'empty':>8}{'filled':>8}{'again':>12}{'other size':>14}{'GiB':>6}")
    for case in options.only:
        for size in options.sizes:
            with tempfile.TemporaryDirectory() as cache:
                empty, filled = (measure(case, size, cache) for _ in range(2))
            (_, first), again, other = empty["calls"]
            print(
                f"{case:<26}{size:>5}{empty['whole']:8.1f}{filled['whole']:8.1f}"
                f"{again[0]:8.2f} ({again[1]:d}){other[0]:9.2f} ({other[1]:d}){empty['peak']:6.2f}   first: {first}",
                flush=True,
            )


if __name__ == "__main__":
    main()
