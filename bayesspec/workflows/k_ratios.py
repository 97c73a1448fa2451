"""k-ratios of a spectrum against standards: the standards' own peaks are fitted to it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError, warn
from bayesspec.files.public_arguments import as_image, checked_arguments, text
from bayesspec.image.acquisition import Acquisition
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.after_sampling import Step, with_steps
from bayesspec.inference.linear_poisson.one_spectrum import PoissonLineFit, draw_intensities, fit_intensities
from bayesspec.inference.linear_poisson.variance_parts import PARTS, variance_parts
from bayesspec.inference.random_keys import seed_for
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame
from bayesspec.results.k_ratios import KRatios
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV, fwhm_kev
from bayesspec.spectroscopy.formula import Percent, mass_fractions
from bayesspec.spectroscopy.line_design import LineDesign, line_design
from bayesspec.spectroscopy.recorded import left_out, recorded_elements
from bayesspec.spectroscopy.reference_peaks import ReferencePeak, reference_peaks
from bayesspec.spectroscopy.xray_lines import xray_line
from bayesspec.workflows.calibrate_energy import calibrate_energy

Floats = npt.NDArray[np.float64]
SHAPE_SD, SOFT_SHAPE_SD, SOFT_KEV = 0.01, 0.02, 1.0
"""Relative standard deviation of the expected counts, the same over a width of the detector, from peak shapes and
backgrounds that differ between spectra: above 1 keV and below. Chosen by ``python benchmarks/quantification.py adm``:
fits by top-hat filters differ by this much."""
BONDING_SD, BONDING_KEV = 0.03, 2.0
"""The same from bonding and self-absorption, which change the relative intensities within L and M lines below 2 keV."""
CURRENT_SD, UNKNOWN_CURRENT_SD = 0.005, 0.02
"""Relative standard deviation of a beam current that a file states, and of one that is taken to be the same."""
DEAD_SHARE, DEAD_SHARE_SD = 0.15, 0.10
"""Dead time that is assumed where a file has none: share of the real time."""
SHIFT_SD_KEV = 0.003
"""Standard deviation of a peak's place between spectra of one detector, in keV."""
ALIGNMENTS = 3
"""Fits between which the peaks are moved."""
BEAM_TOLERANCE = 0.01
"""Relative difference of beam energies that are taken for the same."""
LEAST_COUNTS = 10.0
"""Counts below which a line is not seen in its standard."""
SOURCES = ("spectrum", "standards", "dose", "peak shapes")


@dataclass(frozen=True, eq=False)
class Standard:
    """A spectrum of a material of known composition.

    Parameters
    ----------
    image : SpectrumImage
        Its spectrum: a 1 x 1 image, or one that is summed. Beam energy, live time and current lie in its acquisition.
    composition : str or mapping of str to float or (float, float)
        Formula, or mass per cent by element, with standard deviation or without.
    """

    image: SpectrumImage
    composition: str | Mapping[str, Percent]


