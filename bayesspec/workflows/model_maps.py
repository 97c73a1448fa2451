"""Maps of line intensities from a model of the whole spectrum, with standard deviations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.every_pixel import fit_pixels
from bayesspec.results.dataset import attributes, pixel_coords
from bayesspec.results.result import Result
from bayesspec.workflows.condensed_design import CondensedDesign, condensed_design

PRIOR = "Intensities in a pixel: flat where they are not negative; the continuum has the shape it has in the sum."


class IntensityMaps(Result):
    """Intensities of lines and continuum in every pixel, in counts, with their standard deviations."""

    kind = "intensity maps"
    pictures = ("intensities", "sd")

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines, tuple of str."""
        return tuple(str(line) for line in self.data["line"].values)

    @property
    def intensities(self) -> xr.DataArray:
        """Counts of each line, dims (y, x, line), float32; NaN where a pixel is excluded."""
        return self.data["intensities"]

    @property
    def sd(self) -> xr.DataArray:
        """Standard deviations of the intensities, dims (y, x, line), float32."""
        return self.data["sd"]

    @property
    def continuum(self) -> xr.DataArray:
        """Counts of the continuum, dims (y, x), float32."""
        return self.data["continuum"]

    def map(self, line: str) -> xr.DataArray:
        """Take one line.

        Parameters
        ----------
        line : str
            Name of a line.

        Returns
        -------
        xarray.DataArray, dims (y, x), float32
            Counts.

        Raises
        ------
        InputError
            When it was not fitted.
        """
        if line not in self.lines:
            raise InputError(f"the line {line!r}", f"one of {list(self.lines)}", f"maps.map({self.lines[0]!r})")
        return self.data["intensities"].sel(line=line)

    def __repr__(self) -> str:
        ny, nx = self.data.sizes["y"], self.data.sizes["x"]
        return f"<IntensityMaps {self.name!r}: {ny} x {nx} pixels, {', '.join(self.lines)}>"


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
    """
    condensed = condensed_design(image, elements, lines, calibrate=calibrate)
    counts = condensed.counts()[image.valid]
    with tqdm(desc="maps", disable=None, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        intensities, variances, converged = fit_pixels(counts, condensed.matrix, progress=progress)
    return _result(image, condensed, intensities, variances, converged=converged)


def _result(
    image: SpectrumImage,
    condensed: CondensedDesign,
    intensities: npt.NDArray[np.float32],
    variances: npt.NDArray[np.float32],
    *,
    converged: bool,
) -> IntensityMaps:
    design, n = condensed.design, condensed.design.n_lines

    def grid(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        whole = np.full((*image.shape[:2], *values.shape[1:]), np.nan, np.float32)
        whole[image.valid] = values
        return whole

    units = {"units": "counts"}
    data = xr.Dataset(
        {
            "intensities": (("y", "x", "line"), grid(intensities[:, :n]), units),
            "sd": (("y", "x", "line"), grid(np.sqrt(variances[:, :n])), units),
            "continuum": (("y", "x"), grid(intensities[:, n:].sum(axis=1)), units),
        },
        coords=pixel_coords(image.shape[:2], image.pixel_size, image.pixel_unit) | {"line": list(design.lines)},
    )
    settings = {"prior": PRIOR, "bins": len(condensed.starts), "acquisition": asdict(image.acquisition)}
    status = "Converged: the result can be used as it stands." if converged else "The step limit was reached."
    attrs = attributes(
        name=image.name, method="Poisson line maps", status=status, converged=converged, settings=settings
    )
    attrs |= {"verdict": f"{n} lines", "acquisition": json.dumps(asdict(image.acquisition))}
    return IntensityMaps(data.assign_attrs(attrs))
