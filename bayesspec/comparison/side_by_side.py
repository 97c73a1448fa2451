"""Results side by side: what each method found, and how far that is from the counts and from the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesspec.comparison.deviance import component_deviance, maps_like, phase_deviance
from bayesspec.comparison.reproducibility import Data, Method, Trial, run_trials, trial_table
from bayesspec.comparison.scores import ComponentScore, PhaseScore, component_table, phase_table
from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, mapping_or_none
from bayesspec.files.saved import Saved
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.labels import accuracy, match_components, match_phases, spectral_angle
from bayesspec.results.result import Result, listed
from bayesspec.results.table import Table
from bayesspec.spectroscopy.line_maps import LineMaps


@dataclass(frozen=True, eq=False)
class Comparison(Saved):
    """Methods side by side.

    Parameters
    ----------
    name : str
        Name of the data.
    phases : tuple of PhaseScore
        One for each segmentation.
    components : tuple of ComponentScore
        One for each unmixing.
    truth : mapping or None
        The simulated truth.
    trials : tuple of Trial
        What needs no truth: time, held-out counts and stability; where methods were given in place of results.
    """

    name: str
    phases: tuple[PhaseScore, ...]
    components: tuple[ComponentScore, ...]
    truth: Mapping[str, Any] | None
    trials: tuple[Trial, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """Tables of the segmentations and of the unmixings, those that are not empty."""
        made = [phase_table(self.phases, self.truth)] if self.phases else []
        made += [component_table(self.components)] if self.components else []
        return tuple(made + ([trial_table(self.trials)] if self.trials else []))

    def to_text(self) -> str:
        """Print the comparison.

        Returns
        -------
        str
            Aligned columns.
        """
        return "\n\n".join(table.to_text() for table in self.tables)

    def to_html(self) -> str:
        """Print the comparison for a page.

        Returns
        -------
        str
            HTML tables; every cell escaped.
        """
        return "\n".join(table.to_html() for table in self.tables)

    def to_tex(self) -> str:
        """Print the comparison for a paper.

        Returns
        -------
        str
            LaTeX tables that need the booktabs package.
        """
        return "\n\n".join(table.to_tex() for table in self.tables)

    def __repr__(self) -> str:
        return self.to_text()


@checked_arguments(truth=mapping_or_none)
def compare(
    data: Data,
    results: Sequence[Result] | Mapping[str, Method[Data]],
    *,
    truth: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Comparison:
    """Put segmentations and unmixings of the same data side by side.

    Parameters
    ----------
    data : SpectrumImage or LineMaps
        The counts that were analysed. Unmixings need the image; of an image, segmentations are compared on
        their own lines.
    results : sequence of Result, or mapping of str to callable
        What to compare: results, or methods by name, each a function from the data to a result. Methods are run on
        the data and on two random halves of the counts, and a table says without any truth how long each takes,
        how well one half predicts the other, and how far the halves agree.
    truth : mapping or None
        The simulated truth: ``labels`` (y, x), ``ratio`` (phase,) of ``ratio_lines``, ``spectra``
        (component, energy), each optional; ``None`` takes that of the data, where there is one.
    seed : int
        Seed of the division into halves, where methods are given.

    Returns
    -------
    Comparison
        Scores and tables.

    Raises
    ------
    InputError
        When there is nothing to compare, or a result does not belong to the data.

    Examples
    --------
    >>> import bayesspec as bs
    >>> maps = bs.simulate.iron_oxide_lines(1000, (24, 24), seed=0)
    >>> table = bs.compare(maps, [bs.segment(maps, 2), bs.classical.kmeans(maps, 2)])
    >>> "k-means" in table.to_text()
    True
    """
    if isinstance(results, Mapping) and not all(callable(method) for method in results.values()):
        raise InputError(
            f"methods of types {[type(method).__name__ for method in results.values()]}",
            "functions of the data, each under its name",
            "bs.compare(si, {'NMF': lambda si: bs.classical.nmf(si, 4)})",
        )
    if isinstance(results, Result) or not isinstance(results, Mapping | Sequence):
        results = [results]
    trials = run_trials(data, results, seed=seed) if isinstance(results, Mapping) else ()
    shown = listed(
        [trial.result for trial in trials] if isinstance(results, Mapping) else results,
        "one or more segmentations or unmixings",
        "bs.compare(si, [fit, bs.classical.svd(si, 4)])",
    )
    for result in shown:
        _check_shape(data, result)
    truth = data.truth if truth is None else truth
    maps: dict[tuple[str, ...], LineMaps] = {}
    phases = tuple(_phase_score(data, r, truth, maps) for r in shown if r.part == "phase")
    image = data if isinstance(data, SpectrumImage) else None
    components = tuple(_component_score(image, r, truth) for r in shown if r.part != "phase" and image)
    return Comparison(data.name, phases, components, truth, trials)


def _check_shape(data: SpectrumImage | LineMaps, result: Result) -> None:
    shape: tuple[int, ...] = result.counts_shape
    needed: tuple[int, ...] = data.shape if isinstance(data, SpectrumImage) else data.counts.shape
    if result.part == "phase":
        shape, needed = shape[:2], needed[:2]
    elif not isinstance(data, SpectrumImage):
        needed = (*needed[:2], -1)
    if not result.is_of(data):
        raise InputError(
            f"the result {result.method!r} of other counts than those of {data.name!r}",
            "results of these data",
            "bs.compare(si, [...]), with the si that the results were made of",
        )
    if shape != needed:
        kind = "image" if isinstance(data, SpectrumImage) else "line maps"
        raise InputError(
            f"the result {result.method!r} of shape {shape} beside {kind} of shape {needed}",
            "results of these data; an unmixing is compared on the image that was unmixed",
            "bs.compare(si, [bs.unmix(si, rank=4), bs.classical.svd(si, 4)])",
        )


def _phase_score(
    data: SpectrumImage | LineMaps,
    result: Any,
    truth: Mapping[str, Any] | None,
    maps: dict[tuple[str, ...], LineMaps],
) -> PhaseScore:
    of = (*result.lines, result.provenance.get("calibration", ""))
    if of not in maps:
        maps[of] = maps_like(data, result)
    names = [(line, result.lines[-1]) for line in result.lines[:-1]]
    ratios = {"/".join(pair): result.ratio(*pair) for pair in names}
    deviance = phase_deviance(maps[of], result)
    if truth is None or "labels" not in truth:
        return PhaseScore(result, ratios, deviance, None, None, {})
    partners = match_phases(result.labels, truth["labels"])
    errors = {}
    name = "/".join(truth.get("ratio_lines", ()))
    if name in ratios:
        true = np.append(np.asarray(truth["ratio"], np.float64), np.nan)[partners]
        errors[name] = ratios[name].mean.values / true - 1
    return PhaseScore(result, ratios, deviance, partners, accuracy(result.labels, truth["labels"]), errors)


def _component_score(data: SpectrumImage, result: Result, truth: Mapping[str, Any] | None) -> ComponentScore:
    deviance, negative = component_deviance(data, result)
    spectra = result.comparable_spectra()
    if truth is None or "spectra" not in truth or spectra is None:
        return ComponentScore(result, deviance, negative, None, None)
    use = data.valid_channels
    true = np.asarray(truth["spectra"], np.float64)[:, use]
    partners = match_components(spectra[:, use], true)
    angles = np.where(partners >= 0, spectral_angle(spectra[:, use], true[partners]), np.nan)
    return ComponentScore(result, deviance, negative, partners, angles)