def _standards(value: Any) -> dict[str, Standard]:
    """Return the standards by name, or refuse what are none."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(name, str) for name in value):
        raise InputError(
            f"standards={value!r}", "a spectrum of each standard by its formula or name", "{'SiO2': quartz, 'Fe': iron}"
        )
    named = {name: one if isinstance(one, Standard) else Standard(one, name) for name, one in value.items()}
    return {name: replace(one, image=as_image(one.image)) for name, one in named.items()}


def _standard_by_line(value: Any) -> Any:
    texts = isinstance(value, Mapping) and all(isinstance(part, str) for pair in value.items() for part in pair)
    if value is not None and not texts:
        raise InputError(f"standard_of={value!r}", "the name of a standard by line", "standard_of={'O_Ka': 'SiO2'}")
    return value


@checked_arguments(standard_of=_standard_by_line, coating=text("coating", "coating='C'"))
def k_ratios(
    image: SpectrumImage,
    standards: Mapping[str, SpectrumImage | Standard],
    elements: Sequence[str] | None = None,
    lines: Sequence[str] = (),
    *,
    standard_of: Mapping[str, str] | None = None,
    coating: str | None = "C",
    seed: int = 0,
    draws: int = 1000,
) -> KRatios:
    """Measure lines of a spectrum in units of standards.

    The peaks are those of the standards' own spectra, as the detector recorded them, on the continuum of the spectrum;
    counts are Poisson. A line's peak shape is thus known better than any model of the detector, and what a standard and
    the sample have in common leaves the ratio.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image of a thick sample; a spectrum is a 1 x 1 image.
    standards : mapping of str to SpectrumImage or Standard
        By formula, ``{"SiO2": spectrum}``, or by name: ``{"glass": bs.Standard(spectrum, {"Si": 21.2, "O": 42.8})}``.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image. An element without a standard is fitted, and named.
    lines : sequence of str
        Lines with a k-ratio of their own, apart from the rest of their shell, such as ``"Zn_Kb"``.
    standard_of : mapping of str to str or None
        Standard of a line where several hold its element; by default the one with most of the element.
    coating : str or None
        Element of a coating, fitted in all spectra.
    seed : int
        Seed of the draws.
    draws : int
        Number of posterior draws.

    Returns
    -------
    KRatios
        Joint draws, with what the uncertainty comes from. ``verdict`` says what was assumed.

    Raises
    ------
    InputError
        When beam energies are missing or differ, a standard has no time, no element is named or none has a standard.

    Warns
    -----
    UserWarning
        When an element has no line that is recorded, a time or a current is assumed.

    Notes
    -----
    Source: McCarthy and Schamber, NBS Spec. Publ. 604 (1981) 273, for the fit of recorded peaks; here the continuum is
    fitted along and no filter is needed.

    Examples
    --------
    >>> k = bs.k_ratios(glass, {"SiO2": quartz, "Fe": iron}, ["O", "Si", "Fe"])  # doctest: +SKIP
    >>> print(k.ratio("Fe_Ka"))  # doctest: +SKIP
    0.0663(8)
    """
    named = _standards(standards)
    wanted = list(elements) if elements is not None else list(image.elements)
    _check(image, named, wanted, draws)
    notes: list[str] = []
    wanted = [element for element in wanted if _recorded(image, element, notes)]
    every = [*wanted, *([coating] if coating and coating not in wanted and _recorded(image, coating, []) else [])]
    design = _design(image, every, lines)
    chosen = _standard_of(design, named, wanted, standard_of or {}, notes)
    peaks = _peaks(named, chosen, lines, coating, notes)
    chosen = {line: chosen[line] for line in peaks}
    doses, sds, absolute = _doses(image, {name: named[name].image for name in dict.fromkeys(chosen.values())}, notes)
    rng = np.random.default_rng(seed_for(seed, image.checksum))
    scale = {line: doses[""] / doses[name] for line, name in chosen.items()}
    matrix, columns, names, fit = _fitted(image, design, peaks, scale)
    spectrum = draw_intensities(fit, rng, draws)[:, : len(columns)]
    parts = variance_parts(matrix, fit.intensities, len(columns))
    k = spectrum.mean(axis=0)
    shape = _shape_errors(matrix, fit, design.energy, image, rng, draws)[:, : len(columns)]
    deviations = _deviations(columns, chosen, peaks, sds, (spectrum - k) / np.maximum(k, 1e-300), rng)
    deviations[3] = shape / np.maximum(k, 1e-300) + [_bonding_sd(line) for line in columns] * rng.standard_normal(
        (draws, len(columns))
    )
    deviations = np.maximum(deviations, -1.0)
    counts = image.sum_spectrum()[design.channels]
    misfit = float(np.mean((counts - fit.rate) ** 2 / np.maximum(fit.rate, 1.0)))
    compositions = {name: mass_fractions(named[name].composition) for name in dict.fromkeys(chosen.values())}
    standards_used = {
        name: {"fractions": f, "sd": s, "elevation_deg": named[name].image.acquisition.elevation_deg}
        for name, (f, s) in compositions.items()
    }
    acquisition = asdict(image.acquisition)
    return KRatios.from_values(
        {
            "k_draws": k * (1 + deviations).prod(axis=0),
            "deviation_draws": deviations,
            "parts": parts,
            "counts": counts,
            "rate": fit.rate,
        },
        Frame(
            {
                "line": columns,
                "other_line": columns,
                "source": list(SOURCES),
                "part": list(PARTS),
                "standard": ("line", [chosen[line] for line in columns]),
                "energy": ("energy", design.energy, {"units": image.energy_unit}),
            },
            checksum=image.checksum,
        ),
        name=image.name,
        method="k-ratios",
        verdict="; ".join([f"{len(columns)} k-ratios", *notes]),
        status=Status.CONVERGED if fit.converged else Status.NOT_SETTLED,
        settings=with_steps(
            {
                "seed": seed,
                "draws": draws,
                "model": "linear_poisson",
                "acquisition": acquisition,
                "columns": names,
            },
            Step.POSITIVE,
        ),
        attrs={
            "misfit": misfit,
            "absolute": int(absolute),
            "acquisition": json.dumps(acquisition),
            "standards": json.dumps(standards_used),
        },
    )


def _check(image: SpectrumImage, named: Mapping[str, Standard], elements: Sequence[str], draws: int) -> None:
    if draws < 2:
        raise InputError(f"draws={draws}", "two or more", "bs.k_ratios(si, standards, draws=1000)")
    if not elements:
        raise InputError("no elements", "the elements of the sample", "bs.k_ratios(si, standards, ['O', 'Si'])")
    if not named:
        raise InputError("no standards", "one or more", "{'SiO2': bs.load('quartz.msa')}")
    beams = {"the sample": image.acquisition.beam_energy_kev}
    beams |= {f"the standard {name}": one.image.acquisition.beam_energy_kev for name, one in named.items()}
    missing = [name for name, beam in beams.items() if beam is None]
    if missing:
        raise InputError(
            f"no beam energy of {', '.join(missing)}",
            "the beam energy of every spectrum: ionisation and absorption depend on it",
            "replace(si, acquisition=replace(si.acquisition, beam_energy_kev=20.0)), with dataclasses.replace",
        )
    own = float(beams["the sample"] or 0.0)
    for name, beam in beams.items():
        if abs(float(beam or 0.0) - own) > BEAM_TOLERANCE * own:
            raise InputError(
                f"{own:g} keV for the sample and {beam:g} keV for {name}",
                "standards recorded at the beam energy of the sample",
                "standards of the same beam energy; bs.k_factors(lines, beam_energy_kev=...) needs none",
            )


def _recorded(image: SpectrumImage, element: str, notes: list[str]) -> bool:
    """Whether an element has a line on the axis; what has none is named, and the others go on."""
    if recorded_elements(image, [element])[0]:
        return True
    notes.append(left_out(image, [element]))
    warn(notes[-1])
    return False


def _design(image: SpectrumImage, elements: Sequence[str], lines: Sequence[str]) -> LineDesign:
    """Columns at the calibration that the spectrum itself gives, or at that of the file where it is too weak.

    The energies stay those of the file: between spectra of one detector these agree better than calibrations on
    different lines do.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            design = calibrate_energy(image, elements, lines).design
        except InputError:
            design = line_design(image, elements, lines)
    return replace(design, energy=image.energy[design.channels])


