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
from bayesspec.inference.linear_poisson.one_spectrum import PoissonLineFit, draw_intensities, fit_intensities
from bayesspec.inference.linear_poisson.variance_parts import PARTS, variance_parts
from bayesspec.inference.random_keys import seed_for
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame
from bayesspec.results.line_fit import LineFit
from bayesspec.spectroscopy.line_design import LineDesign, line_design, with_escape
from bayesspec.spectroscopy.residual_lines import ResidualLine, residual_lines
from bayesspec.workflows.calibrate_energy import calibrate_energy

MISFIT = 1.5
PRIOR = "Intensities of lines, tails and continuum: flat where they are not negative."


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

    Counts are Poisson around line families, tails of soft lines and a continuum, all of them not negative.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image; a spectrum is a 1 x 1 image.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    lines : sequence of str
        Lines to fit on their own, apart from the rest of their shell, such as ``"Fe_Kb"``.
    calibrate : bool
        Refine energy axis and resolution first.
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
    if calibrate:
        calibration = calibrate_energy(image, elements, lines)
        image, design, note = calibration.image, calibration.design, repr(calibration)
    else:
        design, note = line_design(image, elements, lines), "as in the file"
    if escape:
        design = with_escape(design, image)
    counts = image.sum_spectrum()[design.channels]
    fit = fit_intensities(design.matrix, counts)
    drawn = draw_intensities(fit, np.random.default_rng(seed_for(seed, image.checksum)), draws)
    left = residual_lines(counts, fit.rate, design.energy, image, design.families)
    settings = {
        "seed": seed,
        "draws": draws,
        "prior": PRIOR,
        "calibration": note,
        "acquisition": asdict(image.acquisition),
    }
    return _result(image, design, fit, drawn, left, settings)


def _result(
    image: SpectrumImage,
    design: LineDesign,
    fit: PoissonLineFit,
    drawn: npt.NDArray[np.float64],
    left: list[ResidualLine],
    settings: dict[str, object],
) -> LineFit:
    counts = image.sum_spectrum()[design.channels]
    misfit = float(np.mean((counts - fit.rate) ** 2 / np.maximum(fit.rate, 1.0)))
    return LineFit.from_values(
        {
            "intensity_draws": drawn[:, : design.n_lines],
            "other_draws": drawn[:, design.n_lines :],
            "counts": counts,
            "rate": fit.rate,
            "variance_parts": variance_parts(design.matrix, fit.intensities, design.n_lines),
        },
        Frame(
            {
                "line": list(design.lines),
                "other_line": list(design.lines),
                "part": list(PARTS),
                "other": list(design.backgrounds),
                "energy": ("energy", design.energy, {"units": image.energy_unit}),
            },
            checksum=image.checksum,
        ),
        name=image.name,
        method="Poisson line fit",
        verdict=f"{design.n_lines} lines" + _notes(misfit, left),
        status=Status.CONVERGED if fit.converged else Status.NOT_SETTLED,
        settings=settings,
        attrs={"misfit": misfit, "acquisition": json.dumps(asdict(image.acquisition))},
    )


def _notes(misfit: float, left: list[ResidualLine]) -> str:
    notes = ""
    if left:
        named = "; ".join(
            f"at {line.energy_kev:.3f} keV ({' or '.join(line.candidates) or 'no known line'})" for line in left
        )
        warn(f"a line that no named element explains {named}: add the element")
        notes += f"; a line that nobody named {named}"
    if misfit > MISFIT:
        notes += (
            f"; the deviations are {np.sqrt(misfit):.2g} times those of Poisson counts: the intervals hold for repeats "
            "with the same detector, and leave out what the line shapes do not describe"
        )
    return notes
