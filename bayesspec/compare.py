"""Results side by side: what each method found, and how far that is from the counts and from the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.comparison_table import Table
from bayesspec.components import Unmixing
from bayesspec.element_maps import LineMaps, element_maps
from bayesspec.errors import InputError
from bayesspec.goodness import component_deviance, phase_deviance
from bayesspec.labels import accuracy, match_components, match_phases, spectral_angle
from bayesspec.phases import Segmentation
from bayesspec.posterior import PROB, Estimate, format_uncertain
from bayesspec.results import Result
from bayesspec.spectrum_image import SpectrumImage

TRUTH = "truth"


@dataclass(frozen=True, eq=False)
class PhaseScore:
    """What one segmentation found.

    Parameters
    ----------
    result : Segmentation
        The segmentation.
    ratios : mapping of str to Estimate, dims (phase,)
        Ratio of every line to the last one, by name such as ``"Fe_Ka/O_Ka"``.
    deviance : float
        Multinomial deviance per pixel of the window counts; smaller is closer to the counts.
    partners : array, shape (phase,), int64, or None
        The true phase of each phase, -1 for none; ``None`` where the truth is not known.
    accuracy : float or None
        Share of the pixels with the right label.
    ratio_errors : mapping of str to array, shape (phase,), float64
        Relative error of each ratio; empty where the truth is not known.
    """

    result: Segmentation
    ratios: Mapping[str, Estimate]
    deviance: float
    partners: npt.NDArray[np.int64] | None
    accuracy: float | None
    ratio_errors: Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class ComponentScore:
    """What one unmixing found.

    Parameters
    ----------
    result : Unmixing
        The unmixing.
    deviance : float
        Poisson deviance (twice the Kullback-Leibler divergence) per entry of the reconstruction.
    negative : float
        Share of the entries whose reconstruction is negative.
    partners : array, shape (component,), int64, or None
        The true component of each component, -1 for none; ``None`` where the truth is not known.
    angles : array, shape (component,), float64, or None
        Spectral angle to the true component in degrees; NaN without a partner.
    """

    result: Unmixing
    deviance: float
    negative: float
    partners: npt.NDArray[np.int64] | None
    angles: npt.NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class Comparison:
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
    """

    name: str
    phases: tuple[PhaseScore, ...]
    components: tuple[ComponentScore, ...]
    truth: Mapping[str, Any] | None

    @property
    def tables(self) -> tuple[Table, ...]:
        """Tables of the segmentations and of the unmixings, those that are not empty."""
        made = [_phase_table(self)] if self.phases else []
        return tuple(made + ([_component_table(self)] if self.components else []))

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


def compare(
    data: SpectrumImage | LineMaps, results: Sequence[Result], *, truth: Mapping[str, Any] | None = None
) -> Comparison:
    """Put segmentations and unmixings of the same data side by side.

    Parameters
    ----------
    data : SpectrumImage or LineMaps
        The counts that were analysed. Unmixings need the image; of an image, segmentations are compared on
        their own lines.
    results : sequence of Segmentation or Unmixing
        What to compare.
    truth : mapping or None
        The simulated truth: ``labels`` (y, x), ``ratio`` (phase,) of ``ratio_lines``, ``spectra``
        (component, energy), each optional; ``None`` takes that of the data, where there is one.

    Returns
    -------
    Comparison
        Scores and tables.

    Raises
    ------
    InputError
        When there is nothing to compare, or a result does not belong to the data.
    """
    wrong = [type(r).__name__ for r in results if not isinstance(r, Segmentation | Unmixing)]
    if not results or wrong:
        raise InputError(
            f"results of types {wrong}" if wrong else "no results",
            "one or more segmentations or unmixings",
            "bs.compare(si, [fit, bs.classical.svd(si, 4)])",
        )
    for result in results:
        _check_shape(data, result)
    truth = data.truth if truth is None else truth
    maps: dict[tuple[str, ...], LineMaps] = {}
    phases = tuple(_phase_score(data, r, truth, maps) for r in results if isinstance(r, Segmentation))
    image = data if isinstance(data, SpectrumImage) else None
    components = tuple(_component_score(image, r, truth) for r in results if image and isinstance(r, Unmixing))
    return Comparison(data.name, phases, components, truth)


def _check_shape(data: SpectrumImage | LineMaps, result: Result) -> None:
    shape = tuple(result.data.sizes[d] for d in "yx")
    needed: tuple[int, ...] = data.counts.shape[:2]
    if isinstance(result, Unmixing):
        shape += (result.data.sizes["energy"],)
        needed = data.counts.shape if isinstance(data, SpectrumImage) else (*needed, -1)
    if shape != needed:
        kind = "image" if isinstance(data, SpectrumImage) else "line maps"
        raise InputError(
            f"the result {result.method!r} of shape {shape} beside {kind} of shape {data.counts.shape}",
            "results of these data; an unmixing is compared on the image that was unmixed",
            "bs.compare(si, [bs.unmix(si, rank=4), bs.classical.svd(si, 4)])",
        )