def _standard_of(
    design: LineDesign,
    named: Mapping[str, Standard],
    wanted: Sequence[str],
    asked: Mapping[str, str],
    notes: list[str],
) -> dict[str, str]:
    """The standard of every line: the one that is asked for, or that which holds most of the element."""
    unknown = [f"{line}: {name}" for line, name in asked.items() if name not in named or line not in design.lines]
    if unknown:
        raise InputError(
            f"standard_of={{{', '.join(unknown)}}}",
            f"lines among {', '.join(design.lines)} and standards among {', '.join(named)}",
            f"standard_of={{{design.lines[0]!r}: {next(iter(named))!r}}}",
        )
    fractions = {name: mass_fractions(one.composition)[0] for name, one in named.items()}
    chosen: dict[str, str] = {}
    without = []
    for family in design.families:
        if family.element not in wanted:
            continue
        holders = {name: part[family.element] for name, part in fractions.items() if part.get(family.element, 0) > 0}
        if family.name in asked:
            chosen[family.name] = asked[family.name]
        elif holders:
            chosen[family.name] = max(holders, key=lambda name: holders[name])
        else:
            without.append(family.element)
    if without:
        notes.append(f"no standard of {', '.join(dict.fromkeys(without))}: fitted, without a k-ratio")
    if not chosen:
        raise InputError(
            f"standards {', '.join(named)} and elements {', '.join(wanted)}",
            "a standard that holds one of the elements",
            "bs.k_ratios(si, {'SiO2': quartz}, ['O', 'Si'])",
        )
    return chosen


