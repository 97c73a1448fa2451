"""The lines of one spectrum, or of an image's summed spectrum, fitted as Poisson counts on a continuum."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError, warn
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.one_spectrum import draw_intensities
from bayesspec.inference.linear_poisson.variance_parts import PARTS, variance_parts
from bayesspec.inference.random_keys import seed_for
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame
from bayesspec.results.line_fit import LineFit
from bayesspec.spectroscopy.unnamed_lines import UnnamedLine
from bayesspec.workflows.line_model import LineModel, line_model

MISFIT = 1.5
"""Squared deviations, over those of Poisson counts, above which the verdict warns."""
PRIOR = (
    "Intensities of lines, tails and continuum: flat where they are not negative. "
    "Calibration and shapes of lines: normal about the values of file and tables."
)


@checked_arguments()
def fit_lines(
    image: SpectrumImage,
    elements: Sequence[str] | None = None,
    lines: Sequence[str] = (),
    *,
    calibrate: bool = True,
    escape: bool = False,
    seed: int = 0,
    draws: int = 1000,
) -> LineFit:
    """Fit the lines of a spectrum, or of the summed spectrum of an image.

    Counts are Poisson around line families, tails of soft lines and a continuum, all of them not negative. Energies and
    widths of the lines, their minor peaks and the continuum are known within errors, which are part of every interval.
    A significant line that no named element explains joins them as the element that explains it best, or as a peak at
    its energy: it is named in the verdict and in ``unnamed``, and does not bend the continuum.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image; a spectrum is a 1 x 1 image.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    lines : sequence of str
        Lines to fit on their own, apart from the rest of their shell, such as ``"Fe_Kb"``.
    calibrate : bool
        Refine energy axis and resolution first, from the file's: these are taken to be right to 5 eV and .05 % of the
        axis and 5 % of the resolution, 10 eV where it is assumed to be 130 eV. What the lines leave open of them is
        part of every interval.
    escape : bool
        Add the escape peaks of a silicon detector; those of two photons at once are always there.
    seed : int
        Seed of the draws.
    draws : int
        Number of posterior draws.

    Returns
    -------
    LineFit
        Intensities, ratios, compositions; ``verdict`` names lines that nobody named.

    Raises
    ------
    InputError
        When no element is named, or an element or line is not known or not recorded.

    Examples
    --------
    >>> import bayesspec as bs
    >>> fit = bs.fit_lines(bs.simulate.iron_oxides(500, (16, 16), seed=0), ["Fe", "O"])
    >>> fit.ratio("Fe_Ka", "O_Ka").mean.dims
    ()
    """
    if draws < 2:
        raise InputError(f"draws={draws}", "two or more", "bs.fit_lines(si, draws=1000)")
    model = line_model(image, elements, lines, calibrate=calibrate, escape=escape)
    drawn = draw_intensities(model.found.fit, np.random.default_rng(seed_for(seed, model.image.checksum)), draws)
    settings = {
        "seed": seed,
        "draws": draws,
        "prior": PRIOR,
        "calibration": model.note,
        "unnamed": [asdict(line) for line in model.unnamed],
        "acquisition": asdict(model.image.acquisition),
    }
    return _result(model, drawn, settings)


def _result(model: LineModel, drawn: npt.NDArray[np.float64], settings: dict[str, object]) -> LineFit:
    image, design, n = model.image, model.design, model.design.n_named
    fit, changes = model.found.fit, model.changes[: model.design.n_named]
    counts = image.sum_spectrum()[design.channels]
    misfit = float(np.mean((counts - fit.rate) ** 2 / np.maximum(fit.rate, 1.0)))
    parts = [*variance_parts(design.matrix, fit.intensities, n), changes @ changes.T]
    lines, others = design.lines[:n], (*design.lines[n:], *design.backgrounds)
    return LineFit.from_values(
        {
            "intensity_draws": drawn[:, :n],
            "other_draws": drawn[:, n:],
            "counts": counts,
            "rate": fit.rate,
            "variance_parts": np.array(parts),
        },
        Frame(
            {
                "line": list(lines),
                "other_line": list(lines),
                "part": [*PARTS, "calibration"],
                "other": list(others),
                "energy": ("energy", design.energy, {"units": image.energy_unit}),
            },
            checksum=image.checksum,
        ),
        name=image.name,
        method="Poisson line fit",
        verdict=f"{n} lines{model.remarks}" + _notes(misfit, model.unnamed),
        status=Status.CONVERGED if fit.converged else Status.NOT_SETTLED,
        settings=settings,
        attrs={
            "misfit": misfit,
            "acquisition": json.dumps(asdict(image.acquisition)),
        },
    )


def _notes(misfit: float, unnamed: Sequence[UnnamedLine]) -> str:
    notes = ""
    if unnamed:
        named = "; ".join(map(str, unnamed))
        warn(f"a line that no named element explains {named}: add the element")
        notes += f"; a line that nobody named {named}"
    if misfit > MISFIT:
        notes += (
            f"; the deviations are {np.sqrt(misfit):.2g} times those of Poisson counts: the intervals hold for repeats "
            "with the same detector, and leave out what the line shapes do not describe"
        )
    return notes
