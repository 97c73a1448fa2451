"""Methods tried on data whose truth nobody knows: time, counts held out, and whether two halves of the counts agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import jax

from bayesspec.comparison.deviance import component_deviance, held_out_phases
from bayesspec.errors import InputError
from bayesspec.files.saved import SavedPart
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.nmf.held_out import thin
from bayesspec.inference.random_keys import random_key
from bayesspec.results.result import Result, listed
from bayesspec.results.table import Table
from bayesspec.spectroscopy.line_maps import LineMaps

Data = TypeVar("Data", SpectrumImage, LineMaps)
Method = Callable[[Data], Result]
_NEEDED = (
    "a segmentation, or an unmixing of an image",
    "bs.compare(si, {'NMF': lambda si: bs.classical.nmf(si, 4)})",
)


@dataclass(frozen=True, eq=False)
class Trial(SavedPart):
    """One method on the whole data and on two halves of the counts.

    Parameters
    ----------
    name : str
        What the method is called in tables.
    result : Result
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
    result: Result
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
    returned = f"the method {name!r}, which returns"
    result, first, second = listed([result, *(method(half) for half in halves)], *_NEEDED, returned)
    if first.part == second.part == "phase":
        held_out = held_out_phases(halves[1], first)
    elif isinstance(halves[1], SpectrumImage) and "phase" not in (first.part, second.part):
        held_out = component_deviance(halves[1], first)[0]
    else:
        raise InputError(f"{returned} {type(first).__name__} of {type(data).__name__}", *_NEEDED)
    return Trial(name, result, seconds, held_out, first.agreement(second), (first.number, second.number))


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
    number, part = trial.result.number, trial.result.part or "part"
    found = f"{number} {part}s"
    if set(trial.numbers) != {number}:
        found += f"\n{trial.numbers[0]} and {trial.numbers[1]} in the halves"
    agree = trial.result.agreement_words(trial.stability)
    return (trial.name, found, f"{trial.held_out:.5g}", agree, f"{trial.seconds:.2g}")
