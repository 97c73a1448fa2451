"""Which elements a spectrum holds: sets of them compared, lines that overlap shared between those that explain them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.ndimage import maximum_filter1d
from scipy.optimize import nnls
from scipy.sparse import csc_array

from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.one_spectrum import PoissonLineFit, fit_intensities
from bayesspec.inference.linear_poisson.score_test import score_gains
from bayesspec.inference.linear_poisson.uncertain_shapes import LEAST_RATE, whitening
from bayesspec.spectroscopy.bremsstrahlung import background_basis
from bayesspec.spectroscopy.detector import ASSUMED_RESOLUTION_EV, fwhm_kev, gaussian_columns
from bayesspec.spectroscopy.line_catalogue import LineCatalogue, emission_ratio, line_catalogue, near, strongest_kev
from bayesspec.spectroscopy.line_design import LOWEST_KEV, LineDesign, pile_up, tail_shape, with_escape, with_families
from bayesspec.spectroscopy.line_families import LineFamily
from bayesspec.spectroscopy.shape_errors import LEAST_FACTOR, TOLD_APART, design_errors

Floats = npt.NDArray[np.float64]
ELEMENT_NATS = 6.0
"""Log likelihood that an element must gain: prior odds of 1 in 12 and the width of what its counts might have been
(python benchmarks/spectra.py elements)."""
MOST_SOFT = 10.0
"""Softer lines of an element: at most so many times what a thin film emits beside the harder one that is seen
(``python benchmarks/spectra.py elements``)."""
BARE_NATS = 12.0
"""What a peak of any energy has to gain over the lines of the elements to be one that no element explains (``python
benchmarks/spectra.py elements``)."""
PREFERRED_SHARE = 0.65
"""An element that gains this share of what a bare peak gains is preferred, as its minor lines are known roughly
(``python benchmarks/spectra.py elements``)."""
MOST_STEPS = 40
"""Elements and peaks that are added at most: an end to the search."""
CLEAR_NATS, APART_FWHM = 50.0, 4.0
"""Elements that gain so many nats, so many full widths from every line of a better one, are added with it: cost."""
MOST_OTHER = 3.0
"""Lines of the same shell, or a harder one that is recorded in part: at most so many times what a thin film emits
(``python benchmarks/spectra.py elements``)."""
MOST_TAIL = 0.5
"""Counts in the tail of a soft line at most, as a share of the line's, when sets of elements are compared."""
LOCAL_ERROR, NEAR_ERROR = 0.02, 0.01
"""Errors of the expected counts over the width of a line: relative to them, and to the largest within five widths.
Measured spectra of glasses have them (python benchmarks/spectra.py measured)."""
BUMP_FWHM = 0.3
"""Standard deviation of such an error, in full widths of a line: finer than the line, as its shape is what is off
(python benchmarks/spectra.py measured)."""
SHAPE_ERRORS = (0.1, 0.2, 0.35, 0.5, 1.0, 1.4, 2.0, 2.8)
"""Sizes of these errors, relative to the ones above, that are tried: simulated lines have none."""
SHOWN_NATS = 3.0
"""Log likelihood, in nats, that errors must gain to be shown (python benchmarks/spectra.py measured)."""
ALTERNATIVE_NATS = 9.0
"""How far below the best set other sets are looked for, in nats (python benchmarks/spectra.py elements)."""
CLIMBS = 6
"""Times at most that the best set is replaced by a better one beside it: cost."""
SOFT_KEV = 0.7
"""Energy, in keV, below which no bare peak is sought: edges of the continuum look like lines there."""
REACH_FWHM = 5.0
"""Distance, in full widths of a line, up to which a stronger line's shape may look like another line."""
LEAST_SHARE = 0.02
"""A peak below this share of a line within five widths is put down to its shape
(python benchmarks/spectra.py elements)."""
NOISE_SD = 3.0
"""A line must be that many standard deviations of the counts under and in it (``python benchmarks/spectra.py
elements``)."""
LEAST_KEV = 0.25
"""Energy, in keV, above which the strongest line of a family must lie to tell an element: below is the cut-off."""


