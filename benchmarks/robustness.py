"""What goes wrong is said: calls and files that do not fit, kills, full disks, interruptions, shared random numbers.

    python benchmarks/robustness.py calls --number 10000 --seed 0   # fuzzed calls of the public functions
    python benchmarks/robustness.py files --number 50 --seed 0      # files of every format, cut and flipped
    python benchmarks/robustness.py kills --number 100              # kill -9 during save, and a disk that is full
    python benchmarks/robustness.py interrupts --number 20          # Ctrl-C at random moments of `bayesspec demo`
    python benchmarks/robustness.py differences                     # sd of a difference of two results of equal seeds
    python benchmarks/robustness.py printed --number 3              # tables of `bayesspec analyse` of measured files

Without a name all are run. Each prints a table and ends with 1 where a line of it is not as it should be.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import analyse
import numpy as np
import robustness_calls
import robustness_files

SAVER = """
import sys, time
import bayesspec as bs
seg = bs.classical.kmeans(bs.simulate.iron_oxide_lines(300, (96, 96), seed=int(sys.argv[2])), 2)
print("ready", flush=True)
while True:
    seg.save(sys.argv[1], overwrite=True)
"""
FULL = """
import sys
import bayesspec as bs
seg = bs.classical.kmeans(bs.simulate.iron_oxide_lines(300, (400, 400), seed=0), 2)
small = bs.classical.kmeans(bs.simulate.iron_oxide_lines(300, (12, 12), seed=0), 2)
small.save(sys.argv[1], overwrite=True)
try:
    seg.save(sys.argv[1], overwrite=True)
except bs.InputError as error:
    print("refused:", error.found)
