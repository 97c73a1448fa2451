"""Lines, overlaps, maps and compositions: the rows of the table, one a function. Names on the command line choose."""

import logging
import os
import resource
import sys
import time
import warnings
from pathlib import Path

import flat_sample
import lamella
import numpy as np
from scipy.stats import chi2

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.edge_design import in_window

DATA = Path(os.environ.get("BAYESSPEC_DATA", "data"))
GLASS = ["O", "Mg", "Al", "Si", "Ca", "Fe", "C"]
ELEVEN = {"O": 35, "Al": 5, "Si": 20, "Mg": 20, "Ca": 5, "Fe": 10, "Ti": 3, "K": 3, "Na": 3, "P": 1, "Cl": 1}
AXIS = -0.4719 + 0.01 * np.arange(2048)
ACQUISITION = bs.Acquisition("EDS", 200.0, 130.0)


def flat(runs: int = 20) -> None:
    for dose in (500.0, 5000.0):
        flat_sample.run(dose, runs)


def calibration(runs: int = 10) -> None:
    truth, found = np.array([8.0, 1.003, 137.0]), []
    axis = flat_sample.AXIS
    for seed in range(runs):
        true = truth[0] / 1e3 + truth[1] * axis
        rate = sum(n * line_profile(name, true, truth[2]) for name, n in flat_sample.FIRST.items())
        counts = np.random.default_rng(seed).poisson(2e5 * rate + 2e5 * bremsstrahlung(true, 200.0))
        image = bs.SpectrumImage(counts, energy=axis, elements=flat_sample.ELEMENTS, acquisition=ACQUISITION)
        one = bs.calibrate_energy(image)
        found.append([one.offset_ev, one.gain, one.resolution_mn_ka_ev])
    values, sds = np.moveaxis(np.array(found), 2, 0)
    off = np.sqrt(np.square(values - truth).mean(axis=0))
    print(f"calibration, {runs} runs: rms error offset {off[0]:.2f} eV, gain {100 * off[1]:.4f} %, resolution", end=" ")
    print(f"{100 * off[2] / truth[2]:.2f} %; mean squared z {np.square((values - truth) / sds).mean(axis=0).round(2)}")


def eleven(size: int = 256) -> bs.SpectrumImage:
    positive = AXIS > 0.1
    peaks = sum(n * line_profile(f"{e}_Ka", AXIS) for e, n in ELEVEN.items())
    continuum = np.zeros(len(AXIS))
    continuum[positive] = bremsstrahlung(AXIS[positive], 200.0)
    rate = 45 * peaks / peaks.sum() + 15 * continuum
    rng, counts = np.random.default_rng(0), np.empty((size, size, len(AXIS)), np.uint8)
    for row in counts:
        row[:] = rng.poisson(rate, size=row.shape)
    return bs.SpectrumImage(counts, energy=AXIS, elements=tuple(ELEVEN), acquisition=ACQUISITION)


def maps() -> None:
    image = eleven()
    for state in ("first", "warm"):
        start = time.perf_counter()
        found = bs.model_maps(image)
        seconds = time.perf_counter() - start
        print(
            f"maps of 11 elements, 256 x 256 x 2048, {state}: {seconds:.2f} s ({len(found.lines)} families)", end="; "
        )
    print(f"largest memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    import exspy

    logging.getLogger("hyperspy").setLevel(logging.ERROR)

    crop = exspy.signals.EDSTEMSpectrum(image.counts[:2, :3].astype(float))
    crop.axes_manager[-1].scale, crop.axes_manager[-1].offset, crop.axes_manager[-1].units = 0.01, AXIS[0], "keV"
    crop.set_microscope_parameters(beam_energy=200.0)
    crop.metadata.set_item("Acquisition_instrument.TEM.Detector.EDS.energy_resolution_MnKa", 130.0)
    crop.set_elements(list(ELEVEN))
    crop.set_lines([f"{e}_Ka" for e in ELEVEN])
    model = crop.isig[0.2:12.0].create_model()
    start = time.perf_counter()
    model.multifit(show_progressbar=False)
    theirs = (time.perf_counter() - start) / 6
    print(f"  eXSpy's model, 6 of these pixels: {theirs:.3f} s a pixel, {theirs / (seconds / 256**2):.0f} times longer")


def minerals(runs: int = 6) -> None:
    lamella.main(runs)
    lamella.peer(runs)


def glass() -> None:
    files = sorted((DATA / "nist_glass" / "K412").glob("III*.msa"))
    fits = [bs.fit_lines(bs.load(file), GLASS) for file in files]
    total, degrees = 0.0, 0
    for line in ("O_Ka", "Mg_Ka", "Al_Ka", "Ca_Ka", "Fe_Ka"):
        ratios = [fit.ratio(line, "Si_Ka") for fit in fits]
        mean, sd = (np.array([float(getattr(r, name)) for r in ratios]) for name in ("mean", "sd"))
        square = float(np.square((mean - np.average(mean, weights=sd**-2)) / sd).sum())
        total, degrees = total + square, degrees + len(files) - 1
        print(f"  {line}/Si_Ka {mean.mean():.5f}, claimed sd {sd.mean():.5f}, observed {mean.std(ddof=1):.5f}")
    print(f"K412 glass, five replicates: chi-square {total:.1f} for {degrees}, p = {chi2.sf(total, degrees):.3f}")


def edges(runs: int = 20, dose: float = 2000.0) -> None:
    elements, z, inside = ["C", "Ti", "Sr", "O"], [], []
    for seed in range(runs):
        image = bs.simulate.eels_edges(dose, 40, seed=seed)
        fit = bs.fit_edges(image, elements, draws=60, seed=seed)
        truth = image.truth
        sums = truth["abundances"].sum(axis=(0, 1))
        places = [truth["components"].index(name) for name in fit.lines]
        windows = [in_window(image.energy, float(e)) for e in fit.data["onset"]]
        true = np.array([sums[k] * truth["edges"][k][w].sum() for k, w in zip(places, windows, strict=True)])
        found = fit.intensities
        low, high = found.interval(0.9)
        z.append(((found.mean - true) / found.sd).values)
        inside.append(((low <= true) & (true <= high)).values)
    print(f"edges of {dose:g} counts/pixel, 40 x 40, {runs} runs: 90 % intervals of the counts cover", end=" ")
    print(f"{dict(zip(fit.lines, np.mean(inside, axis=0).round(2).tolist(), strict=True))}; rms z", end=" ")
    print(np.sqrt(np.square(z).mean(axis=0)).round(2))


def identify() -> None:
    for name in ("p45_dacite/P45_12bit_packed_8bit_compressed.bcf", "mantle_71GPa/71GPa_experimental_data.hspy"):
        image = bs.load(DATA / name)
        start = time.perf_counter()
        found = set(bs.identify_lines(image).elements)
        missing, more = sorted(set(image.elements) - found), sorted(found - set(image.elements))
        print(f"{image.name}: missing {missing}, not in the list {more}, {time.perf_counter() - start:.0f} s")


ROWS = {f.__name__: f for f in (flat, calibration, maps, minerals, glass, edges, identify)}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or ROWS:
        ROWS[name]()