def _peaks(
    named: Mapping[str, Standard],
    chosen: Mapping[str, str],
    lines: Sequence[str],
    coating: str | None,
    notes: list[str],
) -> dict[str, ReferencePeak]:
    """Peaks of the lines in their standards; a line that a standard does not show is named and left out."""
    found: dict[str, ReferencePeak] = {}
    for name in dict.fromkeys(chosen.values()):
        standard = named[name]
        elements = tuple(mass_fractions(standard.composition)[0])
        own = tuple(line for line in lines if xray_line(line).element in elements)
        every = elements if coating is None or coating in elements else (*elements, coating)
        peaks = _peaks_of(standard.image, every, own)
        found |= {peak.line: peak for peak in peaks if chosen.get(peak.line) == name and peak.counts > LEAST_COUNTS}
    lost = [line for line in chosen if line not in found]
    if lost:
        notes.append(f"{', '.join(lost)} not found in the standard: left out")
        warn(notes[-1])
    if not found:
        raise InputError(
            f"{', '.join(chosen)} in none of the standards", "standards that show the lines", "other standards"
        )
    return {line: found[line] for line in chosen if line in found}


@lru_cache(maxsize=32)
def _peaks_of(image: SpectrumImage, elements: tuple[str, ...], lines: tuple[str, ...]) -> list[ReferencePeak]:
    """Peaks of all lines of a standard: the same for every spectrum that is compared with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        design = _design(image, [e for e in elements if _recorded(image, e, [])], lines)
    return reference_peaks(design, image.sum_spectrum()[design.channels], design.lines)


def _doses(
    image: SpectrumImage, standards: Mapping[str, SpectrumImage], notes: list[str]
) -> tuple[dict[str, float], dict[str, float], bool]:
    """Dose of the sample (key "") and of the standards in s or nA s, relative deviations, and whether all are known."""
    spectra = {"": image, **standards}
    acquired = {name: one.acquisition for name, one in spectra.items()}
    times = {name: _live_time(name, one, notes) for name, one in acquired.items()}
    currents = {name: one.beam_current_na for name, one in acquired.items()}
    same = any(current is None for current in currents.values())
    if same:
        notes.append(f"not every file has a beam current: taken as the same, within {UNKNOWN_CURRENT_SD:.0%}")
    doses = {name: time * (1.0 if same else float(currents[name] or 1.0)) for name, (time, _) in times.items()}
    spread = UNKNOWN_CURRENT_SD if same else CURRENT_SD
    return doses, {name: float(np.hypot(sd, spread)) for name, (_, sd) in times.items()}, np.isfinite(times[""][1])


def _live_time(name: str, acquired: Acquisition, notes: list[str]) -> tuple[float, float]:
    """Live time in s and its relative deviation; infinite where only ratios of k-ratios can be known."""
    what = f"the standard {name}" if name else "the sample"
    if acquired.live_time_s is not None:
        return acquired.live_time_s, 0.0
    if acquired.real_time_s is not None:
        notes.append(
            f"no live time of {what}: {DEAD_SHARE:.0%} of the real time taken for dead, within {DEAD_SHARE_SD:.0%}"
        )
        warn(notes[-1])
        return acquired.real_time_s * (1 - DEAD_SHARE), DEAD_SHARE_SD / (1 - DEAD_SHARE)
    if name:
        raise InputError(
            f"neither live time nor real time of {what}",
            "the live time of every standard",
            "replace(si, acquisition=replace(si.acquisition, live_time_s=100.0)), with dataclasses.replace",
        )
    notes.append("no time of the sample: only ratios of its k-ratios are known, compositions are brought to 100 %")
    warn(notes[-1])
    return 1.0, np.inf


def _fitted(
    image: SpectrumImage, design: LineDesign, peaks: Mapping[str, ReferencePeak], scale: Mapping[str, float]
) -> tuple[Floats, list[str], list[str], PoissonLineFit]:
    """Fit the peaks, moved to where the sample's lie: matrix, lines with a k-ratio, all columns, and the fit."""
    lines = [line for line in design.lines if line in peaks]
    others = [k for k, line in enumerate(design.lines) if line not in peaks]
    rest = [k for k, name in enumerate(design.backgrounds) if name.removeprefix("tail of ") not in peaks]
    kept = [*others, *(design.n_lines + k for k in rest)]
    names = [*lines, *(design.lines[k] for k in others), *(design.backgrounds[k] for k in rest)]
    counts = image.sum_spectrum()[design.channels].astype(np.float64)
    shifts = dict.fromkeys(lines, 0.0)
    for _ in range(ALIGNMENTS):
        columns = np.stack([scale[line] * peaks[line].on(design.energy, shifts[line]) for line in lines], axis=1)
        matrix = np.column_stack([columns, design.matrix[:, kept]])
        fit = fit_intensities(matrix, counts)
        shifts = {
            line: _moved(peaks[line], design.energy, shifts[line], scale[line] * fit.intensities[i], counts, fit.rate)
            for i, line in enumerate(lines)
        }
    return matrix, lines, names, fit