print("fit in memory:", seg.n_phases, "phases; earlier file:", bs.open(sys.argv[1]).labels.size, "pixels")
"""
STOPPED_WITHIN_S = 2.0
"""Seconds after Ctrl-C in which the command line has ended."""


def calls(number: int, seed: int) -> bool:
    """Fuzzed calls: nothing but results and clear errors."""
    counted, bad = robustness_calls.run(number, seed)
    print("\n".join(bad))
    print(", ".join(f"{outcome}: {n}" for outcome, n in sorted(counted.items())))
    return not bad


def files(number: int, seed: int) -> bool:
    """Files that were cut or changed."""
    return robustness_files.table(number, seed)


def kills(number: int, seed: int) -> bool:
    """Kill a process that saves, again and again; then save to a disk that is full."""
    import bayesspec as bs

    lost = 0
    random.seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        maps = bs.simulate.iron_oxide_lines(300, (96, 96), seed=seed)
        target = bs.classical.kmeans(maps, 2).save(Path(folder) / "fit.nc")
        for kill in range(number):
            with subprocess.Popen(
                [sys.executable, "-c", SAVER, target, str(kill)], stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(random.uniform(0.1, 0.4))
                process.send_signal(signal.SIGKILL)
            try:
                lost += bs.open(target).labels.size != 96 * 96
            except bs.InputError as error:
                lost += 1
                print(error)
        left = [path.name for path in Path(folder).iterdir() if path != target]
    print(f"{number} kills during save: {lost} times the earlier fit was lost; left behind at the end: {left}")
    return lost == 0 and full_disk()


def full_disk() -> bool:
    """Save to a disk of 200 kB, where one can be mounted."""
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True)
        if mounted.returncode:
            print("full disk: no small disk can be mounted here")
            return True
        try:
            ended = subprocess.run(
                [sys.executable, "-c", FULL, f"{folder}/fit.nc"], capture_output=True, text=True, check=False
            )
        finally:
            subprocess.run(["umount", folder], check=True)
    print(f"full disk: exit {ended.returncode}; {ended.stdout.strip()}")
    return ended.returncode == 0 and "refused" in ended.stdout and "144 pixels" in ended.stdout


def interrupts(number: int, seed: int) -> bool:
    """Ctrl-C at random moments of the demonstration."""
    random.seed(seed)
    good = 0
    for _ in range(number):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-c",
                "from bayesspec.cli import main; main()",
                "demo",
                "--size",
                "32",
                "--out",
                f"{folder}/demo",
            ]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
                time.sleep(random.uniform(2, 25))
                running = process.poll() is None
                start = time.perf_counter()
                process.send_signal(signal.SIGINT)
                process.communicate()
            took = time.perf_counter() - start
        fine = not running or (process.returncode == 130 and took <= STOPPED_WITHIN_S)
        good += fine
        print(f"exit {process.returncode} after {took:.2f} s{'' if running else ' (had ended before)'}", flush=True)
    print(f"{good} of {number} ended with 130 within {STOPPED_WITHIN_S:g} s, or had ended before")
    return good == number


def differences(_: int, seed: int) -> bool:
    """Two samples at equal seeds: the sd of a difference over that of independent quantities, for each result."""
    import bayesspec as bs

    def spectrum(i: int) -> bs.SpectrumImage:
        return bs.simulate.iron_oxides(500, (8, 8), seed=seed + i).rebin(y=8, x=8)

    def oxides(i: int) -> bs.LineMaps:
        return bs.simulate.iron_oxide_lines(2000, (16, 16), seed=seed + i)

    def small(i: int) -> bs.SpectrumImage:
        return bs.simulate.iron_oxides(300, (12, 12), seed=seed + i).rebin(energy=8)

    def losses(i: int) -> bs.SpectrumImage:
        return bs.simulate.eels_edges(2000, 16, seed=seed + i)

    made: dict[str, Callable[[int], object]] = {
        "segment": lambda i: bs.segment(oxides(i), 2).ratio("Fe_Ka", "O_Ka").draws[:, 0],
        "segment, areas": lambda i: bs.segment(oxides(i), 2).fractions.draws[:, 0],
        "fit_lines": lambda i: bs.fit_lines(spectrum(i), ["Fe", "O"]).ratio("Fe_Ka", "O_Ka").draws,
        "fit_edges": lambda i: bs.fit_edges(losses(i), ["C", "Ti", "O"], draws=400).ratio("C_K", "O_K").draws,
        "unmix": lambda i: bs.unmix(small(i), 1, draws=400).intensities_of(["Fe_Ka"]).draws[:, 0, 0],
        "pca": lambda i: bs.pca(small(i), 1, draws=400).data["components_draws"][:, 0, 20],
    }
    good = True
    print(f"{'result':16s} {'difference of draws':>20s} {'correlation':>12s}   (share of independent; nominal 1, 0)")
    for name, make in made.items():
        one, other = (np.asarray(make(i), np.float64) for i in range(2))
        share = float(np.std(one - other) / np.hypot(np.std(one), np.std(other)))
        good &= 0.9 < share < 1.1
        print(f"{name:16s} {share:20.3f} {np.corrcoef(one, other)[0, 1]:12.3f}", flush=True)
    return good


def printed(number: int, _: int) -> bool:
    """Analyse up to `number` measured files of every folder: no ratio below zero, phases and components by size."""
    import bayesspec as bs

    folders: dict[Path, list[Path]] = {}
    for path in analyse.files(""):
        folders.setdefault(path.parent, []).append(path)
    bad = 0
    for path in (one for paths in folders.values() for one in paths[:number]):
        with tempfile.TemporaryDirectory() as folder:
            code, _cpu, _seconds, _memory, words = analyse.analysed(path, Path(folder))
            results = [bs.open(file) for file in sorted(Path(folder).rglob("*.nc"))]
        wrong = [f"exit {code}: {words.strip()[-300:]}"] if code or not results else []
        wrong += [line for result in results for line in badly_printed(result)]
        bad += bool(wrong)
        print(f"{path.name:45s} {len(results)} tables: {'; '.join(wrong) or 'as they should be'}", flush=True)
    return not bad


def badly_printed(result: Any) -> list[str]:
    """Cells of a table that begin below zero, and sizes that grow from one phase or component to the next."""
    cells = [cell for row in result.table().rows for cell in row]
    wrong = [f"{cell} is printed" for cell in cells if re.search(r"^[-−][\d.]", cell, re.MULTILINE)]
    sizes = result.fractions.mean.values if hasattr(result, "fractions") else np.zeros(1)
    return wrong + [f"sizes {sizes}"] * bool((np.diff(sizes) > 1e-9).any())


PARTS = {
    "calls": calls,
    "files": files,
    "kills": kills,
    "interrupts": interrupts,
    "differences": differences,
    "printed": printed,
}
NUMBERS = {"calls": 10_000, "files": 50, "kills": 100, "interrupts": 20, "differences": 2, "printed": 10**6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="what to run; everything without one")
    parser.add_argument("--number", type=int, help="how many calls, places a file, kills or interruptions")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    ended = {name: PARTS[name](asked.number or NUMBERS[name], asked.seed) for name in asked.part or PARTS}
    sys.exit(0 if all(ended.values()) else 1)


if __name__ == "__main__":
    main()
