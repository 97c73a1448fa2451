"""Which other factorisations describe the counts as well: the set of feasible transforms and extremes over it.

Spectra H and abundances W may be replaced by T H and W T^-1 without any change of the fit, as long as both stay
non-negative. With rows of T that sum to one the spectra stay normalised. The counts cannot tell these
factorisations apart, so what differs between them is not known from the counts alone. Noise blurs the borders:
an entry may be negative by `TOLERANCE` standard deviations of its own noise. Abundances are averaged over groups
of pixels with similar shares, and channels are added over runs as well as taken singly: sums of what is
non-negative are non-negative, and have less noise. Which pixels are averaged must not depend on their noise, or the
borders come out too narrow: see `independent_groups`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from bayesspec.inference.nmf.pixel_groups import FLOOR, Groups, cluster_centres

Array = npt.NDArray[np.float64]
TOLERANCE = 3.0
"""Standard deviations by which an entry may be negative: thousands of entries are looked at."""
RUNS = (1, 4, 16)
"""Lengths of the runs over which channels are added, in units of the finest."""
FINEST = 256
"""Channels, or runs of them, that are looked at on their own."""
SWEEPS = 40
"""Linear programs of one search at most."""
PATIENCE = 2
"""Sweeps without a gain of `GAIN` before the search ends."""
GAIN = 1e-3
"""Relative gain below which a sweep counts as none."""
BLUR = 0.1
"""How far below zero the search may be, as a part of the tolerance: the borders are curved, its steps are straight."""
SMALLEST_REGION = 1e-4
"""Step of the entries of T below which a search or a walk ends."""
WORST_CONDITION = 1e6
"""Condition number of T above which a transform counts as not feasible."""
DIRECTIONS = 4
"""Directions per spectrum, besides those towards the other spectra, in which it is pushed to its limits."""
MOST_OTHERS = 5
"""Other spectra up to which each of them is a direction."""
WANDERED = 40
"""Steps of a random walk that looks for other places to start from."""
RESTARTS = 2
"""Corners from which each fraction is pushed again."""


class FeasibleSet:
    """Transforms T that leave the fit as it is and both factors non-negative within the noise.

    Parameters
    ----------
    groups : Groups
        Abundances, counts.
    spectra : array (component, channel), float
        Spectra, each summing to one; those that are fixed last.
    n_fixed : int
        Number of fixed spectra. They do not change.
    background : int
        How many of these, the last, are background. Components give to it but take nothing from it: of all
        factorisations that differ in this the one with the smallest components is meant.
    tolerance : float
        Standard deviations by which an entry may be negative.
    seen : sequence of float
        Counts of the first components alone that are known from elsewhere: their spectra may change no more than
        the noise of so many counts lets them.
    """

    def __init__(
        self,
        groups: Groups,
        spectra: npt.ArrayLike,
        n_fixed: int = 0,
        background: int = 0,
        tolerance: float = TOLERANCE,
        seen: Sequence[float] = (),
    ) -> None:
        self.groups, self.spectra, self.tolerance = groups, np.asarray(spectra, np.float64), tolerance
        components = len(self.spectra)
        self.components, self.free, self.background = components, components - n_fixed, background
        self.pairs = np.array([(k, j) for k in range(self.free) for j in range(components) if j != k]).reshape(-1, 2)
        known = components - background
        # shapes of one background are too alike to be told apart in a group: their sum is looked at
        self._together = np.eye(components)[:, : known + (background > 0)]
        self._together[known:, known:] = 1.0
        self._measured = groups.abundances if groups.measured is None else groups.measured
        self.totals = np.maximum((self._measured * groups.pixels[:, None])[-groups.finest :].sum(axis=0), FLOOR)
        mean = np.maximum(groups.abundances @ self.spectra, FLOOR)
        self._pixel_noise = _inverses(np.einsum("kc,lc,gc->gkl", self.spectra, self.spectra, 1 / mean, optimize=True))
        self._pixel_noise /= groups.pixels[:, None, None]
        self._pixel_noise = self._pixel_noise if groups.covariance is None else groups.covariance
        fine, n = groups.abundances[-groups.finest :], groups.pixels[-groups.finest :]
        by_channel = np.einsum("gk,gl,gc->ckl", fine * n[:, None], fine, 1 / mean[-groups.finest :], optimize=True)
        channel_noise = _inverses(by_channel)
        self.spectra_noise = np.sqrt(np.einsum("ckk->kc", channel_noise))
        finest = max(1, self.spectra.shape[1] // FINEST)
        runs = [finest * run for run in RUNS if run == 1 or finest * run * 4 <= self.spectra.shape[1]]
        self._lengths = runs
        self.runs = np.stack([self.in_runs(row) for row in self.spectra], axis=1)
        self._run_noise = np.concatenate([_add_runs(channel_noise, run) for run in runs])
        self.run_noise = np.sqrt(np.einsum("ckk->ck", self._run_noise))
        held = self.runs[:, : len(seen)]
        self._held = np.sqrt(np.maximum(held * (1.0 - held), FLOOR) / (np.asarray(seen, np.float64) + 1.0))

    def in_runs(self, spectrum: Array) -> Array:
        """Sums of a spectrum over the runs of channels that are looked at, (run,)."""
        return np.concatenate([_add_runs(spectrum, run) for run in self._lengths])

    def transform(self, values: Array) -> Array:
        """Matrix T of the values off its diagonal, (direction,); rows sum to one."""
        matrix = np.zeros((self.components, self.components))
        matrix[self.pairs[:, 0], self.pairs[:, 1]] = values
        return matrix + np.diag(1.0 - matrix.sum(axis=1))

    def excess(self, matrix: Array) -> tuple[Array, Array]:
        """How far the factors are above their lowest values, in units of the noise, with the slopes.

        Parameters
        ----------
        matrix : numpy.ndarray (component, component), float64
            Transform T.

        Returns
        -------
        excess : numpy.ndarray (entry,), float64
            Entries of both factors over their noise, plus the tolerance; negative where not feasible.
        slopes : numpy.ndarray (entry, direction), float64
            Derivatives by the values off the diagonal of T, the noise held.
        """
        (spectra, noise), (abundances, blur) = self.factors(matrix)
        inverse, (gains, losses) = np.linalg.inv(matrix) @ self._together, self.pairs.T
        grown = (self.runs[:, losses] - self.runs[:, gains])[:, None] * (np.arange(self.free)[:, None] == gains)
        fallen = -abundances[:, None, gains] * (inverse[losses] - inverse[gains]).T[None]
        parts = [(grown / noise[..., None]).reshape(-1, len(gains)), (fallen / blur[..., None]).reshape(-1, len(gains))]
        held = (grown[:, : self._held.shape[1]] / self._held[..., None]).reshape(-1, len(gains))
        return self._over_noise(spectra, noise, abundances, blur), np.concatenate([*parts, held, -held])

    def slack(self, matrix: Array) -> float:
        """Smallest excess at a transform; negative where it is not feasible, float."""
        if np.linalg.cond(matrix) > WORST_CONDITION:
            return -np.inf
        (spectra, noise), (abundances, blur) = self.factors(matrix)
        return float(self._over_noise(spectra, noise, abundances, blur).min())

    def _over_noise(self, spectra: Array, noise: Array, abundances: Array, blur: Array) -> Array:
        seen = self._held.shape[1]
        off = ((spectra[:, :seen] - self.runs[:, :seen]) / self._held).ravel()
        return np.concatenate([(spectra / noise).ravel(), (abundances / blur).ravel(), off, -off]) + self.tolerance

    def factors(self, matrix: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Both factors at a transform, (run, free component) and (group, component), each with its noise."""
        inverse, top = np.linalg.inv(matrix) @ self._together, matrix[: self.free]
        spread = np.einsum("kl,clm,km->ck", top, self._run_noise, top, optimize=True)
        blur = np.einsum("lk,glm,mk->gk", inverse, self._pixel_noise, inverse, optimize=True)
        noise, blur = (np.sqrt(np.maximum(part, FLOOR**2)) for part in (spread, blur))
        return (self.runs @ top.T, noise), (self._measured @ inverse, blur)

    def wander(self, steps: int, rng: np.random.Generator) -> list[Array]:
        """Feasible transforms far from the identity and from each other.

        Parameters
        ----------
        steps : int
            How many.
        rng : numpy.random.Generator
            Where the directions come from.

        Returns
        -------
        list of numpy.ndarray (component, component), float64
            The transforms.

        Notes
        -----
        Source: hit and run, Smith (1984), doi:10.1287/opre.32.6.1296.
        """
        values, found = np.zeros(len(self.pairs)), []
        given = self.pairs[:, 1] >= self.components - self.background
        for _ in range(steps):
            direction = rng.normal(size=len(values))
            direction /= np.linalg.norm(direction)
            length = 1.0
            while length > SMALLEST_REGION:
                trial = values + length * direction
                if not (trial[given] > 0).any() and self.slack(self.transform(trial)) >= 0.0:
                    break
                length *= 0.6
            if length > SMALLEST_REGION:
                found.append(self.transform(trial))
                values = values + rng.uniform(0.3, 1.0) * length * direction
                values = values if self.slack(self.transform(values)) >= 0 else trial
        return found

    def extreme(self, functional: Callable[[Array], tuple[float, Array]], start: Array | None = None) -> Array:
        """Transform of the largest value of a functional, by linear programs in a region that adapts.

        Parameters
        ----------
        functional : callable
            Value and slopes (direction,) of what is to be large, at a transform.
        start : numpy.ndarray (component, component), float64, optional
            A feasible transform to start from; the identity when not given.

        Returns
        -------
        numpy.ndarray (component, component), float64
            The transform; where it started when nothing else is feasible.
        """
        gains, losses = self.pairs.T
        values, region = np.zeros(len(self.pairs)) if start is None else start[gains, losses], 0.1
        point = self.transform(values)
        excess, slopes = self.excess(point)
        value, gradient = functional(point)
        matrix, best, stalled = point, value, 0
        for _ in range(SWEEPS):
            step = self._program(values, excess, slopes, gradient, region) if len(values) else None
            if step is None or region < SMALLEST_REGION or stalled > PATIENCE:
                break
            point = self.transform(values + step)
            restored = excess.min() < -0.5 * BLUR * self.tolerance
            new_value, new_gradient = functional(point)
            if self.slack(point) < -BLUR * self.tolerance or not (new_value > value or restored):
                region /= 2.5
                continue
            values, value, gradient, region = values + step, new_value, new_gradient, 1.5 * region
            excess, slopes = self.excess(point)
            stalled = 0 if value > best + GAIN * max(abs(best), 1e-2) else stalled + 1
            if value > best:
                matrix, best = point, value
        return matrix

    def _program(self, values: Array, excess: Array, slopes: Array, gradient: Array, region: float) -> Array | None:
        """Best step of the linearised problem; entries that no step can reach are left out."""
        reach = np.abs(slopes).sum(axis=1) * region > excess
        given = self.pairs[:, 1] >= self.components - self.background
        upper = np.where(given, np.minimum(region, -values), region)
        scale = max(float(np.abs(gradient).max()), FLOOR)
        found = linprog(
            -gradient / scale,
            -slopes[reach] if reach.any() else None,
            excess[reach] if reach.any() else None,
            bounds=np.stack([np.full(len(values), -region), upper], axis=1),
            method="highs",
            options={"presolve": False},  # these programs are too small for it to pay
        )
        return np.asarray(found.x, np.float64) if found.status == 0 else None


