"""Lines that nobody named: each joins the model as an element of its own, or as a bare peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array

from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.one_spectrum import PoissonLineFit, fit_intensities
from bayesspec.inference.linear_poisson.score_test import ScoreGains, score_gains
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV, fwhm_kev, gaussian_columns
from bayesspec.spectroscopy.line_catalogue import (
    LineCatalogue,
    emission_ratio,
    line_catalogue,
    near,
    strongest_kev,
)
from bayesspec.spectroscopy.line_design import SILICON_KA_KEV, LineDesign, with_families
from bayesspec.spectroscopy.line_families import LineFamily
from bayesspec.spectroscopy.shape_errors import REFINED, design_errors

Floats = npt.NDArray[np.float64]
SIGNIFICANT_NATS = 12.5
"""Log likelihood that a line must gain: five standard deviations. Lines that are not there and lines that are,
``python benchmarks/decisions.py unnamed``."""
SHAPE_ERROR = 0.01
"""A peak below this share of the largest one within five widths is put down to that one's shape (``python
benchmarks/decisions.py unnamed``)."""
REACH_FWHM = 5.0
"""Distance, in full widths of a line, over which that largest one is sought."""
UNNAMED_PEAK_NATS = 6.0
"""What a peak of any energy has to gain over a line of an element, whose energy is known (``python
benchmarks/decisions.py unnamed``)."""
UNNAMED_MOST_SOFT = 3.0
"""Softer lines of an element that shows a harder one: at most so many times what a thin film would emit (``python
benchmarks/decisions.py unnamed``)."""
UNNAMED_ALTERNATIVE_NATS = 5.0
"""Elements whose line gains that much less than the best one's are alternatives (``python benchmarks/decisions.py
unnamed``)."""
OWN_FWHM = 1.2
"""Distance, in full widths, within which a peak is a shoulder of a line of the model."""
SOFT_KEV = 0.7
"""Energy, in keV, below which a line must stand out from the continuum and no bare peak is sought."""
SOFT_SHARE = 0.3
"""Below 0.7 keV edges of the continuum look like lines: one must stand out by this share of what is under it."""
LARGEST_ARTEFACT = 0.03
"""Share of a line's counts that its escape peak, or a sum with it, may hold."""
LIKELY_PAIR = 0.03
"""Pairs of lines are told as sums where the product of their counts is above this share of the largest product."""
ARTEFACT_FWHM = 0.4
"""Distance, in full widths, within which a peak is put down to an escape or to two photons counted as one."""
BOUND_BELOW = 0.5
"""A softer family below this share of the energy of the line that was found is bound to that line's counts."""
UNNAMED_PREFERRED_SHARE = 0.7
"""An element that gains this share of what a bare peak at any energy gains is preferred, as axes are off by a few eV
(``python benchmarks/decisions.py unnamed``)."""
MOST_LINES = 12
"""Lines that are found at most: an end to the search."""
LEAST_WEIGHT = 0.02
"""Weight in its family from which on a transition of the model hides peaks beside it."""


@dataclass(frozen=True)
class UnnamedLine:
    """A line that no named element explains.

    Parameters
    ----------
    energy_kev : float
        Where it is, in keV.
    columns : tuple of str
        Columns of the design that stand for it: families of the likeliest element, or a peak at its energy.
    counts : float
        Counts in it when it was found.
    candidates : tuple of str
        Lines of elements that explain it, the likeliest first; or the sum or escape peak that does. Empty where no
        common element has a line there.
    """

    energy_kev: float
    columns: tuple[str, ...]
    counts: float
    candidates: tuple[str, ...]

    def __str__(self) -> str:
        return f"at {self.energy_kev:.3f} keV ({' or '.join(self.candidates) or 'no known line'})"


