"""Files of every format, cut and flipped: what `bayesspec.load` and `bayesspec.open` make of them."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

DATA = Path(os.environ.get("BAYESSPEC_DATA", Path(__file__).parents[2] / "shared" / "data"))
MEASURED = {
    "bcf": "p45_dacite/P45_the_default_job.bcf",
    "bcf packed": "p45_dacite/P45_12bit_packed_8bit_compressed.bcf",
    "hspy": "fept_core_shell/bare_core.hspy",
    "msa": "nist_glass/K412/III-E K412_0_4.msa",
    "dm3": "sto_eels/DMReader_SpectrumImage_SI-EELS.dm3",
}
UNCHECKED = {
    "bcf": "no checksum: neither the container nor the counts have one",
    "bcf packed": "checksums of the packed blocks alone",
    "hspy": "no checksum, unless written with one",
    "msa": "text: one digit is as good as another",
    "dm3": "no checksum",
    "nc plain": "no checksum, unless written with one",
    "emd": "no checksum, unless written with one",
    "rpl": "counts without any structure",
    "spx": "text: one digit is as good as another",
    "zspy": "checksums of the archive, which its reader does not compare",
}
"""Formats in which a flipped bit cannot be noticed, and why."""
SLOW_S = 60.0
"""Seconds after which a file counts as one that hangs its reader."""
OUTCOMES = ("refused", "same", "another shape", "WRONG COUNTS", "OTHER ERROR", "HANGS", "PYTHON DIES")


def examples(folder: Path) -> dict[str, Path]:
    """A small file of every format that can be had: measured ones where they are, others written here."""
    import bayesspec as bs

    files = {kind: Path(shutil.copy(DATA / name, folder)) for kind, name in MEASURED.items() if (DATA / name).exists()}
    image = bs.simulate.iron_oxides(200, (12, 10), seed=0)
    files["npz"] = bs.save_image(image, folder / "image.npz")
    files["nc"] = bs.save_image(image, folder / "image.nc")
    maps = bs.element_maps(image, ["Fe_Ka", "O_Ka"])
    files["result"] = bs.classical.kmeans(maps, 2).save(folder / "result.nc")
    image.to_xarray().to_netcdf(folder / "plain.nc", engine="h5netcdf")
    files["nc plain"] = folder / "plain.nc"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files |= _written_by_hyperspy(image, folder)
    return files


def _written_by_hyperspy(image: object, folder: Path) -> dict[str, Path]:
    try:
        import bayesspec as bs

        signal = bs.to_hyperspy(image.to_xarray())  # type: ignore[attr-defined]
    except ImportError:
        return {}
    written = {}
    for kind, name in (("emd", "scan.emd"), ("rpl", "scan.rpl"), ("zspy", "scan.zspy")):
        try:
            signal.save(folder / name)
        except ImportError:
            continue
        written[kind] = folder / ("scan.raw" if kind == "rpl" else name)
    return {kind: path for kind, path in written.items() if path.is_file()}


def read(path: Path) -> np.ndarray:
    """The numbers of a file."""
    import bayesspec as bs

    if path.name.startswith("result"):
        data = bs.open(path).data
        return np.concatenate(
            [np.ravel(v.values).astype(float) for v in data.data_vars.values() if v.dtype.kind in "biuf"]
        )
    return bs.load(path.with_suffix(".rpl") if path.suffix == ".raw" else path).counts


def worker(path: Path, kind: str, places: list[int], seed: int) -> None:
    """Damage a file at one place after the other, and print what became of it."""
    import bayesspec as bs

    warnings.simplefilter("ignore")
    whole, right = path.read_bytes(), read(path)
    rng = np.random.default_rng(seed)
    for place in places:
        damaged = bytearray(whole[:place] if kind == "cut" else whole)
        if kind == "flip":
            damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = read(path)
            if found.shape != right.shape:
                outcome = "another shape"
            else:
                outcome = "same" if np.array_equal(found, right, equal_nan=True) else "WRONG COUNTS"
        except (bs.InputError, bs.MissingExtraError):
            outcome = "refused"
        except Exception as error:
            outcome = f"OTHER ERROR {type(error).__name__}: {error}"
        print(json.dumps([place, outcome]), flush=True)


def damaged(path: Path, kind: str, number: int, seed: int) -> Counter:
    """Outcomes of one kind of damage to one file; a process that dies or hangs is started again after the place."""
    rng = np.random.default_rng([seed, kind == "flip"])
    size = path.stat().st_size
    places = sorted(int(p) for p in rng.integers(0, size, number))
    counted: Counter = Counter()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        while places:
            for beside in filter(Path.is_file, path.parent.glob(f"{path.stem}.*")):
                shutil.copy(beside, folder)
            done, outcome = _run(copy, kind, places, seed)
            for place, found in done:
                if found.isupper() or found.startswith("OTHER"):
                    print(f"    {path.name} {kind} at {place}: {found}")
                counted[found if not found.startswith("OTHER") else "OTHER ERROR"] += 1
            places = places[len(done) :]
            if outcome and places:
                counted[outcome] += 1
                print(f"    {path.name} {kind} at {places[0]}: {outcome}")
                places = places[1:]
    return counted


def _run(path: Path, kind: str, places: list[int], seed: int) -> tuple[list[tuple[int, str]], str]:
    command = [sys.executable, __file__, str(path), kind, json.dumps(places), str(seed)]
    done = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        limit = 4 * SLOW_S  # imports, and the whole file
        while True:
            if not select.select([process.stdout], [], [], limit)[0]:
                os.killpg(process.pid, 9)
                return done, "HANGS"
            line = process.stdout.readline()
            if not line:
                break
            done.append(tuple(json.loads(line)))
            limit = SLOW_S
    return done, "PYTHON DIES" if process.returncode else ""


def table(number: int, seed: int, only: list[str] | None = None) -> bool:
    """Damage every file; print the table, and whether it is as it should be."""
    good = True
    with tempfile.TemporaryDirectory() as folder:
        files = examples(Path(folder))
        print(f"{'file':12s} {'damage':7s} " + " ".join(f"{name:>13s}" for name in OUTCOMES))
        for name, path in files.items():
            if only and name not in only:
                continue
            for kind in ("cut", "flip"):
                counted = damaged(path, kind, number, seed)
                print(f"{name:12s} {kind:7s} " + " ".join(f"{counted[o]:13d}" for o in OUTCOMES), flush=True)
                bad = {"OTHER ERROR", "HANGS", "PYTHON DIES"}
                if kind == "cut" or name not in UNCHECKED:
                    bad |= {"WRONG COUNTS"}
                good &= not any(counted[o] for o in bad)
        for name in files:
            if name in UNCHECKED:
                print(f"flips in {name}: {UNCHECKED[name]}")
    return good


if __name__ == "__main__":
    worker(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4]))
