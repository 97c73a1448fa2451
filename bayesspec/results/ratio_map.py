"""Ratio of two lines at every pixel or along a path, with intervals from joint draws."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayesspec.results.drawing import Drawing
from bayesspec.results.estimate import PROB, Estimate, format_uncertain
from bayesspec.results.result import Result
from bayesspec.results.schema import INTERVAL, Schema, Variable, statistics
from bayesspec.results.table import Table, interval_text

OUTER = 0.05
"""Share of the places that a range of means leaves out at either end."""


def _schema(dims: tuple[str, ...], attributes: dict[str, str]) -> Schema:
    """Table of a ratio over some dims."""
    return Schema(
        {
            "ratio_draws": Variable(("draw", *dims), "joint draws of the ratio", dtype=np.float32),
            **statistics("ratio", dims, "ratio of the two lines"),
            "counts": Variable(dims, "counts in the windows that were used", "counts", low=0.0),
            "spread_draws": Variable(("draw",), "standard deviation of the log ratio over the places", low=0.0),
            "width_draws": Variable(("draw",), "how far neighbours tell about a pixel", "px", low=0.0),
        },
        coords=dims,
        attributes={"numerator": "line above", "denominator": "line below", **INTERVAL, **attributes},
    )


class RatioResult(Result):
    """What a map and a profile of a ratio share."""

    @property
    def numerator(self) -> str:
        """Line above, str."""
        return str(self.data.attrs["numerator"])

    @property
    def denominator(self) -> str:
        """Line below, str."""
        return str(self.data.attrs["denominator"])

    @property
    def ratio_name(self) -> str:
        """Both lines, str such as ``"Fe_Ka/O_Ka"``."""
        return f"{self.numerator}/{self.denominator}"

    @property
    def ratio(self) -> Estimate:
        """Ratio with its joint draws, dims (y, x) or (distance,): ``.mean``, ``.sd``, ``.interval()``, ``.draws``."""
        return self.own(Estimate(self.data["ratio_draws"], self.ratio_name))

    @property
    def spread(self) -> Estimate:
        """Standard deviation of the log ratio over the pixels or points, dims (): 0.06 where it varies by 6 %."""
        return self.own(Estimate(self.data["spread_draws"], f"spread of {self.ratio_name}"))

    @property
    def width(self) -> Estimate:
        """How far neighbours tell about a pixel, in pixels, dims (): the width of the learned field."""
        return self.own(Estimate(self.data["width_draws"], "width in pixels"))

    def facts(self, reference: str | None = None) -> list[str]:
        """Sentences with the numbers.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        list of str
            For the summary of a report.
        """
        counts = float(self.data["counts"].mean())
        where = "pixel" if "y" in self.data.dims else "point"
        return [f"{self.ratio_name}: {self.verdict}.", f"{counts:.4g} counts a {where}, background included."]

    def note(self) -> str:
        """Say what a reader of the table must know of its intervals.

        Returns
        -------
        str
            Two or three sentences.
        """
        return (
            f"{super().note()} They are those of single places and hold in the mean over all of them; beside a sharp "
            "edge fewer do. Where the sample consists of phases, bs.segment measures their ratios better."
        )

    def _medians(self) -> tuple[tuple[str, str], ...]:
        """Rows of a table: the ratio over all places, how much it varies, and the width."""
        low, middle, high = (float(self.data["ratio_mean"].quantile(q)) for q in (OUTER, 0.5, 1 - OUTER))
        errors = self.data["ratio_sd"] / self.data["ratio_mean"]
        return (
            (f"{self.ratio_name}, median", f"{middle:.4g}"),
            (f"means of {100 - 200 * OUTER:.0f} % of the places", f"{low:.4g} to {high:.4g}"),
            ("error of one place, median", f"{100 * float(errors.median()):.2g} %"),
            ("standard deviation over the places", str(self.spread.scaled(100, "per cent")) + " %"),
            ("width", f"{self.width} px"),
        )


class RatioMap(RatioResult):
    """Ratio of two lines at every pixel: mean, interval and joint draws."""

    kind = "ratio map"
    heading = "Ratio map"
    pictures = ("ratio_mean", "ratio_sd")
    schema = _schema(("y", "x"), {})

    def table(self, reference: str | None = None) -> Table:
        """Summarise the map.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        Table
            One row a quantity.
        """
        rows = (("verdict", self.verdict), *self._medians())
        return Table(self.heading, ("quantity", "value"), rows, self.note())

    def figures(self, reference: str | None = None) -> list[Drawing]:
        """Map of the ratio beside that of its error.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        list of Drawing
            One figure.
        """
        caption = f"{self.ratio_name}: posterior mean, and half the {100 * PROB:.0f} % interval in per cent of it."
        return [Drawing("ratio_map", "ratio_map", caption)]

    def __repr__(self) -> str:
        ny, nx = self.data.sizes["y"], self.data.sizes["x"]
        return f"<RatioMap {self.name!r}: {self.ratio_name}, {ny} x {nx} pixels; {self.verdict}>"


class Profile(RatioResult):
    """Ratio of two lines along a path: mean, interval and joint draws."""

    kind = "profile"
    heading = "Profile"
    schema = _schema(
        ("distance",), {"path": "corners (y, x) of the path in pixels, as JSON", "across": "pixels summed"}
    )

    @property
    def distance(self) -> xr.DataArray:
        """Distance from the first corner, dims (distance,), in the unit of the pixels."""
        return self.data["distance"]

    def table(self, reference: str | None = None) -> Table:
        """Ratio at every point of the path.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        Table
            One row a point.
        """
        unit = str(self.distance.attrs.get("units", "px"))
        found = self.data
        rows = tuple(
            (
                f"{float(found['distance'][i]):.4g}",
                f"{int(found['counts'][i])}",
                format_uncertain(float(found["ratio_mean"][i]), float(found["ratio_sd"][i])),
                interval_text(*(float(found[f"ratio_{end}"][i]) for end in ("mean", "lower", "upper"))),
            )
            for i in range(found.sizes["distance"])
        )
        columns = (f"distance ({unit})", "counts", self.ratio_name, f"{100 * PROB:.0f} % interval")
        return Table(f"{self.heading}: {self.verdict}", columns, rows, self.note())

    def figures(self, reference: str | None = None) -> list[Drawing]:
        """Ratio along the path with its interval.

        Parameters
        ----------
        reference : str or None
            Not used.

        Returns
        -------
        list of Drawing
            One figure.
        """
        caption = f"{self.ratio_name} along the path: posterior mean and {100 * PROB:.0f} % interval of every point."
        return [Drawing("profile", "profile", caption)]

    def __repr__(self) -> str:
        return f"<Profile {self.name!r}: {self.ratio_name}, {self.data.sizes['distance']} points; {self.verdict}>"
