"""A smooth curve through the line-free channels of a spectrum, and how well it is known between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayesspec.spectroscopy.bremsstrahlung import HIGHEST_BEAM_KEV

Array = npt.NDArray[np.float64]

DEVIATION = 0.15
"""Standard deviation of the log rate about Kramers' law with absorption and tilt (python benchmarks/background.py)."""
LENGTH = 0.3
"""Length of that deviation in the logarithm of the energy (python benchmarks/background.py)."""
TILT = 0.5
"""Standard deviation of the exponent of the energy by which the continuum may be tilted."""
ABSORPTION_KEV3 = (0.03, 0.05)
"""Mean and standard deviation of the factor of E^-3 in the log rate, in keV^3: absorption of soft X-rays."""
LEVEL_PRECISION = 1e-6
"""Precision of the prior of the log level: next to none."""
STEPS = 100
"""Newton steps at most."""
GAIN = 1e-6
"""Gain in log posterior density, in nats, below which the search has settled."""
LARGEST_EXPONENT = 50.0
"""Largest size of the log rate before it is exponentiated: a trial step must not overflow."""
MARGIN = 3.0
"""Standard deviations of the counts by which the continuum may lie above them where there are lines."""


class ContinuumCurve(NamedTuple):
    """Posterior of a continuum.

    Attributes
    ----------
    rate : array, shape (energy,), float64
        Counts per channel, at the mode.
    factors : array, shape (energy, factor), float64
        Changes of the log rate, one standard deviation each and independent of each other, that are as likely.
    """

    rate: Array
    factors: Array

    def log_share(self, channels: npt.NDArray[np.int64]) -> Array:
        """Changes of the logarithm of the summed rate of some channels.

        Parameters
        ----------
        channels : array, shape (n,), int64
            Numbers of the channels.

        Returns
        -------
        array, shape (factor,), float64
            One standard deviation each, independent of each other.
        """
        rate = self.rate[channels]
        return np.asarray(rate @ self.factors[channels] / max(rate.sum(), 1e-300), np.float64)


def continuum_curve(
    energy_kev: Array,
    counts: npt.NDArray[np.int64],
    free: npt.NDArray[np.bool_],
    used: npt.NDArray[np.bool_],
    *,
    beam_energy_kev: float | None = None,
) -> ContinuumCurve:
    """Follow the continuum through the channels free of lines.

    Kramers' law, times absorption that goes as E^-3, times a power of E, times a smooth deviation: a Gaussian process
    in log E with a standard deviation of 15 % and a length of 0.3. In wide gaps the curve is what absorption and
    Kramers' law make of the channels beside them, and its uncertainty grows with the width of the gap. Where there
    are lines the counts are an upper limit.

    Parameters
    ----------
    energy_kev : array, shape (energy,), float64
        Centres of the channels, keV.
    counts : array, shape (energy,), int64
        Summed spectrum.
    free : array, shape (energy,), bool
        True where no line is.
    used : array, shape (energy,), bool
        True where channels count at all, at positive energies; the curve is level below the lowest of them.
    beam_energy_kev : float or None
        Beam energy in keV; ``None`` for one far above the axis.

    Returns
    -------
    ContinuumCurve
        Mode and covariance of the log rate. Where the channels scatter about the curve more than counts do, the
        covariance is that much larger.

    Notes
    -----
    Source: Kramers, Phil. Mag. 46 (1923) 836, doi:10.1080/14786442308565244, for the shape; Poisson counts with a
    Gaussian log rate: Moller, Syversveen and Waagepetersen (1998), doi:10.1111/1467-9469.00115; normal about the mode:
    Tierney and Kadane (1986), doi:10.1080/01621459.1986.10478240.
    """
    energy = np.maximum(energy_kev, energy_kev[used].min())
    beam = HIGHEST_BEAM_KEV if beam_energy_kev is None else beam_energy_kev
    offset = np.log(np.clip(beam - energy, 1e-3, None) / energy)
    terms, mean, precision = _terms(energy)
    channels = _Channels(offset[used], terms[used], counts[used].astype(np.float64), free[used])
    coefficients = _mode(channels, mean, precision)
    rate = np.exp(np.clip(offset + terms @ coefficients, -LARGEST_EXPONENT, LARGEST_EXPONENT))
    excess = _dispersion(counts[used & free], rate[used & free], len(mean))
    information = channels.information(rate[used]) / excess + np.diag(precision)
    factors = np.linalg.solve(np.linalg.cholesky(information), terms.T).T
    return ContinuumCurve(rate, np.asarray(factors, np.float64))


