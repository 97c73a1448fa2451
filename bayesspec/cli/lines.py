"""Lines of one spectrum or several: which elements, how many counts, what composition, and how far repeats agree."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from bayesspec.cli.options import READING, WRITING, options
from bayesspec.cli.outcomes import delivery, result_facts, result_text
from bayesspec.cli.reading import read, recorded
from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.results.estimate import Estimate, format_uncertain
from bayesspec.results.line_fit import LineFit
from bayesspec.results.table import Table
from bayesspec.workflows.fit_lines import fit_lines
from bayesspec.workflows.identify_lines import Identification, identify_lines

commands = click.Group()
THIN_KEV = 40.0
"""Beam energy, in keV, below which a sample is taken to be thick: scanning microscopes end at 30 keV, transmission
microscopes begin at 60 keV. Of thick samples no composition is given without standards."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A spectrum, and what its lines are.

    Parameters
    ----------
    file : pathlib.Path
        Where it came from.
    image : SpectrumImage
        The spectrum, or the image whose sum is fitted.
    found : Identification or None
        Elements that were found; ``None`` where they were named.
    fit : LineFit
        The lines.
    """

    file: Path
    image: SpectrumImage
    found: Identification | None
    fit: LineFit

    def composition(self, *, thin: bool) -> dict[str, Estimate]:
        """Composition of a thin film by k-factors of theory; empty where it cannot be given."""
        beam = self.image.acquisition.beam_energy_kev
        if beam is None or (beam < THIN_KEV and not thin):
            return {}
        return self.fit.composition()


@commands.command("lines")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@options("lines", "thin", "seed", *READING, *WRITING)
def lines_command(*, files: Sequence[Path], thin: bool, **values: Any) -> None:
    """Identify and fit the X-ray lines of spectra, or of the sums of images.

    Several FILEs are taken for repeats: the same elements are fitted in all, and a table compares the ratios of their
    lines, with weighted means and scatter.
    """
    with delivery(values) as deliver:
        spectra = fitted(files, values)
        parts = [_one(spectrum, thin=thin) for spectrum in spectra]
        facts: dict[str, Any] = {"files": [facts for facts, _ in parts]}
        texts = [text for _, text in parts]
        tables = {}
        if len(spectra) > 1:
            rows = repeats(spectra, thin=thin)
            facts["combined"] = rows
            texts.append(_combined(spectra, rows).to_text())
            tables["lines.csv"] = _csv(spectra, rows)
        deliver([spectrum.fit for spectrum in spectra], facts, "\n\n".join(texts), tables)


def fitted(files: Sequence[Path], values: Mapping[str, Any]) -> list[Spectrum]:
    """Read, identify and fit spectra; the elements that most of them show are fitted in all.

    Parameters
    ----------
    files : sequence of pathlib.Path
        The files.
    values : mapping
        Options of the command.

    Returns
    -------
    list of Spectrum
        The fits.

    Raises
    ------
    InputError
        When one of them is no X-ray spectrum, or shows no element.
    """
    images = [read(file, values) for file in files]
    named = values.get("elements")
    identified = [None if named else identify_lines(image) for image in images]
    elements = named or _shown_by_most([one for one in identified if one is not None])
    if not elements:
        raise InputError(f"no lines of an element in {images[0]}", "the elements of the sample", "elements=['Fe', 'O']")
    made = []
    for file, image, found in zip(files, images, identified, strict=True):
        seen = recorded(image.changed(elements=tuple(elements)))
        fit = fit_lines(seen, lines=values.get("lines") or (), seed=values["seed"])
        made.append(Spectrum(file, seen, found, fit))
    return made


def _shown_by_most(identified: Sequence[Identification]) -> list[str]:
    """Elements that more than half of the spectra show; the others are said."""
    shown = Counter(element for one in identified for element in one.elements)
    few = [element for element, n in shown.items() if 2 * n <= len(identified)]
    if few:
        click.echo(f"  Note: {', '.join(few)} left out: found in half of the files or fewer", err=True)
    return [element for element in shown if element not in few]


def _one(spectrum: Spectrum, *, thin: bool) -> tuple[dict[str, Any], str]:
    """The answer of one file, for programs and for people."""
    fit, found = spectrum.fit, spectrum.found
    facts: dict[str, Any] = {"file": str(spectrum.file), "intensities": fit.intensities}
    text = [result_text(fit, strongest([fit]))]
    if found is not None:
        names = ("element", "line", "counts", "probability", "alternatives", "outside")
        facts["elements"] = [{name: getattr(one, name) for name in names} for one in found.found]
        facts["unexplained_kev"] = found.unexplained
        text.insert(0, f"Elements: {', '.join(map(str, found.found))}")
    composition = spectrum.composition(thin=thin)
    if composition:
        text.append(f"\nAtomic per cent, as of a thin film, k-factors of theory: {composition['atomic_percent']}")
    else:
        text.append(f"\n{_no_composition(spectrum.image)}")
    return facts | {"composition": composition, "fit": result_facts(fit)}, "\n".join(text)


def _no_composition(image: SpectrumImage) -> str:
    beam = image.acquisition.beam_energy_kev
    if beam is None:
        return "No composition: the beam energy is not known (--beam-energy)."
    return (
        f"No composition: at {beam:g} keV the sample is taken to be thick, and needs standards (bayesspec.k_ratios and "
        "bayesspec.quantify in Python); --thin gives that of a thin film."
    )


def repeats(spectra: Sequence[Spectrum], *, thin: bool) -> list[dict[str, Any]]:
    """Compare spectra: ratio of every line to the strongest one, and atomic per cent where they are known.

    Parameters
    ----------
    spectra : sequence of Spectrum
        Two or more.
    thin : bool
        Whether the sample is a thin film whatever the beam energy.

    Returns
    -------
    list of dict
        For every quantity its ``name``, the ``values`` and ``sds`` of the files, the weighted ``mean`` with its ``sd``,
        the ``scatter`` (standard deviation of the files), and ``excess``: root of chi squared over its degrees of
        freedom, 1 where the files scatter as their errors say.
    """
    common = [line for line in spectra[0].fit.lines if all(line in s.fit.lines for s in spectra)]
    reference = strongest([s.fit for s in spectra])
    quantities = {
        f"{line}/{reference}": [s.fit.ratio(line, reference) for s in spectra] for line in common if line != reference
    }
    compositions = [s.composition(thin=thin).get("atomic_percent") for s in spectra]
    if all(one is not None for one in compositions):
        names = [str(name) for name in compositions[0].mean["element"].values]  # type: ignore[union-attr]
        shared = [name for name in names if all(name in c.mean["element"].values for c in compositions)]  # type: ignore[union-attr]
        quantities |= {f"{name} (at.%)": [c.sel(element=name) for c in compositions] for name in shared}  # type: ignore[union-attr]
    return [{"name": name, **weighted(estimates)} for name, estimates in quantities.items()]


def strongest(fits: Sequence[LineFit]) -> str:
    """The line with most counts among those of all fits.

    Parameters
    ----------
    fits : sequence of LineFit
        One or more.

    Returns
    -------
    str
        Its name.
    """
    common = [line for line in fits[0].lines if all(line in fit.lines for fit in fits)]
    return common[int(np.argmax(sum(fit.intensities_of(common).mean.values for fit in fits)))]


def weighted(estimates: Sequence[Estimate]) -> dict[str, Any]:
    """Weighted mean of one quantity, and how far the values scatter.

    Parameters
    ----------
    estimates : sequence of Estimate, dims ()
        Two or more.

    Returns
    -------
    dict
        As `repeats` describes it.
    """
    values = np.array([float(one.mean) for one in estimates])
    sds = np.array([float(one.sd) for one in estimates])
    weights = 1 / np.maximum(sds, 1e-300) ** 2
    mean = float(np.sum(weights * values) / weights.sum())
    excess = np.sqrt(np.sum(weights * (values - mean) ** 2) / (len(values) - 1))
    return {
        "values": values,
        "sds": sds,
        "mean": mean,
        "sd": float(1 / np.sqrt(weights.sum())),
        "scatter": float(values.std(ddof=1)),
        "excess": float(excess),
    }


def _cells(row: Mapping[str, Any]) -> list[str]:
    pairs = [*zip(row["values"], row["sds"], strict=True), (row["mean"], row["sd"])]
    return [format_uncertain(float(mean), float(sd)) for mean, sd in pairs]


def _combined(spectra: Sequence[Spectrum], rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = ("quantity", *(s.file.stem for s in spectra), "weighted mean", "scatter", "over errors")
    cells = [(row["name"], *_cells(row), f"{row['scatter']:.2g}", f"{row['excess']:.2f}") for row in rows]
    note = (
        "In parentheses one standard deviation; scatter is the standard deviation of the files, over errors is 1 where "
        "they scatter as their errors say: where it is more, multiply the error of the mean by it."
    )
    return Table(f"{len(spectra)} spectra", columns, tuple(cells), note)


def _csv(spectra: Sequence[Spectrum], rows: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    files = [name for s in spectra for name in (s.file.name, f"sd of {s.file.name}")]
    writer.writerow(["quantity", *files, "weighted mean", "sd", "scatter", "over errors"])
    for row in rows:
        pairs = [value for pair in zip(row["values"], row["sds"], strict=True) for value in pair]
        writer.writerow([row["name"], *pairs, row["mean"], row["sd"], row["scatter"], row["excess"]])
    return stream.getvalue()
