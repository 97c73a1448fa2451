"""DosePlan: the standard errors of ratios by dose, and what a wanted one costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError

Floats = npt.NDArray[np.float64]
APART = 3.0


@dataclass(frozen=True, eq=False)
class DosePlan:
    """What a sample's ratios would cost in counts; prints as a table.

    Parameters
    ----------
    table : xarray.Dataset, dims (dose, phase)
        ``ratio`` (phase,); ``sd`` (dose, phase), standard error of the ratio, NaN where the phases are not resolved;
        ``claimed`` (dose,), share of simulated images in which so many phases would be claimed; ``apart`` (dose,),
        smallest distance of two ratios in units of its standard error; ``resolved`` (dose,), whether more than half
        of the images are claimed and ``apart`` exceeds 3. Coordinate ``dose``: mean counts per pixel in the windows.
        float64.
    pixels : int
        Number of pixels of the sample.
    name : str
        Name of the ratio.
    assumed : str
        The sample that was assumed, in words.
    counts_per_second : float or None
        Counts of the whole image in the windows per second of live time.
    """

    table: xr.Dataset
    pixels: int
    name: str
    assumed: str
    counts_per_second: float | None = None

    @property
    def doses(self) -> Floats:
        """Mean counts per pixel that were forecast, (dose,), float64."""
        return np.asarray(self.table["dose"].values, np.float64)

    @property
    def counts_to_resolve(self) -> float:
        """Counts per pixel from which on the phases are told apart; infinite beyond the doses that were tried."""
        failed = np.flatnonzero(~self.table["resolved"].values)
        first = int(failed[-1]) + 1 if failed.size else 0
        return float(self.doses[first]) if first < len(self.doses) else np.inf

    def counts_for(self, error: float) -> float:
        """Find the dose at which every ratio reaches a standard error.

        Parameters
        ----------
        error : float
            Wanted standard error relative to the ratio, such as 0.01.

        Returns
        -------
        float
            Mean counts per pixel, read between the doses on a log-log line; beyond the largest dose the
            error is taken to fall with the square root of the counts. Not below `counts_to_resolve`.

        Raises
        ------
        InputError
            When `error` is not positive, or no dose that was tried resolves the ratios.
        """
        if not error > 0:
            raise InputError(f"error={error}", "a positive relative standard error", "plan.counts_for(0.01)")
        first = self.counts_to_resolve
        if not np.isfinite(first):
            raise InputError(
                f"ratios that are not told apart at {self.doses.max():g} counts per pixel",
                "doses at which they are",
                f"doses=np.geomspace({self.doses.max():g}, {100 * self.doses.max():g}, 8)",
            )
        x = np.log(self.doses[self.doses >= first])
        y = np.log(self._relative()[self.doses >= first].max(axis=1))
        wanted = np.log(error)
        if wanted >= y[0]:
            return float(first)
        if wanted < y[-1]:
            return float(np.exp(x[-1] + 2 * (y[-1] - wanted)))
        return float(np.exp(np.interp(-wanted, np.maximum.accumulate(-y), x)))

    def pixels_for(self, error: float, counts_per_pixel: float) -> int:
        """Find the number of pixels at which every ratio reaches a standard error at a given dose.

        Parameters
        ----------
        error : float
            Wanted standard error relative to the ratio, such as 0.01.
        counts_per_pixel : float
            Mean counts per pixel.

        Returns
        -------
        int
            Pixels of the same kind of sample: the error falls with their square root.

        Raises
        ------
        InputError
            When `error` is not positive, or the ratios cannot be told apart at that dose.
        """
        if not error > 0:
            raise InputError(f"error={error}", "a positive relative standard error", "plan.pixels_for(0.01, 200)")
        if not self.counts_to_resolve <= counts_per_pixel <= self.doses.max():
            raise InputError(
                f"counts_per_pixel={counts_per_pixel:g}",
                f"{self.counts_to_resolve:g} to {self.doses.max():g}, where the phases are told apart",
                f"plan.pixels_for({error:g}, {self.doses.max():g})",
            )
        worst = np.log(self._relative().max(axis=1))
        known = np.isfinite(worst)
        here = np.exp(np.interp(np.log(counts_per_pixel), np.log(self.doses[known]), worst[known]))
        return int(np.ceil(self.pixels * (here / error) ** 2))

    def seconds(self, counts_per_pixel: float) -> float:
        """Live time of the whole image for a dose, at the measured or given rate.

        Parameters
        ----------
        counts_per_pixel : float
            Mean counts per pixel in the windows.

        Returns
        -------
        float
            Live time in s.

        Raises
        ------
        InputError
            When no rate is known.
        """
        if not self.counts_per_second:
            raise InputError(
                "no count rate", "the counts of the image per second", "plan_dose(..., counts_per_second=)"
            )
        return counts_per_pixel * self.pixels / self.counts_per_second

    def _relative(self) -> Floats:
        return np.asarray(self.table["sd"].values / self.table["ratio"].values, np.float64)

    def __str__(self) -> str:
        ratios = " and ".join(f"{value:.4g}" for value in self.table["ratio"].values)
        lines = [f"{self.name} {ratios}; {self.assumed}", "counts/pixel   standard errors / %   phases"]
        for dose, errors, resolved in zip(self.doses, self._relative(), self.table["resolved"].values, strict=True):
            shown = " ".join(f"{100 * e:8.3g}" if np.isfinite(e) else "       -" for e in errors)
            lines.append(f"{dose:12g}   {shown}   {'told apart' if resolved else 'not resolved'}")
        enough = self.counts_to_resolve
        lines.append(f"enough to tell them apart: {enough:g} counts/pixel" if np.isfinite(enough) else "never enough")
        return "\n".join(lines)