def _phase_score(
    data: SpectrumImage | LineMaps,
    result: Segmentation,
    truth: Mapping[str, Any] | None,
    maps: dict[tuple[str, ...], LineMaps],
) -> PhaseScore:
    if result.lines not in maps:
        maps[result.lines] = element_maps(data, result.lines) if isinstance(data, SpectrumImage) else data
    names = [(line, result.lines[-1]) for line in result.lines[:-1]]
    ratios = {"/".join(pair): result.ratio(*pair) for pair in names}
    deviance = phase_deviance(maps[result.lines], result)
    if truth is None or "labels" not in truth:
        return PhaseScore(result, ratios, deviance, None, None, {})
    partners = match_phases(result.labels, truth["labels"])
    errors = {}
    name = "/".join(truth.get("ratio_lines", ()))
    if name in ratios:
        true = np.append(np.asarray(truth["ratio"], np.float64), np.nan)[partners]
        errors[name] = ratios[name].mean.values / true - 1
    return PhaseScore(result, ratios, deviance, partners, accuracy(result.labels, truth["labels"]), errors)


def _component_score(data: SpectrumImage, result: Unmixing, truth: Mapping[str, Any] | None) -> ComponentScore:
    deviance, negative = component_deviance(data, result)
    if truth is None or "spectra" not in truth:
        return ComponentScore(result, deviance, negative, None, None)
    use = data.valid_channels
    spectra = result.spectra["mean"].values[:, use]
    true = np.asarray(truth["spectra"], np.float64)[:, use]
    partners = match_components(spectra, true)
    angles = np.where(partners >= 0, spectral_angle(spectra, true[partners]), np.nan)
    return ComponentScore(result, deviance, negative, partners, angles)


def _cells(estimate: Estimate, order: npt.NDArray[np.int64]) -> str:
    mean, sd = estimate.mean.values, estimate.sd.values
    return ", ".join(format_uncertain(float(mean[i]), float(sd[i])) for i in order)


def _phase_table(comparison: Comparison) -> Table:
    truth = comparison.truth or {}
    known = any(score.accuracy is not None for score in comparison.phases)
    names = list(dict.fromkeys(name for score in comparison.phases for name in score.ratios))
    columns = ["method", "phases", *names, "deviance per pixel"]
    columns += ["labels right", "largest ratio error"] if known else []
    rows = []
    for score in comparison.phases:
        order = _order(score.partners, score.result.n_phases)
        cells = [score.result.method, str(score.result.n_phases)]
        cells += [_cells(score.ratios[n], order) if n in score.ratios else "" for n in names]
        cells.append(f"{score.deviance:.3f}")
        if known:
            errors = np.concatenate([*score.ratio_errors.values(), [np.nan]])
            worst = f"{100 * np.nanmax(np.abs(errors)):.2f} %" if np.isfinite(errors).any() else ""
            cells += ["" if score.accuracy is None else f"{100 * score.accuracy:.1f} %", worst]
        rows.append(tuple(cells))
    if known and "/".join(truth.get("ratio_lines", ())) in names:
        rows.append(tuple(_true_cells(columns, truth)))
    note = (
        f"Ratios with their standard deviation in parentheses where the method gives one. Deviance: of the window "
        f"counts under the phases' compositions and area fractions, position ignored; smaller is closer. "
        f"Intervals hold {100 * PROB:.0f} %."
    )
    return Table("Phases", tuple(columns), tuple(rows), note)


def _true_cells(columns: Sequence[str], truth: Mapping[str, Any]) -> list[str]:
    ratios = ", ".join(f"{r:.3f}" for r in np.asarray(truth["ratio"]))
    known = {
        "method": TRUTH,
        "phases": str(len(truth["ratio"])),
        "/".join(truth["ratio_lines"]): ratios,
    }
    return [known.get(column, "") for column in columns]


def _order(partners: npt.NDArray[np.int64] | None, n: int) -> npt.NDArray[np.int64]:
    """Phases in the order of the truth, those without a partner last."""
    if partners is None:
        return np.arange(n)
    return np.argsort(np.where(partners < 0, n + partners.max() + 1, partners), kind="stable")


def _component_table(comparison: Comparison) -> Table:
    known = any(score.angles is not None for score in comparison.components)
    columns = ["method", "components", "deviance per entry", "negative entries"]
    columns += ["spectral angles (degrees)"] if known else []
    rows = []
    for score in comparison.components:
        cells = [score.result.method, str(score.result.rank)]
        cells += [f"{score.deviance:.5f}", f"{100 * score.negative:.1f} %"]
        if known:
            cells.append(_angles(score))
        rows.append(tuple(cells))
    note = (
        "Deviance: Poisson, of the counts in every pixel and channel from abundances times spectra; smaller is closer, "
        "and more components always fit closer. Negative entries: expected counts below 0, which cannot be."
    )
    return Table("Components", tuple(columns), tuple(rows), note)


def _angles(score: ComponentScore) -> str:
    if score.angles is None:
        return ""
    order = _order(score.partners, score.result.rank)
    return ", ".join(f"{score.angles[i]:.1f}" for i in order if np.isfinite(score.angles[i]))
