"""Lines, overlaps, maps and compositions: the rows of the table, one a function. Names on the command line choose.

Numbers behind them are runs and, for oxide, silicates, phases and elements, the first seed: ``elements 60 3000``.
"""

import logging
import os
import re
import resource
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import flat_sample
import lamella
import numpy as np
from scipy.stats import chi2

import bayesspec as bs
from bayesspec.inference.linear_poisson.uncertain_shapes import whitening
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.detector import gaussian_columns, gaussian_shares
from bayesspec.spectroscopy.edge_design import in_window
from bayesspec.spectroscopy.line_catalogue import emission_ratio
from bayesspec.spectroscopy.line_families import element_families

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


def pixels(size: int = 32) -> None:
    """Pointwise coverage of 90 % intervals of single pixels, elements of the eleven and ratios."""
    lines = {f"{e}_Ka": float(n) for e, n in ELEVEN.items()}
    peaks = sum(n * line_profile(line, AXIS) for line, n in lines.items())
    continuum = np.zeros(len(AXIS))
    continuum[AXIS > 0.1] = bremsstrahlung(AXIS[AXIS > 0.1], 200.0)
    for dose in (20, 60, 300, 1500):
        scale = 0.75 * dose / peaks.sum()
        counts = np.random.default_rng(dose).poisson(scale * peaks + 0.25 * dose * continuum, (size, size, len(AXIS)))
        maps = bs.model_maps(bs.SpectrumImage(counts, energy=AXIS, elements=tuple(ELEVEN), acquisition=ACQUISITION))
        low, high = maps.intensities_of(list(lines)).interval(0.9)
        true = scale * np.array(list(lines.values()))
        held = ((low <= true) & (true <= high)).mean(("y", "x")).values.round(2)
        print(f"{dose} counts a pixel: {dict(zip(ELEVEN, held.tolist(), strict=True))}", end="; ")
        for above, below in (("Fe_Ka", "O_Ka"), ("Ca_Ka", "Si_Ka"), ("Si_Ka", "Mg_Ka")):
            low, high = maps.ratio(above, below).interval(0.9)
            inside = (low <= lines[above] / lines[below]) & (lines[above] / lines[below] <= high)
            print(
                f"{above}/{below} {float(inside.mean()):.2f}, {float(np.isfinite(high).mean()):.2f} bounded", end="; "
            )
        print()


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


def grid() -> None:
    """FePt on a copper grid that the file does not name, the example of exspy."""
    import exspy

    logging.getLogger("hyperspy").setLevel(logging.ERROR)
    image = bs.from_hyperspy(exspy.data.EDS_TEM_FePt_nanoparticles())
    fit = bs.fit_lines(image)
    iron = fit.intensities_of(["Fe_Ka"])
    at = fit.composition({"Fe_Ka": 1.450226, "Pt_La": 5.075602})["atomic_percent"]
    low, high = (float(end.sel(element="Fe")) for end in at.interval(0.95))
    print(
        f"FePt, elements of the file {image.elements}: {iron}, Fe {float(at.mean.sel(element='Fe')):.1f} at.%", end=" "
    )
    print(f"({low:.1f} to {high:.1f}); not named: {', '.join(str(one['columns'][0]) for one in fit.unnamed)}")
    start = time.perf_counter()
    print(f"  {bs.identify_lines(image)}, {time.perf_counter() - start:.1f} s")


OXIDES = ({"O": 0.55, "Fe": 0.43}, {"O": 0.58, "Fe": 0.40})
SILICATES = ({"O": 0.50, "Si": 0.25, "Mg": 0.22, "Fe": 0.04}, {"O": 0.48, "Si": 0.22, "Al": 0.15, "Ca": 0.12})
PEAKS = {  # keV and weight, not the tables that the fit uses
    "O": [(0.525, 1.0)],
    "Mg": [(1.254, 1.0)],
    "Al": [(1.487, 1.0)],
    "Si": [(1.740, 0.97), (1.836, 0.03)],
    "Ca": [(3.691, 0.885), (4.012, 0.115)],
    "Fe": [(6.404, 0.585), (6.391, 0.295), (7.058, 0.12), (0.705, 0.35)],
    "Mn": [(5.899, 0.585), (5.888, 0.295), (6.490, 0.12), (0.637, 0.35)],
}
ALPHA = {"O": 1.0, "Si": 0.97, "Fe": 0.88}
"""Share of Ka in the counts of the K lines."""
CELLS = {  # name: what the spectrum is, the resolution that the file states
    "as stated": ({}, 130.0),
    "137 for 130": ({"resolution": 137.0}, 130.0),
    "assumed 130 is 140": ({"resolution": 140.0}, None),
    "5 eV off": ({"offset": 0.005}, 130.0),
    "5 % Mn unnamed": ({"manganese": 0.05}, 130.0),
    "137, known": ({"resolution": 137.0}, 137.0),
}


