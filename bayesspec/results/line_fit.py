"""The result of a line fit: intensities, ratios and compositions with intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, line_name
from bayesspec.results.estimate import PROB, Estimate, ratio_of
from bayesspec.results.line_result import LineResult
from bayesspec.results.result import Result, simulated_image
from bayesspec.results.schema import Schema, Variable
from bayesspec.results.table import Table, cells
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.k_factors import k_factors as theoretical_k_factors
from bayesspec.spectroscopy.thin_film import Film

BUDGET_DRAWS = 1000
"""Draws of k-factors and absorption, from which their parts of the variance come: these are known to 5 %."""


class LineFit(LineResult):
    """Lines fitted to one spectrum: joint draws of the intensities, in counts, and the fitted curve."""

    kind = "line fit"
    heading = "Lines"
    pictures = ("rate",)
    in_counts = True
    schema = Schema(
        {
            "intensity_draws": Variable(("draw", "line"), "joint draws of the counts in every line", "counts"),
            "other_draws": Variable(("draw", "other"), "joint draws of what is not named: tails, continuum", "counts"),
            "counts": Variable(("energy",), "counts of the spectrum", "counts", low=0),
            "rate": Variable(("energy",), "counts that the fit expects", "counts", low=0.0),
            "variance_parts": Variable(
                ("part", "line", "other_line"), "covariance of the counts by source", "counts^2", needed=False
            ),
        },
        coords=("line", "energy"),
        attributes={
            "misfit": "mean squared deviation over that of Poisson counts",
            "acquisition": "beam and detector, as JSON",
        },
    )

    def intensities_of(self, lines: Sequence[str]) -> Estimate:
        """Counts in some lines.

        Parameters
        ----------
        lines : sequence of str
            Names of fitted lines, such as ``["Fe_Ka", "O_Ka"]``.

        Returns
        -------
        Estimate, dims (line,)
            Joint draws.

        Raises
        ------
        InputError
            When a line was not fitted.
        """
        draws = self.data["intensity_draws"].sel(line=self.checked_lines(lines))
        return self.own(Estimate(draws, "counts", positive=True))

    @property
    def total_counts(self) -> int:
        """Counts of the spectrum, in the channels that were fitted, int."""
        return int(self.data["counts"].sum())

    @property
    def misfit(self) -> float:
        """Mean squared deviation from the fit over that of Poisson counts; well above 1 the line shapes are off."""
        return float(self.data.attrs["misfit"])

    @property
    def unnamed(self) -> tuple[dict[str, Any], ...]:
        """Lines that no named element explains, the clearest first.

        Each holds ``energy_kev``, ``counts``, ``candidates`` (what may emit it, the likeliest first) and ``columns``:
        what it is fitted as, by its names among ``data["other"]``.
        """
        return tuple(self.provenance.get("unnamed", ()))

    def _draws(self, line: str) -> xr.DataArray:
        return self.intensities_of([line]).draws.isel(line=0, drop=True)

    @checked_arguments()
    @checked_arguments(line=line_name)
    def k_ratio(self, line: str, standard: LineFit) -> Estimate:
        """Count rate of a line over that of a standard, at the same dose.

        Beam currents count where both files have one. ``bs.k_ratios`` fits the peaks of the standard itself, and knows
        what else is uncertain.

        Parameters
        ----------
        line : str
            Name of a line that was fitted in both spectra.
        standard : LineFit
            Lines of the standard's spectrum.

        Returns
        -------
        Estimate, dims ()
            Ratio of the counts per second of live time, and nA where both currents are known.

        Raises
        ------
        InputError
            When the line was not fitted, or a live time is not known.
        """
        if not isinstance(standard, LineFit):
            raise InputError(f"a standard of type {type(standard).__name__}", "a LineFit", "bs.fit_lines(standard)")
        acquired = [json.loads(fit.data.attrs["acquisition"]) for fit in (self, standard)]
        times = [one["live_time_s"] for one in acquired]
        if None in times:
            raise InputError(f"live times {times} s", "both", "bs.load of files that hold it, or fit.ratio(...)")
        currents = [one.get("beam_current_na") for one in acquired]
        if None not in currents:
            times = [time * current for time, current in zip(times, currents, strict=True)]
        ours, theirs = self._draws(line), standard._draws(line)
        n = min(ours.sizes["draw"], theirs.sizes["draw"])
        shuffled = theirs.isel(draw=np.random.default_rng(n).permutation(theirs.sizes["draw"])[:n])
        return ratio_of(ours.isel(draw=slice(n)) / times[0], shuffled / times[1], f"k-ratio of {line}")

    @checked_arguments()
    def composition(
        self,
        k_factors: Mapping[str, KFactor] | None = None,
        *,
        lines: Sequence[str] | None = None,
        film: Film | None = None,
        seed: int = 0,
    ) -> dict[str, Estimate]:
        """Composition by Cliff and Lorimer's method, or by zeta-factors where the film has a dose.

        Parameters
        ----------
        k_factors : mapping of str to float or (float, float), or None
            Weight-based k-factor of each line, or k-factor and its standard deviation; ``bs.k_factors_from`` takes them
            from a standard. ``None`` takes those of theory for the beam energy of the file and a detector with a
            polymer window, with 10 to 25 %: ``bs.k_factors``.
        lines : sequence of str or None
            Lines to quantify: they must have a k-factor. ``None`` takes all that have one, or by theory the first of
            every element.
        film : Film or None
            What corrects absorption or finds the thickness: ``bs.Film(mass_thickness=5e-4)``, or a dose, and then the
            factors are zeta-factors.
        seed : int
            Seed of the draws of uncertain k-factors.

        Returns
        -------
        dict of str to Estimate, dims (element,)
            ``"weight_percent"`` and ``"atomic_percent"``.

        Raises
        ------
        InputError
            When a line was not fitted, has no k-factor or one that is not positive, the angle is not known, or theory
            is asked for and the beam energy is not known.
        """
        k_factors = self._factors(k_factors, lines, film)
        missing = [line for line in lines or () if line not in k_factors]
        if missing:
            raise InputError(
                f"no k-factor of {', '.join(missing)}",
                "a weight-based k-factor for each of the lines",
                f"composition(k_factors={{..., {missing[0]!r}: 1.0}}), or lines=[...] without it",
            )
        return self._composition(self.data["intensity_draws"], k_factors, seed, film)

    @property
    def strongest(self) -> str:
        """The line with the most counts, str."""
        return self.lines[int(self.intensities.mean.values.argmax())]

    def table(self, reference: str | None = None) -> Table:
        """Counts in every line, and their ratio to one.

        Parameters
        ----------
        reference : str or None
            Line below the ratios; ``None`` for the one with the most counts.

        Returns
        -------
        Table
            One row a line.

        Raises
        ------
        InputError
            When the reference was not fitted.
        """
        below = reference or self.strongest
        interval = f"{100 * PROB:.0f} % interval"
        columns = ("line", "counts", interval, f"ratio to {below}", interval)
        rows = []
        for line, counts in zip(self.lines, cells(self.intensities), strict=True):
            ratio = cells(self.ratio(line, below))[0] if line != below else ("", "")
            rows.append((line, *counts, *ratio))
        return Table("Lines", columns, tuple(rows), self.note())

    @checked_arguments()
    def budget(
        self, k_factors: Mapping[str, KFactor] | None = None, *, film: Film | None = None, seed: int = 0
    ) -> xr.Dataset:
        """Share of the variance of each mass per cent by source.

        Parameters
        ----------
        k_factors : mapping of str to float or (float, float), or None
            As ``composition`` takes them.
        film : Film or None
            As ``composition`` takes it.
        seed : int
            Seed of the draws.

        Returns
        -------
        xarray.Dataset, dims (element,)
            ``counts``, ``background`` and ``overlap`` of the spectrum, what else the fit knows of, ``k_factors`` and
            ``absorption``; they sum to 1. ``sd`` is the standard deviation of the mass per cent that they add up to.

        Raises
        ------
        InputError
            When ``composition`` would refuse, or the fit was saved by a version that did not split its variance.

        Examples
        --------
        >>> fit = bs.fit_lines(spectrum, ["Fe", "Pt"])  # doctest: +SKIP
        >>> fit.budget({"Fe_Ka": 1.45, "Pt_La": (5.08, 0.25)}).to_dataframe()  # doctest: +SKIP
        """
        if "variance_parts" not in self.data:
            raise InputError("a fit without parts of its variance", "a new fit", "bs.fit_lines(si)")
        self.composition(k_factors, film=film, seed=seed)  # refuses what it cannot take
        factors = self._factors(k_factors, None, film)
        names = list(factors)
        exact = {line: k[0] if isinstance(k, tuple) else k for line, k in factors.items()}
        parts = self.data["variance_parts"].sel(line=names, other_line=names)
        draws = self.data["intensity_draws"].sel(line=names)
        mean = draws.mean("draw", dtype=np.float64)

        def percent(intensities: xr.DataArray, k: Mapping[str, KFactor], of: Film | None) -> xr.DataArray:
            return self._composition(intensities, k, seed, of)["weight_percent"].draws.transpose("draw", "element")

        steps = np.sqrt(np.maximum(np.einsum("pll->l", parts.values), 0.0)) + 1e-6 * float(mean.max())
        trials = mean + xr.DataArray(np.vstack([0 * steps, 0.1 * np.diag(steps)]), dims=("draw", "line"))
        at = percent(trials.transpose("draw", "line"), exact, film and film.exact())
        slopes = (at.values[1:] - at.values[0]) / (0.1 * steps[:, None])
        found = {
            str(name): np.maximum(np.einsum("le,lm,me->e", slopes, parts.values[i], slopes), 0.0)
            for i, name in enumerate(parts["part"].values)
        }
        same = mean.expand_dims(draw=BUDGET_DRAWS)
        found["k_factors"] = percent(same, factors, film and film.exact()).var("draw").values
        found["absorption"] = percent(same, exact, film).var("draw").values
        total = np.sum(list(found.values()), axis=0)
        table = {name: ("element", values / np.maximum(total, 1e-300)) for name, values in found.items()}
        return xr.Dataset(table | {"sd": ("element", np.sqrt(total))}, coords={"element": at["element"].values})

    def _factors(
        self, k_factors: Mapping[str, KFactor] | None, lines: Sequence[str] | None, film: Film | None
    ) -> Mapping[str, KFactor]:
        """The factors given, or those of theory, one line an element."""
        if k_factors is not None:
            return k_factors
        beam = json.loads(self.data.attrs["acquisition"])["beam_energy_kev"]
        if beam is None or (film is not None and film.dose_electrons is not None):
            raise InputError(
                f"no factors, a beam energy of {beam} keV, {film}",
                "k-factors, or the beam energy for those of theory; zeta-factors for a dose",
                "composition(bs.k_factors(fit.lines, beam_energy_kev=200.0))",
            )
        first: dict[str, str] = {}
        for line in self.lines if lines is None else lines:
            first.setdefault(line.split("_")[0], line)
        return theoretical_k_factors(list(first.values()), beam_energy_kev=float(beam))

    # What simulated repeats need of it

    def quantities(self) -> Mapping[str, Estimate | xr.Dataset]:
        """Counts in the lines, and the ratio of every line to the last.

        Returns
        -------
        dict of str to Estimate
            Dims (line,) and none.
        """
        below = self.lines[-1]
        ratios = {f"{line}/{below}": self.ratio(line, below) for line in self.lines if line != below}
        return {"counts": self.intensities, **ratios}

    def replicate(self, data: Any, rng: np.random.Generator) -> tuple[Result, Any]:
        """The fitted curve as the rate of one spectrum; channels that were not fitted keep their counts.

        Parameters
        ----------
        data : SpectrumImage
            The image whose sum was fitted.
        rng : numpy.random.Generator
            Source of random numbers.

        Returns
        -------
        LineFit, SpectrumImage
            The truth, intensities the means of the draws, and a spectrum of Poisson counts.

        Raises
        ------
        InputError
            When it is another image.
        """
        spectrum = replace(data, counts=data.sum_spectrum()[None, None], mask=None)
        rates = np.full(spectrum.shape, np.nan)
        rates[0, 0, self._channels(spectrum)] = self.data["rate"].values
        one = self.data[["intensity_draws", "other_draws"]].mean("draw", keep_attrs=True).expand_dims("draw")
        truth = type(self)(self.data.drop_dims("draw").assign(one))
        return truth, simulated_image(spectrum, rates, rng)

    def _channels(self, spectrum: Any) -> npt.NDArray[np.intp]:
        """Channels of the spectrum that were fitted: found by their counts, as a calibration moves energies."""
        counts, own = spectrum.counts[0, 0].astype(np.int64), self.data["counts"].values.astype(np.int64)
        used = np.flatnonzero(spectrum.valid_channels)
        for start in range(len(used) - len(own) + 1):
            if np.array_equal(counts[used[start : start + len(own)]], own):
                return used[start : start + len(own)]
        raise InputError("an image with other counts than those that were fitted", "the same", "like=si")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.verdict}; {self.intensities}>"
