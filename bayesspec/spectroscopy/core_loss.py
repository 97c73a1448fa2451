"""Core-loss edges by their cross sections: atoms per area behind a spectrum with plural scattering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from bayesspec.errors import InputError
from bayesspec.image.rebinning import channel_borders
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.log_background import LogBackgroundFit, fit_log_background
from bayesspec.spectroscopy.edge_design import edge_parts
from bayesspec.spectroscopy.hydrogenic import differential_cross_section

Floats = npt.NDArray[np.float64]
FINE_EV = 30.0
"""Range above an onset in which the fine structure is free. Chosen by ``python benchmarks/quantification.py eels``."""
FINE_STEP_EV, SHARP_STEP_EV, SHARP_EV, BEFORE_EV = 5.0, 2.0, 14.0, 4.0
"""Distances of the parts of the fine structure, the shorter one from 4 eV below the onset to 14 eV above."""
DENSE_EV, SPARSE = 150.0, 60
"""Range above an onset in which cross sections are computed every eV, and number of energies beyond."""
FINE_SD, BROAD_SD = {"K": 1.0, "L": 2.0}, 0.3
"""Standard deviation of the fine structure in units of the cross section at the edge: next to it, and from 14 eV on."""
FINE_SCALES = (0.1, 1.0)
"""Factors on these that are tried for every edge: a fine structure that is not there costs no precision."""
CURVATURE_SD = 0.3
"""Standard deviation of the change of the background's exponent over a factor e in energy."""
BELOW = 0.7
"""The background is fitted from this part of the lowest onset on."""
ROUNDS = 3
"""Fits after which the priors are in units of the edges that were found."""
SOLIDS_EV = {
    "C_K": 284.0, "N_K": 401.0, "O_K": 532.0, "F_K": 685.0, "K_L": 294.0, "Ca_L": 346.0, "Sc_L": 402.0, "Ti_L": 456.0,
    "V_L": 513.0, "Cr_L": 575.0, "Mn_L": 640.0, "Fe_L": 708.0, "Co_L": 779.0, "Ni_L": 855.0, "Cu_L": 931.0,
    "Zn_L": 1020.0,
}  # fmt: skip
"""Onsets in solids, from which the table of free atoms is off by up to 12 eV: Ahn and Krivanek, EELS Atlas (1983)."""
COARSE_SHIFTS_EV = (-6.0, -4.0, -2.0, 2.0, 4.0, 6.0)
"""Shifts of the onsets of K edges that are tried first, in eV relative to the first fit."""
FINE_SHIFTS_EV = (-1.0, -0.5, 0.5, 1.0)
"""Shifts of the same that are tried next, in eV relative to the best of these."""
L_SHIFTS_EV = (-2.5, 2.5)
"""What onsets of L edges are off by, whose fine structure hides them: it goes into the covariance."""


@dataclass(frozen=True, eq=False)
class CoreLossFit:
    """Atoms per area of every edge, and the fitted curve.

    Parameters
    ----------
    edges : tuple of str
        Names of the edges with a cross section.
    onsets : tuple of float
        Where the edges begin, in eV, as the fit finds it.
    density : array, shape (edge,), float64
        Atoms per nm^2 where the low loss has the dose of the core loss; else in a unit common to all edges.
    covariance : array, shape (edge, edge), float64
        Of the densities: counts, background, fine structure, onsets, and what the model does not describe.
    shot_noise : array, shape (edge, edge), float64
        The part of it that would be left with background and fine structure known.
    energy : array, shape (channel,), float64
        Channels that were fitted, in eV.
    counts, rate : array, shape (channel,), float64
        Counts and fitted curve.
    dispersion : float
        Squared deviations over those of Poisson counts, 1 or more; the covariance is that much larger.
    converged : bool
        Whether the fit settled.
    """

    edges: tuple[str, ...]
    onsets: tuple[float, ...]
    density: Floats
    covariance: Floats
    shot_noise: Floats
    energy: Floats
    counts: Floats
    rate: Floats
    dispersion: float
    converged: bool


