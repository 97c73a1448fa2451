"""What the command line does with an image: phases, components, comparison and report, said step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import click

from bayesspec import classical
from bayesspec.cli.analysis_files import AnalysisFiles
from bayesspec.cli.answers import in_options
from bayesspec.cli.elements import with_elements
from bayesspec.cli.outcomes import result_facts
from bayesspec.cli.running import step
from bayesspec.comparison.side_by_side import Comparison, compare
from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.results.line_fit import LineFit
from bayesspec.results.line_result import LineResult
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.result import Result
from bayesspec.results.selection import candidates
from bayesspec.results.thickness import Thickness
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.line_maps import LineMaps, default_lines
from bayesspec.workflows.align_zero_loss import align_zero_loss
from bayesspec.workflows.element_maps import element_maps
from bayesspec.workflows.fit_edges import fit_edges
from bayesspec.workflows.fit_lines import fit_lines
from bayesspec.workflows.segment import segment
from bayesspec.workflows.thickness_map import thickness_map
from bayesspec.workflows.unmixing.unmix import unmix

LOWEST_KEV = 0.2
"""Energy, in keV, below which the zero peak of an X-ray detector is left out."""
CHANNEL_KEV = 0.02
"""Width of a channel, in keV, up to which finer ones are summed."""
LOW_LOSS = "an EELS low loss"
MOST_PIXELS = 2**14
"""Pixels in which components are sought; of more, blocks are summed, and that is said: a minute's work
(python benchmarks/analyse.py)."""
MOST_LINE_PIXELS = 2**14
"""Pixels times lines in which phases are sought where nobody names lines; of more, blocks are summed, and that is said:
a minute's work (python benchmarks/analyse.py)."""
MOST_LINES = 6
"""Lines by which phases are told apart where nobody names them, the strongest of as many elements: a minute's work
(python benchmarks/analyse.py)."""
LEAST_PER_PIXEL = 0.1
"""Counts of such a line in the mean of the pixels: of fewer, nine pixels in ten say nothing."""
NMF_ITERATIONS = 60
"""Iterations of scikit-learn's factorisation, which is there for comparison."""


@dataclass(frozen=True)
class Choices:
    """What the user asks of an analysis.

    Parameters
    ----------
    lines : list of str or None
        Lines to quantify; ``None`` takes those of the image's elements.
    phases, rank : int or range
        Numbers of phases and of components to try.
    seed : int
        Seed of everything random.
    """

    lines: list[str] | None
    phases: Any
    rank: Any
    seed: int


def kind_of(image: SpectrumImage) -> str:
    """Say what an image is: how it is analysed depends on it.

    Parameters
    ----------
    image : SpectrumImage
        The image.

    Returns
    -------
    str
        Such as ``"an EDS map"``, ``"a single EELS spectrum"`` or ``"a low loss"``.
    """
    ny, nx, _ = image.shape
    technique = image.acquisition.technique
    if technique == "EELS" and image.energy[0] < 0 < image.energy[-1]:
        return LOW_LOSS
    if ny * nx == 1:
        return f"a single {technique} spectrum"
    article = "a" if technique == "CL" else "an"
    return f"{article} {technique} {'line scan' if 1 in (ny, nx) else 'map'}"


def analyse_image(image: SpectrumImage, choices: Choices, files: AnalysisFiles) -> dict[str, Any]:
    """Do what the kind of image asks for, and write results and report.

    The summed X-ray lines are fitted, or the edges where elements are named; where there are several pixels, phases and
    components are found and compared with the classical methods; of a low loss the thickness is mapped.

    Parameters
    ----------
    image : SpectrumImage
        Counts.
    choices : Choices
        What was asked for.
    files : AnalysisFiles
        Where the results go.

    Returns
    -------
    dict
        The answer for programs.

    Raises
    ------
    InputError
        When nothing can be said of such an image.
    """
    kind = kind_of(image)
    click.echo(f"  this is {kind}", err=True)
    parts = _found(image, kind, choices, files)
    results = [result for part in parts for result in part.results]
    reference = _reference(results) if choices.lines is None else None
    comparison = None
    if any(part.rivals for part in parts):
        with step("comparing"):
            comparison = _compared(parts)
    with step("writing the report"):
        files.report(results, comparison, reference)
    text = _summary(results, comparison, reference)
    return {"kind": kind, "results": [result_facts(one) for one in results], "text": text}