def _inverses(matrices: Array) -> Array:
    """Covariances from informations, safe where an information is nearly singular."""
    size = matrices.shape[-1]
    scale = np.sqrt(np.maximum(np.einsum("...kk->...k", matrices), FLOOR))
    outer = scale[..., :, None] * scale[..., None, :]
    return np.linalg.inv(matrices / outer + 1e-6 * np.eye(size)) / outer


def _add_runs(values: Array, run: int) -> Array:
    return np.add.reduceat(values, np.arange(0, len(values), run), axis=0)


# The corners of what is feasible: where a fraction or a spectrum is as large or as small as it can be


def extreme_transforms(feasible: FeasibleSet, seed: int) -> Array:
    """Find transforms at the limits of every fraction and of every spectrum.

    Parameters
    ----------
    feasible : FeasibleSet
        What is feasible.
    seed : int
        Seed of the choice of directions.

    Returns
    -------
    numpy.ndarray (transform, component, component), float64
        The transforms; the first is the identity. Spectra T H and abundances W T^-1 fit as well as H and W.

    Notes
    -----
    A spectrum T H is linear in its row of T, so the limits of its entries lie at corners of the set of that row.
    Source: for two and three components Lawton & Sylvestre (1971), doi:10.1080/00401706.1971.10488823.
    """
    found = [np.eye(feasible.components)]
    for k in range(feasible.free):
        wanted = [_fraction(feasible, k, sign) for sign in (-1.0, 1.0)]
        own = feasible.pairs[:, 0] == k
        for direction in _directions(feasible, k, seed):
            slope = np.zeros(len(own))
            slope[own] = direction
            wanted += [_linear(feasible, sign * slope) for sign in (-1.0, 1.0)]
        found += [feasible.extreme(functional) for functional in wanted if own.any()]
    found += feasible.wander(WANDERED, np.random.default_rng(seed)) if len(found) > 1 else []
    return np.stack(found + _again(feasible, np.stack(found)))


