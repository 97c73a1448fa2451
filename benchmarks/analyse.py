"""What ``bayesspec analyse FILE`` takes without options, file by file.

``python benchmarks/analyse.py`` runs it on every measured file of the folder that ``BAYESSPEC_DATA`` names, and prints
exit code, CPU seconds, seconds, peak memory, the load of the machine, and what was found. ``--runs 2`` runs each twice
and prints the second, whose programs are compiled; ``--only TEXT`` takes the files whose path holds the text.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from robustness_files import DATA

ENDINGS = (".bcf", ".dm3", ".dm4", ".emd", ".hspy", ".msa", ".pts")
HEADINGS = ("Lines", "Edges", "Phases", "Components", "Thickness")


def files(only):
    """Measured files by their size."""
    found = [path for path in DATA.rglob("*") if path.suffix in ENDINGS and only in str(path)]
    return sorted(found, key=lambda path: path.stat().st_size)


def analysed(file, folder):
    """Exit code, CPU seconds, seconds, MB, and what the command said."""
    run = [sys.executable, "-c", "from bayesspec.cli import main; main()"]
    command = [*run, "analyse", str(file), "--out", str(folder), "--overwrite"]
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        words = said.read()
    seconds = time.perf_counter() - start
    return process.returncode, used.ru_utime + used.ru_stime, seconds, used.ru_maxrss / 1e3, words


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for file in files(asked.only):
            for _ in range(asked.runs):
                code, cpu, seconds, memory, words = analysed(file, Path(folder) / "report")
            load = os.getloadavg()[0]
            print(f"{file.name:<45} exit {code} {cpu:6.0f} CPU s {seconds:6.0f} s {memory:6.0f} MB load {load:.0f}")
            verdicts = [line for line in words.splitlines() if line.partition(":")[0] in HEADINGS and ":" in line]
            print("".join(f"    {line[:150]}\n" for line in verdicts) or f"    {words[-300:]}\n", flush=True)