def with_unnamed_lines(
    image: SpectrumImage, design: LineDesign, counts: npt.NDArray[Any], errors: tuple[float, float] = REFINED
) -> tuple[LineDesign, list[UnnamedLine]]:
    """Add the significant lines of a spectrum that the design does not hold, the clearest one first.

    Parameters
    ----------
    image : SpectrumImage
        Energy axis, detector, beam.
    design : LineDesign
        Columns of the named elements.
    counts : array, shape (channel,)
        Counts over the channels of the design.
    errors : (float, float)
        Standard deviations of the energies of the lines in eV, and of their widths relative to them.

    Returns
    -------
    design : LineDesign
        With the families of the lines that were found among its last lines; the same one where there are none.
    found : list of UnnamedLine
        What was added.
    """
    search = _Search(image, design, np.asarray(counts, np.float64), errors)
    found: list[UnnamedLine] = []
    while len(found) < MOST_LINES and (line := search.next_line()) is not None:
        found.append(line)
    return search.design, found


class _Search:
    """The design so far, and the peaks that it may lack."""

    def __init__(self, image: SpectrumImage, design: LineDesign, counts: Floats, errors: tuple[float, float]) -> None:
        self.image, self.design, self.counts, self.errors = image, design, counts, errors
        self.resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        named = {family.element for family in design.families}
        self.catalogue: LineCatalogue = line_catalogue(image, design.channels, named)
        energy = design.energy
        steps = [float(energy[0])]
        while steps[-1] < energy[-1]:
            steps.append(steps[-1] + float(fwhm_kev(steps[-1], self.resolution)) / 2)
        self.bare_kev = np.array([e for e in steps if e > SOFT_KEV])
        bare = gaussian_columns([([e], [1.0]) for e in self.bare_kev], image.energy, self.resolution)[design.channels]
        self.every = csc_array(np.column_stack([self.catalogue.shapes, bare]))
        self.start: Floats | None = None

    def next_line(self) -> UnnamedLine | None:
        """Add the line that gains most, if it is significant."""
        fit = fit_intensities(self.design.matrix, self.counts, self.start)
        gains = self._gains(fit)
        n = len(self.catalogue.families)
        gain = np.where(self._possible(fit, gains), gains.gain, 0.0)
        lines = ScoreGains(gain[:n], gains.intensity[:n], gains.sd[:n])
        if gain.max(initial=0.0) < SIGNIFICANT_NATS:
            return None
        possible = self.catalogue.mostly & ~self.catalogue.contradicted(lines)
        score = np.concatenate([np.where(possible, lines.gain, 0.0), gain[n:] - UNNAMED_PEAK_NATS])
        best = int(score.argmax())
        if best >= n and score[int(score[:n].argmax())] > UNNAMED_PREFERRED_SHARE * score[best]:
            best = int(score[:n].argmax())
        if score[best] + UNNAMED_PEAK_NATS * (best >= n) < SIGNIFICANT_NATS:
            return None
        return self._add(best, score[:n], float(gains.intensity[best]), fit)

    def _gains(self, fit: PoissonLineFit) -> ScoreGains:
        return self._scored(fit, self.every)

    def _refined(self, energy: float, fit: PoissonLineFit) -> float:
        """Where near an energy a peak gains most."""
        trials = energy + np.linspace(-0.5, 0.5, 21) * float(fwhm_kev(energy, self.resolution))
        shapes = gaussian_columns([([e], [1.0]) for e in trials], self.image.energy, self.resolution)
        return float(trials[self._scored(fit, shapes[self.design.channels]).gain.argmax()])

    def _scored(self, fit: PoissonLineFit, candidates: Floats | csc_array) -> ScoreGains:
        errors = design_errors(self.design, fit.intensities, self.image.energy, self.resolution, self.errors)
        active = self.design.matrix[:, fit.intensities > 0]
        return score_gains(active, candidates, self.counts, fit.rate, errors)

    def _possible(self, fit: PoissonLineFit, gains: ScoreGains) -> npt.NDArray[np.bool_]:
        """Candidates that are no shoulder of a line of the design, and stand out from what is under them."""
        energies = np.concatenate([self.catalogue.energies, self.bare_kev])
        widths = fwhm_kev(energies, self.resolution)
        possible = np.ones(len(energies), bool)
        for family in self.design.families:
            for energy, weight in zip(family.energies_kev, family.weights, strict=True):
                if weight > LEAST_WEIGHT:
                    possible &= ~near(energies, energy, OWN_FWHM, self.resolution)
        step = float(np.median(np.diff(self.design.energy)))
        around = np.array([self._highest(fit.rate, e, w) for e, w in zip(energies, widths, strict=True)])
        possible &= gains.intensity > SHAPE_ERROR * around * widths / step
        under = np.interp(energies, self.design.energy, fit.rate) * widths / step
        return possible & ((energies > SOFT_KEV) | (gains.intensity > SOFT_SHARE * under))

    def _highest(self, rate: Floats, energy: float, width: float) -> float:
        low, high = np.searchsorted(self.design.energy, [energy - REACH_FWHM * width, energy + REACH_FWHM * width])
        return float(rate[low:high].max(initial=0.0))

    def _add(self, best: int, scores: Floats, counts: float, fit: PoissonLineFit) -> UnnamedLine:
        n = len(self.catalogue.families)
        energy = float(self.catalogue.energies[best] if best < n else self._refined(self.bare_kev[best - n], fit))
        artefact = _artefact(energy, counts, fit, self.design, self.resolution)
        bare = best >= n or bool(artefact)
        peak = LineFamily(f"peak at {energy:.3f} keV", "", (energy,), (1.0,))
        families = [peak] if bare else self._of_element(best)
        level = max(float(scores.max(initial=0.0)), SIGNIFICANT_NATS) if bare else float(scores[best])
        others = near(self.catalogue.energies, energy, 0.5, self.resolution) & (
            scores > level - UNNAMED_ALTERNATIVE_NATS
        )
        order = [int(i) for i in np.argsort(-scores) if others[i]]
        candidates = artefact or tuple(self.catalogue.families[i].name for i in order[:4])
        before = self.design
        self.design = with_families(before, families, self.image, self.resolution)
        self.start = self._carried(fit, before, families, counts)
        return UnnamedLine(energy, tuple(family.name for family in families), counts, candidates)

    def _of_element(self, best: int) -> list[LineFamily]:
        """The line that was found, harder ones, and softer ones as far as it lets them be: in sums with it."""
        main = self.catalogue.families[best]
        found = []
        for i in self.catalogue.places(main.element):
            family = self.catalogue.families[i]
            most = UNNAMED_MOST_SOFT / max(emission_ratio(main.name, family.name, self.catalogue.beam_energy_kev), 1e-3)
            if i > best and strongest_kev(family) < BOUND_BELOW * strongest_kev(main):
                weights = np.concatenate([main.weights, most * np.array(family.weights)])
                energies = main.energies_kev + family.energies_kev
                family = LineFamily(f"{main.name} with {family.name}", main.element, energies, tuple(weights.tolist()))
            found.append(family)
        return sorted(found, key=lambda family: family is not main)

    def _carried(self, fit: PoissonLineFit, before: LineDesign, added: Sequence[LineFamily], counts: float) -> Floats:
        """Intensities to start the next fit from."""
        known = dict(zip((*before.lines, *before.backgrounds), fit.intensities.tolist(), strict=True))
        known |= {family.name: max(counts, 1.0) for family in added}
        return np.array([known.get(name, 1.0) for name in (*self.design.lines, *self.design.backgrounds)])


def _artefact(
    energy: float, counts: float, fit: PoissonLineFit, design: LineDesign, resolution: float
) -> tuple[str, ...]:
    """Two photons counted as one, and photons that left silicon's behind, of lines strong enough for that."""
    lines = [
        (strongest_kev(family), float(number), family.name)
        for family, number in zip(design.families, fit.intensities[: design.n_lines], strict=True)
        if counts < LARGEST_ARTEFACT * number
    ]
    pairs = [(a * b, abs(e + f - energy), f"{i} + {j} counted as one") for e, a, i in lines for f, b, j in lines]
    likely = [(distance, name) for both, distance, name in pairs if both > LIKELY_PAIR * max(pairs)[0]]
    escapes = [(abs(e - SILICON_KA_KEV - energy), f"escape peak of {name}") for e, _, name in lines if e > 2.0]
    width = ARTEFACT_FWHM * float(fwhm_kev(energy, resolution))
    return tuple(name for distance, name in sorted(likely + escapes) if distance < width)[:1]