@dataclass(frozen=True, eq=False)
class Weighed:
    """Sets of elements weighed against each other.

    Parameters
    ----------
    probabilities : dict of str to float
        Probability of every element that is in one of the sets.
    best : tuple of str
        The likeliest set.
    gains : dict of str to float
        Log likelihood that the likeliest set loses without each of its elements, in nats, others free to take over.
    """

    probabilities: dict[str, float]
    best: tuple[str, ...]
    gains: dict[str, float]


def averaged(first: Weighed, second: Weighed) -> Weighed:
    """Average over two models of the errors.

    Parameters
    ----------
    first, second : Weighed
        Under either; the first one's likeliest set and gains are kept.

    Returns
    -------
    Weighed
        Mean probabilities.
    """
    every = {**first.probabilities, **second.probabilities}
    mean = {e: 0.5 * (first.probabilities.get(e, 0.0) + second.probabilities.get(e, 0.0)) for e in every}
    return replace(first, probabilities=mean)


class ElementSearch:
    """A spectrum, the lines of all elements, and what some of them explain.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image in keV with counts.
    errors : (float, float)
        Standard deviations of the energies of the lines in eV, and of their widths relative to them.
    """

    def __init__(self, image: SpectrumImage, errors: tuple[float, float]) -> None:
        self.image, self.errors, self.shape_error = image, errors, 1.0
        beam = image.acquisition.beam_energy_kev
        self.resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        top = float(image.energy[-1]) if beam is None else min(float(image.energy[-1]), beam)
        channels = np.flatnonzero((image.energy >= LOWEST_KEV) & (image.energy <= top) & image.valid_channels)
        energy = image.energy[channels]
        self.counts = image.sum_spectrum()[channels].astype(np.float64)
        curves, names = background_basis(energy, beam)
        double = pile_up(image.energy, image.sum_spectrum())[channels]
        if double.any():
            curves, names = np.column_stack([curves, double]), (*names, "pile-up")
        self.base = with_escape(LineDesign((), names, curves, channels, energy), image)
        self.families, self.columns, self.main = self._element_columns(line_catalogue(image, channels))
        if not self.columns:
            found = f"no line of any element among the channels in use of {image!r}"
            raise InputError(
                found, "a spectrum that holds X-ray lines", "bs.load('scan.bcf'), without cropping lines away"
            )
        self.owner = np.array([e for e in self.families for _ in self.families[e]])
        self.energies = np.array([strongest_kev(f) for e in self.families for f in self.families[e]])
        self.every = csc_array(np.column_stack(list(self.columns.values())))
        self.bare_kev = self._grid(energy)
        bare = gaussian_columns([([e], [1.0]) for e in self.bare_kev], image.energy, self.resolution)[channels]
        self.every_and_bare = csc_array(np.column_stack([*self.columns.values(), bare]))

    def _grid(self, energy: Floats) -> Floats:
        steps = [float(energy[0])]
        while steps[-1] < energy[-1]:
            steps.append(steps[-1] + float(fwhm_kev(steps[-1], self.resolution)) / 2)
        return np.array(steps)

    def _element_columns(
        self, catalogue: LineCatalogue
    ) -> tuple[dict[str, list[LineFamily]], dict[str, Floats], dict[str, LineFamily]]:
        """Columns of every element: the hardest line that is recorded, and softer ones as far as it lets them be."""
        families: dict[str, list[LineFamily]] = {}
        main: dict[str, LineFamily] = {}
        for element in dict.fromkeys(f.element for f in catalogue.families):
            places = [i for i in catalogue.places(element) if strongest_kev(catalogue.families[i]) > LEAST_KEV]
            whole = [i for i in places if catalogue.mostly[i]]
            if not whole:
                continue
            first = catalogue.families[whole[0]]
            own = [first]
            for i in places:
                family = catalogue.families[i]
                if i != whole[0]:
                    thin = emission_ratio(first.name, family.name, catalogue.beam_energy_kev)
                    soft = strongest_kev(family) < 0.5 * strongest_kev(first)
                    own.append(_joined(first, family, (MOST_SOFT if soft else MOST_OTHER) / max(thin, 1e-3)))
            families[element], main[element] = own, first
        lines = [(f.energies_kev, f.weights) for own in families.values() for f in own]
        shapes = gaussian_columns(lines, self.image.energy, self.resolution)[self.base.channels]
        ends = np.cumsum([len(own) for own in families.values()])[:-1]
        columns = dict(zip(families, np.split(shapes, ends, axis=1), strict=True)) if families else {}
        return families, columns, main

    def design(self, elements: Iterable[str], peaks: Sequence[LineFamily] = ()) -> LineDesign:
        """Lines of some elements, and bare peaks, on the background."""
        families = [family for element in elements for family in self.families[element]]
        return with_families(self.base, [*families, *peaks], self.image, self.resolution)

    def grow(self, elements: Sequence[str], peaks: Sequence[LineFamily] = ()) -> tuple[list[str], list[LineFamily]]:
        """Add what gains most, elements before peaks that none explains, as long as something gains."""
        chosen, peaks = list(elements), list(peaks)
        for _ in range(MOST_STEPS):
            design = self.design(chosen, peaks)
            fit = fit_intensities(design.matrix, self.counts)
            gains, bare = self._both_gains(design, fit)
            best = max(gains, key=lambda e: gains[e], default="")
            top = int(bare.argmax())
            if best and gains[best] > ELEMENT_NATS and gains[best] > PREFERRED_SHARE * bare[top] - BARE_NATS:
                chosen += self._apart(gains)
            elif bare[top] > 2 * BARE_NATS:
                energy = float(self.bare_kev[top])
                peaks.append(LineFamily(f"peak at {energy:.2f} keV", "", (energy,), (1.0,)))
            else:
                break
        return chosen, peaks

    def _apart(self, gains: dict[str, float]) -> list[str]:
        """The element that gains most, and further clear ones whose lines are far from those of the ones before."""
        found, lines = list[str](), np.zeros(0)
        for element in sorted(gains, key=lambda e: -gains[e]):
            own = self.energies[self.owner == element]
            if found and gains[element] < CLEAR_NATS:
                break
            if not near(own[:, None], lines, APART_FWHM, self.resolution).any():
                found, lines = [*found, element], np.concatenate([lines, own])
        return found

    def gains(self, design: LineDesign, fit: PoissonLineFit, counts: Floats) -> dict[str, float]:
        """Log likelihood that each element that is not in a design would gain, by the clearest of its lines."""
        errors = self._errors(design, fit)
        found = score_gains(design.matrix[:, fit.intensities > 0], self.every, counts, fit.rate, errors)
        return self._by_element(design, found.gain)

    def _by_element(self, design: LineDesign, gain: Floats) -> dict[str, float]:
        known = {family.element for family in design.families}
        best: dict[str, float] = {}
        for element, one in zip(self.owner.tolist(), gain.tolist(), strict=True):
            if element not in known:
                best[element] = max(best.get(element, 0.0), one)
        return best

    def _errors(self, design: LineDesign, fit: PoissonLineFit) -> Floats:
        """What the shapes of lines and continuum leave open, and errors of unknown shape."""
        known, unknown = self._error_parts(design, fit)
        return np.column_stack([known, self.shape_error * unknown])

    def _error_parts(self, design: LineDesign, fit: PoissonLineFit) -> tuple[Floats, Floats]:
        of = design, fit.intensities, self.image.energy, self.resolution
        known = design_errors(*of, self.errors, TOLD_APART)
        width = fwhm_kev(self.base.energy, self.resolution)
        step = float(np.median(np.diff(self.base.energy)))
        reach = max(int(REACH_FWHM * float(width.mean()) / step), 1)
        size = LOCAL_ERROR * fit.rate + NEAR_ERROR * maximum_filter1d(fit.rate, 2 * reach + 1)
        seen = size * np.sqrt(width / step / np.maximum(fit.rate, 1.0)) > LEAST_FACTOR
        centres = self.bare_kev[np.interp(self.bare_kev, self.base.energy, seen) > 0]
        apart = (self.base.energy[:, None] - centres) / (BUMP_FWHM * fwhm_kev(centres, self.resolution))
        return known, size[:, None] * np.exp(-0.5 * apart**2)

    def learn_shape_error(self, elements: Sequence[str], peaks: Sequence[LineFamily]) -> bool:
        """Set the size of the errors of unknown shape to the likeliest; whether the deviations from a fit show any."""
        design = self.design(elements, peaks)
        fit = fit_intensities(design.matrix, self.counts)
        rate = np.maximum(fit.rate, LEAST_RATE)
        known, unknown = self._error_parts(design, fit)
        both = np.column_stack([known, unknown]) / np.sqrt(rate)[:, None]
        product, off = both.T @ both, both.T @ ((self.counts - rate) / np.sqrt(rate))
        scores = []
        for trial in SHAPE_ERRORS:
            scale = np.where(np.arange(len(off)) < known.shape[1], 1.0, trial)
            triangle = np.linalg.cholesky(np.eye(len(off)) + scale[:, None] * product * scale)
            explained = solve_triangular(triangle, scale * off, lower=True)
            scores.append(0.5 * float(explained @ explained) - float(np.log(np.diag(triangle)).sum()))
        self.shape_error = SHAPE_ERRORS[int(np.argmax(scores))]
        return scores[0] < max(scores) - SHOWN_NATS

    def _both_gains(self, design: LineDesign, fit: PoissonLineFit) -> tuple[dict[str, float], Floats]:
        """What each element would gain, and a peak at each energy that is not beside a line."""
        active, errors = design.matrix[:, fit.intensities > 0], self._errors(design, fit)
        found = score_gains(active, self.every_and_bare, self.counts, fit.rate, errors)
        n = self.every.shape[1]
        far = np.ones(len(self.bare_kev), bool)
        for family in design.families:
            for energy, weight in zip(family.energies_kev, family.weights, strict=True):
                if weight > 0.02:
                    far &= ~near(self.bare_kev, energy, 1.2, self.resolution)
        step = float(np.median(np.diff(self.base.energy)))
        far &= self.bare_kev > SOFT_KEV
        stands = found.intensity[n:] > 0.02 * np.interp(self.bare_kev, self.base.energy, fit.rate) * (
            fwhm_kev(self.bare_kev, self.resolution) / step
        )
        return self._by_element(design, found.gain[:n]), np.where(far & stands, found.gain[n:], 0.0)

    def weigh(self, elements: Sequence[str], peaks: Sequence[LineFamily]) -> Weighed:
        """Compare sets of elements near a first one: one fewer, one more, one for another."""
        design = self.design(elements, peaks)
        fit = fit_intensities(design.matrix, self.counts)
        errors = self._errors(design, fit)
        white = whitening(errors, np.maximum(fit.rate, LEAST_RATE))
        base, tailed = self.design((), peaks), self._with_tails()
        every = white(np.column_stack([base.matrix, *tailed.values(), self.counts]))
        ends = np.cumsum([base.matrix.shape[1], *(c.shape[1] for c in tailed.values())])
        own = np.split(every, ends, axis=1)
        sets = _Sets(own[0], dict(zip(tailed, own[1:-1], strict=True)), own[-1])
        return sets.weigh(frozenset(elements))

    def _with_tails(self) -> dict[str, Floats]:
        found = {}
        for element, columns in self.columns.items():
            first = self.main[element]
            soft = first.name.endswith("_Ka") and first.energies_kev[-1] < 2.0
            tail = tail_shape(first, self.image.energy, self.resolution)[self.base.channels] if soft else 0.0
            found[element] = np.column_stack([columns, columns[:, 0] + MOST_TAIL * tail]) if soft else columns
        return found

    def main_counts(self, elements: Sequence[str], counts: Floats | None = None) -> dict[str, float]:
        """Counts of the line that each element must show, in the sum or in other counts (channel,)."""
        design = self.design(elements)
        fit = fit_intensities(design.matrix, self.counts if counts is None else counts)
        found: dict[str, float] = {}
        for family, n in zip(design.families, fit.intensities[: design.n_lines], strict=True):
            if family.name.split(" with ")[0] == self.main[family.element].name:
                found[family.element] = found.get(family.element, 0.0) + float(n)
        return found

    def stands(self, elements: Sequence[str]) -> list[str]:
        """Elements with a line above noise, and above what the shape of a stronger one within five widths may leave."""
        design = self.design(elements)
        fit = fit_intensities(design.matrix, self.counts)
        energy, step = self.base.energy, float(np.median(np.diff(self.base.energy)))
        kept = []
        for element in elements:
            own = [i for i, family in enumerate(design.families) if family.element == element]
            curve = design.matrix[:, own] @ fit.intensities[own]
            for at in self.energies[self.owner == element].tolist():
                width = float(fwhm_kev(at, self.resolution))
                channels = width / step
                highest = float(fit.rate[np.abs(energy - at) < REACH_FWHM * width].max(initial=0.0))
                here, rate = (float(np.interp(at, energy, values)) for values in (curve, fit.rate))
                noise = NOISE_SD * np.sqrt(max(rate * channels, 1.0))
                if here * channels > max(LEAST_SHARE * highest * channels, noise):
                    kept.append(element)
                    break
        return kept