def _terms(energy: Array) -> tuple[Array, Array, Array]:
    """Terms of the log rate (energy, coefficient), with means and precisions of their coefficients."""
    x = np.log(energy)
    knots = np.arange(x.min() - LENGTH, x.max() + 2 * LENGTH, LENGTH)
    at_knots = _covariance(knots, knots) + 1e-8 * np.eye(len(knots))
    smooth = _covariance(x, knots) @ np.linalg.cholesky(np.linalg.inv(at_knots))
    terms = np.column_stack([np.ones_like(x), x, -(energy**-3.0), smooth])
    mean, precision = np.zeros(terms.shape[1]), np.ones(terms.shape[1])
    mean[2] = ABSORPTION_KEV3[0]
    precision[:3] = LEVEL_PRECISION, TILT**-2, ABSORPTION_KEV3[1] ** -2
    return terms, mean, precision


def _covariance(first: Array, second: Array) -> Array:
    return np.asarray(DEVIATION**2 * np.exp(-0.5 * ((first[:, None] - second) / LENGTH) ** 2), np.float64)


class _Channels(NamedTuple):
    """Log rate without and derivative by the coefficients, counts, and which are counts of the continuum alone."""

    offset: Array
    terms: Array
    counts: Array
    free: npt.NDArray[np.bool_]

    def rate(self, at: Array) -> Array:
        return np.exp(np.clip(self.offset + self.terms @ at, -LARGEST_EXPONENT, LARGEST_EXPONENT))

    def counted(self, rate: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Counts, or what they can be at most where there are lines; and where the rate is judged by them."""
        limit = np.where(self.free, self.counts, self.counts + MARGIN * np.sqrt(self.counts + 1.0))
        return limit, self.free | (rate > limit)

    def density(self, at: Array) -> float:
        rate = self.rate(at)
        counts, judged = self.counted(rate)
        log_ratio = np.log(rate) - np.where(self.free, 0.0, np.log(counts.clip(1e-300)))
        return float((counts * log_ratio - rate + np.where(self.free, 0.0, counts))[judged].sum())

    def gradient(self, rate: Array) -> Array:
        counts, judged = self.counted(rate)
        return np.asarray(self.terms.T @ np.where(judged, counts - rate, 0.0), np.float64)

    def information(self, rate: Array) -> Array:
        judged = self.counted(rate)[1]
        return np.asarray(self.terms.T @ ((rate * judged)[:, None] * self.terms), np.float64)


def _mode(channels: _Channels, mean: Array, precision: Array) -> Array:
    """Coefficients of highest posterior density, by Newton steps that are halved until it rises."""

    def density(at: Array) -> float:
        return channels.density(at) - float(0.5 * (precision * (at - mean) ** 2).sum())

    at = mean.copy()
    free = channels.free
    at[0] = np.log((channels.counts[free].sum() + 1.0) / max(channels.rate(at)[free].sum(), 1e-300))
    reached = density(at)
    for _ in range(STEPS):
        rate = channels.rate(at)
        gradient = channels.gradient(rate) - precision * (at - mean)
        step = np.linalg.solve(channels.information(rate) + np.diag(precision), gradient)
        scale = next((s for s in 0.5 ** np.arange(20) if density(at + s * step) >= reached), 0.0)
        at = at + scale * step
        before, reached = reached, density(at)
        if reached - before < GAIN:
            break
    return at


def _dispersion(counts: npt.NDArray[np.int64], rate: Array, terms: int) -> float:
    """Mean squared residual in units of the Poisson variance, 1 or more."""
    squares = ((counts - rate) ** 2 / np.maximum(rate, 0.5)).sum()
    return max(float(squares) / max(len(rate) - terms, 1), 1.0)
