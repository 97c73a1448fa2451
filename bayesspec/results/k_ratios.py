"""k-ratios: counts of lines over those of standards at the same dose, with what their uncertainty comes from."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import line_name
from bayesspec.results.estimate import PROB, Estimate
from bayesspec.results.result import Result
from bayesspec.results.schema import Schema, Variable
from bayesspec.results.table import Table, cells


class KRatios(Result):
    """k-ratios of one spectrum: joint draws, and the spectrum that was fitted."""

    kind = "k-ratios"
    heading = "k-ratios"
    pictures = ("rate",)
    schema = Schema(
        {
            "k_draws": Variable(("draw", "line"), "joint draws of the k-ratios", low=0.0),
            "deviation_draws": Variable(("source", "draw", "line"), "relative deviations by source"),
            "parts": Variable(("part", "line", "other_line"), "covariance of the spectrum's part by source"),
            "counts": Variable(("energy",), "counts of the spectrum", "counts", low=0),
            "rate": Variable(("energy",), "counts that the fit expects", "counts", low=0.0),
        },
        coords=("line", "standard", "source", "part", "energy"),
        attributes={
            "misfit": "mean squared deviation over that of Poisson counts",
            "absolute": "1 where the dose is known, else 0",
            "acquisition": "beam and detector, as JSON",
            "standards": "compositions of the standards, as JSON",
        },
    )

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines, tuple of str."""
        return tuple(str(line) for line in self.data["line"].values)

    @property
    def ratios(self) -> Estimate:
        """k-ratio of every line, dims (line,): shot noise, standards, doses and peak shapes in its intervals."""
        return self.own(Estimate(self.data["k_draws"], "k-ratio", positive=True))

    @property
    def absolute(self) -> bool:
        """Whether the dose of the spectrum is known; if not, only ratios of k-ratios mean anything."""
        return bool(self.data.attrs["absolute"])

    @property
    def misfit(self) -> float:
        """Mean squared deviation from the fit over that of Poisson counts."""
        return float(self.data.attrs["misfit"])

    def ratio(self, line: str) -> Estimate:
        """k-ratio of one line.

        Parameters
        ----------
        line : str
            Name of the line, ``"Fe_Ka"``.

        Returns
        -------
        Estimate, dims ()
            Its k-ratio to the standard that ``data["standard"]`` names.

        Raises
        ------
        InputError
            When the line has no k-ratio.
        """
        if line_name(line) not in self.lines:
            raise InputError(f"the line {line!r}", f"one of {', '.join(self.lines)}", f"k.ratio({self.lines[0]!r})")
        return self.own(Estimate(self.data["k_draws"].sel(line=line, drop=True), f"k-ratio of {line}", positive=True))

    def uncertainties(self) -> xr.Dataset:
        """Relative standard deviations of the k-ratios by source.

        Returns
        -------
        xarray.Dataset, dims (line,)
            ``counts``, ``background``, ``overlap``, ``standards``, ``dose``, ``peak_shapes`` and ``total``.
        """
        deviations = self.data["deviation_draws"].std("draw", ddof=1)
        spectrum = deviations.sel(source="spectrum", drop=True)
        parts = self.data["parts"]
        diagonal = xr.DataArray(
            np.einsum("sll->sl", parts.values), dims=("part", "line"), coords={"line": list(self.lines)}
        )
        shares = np.sqrt(diagonal.clip(min=0) / diagonal.sum("part").clip(min=1e-300))
        table = {str(p): spectrum * shares[i] for i, p in enumerate(parts["part"].values)}
        others = [str(s) for s in deviations["source"].values if s != "spectrum"]
        table |= {source.replace(" ", "_"): deviations.sel(source=source, drop=True) for source in others}
        draws = self.data["k_draws"]
        table["total"] = draws.std("draw", ddof=1) / draws.mean("draw")
        return xr.Dataset(table)

    def table(self, reference: str | None = None) -> Table:
        """k-ratio of every line.

        Parameters
        ----------
        reference : str or None
            Not used: every line has its own standard.

        Returns
        -------
        Table
            One row a line.
        """
        columns = ("line", "standard", "k-ratio", f"{100 * PROB:.0f} % interval")
        standards = [str(name) for name in self.data["standard"].values]
        rows = [(*names, *cell) for *names, cell in zip(self.lines, standards, cells(self.ratios), strict=True)]
        return Table(self.heading, columns, tuple(rows), self.note())

    def __repr__(self) -> str:
        return f"<KRatios {self.name!r}: {self.verdict}; {self.ratios}>"