def _again(feasible: FeasibleSet, found: Array) -> list[Array]:
    """Push the fractions once more, from the best that was found on the way to anything: the set is not convex."""
    if len(found) == 1:
        return []
    shares, better = fractions(feasible, found), []
    for k in range(feasible.free):
        for sign in (-1.0, 1.0):
            order = np.argsort(-sign * shares[:, k], kind="stable")[:RESTARTS]
            better += [feasible.extreme(_fraction(feasible, k, sign), found[start]) for start in order]
    return better


def fractions(feasible: FeasibleSet, transforms: Array) -> Array:
    """Share of the counts in each component.

    Parameters
    ----------
    feasible : FeasibleSet
        What is feasible.
    transforms : numpy.ndarray (transform, component, component), float64
        Transforms.

    Returns
    -------
    numpy.ndarray (transform, component), float64
        Shares, adding up to one.
    """
    totals = feasible.totals / feasible.totals.sum()
    return np.stack([totals @ np.linalg.inv(matrix) for matrix in transforms])


def fraction_widths(feasible: FeasibleSet) -> Array:
    """Width of the band of the share of the counts in each component.

    Parameters
    ----------
    feasible : FeasibleSet
        What is feasible.

    Returns
    -------
    numpy.ndarray (component,), float64
        Largest less smallest share.
    """
    if not len(feasible.pairs):
        return np.zeros(feasible.components)
    ends = [feasible.extreme(_fraction(feasible, k, sign)) for k in range(feasible.components) for sign in (-1.0, 1.0)]
    return np.asarray(np.ptp(fractions(feasible, np.stack(ends)), axis=0), np.float64)