class Found(NamedTuple):
    """A part of the analysis: results, and the classical ones and the counts that they are compared with."""

    results: list[Result]
    rivals: list[Result]
    data: Any = None


def _found(image: SpectrumImage, kind: str, choices: Choices, files: AnalysisFiles) -> list[Found]:
    """What is found, by kind of image."""
    if kind == LOW_LOSS:
        return [Found(_thickness(image, files), [])]
    parts: list[Found] = []
    technique, several = image.acquisition.technique, image.shape[0] * image.shape[1] > 1
    if technique == "EDS":
        image = with_elements(image)
        if several:
            _refuse_at_once(image, choices)
        parts.append(_lines(image, choices, files))
    elif technique == "EELS" and image.elements:
        parts.append(_edges(image, choices, files))
    if several and technique == "EDS":
        lines, smaller = choices.lines, image
        if lines is None:
            lines = _strongest(image, parts[0].results[0])
            smaller = _fewer_pixels(image, MOST_LINE_PIXELS // max(len(lines), 1), "phases", "segment")
        parts.append(_phases(smaller, replace(choices, lines=lines), files))
    if several:
        smaller = _fewer_pixels(image, MOST_PIXELS, "components", "unmix")
        parts.append(_components(smaller, choices, files))
    if not parts:
        raise InputError(f"{kind} without elements", "the elements of the sample", "elements=['Ti', 'O']")
    return parts


def _refuse_at_once(image: SpectrumImage, choices: Choices) -> None:
    """Refuse lines that cannot be counted and numbers of phases that cannot be before anything is fitted."""
    ny, nx, _ = image.shape
    candidates(choices.phases, "phases", int(image.valid.sum()))
    if choices.lines is not None:
        element_maps(image.rebin(y=ny, x=nx), choices.lines, calibrate=False)


def _fewer_pixels(image: SpectrumImage, most: int, what: str, command: str) -> SpectrumImage:
    """Sum blocks of pixels where there are many, and say so."""
    ny, nx, _ = image.shape
    block = math.ceil(math.sqrt(ny * nx / most))
    if block <= 1:
        return image
    summed = f"{what} are sought in sums over {block} x {block} pixels"
    click.echo(f"  Note: {summed}; bayesspec {command} FILE takes every pixel", err=True)
    return image.rebin(y=min(block, ny), x=min(block, nx))


def _strongest(image: SpectrumImage, fit: Result) -> list[str]:
    """Lines that tell phases apart, one an element, the strongest last, so that ratios are to it."""
    assert isinstance(fit, LineFit)
    counts = fit.intensities.mean
    each = {line: float(counts.sel(line=line)) for line in default_lines(image) if line in fit.lines}
    ordered = sorted(each, key=lambda line: each[line])
    seen = [line for line in ordered if each[line] >= LEAST_PER_PIXEL * int(image.valid.sum())]
    chosen = (seen if len(seen) > 1 else ordered)[-MOST_LINES:]
    if len(chosen) < len(image.elements):
        named = ", ".join(chosen)
        click.echo(f"  Note: phases are told apart by the strongest lines, {named}; --lines takes others", err=True)
    return chosen


def _reference(results: Sequence[Result]) -> str | None:
    """Line that ratios are given to: the strongest of the fitted ones, if all results have it."""
    fits = [result for result in results if isinstance(result, LineFit)]
    if not fits:
        return None
    strongest = fits[0].strongest
    return strongest if all(strongest in result.lines for result in results if isinstance(result, LineResult)) else None


def _compared(parts: Sequence[Found]) -> Comparison:
    """Compare every part on the counts that it is made of."""
    made = [compare(part.data, [*part.results, *part.rivals]) for part in parts if part.rivals and part.data]
    phases, components = ([score for one in made for score in getattr(one, name)] for name in ("phases", "components"))
    return replace(made[-1], phases=tuple(phases), components=tuple(components))


def _summary(results: list[Result], comparison: Comparison | None, reference: str | None) -> str:
    said = [f"{result.heading}: {in_options(result.verdict)}" for result in results]
    said += [result.table(reference).to_text() for result in results]
    return "\n\n".join(["\n".join(said), *([comparison.to_text()] if comparison else [])])


def _of_sum(fit: Callable[..., Result], what: str) -> Callable[[SpectrumImage, Choices, AnalysisFiles], Found]:
    """A part of the analysis that fits the summed spectrum."""

    def part(image: SpectrumImage, choices: Choices, files: AnalysisFiles) -> Found:
        with step(f"fitting the {what} of the summed spectrum"):
            found = fit(image, seed=choices.seed)
            files.save(found, what)
        click.echo(f"  {in_options(found.verdict)}", err=True)
        return Found([found], [])

    return part


_lines, _edges = _of_sum(fit_lines, "lines"), _of_sum(fit_edges, "edges")


def _thickness(image: SpectrumImage, files: AnalysisFiles) -> list[Result]:
    with step("aligning the zero loss and mapping the thickness"):
        found = Thickness.of(thickness_map(align_zero_loss(image).low_loss))
        files.save(found, "thickness")
    click.echo(f"  {in_options(found.verdict)}", err=True)
    return [found]


def _coarse_energy(image: SpectrumImage) -> SpectrumImage:
    """Leave out the zero peak of an X-ray detector, and sum channels far finer than its resolution."""
    if image.acquisition.technique != "EDS":
        return image
    above = image.crop(energy=(LOWEST_KEV, float(image.energy[-1])))
    return above.rebin(energy=max(1, round(CHANNEL_KEV / image.energy_step)))


def _phases(image: SpectrumImage, choices: Choices, files: AnalysisFiles) -> Found:
    lines = choices.lines or []
    if len(lines) < 2:
        click.echo(f"  Note: no phases: {', '.join(lines)} alone, and a composition is a ratio", err=True)
        return Found([], [])
    with step("counting lines"):
        maps = element_maps(image, lines)
    with step("finding phases"):
        found = segment(maps, choices.phases, seed=choices.seed)
        files.save(found, "phases")
    click.echo(f"  {in_options(found.verdict)}", err=True)
    with step("k-means"):
        rivals = _clusterings(maps, found.n_phases, choices.seed)
    return Found([found], rivals, maps)


def _clusterings(maps: LineMaps, n: int, seed: int) -> list[Result]:
    """Cluster as is usual: the ratio of two lines, or the shares of more."""
    of = "ratio" if len(maps.lines) == 2 else "normalised"
    return [classical.kmeans(maps, n, seed=seed, of=of, smooth=smooth) for smooth in (0.0, 2.0)]


def _components(image: SpectrumImage, choices: Choices, files: AnalysisFiles) -> Found:
    image = _coarse_energy(image)
    click.echo(f"  components are sought in {image}", err=True)
    with step("finding components"):
        found = _unmixed(image, choices)
        files.save(found, "components")
    click.echo(f"  {in_options(found.verdict)}", err=True)
    with step("SVD and NMF"):
        rivals = [
            classical.svd(image, found.rank),
            classical.nmf(image, found.rank, seed=choices.seed, max_iterations=NMF_ITERATIONS),
        ]
    return Found([found], list(rivals), image)


def _unmixed(image: SpectrumImage, choices: Choices) -> Unmixing | PrincipalComponents:
    """Unmix into lines of the elements and a continuum, where there are X-ray lines, else into free spectra."""
    if image.acquisition.technique == "EDS" and image.energy_unit == "keV" and image.elements:
        try:
            return unmix(image, choices.rank, seed=choices.seed, elements=list(image.elements))
        except InputError as error:
            click.echo(f"  Note: components of free spectra, since {in_options(str(error))}", err=True)
    return unmix(image, choices.rank, seed=choices.seed)
