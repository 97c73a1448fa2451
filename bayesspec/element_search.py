"""The search for the elements of a spectrum: added where the likelihood gains, taken out where it misses nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from bayesspec.bremsstrahlung import background_basis
from bayesspec.detector_response import ASSUMED_RESOLUTION_EV
from bayesspec.inference.model_error import model_error
from bayesspec.inference.nonnegative_poisson import PoissonLineFit, fit_intensities
from bayesspec.line_design import LOWEST_KEV, family_shape, pile_up, tail_shape
from bayesspec.line_families import COMMON_ELEMENTS, LineFamily, element_families
from bayesspec.spectrum_image import SpectrumImage

Floats = npt.NDArray[np.float64]
LEAST_GAIN = 9.0
FIRST_ERROR = 0.03
CORRELATED_CHANNELS = 12.0
"""Errors of a line shape are alike over about its width: they weigh as much as those of so many channels do."""
MOST_ELEMENTS = 30
SOFT_KEV = 0.25


class ElementSearch:
    """A spectrum, the columns of all candidates, and the fit of some of them.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image in keV with counts.
    """

    def __init__(self, image: SpectrumImage) -> None:
        beam = image.acquisition.beam_energy_kev
        resolution = image.acquisition.resolution_mn_ka_ev or ASSUMED_RESOLUTION_EV
        top = float(image.energy[-1]) if beam is None else min(float(image.energy[-1]), beam)
        self.channels = np.flatnonzero((image.energy >= LOWEST_KEV) & (image.energy <= top) & image.valid_channels)
        energy = image.energy[self.channels]
        self.counts = image.sum_spectrum()[self.channels].astype(np.float64)
        continuum = background_basis(energy, beam)[0]
        self.background = np.column_stack([continuum, pile_up(image.energy, image.sum_spectrum())[self.channels]])
        self.columns: dict[str, Floats] = {}
        self.main: dict[str, LineFamily] = {}
        self.position: dict[str, int] = {}
        for element in COMMON_ELEMENTS:
            families = [f for f in element_families(element, LOWEST_KEV, top, beam) if max(f.energies_kev) > SOFT_KEV]
            if not families:
                continue
            shapes = [family_shape(f, image.energy, resolution)[self.channels] for f in families]
            if families[0].name.endswith("_Ka") and max(families[0].energies_kev) < 2.0:
                shapes.append(tail_shape(families[0], image.energy, resolution)[self.channels])
            self.columns[element] = np.column_stack(shapes)
            self.main[element] = families[0]

    def fit(self, elements: Iterable[str], error: float, counts: Floats | None = None) -> tuple[PoissonLineFit, Floats]:
        """Fit some elements, channels weighted down by a relative error of the model; fit and weights."""
        design = self.design(elements)
        y = self.counts if counts is None else counts
        weights = np.ones(len(y))
        for _ in range(2 if error else 1):
            fit = fit_intensities(design * weights[:, None], y * weights)
            weights = 1.0 / (1.0 + CORRELATED_CHANNELS * error**2 * np.maximum(fit.rate / weights, 1.0))
        return fit_intensities(design * weights[:, None], y * weights, fit.intensities), weights

    def design(self, elements: Iterable[str]) -> Floats:
        """Columns of the background and of some elements, shape (channel, column)."""
        return np.column_stack([self.background, *(self.columns[e] for e in elements)])

    def main_counts(self, elements: list[str], counts: Floats | None = None) -> dict[str, float]:
        """Counts of the line that each element must show, in the sum or in other counts (channel,)."""
        fit, _ = self.fit(elements, 0.0, counts)
        places = np.cumsum([self.background.shape[1], *(self.columns[e].shape[1] for e in elements)])
        return {e: float(fit.intensities[p]) for e, p in zip(elements, places, strict=False)}

    def score_gains(self, elements: list[str], fit: PoissonLineFit, weights: Floats, y: Floats) -> dict[str, float]:
        """Log likelihood that adding the main line of each other element would gain, to second order, in nats."""
        rest = [e for e in self.columns if e not in elements]
        candidates = np.column_stack([self.columns[e][:, 0] for e in rest]) * weights[:, None]
        active = (self.design(elements) * weights[:, None])[:, fit.intensities > 0]
        gradient = candidates.T @ (y * weights / fit.rate - 1.0)
        own = np.square(candidates / np.sqrt(fit.rate)[:, None]).sum(axis=0)
        scale = 1.0 / np.sqrt(np.square(active / np.sqrt(fit.rate)[:, None]).sum(axis=0))
        active = active * scale
        inner = active.T @ (active / fit.rate[:, None]) + 1e-6 * np.eye(active.shape[1])
        cross = active.T @ (candidates / fit.rate[:, None])
        free = own - (cross * np.linalg.solve(inner, cross)).sum(axis=0)
        gain = np.where(free > 1e-3 * own, np.maximum(gradient, 0) ** 2 / (2 * np.maximum(free, 1e-3 * own)), 0.0)
        return dict(zip(rest, gain.tolist(), strict=True))

    def grow(self, elements: list[str]) -> list[str]:
        """Add elements as long as one gains."""
        chosen = list(elements)
        while len(chosen) < MOST_ELEMENTS:
            fit, weights = self.fit(chosen, FIRST_ERROR)
            gains = self.score_gains(chosen, fit, weights, self.counts)
            best = max(gains, key=lambda e: gains[e])
            if gains[best] < LEAST_GAIN:
                break
            chosen.append(best)
        return chosen

    def prune(self, elements: list[str]) -> tuple[list[str], dict[str, float]]:
        """Take out what the likelihood does not miss; the rest with what it would lose."""
        chosen, gains = list(elements), {}
        while chosen:
            plain, _ = self.fit(chosen, 0.0)
            error = model_error(self.counts, plain.rate)
            full, weights = self.fit(chosen, error)
            gains = {e: self._loss(chosen, e, weights) - full.deviance / 2 for e in chosen}
            worst = min(gains, key=lambda e: gains[e])
            if gains[worst] > LEAST_GAIN:
                break
            chosen.remove(worst)
        return chosen, gains

    def _loss(self, elements: list[str], without: str, weights: Floats) -> float:
        """Half the deviance when the main line of an element is taken out and its other shells stay."""
        parts = [self.columns[e][:, 1:] if e == without else self.columns[e] for e in elements]
        design = np.column_stack([self.background, *parts]) * weights[:, None]
        return fit_intensities(design, self.counts * weights).deviance / 2
