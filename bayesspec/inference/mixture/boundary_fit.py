"""Fits of the composition mixture with what the neighbours say, without and with pixels that hold two phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.special import expit, log_softmax, logit, logsumexp

from bayesspec.inference.mixture import boundary
from bayesspec.inference.mixture.block_covariance import about_mean, blocks, sums_in_blocks, widened_covariance
from bayesspec.inference.mixture.boundary import EDGE_MEAN, Parameters, Pixels
from bayesspec.inference.mixture.fit import FEWEST_PADDED, Convergence, log_multinomial, symmetric_root
from bayesspec.inference.mixture.neighbour_messages import COVARIATES, SCALES, messages, votes
from bayesspec.inference.mixture.settings import SETTINGS
from bayesspec.inference.programs import padded_size
from bayesspec.inference.status import Status

Floats = NDArray[np.float64]
Counts = NDArray[np.number[Any]]
Mask = NDArray[np.bool_]

STRIP = 2**13  # pixels whose derivatives are in memory together
TOLERANCE, SEARCH_TOLERANCE = 1e-3, 1e-2
"""Nats that a further step would gain when a climb ends: in a fit, and in one that only gives a start."""
STEPS = 40
"""Steps of a climb at most."""
EDGE_ERROR = 0.003
"""Error by the assumed profile of an edge: of a phase's distance from the others, for every unit of the width of a
boundary. About its root mean square at 10,000 counts in ``python benchmarks/realistic.py``."""


@dataclass(frozen=True, eq=False)
class BoundaryFit:
    """Phases of pixels whose neighbours are heard, some of which hold two phases.

    Parameters
    ----------
    log_composition : ndarray of float64, (phase, channel)
        Logarithm of the share of each channel in the counts of each phase.
    parameters : Parameters
        The mode.
    covariance : ndarray of float64, (parameter, parameter)
        Posterior covariance of the parameters, with what patches of pixels that deviate together add.
    shares : ndarray of float64, (pixel, phase)
        Posterior mean of the share of each phase.
    weights : ndarray of float64, (pixel, phase)
        Probability of each phase by the other pixels alone.
    pure : ndarray of float64, (pixel,)
        Posterior probability that the pixel holds one phase.
    pixel_log_likelihood : ndarray of float64, (pixel,)
        Log likelihood, multinomial coefficient included, nats.
    area_slope : ndarray of float64, (phase, parameter)
        Derivative of the mean share of each phase.
    area_scatter : ndarray of float64, (phase, phase)
        Covariance of the mean shares given the parameters.
    areas : ndarray of float64, (phase,)
        Mean share of each phase over the pixels with counts.
    doubt : float
        Mean over the pixels of half the posterior variances of their shares, summed over the phases.
    evidence : float
        Log of the integrated likelihood and prior, by Laplace's method, up to a constant.
    n_pixels : int
        Pixels with counts.
    convergence : Convergence
        How the fit ended.
    """

    log_composition: Floats
    parameters: Parameters
    covariance: Floats
    shares: Floats
    weights: Floats
    pure: Floats
    pixel_log_likelihood: Floats
    area_slope: Floats
    area_scatter: Floats
    areas: Floats
    doubt: float
    evidence: float
    n_pixels: int
    convergence: Convergence

    @property
    def n_phases(self) -> int:
        """Number of phases."""
        return self.log_composition.shape[0]

    @property
    def bic(self) -> float:
        """Bayesian information criterion of the conditional likelihood, in nats times two; smaller is better."""
        phases = self.n_phases
        used = len(self.covariance) - phases - 1  # one log share a phase and one intercept are fixed by the others
        return used * float(np.log(self.n_pixels)) - 2.0 * float(self.pixel_log_likelihood.sum())

    def draws(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        """Joint posterior draws of compositions and areas: normal around the mode, in log-ratio space.

        Parameters
        ----------
        rng : numpy.random.Generator
            Generator of the random numbers.
        n : int
            Number of draws.

        Returns
        -------
        tuple of ndarray of float64
            Composition (draw, phase, channel), share of the counts; share of the image (draw, phase).
        """
        moved = rng.normal(size=(n, len(self.covariance))) @ symmetric_root(self.covariance)
        labels = rng.normal(size=(n, self.n_phases)) @ symmetric_root(self.area_scatter)
        phases, channels = self.log_composition.shape
        logs = self.log_composition + moved[:, : phases * channels].reshape(n, phases, channels)
        areas = np.maximum(self.areas + moved @ self.area_slope.T + labels, 0.0)
        compositions = np.exp(logs - logsumexp(logs, axis=2, keepdims=True))
        return compositions, np.asarray(areas / areas.sum(axis=1, keepdims=True), np.float64)


class Mode(NamedTuple):
    """Where a climb ended: parameters, log posterior, information of all parameters, steps, gain of a further step."""

    parameters: Parameters
    log_posterior: float
    information: Floats
    steps: int
    gain: float
    gradient_norm: float


class _Image(NamedTuple):
    """Counts as pixels, in strips of a length of a short list; the last is filled up with pixels without counts."""

    strips: list[Pixels]
    number: int

    @classmethod
    def of(cls, counts: Floats, covariates: Floats, allowed: Floats) -> _Image:
        number = len(counts)
        rows = padded_size(-(-number // -(-number // STRIP)), FEWEST_PADDED)
        parts = -(-number // rows)
        fill = rows * parts - number

        def cut(values: Floats) -> Floats:
            padded = np.pad(values, [(0, fill)] + [(0, 0)] * (values.ndim - 1))
            return padded.reshape(parts, rows, *values.shape[1:])

        each = zip(*(cut(part) for part in (counts, covariates, allowed)), strict=True)
        return cls([Pixels(*(jax.device_put(part) for part in strip)) for strip in each], number)

    @property
    def rows(self) -> list[slice]:
        """Which pixels lie in each strip."""
        size = len(self.strips[0].counts)
        return [slice(i * size, min((i + 1) * size, self.number)) for i in range(len(self.strips))]


def climb(start: Parameters, image: _Image, tolerance: float) -> Mode:
    """Climb to the mode; every step is halved until the log posterior rises."""
    at = start
    value, gradient, information = _derivatives(at, image)
    gain, steps = np.inf, 0
    while steps < STEPS:
        step = np.linalg.solve(information, gradient)
        gain = float(0.5 * gradient @ step)
        step /= max(1.0, float(np.abs(step).max()))
        size = 1.0
        while size > 1e-3:
            trial = _moved(at, size * step)
            found = _derivatives(trial, image)
            if found[0] >= value - 1e-11 * abs(value):
                break
            size *= 0.5
        else:
            gain = 0.0
            break
        at, (value, gradient, information), steps = trial, found, steps + 1
        if gain < tolerance:
            break
    return Mode(at, value, information, steps, gain, float(np.abs(gradient).max()))


def _moved(at: Parameters, step: NDArray[np.floating[Any]]) -> Parameters:
    """Parameters a step away, on the host: arithmetic on devices would compile programs of its own."""
    ends = np.cumsum([0 if part is None else part.size for part in at])[:-1]
    moves = np.split(step, ends)
    new = [None if p is None else np.asarray(p) + m.reshape(p.shape) for p, m in zip(at, moves, strict=True)]
    return Parameters(*new)  # type: ignore[arg-type]


def _derivatives(at: Parameters, image: _Image) -> tuple[float, Floats, Floats]:
    """Log posterior, gradient and information, the latter by the scatter of the scores."""
    value, gradient, information = boundary.prior_derivatives(at)
    every = np.ones(len(boundary.component_shares(at)))
    for strip in image.strips:
        found = boundary.looked(at, strip, every, 0.0)
        scores = np.asarray(found.pulled)
        value += float(np.asarray(found.log_likelihood).sum())
        gradient, information = gradient + scores.sum(axis=0), information + scores.T @ scores
    return value, gradient, information


class Surroundings(NamedTuple):
    """What the neighbours say, with the mode it was found at, to fit from."""

    start: Parameters
    image: _Image
    here: Mask
    coefficients: Floats


def surroundings(counts: Counts, log_composition: Floats, areas: Floats, mask: Mask) -> Surroundings:
    """Hear the neighbours twice: by their own counts, then by what their neighbours say of them.

    Parameters
    ----------
    counts : ndarray, (y, x, channel)
        Counts.
    log_composition : ndarray of float64, (phase, channel)
        Logarithm of the compositions to start from.
    areas : ndarray of float64, (phase,)
        Shares of the image to start from.
    mask : ndarray of bool, (y, x)
        True = excluded.

    Returns
    -------
    Surroundings
        Covariates of the utilities, and where a fit with them starts.
    """
    kept = np.where(mask[:, :, None], 0, counts).astype(np.float64)
    here = kept.sum(axis=2) > 0
    phases, channels = log_composition.shape
    flat_counts = kept.reshape(-1, channels)
    log_area = np.log(np.maximum(areas, 1e-6))
    probability = np.exp(log_softmax(kept @ log_composition.T + log_area, axis=2))
    first = votes(probability, here)
    covariates = np.zeros((len(flat_counts), COVARIATES, phases))
    covariates[:, : len(SCALES)] = first.covariates.reshape(-1, len(SCALES), phases)
    with jax.enable_x64(True):
        image = _Image.of(flat_counts, covariates, np.zeros(len(flat_counts)))
        start = Parameters(log_composition, log_area - log_area.mean(), np.zeros(COVARIATES), None)  # type: ignore[arg-type]
        at = climb(start, image, SEARCH_TOLERANCE).parameters
        slopes = np.asarray(at.slopes)[: len(SCALES)]
        utilities = np.asarray(at.intercepts) + first.covariates.transpose(0, 1, 3, 2) @ slopes
        composition = log_softmax(np.asarray(at.log_shares), axis=1)
        second = messages(first, kept @ composition.T, utilities, slopes, here)
        covariates[:, len(SCALES) :] = second.covariates.reshape(len(flat_counts), -1, phases)
        allowed = boundary.log_odds_allowed(second.impurity).ravel()
        image = _Image.of(flat_counts, covariates, allowed)
        return Surroundings(at, image, here, log_multinomial(flat_counts))


def fit_sharp(around: Surroundings, tolerance: float = TOLERANCE) -> BoundaryFit:
    """Fit with pixels of one phase each."""
    return _fitted(around, around.start, tolerance)


def fit_boundaries(around: Surroundings, sharp: BoundaryFit, tolerance: float = TOLERANCE) -> BoundaryFit:
    """Fit with pixels of one phase and of two, starting from the fit with pixels of one."""
    start = sharp.parameters._replace(edge=np.array(EDGE_MEAN))  # type: ignore[arg-type]
    return _fitted(around, start, tolerance)


def _fitted(around: Surroundings, start: Parameters, tolerance: float) -> BoundaryFit:
    image = around.image
    with jax.enable_x64(True):
        mode = climb(start, image, tolerance)
        at, information = mode.parameters, mode.information
        curvature = float(np.linalg.eigvalsh(information)[0])
        found = _found(at, around)
        model = np.linalg.inv(information) if curvature > 0 else np.zeros_like(information)
        covariance = np.asarray(model, np.float64)
        if curvature > 0:
            covariance = widened_covariance(covariance, about_mean(found.block_scores), at.log_shares.size)
        measured = max(int(around.here.sum()), 1)
    log_composition = np.asarray(log_softmax(np.asarray(at.log_shares), axis=1))
    means = found.shares[around.here.ravel()].mean(axis=0)
    doubt = 0.5 * float(np.trace(found.area_scatter)) / measured
    if at.edge is not None:
        size = log_composition.size
        covariance *= 1.0 + SETTINGS.boundary_widening * float(1.0 - found.pure[around.here.ravel()].mean())
        covariance[:size, :size] += _edge_error(log_composition, means, float(np.exp(at.edge[0])))
    _, log_determinant = np.linalg.slogdet(information)
    evidence = mode.log_posterior + 0.5 * (len(information) * np.log(2.0 * np.pi) - log_determinant)
    return BoundaryFit(
        log_composition=log_composition,
        parameters=at,
        covariance=covariance,
        shares=found.shares,
        weights=found.weights,
        pure=found.pure,
        pixel_log_likelihood=found.log_likelihood + around.coefficients,
        area_slope=found.area_slope / measured,
        area_scatter=(SETTINGS.area_scatter + SETTINGS.area_scatter_of_doubt * doubt)
        * found.area_scatter
        / measured**2,
        areas=means,
        doubt=doubt,
        evidence=float(evidence),
        n_pixels=measured,
        convergence=Convergence(
            converged=mode.gain <= 10.0 * tolerance,
            iterations=mode.steps,
            gain=mode.gain,
            gradient_norm=mode.gradient_norm,
            smallest_curvature=curvature,
        ),
    )


class _Found(NamedTuple):
    """What the pixels hold at the mode, and sums over them: slopes and scatter are those of the summed shares."""

    log_likelihood: Floats
    pure: Floats
    shares: Floats
    weights: Floats
    block_scores: Floats
    area_slope: Floats
    area_scatter: Floats


def _found(at: Parameters, around: Surroundings) -> _Found:
    """Look at the pixels at the mode, strip by strip: derivatives of all pixels would fill the memory."""
    image, each = around.image, boundary.component_shares(at)
    here, block = around.here.ravel(), blocks(*around.here.shape).ravel()
    every, number = np.ones(len(each)), int(block.max()) + 1
    pixels, components, block_scores, area_slope = [], np.zeros(len(each)), np.zeros(1), np.zeros(1)
    for strip, rows in zip(image.strips, image.rows, strict=True):
        found, size = boundary.looked(at, strip, every, 0.0), rows.stop - rows.start
        pixels.append([np.asarray(part)[:size] for part in (found.log_likelihood, found.pure, found.shares)])
        components = components + np.asarray(found.components)
        block_scores = block_scores + sums_in_blocks(np.asarray(found.pulled)[:size], block[rows], number)
        pulled = [np.asarray(boundary.looked(at, strip, share, 1.0).pulled)[:size] for share in each.T]
        area_slope = area_slope + np.stack([one[here[rows]].sum(axis=0) for one in pulled])
    log_likelihood, pure, shares = (np.concatenate(part) for part in zip(*pixels, strict=True))
    covariates = np.concatenate([np.asarray(strip.covariates) for strip in image.strips])[: image.number]
    utilities = np.asarray(at.intercepts) + np.asarray(at.slopes) @ covariates
    return _Found(
        log_likelihood,
        pure,
        shares,
        np.exp(log_softmax(utilities, axis=1)),
        block_scores,
        area_slope,
        (each * components[:, None]).T @ each - shares[here].T @ shares[here],
    )


def _edge_error(log_composition: Floats, areas: Floats, width: float) -> Floats:
    """Covariance of the log shares by which phases are drawn to the others: (phase * channel, phase * channel)."""
    apart = log_composition[None] - log_composition[:, None]
    others = areas * (1.0 - np.eye(len(areas)))
    weight = np.square(EDGE_ERROR * width) * others / np.maximum(others.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(block_diag(*np.einsum("kl,klc,kld->kcd", weight, apart, apart)))


@dataclass(frozen=True, eq=False)
class NeighbourFit:
    """Phases of pixels whose neighbours are heard: without and with pixels that hold two, weighed by their evidence.

    Parameters
    ----------
    sharp, crossed : BoundaryFit
        Fits without and with pixels that hold two phases; the phases are the same.
    here : ndarray of bool, (pixel,)
        Pixels with counts.
    """

    sharp: BoundaryFit
    crossed: BoundaryFit
    here: Mask

    @property
    def probability(self) -> float:
        """Posterior probability that there are pixels that hold two phases."""
        return float(expit(self.crossed.evidence - self.sharp.evidence + logit(SETTINGS.two_phases_before)))

    @property
    def likelier(self) -> BoundaryFit:
        """The fit with the larger evidence."""
        return self.crossed if self.probability > 0.5 else self.sharp

    @property
    def n_phases(self) -> int:
        """Number of phases."""
        return self.sharp.n_phases

    @property
    def bic(self) -> float:
        """Bayesian information criterion of the conditional likelihood, in nats times two; smaller is better."""
        return min(self.sharp.bic, self.crossed.bic)

    @property
    def log_composition(self) -> Floats:
        """Logarithm of the share of each channel in the counts of each phase, (phase, channel)."""
        return self._mean(self.sharp.log_composition, self.crossed.log_composition)

    @property
    def shares(self) -> Floats:
        """Posterior mean of the share of each phase, (pixel, phase)."""
        return self._mean(self.sharp.shares, self.crossed.shares)

    @property
    def responsibilities(self) -> Floats:
        """The same under the name that a plain mixture has for it."""
        return self.shares

    @property
    def weights(self) -> Floats:
        """Probability of each phase by the other pixels alone, (pixel, phase)."""
        return self._mean(self.sharp.weights, self.crossed.weights)

    @property
    def boundary_share(self) -> float:
        """Mean share of the pixels with counts that hold two phases; 0 where there may be none and are hardly any."""
        share = float(self.probability * np.where(self.here, 1.0 - self.crossed.pure, 0.0).sum() / self.here.sum())
        doubtful = self.probability < SETTINGS.two_phases_unlikely or (
            self.probability < 1.0 - SETTINGS.two_phases_unlikely and share < SETTINGS.hardly_any_boundary
        )
        return 0.0 if doubtful else share

    @property
    def convergence(self) -> Convergence:
        """How the likelier fit ended, in numbers."""
        return self.likelier.convergence

    @property
    def status(self) -> Status:
        """How the likelier fit ended, a sentence that says what to do."""
        return self.convergence.status

    def _mean(self, sharp: Floats, crossed: Floats) -> Floats:
        return (1.0 - self.probability) * sharp + self.probability * crossed

    @property
    def covariance(self) -> Floats:
        """Posterior covariance of the log shares, (phase * channel, phase * channel)."""
        size = self.sharp.log_composition.size
        change = (self.crossed.log_composition - self.sharp.log_composition).ravel()
        inside = self._mean(self.sharp.covariance[:size, :size], self.crossed.covariance[:size, :size])
        return inside + self.probability * (1.0 - self.probability) * np.outer(change, change)

    def draws(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        """Joint posterior draws of compositions and areas, from either fit as often as it is likely.

        Parameters
        ----------
        rng : numpy.random.Generator
            Generator of the random numbers.
        n : int
            Number of draws.

        Returns
        -------
        tuple of ndarray of float64
            Composition (draw, phase, channel), share of the counts; share of the image (draw, phase).
        """
        crossed = np.diff(np.round(np.arange(n + 1) * self.probability)) > 0  # draws are independent: any order does
        pairs = zip(self.sharp.draws(rng, n), self.crossed.draws(rng, n), strict=True)
        compositions, areas = (np.where(crossed.reshape(n, *[1] * (a.ndim - 1)), b, a) for a, b in pairs)
        return compositions, areas


def fit_neighbours(
    counts: Counts, log_composition: Floats, areas: Floats, mask: Mask, tolerance: float = TOLERANCE
) -> NeighbourFit:
    """Fit phases to pixels whose neighbours are heard, without and with pixels that hold two.

    Parameters
    ----------
    counts : ndarray, (y, x, channel)
        Counts.
    log_composition : ndarray of float64, (phase, channel)
        Logarithm of the compositions to start from; two phases or more.
    areas : ndarray of float64, (phase,)
        Shares of the image to start from.
    mask : ndarray of bool, (y, x)
        True = excluded.
    tolerance : float
        Gain of a further step at which the climb ends, nats.

    Returns
    -------
    NeighbourFit
        Phases in the order of `log_composition`.
    """
    around = surroundings(counts, log_composition, areas, mask)
    sharp = fit_sharp(around, tolerance)
    return NeighbourFit(sharp, fit_boundaries(around, sharp, tolerance), around.here.ravel())
