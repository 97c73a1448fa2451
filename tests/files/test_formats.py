"""Files of every format that can be written or is there: what opens stands in ``docs/formats.md``, which this makes.

``BAYESSPEC_DATA=... python tests/files/test_formats.py`` writes the page anew.
"""

import importlib
import importlib.util
import os
import re
import tempfile
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.files.image_writing import save_image
from bayesspec.files.load import load
from bayesspec.image.spectrum_image import SpectrumImage

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
KINDS = {"spectrum": (60,), "scan": (5, 60), "map": (4, 5, 60), "stack": (3, 4, 5, 60)}
NONE, OPENS = "-", "opens"


def counts(kind):
    return np.random.default_rng(0).poisson(3.0, KINDS[kind]).astype(np.uint16)


def signal(kind):
    """What a writer of rosettasciio takes."""
    shape = KINDS[kind]
    names = ["frame", "y", "x"][4 - len(shape) :] if len(shape) > 1 else []
    axes = [
        {"name": name, "units": "nm", "scale": 2.0, "offset": 0.0, "size": n, "navigate": True}
        for name, n in zip(names, shape, strict=False)
    ]
    axes.append({"name": "Energy", "units": "keV", "scale": 0.05, "offset": 0.0, "size": 60, "navigate": False})
    for place, axis in enumerate(axes):
        axis |= {"index_in_array": place, "_type": "UniformDataAxis", "is_binned": False}
    metadata = {"General": {"title": "sample"}, "Signal": {"signal_type": "EDS_TEM"}}
    metadata["Acquisition_instrument"] = {"TEM": {"beam_energy": 200.0, "Detector": {"EDS": {"live_time": 10.0}}}}
    others = {
        "original_metadata": {},
        "learning_results": {},
        "models": {},
        "package_info": {},
        "attributes": {"_lazy": False},
    }
    return {"data": counts(kind), "axes": axes, "metadata": metadata, "tmp_parameters": {}} | others


def by_rosettasciio(module, **options):
    def write(path, kind):
        importlib.import_module(f"rsciio.{module}").file_writer(str(path), signal(kind), **options)

    return write


def own(path, kind):
    image = SpectrumImage(counts(kind), energy=0.05 * np.arange(60))
    save_image(image, path)


def oxford(path, kind):
    values = counts(kind)
    ny, nx = ((1, 1) + values.shape[:-1])[-2:]
    with h5py.File(path, "w") as file:
        header, data = (file.create_group(f"1/EDS/{part}") for part in ("Header", "Data"))
        for name, value in {"Y Cells": ny, "X Cells": nx, "Channel Width": 50.0, "Start Channel": 0.0}.items():
            header[name] = np.array([value])
        data["Spectrum"] = values.reshape(ny * nx, 60)


def edax(path, kind):
    values = counts(kind)
    spectrum = np.zeros(1, [("evPch", "f4"), ("NumberOfPoints", "i4"), ("SpectrumCounts", "i4", (60,))])
    spectrum["evPch"], spectrum["NumberOfPoints"] = 50.0, 60
    spectrum["SpectrumCounts"] = values.reshape(-1, 60).sum(axis=0)
    with h5py.File(path, "w") as file:
        file.create_group("Project").attrs["Company"] = "EDAX, LLC"
        area = file.create_group("Project/Sample/Area 1/Measurement 1")
        area["SPC"] = spectrum
        if kind != "spectrum":
            area["LSD" if kind == "scan" else "SPD"] = values


WRITTEN = {
    ".hspy": ("HyperSpy, HDF5", by_rosettasciio("hspy"), "spectrum scan map stack"),
    ".zspy": ("HyperSpy, zarr", by_rosettasciio("zspy"), "spectrum scan map stack"),
    ".nxs": ("NeXus", by_rosettasciio("nexus"), "spectrum scan map stack"),
    ".rpl": ("Ripple, of many programs", by_rosettasciio("ripple"), "spectrum scan map"),
    ".msa": ("EMSA/MAS", by_rosettasciio("msa"), "spectrum"),
    ".h5oina": ("Oxford Instruments AZtec, from format 7.0", oxford, "spectrum scan map"),
    ".edaxh5": ("EDAX APEX; also as .h5", edax, "spectrum scan map"),
    ".npz": ("bayesspec, NumPy", own, "spectrum scan map"),
    ".nc": ("bayesspec, netCDF-4", own, "spectrum scan map"),
}
"""Formats that are written here: what writes them, and what they can hold."""
MEASURED = {
    ".bcf": ("Bruker Esprit", {"map": "p45_dacite/P45_the_default_job.bcf"}),
    ".dm3": ("Gatan DigitalMicrograph; also .dm4", {"map": "sto_eels/DMReader_SpectrumImage_SI-EELS.dm3"}),
}
"""Formats of which there are measured files."""
OTHERS = {
    ".emd": "Thermo Fisher Velox; NCEM",
    ".pts": "JEOL",
    ".spx": "Bruker, spectra",
    ".spd .spc": "EDAX TEAM and Genesis",
    ".elid": "Phenom",
    ".eds": "JEOL, spectra",
    ".ser .emi": "TIA",
    ".prz": "Panta Rhei",
}
"""Formats that a reader of rosettasciio is there for, and no file to try."""