def oxide_spectrum(
    content: dict[str, float], energy: np.ndarray, resolution: float = 130.0, offset: float = 0.0
) -> np.ndarray:
    """Lines on bremsstrahlung at 20 kV, counts a channel."""
    step, expected = energy[1] - energy[0], np.zeros(len(energy))
    for element, counts in content.items():
        for line, weight in PEAKS[element]:
            sigma = np.sqrt(max(resolution**2 + 2500 * (line - 5.895), 900.0)) / 2354.8
            shape = np.exp(-0.5 * ((energy - line - offset) / sigma) ** 2)
            expected += counts * weight * step / sigma / np.sqrt(2 * np.pi) * shape
    soft = np.maximum(energy, 0.05)
    continuum = np.clip(20 - energy, 0, None) / soft * np.exp(-0.35 / soft**1.9)
    return expected + 0.25 * sum(content.values()) * continuum / continuum.sum()


def oxide(runs: int = 40, first: int = 0) -> None:
    _oxides("fit_lines", lambda image, seed: bs.fit_lines(image, seed=seed).ratio("Fe_Ka", "O_Ka"), runs, first)


def silicates(runs: int = 40, first: int = 0) -> None:
    def ratio(image: bs.SpectrumImage, seed: int) -> bs.Estimate:
        return bs.fit_lines(image, seed=seed).ratio("Si_Ka", "O_Ka")

    _oxides("fit_lines", ratio, runs, first, contents=SILICATES, above="Si")


def phases(runs: int = 20, first: int = 0) -> None:
    for method in ("windows", "spectra"):

        def ratio(image: bs.SpectrumImage, seed: int, method: str = method) -> bs.Estimate:
            return bs.segment(image, 1, method=method, seed=seed).ratio("Fe_Ka", "O_Ka").sel(phase=0)

        _oxides(f"segment of {method}", ratio, runs, first, side=4)


def _oxides(
    what: str,
    measured: Callable[[bs.SpectrumImage, int], bs.Estimate],
    runs: int,
    first: int,
    side: int = 1,
    counts: float = 3.4e6,
    contents: Sequence[dict[str, float]] = OXIDES,
    above: str = "Fe",
) -> None:
    energy = 0.005 + 0.01 * np.arange(1024)
    for cell, (name, (change, stated)) in enumerate(CELLS.items()):
        z, inside, width, seconds = [], [], [], []
        for seed in range(first, first + runs):
            rng = np.random.default_rng([cell, seed])
            content = dict(contents[seed % 2])
            true, named = ALPHA[above] * content[above] / content["O"], tuple(content)
            if "manganese" in change:
                content["Mn"] = change["manganese"]
            detector = {k: v for k, v in change.items() if k != "manganese"}
            rate = counts / side**2 * oxide_spectrum(content, energy, **detector)
            image = bs.SpectrumImage(
                rng.poisson(rate, (side, side, len(energy))),
                energy=energy,
                elements=named,
                acquisition=bs.Acquisition("EDS", 20.0, stated),
            )
            start = time.perf_counter()
            ratio = measured(image, seed)
            seconds.append(time.perf_counter() - start)
            low, high = (float(end) for end in ratio.interval(0.9))
            z.append((float(ratio.mean) - true) / float(ratio.sd))
            inside.append(low <= true <= high)
            width.append((high - low) / true)
        print(
            f"{above}/O by {what}, {name}: off by {np.mean(z):+.2f} sd, 90 % intervals hold {np.mean(inside):.2f} of "
            f"{runs}, {100 * np.mean(width):.2f} % wide; {np.median(seconds):.1f} s a fit"
        )