def fit_core_loss(image: SpectrumImage, onsets: Mapping[str, float], low_loss: SpectrumImage | None) -> CoreLossFit:
    """Fit the edges' cross sections, folded with the low loss, on a power law.

    Parameters
    ----------
    image : SpectrumImage
        An EELS image of Poisson counts, summed over its pixels; beam energy and angles in its acquisition.
    onsets : mapping of str to float
        Onset in eV of every edge. M edges are fitted by free shapes, without a density.
    low_loss : SpectrumImage or None
        Spectrum with the zero loss at 0 eV; ``None`` for single scattering.

    Returns
    -------
    CoreLossFit
        Densities of the K and L edges.

    Raises
    ------
    InputError
        When beam energy or collection angle are not known, no edge has a cross section, or the low loss does not go
        with the image.

    Notes
    -----
    Plural scattering: Egerton (2011), doi:10.1007/978-1-4419-9583-4, section 4.3: the core loss is the one of single
    scattering folded with the low loss. Fine structure as free parts next to the onset: Verbeeck, Van Aert and Bertoni,
    Ultramicroscopy 106 (2006) 976, doi:10.1016/j.ultramic.2006.05.006.
    """
    quantified = [name for name in onsets if name.split("_")[1] in FINE_SD]
    if not quantified:
        raise InputError(f"edges {', '.join(onsets)}", "a K or L edge: cross sections are hydrogenic", "edges=['O_K']")
    _check(image)
    problem = _Problem.of(image, onsets, quantified, low_loss)
    places = {name: SOLIDS_EV.get(name, onsets[name]) for name in quantified}
    best = problem.fit(places, dict.fromkeys(quantified, FINE_SCALES[-1]))
    tried = [best]
    for shifts in (COARSE_SHIFTS_EV, FINE_SHIFTS_EV):
        for name in (one for one in quantified if one.endswith("_K")):
            moved = [{**best.onsets, name: best.onsets[name] + shift} for shift in shifts]
            tried += [problem.fit(place, best.scales, best.start) for place in moved]
            best = max(tried, key=lambda state: state.evidence)
    for name in quantified:
        others = [{**best.scales, name: scale} for scale in FINE_SCALES if scale != best.scales[name]]
        tried += [problem.fit(best.onsets, scales, best.start) for scales in others]
        best = max(tried, key=lambda state: state.evidence)
    density, covariance = _averaged(tried, len(quantified))
    for name in (one for one in quantified if one.endswith("_L")):
        ends = [problem.fit({**best.onsets, name: best.onsets[name] + s}, best.scales, best.start) for s in L_SHIFTS_EV]
        change = 0.5 * (ends[1].fit.intensities - ends[0].fit.intensities)[: len(quantified)]
        covariance = covariance + np.outer(change, change)
    weighted = best.sections / np.sqrt(best.fit.rate)[:, None]
    excess = _dispersion(problem.counts, best.fit)
    return CoreLossFit(
        tuple(quantified),
        tuple(best.onsets.values()),
        density,
        np.asarray(excess * covariance, np.float64),
        np.asarray(np.linalg.inv(weighted.T @ weighted), np.float64),
        problem.energy,
        problem.counts,
        best.fit.rate,
        excess,
        best.fit.converged,
    )