def tried(folder, ending, kind, write):
    """Whether a file that was written opens with its counts."""
    path = folder / f"{kind}{ending}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames, opens = "all" if kind == "stack" else None, OPENS
        write(path, kind)
        try:
            found = load(path, frames=frames)
        except InputError as error:  # what it says to type must open it
            picked = int(re.findall(r"signal=(\d+)", error.do)[0])
            found, opens = load(path, frames=frames, signal=picked), f"opens with signal={picked}"
    whole = counts(kind).sum(axis=0) if kind == "stack" else counts(kind)
    np.testing.assert_array_equal(found.counts, whole.reshape(found.shape))
    return opens


LOSSES = {
    "tests/components/coreloss_spectrum.msa": "spectrum",
    "tests/components/lowloss_spectrum.msa": "low loss",
    "tests/drawing/data/Cr_L_cl.hspy": "spectrum",
    "tests/drawing/data/Cr_L_ll.hspy": "low loss",
    "tests/signals/data/EELS_LL_linescan_simulated_thickness_variation.hspy": "low loss, scan",
    "tests/signals/data/EELS_ZLP_linescan_simulated_thickness_variation.hspy": "zero loss, scan",
}
"""Energy losses that exspy installs, with what they are."""


def outcome(path):
    """What becomes of a file, in words: counts, those of a camera, or why they are refused."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            image = load(path)
        except InputError as error:
            return f"refused: {error.found}"
    notes = [str(note.message).split(": ", 1)[1] for note in said if "values are" in str(note.message)]
    return f"opens, {image.counts_per_pixel:.4g} counts a spectrum" + "".join(f"; {note}" for note in notes)


def losses():
    """Rows of the energy losses that exspy installs."""
    folder = Path(importlib.util.find_spec("exspy").origin).parent
    return [f"| `{Path(name).name}` | {kind} | {outcome(folder / name)} |" for name, kind in LOSSES.items()]


def page(folder, data):
    rows = []
    for ending, (software, write, able) in WRITTEN.items():
        cells = [tried(folder, ending, kind, write) if kind in able.split() else NONE for kind in KINDS]
        rows.append((f"`{ending}`", software, *cells))
    for ending, (software, files) in MEASURED.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cells = [
                OPENS if kind in files and load(data / files[kind]).counts.any() else "not tried" for kind in KINDS
            ]
        rows.append((f"`{ending}`", software, *cells))
    rows += [(f"`{ending}`", software, *["not tried"] * len(KINDS)) for ending, software in OTHERS.items()]
    lines = [
        "# Files that are read",
        "",
        "`bs.load` and every command open these. `opens`: a file that was written for the purpose, or measured,",
        "opens with its counts; `not tried`: a reader of rosettasciio is there, and no file to try it on; `-`: the",
        "format does not hold such data. Stacks are summed by `frames='all'`. `.h5oina`, `.edaxh5`, `.npz` and `.nc`",
        "need nothing else, all others `pip install 'bayesspec[io]'`. Made by `tests/files/test_formats.py`.",
        "",
        f"| ending | software | {' | '.join(KINDS)} |",
        f"|---|---|{'---|' * len(KINDS)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        "## Energy losses of other hands",
        "",
        "What becomes of the energy losses that exspy installs. Whole numbers are counts: `bs.poisson_check` and every",
        "fit say whether their noise is that of counts. Fractions are read where they are what a camera makes of",
        "electrons, and refused where a background was subtracted, or spectra were smoothed, fitted or simulated.",
        "",
        "| file | what it is | `bs.load` |",
        "|---|---|---|",
        *losses(),
    ]
    return "\n".join(lines) + "\n"


def test_the_page_says_what_opens(tmp_path, data):
    for package in ("rsciio", "zarr", "exspy"):
        pytest.importorskip(package)
    assert PAGE.read_text() == page(tmp_path, data), "python tests/files/test_formats.py"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        PAGE.write_text(page(Path(made), Path(os.environ["BAYESSPEC_DATA"])))