def _moved(peak: ReferencePeak, energy: Floats, shift: float, factor: float, counts: Floats, rate: Floats) -> float:
    """A scoring step of a peak's place, in keV, with a prior of 3 eV about the calibration."""
    step = 0.5 * float(np.median(np.diff(energy)))
    slope = factor * (peak.on(energy, shift + step) - peak.on(energy, shift - step)) / (2 * step)
    gradient = float((slope * (counts / rate - 1)).sum()) - shift / SHIFT_SD_KEV**2
    return shift + gradient / (float((slope**2 / rate).sum()) + SHIFT_SD_KEV**-2)


def _deviations(
    lines: Sequence[str],
    chosen: Mapping[str, str],
    peaks: Mapping[str, ReferencePeak],
    sds: Mapping[str, float],
    spectrum: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Relative deviations of the k-ratios, shape (source, draw, line)."""
    n = len(spectrum)
    found = np.zeros((len(SOURCES), n, len(lines)))
    own = (sds[""] if np.isfinite(sds[""]) else 0.0) * rng.standard_normal(n)
    theirs = {name: sds[name] * rng.standard_normal(n) for name in dict.fromkeys(chosen.values())}
    found[0] = spectrum
    for k, line in enumerate(lines):
        found[1, :, k] = peaks[line].sd * rng.standard_normal(n)
        found[2, :, k] = theirs[chosen[line]] - own
    return found


def _shape_errors(
    matrix: Floats, fit: PoissonLineFit, energy: Floats, image: SpectrumImage, rng: np.random.Generator, n: int
) -> Floats:
    """What errors of the rate, alike over a width of the detector, do to the columns, shape (draw, column)."""
    knots, widths = _knots(energy, image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV)
    bumps = np.exp(-0.5 * ((energy[:, None] - knots) / (0.5 * widths)) ** 2)
    bumps = bumps / np.maximum(np.sqrt((bumps**2).sum(axis=1, keepdims=True)), 1e-300)
    relative = np.where(energy < SOFT_KEV, SOFT_SHAPE_SD, SHAPE_SD)[:, None] * bumps
    used = fit.intensities > 0
    scale = np.maximum(matrix[:, used].sum(axis=0), 1e-300)
    scaled = matrix[:, used] / scale
    information = scaled.T @ (scaled / fit.rate[:, None])
    size = np.sqrt(np.diag(information))
    inverse = np.linalg.inv(information / size / size[:, None] + 1e-10 * np.eye(len(size))) / size / size[:, None]
    response = np.zeros((matrix.shape[1], len(knots)))
    response[used] = (inverse @ (scaled.T @ relative)) / scale[:, None]
    return rng.standard_normal((n, len(knots))) @ response.T


def _bonding_sd(line: str) -> float:
    return BONDING_SD if line.split("_")[1][0] != "K" and xray_line(line).energy_kev < BONDING_KEV else 0.0


def _knots(energy: Floats, resolution_mn_ka_ev: float) -> tuple[Floats, Floats]:
    """Energies half a width of the detector apart, and the widths there, in keV."""
    knots = [float(energy[0])]
    while knots[-1] < energy[-1]:
        knots.append(knots[-1] + 0.5 * float(fwhm_kev(knots[-1], resolution_mn_ka_ev)))
    return np.array(knots), fwhm_kev(np.array(knots), resolution_mn_ka_ev)