def _joined(main: LineFamily, soft: LineFamily, most: float) -> LineFamily:
    weights = np.concatenate([main.weights, most * np.array(soft.weights)])
    name = f"{main.name} with {soft.name}"
    return replace(main, name=name, energies_kev=main.energies_kev + soft.energies_kev, weights=tuple(weights.tolist()))


class _Sets:
    """Scores of sets of elements by least squares in whitened channels, reduced to what the columns span."""

    def __init__(self, base: Floats, columns: dict[str, Floats], y: Floats) -> None:
        stacked = np.column_stack([base, *columns.values(), y])
        triangle = np.linalg.qr(stacked, mode="r")
        size = np.maximum(np.sqrt(np.square(triangle).sum(axis=0)), 1e-300)
        triangle = triangle / size
        self.y = triangle[:, -1] * size[-1]
        n = base.shape[1]
        self.base, self.columns = triangle[:, :n], {}
        for element, own in columns.items():
            self.columns[element] = triangle[:, n : n + own.shape[1]]
            n += own.shape[1]
        self.known: dict[frozenset[str], float] = {}

    def matrix(self, elements: Iterable[str]) -> Floats:
        return np.column_stack([self.base, *(self.columns[e] for e in sorted(elements))])

    def score(self, elements: frozenset[str]) -> float:
        """Log posterior of a set but for a constant."""
        if elements not in self.known:
            matrix = self.matrix(elements)
            distance = nnls(matrix, self.y, maxiter=50 * matrix.shape[1])[1]
            self.known[elements] = -0.5 * distance**2 - ELEMENT_NATS * len(elements)
        return self.known[elements]

    def promising(self, elements: frozenset[str], least: float) -> list[str]:
        """Elements outside a set whose lines gain at least so much, alone."""
        matrix = self.matrix(elements)
        found, _ = nnls(matrix, self.y, maxiter=50 * matrix.shape[1])
        residual = self.y - matrix @ found
        basis = np.linalg.qr(matrix[:, found > 0])[0]
        names = []
        for element, columns in self.columns.items():
            if element in elements:
                continue
            free = columns - basis @ (basis.T @ columns)
            length = np.maximum(np.square(free).sum(axis=0), 1e-6)
            gain = np.square(np.maximum(free.T @ residual, 0.0)) / length / 2
            if gain.max() > least:
                names.append((float(gain.max()), element))
        return [element for _, element in sorted(names, reverse=True)]

    def weigh(self, first: frozenset[str]) -> Weighed:
        best = first
        for _ in range(CLIMBS):
            self._look_around(best)
            top = max(self.known, key=lambda s: self.known[s])
            if top == best:
                break
            best = top
        scores = np.array(list(self.known.values()))
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        probabilities: dict[str, float] = {}
        for elements, weight in zip(self.known, weights, strict=True):
            for element in elements:
                probabilities[element] = probabilities.get(element, 0.0) + float(weight)
        without = {
            e: max((s for elements, s in self.known.items() if e not in elements), default=-np.inf) for e in best
        }
        gains = {e: self.known[best] - without[e] + ELEMENT_NATS for e in best}
        return Weighed(probabilities, tuple(sorted(best)), gains)

    def _look_around(self, elements: frozenset[str]) -> None:
        here = self.score(elements)
        for element in self.promising(elements, ELEMENT_NATS - ALTERNATIVE_NATS / 2)[:8]:
            self.score(elements | {element})
        for element in elements:
            less = elements - {element}
            lost = here - self.score(less)
            if lost < -ELEMENT_NATS:
                continue
            for other in self.promising(less, max(lost + ELEMENT_NATS - ALTERNATIVE_NATS, 2.0))[:6]:
                if other != element:
                    self.score(less | {other})
