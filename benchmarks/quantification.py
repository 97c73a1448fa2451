"""Compositions against certificates, published k-ratios and simulated truth. Names on the command line choose rows."""

import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

import bayesspec as bs
from bayesspec.spectroscopy.hydrogenic import differential_cross_section

DATA = Path(os.environ.get("BAYESSPEC_DATA", "data"))
CERTIFICATE = {"O": 42.758, "Mg": 11.6567, "Al": 4.9061, "Si": 21.1982, "Ca": 10.899, "Fe": 7.7742}
ADM = {
    "O_Ka": 0.4923,
    "Ca_Ka": 0.1211,
    "Zn_La": 0.0700,
    "Zn_Ka": 0.1115,
    "Zn_Kb": 0.1231,
    "Ti_La": 0.0404,
    "Ge_La": 0.1789,
}
"""k-ratios of DTSA-II, by line family."""
FEPT = {"Fe_Ka": 1.450226, "Pt_La": 5.075602}
ONSETS = {"C_K": 284.0, "N_K": 401.0, "Ti_L": 456.0, "O_K": 532.0, "Mn_L": 640.0}
CASES = {
    "Ti/O": ({"Ti_L": 1000.0, "O_K": 3000.0}, (380.0, 780.0)),
    "C/N": ({"C_K": 4000.0, "N_K": 2000.0}, (220.0, 560.0)),
    "Mn/O": ({"Mn_L": 1500.0, "O_K": 3000.0}, (440.0, 900.0)),
}
ELECTRON_VOLTS = 0.5


def load(path: Path) -> bs.SpectrumImage:
    """Open an EMSA file, with a space after the colon of its spectrum line and fractions of counts rounded."""
    lines = path.read_text(errors="replace").splitlines()
    start = next(i for i, line in enumerate(lines) if line.upper().startswith("#SPECTRUM"))
    end = next(i for i, line in enumerate(lines) if line.upper().startswith("#ENDOFDATA"))
    values = [f"{round(float(line.rstrip(', ')))}, " for line in lines[start + 1 : end]]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "spectrum.msa"
        copy.write_text("\n".join([*lines[:start], "#SPECTRUM    : ", *values, *lines[end:]]) + "\n")
        return bs.load(copy)


def k412() -> None:
    folder = DATA / "nist_glass" / "K412"
    standards = {name: load(folder / f"{name} std.msa") for name in ("SiO2", "MgO", "Al2O3", "CaF2", "Fe")}
    for oxygen in ("measured", "stoichiometry"):
        for repeat in range(5):
            k = bs.k_ratios(load(folder / f"III-E K412_{repeat}_4.msa"), standards, list(CERTIFICATE))
            found = bs.quantify(k, oxygen=oxygen)
            low, high = found.weight_percent.interval(0.9)
            off = {e: float(found.weight_percent.mean.sel(element=e)) / true - 1 for e, true in CERTIFICATE.items()}
            held = sum(
                float(low.sel(element=e)) <= true <= float(high.sel(element=e)) for e, true in CERTIFICATE.items()
            )
            said = ", ".join(f"{e} {100 * value:+.1f}" for e, value in off.items())
            print(f"K412 {repeat}, oxygen by {oxygen}: off by {said} %; 90 % intervals hold {held} of 6", end="; ")
            print(f"total {found.total} %")
    print(found.budget.to_dataframe().round(2).to_string())


def adm(repeats: int = 15) -> None:
    folder = DATA / "nist_glass" / "ADM6005a"
    names = {n: f"{n} std" for n in ("SiO2", "CaF2", "Al", "Si", "Zn", "Ge")} | {"Ti": "Ti trimmed"}
    standards = {name: load(folder / f"{file}.msa") for name, file in names.items()}
    elements = ["O", "Al", "Si", "Ca", "Ti", "Zn", "Ge"]
    found = [
        bs.k_ratios(load(folder / f"ADM-6005a_{i + 1}.msa"), standards, elements, ["Zn_Kb", "Ge_Kb"])
        for i in range(repeats)
    ]
    for line, published in ADM.items():
        mean = np.array([float(k.ratio(line).mean) for k in found])
        sd = float(found[0].ratio(line).sd)
        print(f"  {line} {mean.mean():.4f} +- {sd:.4f}, repeats {mean.std(ddof=1):.4f}; DTSA-II {published}", end="; ")
        print(f"z {(mean.mean() - published) / sd:+.1f}")