def _dispersion(counts: Floats, fit: LogBackgroundFit) -> float:
    """Squared deviations over those of Poisson counts, 1 or more: what the model does not describe widens all."""
    free = max(len(counts) - len(fit.covariance), len(counts) // 2)
    return max(float(((counts - fit.rate) ** 2 / np.maximum(fit.rate, 1.0)).sum()) / free, 1.0)


def _averaged(tried: list[_State], n: int) -> tuple[Floats, Floats]:
    """Mean and covariance of the densities over the onsets, each by its evidence."""
    evidence = np.array([state.evidence for state in tried])
    weights = np.exp(evidence - evidence.max())
    weights = weights / weights.sum()
    densities = np.stack([state.fit.intensities[:n] for state in tried])
    mean = weights @ densities
    first = len(tried[0].fit.background)
    own = slice(first, first + n)
    within = sum(w * state.fit.covariance[own, own] for w, state in zip(weights, tried, strict=True))
    between = np.einsum("s,si,sj->ij", weights, densities - mean, densities - mean)
    return mean, np.asarray(within + between, np.float64)


def _check(image: SpectrumImage) -> None:
    acquired = image.acquisition
    needed = {"beam energy": acquired.beam_energy_kev, "collection angle": acquired.collection_mrad}
    missing = [what for what, value in needed.items() if value is None]
    if missing:
        raise InputError(
            f"no {' and no '.join(missing)} of {image.name!r}",
            "both: cross sections depend on them",
            "replace(si, acquisition=replace(si.acquisition, beam_energy_kev=200.0, collection_mrad=20.0))",
        )


@dataclass(frozen=True, eq=False)
class _Folded:
    """Folding with the low loss: curves on `axis` become counts in the channels of the image."""

    axis: Floats
    kernel: Floats
    step: float

    @classmethod
    def of(cls, energy: Floats, low_loss: SpectrumImage | None) -> _Folded:
        step = float((energy[-1] - energy[0]) / max(len(energy) - 1, 1))
        if low_loss is None:
            return cls(np.asarray(energy, np.float64), np.ones(1), step)
        kernel, first = _kernel(low_loss, step)
        last = first + len(kernel) - 1
        return cls(energy[0] + step * (np.arange(len(energy) + len(kernel) - 1) - last), kernel, step)

    def __call__(self, curve: Floats) -> Floats:
        return np.asarray(self.step * fftconvolve(curve, self.kernel, mode="valid"), np.float64)


def _kernel(low_loss: SpectrumImage, step: float) -> tuple[Floats, int]:
    """Counts of the low loss in channels of another width, and the first of these, 0 at the zero loss."""
    if low_loss.energy_unit != "eV" or not low_loss.energy[0] <= 0 <= low_loss.energy[-1]:
        raise InputError(
            f"a low loss over {low_loss.energy[0]:.4g}..{low_loss.energy[-1]:.4g} {low_loss.energy_unit}",
            "one in eV that holds the zero loss, at 0 eV",
            "bs.align_zero_loss(low_loss, core_loss)",
        )
    borders = channel_borders(low_loss.energy)
    cumulative = np.concatenate([[0.0], np.cumsum(low_loss.sum_spectrum().astype(np.float64))])
    first, last = int(np.floor(borders[0] / step)), int(np.ceil(borders[-1] / step))
    target = step * (np.arange(first, last + 2) - 0.5)
    return np.diff(np.interp(target, borders, cumulative)), first


def _section(image: SpectrumImage, name: str, onset: float, energy: Floats) -> Floats:
    acquired = image.acquisition
    element, shell = name.split("_")
    near = np.arange(onset, onset + DENSE_EV, 1.0)
    grid = np.concatenate([near, np.geomspace(near[-1] + 1.0, max(float(energy[-1]), near[-1] + 2.0), SPARSE)])
    values = differential_cross_section(
        element,
        shell,
        grid,
        beam_energy_kev=float(acquired.beam_energy_kev or 0.0),
        collection_mrad=float(acquired.collection_mrad or 0.0),
        convergence_mrad=acquired.convergence_mrad or 0.0,
        onset_ev=onset,
    )
    return np.where(energy >= onset, np.interp(energy, grid, values), 0.0)


def _near_edge(onset: float, section: Floats, energy: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Peaks next to an onset, as high as the cross section there, shape (part, energy); which are the sharp ones."""
    step = float(energy[1] - energy[0])
    sharp, broad = max(SHARP_STEP_EV, 2.5 * step), max(FINE_STEP_EV, 2.5 * step)
    fine = np.arange(onset - BEFORE_EV, onset + SHARP_EV, sharp)
    coarse = np.arange(fine[-1] + 0.5 * (sharp + broad), onset + FINE_EV, broad)
    centres, widths = np.concatenate([fine, coarse]), np.repeat([sharp, broad], [len(fine), len(coarse)])
    height = float(section[(energy > onset) & (energy < onset + FINE_EV)].max(initial=0.0))
    peaks = height * np.exp(-0.5 * ((energy - centres[:, None]) / (0.6 * widths[:, None])) ** 2)
    return np.asarray(peaks, np.float64), np.arange(len(centres)) < len(fine)


@dataclass(frozen=True, eq=False)
class _State:
    """A fit at given onsets: cross sections as counts, where others may start, and the logarithm of its evidence."""

    onsets: dict[str, float]
    scales: dict[str, float]
    fit: LogBackgroundFit
    sections: Floats
    start: tuple[Floats, Floats]
    evidence: float


@dataclass(frozen=True, eq=False)
class _Problem:
    """What does not depend on the onsets."""

    image: SpectrumImage
    quantified: list[str]
    folded: _Folded
    kept: npt.NDArray[np.bool_]
    energy: Floats
    counts: Floats
    terms: Floats
    others: Floats

    @classmethod
    def of(
        cls, image: SpectrumImage, onsets: Mapping[str, float], quantified: list[str], low_loss: SpectrumImage | None
    ) -> _Problem:
        first = int(np.searchsorted(image.energy, BELOW * min(onsets.values())))
        kept = image.valid_channels[first:]
        folded = _Folded.of(image.energy[first:], low_loss)
        energy = image.energy[first:][kept]
        counts = image.sum_spectrum()[first:][kept].astype(np.float64)
        middle = float(np.sqrt(energy[0] * energy[-1]))
        terms = np.stack([np.log(energy / middle) ** power for power in range(3)], axis=1)
        parts = [part for name in onsets if name not in quantified for part in edge_parts(folded.axis, onsets[name]).T]
        others = np.stack([folded(part)[kept] for part in parts], axis=1) if parts else np.zeros((len(energy), 0))
        return cls(image, quantified, folded, kept, energy, counts, terms, others)

    def fit(
        self, onsets: Mapping[str, float], scales: Mapping[str, float], start: tuple[Floats, Floats] | None = None
    ) -> _State:
        """Fit, with priors of the fine structure in units of the edges as the last fit found them."""
        n = len(self.quantified)
        shapes = [_section(self.image, name, onsets[name], self.folded.axis) for name in self.quantified]
        sections = np.stack([self.folded(shape)[self.kept] for shape in shapes], axis=1)
        near = [
            _near_edge(onsets[name], shape, self.folded.axis)
            for name, shape in zip(self.quantified, shapes, strict=True)
        ]
        fine = np.stack([self.folded(part)[self.kept] for group, _ in near for part in group], axis=1)
        owners = np.repeat(np.arange(n), [len(group) for group, _ in near])
        relative = np.concatenate(
            [
                scales[name] * np.where(sharp, FINE_SD[name.split("_")[1]], BROAD_SD)
                for name, (_, sharp) in zip(self.quantified, near, strict=True)
            ]
        )
        columns = np.column_stack([sections, fine, self.others])
        at, height = start or (None, self.counts.max() / np.maximum(sections.max(axis=0), 1e-300))
        for _ in range(ROUNDS if start is None else 1):
            free = np.full(self.others.shape[1], self.counts.sum())
            sd = np.concatenate([relative * height[owners], free])
            precision = np.concatenate([[0.0, 0.0, CURVATURE_SD**-2], np.zeros(n), sd**-2.0])
            fit = fit_log_background(self.terms, columns, self.counts, precision, at)
            spread = np.sqrt(np.diag(fit.covariance)[3 : 3 + n])
            at = found = np.concatenate([fit.background, fit.intensities])
            used = height
            height = np.maximum(np.abs(fit.intensities[:n]), spread)
        informed = precision > 0
        volume = np.linalg.slogdet(fit.covariance)[1] + float(np.log(precision[informed]).sum())
        evidence = -0.5 * (fit.deviance + float((precision * found**2).sum())) + 0.5 * volume
        return _State(dict(onsets), dict(scales), fit, sections, (found, used), float(evidence))