SAMPLE = re.findall(
    "[A-Z][a-z]?",
    "C N O F Na Mg Al Si P S Cl K Ca Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Rb Sr Y Zr Nb Mo Ag Cd In Sn Ba La Ce "
    "Nd Ta W Pt Au Pb Bi U",
)
OVERLAPS = ["S Mo Pb", "Ti Ba V", "Cr Mn Fe Co", "Si Sr W Ta Rb", "P Zr Pt Nb", "Na Zn", "As Mg", "Al Br", "K Cd In U"]


def mixture_spectrum(rng: np.random.Generator) -> tuple[bs.SpectrumImage, dict[str, float], dict[str, float]]:
    """Elements drawn with overlaps on purpose; lines displaced by 1 eV, minor ones 10 % off.

    And how many standard deviations of the counts each is: alone on the others, and beside the others when these, the
    energies and the weights of the lines are known as well as they were drawn.
    """
    top, total = rng.choice([5.0, 10.0, 20.0, 40.0]), 10 ** rng.uniform(4.5, 7.5)
    beam = 200.0 if top > 20 else rng.choice([15.0, 20.0, 200.0])
    chosen = {str(e) for e in rng.choice(SAMPLE, rng.integers(2, 10), replace=False)}
    group = rng.choice(OVERLAPS).split()
    chosen |= {str(e) for e in rng.choice(group, rng.integers(1, len(group)), replace=False)}
    energy, parts, others = 0.105 + 0.01 * np.arange(int(100 * top) - 10), {}, {}
    window = (1 - np.exp(-((energy / 0.35) ** 3)))[:, None]
    for element in sorted(chosen):
        families = element_families(element, 0.2, min(top, beam), beam)
        if not families:
            continue
        amount, columns, errors = rng.lognormal(0.0, 1.2), [], []
        for family in families:
            thin = emission_ratio(family.name, families[0].name, beam) * rng.lognormal(0.0, 0.3)
            weights = amount * thin * np.array(family.weights) * rng.lognormal(0.0, 0.1, len(family.weights))
            energies = np.array(family.energies_kev) + rng.normal(0.0, 0.001, len(weights))
            columns.append(gaussian_shares(energies, weights, energy, 130.0))
            strong = weights > 0.005 * weights.max()
            lines = [([e], [w]) for e, w in zip(energies[strong], weights[strong], strict=True)]
            moved = [([e + 0.001], [w]) for (e,), (w,) in lines]
            one, other = (gaussian_columns(these, energy, 130.0) for these in (lines, moved))
            errors += [0.1 * one, other - one]
        parts[element], others[element] = window * np.column_stack(columns), window * np.column_stack(errors)
    continuum = bremsstrahlung(energy, beam)
    rate = sum(part.sum(axis=1) for part in parts.values())
    rate = rate + 0.3 * rate.sum() * continuum / continuum.sum()
    scale = total / rate.sum()
    image = bs.SpectrumImage(rng.poisson(scale * rate), energy=energy, acquisition=bs.Acquisition("EDS", beam, 130.0))
    noise = np.sqrt(np.maximum(scale * rate, 0.01))
    alone = {e: float(np.linalg.norm(scale * part.sum(axis=1) / noise)) for e, part in parts.items()}
    return image, alone, {e: _beside(e, parts, others, scale, noise) for e in parts}


def _beside(
    element: str, parts: dict[str, np.ndarray], errors: dict[str, np.ndarray], scale: float, noise: np.ndarray
) -> float:
    """Standard deviations of an element, the families of the others free, their lines known within errors."""
    rest = [e for e in parts if e != element]
    white = whitening(np.column_stack([scale * errors[e] for e in parts]), noise**2)
    own = white(scale * parts[element].sum(axis=1, keepdims=True))[:, 0]
    if rest:
        basis = np.linalg.qr(white(np.column_stack([scale * parts[e] for e in rest])))[0]
        own = own - basis @ (basis.T @ own)
    return float(np.linalg.norm(own))


