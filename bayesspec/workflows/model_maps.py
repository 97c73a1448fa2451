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
    calibrate: bool = True,
) -> IntensityMaps:
    """Map line intensities by fitting every pixel's spectrum: overlapping lines and continuum are told apart.

    Maximum likelihood of Poisson counts, intensities not negative, all pixels in one batch, with the covariance of the
    lines in every pixel, which ratios and compositions carry. At few counts not being negative makes the mean of a map
    too large: ratios of areas are measured by ``bs.segment`` and ``bs.unmix``, or ``bs.fit_lines`` on the sum, and
    ``bs.ratio_map`` takes neighbouring pixels together.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    lines : sequence of str
        Lines to map on their own, apart from the rest of their shell.
    calibrate : bool
        Refine energy axis and resolution on the summed spectrum first, as ``bs.fit_lines`` does; what the lines leave
        open of them is part of the standard deviations.

    Returns
    -------
    IntensityMaps
        Intensities with standard deviations, covariances and intervals, and ratios of single pixels.

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

        n = len(condensed.lines)
        intensities, covariance, converged = fit_pixels(counts, condensed.matrix, kept=n, progress=progress)
    relative = (condensed.changes / np.maximum(condensed.intensities, 1.0))[:, :n].astype(np.float32)
    for i, common in enumerate(relative.T @ relative):
        covariance[:, i] += common * intensities[:, :n] * intensities[:, [i]]
    acquisition = asdict(condensed.image.acquisition)
    return IntensityMaps.from_values(
        {
            "intensities": intensities[:, :n],
            "sd": np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)),
            "covariance": covariance,
            "continuum": intensities[:, condensed.design.n_lines :].sum(axis=1),
        },
        Frame.of(image).with_coords(line=list(condensed.lines), other_line=list(condensed.lines)),
        name=image.name,
        method="Poisson line maps",
        verdict=f"{n} lines{condensed.remarks}",
        status=Status.CONVERGED if converged else Status.NOT_SETTLED,
        settings={
            "prior": PRIOR,
            "bins": len(condensed.starts),
            "calibration": condensed.note,
            "acquisition": acquisition,
        },
        attrs={"acquisition": json.dumps(acquisition)},
    )
