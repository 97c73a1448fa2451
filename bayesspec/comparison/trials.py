"""Methods tried on data whose truth nobody knows: time, counts held out, and whether two halves of the counts agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import jax
import numpy as np
import numpy.typing as npt
from scipy.linalg import subspace_angles
from scipy.special import logsumexp, xlogy

from bayesspec.comparison.scores import component_deviance
from bayesspec.comparison.table import Table
from bayesspec.errors import InputError
from bayesspec.files.saved import SavedPart
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.nmf.held_out import thin
from bayesspec.inference.random_keys import random_key
from bayesspec.labels import accuracy, match_components, spectral_angle
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.line_maps import LineMaps, element_maps

Data = TypeVar("Data", SpectrumImage, LineMaps)
Method = Callable[[Data], Segmentation | Unmixing | PrincipalComponents]


@dataclass(frozen=True, eq=False)
class Trial(SavedPart):
    """One method on the whole data and on two halves of the counts.

    Parameters
    ----------
    name : str
        What the method is called in tables.
    result : Segmentation, Unmixing or PrincipalComponents
        Result of the whole data.
    seconds : float
        Time of that run, compilation included.
    held_out : float
        Deviance of one half of the counts under the result of the other; per pixel for a segmentation, per entry
        for an unmixing.
    stability : float
        How far the results of the halves agree: share of the pixels with the same label, or mean angle between
        the spectra in degrees, or between the spaces that principal components span; NaN where they have no pixel in
        common.
    numbers : tuple of int
        Number of phases or components found in each half.
    """

    name: str
    result: Segmentation | Unmixing | PrincipalComponents
    seconds: float
    held_out: float
    stability: float
    numbers: tuple[int, int]


def run_trials(data: Data, methods: Mapping[str, Method[Data]], *, seed: int) -> tuple[Trial, ...]:
    """Run every method on the data and on two independent halves of the counts.

    Parameters
    ----------
    data : SpectrumImage or LineMaps
        The counts.
    methods : mapping of str to callable
        Each takes data of the same type and returns a segmentation or an unmixing.
    seed : int
        Seed of the division into halves.

    Returns
    -------
    tuple of Trial
        One for each method.

    Raises
    ------
    InputError
        When a method returns something else.
    """
    halves = divided(data, seed)
    return tuple(_trial(name, method, data, halves) for name, method in methods.items())


def divided(data: Data, seed: int) -> tuple[Data, Data]:
    """Divide the counts at random into two halves, which are independent where counts are Poisson.

    Parameters
    ----------
    data : SpectrumImage or LineMaps
        The counts.
    seed : int
        Seed of the division.

    Returns
    -------
    tuple of the same type
        The halves; they add to the counts.
    """
    keys = jax.random.split(random_key(seed))
    first, second = thin(data.counts, 0.5, key=keys[0])
    if isinstance(data, SpectrumImage):
        return replace(data, counts=first), replace(data, counts=second)
    if data.side_counts is None:
        return replace(data, counts=first), replace(data, counts=second)
    sides = thin(data.side_counts, 0.5, key=keys[1])
    return (
        replace(data, counts=first, side_counts=sides[0]),
        replace(data, counts=second, side_counts=sides[1]),
    )


def _trial(name: str, method: Method[Data], data: Data, halves: tuple[Data, Data]) -> Trial:
    begun = time.perf_counter()
    result = method(data)
    seconds = time.perf_counter() - begun
    first, second = (method(half) for half in halves)
    rest = halves[1]
    if isinstance(rest, SpectrumImage) and not isinstance(first, Segmentation) and not isinstance(second, Segmentation):
        held_out = component_deviance(rest, first)[0]
        return Trial(name, result, seconds, held_out, _angle(first, second), (first.rank, second.rank))
    if isinstance(first, Segmentation) and isinstance(second, Segmentation):
        held_out = held_out_phases(rest, first)
        numbers = (first.n_phases, second.n_phases)
        return Trial(name, result, seconds, held_out, accuracy(first.labels, second.labels), numbers)
    raise InputError(
        f"the method {name!r}, which returns {type(first).__name__} of {type(data).__name__}",
        "a segmentation, or an unmixing of an image",
        "bs.compare(si, {'NMF': lambda si: bs.classical.nmf(si, 4)})",
    )


def _angle(first: Unmixing | PrincipalComponents, second: Unmixing | PrincipalComponents) -> float:
    if isinstance(first, PrincipalComponents) or isinstance(second, PrincipalComponents):
        return float(np.degrees(subspace_angles(_span(first), _span(second))).mean())
    a, b = (fit.spectra["mean"].values for fit in (first, second))
    partner = match_components(a, b)
    return float(np.mean(spectral_angle(a[partner >= 0], b[partner[partner >= 0]])))


def _span(fit: Unmixing | PrincipalComponents) -> npt.NDArray[np.float64]:
    """Spectra (energy, component), zero in excluded channels."""
    table = fit.components if isinstance(fit, PrincipalComponents) else fit.spectra
    return np.nan_to_num(table["mean"].values.T.astype(np.float64))


def held_out_phases(data: SpectrumImage | LineMaps, result: Segmentation) -> float:
    """Multinomial deviance per pixel of counts that the labels have not seen.

    Parameters
    ----------
    data : SpectrumImage or LineMaps
        The counts held out.
    result : Segmentation
        Probabilities of the phases, from other counts of the same pixels.

    Returns
    -------
    float
        Each pixel's counts under the compositions of its phases, weighted with their probabilities. The
        compositions are pooled from the counts held out: labels that follow the noise of their own counts mix them.
    """
    maps = element_maps(data, result.lines) if isinstance(data, SpectrumImage) else data
    shares = result.probabilities.values
    counts = maps.window_counts().astype(np.float64)
    use = maps.valid & np.isfinite(shares).all(axis=2) & (counts.sum(axis=2) > 0)
    counts, shares = counts[use], shares[use].astype(np.float64)
    pooled = shares.T @ counts
    kept = pooled.sum(axis=1) > 0
    composition = pooled[kept] / pooled[kept].sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        terms = xlogy(counts[:, None], composition[None]).sum(axis=2) + np.log(shares[:, kept])
    best = xlogy(counts, counts / counts.sum(axis=1, keepdims=True)).sum(axis=1)
    return float(2 * np.mean(best - logsumexp(terms, axis=1)))


def trial_table(trials: Sequence[Trial]) -> Table:
    """Table of methods tried without a truth.

    Parameters
    ----------
    trials : sequence of Trial
        One for each method.

    Returns
    -------
    Table
        One row a method.
    """
    columns = ("method", "found", "held-out deviance", "halves agree", "seconds")
    rows = tuple(_row(trial) for trial in trials)
    note = (
        "Held-out deviance: of one half of the counts under the result of the other half, per pixel for phases and per "
        "entry for components; smaller predicts better, and only rows of the same kind compare. Halves agree: share of "
        "the pixels with the same label in both halves, or mean angle between their spectra. Seconds: one run on the "
        "whole data, compilation included."
    )
    return Table("Without a truth", columns, rows, note)


def _row(trial: Trial) -> tuple[str, ...]:
    phases = isinstance(trial.result, Segmentation)
    number = trial.result.n_phases if isinstance(trial.result, Segmentation) else trial.result.rank
    found = f"{number} {'phases' if phases else 'components'}"
    if set(trial.numbers) != {number}:
        found += f"\n{trial.numbers[0]} and {trial.numbers[1]} in the halves"
    agree = f"{100 * trial.stability:.1f} %" if phases else f"{trial.stability:.2f} degrees"
    return (trial.name, found, f"{trial.held_out:.5g}", agree, f"{trial.seconds:.2g}")
