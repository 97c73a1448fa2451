"""DosePlan: the standard errors of ratios by dose, and what a wanted one costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import gaussian_filter

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import MOST_COUNTS, checked_arguments, real, values
from bayesspec.files.saved import Saved
from bayesspec.inference.mixture.dose_forecast import Forecast, forecast

Floats = npt.NDArray[np.float64]
APART = 3.0
"""Standard errors that two log ratios must differ by for the phases to be called resolved: what was planned beside
what came, ``python benchmarks/planning.py``."""
DOSES: Floats = np.asarray(np.geomspace(20, 20000, 8).round(), np.float64)
"""Mean counts a pixel for which a plan is made where none are asked for."""


@dataclass(frozen=True, eq=False)
class DosePlan(Saved):
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

    @checked_arguments()
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

    @checked_arguments()
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

    @checked_arguments()
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


# Dose planning: how many counts tell two phases apart, or bring a ratio to a wanted standard error


@checked_arguments(
    ratios=values("ratios", "ratios=(0.783, 0.698)"),
    areas=values("areas", "areas=(0.6, 0.4)", optional=True),
    doses=values("doses", "doses=[20, 200, 2000]"),
    background=real("background", 0.0),
)
def plan_dose(
    ratios: Sequence[float],
    *,
    areas: Sequence[float] | None = None,
    shape: tuple[int, int] = (128, 128),
    blur: float = 3.0,
    background: float = 0.0,
    doses: Iterable[float] = DOSES,
    counts_per_second: float | None = None,
    name: str = "ratio",
    seed: int = 0,
) -> DosePlan:
    """Forecast the counts that a segmentation needs, before anything is measured.

    A sample with the given ratios is simulated, and the information that its counts carry about the ratios
    is computed for the mixture that `bayesspec.workflows.segment` fits, at every dose.

    Parameters
    ----------
    ratios : sequence of float
        Ratio of two lines in each phase, such as ``(0.783, 0.698)``.
    areas : sequence of float or None
        Share of the area of each phase; ``None`` for even shares.
    shape : tuple of int
        Number of pixels (y, x).
    blur : float
        Size of the grains: standard deviation, in pixels, of the blur of the random field that they are cut from; 0
        for phases that change from pixel to pixel. The larger the grains, the more a pixel's neighbours tell.
    background : float
        Background under each line as a share of the mean line counts, measured beside it in a window as wide.
    doses : iterable of float
        Mean counts per pixel, background included, to forecast.
    counts_per_second : float or None
        Counts of the whole image in the windows per second, for `DosePlan.seconds`.
    name : str
        Name of the ratio in print.
    seed : int
        Seed of the simulated sample and its noise.

    Returns
    -------
    DosePlan
        Standard errors by dose, and the dose, pixels or time for a wanted one.

    Raises
    ------
    InputError
        For fewer than two ratios, values that are not positive, or areas that do not fit.

    Notes
    -----
    Fisher information is the expected outer product of the scores of the marginal likelihood. Forecast against
    simulation: ``benchmarks/planning.py``.

    Examples
    --------
    >>> import bayesspec as bs
    >>> plan = bs.plan_dose((0.783, 0.698), shape=(32, 32), doses=[100.0, 1000.0], seed=0)
    >>> plan.table.sizes["dose"]
    2
    """
    values, shares, tried = _checked(ratios, areas, shape, blur, background, doses)
    rng = np.random.default_rng(seed)
    field = rng.normal(size=shape) if blur == 0 else gaussian_filter(rng.normal(size=shape), blur, mode="wrap")
    labels = np.searchsorted(np.quantile(field, np.cumsum(shares)[:-1]), field, side="right")
    lines = np.stack([values / (1 + values), 1 / (1 + values)], axis=1)
    under = np.full(lines.shape, background / 2)
    windows = np.concatenate([lines + under, under], axis=1) if background else lines
    response = np.array([[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, -1.0]])[:, : windows.shape[1]]
    words = f"{shape[0]} x {shape[1]} pixels, " + (f"grains of blur {blur:g} px" if blur else "no grains")
    return plan(
        windows / windows.sum(axis=1, keepdims=True),
        response,
        labels,
        np.ones(shape),
        doses=tried,
        rng=rng,
        name=name,
        assumed=words,
        counts_per_second=counts_per_second,
    )


def plan(
    composition: Floats,
    response: Floats,
    labels: npt.NDArray[np.integer],
    thickness: Floats,
    *,
    doses: Floats,
    rng: np.random.Generator,
    name: str,
    assumed: str,
    counts_per_second: float | None = None,
) -> DosePlan:
    """Forecast a sample that is known window by window.

    Parameters
    ----------
    composition : ndarray of float64, (phase, window)
        Share of each window in the counts of each phase.
    response : ndarray of float64, (2, window)
        Intensity of the numerator and of the denominator per expected count in each window.
    labels : ndarray of int, (y, x)
        Phase of each pixel; negative = excluded.
    thickness : ndarray of float64, (y, x)
        Dose of each pixel relative to the mean.
    doses : ndarray of float64, (dose,)
        Mean counts per pixel.
    rng : numpy.random.Generator
        Source of the simulated noise.
    name, assumed : str
        Name of the ratio, and the sample in words.
    counts_per_second : float or None
        Counts of the whole image per second.

    Returns
    -------
    DosePlan
        Standard errors by dose.
    """
    forecasts = [forecast(composition, labels, thickness, float(dose), rng=rng) for dose in doses]
    intensity = composition @ response.T
    ratio = intensity[:, 0] / intensity[:, 1]
    slopes = composition * (response[0] / intensity[:, :1] - response[1] / intensity[:, 1:])
    sds, apart = zip(*(_errors(found, slopes, np.log(ratio)) for found in forecasts), strict=True)
    claimed = np.array([found.resolved for found in forecasts])
    resolved = (claimed > 0.5) & (np.array(apart) > APART)
    table = xr.Dataset(
        {
            "ratio": ("phase", ratio),
            "sd": (("dose", "phase"), np.where(resolved[:, None], np.array(sds) * ratio, np.nan)),
            "claimed": ("dose", claimed),
            "resolved": ("dose", resolved),
            "apart": ("dose", np.array(apart)),
        },
        coords={"dose": ("dose", doses, {"units": "counts per pixel"}), "phase": np.arange(len(ratio))},
    )
    return DosePlan(table, int((labels >= 0).sum()), name, assumed, counts_per_second)


def _errors(found: Forecast, slopes: Floats, log_ratio: Floats) -> tuple[Floats, float]:
    """Standard errors of the log ratios, and the smallest distance of two of them in its standard errors."""
    phases = len(slopes)
    contrast = np.einsum("kc,kl->klc", slopes, np.eye(phases)).reshape(phases, -1)
    covariance = contrast @ found.covariance @ contrast.T
    variance = np.diag(covariance)
    first, second = np.triu_indices(phases, 1)
    between = np.sqrt(variance[first] + variance[second] - 2 * covariance[first, second])
    return np.sqrt(variance), float((np.abs(log_ratio[first] - log_ratio[second]) / between).min())


def _checked(
    ratios: Sequence[float],
    areas: Sequence[float] | None,
    shape: tuple[int, int],
    blur: float,
    background: float,
    doses: Iterable[float],
) -> tuple[Floats, Floats, Floats]:
    values = np.atleast_1d(np.asarray(ratios, np.float64))
    shares = np.full(len(values), 1 / max(len(values), 1)) if areas is None else np.asarray(areas, np.float64)
    tried = np.sort(np.ravel(np.asarray(doses, np.float64)))
    if values.ndim != 1 or len(values) < 2 or not (values > 0).all() or len(set(values)) < len(values):
        raise InputError(f"ratios={values.tolist()}", "two or more different positive ratios", "ratios=(0.783, 0.698)")
    if shares.shape != values.shape or not (shares > 0).all():
        raise InputError(f"areas={areas}", f"a positive share for each of {len(values)} phases", "areas=(0.6, 0.4)")
    if min(shape) < 8 or blur < 0 or background < 0:
        found = f"shape={shape}, blur={blur:g}, background={background:g}"
        raise InputError(found, "8 x 8 pixels or more, and nothing negative", "plan_dose(..., shape=(128, 128))")
    if not len(tried) or tried[0] <= 0 or tried[-1] > MOST_COUNTS:
        needed = f"positive counts per pixel, up to {MOST_COUNTS:.3g}"
        raise InputError(f"doses={tried.tolist()}", needed, "doses=[20, 200, 2000]")
    return values, shares / shares.sum(), tried