def _fraction(feasible: FeasibleSet, k: int, sign: float) -> Callable[[Array], tuple[float, Array]]:
    gains, losses = feasible.pairs.T
    totals = feasible.totals / feasible.totals.sum()

    def functional(matrix: Array) -> tuple[float, Array]:
        inverse = np.linalg.inv(matrix)
        shares = totals @ inverse
        return sign * float(shares[k]), -sign * shares[gains] * (inverse[losses, k] - inverse[gains, k])

    return functional


def _linear(feasible: FeasibleSet, slope: Array) -> Callable[[Array], tuple[float, Array]]:
    gains, losses = feasible.pairs.T
    return lambda matrix: (float(slope @ matrix[gains, losses]), slope)


def _directions(feasible: FeasibleSet, k: int, seed: int) -> Array:
    """Directions in a row of T: towards each other spectrum, and those in which most channels change."""
    others = np.delete(np.arange(feasible.components), k)
    change = feasible.spectra[others] - feasible.spectra[k]
    sized = (change / np.maximum(np.linalg.norm(change, axis=0), FLOOR)).T
    centres = cluster_centres(sized, DIRECTIONS, np.random.default_rng(seed)) if len(others) > 1 else sized[:0]
    towards = np.eye(len(others)) if len(others) <= MOST_OTHERS else centres[:0]
    return np.concatenate([towards, centres])
