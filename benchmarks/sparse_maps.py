"""Memory of maps that are nearly all 0: 512 x 512 pixels of 4096 channels, 310,000 counts.

``python benchmarks/sparse_maps.py`` prints, for every way in which such a map arrives, the peak memory above that of
the imports of ``bs.load`` (the process that reads counted apart), ``bs.element_maps`` and ``bs.segment``, each way in a
process of its own. ``array``: a sparse array in Python; ``dask``: the same lazy, as the readers of JEOL and Velox files
give it; ``.hspy``: a file that is written first. ``--folder`` names where; ``--side`` and ``--counts`` change the map.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp

ENERGY = 0.005 * np.arange(4096)
LINES = {"Fe_Ka": 6.4, "Fe_La": 0.705, "O_Ka": 0.525, "Si_Ka": 1.74, "Mg_Ka": 1.254}
"""Energies, in keV."""
WAYS = ("array", "dask", ".hspy")


def events(side, total, seed=0):
    """Pixel and channel of every count: two halves of an image, of iron oxide and of a silicate."""
    rng = np.random.default_rng(seed)
    y, x = rng.integers(side, size=(2, total))
    oxide = x < side // 2
    shares = np.where(oxide[:, None], [0.4, 0.1, 0.4, 0.02, 0.02], [0.03, 0.02, 0.4, 0.3, 0.15])
    shares = np.column_stack([shares, 1 - shares.sum(axis=1)])
    which = (rng.random(total)[:, None] > shares.cumsum(axis=1)).sum(axis=1)
    centres = np.array([*LINES.values(), 0.0])[which]
    width = np.sqrt(0.021**2 + 4.4e-4 * centres)
    energy = np.where(which < len(LINES), rng.normal(centres, width), 0.3 + rng.exponential(2.5, total))
    channel = np.clip(np.rint(energy / 0.005), 0, len(ENERGY) - 1).astype(np.int64)
    return y * side + x, channel


def matrix(side, total):
    """Counts (pixel, channel)."""
    pixel, channel = events(side, total)
    return sp.coo_array((np.ones(total, np.uint16), (pixel, channel)), shape=(side * side, len(ENERGY))).tocsr()


def write(path, side, total):
    """Write the map as HyperSpy does, a few rows at a time."""
    import h5py

    counts = matrix(side, total)
    with h5py.File(path, "w") as file:
        file.attrs["file_format"], file.attrs["file_format_version"] = "HyperSpy", "3.3"
        group = file.create_group("Experiments/map")
        shape = (side, side, len(ENERGY))
        data = group.create_dataset(
            "data", shape, np.uint8, chunks=(1, min(64, side), 4096), compression="gzip", fillvalue=0
        )
        for row in range(side):
            data[row] = counts[row * side : (row + 1) * side].toarray()
        axes = (("y", side, 2.0, "nm", True), ("x", side, 2.0, "nm", True), ("Energy", 4096, 0.005, "keV", False))
        for i, (name, size, scale, units, navigate) in enumerate(axes):
            axis = group.create_group(f"axis-{i}")
            values = {"_type": "UniformDataAxis", "name": name, "size": size, "scale": scale, "offset": 0.0}
            for key, value in (values | {"units": units, "navigate": navigate, "is_binned": False}).items():
                axis.attrs[key] = value
        metadata = group.create_group("metadata")
        metadata.create_group("General").attrs["title"] = "map"
        metadata.create_group("Signal").attrs["signal_type"] = "EDS_SEM"
        group.create_group("original_metadata")


def peak(who=resource.RUSAGE_SELF):
    """Largest memory so far, MB."""
    return resource.getrusage(who).ru_maxrss / 1e3


def image_of(way, file, side, total):
    """The map as it arrives."""
    import bayesspec as bs

    if way == "array":
        import sparse

        counts = sparse.COO(matrix(side, total)).reshape((side, side, len(ENERGY)))
        acquisition = bs.Acquisition(technique="EDS", beam_energy_kev=20.0, resolution_mn_ka_ev=130.0)
        return bs.SpectrumImage(counts, energy=ENERGY, elements=["Fe", "O", "Si", "Mg"], acquisition=acquisition)
    if way == "dask":
        import dask.array as da
        import hyperspy.api as hs
        import sparse

        counts = sparse.COO(matrix(side, total)).reshape((side, side, len(ENERGY)))
        signal = hs.signals.Signal1D(da.from_array(counts, asarray=False)).as_lazy()
        axis = signal.axes_manager[-1]
        axis.name, axis.scale, axis.units = "Energy", 0.005, "keV"
        known = {"beam_energy": 20.0, "resolution_mn_ka_ev": 130.0}
        return bs.from_hyperspy(signal, elements=["Fe", "O", "Si", "Mg"], energy_unit="keV", **known)
    known = {"beam_energy": 20.0, "resolution_mn_ka_ev": 130.0}
    return bs.load(file, elements=["Fe", "O", "Si", "Mg"], **known)


def measure(way, file, side, total):
    """Print one line."""
    warnings.simplefilter("ignore")
    import bayesspec as bs

    bs.segment(bs.simulate.iron_oxide_lines(100, (8, 8), seed=0), 1)  # what is imported where it is needed
    if way != ".hspy":
        import sparse  # noqa: F401
    if way == "dask":
        import hyperspy.api as hs

        hs.signals.Signal1D(np.zeros(3))
    before, start, words = peak(), time.process_time(), []
    image = image_of(way, file, side, total)
    words.append(f"load {peak() - before:5.0f}")
    maps = bs.element_maps(image)
    words.append(f"element_maps {peak() - before:5.0f}")
    found = bs.segment(maps, range(1, 5), seed=0)
    words.append(f"segment {peak() - before:5.0f} MB")
    reader = peak(resource.RUSAGE_CHILDREN)
    words.append(f"reader {reader:4.0f} MB with its imports" if reader else "no reader")
    print(f"{way:<6} {', '.join(words)}; {time.process_time() - start:.0f} CPU s; {found.verdict[:60]}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--counts", type=int, default=310_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--way", choices=WAYS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        file = (asked.folder or Path(folder)) / "map.hspy"
        if asked.way:
            measure(asked.way, file, asked.side, asked.counts)
        else:
            for way in WAYS:
                if way == ".hspy":
                    write(file, asked.side, asked.counts)
                sizes = ["--side", str(asked.side), "--counts", str(asked.counts), "--folder", str(file.parent)]
                subprocess.run([sys.executable, __file__, "--way", way, *sizes], check=True)