def k_factors() -> None:
    import exspy

    logging.getLogger("hyperspy").setLevel(logging.ERROR)
    theory = bs.k_factors(list(FEPT), beam_energy_kev=200.0, detector=bs.Detector("none"))
    mean, sd = theory["Pt_La"]
    print(f"k of Pt_La over Fe_Ka by theory {mean:.2f} +- {sd:.2f}, published {FEPT['Pt_La'] / FEPT['Fe_Ka']:.2f}")
    image = bs.from_hyperspy(exspy.data.EDS_TEM_FePt_nanoparticles())
    fit = bs.fit_lines(image, ["Fe", "Pt", "Cu", "C", "O", "Si", "Co"])
    for name, factors in (("published", FEPT), ("theory", None)):
        found = fit.composition(factors, lines=list(FEPT))["atomic_percent"]
        low, high = (float(end.sel(element="Fe")) for end in found.interval())
        print(
            f"FePt, k-factors {name}: Fe {float(found.mean.sel(element='Fe')):.1f} at.%, 95 % {low:.1f} to {high:.1f}"
        )


def low_loss(thickness: float, electrons: float) -> tuple[np.ndarray, np.ndarray]:
    """Zero loss and plasmons of a thickness in mean free paths: Poisson's terms of folded single scattering."""
    energy = np.arange(-20.0, 200.0, ELECTRON_VOLTS)
    zero = np.exp(-0.5 * (energy / 0.4) ** 2)
    zero /= zero.sum()
    plasmon = np.where(energy > 0, energy / ((energy**2 - 22.0**2) ** 2 + (6.0 * energy) ** 2 + 1e-9), 0.0)
    plasmon /= plasmon.sum()
    first, total, weight, term = int(np.argmin(np.abs(energy))), np.zeros(len(energy)), np.exp(-thickness), zero
    for n in range(8):
        total += weight * term
        weight *= thickness / (n + 1)
        term = fftconvolve(term, plasmon)[first : first + len(energy)]
    return energy, np.maximum(electrons * total, 0.0)


def recorded(
    densities: dict[str, float], span: tuple[float, float], electrons: float, seed: int, white: float
) -> tuple[bs.SpectrumImage, bs.SpectrumImage]:
    """Core loss of known areal densities with plural scattering, half a mean free path, and the low loss."""
    rng = np.random.default_rng(seed)
    low_energy, low = low_loss(0.5, electrons)
    energy = np.arange(*span, ELECTRON_VOLTS)
    wide = energy[0] - low_energy[-1] + ELECTRON_VOLTS * np.arange(len(energy) + len(low_energy) - 1)
    expected = electrons * 2e-5 * (energy / energy[0]) ** -3.0
    acquisition = bs.Acquisition("EELS", 200.0, convergence_mrad=10.0, collection_mrad=20.0)
    for name, density in densities.items():
        element, shell = name.split("_")
        section = differential_cross_section(
            element,
            shell,
            wide,
            beam_energy_kev=200.0,
            collection_mrad=20.0,
            convergence_mrad=10.0,
            onset_ev=ONSETS[name],
        )
        if shell == "L":
            for distance, height in ((2.0, white), (8.0, 0.6 * white)):
                section = section + height * section.max() * np.exp(-0.5 * (wide - ONSETS[name] - distance) ** 2)
        expected = expected + density * ELECTRON_VOLTS * fftconvolve(section, low, mode="valid")
    images = [
        bs.SpectrumImage(rng.poisson(counts), energy=axis, energy_unit="eV", acquisition=acquisition)
        for counts, axis in ((expected, energy), (low, low_energy))
    ]
    return images[0], images[1]


def eels(runs: int = 30, white: float = 2.0) -> None:
    for row, electrons in enumerate((1e7, 1e8, 1e9)):
        for column, (name, (densities, span)) in enumerate(CASES.items()):
            first, second = densities
            truth, ratios, inside, alone = densities[first] / densities[second], [], [], []
            for run in range(runs):
                seed = 1000 * (3 * row + column + 1) + run  # the same seeds at two doses give noise that is alike
                core, low = recorded(densities, span, electrons, seed, white)
                fit = bs.fit_edges(core, edges=list(densities), low_loss=low, draws=2, seed=seed)
                found = fit.atomic_ratio(first, second, cross_section_sd=0.0)
                ends = [float(end) for end in found.interval(0.9)]
                ratios.append(float(found.mean) / truth)
                inside.append(ends[0] <= truth <= ends[1])
                if run < 3:
                    thin = bs.fit_edges(core, edges=list(densities), draws=2)
                    alone.append(float(thin.atomic_ratio(first, second, cross_section_sd=0.0).mean) / truth)
            print(
                f"{name}, {electrons:.0e} electrons, {runs} runs: ratio over truth {np.mean(ratios):.3f}, scatter "
                f"{np.std(ratios, ddof=1):.3f}, 90 % intervals (statistical part) hold {np.mean(inside):.2f}; without "
                f"the low loss {np.mean(alone):.3f}; cross sections "
                f"{', '.join(f'{edge} {sd:.0%}' for edge, sd in fit.cross_section_sd.items())}"
            )


ROWS = {f.__name__: f for f in (k412, adm, k_factors, eels)}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or ROWS:
        ROWS[name]()
