"""Maps of line intensities from a model of the whole spectrum, with standard deviations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from tqdm import tqdm

from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.every_pixel import fit_pixels
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame
from bayesspec.results.intensity_maps import IntensityMaps
from bayesspec.workflows.condensed_design import condensed_design

PRIOR = "Intensities in a pixel: flat where they are not negative; the continuum has the shape it has in the sum."


@checked_arguments()
def model_maps(
    image: SpectrumImage,
    elements: Sequence[str] | None = None,
    lines: Sequence[str] = (),
    *,
    calibrate: bool = False,
) -> IntensityMaps:
    """Map line intensities by fitting every pixel's spectrum: overlapping lines and continuum are told apart.

    Maximum likelihood of Poisson counts, intensities not negative, all pixels in one batch. At few counts a pixel
    such maps are for looking at: not being negative makes their mean too large. Ratios are measured by
    ``bs.segment`` and ``bs.unmix``, or ``bs.fit_lines`` on the sum.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    lines : sequence of str
        Lines to map on their own, apart from the rest of their shell.
    calibrate : bool
        Refine energy axis and resolution on the summed spectrum first.

    Returns
    -------
    IntensityMaps
        Intensities and standard deviations.

    Raises
    ------
    InputError
        When no element is named, or an element or line is not known or not recorded.

    Examples
    --------
    >>> import bayesspec as bs
    >>> maps = bs.model_maps(bs.simulate.iron_oxides(500, (8, 8), seed=0), ["Fe", "O"])
    >>> maps.map("Fe_Ka").dims
    ('y', 'x')
    """
    condensed = condensed_design(image, elements, lines, calibrate=calibrate)
    counts = condensed.counts()[image.valid]
    with tqdm(desc="maps", disable=None, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        intensities, variances, converged = fit_pixels(counts, condensed.matrix, progress=progress)
    n, acquisition = condensed.design.n_lines, asdict(image.acquisition)
    return IntensityMaps.from_values(
        {
            "intensities": intensities[:, :n],
            "sd": np.sqrt(variances[:, :n]),
            "continuum": intensities[:, n:].sum(axis=1),
        },
        Frame.of(image).with_coords(line=list(condensed.design.lines)),
        name=image.name,
        method="Poisson line maps",
        verdict=f"{n} lines",
        status=Status.CONVERGED if converged else Status.NOT_SETTLED,
        settings={
            "model": "linear_poisson",
            "prior": PRIOR,
            "bins": len(condensed.starts),
            "acquisition": acquisition,
        },
        attrs={"acquisition": json.dumps(acquisition)},
    )