def elements(runs: int = 60, first: int = 0) -> None:
    """Recall, false elements, and how often an element that is given a probability is there."""
    weighed, likely, probabilities, truths, false, seconds = ([], []), ([], []), [], [], 0, []
    for seed in range(first, first + runs):
        image, *strengths = mixture_spectrum(np.random.default_rng(seed))
        start = time.process_time()
        found = bs.identify_lines(image).probabilities
        seconds.append(time.process_time() - start)
        for kind, strength in enumerate(strengths):
            weighed[kind].extend(found.get(e, 0.0) > 0.02 for e, n in strength.items() if n > 5)
            likely[kind].extend(found.get(e, 0.0) > 0.5 for e, n in strength.items() if n > 5)
        probabilities += [min(p, 1.0) for p in found.values()]
        truths += [e in strengths[0] for e in found]
        false += sum(p > 0.9 and e not in strengths[0] for e, p in found.items())
    for kind, name in enumerate(("alone on its background", "beside the others")):
        print(
            f"elements, {runs} spectra from seed {first}: of {len(weighed[kind])} above 5 sd {name} weighed (p > .02) "
            f"{np.mean(weighed[kind]):.3f}, proposed (p > .5) {np.mean(likely[kind]):.3f}"
        )
    p, true = np.array(probabilities), np.array(truths)
    told = p >= 0.02
    print(f"  false with p > .9: {false / runs:.3f} a spectrum; {np.median(seconds):.1f} CPU s", end="; ")
    error = 0.0
    for low, high in ((0.02, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
        some = (p >= low) & (p < high)
        if some.any():
            print(
                f"p {low}-{min(high, 1)}: {true[some].mean():.2f} of {some.sum()} (said {p[some].mean():.2f})", end="; "
            )
            error += some.sum() / told.sum() * abs(true[some].mean() - p[some].mean())
    print(f"calibration error {error:.3f}, Brier {np.square(p - true)[told].mean():.3f}")


def measured(repeats: int = 5) -> None:
    """Spectra of known content: what is missing, and what else is claimed."""
    import exspy
    from quantification import load

    logging.getLogger("hyperspy").setLevel(logging.ERROR)
    glasses = {"K412/III-E K412_{}_4": "O Mg Al Si Ca Fe", "ADM6005a/ADM-6005a_{}": "O Al Si Ca Ti Zn Ge"}
    cases = [
        (path.format(i + (name == "ADM")), load(DATA / "nist_glass" / f"{path.format(i + (name == 'ADM'))}.msa"), held)
        for path, held in glasses.items()
        for name in [path[:3]]
        for i in range(repeats)
    ]
    cases.append(("FePt", bs.from_hyperspy(exspy.data.EDS_TEM_FePt_nanoparticles()), "Fe Pt Cu C"))
    for name, held in (
        ("p45_dacite/P45_12bit_packed_8bit_compressed.bcf", "O Na Al Si K Ca Fe"),
        ("mantle_71GPa/71GPa_experimental_data.hspy", "O Mg Al Si Ca Fe"),
    ):
        image = bs.load(DATA / name)
        cases.append((image.name, image.changed(counts=image.sum_spectrum()[None, None], mask=None), held))
    for name, image, held in cases:
        start = time.process_time()
        found = bs.identify_lines(image).probabilities
        seconds = time.process_time() - start
        missing = [f"{e} {found.get(e, 0):.2f}" for e in held.split() if found.get(e, 0) < 0.5]
        more = [f"{e} {p:.2f}" for e, p in found.items() if p > 0.5 and e not in held.split()]
        print(f"{name}: missing {missing}, besides {more}, {seconds:.1f} CPU s")


FUNCTIONS = (
    flat,
    calibration,
    maps,
    pixels,
    minerals,
    glass,
    edges,
    identify,
    oxide,
    silicates,
    phases,
    elements,
    measured,
    grid,
)
ROWS = {function.__name__: function for function in FUNCTIONS}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    names = [name for name in sys.argv[1:] if name in ROWS]
    numbers = [int(name) for name in sys.argv[1:] if name not in ROWS]
    for name in names or ROWS:
        ROWS[name](*numbers)
